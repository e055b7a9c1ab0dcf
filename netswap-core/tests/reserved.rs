//! Records that have a pointer before they have data, and reads that wait for them (docs/PROTOCOL.md §3.22).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::error::Violation;
use netswap_core::wire::{Code, Opcode};
use support::wire::{
    self, ACCESS_LOST, DELETED, EXPIRED, Message, abort, aborted, access_violation, add, address_fault,
    append, appended, changed, compare, ended, if_changed, invalid, malformed, mismatch, not_modified,
    noticed, ok, op, packets, patched, pattern, permit, ping, pointed, pushed, quota, range, read_range,
    request, resolved, transfer, version, watch, write_range,
};
use support::{GRACE, NS, OVERHEAD, World, held};

/// A server, an owner with a reserved record, and somebody else.
struct Scene {
    world: World,
    owner: Peer,
    other: Peer,
    record: u64,
}

fn scene(access: u8) -> Scene {
    let mut world = World::new();
    let (owner, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = reserve(&mut world, owner, access);
    Scene { world, owner, other, record }
}

#[track_caller]
fn reserve(world: &mut World, peer: Peer, access: u8) -> u64 {
    let reply = world.ask(peer, request(1, op::RESERVE, access, []));
    assert_eq!((reply.xid, reply.code, reply.access), (1, 0, 0), "{reply:?}");
    u64::from_be_bytes(reply.payload.try_into().unwrap())
}

/// All the reads that wait, under XIDs of their own.
fn reads(record: u64) -> [Vec<u8>; 7] {
    [
        wire::about(10, op::RESOLVE, record, []),
        if_changed(11, record, 0),
        if_changed(12, record, 1),
        if_changed(13, record, u64::MAX),
        read_range(14, record, 0, u32::MAX),
        read_range(15, record, 1, 2),
        read_range(16, record, 9, 0),
    ]
}

/// Their answers, where the record gets these data.
fn answers(data: &[u8]) -> [Message; 7] {
    let part = &data[data.len().min(1)..data.len().min(3)];
    [
        resolved(10, data),
        changed(11, 1, data),
        not_modified(12),
        changed(13, 1, data),
        range(14, 1, data.len() as u32, data),
        range(15, 1, data.len() as u32, part),
        range(16, 1, data.len() as u32, []),
    ]
}

impl Scene {
    /// Somebody has all reads wait.
    #[track_caller]
    fn wait_all(&mut self, peer: Peer) {
        assert_eq!(self.world.exchange(peer, reads(self.record).concat()), []);
    }

    #[track_caller]
    fn does(&mut self, who: Peer, sent: impl AsRef<[u8]>, reply: Message) {
        self.world.send(who, sent);
        assert_eq!(self.world.replies(who), [reply]);
    }
}

#[test]
fn every_read_waits_for_whatever_write_comes_first() {
    let long = pattern(5000);
    type Write = fn(u64, &[u8]) -> (Vec<u8>, Message);
    let writes: [Write; 4] = [
        |record, data| (wire::about(1, op::REPLACE, record, data), version(1, 1)),
        |record, data| (compare(1, record, 0, data), version(1, 1)),
        |record, data| (write_range(1, record, 0, data), version(1, 1)),
        |record, data| (append(1, record, data), appended(1, 1, 0)),
    ];
    for write in writes {
        for data in [&b""[..], b"map", &long] {
            let mut scene = scene(3);
            let (owner, other, record) = (scene.owner, scene.other, scene.record);
            let third = scene.world.connect("127.0.0.3");
            scene.wait_all(other);
            scene.wait_all(owner);
            let (sent, reply) = write(record, data);
            // By somebody else than the owner, in as many packets as it takes.
            scene.does(third, sent, reply);
            for peer in [other, owner] {
                let mut told = scene.world.replies(peer);
                told.sort_by_key(|it| it.xid);
                assert_eq!(told, answers(data));
            }
            // It waits no more.
            assert_eq!(scene.world.ask(other, wire::about(1, op::RESOLVE, record, [])), resolved(1, data));
            assert_eq!(scene.world.bytes(), OVERHEAD + held(data.len() as u64));
        }
    }
}

#[test]
fn a_write_behind_a_gap_makes_a_record_live_with_zeros() {
    let mut scene = scene(1);
    scene.wait_all(scene.other);
    scene.does(scene.owner, write_range(1, scene.record, 3, "x"), version(1, 1));
    assert_eq!(scene.world.replies(scene.other), answers(b"\0\0\0x"));
}

#[test]
fn whoever_waits_gets_the_first_state_whatever_is_written_then() {
    let mut scene = scene(1);
    scene.wait_all(scene.other);
    let writes = [
        wire::about(1, op::REPLACE, scene.record, "first"),
        append(2, scene.record, "!"),
        wire::about(3, op::REPLACE, scene.record, "third"),
        wire::about(4, op::DELETE, scene.record, []),
    ];
    scene.world.send(scene.owner, writes.concat());
    assert_eq!(scene.world.replies(scene.owner).len(), 4);
    assert_eq!(scene.world.replies(scene.other), answers(b"first"));
    assert_eq!(scene.world.bytes(), 0);
}

#[test]
fn an_upload_is_waited_for_until_its_last_byte() {
    let mut scene = scene(1);
    scene.wait_all(scene.other);
    let data = pattern(3000);
    let upload = packets(1, op::REPLACE, 0, pointed(scene.record, &data));
    for packet in &upload[..2] {
        assert_eq!(scene.world.exchange(scene.owner, packet), []);
    }
    assert_eq!(scene.world.exchange(scene.owner, abort(1)), [aborted(1)]);
    scene.does(scene.owner, upload.concat(), version(1, 1));
    assert_eq!(scene.world.replies(scene.other), answers(&data));
}

#[test]
fn the_writers_own_reads_are_answered_after_its_reply() {
    let mut scene = scene(0);
    let sent = [&reads(scene.record)[0], &append(1, scene.record, "x")[..], &ping(2, "y")].concat();
    let told = [appended(1, 1, 0), resolved(10, "x"), ok(2, "y")];
    assert_eq!(scene.world.exchange(scene.owner, sent), told);
}

#[test]
fn what_is_refused_makes_no_record_live() {
    let mut scene = scene(1);
    let (owner, other, record) = (scene.owner, scene.other, scene.record);
    scene.wait_all(other);
    assert_eq!(scene.world.ask(owner, compare(1, record, 1, "x")), mismatch(1, 0));
    assert_eq!(scene.world.ask(owner, add(1, record, 0, 1)), address_fault(1));
    assert_eq!(scene.world.ask(other, append(1, record, "x")), access_violation(1));
    scene.does(owner, permit(1, record, 3), ok(1, []));
    scene.does(owner, wire::lifetime(1, record, 1, 0, 0), ok(1, []));
    scene.does(other, wire::about(1, op::REQUEST_OWNERSHIP, record, []), ok(1, []));
    scene.world.assert_silence();
    scene.does(owner, compare(1, record, 0, "x"), version(1, 1));
    assert_eq!(scene.world.replies(other), answers(b"x"));
    // From now on it is like any other.
    assert_eq!(scene.world.ask(owner, compare(1, record, 0, "x")), mismatch(1, 1));
}

#[test]
fn reads_end_with_their_record_or_with_the_right_to_read() {
    let faults: Vec<Message> = (10..17).map(address_fault).collect();
    let violations: Vec<Message> = (10..17).map(access_violation).collect();

    let mut deleted = scene(1);
    deleted.wait_all(deleted.other);
    deleted.wait_all(deleted.owner);
    deleted.world.send(deleted.owner, wire::about(1, op::DELETE, deleted.record, []));
    assert_eq!(deleted.world.replies(deleted.owner), [&[ok(1, [])][..], &faults].concat());
    assert_eq!(deleted.world.replies(deleted.other), faults);
    // They are counted once as what they were, and once as what became of them.
    let counters = deleted.world.statistics().counters;
    assert_eq!((counters.requests(Opcode::ReadRange), counters.refusals(Code::AddressFault)), (6, 14));

    let mut expired = scene(1);
    expired.wait_all(expired.other);
    expired.world.reset(expired.owner);
    expired.world.wait(GRACE - NS);
    expired.world.assert_silence();
    expired.world.wait(NS);
    assert_eq!(expired.world.replies(expired.other), faults);

    let mut timed = scene(1);
    timed.wait_all(timed.other);
    timed.does(timed.owner, wire::lifetime(1, timed.record, u32::MAX, 7, 0), ok(1, []));
    timed.world.wait(Duration::from_secs(7));
    assert_eq!(timed.world.replies(timed.other), faults);

    // The owner never loses the right, and goes on waiting.
    let mut shut = scene(3);
    shut.wait_all(shut.other);
    shut.wait_all(shut.owner);
    shut.does(shut.owner, permit(1, shut.record, 1), ok(1, []));
    shut.world.assert_silence();
    shut.does(shut.owner, permit(1, shut.record, 2), ok(1, []));
    assert_eq!(shut.world.replies(shut.other), violations);
    shut.world.send(shut.owner, append(1, shut.record, "x"));
    assert_eq!(shut.world.replies(shut.owner), [&[appended(1, 1, 0)][..], &answers(b"x")].concat());

    // A former owner may lose it; whoever becomes the owner does not.
    let mut given = scene(5);
    let (owner, other, record) = (given.owner, given.other, given.record);
    given.wait_all(owner);
    given.wait_all(other);
    let readers = given.world.connect("127.0.0.3");
    given.wait_all(readers);
    given.does(other, wire::about(1, op::TAKEOVER, record, []), ok(1, []));
    given.world.assert_silence();
    given.world.send(other, permit(1, record, 0));
    assert_eq!(given.world.replies(other), [ok(1, [])]);
    assert_eq!(
        (given.world.replies(owner), given.world.replies(readers)),
        (violations.clone(), violations.clone())
    );
    given.world.send(other, transfer(1, record, owner.owner.get()));
    assert_eq!(given.world.replies(other), [&[ok(1, [])][..], &violations].concat());
}

#[test]
fn a_waiting_read_can_be_given_up() {
    let mut scene = scene(1);
    let (owner, other, record) = (scene.owner, scene.other, scene.record);
    scene.wait_all(other);
    assert_eq!(
        scene.world.exchange(other, [abort(12), abort(12), abort(15)].concat()),
        [aborted(12), aborted(15)]
    );
    assert_eq!(scene.world.ask(other, ping(12, "x")), ok(12, "x"));
    assert_eq!(scene.world.exchange(other, wire::about(12, op::RESOLVE, record, [])), []);
    scene.does(owner, append(1, record, "x"), appended(1, 1, 0));
    let mut told = scene.world.replies(other);
    told.sort_by_key(|it| it.xid);
    let mut expected: Vec<Message> = answers(b"x").into_iter().filter(|it| it.xid != 15).collect();
    expected[2] = resolved(12, "x");
    assert_eq!(told, expected);
}

#[test]
fn a_read_that_was_given_up_is_not_answered_in_the_place_of_the_next_one() {
    let mut scene = scene(1);
    let (owner, other, first) = (scene.owner, scene.other, scene.record);
    let second = reserve(&mut scene.world, owner, 1);
    assert_eq!(scene.world.exchange(other, wire::about(9, op::RESOLVE, first, [])), []);
    let sent = [abort(9), wire::about(9, op::RESOLVE, second, [])].concat();
    assert_eq!(scene.world.exchange(other, sent), [aborted(9)]);
    scene.does(owner, append(1, first, "first"), appended(1, 1, 0));
    scene.does(owner, append(1, second, "second"), appended(1, 1, 0));
    assert_eq!(scene.world.replies(other), [resolved(9, "second")]);
}

#[test]
fn an_answer_that_is_being_sent_can_be_given_up() {
    let mut scene = scene(1);
    let (owner, other, record) = (scene.owner, scene.other, scene.record);
    scene.world.send(other, wire::about(10, op::RESOLVE, record, []));
    scene.does(owner, append(1, record, pattern(200_000)), appended(1, 1, 0));
    assert_eq!(scene.world.take_replies(other, 5000), []);
    scene.world.send(other, abort(10));
    assert_eq!(scene.world.replies(other), [aborted(10)]);
    assert_eq!(scene.world.ask(other, ping(10, "x")), ok(10, "x"));
}

#[test]
fn the_xid_of_a_waiting_read_must_not_be_used() {
    let mut scene = scene(1);
    let (owner, other, record) = (scene.owner, scene.other, scene.record);
    scene.wait_all(other);
    scene.world.send(other, &ping(14, "x")[..10]);
    assert_eq!(scene.world.replies(other), [malformed(14, 4)]);
    assert_eq!(scene.world.phase(other), Phase::Draining);
    assert_eq!(scene.world.statistics().counters.violations(Violation::XidInUse), 1);
    // All were dropped unanswered.
    scene.does(owner, append(1, record, "x"), appended(1, 1, 0));
    scene.world.assert_silence();
}

#[test]
fn waiting_reads_end_with_their_connection() {
    let aborts: Vec<Message> = (10..17).map(aborted).collect();
    let mut ended = scene(1);
    ended.wait_all(ended.other);
    ended.world.end(ended.other);
    assert_eq!(ended.world.replies(ended.other), aborts);
    assert_eq!(ended.world.phase(ended.other), Phase::Closed);

    let mut down = scene(1);
    down.wait_all(down.other);
    down.world.shut_down();
    assert_eq!(down.world.replies(down.other), aborts);

    let mut lost = scene(1);
    lost.wait_all(lost.other);
    lost.world.reset(lost.other);
    lost.does(lost.owner, append(1, lost.record, "x"), appended(1, 1, 0));
    lost.world.assert_silence();
}

#[test]
fn waiting_reads_do_not_count_as_queued_replies_and_block_nothing() {
    let mut world = World::with(|config| config.limits.queued_replies = 2);
    let (owner, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = reserve(&mut world, owner, 1);
    for xid in 10..100 {
        assert_eq!(world.exchange(other, wire::about(xid, op::RESOLVE, record, [])), []);
        assert!(world.wants_read(other));
    }
    assert_eq!(world.ask(other, ping(1, "x")), ok(1, "x"));
    // However long it takes; nothing makes them too slow.
    world.wait(GRACE * 100);
    assert_eq!(world.phase(other), Phase::Open);
    world.send(owner, append(1, record, "x"));
    world.replies(owner);
    assert!(!world.wants_read(other));
    assert_eq!(world.replies(other), (10..100).map(|xid| resolved(xid, "x")).collect::<Vec<_>>());
    assert!(world.wants_read(other));
}

#[test]
fn a_watch_of_a_reserved_record_begins_with_its_first_state() {
    let mut scene = scene(1);
    let (owner, other, record) = (scene.owner, scene.other, scene.record);
    assert_eq!(scene.world.exchange(other, watch(8, record, false)), [version(8, 0)]);
    assert_eq!(scene.world.exchange(other, watch(9, record, true)), [version(9, 0)]);
    scene.does(owner, permit(1, record, 3), ok(1, []));
    assert_eq!(scene.world.replies(other), [8, 9].map(|xid| wire::access_changed(xid, 3)));
    // The first write is told as the whole, though it be one to a part.
    scene.does(owner, write_range(1, record, 2, "x"), version(1, 1));
    assert_eq!(scene.world.replies(other), [noticed(8, 1), pushed(9, 1, "\0\0x")]);
    scene.does(owner, append(1, record, "y"), appended(1, 2, 3));
    assert_eq!(scene.world.replies(other), [noticed(8, 2), patched(9, 2, 3, "y")]);

    for (kind, sent) in
        [(DELETED, wire::about(1, op::DELETE, record, [])), (ACCESS_LOST, permit(1, record, 0))]
    {
        let mut scene = self::scene(1);
        assert_eq!(scene.world.exchange(scene.other, watch(9, record, true)), [version(9, 0)]);
        scene.does(scene.owner, sent, ok(1, []));
        assert_eq!(scene.world.replies(scene.other), [ended(9, kind)]);
    }
}

#[test]
fn a_reserved_record_lives_and_counts_like_others() {
    let mut world = World::with(|config| {
        config.limits.total = 1000;
        config.limits.record = 500;
        config.limits.owner_records = Some(2);
    });
    let (owner, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = reserve(&mut world, owner, 1);
    let stat = world.ask(other, wire::about(1, op::STAT, record, []));
    let hash = owner.owner.get().to_be_bytes();
    let expected = [&[0; 12][..], &hash, &[1, 1], &u32::MAX.to_be_bytes()].concat();
    assert_eq!(stat, ok(1, expected));
    assert_eq!(world.ask(owner, request(1, op::LIST, 0, [])), ok(1, record.to_be_bytes()));
    assert_eq!((world.bytes(), world.statistics().records), (OVERHEAD, 1));
    assert_eq!(world.statistics().counters.records_created, 1);

    let second = reserve(&mut world, owner, 7);
    assert_eq!(world.ask(owner, request(1, op::RESERVE, 0, [])), quota(1, 3, 2));
    // 1000 bytes are seven records.
    let full = world.connect("127.0.0.4");
    for peer in [world.connect("127.0.0.3"), full] {
        reserve(&mut world, peer, 0);
        reserve(&mut world, peer, 0);
    }
    reserve(&mut world, other, 0);
    assert_eq!(world.ask(other, request(1, op::RESERVE, 0, [])), quota(1, 1, 1000));

    // It can be taken over; reserved it ends with its owner's grace.
    assert_eq!(world.ask(other, wire::about(1, op::TAKEOVER, second, [])), ok(1, []));
    assert_eq!(world.ask(other, watch(9, record, true)), version(9, 0));
    world.reset(owner);
    world.wait(GRACE);
    assert_eq!(world.replies(other), [ended(9, EXPIRED)]);
    assert_eq!(world.ask(other, wire::about(1, op::STAT, second, [])).payload[20..22], [3, 1]);
    for (access, payload, detail) in [(8, "", 1), (0, "x", 2)] {
        assert_eq!(world.ask(other, request(1, op::RESERVE, access, payload)), invalid(1, detail));
    }
}
