//! How watches end that their record does not end: ABORT, the end of the connection, violations (docs/PROTOCOL.md §2.5, §5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::error::Violation;
use support::wire::{
    self, DELETED, FULL, Message, abort, aborted, append, ended, malformed, ok, op, packets, pattern, ping,
    pushed, request, version, watch,
};
use support::{OVERHEAD, SLOW, World};

/// So long that it takes more than the output's window.
const LONG: usize = 200_000;

/// A server, an owner with a record that others may read, and a watcher.
struct Scene {
    world: World,
    owner: Peer,
    watcher: Peer,
    record: u64,
}

fn scene(data: &[u8]) -> Scene {
    let mut world = World::new();
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, 1, data);
    Scene { world, owner, watcher, record }
}

impl Scene {
    /// The owner appends to the record.
    #[track_caller]
    fn write(&mut self) {
        self.world.send(self.owner, append(1, self.record, "!"));
        assert_eq!(self.world.replies(self.owner).len(), 1);
    }

    #[track_caller]
    fn delete(&mut self) {
        self.world.send(self.owner, wire::about(1, op::DELETE, self.record, []));
        assert_eq!(self.world.replies(self.owner), [ok(1, [])]);
    }

    /// Nobody watches any more, and nothing is held but the record.
    #[track_caller]
    fn assert_unwatched(&mut self) {
        self.write();
        self.world.assert_silence();
        self.delete();
        self.world.assert_silence();
        assert_eq!(self.world.bytes(), 0);
    }
}

/// What has begun to be told of XID 9, so long that it is told in part.
fn begun(data: &[u8]) -> Vec<u8> {
    let begun =
        [packets(9, 0, 0, 1_u64.to_be_bytes()), packets(9, 11, 1, [&1_u64.to_be_bytes(), data].concat())];
    begun.concat().concat()
}

#[test]
fn an_abort_ends_a_watch_and_frees_its_xid() {
    for push in [false, true] {
        let mut scene = scene(b"hello");
        let watcher = scene.watcher;
        scene.world.exchange(watcher, watch(9, scene.record, push));
        assert_eq!(scene.world.exchange(watcher, abort(9)), [aborted(9)]);
        // It is over: another ABORT is one of nothing, and the XID is free, for a watch again too.
        assert_eq!(scene.world.exchange(watcher, abort(9)), []);
        assert_eq!(scene.world.ask(watcher, ping(9, "x")), ok(9, "x"));
        assert_eq!(scene.world.exchange(watcher, watch(9, scene.record, false)), [version(9, 1)]);
        assert_eq!(scene.world.exchange(watcher, abort(9)), [aborted(9)]);
        scene.assert_unwatched();
    }
}

#[test]
fn an_abort_drops_what_a_watch_had_to_tell_wherever_it_stands() {
    let data = pattern(LONG);
    let whole = begun(&data);
    for taken in [0, 5, 18, 19, 30, 5_000, 100_000, 130_000, whole.len() - 70_000] {
        for pending in [false, true] {
            let mut scene = scene(&data);
            let watcher = scene.watcher;
            scene.world.send(watcher, watch(9, scene.record, true));
            let mut received = scene.world.take(watcher, taken);
            if pending {
                scene.write();
            }
            scene.world.send(watcher, abort(9));
            received.extend(scene.world.receive(watcher));
            let (told, terminal) = received.split_at(received.len() - 10);
            assert_eq!(terminal, abort(9), "{taken}");
            assert!(whole.starts_with(told) && told.len() >= taken && told.len() < whole.len(), "{taken}");
            scene.assert_unwatched();
        }
    }
}

#[test]
fn an_abort_after_the_end_was_told_is_one_of_nothing() {
    let mut scene = scene(b"hello");
    let watcher = scene.watcher;
    scene.world.exchange(watcher, watch(9, scene.record, true));
    scene.delete();
    // On its way: in the window, and not taken yet.
    scene.world.send(watcher, abort(9));
    assert_eq!(scene.world.replies(watcher), [ended(9, DELETED)]);
    assert_eq!(scene.world.bytes(), 0);
}

#[test]
fn an_abort_before_the_end_is_told_takes_its_place() {
    let mut scene = scene(&pattern(LONG));
    let watcher = scene.watcher;
    scene.world.send(watcher, watch(9, scene.record, true));
    scene.write();
    scene.delete();
    assert_eq!(scene.world.take_replies(watcher, 100), [version(9, 1)]);
    scene.world.send(watcher, abort(9));
    assert_eq!(scene.world.replies(watcher), [aborted(9)]);
    assert_eq!(scene.world.bytes(), 0);
    assert_eq!(scene.world.ask(watcher, ping(9, "x")), ok(9, "x"));
}

#[test]
fn a_new_request_with_the_xid_of_a_watch_is_a_violation() {
    let upload = packets(9, op::CREATE, 0, pattern(FULL + 1)).concat();
    for sent in [ping(9, "x"), watch(9, 7, true), request(9, op::UNKNOWN, 0, []), upload] {
        let mut scene = scene(b"hello");
        let watcher = scene.watcher;
        scene.world.exchange(watcher, watch(9, scene.record, true));
        scene.world.exchange(watcher, watch(8, scene.record, false));
        // Judged on the header alone; nothing is told any more.
        scene.world.send(watcher, &sent[..9]);
        scene.write();
        scene.world.replies(watcher);
        scene.world.send(watcher, &sent[9..10]);
        scene.write();
        assert_eq!(scene.world.replies(watcher), [malformed(9, 4)]);
        assert_eq!(scene.world.phase(watcher), Phase::Draining);
        let counters = scene.world.statistics().counters;
        assert_eq!(counters.violations(Violation::XidInUse), 1);
        scene.assert_unwatched();
    }
}

#[test]
fn other_violations_end_watches_silently() {
    let mut scene = scene(b"hello");
    let watcher = scene.watcher;
    scene.world.send(watcher, watch(9, scene.record, true));
    scene.world.send(watcher, wire::header(3, 0, op::ABORT, 1));
    // What was queued is sent; what happens from now on is not told.
    scene.write();
    let told = [version(9, 1), pushed(9, 1, "hello"), malformed(3, 3)];
    assert_eq!(scene.world.replies(watcher), told);
    scene.assert_unwatched();
}

#[test]
fn the_end_of_the_stream_ends_watches_with_abort() {
    let mut scene = scene(b"hello");
    let watcher = scene.watcher;
    for xid in [12, 3, 7] {
        scene.world.send(watcher, watch(xid, scene.record, xid != 7));
    }
    scene.world.replies(watcher);
    scene.write();
    scene.world.end(watcher);
    scene.write();
    let told: Vec<Message> = scene.world.replies(watcher);
    let (told, terminals) = told.split_at(3);
    assert_eq!(told.iter().map(|it| (it.xid, it.code)).collect::<Vec<_>>(), [(3, 11), (7, 11), (12, 11)]);
    assert_eq!(terminals, [aborted(3), aborted(7), aborted(12)]);
    assert_eq!(scene.world.phase(watcher), Phase::Closed);
    scene.assert_unwatched();
}

#[test]
fn the_end_of_the_stream_of_a_slow_watcher_ends_watches_after_what_has_begun() {
    let data = pattern(LONG);
    let mut scene = scene(&data);
    let watcher = scene.watcher;
    scene.world.send(watcher, watch(9, scene.record, true));
    scene.write();
    scene.world.end(watcher);
    assert_eq!(scene.world.replies(watcher), [version(9, 1), pushed(9, 1, data), aborted(9)]);
    assert_eq!(scene.world.phase(watcher), Phase::Closed);
    scene.assert_unwatched();
}

#[test]
fn a_shutdown_ends_watches_with_abort() {
    let data = pattern(LONG);
    let mut scene = scene(&data);
    let (owner, watcher) = (scene.owner, scene.watcher);
    scene.world.exchange(owner, watch(4, scene.record, false));
    scene.world.send(watcher, watch(9, scene.record, true));
    scene.world.send(watcher, watch(8, scene.record, false));
    scene.world.shut_down();
    assert_eq!(scene.world.replies(owner), [aborted(4)]);
    let mut told = scene.world.replies(watcher);
    told.sort_by_key(|it| (it.xid, it.code));
    let expected = [version(8, 1), aborted(8), version(9, 1), pushed(9, 1, data), aborted(9)];
    assert_eq!(told, expected);
}

#[test]
fn after_the_abort_of_a_shutdown_nothing_is_told() {
    let data = pattern(LONG);
    let mut scene = scene(&data);
    let (watcher, record) = (scene.watcher, scene.record);
    assert_eq!(scene.world.ask(scene.owner, wire::lifetime(1, record, 1, 1, 0)), ok(1, []));
    scene.world.send(watcher, watch(9, record, true));
    scene.world.shut_down();
    // The record ends while the last words are being sent.
    scene.world.wait(std::time::Duration::from_secs(1));
    assert_eq!(scene.world.statistics().records, 0);
    assert_eq!(scene.world.replies(watcher), [version(9, 1), pushed(9, 1, data), aborted(9)]);
}

#[test]
fn a_connection_that_is_lost_or_too_slow_takes_its_watches_with_it() {
    let data = pattern(LONG);
    for too_slow in [false, true] {
        let mut scene = scene(&data);
        let watcher = scene.watcher;
        scene.world.send(watcher, watch(9, scene.record, true));
        scene.world.send(watcher, watch(8, scene.record, false));
        // Of what is being told and of what is still to be told nothing is held any more.
        scene.write();
        if too_slow {
            scene.world.wait(SLOW);
            assert_eq!(scene.world.phase(watcher), Phase::Closed);
            assert_eq!(scene.world.statistics().counters.slow_readers, 1);
        } else {
            scene.world.reset(watcher);
        }
        let room = scene.world.bytes() - OVERHEAD - LONG as u64;
        assert!(room <= LONG as u64 / 8 + 1, "{room} bytes too many");
        assert_eq!(scene.world.statistics().connections, 1);
        scene.write();
        scene.delete();
        assert_eq!(scene.world.bytes(), 0);
    }
}

#[test]
fn requests_that_were_read_before_the_end_of_the_stream_may_begin_watches_and_end_them() {
    // The server stops reading after one reply: the rest waits until the end of the stream has long been read.
    let mut world = World::with(|config| config.limits.queued_replies = 1);
    let (owner, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let record = world.create(owner, 1, "hello");
    let sent = [ping(1, "x"), watch(9, record, true), watch(8, record, false), abort(9), ping(2, "y")];
    world.send(watcher, sent.concat());
    world.end(watcher);
    let told = world.replies(watcher);
    let of = |xid| told.iter().filter(|it| it.xid == xid).cloned().collect::<Vec<_>>();
    assert_eq!((of(1), of(2)), (vec![ok(1, "x")], vec![ok(2, "y")]));
    assert_eq!(of(8), [version(8, 1), aborted(8)]);
    assert_eq!((of(9).first(), of(9).last()), (Some(&version(9, 1)), Some(&aborted(9))));
    assert_eq!(world.phase(watcher), Phase::Closed);
    assert_eq!(world.ask(owner, wire::about(1, op::DELETE, record, [])), ok(1, []));
    assert_eq!(world.bytes(), 0);
}
