//! Connections that are called late for what there is for them, as those of an adapter with threads are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/threads.rs"]
mod threads;

use netswap_core::engine::Peer;
use netswap_core::error::Violation;
use netswap_core::wire::Code;
use support::held;
use support::wire::{
    self, DELETED, Message, abort, aborted, address_fault, append, appended, ended, ok, op, patched, ping,
    pushed, request, resolved, version, watch,
};
use threads::Threads;

struct Scene {
    threads: Threads,
    owner: Peer,
    other: Peer,
}

fn scene() -> Scene {
    let mut threads = Threads::new();
    let (owner, other) = (threads.connect("127.0.0.1"), threads.connect("127.0.0.2"));
    Scene { threads, owner, other }
}

impl Scene {
    fn exchange(&mut self, peer: Peer, sent: impl AsRef<[u8]>) -> Vec<Message> {
        self.threads.send(peer, sent);
        self.threads.take(peer, usize::MAX)
    }

    fn create(&mut self, opcode: u8, data: &str) -> u64 {
        let reply = self.exchange(self.owner, request(1, opcode, 1, data)).remove(0);
        u64::from_be_bytes(reply.payload.try_into().unwrap())
    }

    /// The other connection is called now; what it sends then.
    fn call(&mut self) -> Vec<Message> {
        self.threads.call(self.other);
        self.threads.take(self.other, usize::MAX)
    }
}

#[test]
fn what_connections_refuse_and_find_wrong_is_counted() {
    let mut scene = scene();
    scene.exchange(scene.other, request(1, op::UNKNOWN, 0, ""));
    scene.exchange(scene.other, wire::header(2, 1, op::ABORT, 0));
    let counters = scene.threads.counters();
    assert_eq!((counters.unknown_requests(), counters.refusals(Code::UnsupportedOp)), (1, 1));
    assert_eq!(counters.violations(Violation::Abort), 1);
}

#[test]
fn news_fold_until_the_connection_is_called() {
    let mut scene = scene();
    let record = scene.create(op::CREATE, "x");
    scene.exchange(scene.other, watch(9, record, true));
    assert_eq!(scene.exchange(scene.owner, append(1, record, "y")), [appended(1, 2, 1)]);
    assert_eq!(scene.call(), [patched(9, 2, 1, "y")]);
    scene.exchange(scene.owner, append(1, record, "z"));
    scene.exchange(scene.owner, append(1, record, "!"));
    assert_eq!(scene.call(), [pushed(9, 4, "xyz!")]);
    assert_eq!(scene.call(), []);
    // A request of its own has it look after its mail too.
    scene.exchange(scene.owner, append(1, record, "?"));
    assert_eq!(scene.exchange(scene.other, ping(1, "x")), [ok(1, "x"), patched(9, 5, 4, "?")]);
    assert_eq!(scene.call(), []);
}

#[test]
fn the_answer_to_a_read_that_was_given_up_is_not_the_answer_to_the_next_one() {
    let mut scene = scene();
    let (first, second) = (scene.create(op::RESERVE, ""), scene.create(op::RESERVE, ""));
    assert_eq!(scene.exchange(scene.other, wire::about(9, op::RESOLVE, first, [])), []);
    scene.exchange(scene.owner, wire::about(1, op::REPLACE, first, "first"));
    // Before it is called, its client gives up, and waits under the same XID for another record.
    let sent = [abort(9), wire::about(9, op::RESOLVE, second, [])].concat();
    assert_eq!(scene.exchange(scene.other, sent), [aborted(9)]);
    assert_eq!(scene.call(), []);
    scene.exchange(scene.owner, wire::about(1, op::REPLACE, second, "second"));
    assert_eq!(scene.call(), [resolved(9, "second")]);
}

#[test]
fn the_end_of_a_watch_that_was_given_up_is_not_the_end_of_the_next_one() {
    let mut scene = scene();
    let (first, second) = (scene.create(op::CREATE, "first"), scene.create(op::CREATE, "second"));
    scene.exchange(scene.other, watch(9, first, true));
    scene.exchange(scene.owner, append(1, first, "!"));
    scene.exchange(scene.owner, wire::about(1, op::DELETE, first, []));
    let sent = [abort(9), watch(9, second, true)].concat();
    let begun = [aborted(9), version(9, 1), pushed(9, 1, "second")];
    assert_eq!(scene.exchange(scene.other, sent), begun);
    assert_eq!(scene.call(), []);
    scene.exchange(scene.owner, append(1, second, "!"));
    assert_eq!(scene.call(), [patched(9, 2, 6, "!")]);
    scene.exchange(scene.owner, wire::about(1, op::DELETE, second, []));
    assert_eq!(scene.call(), [ended(9, DELETED)]);
    assert_eq!(scene.threads.bytes(), 0);
}

#[test]
fn what_is_given_up_before_it_is_told_holds_nothing() {
    let mut scene = scene();
    let (record, reserved) = (scene.create(op::CREATE, "x"), scene.create(op::RESERVE, ""));
    scene.exchange(scene.other, watch(8, record, true));
    scene.exchange(scene.other, wire::about(9, op::RESOLVE, reserved, []));
    scene.exchange(scene.owner, wire::about(1, op::REPLACE, record, vec![7; 50_000]));
    scene.exchange(scene.owner, wire::about(1, op::REPLACE, reserved, vec![7; 50_000]));
    for record in [record, reserved] {
        assert_eq!(scene.exchange(scene.owner, wire::about(1, op::DELETE, record, [])), [ok(1, [])]);
    }
    assert_eq!(scene.threads.bytes(), 2 * held(50_000));
    assert_eq!(scene.exchange(scene.other, [abort(8), abort(9)].concat()), [aborted(8), aborted(9)]);
    assert_eq!(scene.threads.bytes(), 0);
}

#[test]
fn a_connection_that_ends_before_it_is_called_ends_its_transactions_itself() {
    let mut scene = scene();
    let (record, reserved) = (scene.create(op::CREATE, "x"), scene.create(op::RESERVE, ""));
    scene.exchange(scene.other, watch(8, record, true));
    scene.exchange(scene.other, wire::about(9, op::RESOLVE, reserved, []));
    scene.exchange(scene.owner, wire::about(1, op::DELETE, record, []));
    scene.exchange(scene.owner, wire::about(1, op::DELETE, reserved, []));
    scene.threads.end(scene.other);
    assert_eq!(scene.call(), [aborted(8), aborted(9)]);
    assert_eq!(scene.exchange(scene.owner, watch(1, record, true)), [address_fault(1)]);
}
