//! A connection does so much at a time, and goes on when others have had their turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Buf;
use netswap_core::connection::{Connection, Phase};
use netswap_core::engine::Engine;
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use support::wire::{self, Assembler, Message, abort, op, packets, pattern, ping, request};

/// A connection and the store, without anybody who drives them.
struct Bench {
    store: Store,
    connection: Connection,
    received: Assembler,
}

const NOW: Instant = Instant::ZERO;

fn bench(packets: u32) -> Bench {
    let mut config = support::config();
    config.portions.packets = packets;
    let mut store = Store::new(config).unwrap();
    let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), NOW) else { panic!() };
    let connection = Connection::new(peer, store.config().clone(), store.budget().clone());
    Bench { store, connection, received: Assembler::default() }
}

impl Bench {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.connection.handle_input(bytes.as_ref(), NOW, &mut self.store);
    }

    fn work(&mut self) {
        self.connection.handle_work(NOW, &mut self.store);
    }

    /// Takes what was answered, and nothing else is done meanwhile.
    fn replies(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        for slice in self.connection.output().slices() {
            messages.extend(self.received.feed(slice));
        }
        messages
    }

    fn pings(&self) -> u64 {
        self.store.statistics().counters.requests(netswap_core::wire::Opcode::Ping)
    }
}

fn pings(count: u32) -> Vec<u8> {
    (0..count).flat_map(|xid| ping(xid, "x")).collect()
}

#[test]
fn a_call_handles_so_many_packets_and_says_that_there_are_more() {
    let mut bench = bench(100);
    bench.send(pings(250));
    assert_eq!((bench.pings(), bench.connection.has_work()), (100, true));
    // What comes meanwhile comes after it.
    assert!(!bench.connection.wants_read());
    bench.send(ping(250, "last"));
    assert_eq!((bench.pings(), bench.connection.has_work()), (200, true));
    bench.work();
    assert_eq!((bench.pings(), bench.connection.has_work()), (251, false));
    assert!(bench.connection.wants_read());
    let replies = bench.replies();
    assert!(replies.iter().map(|reply| reply.xid).eq(0..=250), "{replies:?}");
    // There is nothing left to be done.
    bench.work();
    assert_eq!(bench.pings(), 251);
}

#[test]
fn packets_that_are_no_requests_count_too() {
    let mut bench = bench(10);
    let many: Vec<u8> = (0..15).flat_map(|xid| abort(1000 + xid)).chain(ping(1, "x")).collect();
    bench.send(&many);
    assert_eq!((bench.pings(), bench.connection.has_work()), (0, true));
    bench.work();
    assert_eq!((bench.pings(), bench.connection.has_work()), (1, false));
}

#[test]
fn a_long_request_counts_as_many_short_ones() {
    let mut bench = bench(256);
    let upload = packets(1, op::CREATE, 0, pattern(1 << 20)).concat();
    for piece in upload.chunks(100 * 1024) {
        bench.send(piece);
        while bench.connection.has_work() {
            bench.work();
        }
    }
    assert_eq!(bench.store.statistics().records, 1);
    // It alone has taken most of a turn.
    let last = packets(2, op::CREATE, 0, pattern(1 << 20));
    let (last, all) = last.split_last().unwrap();
    for packet in all {
        bench.send(packet);
    }
    bench.send([last, &pings(250)[..]].concat());
    assert!(bench.connection.has_work() && bench.pings() < 130, "{}", bench.pings());
}

#[test]
fn with_no_room_for_replies_there_is_no_work_until_some_have_left() {
    let mut config = support::config();
    (config.limits.queued_replies, config.portions.packets) = (5, 10);
    let mut store = Store::new(config).unwrap();
    let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), NOW) else { panic!() };
    let mut connection = Connection::new(peer, store.config().clone(), store.budget().clone());
    connection.handle_input(&pings(30), NOW, &mut store);
    assert!(!connection.has_work() && !connection.wants_read());
    let mut received = Assembler::default();
    let mut replies = 0;
    while connection.output().has_remaining() {
        let bytes: Vec<u8> = connection.output().slices().flatten().copied().collect();
        replies += received.feed(&bytes).len();
        connection.sent(bytes.len(), NOW, &mut store);
    }
    assert!(replies == 30 && !connection.has_work() && connection.wants_read());
}

#[test]
fn all_that_was_read_is_answered_before_an_end() {
    for shutdown in [false, true] {
        let mut bench = bench(10);
        let upload = packets(99, op::CREATE, 0, pattern(3000));
        bench.send([&pings(25)[..], &upload[0], &ping(98, "y")].concat());
        if shutdown {
            bench.connection.handle_shutdown(NOW);
        } else {
            bench.connection.handle_eof(NOW, &mut bench.store);
        }
        assert_eq!((bench.connection.phase(), bench.pings()), (Phase::Open, 10));
        assert!(!bench.connection.wants_read());
        while bench.connection.has_work() {
            bench.work();
        }
        let replies = bench.replies();
        let end = if shutdown { vec![wire::aborted(99)] } else { vec![] };
        assert_eq!((bench.pings(), &replies[26..]), (26, &end[..]));
        assert_eq!(replies[25].xid, 98);
        let left = bench.connection.output().remaining();
        bench.connection.sent(left, NOW, &mut bench.store);
        let ended = if shutdown { Phase::Draining } else { Phase::Closed };
        assert_eq!(bench.connection.phase(), ended);
    }
}

#[test]
fn what_is_left_after_a_violation_is_dropped() {
    let mut bench = bench(10);
    bench.send([&pings(15)[..], &wire::header(1, 1, op::ABORT, 0), &pings(15)].concat());
    assert!(bench.connection.has_work());
    bench.work();
    assert!(!bench.connection.has_work());
    assert_eq!((bench.pings(), bench.replies().len()), (15, 15));
}

/// Whatever takes its time between two portions of a connection, nothing is done twice or left out.
#[test]
fn others_requests_come_between() {
    let mut bench = bench(2);
    let Admission::Served(other) = bench.store.connect([127, 0, 0, 2].into(), NOW) else { panic!() };
    let creates: Vec<u8> = (0..7).flat_map(|xid| request(xid, op::CREATE, 1, "x")).collect();
    bench.send(&creates);
    let mut records = vec![bench.store.statistics().records];
    while bench.connection.has_work() {
        bench.store.execute(
            other,
            netswap_core::types::Xid(1),
            netswap_core::wire::Request::ReserveRecord { access: netswap_core::types::Access::empty() },
            NOW,
        );
        bench.work();
        records.push(bench.store.statistics().records);
    }
    assert_eq!(records, [2, 5, 8, 10]);
}
