//! A connection whose engine answers later, as one in front of a remote store would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use netswap_core::config::Config;
use netswap_core::connection::{Connection, Phase};
use netswap_core::engine::{ConnectionId, Engine, Execution, Incident, Mail, Peer, Post, Told};
use netswap_core::error::{Refusal, Violation};
use netswap_core::memory::{Budget, Payload};
use netswap_core::time::Instant;
use netswap_core::types::{Owner, Pointer, Version, Xid};
use netswap_core::wire::{Ending, Notification, Reply, Request};
use support::wire::{self, Assembler, Message, abort, aborted, ok, op, packets, pattern, ping};

/// An engine that takes requests, answers none, and notes what it is told.
#[derive(Default)]
struct Later {
    taken: Vec<Xid>,
    incidents: Vec<Incident>,
    departed: usize,
    mail: Vec<Mail>,
    forgotten: Vec<Xid>,
}

impl Engine for Later {
    fn judge(&mut self, _: Peer, _: &Request<u32>, _: Instant) -> Result<u32, Refusal> {
        Ok(0)
    }

    fn execute(&mut self, _: Peer, xid: Xid, _: Request<Payload<'_>>, _: Instant) -> Execution {
        self.taken.push(xid);
        Execution::Later
    }

    fn take_mail(&mut self, _: Peer, _: Option<u64>) -> Post {
        Post::Mail(std::mem::take(&mut self.mail))
    }

    fn take_news(&mut self, _: Peer, _: Xid, _: u64) -> Option<Told> {
        Some(Told::default())
    }

    fn forget(&mut self, _: Peer, xid: Xid) {
        self.forgotten.push(xid);
    }

    fn depart(&mut self, _: Peer, _: Instant) {
        self.departed += 1;
    }

    fn note(&mut self, incident: Incident) {
        self.incidents.push(incident);
    }
}

struct Bench {
    connection: Connection,
    budget: Arc<Budget>,
    engine: Later,
    now: Instant,
    received: Assembler,
}

fn bench(change: impl FnOnce(&mut Config)) -> Bench {
    let mut config = support::config();
    change(&mut config);
    let budget = Arc::new(Budget::new(config.limits.total, config.limits.unfinished, 1000));
    let peer = Peer { id: ConnectionId(1), owner: Owner::new(7).unwrap() };
    Bench {
        connection: Connection::new(peer, Arc::new(config), budget.clone()),
        budget,
        engine: Later::default(),
        now: Instant::ZERO,
        received: Assembler::default(),
    }
}

impl Bench {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.handle_input(bytes.as_ref(), self.now, &mut self.engine);
    }

    fn answer(&mut self, xid: u32, version: u64) {
        let reply = Reply::Written(Version(version));
        self.connection.answer(Xid(xid), reply, self.now, &mut self.engine);
    }

    fn replies(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.connection.output().has_remaining() {
            let chunk = self.connection.output().chunk().to_vec();
            messages.extend(self.received.feed(&chunk));
            self.connection.sent(chunk.len(), self.now, &mut self.engine);
        }
        messages
    }
}

fn written(xid: u32, version: u64) -> Message {
    ok(xid, version.to_be_bytes())
}

#[test]
fn answers_are_sent_as_they_come() {
    let mut bench = bench(|_| {});
    bench.send([ping(1, ""), ping(2, ""), ping(3, "")].concat());
    assert_eq!(bench.engine.taken, [Xid(1), Xid(2), Xid(3)]);
    assert_eq!(bench.replies(), []);
    // Nothing hurries the client while the engine takes its time.
    assert_eq!(bench.connection.poll_timeout(), None);
    bench.answer(2, 22);
    assert_eq!(bench.replies(), [written(2, 22)]);
    bench.answer(3, 33);
    bench.answer(1, 11);
    assert_eq!(bench.replies(), [written(3, 33), written(1, 11)]);
    // An answer to nothing is nothing.
    bench.answer(1, 12);
    assert_eq!(bench.replies(), []);
}

#[test]
fn an_abandoned_request_gets_no_answer_but_abort() {
    let mut bench = bench(|_| {});
    bench.send([ping(1, ""), ping(2, ""), abort(1), abort(1)].concat());
    assert_eq!(bench.replies(), [aborted(1)]);
    bench.answer(1, 11);
    bench.answer(2, 22);
    assert_eq!(bench.replies(), [written(2, 22)]);
}

#[test]
fn unanswered_requests_count_as_queued_replies() {
    let mut bench = bench(|config| config.limits.queued_replies = 2);
    bench.send([ping(1, ""), ping(2, ""), ping(3, "")].concat());
    assert_eq!((bench.engine.taken.len(), bench.connection.wants_read()), (2, false));
    bench.answer(1, 11);
    assert_eq!(bench.engine.taken.len(), 2);
    assert_eq!(bench.replies(), [written(1, 11)]);
    assert_eq!((bench.engine.taken.len(), bench.connection.wants_read()), (3, false));
    bench.answer(2, 22);
    assert_eq!(bench.replies(), [written(2, 22)]);
    assert!(bench.connection.wants_read());
}

#[test]
fn an_end_waits_for_the_answers() {
    for shutdown in [false, true] {
        let mut bench = bench(|_| {});
        bench.send([&ping(1, "")[..], &packets(2, op::CREATE, 0, pattern(3000))[0]].concat());
        if shutdown {
            bench.connection.handle_shutdown(bench.now);
            assert_eq!(bench.replies(), [aborted(2)]);
        } else {
            bench.connection.handle_eof(bench.now, &mut bench.engine);
            assert_eq!(bench.replies(), []);
        }
        assert_eq!(bench.connection.phase(), Phase::Open);
        bench.answer(1, 11);
        assert_eq!(bench.replies(), [written(1, 11)]);
        let ended = if shutdown { Phase::Draining } else { Phase::Closed };
        assert_eq!(bench.connection.phase(), ended);
        assert_eq!(bench.engine.departed, usize::from(!shutdown));
    }
}

#[test]
fn a_violation_does_not_wait_for_answers() {
    let mut bench = bench(|_| {});
    bench.send([ping(1, ""), wire::header(2, 0, op::ABORT, 1)].concat());
    assert_eq!(bench.replies(), [wire::malformed(2, 3)]);
    assert_eq!(bench.engine.incidents, [Incident::Violated(Violation::Abort)]);
    assert_eq!(bench.engine.departed, 1);
    bench.answer(1, 11);
    assert_eq!((bench.replies(), bench.connection.phase()), (vec![], Phase::Draining));
    bench.now = bench.now + Duration::from_secs(1);
    bench.connection.handle_timeout(bench.now, &mut bench.engine);
    assert_eq!(bench.connection.phase(), Phase::Closed);
}

#[test]
fn a_watch_may_begin_late() {
    let mut bench = bench(|_| {});
    let last = || Mail::Last(Xid(1), vec![Notification::Ended(Ending::Deleted)]);
    bench.send(wire::watch(1, 7, false));
    // It is no watch yet: what comes for it is for another.
    bench.engine.mail.push(last());
    bench.connection.handle_mail(bench.now, &mut bench.engine);
    assert_eq!(bench.replies(), []);
    bench.engine.mail.clear();
    bench.connection.answer(Xid(1), Reply::Watching(Version(5)), bench.now, &mut bench.engine);
    assert_eq!(bench.replies(), [written(1, 5)]);
    bench.engine.mail.push(last());
    bench.connection.handle_mail(bench.now, &mut bench.engine);
    assert_eq!(bench.replies(), [wire::ended(1, wire::DELETED)]);

    bench.send([wire::watch(2, 7, false), wire::watch(3, 7, false), abort(2)].concat());
    assert_eq!(bench.replies(), [aborted(2)]);
    assert_eq!(bench.engine.forgotten, [Xid(2)]);
    bench.connection.answer(Xid(3), Reply::Watching(Version(5)), bench.now, &mut bench.engine);
    bench.send(ping(3, ""));
    assert_eq!(bench.replies(), [written(3, 5), wire::malformed(3, 4)]);
}

#[test]
fn a_watch_that_begins_after_the_end_ends_at_once() {
    for shutdown in [false, true] {
        let mut bench = bench(|_| {});
        bench.send(wire::watch(1, 7, false));
        if shutdown {
            bench.connection.handle_shutdown(bench.now);
        } else {
            bench.connection.handle_eof(bench.now, &mut bench.engine);
        }
        bench.connection.answer(Xid(1), Reply::Watching(Version(5)), bench.now, &mut bench.engine);
        assert_eq!(bench.replies(), [written(1, 5), aborted(1)]);
        assert_eq!(bench.engine.forgotten, [Xid(1)]);
        assert_ne!(bench.connection.phase(), Phase::Open);
    }
}

#[test]
fn a_list_for_which_there_is_no_memory_is_refused_and_noted() {
    let mut bench = bench(|config| {
        config.limits.record = 71;
        config.limits.total = 71;
    });
    bench.send(wire::request(1, op::LIST, 0, []));
    let pointers = Reply::Pointers((1..=9).map(Pointer).collect());
    bench.connection.answer(Xid(1), pointers, bench.now, &mut bench.engine);
    assert_eq!(bench.replies(), [wire::quota(1, 1, 71)]);
    assert!(matches!(bench.engine.incidents[..], [Incident::Refused(None, Refusal::QuotaExceeded { .. })]));
}

#[test]
fn a_connection_that_ends_lets_its_requests_go_before_its_socket_is_closed() {
    type End = fn(&mut Bench);
    let ends: [End; 4] = [
        |bench| bench.connection.handle_eof(bench.now, &mut bench.engine),
        |bench| bench.connection.handle_shutdown(bench.now),
        |bench| bench.send(wire::header(2, 0, op::ABORT, 1)),
        |bench| {
            bench.now = bench.now + support::SLOW;
            bench.connection.handle_timeout(bench.now, &mut bench.engine);
        },
    ];
    for end in ends {
        let mut bench = bench(|_| {});
        bench.send(&packets(1, op::CREATE, 0, pattern(3000))[0]);
        assert_eq!((bench.budget.used(), bench.budget.unfinished()), (1390, 1390));
        end(&mut bench);
        assert_eq!((bench.budget.used(), bench.budget.unfinished()), (0, 0));
    }
}
