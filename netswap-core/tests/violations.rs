//! Violations: what is one, what is said, and what becomes of the connection (docs/PROTOCOL.md §5.1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::error::Violation;
use netswap_core::wire::Code;
use support::wire::{
    self, FULL, abort, header, is_refusal, malformed, ok, op, packets, pattern, ping, request,
};
use support::{GRACE, NS, World};

const LINGER: Duration = Duration::from_secs(1);

/// The record limit of these servers.
const LIMIT: u32 = 10_000;

fn world() -> (World, Peer) {
    let mut world = World::with(|config| config.limits.record = LIMIT);
    let peer = world.connect("127.0.0.1");
    (world, peer)
}

/// What a client receives for these bytes is MALFORMED_PACKET alone; then it is drained for a second and closed.
#[track_caller]
fn assert_malformed(world: &mut World, peer: Peer, bytes: &[u8], xid: u32, violation: Violation) {
    let before = world.statistics().counters;
    assert_eq!(world.exchange(peer, bytes), [malformed(xid, violation as u8)]);
    let after = world.statistics().counters;
    for it in Violation::ALL {
        let more = u64::from(it == violation);
        assert_eq!(after.violations(it) - before.violations(it), more, "{it}");
    }
    assert_eq!(after.refusals(Code::MalformedPacket) - before.refusals(Code::MalformedPacket), 1);
    assert_drained(world, peer);
}

/// Requests are neither answered nor carried out any more; after a second the connection is closed.
#[track_caller]
fn assert_drained(world: &mut World, peer: Peer) {
    assert_eq!(world.phase(peer), Phase::Draining);
    assert!(world.wants_read(peer));
    let records = world.statistics().records;
    assert_eq!(world.exchange(peer, ping(77, "nobody listens")), []);
    assert_eq!(world.exchange(peer, request(78, op::CREATE, 0, "nobody listens")), []);
    assert_eq!(world.statistics().records, records);
    world.wait(LINGER - NS);
    assert_eq!(world.phase(peer), Phase::Draining);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
}

#[test]
fn a_continuation_that_does_not_follow_is_detail_1() {
    let remaining = 3000 - FULL as u32;
    let wrong = [
        header(5, remaining + 1, op::CREATE, 3),
        header(5, remaining - 1, op::CREATE, 3),
        header(5, 3000, op::CREATE, 3),
        header(5, 0, op::CREATE, 3),
        header(5, FULL as u32, op::CREATE, 3),
        header(5, u32::MAX, op::CREATE, 3),
        header(5, remaining, op::PING, 3),
        header(5, remaining, op::UNKNOWN, 3),
        header(5, remaining, op::CREATE, 1),
        header(5, remaining, op::CREATE, 0x83),
    ];
    for header in wrong {
        let (mut world, peer) = world();
        let first = &packets(5, op::CREATE, 3, pattern(3000))[0];
        assert_eq!(world.exchange(peer, first), []);
        assert_eq!(world.statistics().unfinished_bytes, FULL as u64);
        assert_malformed(&mut world, peer, &header, 5, Violation::Continuation);
        assert_eq!((world.statistics().records, world.bytes()), (0, 0));
    }
}

#[test]
fn of_all_headers_one_continues_a_request() {
    let remaining = 3000 - FULL as u32;
    let operations = (0..=255_u8).filter(|it| *it != op::ABORT).map(|it| header(5, remaining, it, 3));
    let accesses = (0..=255_u8).map(|access| header(5, remaining, op::CREATE, access));
    let lengths = (0..=3000).chain((12..32).map(|bit| 1 << bit)).map(|it| header(5, it, op::CREATE, 3));
    let mut continued = 0;
    for header in operations.chain(accesses).chain(lengths) {
        let (mut world, peer) = world();
        let first = &packets(5, op::CREATE, 3, pattern(3000))[0];
        assert_eq!(world.exchange(peer, first), []);
        if header == self::header(5, remaining, op::CREATE, 3) {
            assert_eq!(world.exchange(peer, &header), []);
            continued += 1;
        } else {
            assert_malformed(&mut world, peer, &header, 5, Violation::Continuation);
            assert_eq!((world.statistics().records, world.bytes()), (0, 0));
        }
    }
    assert_eq!(continued, 3);
}

#[test]
fn the_third_packet_is_judged_like_the_second() {
    let (mut world, peer) = world();
    let sent = packets(5, op::CREATE, 0, pattern(3000));
    assert_eq!(world.exchange(peer, sent[..2].concat()), []);
    assert_malformed(&mut world, peer, &header(5, 219, op::CREATE, 0), 5, Violation::Continuation);
    assert_eq!((world.statistics().records, world.bytes()), (0, 0));
}

#[test]
fn the_rest_of_a_refused_request_must_continue_it_too() {
    for refused in [
        request(5, op::UNKNOWN, 0, pattern(3000)),
        request(5, op::CREATE, 8, pattern(3000)),
        request(5, op::IDENTIFY, 0, pattern(3000)),
        wire::about(5, op::REPLACE, 1, pattern(3000 - 8)),
    ] {
        let (mut world, peer) = world();
        let answer = world.ask(peer, &refused[..10 + FULL]);
        assert!(is_refusal(&answer), "{answer:?}");
        let wrong = header(5, 3000 - FULL as u32 - 1, refused[8], refused[9]);
        assert_malformed(&mut world, peer, &wrong, 5, Violation::Continuation);
    }
}

#[test]
fn other_transactions_do_not_continue_a_request() {
    let (mut world, peer) = world();
    let sent = packets(5, op::CREATE, 0, pattern(3000));
    assert_eq!(world.exchange(peer, &sent[0]), []);
    // The same header under another XID is a request of its own.
    let other = packets(6, op::CREATE, 0, &pattern(3000)[FULL..]);
    assert_eq!(world.exchange(peer, &other[0]), []);
    assert_eq!(world.ask(peer, sent[1..].concat()).xid, 5);
    assert_eq!(world.ask(peer, &other[1]).xid, 6);
    assert_eq!(world.statistics().records, 2);
}

#[test]
fn an_unknown_opcode_beyond_the_largest_request_is_detail_2() {
    for opcode in 21..=254 {
        let (mut world, peer) = world();
        let sent = header(9, LIMIT + 17, opcode, 0);
        assert_malformed(&mut world, peer, &sent, 9, Violation::UnknownOpcode);
    }
    for opcode in 21..=254 {
        let (mut world, peer) = world();
        let sent = packets(9, opcode, 0, pattern(LIMIT as usize + 16));
        assert_eq!(world.exchange(peer, &sent[0][..sent[0].len() - 1]), []);
        assert_eq!(world.ask(peer, &sent[0][sent[0].len() - 1..]), wire::unsupported(9));
        assert_eq!(world.exchange(peer, sent[1..].concat()), []);
        assert_eq!(world.ask(peer, ping(9, "still here")), ok(9, "still here"));
    }
}

#[test]
fn a_known_opcode_beyond_the_largest_request_is_refused_only() {
    let beyond = pattern(LIMIT as usize + 17);
    for (opcode, answer) in [
        (op::CREATE, wire::too_large(9, LIMIT)),
        (op::PING, wire::too_large(9, LIMIT)),
        (op::RESOLVE, wire::invalid(9, 2)),
        (op::TRANSFER, wire::invalid(9, 2)),
        (op::IDENTIFY, wire::invalid(9, 2)),
        (op::LIST, wire::invalid(9, 2)),
        (op::READ_RANGE, wire::invalid(9, 2)),
        (op::ADD, wire::invalid(9, 2)),
        (op::IF_CHANGED, wire::invalid(9, 2)),
        (op::WATCH, wire::invalid(9, 2)),
        (op::RESERVE, wire::invalid(9, 2)),
        (op::SET_LIFETIME, wire::invalid(9, 2)),
        (op::REQUEST_OWNERSHIP, wire::invalid(9, 2)),
    ] {
        let (mut world, peer) = world();
        assert_eq!(world.ask(peer, request(9, opcode, 0, &beyond)), answer);
        assert_eq!(world.ask(peer, ping(9, "still here")), ok(9, "still here"));
    }
    let (mut world, peer) = world();
    let pointer = world.create(peer, 0, "");
    for (opcode, operands) in [(op::REPLACE, 0), (op::WRITE_RANGE, 4), (op::APPEND, 0), (op::COMPARE, 8)] {
        // One byte more than the limit, and one more than the largest request.
        for len in [operands + LIMIT as usize + 1, LIMIT as usize + 9] {
            let sent =
                wire::about(9, opcode, pointer, [&[0; 8][..operands], &beyond[operands..len]].concat());
            assert_eq!(world.ask(peer, sent), wire::too_large(9, LIMIT), "{opcode} {len}");
        }
    }
}

#[test]
fn an_abort_with_a_payload_or_flags_is_detail_3() {
    for (remaining, access) in [(1, 0), (1390, 0), (1391, 0), (u32::MAX, 0), (0, 1), (0, 0x80), (5, 7)] {
        let (mut world, peer) = world();
        assert_malformed(&mut world, peer, &header(9, remaining, op::ABORT, access), 9, Violation::Abort);

        // Whatever its XID is: of an unfinished request too.
        let (mut world, peer) = self::world();
        assert_eq!(world.exchange(peer, &packets(9, op::CREATE, 0, pattern(3000))[0]), []);
        assert_malformed(&mut world, peer, &header(9, remaining, op::ABORT, access), 9, Violation::Abort);
        assert_eq!(world.bytes(), 0);
    }
}

#[test]
fn one_refused_request_too_many_being_discarded_is_detail_5() {
    let mut world = World::with(|config| {
        config.limits.record = LIMIT;
        config.limits.unfinished_requests = 3;
    });
    let peer = world.connect("127.0.0.1");
    let sent = |xid| packets(xid, op::UNKNOWN, 0, pattern(2000));
    for xid in 1..=3 {
        assert_eq!(world.ask(peer, &sent(xid)[0]), wire::unsupported(xid));
    }
    // The end of one, or an ABORT, makes room for another; a refused request of one packet needs none.
    assert_eq!(world.exchange(peer, &sent(1)[1]), []);
    assert_eq!(world.ask(peer, &sent(4)[0]), wire::unsupported(4));
    assert_eq!(world.exchange(peer, abort(2)), []);
    assert_eq!(world.ask(peer, &sent(5)[0]), wire::unsupported(5));
    assert_eq!(world.ask(peer, request(6, op::UNKNOWN, 0, "")), wire::unsupported(6));
    // Requests that are not refused do not count among them.
    assert_eq!(world.exchange(peer, &packets(7, op::CREATE, 0, pattern(2000))[0]), []);

    // This one alone is judged where it would be refused: when its first packet is complete.
    let unknown = world.statistics().counters.unknown_requests();
    let first = &sent(8)[0];
    assert_eq!(world.exchange(peer, &first[..first.len() - 1]), []);
    assert_malformed(&mut world, peer, &first[first.len() - 1..], 8, Violation::TooManyDiscarded);
    assert_eq!(world.statistics().counters.unknown_requests(), unknown);
}

#[test]
fn a_request_refused_on_its_way_counts_among_the_discarded_too() {
    let mut world = World::with(|config| {
        config.limits.unfinished_requests = 1;
        config.limits.connection_unfinished = 2000;
    });
    let peer = world.connect("127.0.0.1");
    assert_eq!(world.ask(peer, &packets(1, op::UNKNOWN, 0, pattern(2000))[0]), wire::unsupported(1));
    let sent = packets(2, op::CREATE, 0, pattern(5000));
    assert_eq!(world.exchange(peer, &sent[0]), []);
    assert_malformed(&mut world, peer, &sent[1], 2, Violation::TooManyDiscarded);
}

#[test]
fn replies_come_first_and_the_violation_last() {
    let (mut world, peer) = world();
    let data = pattern(LIMIT as usize);
    let pointer = world.create(peer, 0, &data);
    let sent = [
        wire::about(2, op::RESOLVE, pointer, []),
        packets(3, op::CREATE, 0, pattern(3000)).remove(0),
        wire::about(4, op::RESOLVE, pointer, []),
        ping(5, "small"),
        header(3, 1, op::CREATE, 0),
        ping(6, "too late"),
    ];
    world.send(peer, sent.concat());
    assert_eq!(world.phase(peer), Phase::Open);
    let replies = world.replies(peer);
    assert_eq!(replies.len(), 4);
    let answered = [wire::resolved(2, &data), wire::resolved(4, &data), ok(5, "small")];
    assert!(answered.iter().all(|it| replies[..3].contains(it)), "{replies:?}");
    assert_eq!(replies[3], malformed(3, 1));
    world.assert_silence();
    assert_drained(&mut world, peer);
    assert_eq!(world.statistics().records, 1);
}

#[test]
fn while_replies_are_sent_after_a_violation_what_comes_is_thrown_away() {
    let (mut world, peer) = world();
    let pointer = world.create(peer, 0, pattern(LIMIT as usize));
    world.send(peer, [wire::about(2, op::RESOLVE, pointer, []), header(3, 0, op::ABORT, 1)].concat());
    assert_eq!(world.take_replies(peer, 5000), []);
    assert!(world.wants_read(peer));
    world.send(peer, wire::about(4, op::DELETE, pointer, []));
    assert_eq!(world.statistics().records, 1);
    assert_eq!(world.replies(peer), [wire::resolved(2, pattern(LIMIT as usize)), malformed(3, 3)]);
    assert_drained(&mut world, peer);
}

#[test]
fn what_is_due_for_others_does_not_end_the_draining() {
    let (mut world, peer) = world();
    let other = world.connect("127.0.0.2");
    let record = world.create(other, 0, "x");
    assert_eq!(world.ask(peer, header(1, 0, op::ABORT, 1)), malformed(1, 3));
    assert_eq!(world.phase(peer), Phase::Draining);
    for _ in 0..3 {
        world.skip(Duration::from_millis(300));
        world.wake();
        assert_eq!(world.phase(peer), Phase::Draining);
    }
    world.skip(Duration::from_millis(100));
    world.wake();
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!(world.ask(other, wire::about(2, op::DELETE, record, [])), wire::ok(2, []));
}

#[test]
fn a_client_that_ends_its_stream_is_not_drained() {
    // After the answer was sent.
    let (mut world, peer) = world();
    assert_eq!(world.ask(peer, header(1, 0, op::ABORT, 1)), malformed(1, 3));
    world.end(peer);
    assert_eq!(world.phase(peer), Phase::Closed);
    // Before.
    let (mut world, peer) = self::world();
    world.send(peer, header(1, 0, op::ABORT, 1));
    world.end(peer);
    assert_eq!(world.phase(peer), Phase::Open);
    assert_eq!(world.replies(peer), [malformed(1, 3)]);
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!(world.statistics().connections, 0);
}

#[test]
fn a_client_that_does_not_read_its_violation_is_given_up() {
    let (mut world, peer) = world();
    world.send(peer, header(1, 0, op::ABORT, 1));
    world.wait(support::SLOW - NS);
    assert_eq!(world.phase(peer), Phase::Open);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!(world.statistics().counters.slow_readers, 1);
}

#[test]
fn other_connections_are_not_disturbed() {
    let (mut world, peer) = world();
    let same = world.connect("127.0.0.1");
    let other = world.connect("127.0.0.2");
    let sent = packets(3, op::CREATE, 0, pattern(3000));
    for it in [peer, same, other] {
        assert_eq!(world.exchange(it, &sent[0]), []);
    }
    assert_malformed(&mut world, peer, &header(3, 1, op::CREATE, 0), 3, Violation::Continuation);
    for it in [same, other] {
        assert_eq!(world.ask(it, sent[1..].concat()).code, 0);
    }
}

#[test]
fn the_connection_counts_as_closed_from_the_violation_on() {
    let (mut world, peer) = world();
    let other = world.connect("127.0.0.2");
    let pointer = world.create(peer, 1, "x");
    world.send(peer, header(1, 0, op::ABORT, 1));
    // Its client reads the answer only 20 s later.
    world.wait(Duration::from_secs(20));
    assert_eq!(world.replies(peer), [malformed(1, 3)]);
    world.wait(GRACE - Duration::from_secs(20) - NS);
    assert_eq!(world.ask(other, wire::about(2, op::RESOLVE, pointer, [])), wire::resolved(2, "x"));
    world.wait(NS);
    assert_eq!(world.ask(other, wire::about(3, op::RESOLVE, pointer, [])), wire::address_fault(3));
}

#[test]
fn a_web_browser_is_told_in_our_way_that_it_is_wrong_here() {
    let text = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let xid = u32::from_be_bytes(*b"GET ");
    // Its REMAINING would be `/ HT`, 754 MiB: of an unknown operation. With the usual limits that is too long.
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    assert_malformed(&mut world, peer, text, xid, Violation::UnknownOpcode);

    // A server with larger records waits for the first packet, and gives up like on any other.
    let mut world = World::with(|config| config.limits.record = 1 << 30);
    let peer = world.connect("127.0.0.1");
    assert_eq!(world.exchange(peer, text), []);
    world.wait(support::SLOW - NS);
    assert_eq!(world.phase(peer), Phase::Open);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!(world.statistics().counters.slow_requests, 1);
    // Or it gets as far as a whole packet, as a POST may.
    let peer = world.connect("127.0.0.1");
    assert_eq!(world.exchange(peer, [text, &[b'x'; 1400 - 35][..]].concat()), [wire::unsupported(xid)]);
}
