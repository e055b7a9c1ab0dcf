//! Places in tables and queues: what takes them, and what happens where none is left (docs/PROTOCOL.md §7.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use proptest::prelude::*;
use support::World;
use support::wire::{
    self, FULL, Message, abort, aborted, malformed, ok, op, packets, pattern, ping, quota, request, version,
    watch,
};

/// Unfinished requests, and as many refused ones, that a connection has places of its own for.
const OWN_REQUESTS: u32 = 16;

/// Replies that it has places of its own for.
const OWN_REPLIES: u32 = 64;

fn world(places: u64) -> (World, Peer, Peer) {
    let mut world = World::with(|config| config.limits.places = places);
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, one, other)
}

fn places(world: &World) -> u64 {
    world.statistics().places
}

/// The first packet of a request of two.
fn begun(xid: u32) -> Vec<u8> {
    packets(xid, op::CREATE, 7, pattern(FULL + 1)).remove(0)
}

/// The first packet of a request of two that is refused.
fn refused(xid: u32) -> Vec<u8> {
    packets(xid, 200, 0, pattern(FULL + 1)).remove(0)
}

fn pings(xids: impl IntoIterator<Item = u32>) -> Vec<u8> {
    xids.into_iter().flat_map(|xid| ping(xid, [])).collect()
}

#[test]
fn a_watch_and_a_waiting_read_take_three() {
    let (mut world, one, other) = world(10);
    let record = world.create(one, 7, "x");
    let reserved = world.ask(one, request(1, op::RESERVE, 1, [])).payload;
    let reserved = u64::from_be_bytes(reserved.try_into().unwrap());
    assert_eq!(places(&world), 0);
    assert_eq!(world.exchange(one, watch(1, record, false)), [version(1, 1)]);
    assert_eq!(world.exchange(other, watch(1, record, false)), [version(1, 1)]);
    let read = |xid| wire::about(xid, op::RESOLVE, reserved, []);
    assert_eq!(world.exchange(other, read(2)), []);
    assert_eq!(places(&world), 9);
    assert_eq!(world.ask(other, read(3)), quota(3, 6, 3));
    assert_eq!(world.ask(one, watch(3, record, true)), quota(3, 6, 3));
    // One that ends makes room: given up, answered, or with its record.
    assert_eq!(world.exchange(other, abort(1)), [aborted(1)]);
    assert_eq!(places(&world), 6);
    assert_eq!(world.exchange(one, watch(3, reserved, false)), [version(3, 0)]);
    assert_eq!(places(&world), 9);
    assert_eq!(world.exchange(one, wire::about(4, op::DELETE, record, [])), [ok(4, []), wire::ended(1, 16)]);
    assert_eq!(places(&world), 6);
    world.send(one, wire::about(4, op::REPLACE, reserved, "y"));
    world.replies(one);
    assert_eq!(world.replies(other), [wire::resolved(2, "y")]);
    assert_eq!(places(&world), 3);
    world.end(one);
    assert_eq!(places(&world), 0);
}

#[test]
fn unfinished_requests_take_one_each_beyond_a_connections_own() {
    let (mut world, one, other) = world(2);
    for xid in 0..OWN_REQUESTS + 2 {
        assert_eq!(world.exchange(one, begun(xid)), []);
    }
    assert_eq!(places(&world), 2);
    let next = OWN_REQUESTS + 2;
    assert_eq!(world.exchange(one, begun(next)), [quota(next, 4, 2)]);
    // Others have their own.
    for xid in 0..OWN_REQUESTS {
        assert_eq!(world.exchange(other, begun(xid)), []);
    }
    assert_eq!(world.exchange(other, begun(next)), [quota(next, 4, 2)]);
    assert_eq!(world.exchange(one, abort(0)), [aborted(0)]);
    assert_eq!(places(&world), 1);
    assert_eq!(world.exchange(other, begun(next + 1)), []);
    assert_eq!(places(&world), 2);
    // What is complete takes none any more.
    let rest = packets(1, op::CREATE, 7, pattern(FULL + 1)).remove(1);
    assert_eq!(world.exchange(one, rest).len(), 1);
    assert_eq!(places(&world), 1);
    world.reset(one);
    world.reset(other);
    assert_eq!(places(&world), 0);
}

#[test]
fn so_do_refused_ones() {
    let (mut world, one, other) = world(2);
    for xid in 0..OWN_REQUESTS + 2 {
        assert_eq!(world.exchange(one, refused(xid)), [wire::unsupported(xid)]);
    }
    assert_eq!(places(&world), 2);
    // The connection still has its own for others.
    assert_eq!(world.exchange(one, begun(100)), []);
    for xid in 0..OWN_REQUESTS {
        assert_eq!(world.exchange(other, refused(xid)), [wire::unsupported(xid)]);
    }
    assert_eq!(world.exchange(other, refused(100)), [malformed(100, 5)]);
    assert_eq!(places(&world), 2);
    assert_eq!(world.exchange(one, abort(1)), []);
    assert_eq!(places(&world), 1);
    assert_eq!(world.exchange(one, refused(101)), [wire::unsupported(101)]);
    assert_eq!(world.exchange(one, refused(102)), [malformed(102, 5)]);
    assert_eq!(places(&world), 0);
}

#[test]
fn replies_take_one_each_beyond_a_connections_own_and_then_nothing_is_read() {
    let (mut world, one, other) = world(10);
    world.send(one, pings(0..OWN_REPLIES + 10));
    assert_eq!((places(&world), world.wants_read(one)), (10, false));
    // The other has its own, and no more.
    world.send(other, pings(0..OWN_REPLIES - 1));
    assert!(world.wants_read(other));
    world.send(other, pings(OWN_REPLIES - 1..200));
    assert_eq!((world.output(other).messages(), world.wants_read(other)), (OWN_REPLIES as usize, false));
    // A reply that leaves makes room, and what was read goes on.
    assert_eq!(world.take_replies(one, 10), [ok(0, [])]);
    assert_eq!((places(&world), world.wants_read(one)), (9, true));
    assert_eq!(world.take_replies(other, 10), [ok(0, [])]);
    assert_eq!((world.output(other).messages(), places(&world)), (OWN_REPLIES as usize + 1, 10));
    let expected = |from, to| (from..to).map(|xid| ok(xid, [])).collect::<Vec<Message>>();
    assert_eq!(world.replies(other), expected(1, 200));
    assert_eq!(world.replies(one), expected(1, OWN_REPLIES + 10));
    assert_eq!(places(&world), 0);
}

#[test]
fn news_wait_for_places_too_and_are_told_in_the_end() {
    let (mut world, one, other) = world(300);
    let records: Vec<u64> = (0..99).map(|_| world.create(one, 7, "x")).collect();
    for (xid, record) in (0..).zip(&records) {
        assert_eq!(world.exchange(other, watch(xid, *record, false)), [version(xid, 1)]);
    }
    assert_eq!(places(&world), 297);
    for record in &records {
        world.send(one, wire::about(1000, op::REPLACE, *record, "y"));
        assert_eq!(world.replies(one), [version(1000, 2)]);
    }
    assert_eq!((world.output(other).messages(), places(&world)), (OWN_REPLIES as usize + 3, 300));
    let mut told = BTreeMap::new();
    for message in world.replies(other) {
        told.insert(message.xid, message);
    }
    let expected = (0..).zip(&records).map(|(xid, _)| (xid, wire::noticed(xid, 2))).collect();
    assert_eq!(told, expected);
    assert_eq!(places(&world), 297);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many do what they like, more places than there are are taken only by the last thing of a connection; and in
    /// the end none.
    #[test]
    fn no_more_are_taken_than_there_are(
        most in 1_u64..40,
        steps in prop::collection::vec((0_usize..4, 0_u8..7, 0_u32..120), 0..1500),
    ) {
        let (mut world, one, other) = world(most);
        let mut peers = vec![one, other, world.connect("127.0.0.3"), world.connect("127.0.0.4")];
        let record = world.create(one, 7, "x");
        for (at, what, xid) in steps {
            let peer = peers[at];
            if world.phase(peer) != Phase::Open {
                world.reset(peer);
                peers[at] = world.connect("127.0.0.9");
                continue;
            }
            match what {
                0 => world.send(peer, begun(xid)),
                1 => world.send(peer, refused(1000 + xid)),
                2 => world.send(peer, watch(2000 + xid, record, true)),
                3 => world.send(peer, wire::about(3000, op::REPLACE, record, pattern(xid as usize))),
                4 => world.send(peer, pings(4000..4000 + xid)),
                5 => {
                    world.take(peer, xid as usize * 20);
                }
                _ => world.send(peer, abort(xid)),
            }
            let taken = places(&world);
            prop_assert!(taken <= most + 4 * 6, "{} of {}", taken, most);
        }
        for peer in peers {
            world.reset(peer);
        }
        prop_assert_eq!(places(&world), 0);
    }
}
