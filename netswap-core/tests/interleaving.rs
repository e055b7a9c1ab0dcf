//! Many transactions on one connection: interleaved, abandoned, in turn, and too many (docs/PROTOCOL.md §2.3 to §2.5,
//! §7.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use netswap_core::wire::{RUN, WINDOW};
use support::wire::{
    self, FULL, abort, aborted, address_fault, ok, op, packets, pattern, ping, request, resolved, unsupported,
};
use support::{OVERHEAD, World, held};

/// A packet as it is sent.
const PACKET: usize = 10 + FULL;

fn world() -> (World, Peer) {
    let mut world = World::new();
    let peer = world.connect("127.0.0.1");
    (world, peer)
}

/// A server with a record that needs many packets.
fn with_record(len: usize) -> (World, Peer, u64) {
    let (mut world, peer) = world();
    let pointer = world.create(peer, 1, pattern(len));
    (world, peer, pointer)
}

fn read(xid: u32, pointer: u64) -> Vec<u8> {
    wire::about(xid, op::RESOLVE, pointer, [])
}

#[test]
fn uploads_take_turns_in_any_order() {
    let (mut world, peer) = world();
    let contents: Vec<Vec<u8>> = (0..12_u8).map(|n| vec![n; 1390 * usize::from(n) + 7]).collect();
    let mut uploads: Vec<_> =
        (0..).zip(&contents).map(|(xid, data)| packets(xid, op::CREATE, 0, data)).collect();
    let mut created = Vec::new();
    let mut turn = 0;
    while !uploads.is_empty() {
        // Forwards and backwards, and a PING amidst.
        turn = (turn * 7 + 5) % uploads.len();
        let packet = uploads[turn].remove(0);
        if uploads[turn].is_empty() {
            uploads.remove(turn);
            let reply = world.ask(peer, packet);
            assert_eq!(reply.code, 0);
            created.push((reply.xid, u64::from_be_bytes(reply.payload.try_into().unwrap())));
        } else {
            assert_eq!(world.exchange(peer, packet), []);
        }
        assert_eq!(world.ask(peer, ping(999, "amidst")), ok(999, "amidst"));
    }
    assert_eq!(created.len(), contents.len());
    for (xid, pointer) in created {
        assert_eq!(world.ask(peer, read(xid, pointer)), resolved(xid, &contents[xid as usize]));
    }
    assert_eq!(world.statistics().unfinished_bytes, 0);
}

#[test]
fn connections_do_not_share_transactions() {
    let (mut world, peer) = world();
    let twin = world.connect("127.0.0.1");
    let (one, other) = (packets(1, op::CREATE, 0, vec![1; 3000]), packets(1, op::CREATE, 0, vec![2; 3000]));
    for n in 0..2 {
        assert_eq!(world.exchange(peer, &one[n]), []);
        assert_eq!(world.exchange(twin, &other[n]), []);
    }
    assert_eq!(world.ask(twin, abort(1)), aborted(1));
    let reply = world.ask(peer, &one[2]);
    let pointer = u64::from_be_bytes(reply.payload.try_into().unwrap());
    assert_eq!(world.ask(twin, read(1, pointer)), resolved(1, vec![1; 3000]));
}

#[test]
fn transaction_ids_wrap() {
    let (mut world, peer) = world();
    let upload = |xid| packets(xid, op::PING, 0, pattern(2000));
    for xid in [u32::MAX - 1, u32::MAX, 0, 1] {
        assert_eq!(world.exchange(peer, &upload(xid)[0]), []);
    }
    for xid in [0, u32::MAX, 1, u32::MAX - 1] {
        assert_eq!(world.ask(peer, &upload(xid)[1]), ok(xid, pattern(2000)));
    }
}

#[test]
fn an_unfinished_request_is_dropped_by_abort() {
    let (mut world, peer) = world();
    let upload = packets(5, op::CREATE, 0, pattern(5000));
    for sent in 1..upload.len() {
        assert_eq!(world.exchange(peer, upload[..sent].concat()), []);
        assert_eq!(world.ask(peer, abort(5)), aborted(5));
        assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (0, 0));
        assert_eq!(world.exchange(peer, abort(5)), []);
        // The XID is free, for a shorter request too.
        assert_eq!(world.ask(peer, ping(5, "free")), ok(5, "free"));
    }
    assert_eq!(world.statistics().records, 0);
}

#[test]
fn an_abort_between_the_packets_of_another_request_is_no_part_of_it() {
    let (mut world, peer) = world();
    let [one, other] = [5, 6].map(|xid| packets(xid, op::PING, 0, pattern(3000)));
    assert_eq!(world.exchange(peer, [&one[0][..], &other[0]].concat()), []);
    assert_eq!(world.ask(peer, abort(6)), aborted(6));
    assert_eq!(world.ask(peer, one[1..].concat()), ok(5, pattern(3000)));
}

#[test]
fn a_refused_request_that_is_being_discarded_gets_no_other_answer() {
    let (mut world, peer) = world();
    let refused = packets(5, op::UNKNOWN, 0, pattern(5000));
    for sent in 1..refused.len() {
        assert_eq!(world.exchange(peer, refused[..sent].concat()), [unsupported(5)]);
        assert_eq!(world.exchange(peer, abort(5)), []);
        assert_eq!(world.ask(peer, ping(5, "free")), ok(5, "free"));
    }
    assert_eq!(world.ask(peer, refused.concat()), unsupported(5));
    assert_eq!(world.exchange(peer, abort(5)), []);
    assert_eq!(world.ask(peer, ping(5, "free")), ok(5, "free"));
}

#[test]
fn a_refusal_that_waits_is_not_dropped_by_abort() {
    let (mut world, peer, pointer) = with_record(200_000);
    world.send(peer, [read(4, pointer), packets(5, op::UNKNOWN, 0, pattern(5000)).remove(0)].concat());
    world.send(peer, abort(5));
    assert_eq!(world.replies(peer), [unsupported(5), resolved(4, pattern(200_000))]);
    world.assert_silence();
}

#[test]
fn a_reply_is_dropped_where_it_stands() {
    for taken in [0, 1, 10, 1400, 1401, 100_000] {
        let (mut world, peer, pointer) = with_record(300_000);
        world.send(peer, read(5, pointer));
        assert_eq!(world.take_replies(peer, taken), []);
        world.send(peer, abort(5));
        let waiting = world.output(peer).len();
        assert!(waiting <= (RUN + 10) as u64, "{waiting} bytes wait");
        assert_eq!(world.replies(peer), [aborted(5)]);
        world.assert_silence();
        assert_eq!(world.ask(peer, ping(5, "free")), ok(5, "free"));
        assert_eq!(world.ask(peer, read(5, pointer)), resolved(5, pattern(300_000)));
    }
}

#[test]
fn what_an_abandoned_reply_held_is_freed() {
    let (mut world, peer, pointer) = with_record(300_000);
    world.send(peer, [read(5, pointer), wire::about(6, op::DELETE, pointer, [])].concat());
    // The reply holds what lies ahead, and no longer the table above it.
    assert_eq!(world.bytes(), held(300_000) - 320);
    world.send(peer, abort(5));
    assert_eq!(world.replies(peer), [ok(6, []), aborted(5)]);
    assert_eq!(world.bytes(), 0);
}

#[test]
fn an_abort_comes_too_late_for_a_reply_that_has_its_place() {
    let (mut world, peer, pointer) = with_record(50_000);
    for taken in [0, 1, 30_000] {
        world.send(peer, read(5, pointer));
        assert_eq!(world.take_replies(peer, taken), []);
        world.send(peer, abort(5));
        assert_eq!(world.replies(peer), [resolved(5, pattern(50_000))]);
        world.assert_silence();
    }
    // And for a request that has taken effect.
    world.send(peer, [request(5, op::CREATE, 0, "x"), abort(5)].concat());
    assert_eq!(world.replies(peer).len(), 1);
    assert_eq!(world.statistics().records, 2);
}

#[test]
fn an_abort_does_not_undo() {
    let (mut world, peer, pointer) = with_record(200_000);
    world.send(peer, [read(4, pointer), request(5, op::CREATE, 0, "x"), abort(5)].concat());
    assert_eq!(world.replies(peer), [aborted(5), resolved(4, pattern(200_000))]);
    assert_eq!(world.statistics().records, 2);
}

#[test]
fn an_abort_that_waits_is_said_once() {
    let (mut world, peer, pointer) = with_record(200_000);
    let sent = [read(4, pointer), packets(5, op::CREATE, 0, pattern(3000)).remove(0), abort(5), abort(5)];
    world.send(peer, sent.concat());
    assert_eq!(world.replies(peer), [aborted(5), resolved(4, pattern(200_000))]);
    world.assert_silence();
}

#[test]
fn an_abort_of_nothing_is_ignored() {
    let (mut world, peer) = world();
    for xid in [0, 1, 77, u32::MAX] {
        assert_eq!(world.exchange(peer, abort(xid)), []);
    }
    assert_eq!(world.ask(peer, ping(1, "x")), ok(1, "x"));
    assert_eq!(world.exchange(peer, abort(1)), []);
}

#[test]
fn replies_under_one_id_follow_each_other() {
    let (mut world, peer, pointer) = with_record(200_000);
    let other = world.create(peer, 0, vec![9; 150_000]);
    let sent = [read(5, pointer), read(5, other), ping(5, "x"), read(5, pointer), ping(6, "y")];
    world.send(peer, sent.concat());
    let expected = [
        ok(6, "y"),
        resolved(5, pattern(200_000)),
        resolved(5, vec![9; 150_000]),
        ok(5, "x"),
        resolved(5, pattern(200_000)),
    ];
    assert_eq!(world.replies(peer), expected);
}

#[test]
fn an_abort_drops_all_that_is_under_its_id() {
    let (mut world, peer, pointer) = with_record(200_000);
    let sent = [read(5, pointer), ping(5, "x"), read(5, pointer), request(5, op::UNKNOWN, 0, [])];
    world.send(peer, sent.concat());
    // And a request that is still being sent.
    world.send(peer, &packets(5, op::CREATE, 0, pattern(3000))[0]);
    world.send(peer, abort(5));
    assert_eq!(world.replies(peer), [aborted(5)]);
    assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (held(200_000) + OVERHEAD, 0));
    assert_eq!(world.ask(peer, ping(5, "free")), ok(5, "free"));
}

#[test]
fn a_new_request_under_the_id_of_an_abandoned_one_is_answered_after_the_abort() {
    let (mut world, peer, pointer) = with_record(200_000);
    world.send(peer, [read(5, pointer), abort(5), ping(5, "again"), read(5, pointer)].concat());
    let replies = world.replies(peer);
    assert_eq!(replies, [aborted(5), ok(5, "again"), resolved(5, pattern(200_000))]);
}

#[test]
fn a_ping_passes_a_large_reply() {
    let (mut world, peer, pointer) = with_record(2_000_000);
    for taken in [0, 1, 1_000_000] {
        world.send(peer, read(5, pointer));
        world.take_replies(peer, taken);
        world.send(peer, ping(6, "quick"));
        assert_eq!(world.take_replies(peer, RUN + 2 * PACKET), [ok(6, "quick")]);
        assert_eq!(world.replies(peer), [resolved(5, pattern(2_000_000))]);
    }
}

#[test]
fn replies_are_served_in_turn() {
    let (mut world, peer, pointer) = with_record(100_000);
    world.send(peer, (0..10).flat_map(|xid| read(xid, pointer)).collect::<Vec<_>>());
    let stream = world.receive(peer);
    let xids: Vec<u32> = stream
        .chunks(PACKET)
        .filter(|packet| packet.len() == PACKET)
        .map(|packet| u32::from_be_bytes(packet[..4].try_into().unwrap()))
        .collect();
    // The first has the window for itself; then each gives one packet in turn, until the first is through.
    let alone = WINDOW / PACKET;
    assert!(xids[..alone].iter().all(|xid| *xid == 0), "{:?}", &xids[..alone]);
    for (n, round) in xids[alone..].chunks(10).take(20).enumerate() {
        let mut seen = round.to_vec();
        seen.sort_unstable();
        assert_eq!(seen, (0..10).collect::<Vec<_>>(), "round {n}: {round:?}");
    }
}

#[test]
fn too_many_replies_stop_the_reading() {
    let mut world = World::with(|config| config.limits.queued_replies = 4);
    let peer = world.connect("127.0.0.1");
    world.send(peer, (0..3).flat_map(|xid| ping(xid, "x")).collect::<Vec<_>>());
    assert!(world.wants_read(peer));
    // What was read all the same waits, and is handled one by one as replies leave.
    let create = request(4, op::CREATE, 0, "y");
    world.send(peer, [ping(3, "x"), create.clone(), create[..5].to_vec()].concat());
    assert!(!world.wants_read(peer));
    assert_eq!((world.output(peer).messages(), world.statistics().records), (4, 0));
    world.take_replies(peer, 10);
    assert_eq!(world.statistics().records, 0);
    world.take_replies(peer, 1);
    assert_eq!((world.output(peer).messages(), world.statistics().records), (4, 1));
    assert!(!world.wants_read(peer));
    world.take_replies(peer, 11);
    assert!(world.wants_read(peer));
    world.send(peer, &create[5..]);
    assert_eq!(world.statistics().records, 2);
    assert_eq!(world.replies(peer).len(), 4);
    assert!(world.wants_read(peer));
    world.assert_silence();
}

#[test]
fn too_many_bytes_of_replies_stop_the_reading() {
    let mut world = World::with(|config| config.limits.queued_bytes = 3000);
    let peer = world.connect("127.0.0.1");
    let pointer = world.create(peer, 0, pattern(1000));
    world.send(peer, [read(0, pointer), read(1, pointer)].concat());
    assert!(world.wants_read(peer));
    world.send(peer, [read(2, pointer), wire::about(3, op::DELETE, pointer, []), read(4, pointer)].concat());
    assert!(!world.wants_read(peer));
    assert_eq!(world.statistics().records, 1);
    world.take_replies(peer, 30);
    assert!(!world.wants_read(peer));
    world.take_replies(peer, 1);
    // The reply of the DELETE alone is too much again.
    assert_eq!((world.statistics().records, world.output(peer).messages()), (0, 4));
    assert!(!world.wants_read(peer));
    let replies = world.replies(peer);
    assert_eq!(replies[replies.len() - 2..], [ok(3, []), address_fault(4)]);
    assert!(world.wants_read(peer));
}

#[test]
fn just_as_many_bytes_as_may_wait_stop_the_reading() {
    let mut world = World::with(|config| config.limits.queued_bytes = 3000);
    let peer = world.connect("127.0.0.1");
    world.send(peer, (0..5).flat_map(|xid| ping(xid, pattern(490))).collect::<Vec<_>>());
    world.send(peer, ping(5, pattern(489)));
    assert!(world.wants_read(peer));
    world.replies(peer);
    world.send(peer, (0..6).flat_map(|xid| ping(xid, pattern(490))).collect::<Vec<_>>());
    assert_eq!((world.output(peer).len(), world.wants_read(peer)), (3000, false));
    assert_eq!(world.replies(peer).len(), 6);
}

#[test]
fn one_large_reply_hides_neither_an_abort_nor_a_ping() {
    let mut world = World::with(|config| {
        config.limits.record = 6 << 20;
        config.limits.queued_bytes = (6 << 20) + (4 << 20);
    });
    let peer = world.connect("127.0.0.1");
    let pointer = world.create(peer, 0, pattern(6 << 20));
    world.send(peer, read(5, pointer));
    assert!(world.wants_read(peer));
    world.send(peer, [ping(6, "x"), abort(5)].concat());
    let replies = world.replies(peer);
    assert_eq!(replies, [ok(6, "x"), aborted(5)]);
}

#[test]
fn what_waits_is_handled_in_order() {
    let mut world = World::with(|config| config.limits.queued_replies = 1);
    let peer = world.connect("127.0.0.1");
    let pointer = world.create(peer, 0, "first");
    let replace = wire::about(2, op::REPLACE, pointer, pattern(3000));
    let sent =
        [read(1, pointer), replace, read(3, pointer), packets(4, op::PING, 0, pattern(2000)).remove(0)];
    let more = [abort(4), wire::about(5, op::DELETE, pointer, []), read(6, pointer)];
    world.send(peer, sent.concat());
    // More may be read at any time, in any piece.
    more.concat().iter().for_each(|byte| world.send(peer, [*byte]));
    let expected = [
        resolved(1, "first"),
        ok(2, 2_u64.to_be_bytes()),
        resolved(3, pattern(3000)),
        aborted(4),
        ok(5, []),
        address_fault(6),
    ];
    assert_eq!(world.replies(peer), expected);
    assert_eq!(world.bytes(), 0);
}
