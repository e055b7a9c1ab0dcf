//! A connection does so much at a time, and goes on when others have had their turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use bytes::Buf;
use netswap_core::connection::{Connection, Phase};
use netswap_core::engine::Engine;
use netswap_core::memory::Payload;
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Opcode, Reply, Request};
use support::wire::{self, Assembler, Message, abort, op, packets, pattern, ping, request};
use support::{OVERHEAD, OWNER_COST, sent};

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
    // So that some hundreds are several portions.
    config.portions.watches = 256;
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

    /// Takes all that was answered, until nothing is left to be sent.
    fn take_all(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while self.connection.output().has_remaining() {
            all.extend(self.replies());
            let sent = self.connection.output().window_len();
            self.connection.sent(sent, NOW, &mut self.store);
        }
        all
    }

    fn pings(&self) -> u64 {
        self.requests(Opcode::Ping)
    }

    fn requests(&self, opcode: Opcode) -> u64 {
        self.store.statistics().counters.requests(opcode)
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
        bench.store.execute(other, Xid(1), Request::ReserveRecord { access: Access::empty() }, NOW);
        bench.work();
        records.push(bench.store.statistics().records);
    }
    assert_eq!(records, [2, 5, 8, 10]);
}

/// Creates records with requests of a client.
fn create(bench: &mut Bench, count: u32) -> Vec<u64> {
    let mut created = Vec::new();
    for _ in 0..count {
        let peer = bench.connection.peer();
        let request = Request::ReserveRecord { access: Access::TAKEOVER };
        match bench.store.execute(peer, Xid(0), request, NOW).reply() {
            Some(Reply::Created(pointer)) => created.push(pointer.0),
            other => panic!("{other:?}"),
        }
    }
    created
}

fn listed(reply: &Message) -> Vec<u64> {
    assert_eq!((reply.code, reply.access), (0, 0));
    reply.payload.chunks_exact(8).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap())).collect()
}

fn list(xid: u32) -> Vec<u8> {
    request(xid, op::LIST, 0, [])
}

#[test]
fn a_long_list_is_made_in_portions_and_nothing_else_of_its_connection_meanwhile() {
    let mut bench = bench(256);
    // An empty list leaves nothing behind.
    bench.send(list(0));
    assert_eq!(bench.replies(), [wire::ok(0, [])]);
    bench.connection.sent(10, NOW, &mut bench.store);
    let mut all = create(&mut bench, 20_000);
    bench.send([list(1), ping(2, "x")].concat());
    let mut portions = 0;
    while bench.connection.has_work() {
        assert_eq!((bench.pings(), bench.connection.wants_read()), (0, false));
        portions += 1;
        bench.work();
        if bench.pings() > 0 {
            break;
        }
    }
    // 10 portions are collected and put in order, then comes the other request.
    assert_eq!(portions, 2 * 10 + 1);
    assert!(!bench.connection.has_work() && bench.connection.wants_read());
    let mut replies = bench.take_all();
    replies.sort_by_key(|reply| reply.xid);
    all.sort_unstable();
    assert_eq!((replies.len(), listed(&replies[0])), (2, all));
    assert_eq!(bench.store.budget().used(), 20_000 * 128);
}

#[test]
fn a_list_has_every_record_that_was_there_all_the_time_once() {
    for step in 0..40 {
        let mut bench = bench(256);
        let before = create(&mut bench, 6000);
        let peer = bench.connection.peer();
        let Admission::Served(other) = bench.store.connect([127, 0, 0, 2].into(), NOW) else { panic!() };
        bench.send(list(1));
        let (mut came, mut went) = (Vec::new(), Vec::new());
        let mut act = |bench: &mut Bench, number: usize| {
            let mut execute = |peer, request| {
                let done = bench.store.execute(peer, Xid(7), request, NOW).reply();
                assert!(matches!(done, Some(Reply::Done)), "{done:?}");
            };
            // Some end, some go to another owner, of which some come back; slots move when few are left.
            let pointer = |at: usize| Pointer(before[(number * 997 + at * step) % before.len()]);
            for at in 0..100 {
                let gone = pointer(at);
                if went.contains(&gone.0) {
                    continue;
                }
                went.push(gone.0);
                match at % 3 {
                    0 => execute(peer, Request::DeleteRecord { pointer: gone }),
                    1 => execute(other, Request::TakeoverRecord { pointer: gone }),
                    _ => {
                        execute(other, Request::TakeoverRecord { pointer: gone });
                        execute(other, Request::TransferRecord { pointer: gone, owner: peer.owner });
                    }
                }
            }
            came.extend(create(bench, 50));
        };
        let mut number = 0;
        while bench.connection.has_work() {
            act(&mut bench, number);
            number += 1;
            bench.work();
        }
        let replies = bench.replies();
        let found = listed(&replies[0]);
        assert!(number > 5 && found.is_sorted_by(|one, next| one < next), "{number} steps");
        let missing = before.iter().filter(|it| !went.contains(it) && found.binary_search(it).is_err());
        assert_eq!(missing.count(), 0);
        assert!(found.iter().all(|it| before.contains(it) || came.contains(it)));
    }
}

#[test]
fn a_list_for_which_there_is_no_memory_is_refused_before_it_is_made() {
    let mut bench = bench(256);
    create(&mut bench, 5000);
    // The answer, and half of it while it is made.
    let free = (sent(5000 * 8) + 5000 * 4) as usize - 1;
    let used = bench.store.budget().used();
    bench.store.budget().charge((1 << 30) - used as usize - free).unwrap();
    bench.send(list(1));
    assert!(!bench.connection.has_work());
    assert_eq!(bench.replies(), [wire::quota(1, 1, 1 << 30)]);
    bench.store.budget().release(1);
    // It fits now, and none is left of the other.
    bench.send(list(2));
    assert_eq!(bench.store.budget().used(), 1 << 30);
    while bench.connection.has_work() {
        bench.work();
    }
    assert_eq!(bench.store.statistics().counters.quota(netswap_core::error::Quota::ServerMemory), 1);
}

#[test]
fn an_end_waits_for_a_list_and_a_loss_does_not() {
    for shutdown in [false, true] {
        let mut bench = bench(256);
        let mut all = create(&mut bench, 3000);
        bench.send(list(1));
        bench.work();
        if shutdown {
            bench.connection.handle_shutdown(NOW);
        } else {
            bench.connection.handle_eof(NOW, &mut bench.store);
        }
        assert_eq!(bench.connection.phase(), Phase::Open);
        while bench.connection.has_work() {
            bench.work();
        }
        all.sort_unstable();
        assert_eq!(listed(&bench.replies()[0]), all);
        let left = bench.connection.output().remaining();
        bench.connection.sent(left, NOW, &mut bench.store);
        let ended = if shutdown { Phase::Draining } else { Phase::Closed };
        assert_eq!((bench.connection.phase(), bench.store.budget().used()), (ended, 3000 * OVERHEAD));
    }
    let mut bench = bench(256);
    create(&mut bench, 3000);
    bench.send(list(1));
    bench.work();
    bench.work();
    let peer = bench.connection.peer();
    assert_eq!(bench.store.budget().used(), 3000 * OVERHEAD + sent(3000 * 8) + 3000 * 4);
    bench.store.disconnect(peer.id, NOW);
    let Bench { store, connection, .. } = bench;
    drop(connection);
    assert_eq!(store.budget().used(), 3000 * OVERHEAD + OWNER_COST);
}

/// An upload of a megabyte that is complete but for its last packet, to a record of 50 001 bytes that everybody may write.
fn long_append(bench: &mut Bench) -> (u64, Vec<u8>) {
    bench.send(packets(1, op::CREATE, 3, pattern(50_001)).concat());
    while bench.connection.has_work() {
        bench.work();
    }
    let pointer = bench.replies()[0].payload[..8].try_into().map(u64::from_be_bytes).unwrap();
    bench.connection.sent(bench.connection.output().window_len(), NOW, &mut bench.store);
    let mut upload = packets(2, op::APPEND, 0, wire::pointed(pointer, vec![9; 1 << 20]));
    let last = upload.pop().unwrap();
    for packet in upload {
        bench.send(packet);
    }
    (pointer, last)
}

fn append(bench: &mut Bench, pointer: u64, data: &[u8]) {
    let peer = bench.connection.peer();
    let data = Payload::Whole(data);
    let append = Request::Append { pointer: Pointer(pointer), data };
    let done = bench.store.execute(peer, Xid(9), append, NOW).reply();
    assert!(matches!(done, Some(Reply::Appended { .. })), "{done:?}");
}

#[test]
fn a_long_append_that_others_overtake_is_cut_anew_in_portions() {
    let mut bench = bench(256);
    let (pointer, last) = long_append(&mut bench);
    append(&mut bench, pointer, b"x");
    bench.send([last, ping(3, "after it")].concat());
    let mut calls = 0;
    while bench.connection.has_work() {
        // Others come first once more on the way.
        if calls == 3 {
            append(&mut bench, pointer, b"y");
        }
        assert_eq!(bench.pings(), 0, "a request behind it has come first");
        bench.work();
        calls += 1;
    }
    assert!((14..40).contains(&calls), "{calls}");
    let replies = bench.replies();
    assert_eq!(replies, [wire::appended(2, 4, 50_003), wire::ok(3, "after it")]);
    let peer = bench.connection.peer();
    let read = Request::ResolvePointer { pointer: Pointer(pointer) };
    let Some(Reply::Resolved(data)) = bench.store.execute(peer, Xid(9), read, NOW).reply() else { panic!() };
    assert_eq!(data.to_vec(), [&pattern(50_001), &b"xy"[..], &vec![9; 1 << 20]].concat());
    assert_eq!(bench.store.statistics().unfinished_bytes, 0);
}

#[test]
fn an_append_that_others_overtake_all_the_time_is_carried_out_all_the_same() {
    let mut bench = bench(256);
    let (pointer, last) = long_append(&mut bench);
    append(&mut bench, pointer, b"x");
    bench.send(last);
    let mut calls = 0;
    while bench.connection.has_work() {
        append(&mut bench, pointer, b"x");
        bench.work();
        calls += 1;
        assert!(calls < 200, "it never ends");
    }
    assert_eq!(bench.replies()[0].code, 0);
}

#[test]
fn a_connection_that_is_lost_while_an_append_is_cut_anew_changes_nothing() {
    let mut bench = bench(256);
    let (pointer, last) = long_append(&mut bench);
    append(&mut bench, pointer, b"x");
    bench.send(last);
    bench.work();
    assert!(bench.connection.has_work());
    bench.connection.dismantle(&mut bench.store);
    while bench.store.has_garbage() {
        drop(bench.store.take_garbage());
    }
    let left = bench.store.statistics();
    assert_eq!(left.counters.requests(Opcode::Append), 1);
    drop(bench.connection);
    assert_eq!(bench.store.statistics().unfinished_bytes, 0);
    assert!(bench.store.statistics().bytes < 60_000, "{}", bench.store.statistics().bytes);
}

#[test]
fn lists_count_by_their_length() {
    let mut bench = bench(256);
    create(&mut bench, 2048);
    bench.send((0..4).flat_map(list).collect::<Vec<u8>>());
    let works = std::iter::from_fn(|| bench.connection.has_work().then(|| bench.work())).count();
    // Each is as long as a list in one call may be, and takes a turn.
    assert_eq!((bench.requests(Opcode::ListRecords), works), (4, 3));
}

#[test]
fn requests_that_tell_many_watches_count_by_their_number() {
    let mut bench = bench(256);
    let pointer = create(&mut bench, 1)[0];
    let Admission::Served(watcher) = bench.store.connect([127, 0, 0, 1].into(), NOW) else { panic!() };
    for xid in 0..250 {
        let watch = Request::WatchRecord { pointer: Pointer(pointer), push: false };
        bench.store.execute(watcher, Xid(xid), watch, NOW);
    }
    let write = |xid| request(xid, op::REPLACE, 0, pointer.to_be_bytes());
    bench.send((0..100).flat_map(write).collect::<Vec<u8>>());
    let writes = |bench: &Bench| bench.requests(Opcode::ReplaceRecord);
    // The first is not known to tell many.
    assert!((2..10).contains(&writes(&bench)), "{}", writes(&bench));
    while bench.connection.has_work() {
        let before = writes(&bench);
        bench.work();
        assert!((1..10).contains(&(writes(&bench) - before)), "{before}");
    }
    assert_eq!(writes(&bench), 100);
}

#[test]
fn much_mail_is_taken_in_portions_before_the_next_request() {
    let mut bench = bench(1024);
    let pointer = create(&mut bench, 1)[0];
    let reads = (0..600).flat_map(|xid| request(xid, op::RESOLVE, 0, pointer.to_be_bytes()));
    bench.send(reads.collect::<Vec<u8>>());
    let writer = bench.connection.peer();
    let write = Request::ReplaceRecord { pointer: Pointer(pointer), data: Payload::Whole(b"data") };
    bench.store.execute(writer, Xid(1000), write, NOW);
    while bench.store.poll_timeout() == Some(NOW) {
        bench.store.handle_timeout(NOW);
    }
    bench.connection.handle_mail(NOW, &mut bench.store);
    bench.send(ping(2000, "x"));
    assert!(!bench.connection.wants_read());
    let mut replies = bench.take_all();
    assert_eq!(replies.len(), 256);
    while bench.connection.has_work() {
        bench.work();
        let portion = bench.take_all();
        assert!(portion.len() <= 257, "{}", portion.len());
        replies.extend(portion);
    }
    assert!(replies[..600].iter().all(|reply| reply.xid < 600));
    assert_eq!((replies.len(), replies[600].xid), (601, 2000));
}
