//! What watches are told of the data of their record (docs/PROTOCOL.md §3.21, §4.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use support::World;
use support::wire::{
    self, DELETED, FULL, Message, abort, aborted, access_violation, add, added, address_fault, append,
    appended, compare, ended, invalid, mismatch, noticed, ok, op, packets, patched, pattern, ping, pointed,
    pushed, quota, request, version, watch, write_range,
};

/// A server, an owner with the record "hello" that others may read and write, and a watcher.
struct Scene {
    world: World,
    owner: Peer,
    watcher: Peer,
    record: u64,
}

fn scene() -> Scene {
    scene_with(3, b"hello")
}

fn scene_with(access: u8, data: &[u8]) -> Scene {
    let mut world = World::new();
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, access, data);
    Scene { world, owner, watcher, record }
}

impl Scene {
    /// Begins a watch, and reads what it is told at once.
    #[track_caller]
    fn watch(&mut self, xid: u32, push: bool) -> Vec<Message> {
        self.world.exchange(self.watcher, watch(xid, self.record, push))
    }

    /// The owner does something; what the watcher is told of it.
    #[track_caller]
    fn tells(&mut self, sent: Vec<u8>, reply: Message) -> Vec<Message> {
        self.world.send(self.owner, sent);
        assert_eq!(self.world.replies(self.owner), [reply]);
        let told = self.world.replies(self.watcher);
        self.world.assert_silence();
        told
    }

    fn replace(&self, xid: u32, data: &[u8]) -> Vec<u8> {
        wire::about(xid, op::REPLACE, self.record, data)
    }
}

#[test]
fn a_pushing_watch_begins_with_the_whole_record() {
    for data in [&b""[..], b"x", b"hello", &pattern(FULL - 8), &pattern(FULL - 7), &pattern(100_000)] {
        let mut scene = scene_with(1, data);
        assert_eq!(scene.watch(9, true), [version(9, 1), pushed(9, 1, data)]);
        assert_eq!(scene.watch(10, false), [version(10, 1)]);
    }
}

#[test]
fn the_first_state_is_the_newest_whatever_its_version() {
    let mut scene = scene();
    scene.tells(append(1, scene.record, "!"), appended(1, 2, 5));
    assert_eq!(scene.watch(9, true), [version(9, 2), pushed(9, 2, "hello!")]);
    assert_eq!(scene.watch(10, false), [version(10, 2)]);
}

#[test]
fn a_watch_that_does_not_push_is_told_versions_alone() {
    let mut scene = scene();
    let record = scene.record;
    scene.watch(9, false);
    assert_eq!(scene.tells(scene.replace(1, b"number: \0"), version(1, 2)), [noticed(9, 2)]);
    assert_eq!(scene.tells(write_range(1, record, 3, "x"), version(1, 3)), [noticed(9, 3)]);
    assert_eq!(scene.tells(append(1, record, "x"), appended(1, 4, 9)), [noticed(9, 4)]);
    assert_eq!(scene.tells(compare(1, record, 4, pattern(3000)), version(1, 5)), [noticed(9, 5)]);
    assert_eq!(scene.tells(write_range(1, record, 0, [0; 8]), version(1, 6)), [noticed(9, 6)]);
    assert_eq!(scene.tells(add(1, record, 0, -1), added(1, 7, -1)), [noticed(9, 7)]);
}

#[test]
fn writes_to_a_part_are_told_as_ranges_and_all_others_as_the_whole() {
    let mut scene = scene();
    let record = scene.record;
    scene.watch(9, true);
    assert_eq!(scene.tells(write_range(1, record, 1, "E"), version(1, 2)), [patched(9, 2, 1, "E")]);
    assert_eq!(scene.tells(append(1, record, "!!"), appended(1, 3, 5)), [patched(9, 3, 5, "!!")]);
    // Behind a gap; nothing, somewhere; nothing, behind a gap.
    assert_eq!(scene.tells(write_range(1, record, 9, "x"), version(1, 4)), [patched(9, 4, 9, "x")]);
    assert_eq!(scene.tells(write_range(1, record, 2, ""), version(1, 5)), [patched(9, 5, 2, "")]);
    assert_eq!(scene.tells(write_range(1, record, 12, ""), version(1, 6)), [patched(9, 6, 12, "")]);
    let whole = b"hEllo!!\0\0x\0\0";
    let value = i64::from_be_bytes(*whole[4..].first_chunk().unwrap()) + 7;
    assert_eq!(
        scene.tells(add(1, record, 4, 7), added(1, 7, value)),
        [patched(9, 7, 4, value.to_be_bytes())]
    );
    // What replaces the whole is told as the whole, be it what it was.
    assert_eq!(scene.tells(compare(1, record, 7, "same"), version(1, 8)), [pushed(9, 8, "same")]);
    assert_eq!(scene.tells(scene.replace(1, b"same"), version(1, 9)), [pushed(9, 9, "same")]);
    assert_eq!(scene.tells(scene.replace(1, b""), version(1, 10)), [pushed(9, 10, "")]);
    assert_eq!(scene.tells(append(1, record, ""), appended(1, 11, 0)), [patched(9, 11, 0, "")]);
    // Long ones, in several packets.
    let long = pattern(5000);
    assert_eq!(scene.tells(append(1, record, &long), appended(1, 12, 0)), [patched(9, 12, 0, &long)]);
    assert_eq!(scene.tells(scene.replace(1, &long), version(1, 13)), [pushed(9, 13, &long)]);
    assert_eq!(scene.watch(10, true), [version(10, 13), pushed(10, 13, long)]);
}

#[test]
fn what_is_refused_or_changes_no_data_is_not_told() {
    let mut scene = scene();
    let record = scene.record;
    scene.watch(9, true);
    scene.watch(10, false);
    assert_eq!(scene.tells(compare(1, record, 7, "x"), mismatch(1, 1)), []);
    assert_eq!(scene.tells(add(1, record, 0, 1), address_fault(1)), []);
    assert_eq!(scene.tells(wire::permit(1, record, 3), ok(1, [])), []);
    assert_eq!(scene.tells(wire::transfer(1, record, scene.owner.owner.get()), ok(1, [])), []);
    assert_eq!(scene.tells(wire::lifetime(1, record, 7, 7, 7), ok(1, [])), []);
    assert_eq!(scene.tells(wire::about(1, op::REQUEST_OWNERSHIP, record, []), ok(1, [])), []);
    // An upload that is given up, and another record.
    let upload = packets(2, op::REPLACE, 0, pointed(record, pattern(2000)));
    assert_eq!(scene.tells([&upload[0][..], &abort(2)].concat(), aborted(2)), []);
    let other = scene.world.create(scene.owner, 3, "x");
    assert_eq!(scene.tells(wire::about(1, op::REPLACE, other, "y"), version(1, 2)), []);
    assert_eq!(scene.watch(11, true), [version(11, 1), pushed(11, 1, "hello")]);
}

#[test]
fn a_write_is_told_when_it_takes_effect_and_not_before() {
    let mut scene = scene();
    scene.watch(9, true);
    let upload = packets(1, op::REPLACE, 0, pointed(scene.record, pattern(3000)));
    for packet in &upload[..2] {
        assert_eq!(scene.world.exchange(scene.owner, packet), []);
    }
    assert_eq!(scene.tells(upload[2].clone(), version(1, 2)), [pushed(9, 2, pattern(3000))]);
}

#[test]
fn the_writers_own_watches_are_told_after_its_reply() {
    let mut scene = scene();
    let (owner, record) = (scene.owner, scene.record);
    let sent = [watch(8, record, false), watch(9, record, true), scene.replace(2, b"x")].concat();
    let told = scene.world.exchange(owner, sent);
    let begun = [version(8, 1), version(9, 1), pushed(9, 1, "hello")];
    assert_eq!(told, [&begun[..], &[version(2, 2), noticed(8, 2), pushed(9, 2, "x")]].concat());

    let sent = [append(3, record, "y"), ping(4, "z"), wire::about(5, op::DELETE, record, [])].concat();
    let told = [appended(3, 3, 1), noticed(8, 3), patched(9, 3, 1, "y"), ok(4, "z"), ok(5, [])];
    assert_eq!(
        scene.world.exchange(owner, sent),
        [&told[..], &[ended(8, DELETED), ended(9, DELETED)]].concat()
    );
}

#[test]
fn every_watch_is_told_by_itself() {
    let mut scene = scene();
    let (owner, record) = (scene.owner, scene.record);
    let third = scene.world.connect("127.0.0.2");
    scene.watch(9, true);
    scene.watch(10, true);
    scene.watch(11, false);
    assert_eq!(scene.world.exchange(third, watch(9, record, true)), [version(9, 1), pushed(9, 1, "hello")]);
    scene.world.send(owner, append(1, record, "!"));
    assert_eq!(scene.world.replies(owner), [appended(1, 2, 5)]);
    let told = scene.world.replies(scene.watcher);
    assert_eq!(told, [patched(9, 2, 5, "!"), patched(10, 2, 5, "!"), noticed(11, 2)]);
    assert_eq!(scene.world.replies(third), [patched(9, 2, 5, "!")]);

    assert_eq!(scene.world.exchange(scene.watcher, abort(10)), [aborted(10)]);
    scene.world.send(owner, append(1, record, "!"));
    assert_eq!(scene.world.replies(owner), [appended(1, 3, 6)]);
    assert_eq!(scene.world.replies(scene.watcher), [patched(9, 3, 6, "!"), noticed(11, 3)]);
    assert_eq!(scene.world.replies(third), [patched(9, 3, 6, "!")]);
    scene.world.assert_silence();
}

#[test]
fn a_watch_may_be_refused() {
    let mut scene = scene_with(2, b"hello");
    let (owner, watcher, record) = (scene.owner, scene.watcher, scene.record);
    assert_eq!(scene.watch(9, true), [access_violation(9)]);
    assert_eq!(scene.world.ask(watcher, watch(9, record ^ 1, true)), address_fault(9));
    assert_eq!(scene.world.ask(watcher, watch(9, 0, false)), address_fault(9));
    assert_eq!(scene.world.ask(watcher, request(9, op::WATCH, 2, record.to_be_bytes())), invalid(9, 1));
    assert_eq!(scene.world.ask(watcher, request(9, op::WATCH, 1, [0; 7])), invalid(9, 2));
    assert_eq!(scene.world.ask(watcher, request(9, op::WATCH, 0, [0; 9])), invalid(9, 2));
    // A refusal is a terminal: the XID is free. The owner needs no right.
    assert_eq!(scene.world.ask(watcher, ping(9, "x")), ok(9, "x"));
    let told = scene.world.exchange(owner, watch(9, record, true));
    assert_eq!(told, [version(9, 1), pushed(9, 1, "hello")]);
}

#[test]
fn watches_and_waiting_reads_have_a_limit_together() {
    let mut world = World::with(|config| config.limits.watches = 3);
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(one, 3, "x");
    let reserved = world.ask(one, request(1, op::RESERVE, 1, [])).payload;
    let reserved = u64::from_be_bytes(reserved.try_into().unwrap());
    assert_eq!(world.exchange(other, watch(1, record, false)), [version(1, 1)]);
    assert_eq!(world.exchange(other, wire::about(2, op::RESOLVE, reserved, [])), []);
    assert_eq!(world.exchange(other, watch(3, reserved, true)), [version(3, 0)]);
    let over = [
        watch(4, record, true),
        watch(4, reserved, false),
        wire::about(4, op::RESOLVE, reserved, []),
        wire::if_changed(4, reserved, 0),
        wire::read_range(4, reserved, 0, 1),
    ];
    for sent in &over {
        assert_eq!(world.ask(other, sent), quota(4, 6, 3));
    }
    assert_eq!(world.statistics().counters.quota(netswap_core::error::Quota::Watches), 5);
    // What does not wait, or is refused for another reason, is no matter of it; other connections have their own.
    assert_eq!(world.ask(other, wire::about(4, op::RESOLVE, record, [])).code, 3);
    assert_eq!(world.ask(other, watch(4, 1, true)), address_fault(4));
    assert_eq!(world.exchange(one, watch(4, record, false)), [version(4, 1)]);
    // Whatever ends makes room: an abort, an answer, a last notification.
    assert_eq!(world.exchange(other, abort(1)), [aborted(1)]);
    assert_eq!(world.exchange(other, watch(4, record, false)), [version(4, 1)]);
    assert_eq!(world.ask(other, watch(5, record, false)), quota(5, 6, 3));
    world.send(one, wire::about(2, op::REPLACE, reserved, "y"));
    assert_eq!(world.replies(one), [version(2, 1)]);
    world.replies(other);
    assert_eq!(world.exchange(other, watch(5, record, false)), [version(5, 1)]);
    assert_eq!(world.ask(other, watch(6, record, false)), quota(6, 6, 3));
    world.send(one, wire::about(2, op::DELETE, reserved, []));
    assert_eq!(world.replies(one), [ok(2, [])]);
    assert_eq!(world.replies(other), [ended(3, DELETED)]);
    assert_eq!(world.exchange(other, watch(6, record, false)), [version(6, 1)]);
}

#[test]
fn a_server_may_allow_no_watches() {
    let mut world = World::with(|config| config.limits.watches = 0);
    let one = world.connect("127.0.0.1");
    let record = world.create(one, 3, "x");
    assert_eq!(world.ask(one, watch(1, record, false)), quota(1, 6, 0));
    let reserved = world.ask(one, request(1, op::RESERVE, 1, [])).payload;
    assert_eq!(world.ask(one, request(1, op::RESOLVE, 0, reserved)), quota(1, 6, 0));
}
