//! Connections that are too slow, and the clocks that say so (docs/PROTOCOL.md §5.4, §5.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use support::wire::{self, abort, aborted, ok, op, packets, pattern, ping, request, resolved, unsupported};
use support::{GRACE, NS, SLOW, World, held};

/// The bytes that a client must take within 30 s while replies wait.
const ENOUGH: usize = 8 * 1024;

fn world() -> (World, Peer) {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    (world, peer)
}

/// The connection lives until just before this time has passed, and is closed then, without a word.
#[track_caller]
fn assert_closed_after(world: &mut World, peer: Peer, time: Duration) {
    assert_eq!(world.next_due(), Some(time));
    world.wait(time - NS);
    assert_eq!(world.phase(peer), Phase::Open);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!((world.statistics().connections, world.statistics().unfinished_bytes), (0, 0));
}

#[test]
fn an_idle_connection_is_never_closed() {
    let (mut world, peer) = world();
    assert_eq!(world.next_due(), None);
    world.create(peer, 0, "x");
    assert_eq!(world.next_due(), None);
    world.wait(GRACE * 1000);
    assert_eq!(world.ask(peer, ping(1, "still here")), ok(1, "still here"));
    assert_eq!(world.statistics().records, 1);
}

#[test]
fn an_unfinished_request_must_complete_a_packet_in_time() {
    let (mut world, peer) = world();
    let sent = packets(1, op::CREATE, 0, pattern(6000));
    for packet in &sent[..4] {
        assert_eq!(world.exchange(peer, packet), []);
        world.wait(SLOW - NS);
    }
    assert_eq!(world.phase(peer), Phase::Open);
    world.wait(NS);
    assert_eq!((world.phase(peer), world.bytes()), (Phase::Closed, 0));
    assert_eq!(world.statistics().counters.slow_requests, 1);
    assert_eq!(world.statistics().counters.slow_readers, 0);
}

#[test]
fn each_unfinished_request_has_a_clock_of_its_own() {
    let (mut world, peer) = world();
    assert_eq!(world.exchange(peer, &packets(1, op::CREATE, 0, pattern(6000))[0]), []);
    world.wait(SLOW / 3);
    assert_eq!(world.exchange(peer, &packets(2, op::CREATE, 0, pattern(6000))[0]), []);
    world.wait(SLOW / 3);
    // What else happens on the connection does not help the first.
    assert_eq!(world.ask(peer, ping(3, "x")), ok(3, "x"));
    assert_eq!(world.exchange(peer, &packets(2, op::CREATE, 0, pattern(6000))[1]), []);
    assert_closed_after(&mut world, peer, SLOW / 3);
}

#[test]
fn the_beginning_of_a_packet_is_no_progress_of_its_request() {
    let sent = packets(1, op::CREATE, 0, pattern(6000));
    for part in [1, 9, 10, 11, 1399] {
        let (mut world, peer) = world();
        assert_eq!(world.exchange(peer, &sent[0]), []);
        world.wait(SLOW / 2);
        assert_eq!(world.exchange(peer, &sent[1][..part]), []);
        assert_closed_after(&mut world, peer, SLOW / 2);
    }
}

#[test]
fn a_request_that_ends_has_no_clock() {
    let (mut world, peer) = world();
    let sent = packets(1, op::CREATE, 0, pattern(3000));
    assert_eq!(world.exchange(peer, sent[..2].concat()), []);
    assert_eq!(world.ask(peer, &sent[2]).code, 0);
    assert_eq!(world.next_due(), None);
    assert_eq!(world.exchange(peer, sent[..2].concat()), []);
    assert_eq!(world.ask(peer, abort(1)), aborted(1));
    assert_eq!(world.next_due(), None);
}

#[test]
fn a_refused_request_that_neither_goes_on_nor_is_aborted_is_too_slow() {
    let (mut world, peer) = world();
    let sent = packets(1, op::UNKNOWN, 0, pattern(6000));
    assert_eq!(world.ask(peer, &sent[0]), unsupported(1));
    world.wait(SLOW - NS);
    assert_eq!(world.exchange(peer, &sent[1]), []);
    assert_closed_after(&mut world, peer, SLOW);

    let peer = world.connect("127.0.0.1");
    assert_eq!(world.ask(peer, &sent[0]), unsupported(1));
    assert_eq!(world.exchange(peer, abort(1)), []);
    assert_eq!(world.next_due(), None);
    assert_eq!(world.ask(peer, sent.concat()), unsupported(1));
    assert_eq!(world.next_due(), None);
}

#[test]
fn a_packet_that_has_begun_must_end_in_time() {
    let sent = ping(1, pattern(100));
    for part in [1, 9, 10, 11, 109] {
        let (mut world, peer) = world();
        world.wait(SLOW);
        assert_eq!(world.exchange(peer, &sent[..part]), []);
        // More of it does not help.
        world.wait(SLOW / 2);
        assert_eq!(world.exchange(peer, &sent[part..part.max(109)]), []);
        assert_closed_after(&mut world, peer, SLOW / 2);
        assert_eq!(world.statistics().counters.slow_requests, 1);
    }
    let (mut world, peer) = world();
    // The clock begins with each packet.
    assert_eq!(world.exchange(peer, &sent[..50]), []);
    world.wait(SLOW / 2);
    assert_eq!(world.ask(peer, [&sent[50..], &sent[..50]].concat()), ok(1, pattern(100)));
    assert_closed_after(&mut world, peer, SLOW);
}

#[test]
fn an_abort_ends_the_clock_of_the_packet_that_it_is() {
    let (mut world, peer) = world();
    assert_eq!(world.exchange(peer, &abort(1)[..5]), []);
    world.wait(SLOW - NS);
    assert_eq!(world.exchange(peer, &abort(1)[5..]), []);
    assert_eq!(world.next_due(), None);
}

#[test]
fn replies_must_be_taken_at_8_kib_in_30_s() {
    let (mut world, peer) = world();
    let data = pattern(100_000);
    let pointer = world.create(peer, 0, &data);
    world.send(peer, wire::about(1, op::RESOLVE, pointer, []));
    for _ in 0..3 {
        world.wait(SLOW - NS);
        assert_eq!(world.take(peer, ENOUGH - 1).len(), ENOUGH - 1);
        assert_eq!(world.take(peer, 1).len(), 1);
    }
    world.wait(SLOW - NS);
    assert_eq!(world.take(peer, ENOUGH - 1).len(), ENOUGH - 1);
    assert_closed_after(&mut world, peer, NS);
    let counters = world.statistics().counters;
    assert_eq!((counters.slow_readers, counters.slow_requests), (1, 0));
}

#[test]
fn a_client_that_takes_everything_is_never_too_slow() {
    let (mut world, peer) = world();
    for xid in 0..10 {
        world.send(peer, ping(xid, "x"));
        world.wait(SLOW - NS);
        assert_eq!(world.replies(peer), [ok(xid, "x")]);
        assert_eq!(world.next_due(), None);
    }
    // The clock begins with the first reply that waits, not with the last.
    world.send(peer, ping(1, "x"));
    world.wait(SLOW / 2);
    world.send(peer, ping(2, "x"));
    assert_closed_after(&mut world, peer, SLOW / 2);
}

#[test]
fn a_slow_reader_gives_back_what_only_it_still_held() {
    let (mut world, peer) = world();
    let pointer = world.create(peer, 1, pattern(1_000_000));
    let slow = world.connect("127.0.0.2");
    world.send(slow, wire::about(1, op::RESOLVE, pointer, []));
    world.send(peer, wire::about(1, op::DELETE, pointer, []));
    assert_eq!(world.replies(peer), [ok(1, [])]);
    assert_eq!((world.statistics().records, world.bytes()), (0, held(1_000_000) - 320));
    world.wait(SLOW - NS);
    assert_eq!(world.bytes(), held(1_000_000) - 320);
    world.wait(NS);
    assert_eq!((world.phase(slow), world.bytes()), (Phase::Closed, 0));
}

#[test]
fn the_clock_of_requests_stands_while_the_server_does_not_read() {
    let mut world = World::with(|config| {
        config.limits.queued_replies = 2;
        config.times.slow_bytes = 1;
    });
    let peer = world.connect("127.0.0.1");
    let upload = packets(9, op::CREATE, 0, pattern(6000));
    assert_eq!(world.exchange(peer, &upload[0]), []);
    // After 10 s reading stops, since two replies wait; they are taken so slowly that it is just enough.
    world.wait(SLOW / 3);
    world.send(peer, [ping(1, "x"), ping(2, "x")].concat());
    assert!(!world.wants_read(peer));
    let mut waiting = Vec::new();
    for _ in 0..10 {
        world.wait(SLOW - NS);
        waiting.extend(world.take(peer, 1));
    }
    assert!(!world.wants_read(peer));
    waiting.extend(world.take(peer, 1));
    assert_eq!(waiting, wire::header(1, 1, 0, 0).into_iter().chain(*b"x").collect::<Vec<_>>());
    // Reading goes on, and so does the clock, where it stood.
    assert!(world.wants_read(peer));
    world.wait(SLOW / 3);
    assert_eq!(world.receive(peer).len(), 11);
    assert_closed_after(&mut world, peer, SLOW / 3);
    assert_eq!(world.statistics().counters.slow_requests, 1);
}

#[test]
fn what_waits_in_the_server_does_not_run_out_of_time() {
    let mut world = World::with(|config| {
        config.limits.queued_replies = 1;
        config.times.slow_bytes = 1;
    });
    let peer = world.connect("127.0.0.1");
    let upload = packets(9, op::CREATE, 0, pattern(6000));
    let sent = [&ping(1, "x"), &upload[0], &ping(2, "x"), &upload[1], &ping(3, "x"), &upload[2][..300]];
    world.send(peer, sent.concat());
    for _ in 0..3 {
        for _ in 0..11 {
            assert!(!world.wants_read(peer));
            world.wait(SLOW - NS);
            assert_eq!(world.take(peer, 1).len(), 1);
        }
    }
    assert!(world.wants_read(peer));
    assert_closed_after(&mut world, peer, SLOW);
    assert_eq!(world.statistics().counters.slow_requests, 1);
}

#[test]
fn a_late_timer_closes_what_is_too_slow_and_nothing_else() {
    let (mut world, peer) = world();
    assert_eq!(world.exchange(peer, &packets(1, op::CREATE, 0, pattern(6000))[0]), []);
    let other = world.connect("127.0.0.2");
    let pointer = world.create(other, 0, pattern(100_000));
    world.send(other, wire::about(2, op::RESOLVE, pointer, []));
    world.skip(SLOW + SLOW);
    // What came in time for the client is as good as in time.
    assert_eq!(world.replies(other), [resolved(2, pattern(100_000))]);
    assert_eq!(world.exchange(peer, &packets(1, op::CREATE, 0, pattern(6000))[1]), []);
    world.wait(Duration::ZERO);
    assert_eq!((world.phase(peer), world.phase(other)), (Phase::Open, Phase::Open));
    assert_closed_after_other(&mut world, peer);
}

#[track_caller]
fn assert_closed_after_other(world: &mut World, peer: Peer) {
    world.wait(SLOW - NS);
    assert_eq!(world.phase(peer), Phase::Open);
    world.wait(NS);
    assert_eq!(world.phase(peer), Phase::Closed);
    assert_eq!(world.statistics().connections, 1);
}

#[test]
fn a_connection_given_up_keeps_no_records_alive() {
    let (mut world, peer) = world();
    world.create(peer, 0, "x");
    world.send(peer, &request(1, op::PING, 0, "x")[..5]);
    world.wait(SLOW + GRACE - NS);
    assert_eq!(world.statistics().records, 1);
    world.wait(NS);
    assert_eq!((world.statistics().records, world.bytes()), (0, 0));
}
