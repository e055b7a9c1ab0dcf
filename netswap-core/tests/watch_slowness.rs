//! Watchers that read more slowly than their record changes: what is told folds, and costs little (docs/PROTOCOL.md §4.3, §7.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::config::Config;
use netswap_core::engine::Peer;
use support::wire::{
    self, ACCESS_LOST, DELETED, EXPIRED, Message, access_changed, append, ended, noticed, ok, op,
    owner_changed, ownership_requested, patched, pattern, permit, ping, pushed, transfer, version, watch,
};
use support::{OVERHEAD, World, held, sent};

/// So long that it takes more than the output's window.
const LONG: usize = 200_000;

/// A server, an owner with a long record, and a slow watcher that is being told the whole of it under XID 9.
struct Scene {
    world: World,
    owner: Peer,
    watcher: Peer,
    record: u64,
    first: Vec<u8>,
}

fn scene() -> Scene {
    let mut world = World::new();
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let first = pattern(LONG);
    let record = world.create(owner, 7, &first);
    world.send(watcher, watch(9, record, true));
    assert_eq!(world.take_replies(watcher, 100), [version(9, 1)]);
    Scene { world, owner, watcher, record, first }
}

impl Scene {
    /// Somebody does something that succeeds.
    #[track_caller]
    fn does(&mut self, who: Peer, sent: Vec<u8>) {
        self.world.send(who, sent);
        let replies = self.world.replies(who);
        assert_eq!((replies.len(), replies[0].code), (1, 0), "{replies:?}");
    }

    #[track_caller]
    fn replace(&mut self, data: &[u8]) {
        self.does(self.owner, wire::about(1, op::REPLACE, self.record, data));
    }

    /// The watcher reads it all: after the first state it is told this.
    #[track_caller]
    fn assert_told(&mut self, expected: &[Message]) {
        let first = pushed(9, 1, &self.first);
        let told = self.world.replies(self.watcher);
        assert_eq!(told, [&[first][..], expected].concat());
        self.world.assert_silence();
    }
}

#[test]
fn a_slow_watcher_is_told_the_newest_state_alone() {
    let mut scene = scene();
    for data in ["one", "two", "three"] {
        scene.replace(data.as_bytes());
    }
    scene.assert_told(&[pushed(9, 4, "three")]);
    scene.does(scene.owner, append(1, scene.record, "!"));
    assert_eq!(scene.world.replies(scene.watcher), [patched(9, 5, 5, "!")]);
}

#[test]
fn one_write_to_a_part_is_told_as_such_however_late_and_two_are_not() {
    let mut late = scene();
    late.does(late.owner, append(1, late.record, "!"));
    late.assert_told(&[patched(9, 2, LONG as u32, "!")]);

    let record = late.record;
    for (second, last) in [(append(2, record, "?"), "?"), (wire::write_range(2, record, 7, ""), "")] {
        let mut scene = scene();
        scene.does(scene.owner, append(1, scene.record, "!"));
        scene.does(scene.owner, second);
        let mut now = scene.first.clone();
        now.push(b'!');
        now.extend(last.as_bytes());
        scene.assert_told(&[pushed(9, 3, now)]);
    }
    // A part after the whole is within the whole.
    let mut scene = scene();
    scene.replace(b"new");
    scene.does(scene.owner, append(1, scene.record, "!"));
    scene.assert_told(&[pushed(9, 3, "new!")]);
}

#[test]
fn of_rights_owners_and_requests_the_newest_is_told() {
    let mut scene = scene();
    let (owner, record) = (scene.owner, scene.record);
    let third = scene.world.connect("127.0.0.3");
    let [mine, watchers, thirds] = [owner, scene.watcher, third].map(|peer| peer.owner.get());
    for access in [1, 3, 5] {
        scene.does(owner, permit(1, record, access));
    }
    scene.does(third, wire::about(1, op::TAKEOVER, record, []));
    scene.does(third, transfer(1, record, watchers));
    scene.does(owner, wire::about(1, op::REQUEST_OWNERSHIP, record, []));
    scene.does(third, wire::about(1, op::REQUEST_OWNERSHIP, record, []));
    scene.assert_told(&[owner_changed(9, watchers), access_changed(9, 1), ownership_requested(9, thirds)]);
    assert_ne!(mine, thirds);
}

#[test]
fn a_request_to_the_former_owner_is_told_before_it_is_told_that_it_is_no_more() {
    let mut scene = scene();
    let (owner, watcher, record) = (scene.owner, scene.watcher, scene.record);
    let third = scene.world.connect("127.0.0.3");
    let hash = |peer: Peer| peer.owner.get();
    let ask = wire::about(1, op::REQUEST_OWNERSHIP, record, []);
    scene.does(owner, transfer(1, record, hash(watcher)));
    scene.assert_told(&[owner_changed(9, hash(watcher)), access_changed(9, 3)]);
    scene.first.fill(7);
    scene.replace(&scene.first.clone());
    scene.does(owner, ask.clone());
    scene.does(third, ask.clone());
    // The watcher's second connection gives the record away, while the first is being told of the data.
    let second = scene.world.connect("127.0.0.2");
    scene.does(second, transfer(1, record, hash(owner)));
    let told =
        [pushed(9, 2, &scene.first), ownership_requested(9, hash(third)), owner_changed(9, hash(owner))];
    assert_eq!(scene.world.replies(watcher), told);

    // It is the owner for a while and never learns of it, nor of who asked it then.
    scene.replace(&scene.first.clone());
    scene.does(owner, transfer(1, record, hash(watcher)));
    scene.does(third, ask);
    scene.does(second, transfer(1, record, hash(third)));
    assert_eq!(scene.world.replies(watcher), [pushed(9, 3, &scene.first), owner_changed(9, hash(third))]);

    // It is asked, loses the record, gets it back and is asked again: the newest request is told.
    scene.does(third, transfer(1, record, hash(watcher)));
    assert_eq!(scene.world.replies(watcher), [owner_changed(9, hash(watcher))]);
    scene.replace(&scene.first.clone());
    for (asker, to) in [(third, owner), (owner, watcher)] {
        let by = if to.id == owner.id { second } else { owner };
        scene.does(asker, wire::about(1, op::REQUEST_OWNERSHIP, record, []));
        scene.does(by, transfer(1, record, hash(to)));
    }
    scene.does(owner, wire::about(1, op::REQUEST_OWNERSHIP, record, []));
    let told = [owner_changed(9, hash(watcher)), ownership_requested(9, hash(owner))];
    assert_eq!(scene.world.replies(watcher), [&[pushed(9, 4, &scene.first)][..], &told].concat());
    scene.world.assert_silence();
}

#[test]
fn what_is_pending_at_the_end_is_told_as_it_was_and_the_end_last() {
    type End = fn(&mut Scene);
    let ends: [(u8, End); 3] = [
        (DELETED, |scene| scene.does(scene.owner, wire::about(1, op::DELETE, scene.record, []))),
        (ACCESS_LOST, |scene| scene.does(scene.owner, permit(1, scene.record, 2))),
        (EXPIRED, |scene| {
            scene.does(scene.owner, wire::lifetime(1, scene.record, 5, 1, 0));
            scene.world.wait(std::time::Duration::from_secs(1));
        }),
    ];
    for (kind, end) in ends {
        let mut plain = scene();
        end(&mut plain);
        plain.assert_told(&[ended(9, kind)]);

        let mut part = scene();
        part.does(part.owner, append(1, part.record, "!"));
        part.does(part.owner, permit(1, part.record, 1));
        end(&mut part);
        part.assert_told(&[patched(9, 2, LONG as u32, "!"), access_changed(9, 1), ended(9, kind)]);

        let mut whole = scene();
        whole.replace(b"last but one");
        whole.replace(b"last");
        end(&mut whole);
        if kind == ACCESS_LOST {
            whole.replace(b"nobody is told of this");
        }
        whole.assert_told(&[pushed(9, 3, "last"), ended(9, kind)]);
        if kind != ACCESS_LOST {
            assert_eq!(whole.world.bytes(), 0);
        }
    }
}

#[test]
fn a_slow_watcher_holds_one_state_however_often_the_record_changes() {
    let mut scene = scene();
    let others: Vec<Peer> = (10..20).map(|it| scene.world.connect(&format!("127.0.0.{it}"))).collect();
    for other in &others {
        scene.world.send(*other, watch(9, scene.record, true));
        scene.world.send(*other, watch(10, scene.record, true));
    }
    let record = OVERHEAD + held(LONG as u64);
    for round in 0..50 {
        scene.replace(&vec![round; LONG]);
        // The state that all are being told, and the record's own.
        assert_eq!(scene.world.bytes(), record + held(LONG as u64) - 320);
    }
    for other in others {
        let mut told = scene.world.replies(other);
        told.retain(|it| it.code == 11);
        told.sort_by_key(|it| it.xid);
        let told = told.iter().map(|it| (it.xid, u64::from_be_bytes(it.payload[..8].try_into().unwrap())));
        // The second one's OK was stuck: its first state is the newest.
        assert_eq!(told.collect::<Vec<_>>(), [(9, 1), (9, 51), (10, 51)]);
    }
    scene.assert_told(&[pushed(9, 51, vec![49; LONG])]);
    assert_eq!(scene.world.bytes(), record);
}

#[test]
fn where_there_is_no_memory_for_a_part_the_whole_is_told() {
    let limit = 40_960;
    let mut world = World::with(|config| {
        config.limits.total = limit;
        config.limits.record = 20_000;
    });
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, 1, pattern(10_000));
    world.exchange(watcher, watch(9, record, true));
    world.create(owner, 0, pattern(10_000));
    world.fill(owner, limit - sent(96), 20_000);
    // The write needs nothing, what it is told with would.
    world.send(owner, wire::write_range(2, record, 5, [7; 97]));
    assert_eq!(world.replies(owner), [version(2, 2)]);
    let mut data = pattern(10_000);
    data[5..102].fill(7);
    assert_eq!(world.replies(watcher), [pushed(9, 2, data)]);
    world.send(owner, wire::write_range(2, record, 5, [8; 96]));
    assert_eq!(world.replies(owner), [version(2, 3)]);
    assert_eq!(world.replies(watcher), [patched(9, 3, 5, [8; 96])]);
    assert_eq!(world.bytes(), limit - sent(96));
}

#[test]
fn news_longer_than_what_may_wait_are_told_where_little_waits() {
    let mut world = World::with(|config| {
        config.limits.queued_bytes = 4000;
        config.limits.record = 10_000;
    });
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, 1, "");
    world.exchange(watcher, watch(9, record, true));
    // With the echo of a PING a quarter waits but for one byte, and then a quarter.
    for (echo, told) in [(1000 - 1 - 10, true), (1000 - 10, false)] {
        world.send(watcher, wire::ping(2, pattern(echo)));
        world.send(owner, wire::about(3, op::REPLACE, record, pattern(8000)));
        assert_eq!(world.replies(owner)[0].code, 0);
        let waits = world.output(watcher).len() as usize;
        assert_eq!(waits > 1000, told, "{waits} bytes wait");
        assert_eq!(world.replies(watcher).len(), 2);
    }
}

/// A watcher with many watches that are told of something all the time, and reads so much at a time.
fn busy(change: impl FnOnce(&mut Config), watches: u32, len: usize, at_a_time: usize) {
    let mut world = World::with(change);
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let records: Vec<u64> = (0..watches).map(|_| world.create(owner, 1, pattern(len))).collect();
    for (xid, record) in (100..).zip(&records) {
        world.send(watcher, watch(xid, *record, true));
        world.replies(watcher);
    }
    let mut told = vec![0; watches as usize];
    let mut pongs = 0;
    let mut waiting = Vec::new();
    for round in 0..300 {
        for record in &records {
            world.send(owner, wire::about(1, op::REPLACE, *record, vec![round as u8; len]));
        }
        world.replies(owner);
        // As a socket: what is sent waits until the server reads.
        waiting.extend(ping(7, "x"));
        if world.wants_read(watcher) {
            world.send(watcher, std::mem::take(&mut waiting));
        }
        for message in world.take_replies(watcher, at_a_time) {
            match message.xid {
                7 => pongs += 1,
                xid => told[xid as usize - 100] += 1,
            }
        }
    }
    assert!(pongs >= 30, "{pongs} of 300 requests were answered");
    let (least, most) = (told.iter().min().unwrap(), told.iter().max().unwrap());
    assert!(*least > 5 && *most < 2 * least, "the watches were told so often: {told:?}");
}

#[test]
fn news_do_not_keep_requests_from_being_read_nor_watches_from_being_told() {
    busy(|config| config.limits.queued_replies = 16, 40, 5, 300);
    busy(|config| config.limits.queued_replies = 16, 20, 10_000, 20_000);
    busy(|config| config.limits.queued_bytes = 400_000, 9, 150_000, 50_000);
}

#[test]
fn news_wait_while_replies_do_and_are_told_then() {
    let mut world = World::with(|config| config.limits.queued_replies = 4);
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, 1, "hello");
    world.exchange(watcher, [watch(8, record, false), watch(9, record, true)].concat());
    let pings: Vec<u8> = (1..=6).flat_map(|xid| ping(xid, "x")).collect();
    world.send(watcher, pings);
    for data in ["one", "two"] {
        world.send(owner, wire::about(1, op::REPLACE, record, data));
        world.replies(owner);
    }
    let told = world.replies(watcher);
    let pongs: Vec<_> = told.iter().filter(|it| it.code == 0).cloned().collect();
    assert_eq!(pongs, (1..=6).map(|xid| ok(xid, "x")).collect::<Vec<_>>());
    let mut news: Vec<_> = told.iter().filter(|it| it.code == 11).cloned().collect();
    news.sort_by_key(|it| it.xid);
    assert_eq!(news, [noticed(8, 3), pushed(9, 3, "two")]);
    world.assert_silence();
}

#[test]
fn thousands_of_watches_on_one_record_and_on_one_each() {
    let mut world = World::new();
    let owner = world.connect("127.0.0.1");
    let shared = world.create(owner, 1, "hello");
    // One connection with as many watches as it may have, each on a record of its own; and many connections.
    let collector = world.connect("127.0.0.2");
    let own: Vec<u64> = (0..4096).map(|_| world.create(owner, 1, "x")).collect();
    for (xid, record) in (0..).zip(&own) {
        world.send(collector, watch(xid, *record, true));
    }
    assert_eq!(world.replies(collector).len(), 2 * 4096);
    let watchers: Vec<Peer> = (0..3000).map(|_| world.connect("127.0.0.3")).collect();
    for watcher in &watchers {
        world.send(*watcher, watch(9, shared, true));
        assert_eq!(world.replies(*watcher), [version(9, 1), pushed(9, 1, "hello")]);
    }
    world.send(owner, append(1, shared, "!"));
    world.replies(owner);
    world.catch_up();
    for watcher in &watchers {
        assert_eq!(world.replies(*watcher), [patched(9, 2, 5, "!")]);
    }
    // Nobody reads, while every record is written twice and then ends.
    for record in &own {
        for _ in 0..2 {
            world.send(owner, append(1, *record, "!"));
        }
        world.send(owner, wire::about(2, op::DELETE, *record, []));
        world.replies(owner);
    }
    world.send(owner, wire::about(1, op::DELETE, shared, []));
    world.replies(owner);
    world.catch_up();
    let mut told = world.replies(collector);
    told.sort_by_key(|it| it.xid);
    for (xid, told) in (0..).zip(told.chunk_by(|one, next| one.xid == next.xid)) {
        let (last, before) = told.split_last().unwrap();
        assert_eq!((last, before.is_empty()), (&ended(xid, DELETED), false));
    }
    assert_eq!(told.iter().filter(|it| it.access == DELETED).count(), 4096);
    for watcher in &watchers {
        assert_eq!(world.replies(*watcher), [ended(9, DELETED)]);
    }
    assert_eq!(world.bytes(), 0);
    world.assert_silence();
}

#[test]
fn news_wait_until_their_bytes_have_room_beside_those_that_are_left_to_replies() {
    // A quarter of 4000 bytes is left to replies, the echo of a PING takes 1390 and a notification without data 18: 1592
    // are left to the data of another.
    for (len, waits) in [(1591, false), (1592, false), (1593, true)] {
        for part in [false, true] {
            let mut world = World::with(|config| config.limits.queued_bytes = 4000);
            let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
            let record = world.create(owner, 1, pattern(2000));
            assert_eq!(world.exchange(watcher, watch(9, record, true)).len(), 2);
            assert_eq!(world.exchange(watcher, watch(8, record, false)), [version(8, 1)]);
            world.send(watcher, ping(7, pattern(1380)));
            let (request, news) = if part {
                (wire::write_range(1, record, 5, vec![6; len]), patched(9, 2, 5, vec![6; len]))
            } else {
                (wire::about(1, op::REPLACE, record, vec![6; len]), pushed(9, 2, vec![6; len]))
            };
            world.send(owner, request);
            assert_eq!(world.replies(owner), [version(1, 2)]);
            // Those without data have room in any case, and say that there is something new.
            let queued = if waits { 2 } else { 3 };
            assert_eq!(world.output(watcher).messages(), queued, "{len}, {part}");
            let mut told = world.replies(watcher);
            told.sort_by_key(|it| it.xid);
            assert_eq!(told, [ok(7, pattern(1380)), noticed(8, 2), news], "{len}, {part}");
            world.assert_silence();
        }
    }
}
