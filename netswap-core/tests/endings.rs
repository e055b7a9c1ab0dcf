//! How connections end: end of stream, reset, shutdown, and limits on connections (docs/PROTOCOL.md §4.2, §5.2, §5.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::config::MOST_TURNED_AWAY;
use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::error::Quota;
use netswap_core::wire::Code;
use support::wire::{
    self, FULL, abort, aborted, header, ok, op, packets, pattern, ping, quota, request, resolved, unsupported,
};
use support::{GRACE, NS, OVERHEAD, OWNER_COST, SETTINGS_COST, World, held};

const LINGER: Duration = Duration::from_secs(1);

/// A CREATE of three packets with PINGs before, in the midst and after; where in it each request is complete.
fn upload() -> (Vec<u8>, [usize; 4]) {
    let mut stream = ping(1, "before");
    let before = stream.len();
    let create = packets(2, op::CREATE, 0, pattern(3000));
    stream.extend(create[..2].concat());
    stream.extend(ping(3, "amidst"));
    let amidst = stream.len();
    stream.extend(&create[2]);
    let created = stream.len();
    stream.extend(ping(4, "after"));
    let all = stream.len();
    (stream, [before, amidst, created, all])
}

#[test]
fn at_whatever_byte_the_stream_ends_nothing_is_done_in_part() {
    let (stream, [before, amidst, created, all]) = upload();
    for end in 0..=stream.len() {
        let mut world = World::new();
        let peer = world.connect("127.0.0.1");
        world.send(peer, &stream[..end]);
        world.end(peer);
        let record = end >= created;
        assert_eq!(world.statistics().unfinished_bytes, 0, "{end}");
        assert_eq!(world.bytes(), if record { held(3000) + OVERHEAD } else { 0 }, "{end}");
        let replies = world.replies(peer);
        let mut answered = Vec::new();
        answered.extend((end >= before).then(|| ok(1, "before")));
        answered.extend((end >= amidst).then(|| ok(3, "amidst")));
        answered.extend(record.then(|| replies[2].clone()));
        answered.extend((end >= all).then(|| ok(4, "after")));
        assert_eq!(replies, answered, "{end}");
        assert_eq!((world.phase(peer), world.statistics().records), (Phase::Closed, u64::from(record)));
        assert_eq!(world.statistics().connections, 0);
        world.wait(GRACE);
        assert_eq!((world.bytes(), world.statistics().owners), (0, 0));
    }
}

#[test]
fn at_whatever_byte_a_connection_is_reset_nothing_is_done_in_part() {
    let (stream, [_, _, created, _]) = upload();
    for end in 0..=stream.len() {
        let mut world = World::new();
        let peer = world.connect("127.0.0.1");
        world.send(peer, &stream[..end]);
        world.reset(peer);
        let record = end >= created;
        assert_eq!((world.statistics().records, world.statistics().unfinished_bytes), (u64::from(record), 0));
        assert_eq!(world.bytes(), if record { held(3000) + OVERHEAD + OWNER_COST } else { 0 }, "{end}");
        assert_eq!(world.statistics().connections, 0);
    }
}

#[test]
fn a_half_closed_connection_gets_its_replies_before_it_is_closed() {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    let data = pattern(500_000);
    let pointer = world.create(peer, 0, &data);
    world.send(peer, [wire::about(2, op::RESOLVE, pointer, []), ping(3, "hi")].concat());
    world.end(peer);
    // What comes after the end of the stream is a fault of the caller and does nothing.
    world.send(peer, ping(4, "no"));
    assert!(!world.wants_read(peer));
    assert_eq!(world.take_replies(peer, 300_000), [ok(3, "hi")]);
    assert_eq!(world.phase(peer), Phase::Open);
    assert_eq!(world.replies(peer), [resolved(2, data)]);
    assert_eq!(world.phase(peer), Phase::Closed);
}

#[test]
fn what_was_read_before_the_end_of_the_stream_is_answered_even_if_it_has_to_wait() {
    let mut world = World::with(|config| config.limits.queued_replies = 2);
    let peer = world.connect("127.0.0.1");
    let sent = [
        (1..=5).flat_map(|xid| ping(xid, "ping")).collect(),
        request(6, op::CREATE, 0, "x"),
        packets(7, op::CREATE, 0, pattern(3000)).remove(0),
    ];
    world.send(peer, sent.concat());
    world.end(peer);
    assert!(!world.wants_read(peer));
    let replies = world.replies(peer);
    let pings: Vec<_> = (1..=5).map(|xid| ok(xid, "ping")).collect();
    assert_eq!((&replies[..5], replies[5].code, replies.len()), (&pings[..], 0, 6));
    // Its owner had left when it was created, so that it has a deadline of its own.
    let held = held(1) + OVERHEAD + SETTINGS_COST + OWNER_COST;
    assert_eq!((world.phase(peer), world.bytes()), (Phase::Closed, held));
    // The record came when its owner counted as gone: it has the whole grace.
    world.wait(GRACE - NS);
    assert_eq!(world.statistics().records, 1);
    world.wait(NS);
    assert_eq!((world.statistics().records, world.bytes()), (0, 0));
}

#[test]
fn a_record_that_came_after_its_owner_left_can_be_taken_over() {
    let mut world = World::with(|config| config.limits.queued_replies = 1);
    let (peer, taker) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    world.send(peer, [ping(1, "x"), request(2, op::CREATE, 5, "y")].concat());
    world.end(peer);
    let replies = world.replies(peer);
    let pointer = u64::from_be_bytes(replies[1].payload[..].try_into().unwrap());
    let stat = wire::about(3, op::STAT, pointer, []);
    assert_eq!(world.ask(taker, &stat).payload[22..], 300_u32.to_be_bytes());
    assert_eq!(world.ask(taker, wire::about(3, op::TAKEOVER, pointer, [])), ok(3, []));
    assert_eq!(world.ask(taker, &stat).payload[22..], u32::MAX.to_be_bytes());
    assert_eq!(world.next_due(), None);
    world.wait(GRACE * 2);
    assert_eq!(world.ask(taker, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
    assert_eq!(world.bytes(), 0);
}

#[test]
fn a_violation_that_has_to_wait_is_told_after_the_end_of_the_stream() {
    let mut world = World::with(|config| config.limits.queued_replies = 1);
    let peer = world.connect("127.0.0.1");
    world.send(peer, [ping(1, "x"), header(2, 0, op::ABORT, 9), ping(3, "x")].concat());
    world.end(peer);
    assert_eq!(world.replies(peer), [ok(1, "x"), wire::malformed(2, 3)]);
    assert_eq!(world.phase(peer), Phase::Closed);
}

/// A connection with something of every kind on it; what a shutdown has to say to it.
fn busy(world: &mut World) -> (Peer, Vec<wire::Message>) {
    let peer = world.connect("127.0.0.1");
    let pointer = world.create(peer, 0, pattern(200_000));
    assert_eq!(world.exchange(peer, packets(9, op::CREATE, 0, pattern(3000))[..2].concat()), []);
    assert_eq!(world.exchange(peer, &packets(8, op::PING, 0, pattern(3000))[0]), []);
    assert_eq!(world.ask(peer, &packets(5, op::UNKNOWN, 0, pattern(3000))[0]), unsupported(5));
    world.send(peer, wire::about(6, op::RESOLVE, pointer, []));
    world.send(peer, &request(7, op::PING, 0, "half a packet")[..15]);
    (peer, vec![aborted(7), aborted(8), aborted(9), resolved(6, pattern(200_000))])
}

#[test]
fn a_shutdown_answers_what_is_complete_and_aborts_the_rest() {
    let mut world = World::new();
    let (peer, said) = busy(&mut world);
    let idle = world.connect("127.0.0.2");
    world.shut_down();
    assert_eq!(world.statistics().unfinished_bytes, 0);
    assert_eq!(world.phase(idle), Phase::Draining);
    assert_eq!(world.phase(peer), Phase::Open);
    // What still arrives is thrown away.
    assert!(world.wants_read(peer));
    world.send(peer, request(10, op::CREATE, 0, "too late"));
    assert_eq!(world.replies(peer), said);
    world.assert_silence();
    assert_eq!((world.phase(peer), world.statistics().records), (Phase::Draining, 1));
    world.wait(LINGER - NS);
    assert_eq!(world.phase(peer), Phase::Draining);
    world.wait(NS);
    assert_eq!((world.phase(peer), world.phase(idle)), (Phase::Closed, Phase::Closed));
    assert_eq!(world.statistics().connections, 0);
}

#[test]
fn a_shutdown_is_said_once() {
    let mut world = World::new();
    let (peer, said) = busy(&mut world);
    world.shut_down();
    world.shut_down();
    assert_eq!(world.replies(peer), said);
    world.shut_down();
    assert_eq!(world.replies(peer), []);
    world.end(peer);
    assert_eq!(world.phase(peer), Phase::Closed);
}

#[test]
fn a_shutdown_aborts_a_request_whose_continuation_is_arriving() {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    let sent = packets(5, op::CREATE, 0, pattern(3000));
    world.send(peer, [&sent[0], &sent[1][..700]].concat());
    // A refused one is not told again.
    let other = world.connect("127.0.0.2");
    let refused = packets(6, op::UNKNOWN, 0, pattern(3000));
    assert_eq!(world.exchange(other, [&refused[0], &refused[1][..700]].concat()), [unsupported(6)]);
    world.shut_down();
    assert_eq!(world.replies(peer), [aborted(5)]);
    assert_eq!(world.replies(other), []);
    assert_eq!(world.bytes(), 0);
}

#[test]
fn a_shutdown_answers_what_was_read_and_had_to_wait() {
    let mut world = World::with(|config| config.limits.queued_replies = 2);
    let peer = world.connect("127.0.0.1");
    let sent = [
        (1..=5).flat_map(|xid| ping(xid, "ping")).collect(),
        request(6, op::CREATE, 0, "x"),
        packets(7, op::CREATE, 0, pattern(3000)).remove(0),
    ];
    world.send(peer, sent.concat());
    world.shut_down();
    assert!(!world.wants_read(peer));
    world.send(peer, ping(99, "too late"));
    let replies = world.replies(peer);
    assert_eq!((replies.len(), replies[5].xid, replies[5].code), (7, 6, 0));
    assert_eq!(replies[6], aborted(7));
    assert_eq!(world.phase(peer), Phase::Draining);
}

#[test]
fn a_client_that_has_ended_its_stream_is_not_drained_after_a_shutdown() {
    for end_first in [true, false] {
        let mut world = World::with(|config| config.limits.queued_replies = 1);
        let peer = world.connect("127.0.0.1");
        world.send(peer, [ping(1, "a"), ping(2, "b")].concat());
        if end_first {
            world.end(peer);
            world.shut_down();
        } else {
            world.shut_down();
            world.end(peer);
        }
        assert_eq!(world.replies(peer), [ok(1, "a"), ok(2, "b")]);
        assert_eq!(world.phase(peer), Phase::Closed, "{end_first}");
    }
}

#[test]
fn a_violation_before_a_shutdown_is_told() {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    world.send(peer, [ping(1, "x"), header(2, 0, op::ABORT, 9)].concat());
    world.shut_down();
    assert_eq!(world.replies(peer), [ok(1, "x"), wire::malformed(2, 3)]);
    assert_eq!(world.phase(peer), Phase::Draining);
}

/// A connection that is over a limit: what it is told, and that it is drained and closed then.
#[track_caller]
fn assert_turned_away(world: &mut World, peer: Peer, detail: u8, limit: u64) {
    world.send(peer, ping(1, "nobody listens"));
    assert_eq!(world.phase(peer), Phase::Open);
    assert!(world.wants_read(peer));
    assert_eq!(world.replies(peer), [quota(0, detail, limit)]);
    assert_eq!(world.phase(peer), Phase::Draining);
    world.send(peer, request(1, op::CREATE, 0, "nobody listens"));
    world.wait(LINGER - NS);
    assert_eq!(world.phase(peer), Phase::Draining);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
    world.assert_silence();
}

#[test]
fn one_connection_too_many_is_told_so_and_closed() {
    let mut world = World::with(|config| {
        config.limits.connections = 2;
        config.limits.connections_per_address = Some(2);
    });
    let peer = world.connect("127.0.0.1");
    world.connect("127.0.0.1");
    for address in ["127.0.0.2", "127.0.0.1"] {
        let third = world.connect(address);
        assert_turned_away(&mut world, third, 7, 2);
    }
    let counters = world.statistics().counters;
    assert_eq!((counters.connections, counters.connections_refused), (2, 2));
    assert_eq!((counters.quota(Quota::Connections), counters.refusals(Code::QuotaExceeded)), (2, 2));

    // A connection counts until its socket is closed.
    world.send(peer, header(1, 0, op::ABORT, 1));
    assert_eq!(world.replies(peer).len(), 1);
    let third = world.connect("127.0.0.2");
    assert_eq!(world.replies(third), [quota(0, 7, 2)]);
    world.end(peer);
    let third = world.connect("127.0.0.2");
    assert_eq!(world.ask(third, ping(1, "served")), ok(1, "served"));
}

#[test]
fn one_connection_too_many_of_an_address_is_told_so_and_closed() {
    let mut world = World::with(|config| config.limits.connections_per_address = Some(2));
    let first = world.connect("127.0.0.1");
    // Both spellings are one address.
    world.connect("::ffff:127.0.0.1");
    let third = world.connect("127.0.0.1");
    assert_turned_away(&mut world, third, 8, 2);
    assert_eq!(world.statistics().counters.quota(Quota::ConnectionsOfAddress), 1);
    let other = world.connect("127.0.0.2");
    assert_eq!(world.ask(other, ping(1, "served")), ok(1, "served"));
    world.reset(first);
    let third = world.connect("127.0.0.1");
    assert_eq!(world.ask(third, ping(1, "served")), ok(1, "served"));
}

#[test]
fn a_connection_turned_away_keeps_no_records_alive() {
    let mut world = World::with(|config| config.limits.connections = 1);
    let owner = world.connect("127.0.0.1");
    world.create(owner, 0, "x");
    let second = world.connect("127.0.0.1");
    world.reset(owner);
    // It is neither the owner's last connection when it goes, nor the owner's return when it comes.
    world.wait(GRACE - NS - NS);
    world.connect("127.0.0.2");
    world.connect("127.0.0.1");
    world.reset(second);
    world.wait(NS);
    assert_eq!(world.statistics().records, 1);
    world.wait(NS);
    assert_eq!((world.statistics().records, world.bytes()), (0, 0));
}

#[test]
fn a_flood_of_connections_over_the_limit_is_dropped_without_a_word() {
    let mut world = World::with(|config| config.limits.connections = 1);
    world.connect("127.0.0.1");
    let away: Vec<_> = (0..MOST_TURNED_AWAY).map(|_| world.connect("127.0.0.2")).collect();
    assert!((0..1000).all(|_| world.try_connect("127.0.0.2").is_none()));
    assert_eq!(world.statistics().connections, 257);
    assert_eq!(world.statistics().counters.connections_refused, 1256);
    world.reset(away[0]);
    let next = world.connect("127.0.0.2");
    assert_eq!(world.replies(next), [quota(0, 7, 1)]);
    world.reset(next);
    away.iter().for_each(|peer| world.reset(*peer));
    assert_eq!((world.statistics().connections, world.statistics().owners), (1, 1));
}

#[test]
fn aborted_uploads_leave_nothing_behind() {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    for xid in 0..50 {
        assert_eq!(world.exchange(peer, packets(xid, op::CREATE, 0, pattern(3000))[..2].concat()), []);
        assert_eq!(world.statistics().unfinished_bytes, 2 * FULL as u64);
        assert_eq!(world.ask(peer, abort(xid)), aborted(xid));
    }
    assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (0, 0));
}
