//! What each operation does when it succeeds (docs/PROTOCOL.md §3.3 to §3.14, §6.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use netswap_core::wire::Opcode;
use support::wire::{self, address_fault, ok, op, pattern, ping, request, resolved, version};
use support::{OVERHEAD, World, held};

const LIMIT: usize = 6000;

/// A server with small records, a client, and one from another address.
fn world() -> (World, Peer, Peer) {
    let mut world = World::with(|config| config.limits.record = LIMIT as u32);
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, one, other)
}

#[track_caller]
fn data(world: &mut World, peer: Peer, pointer: u64) -> Vec<u8> {
    let reply = world.ask(peer, wire::about(70, op::RESOLVE, pointer, []));
    assert_eq!((reply.xid, reply.code, reply.access), (70, 3, 0), "{reply:?}");
    reply.payload
}

/// What STAT tells of a live record of an owner who is connected.
#[track_caller]
fn assert_stat(world: &mut World, peer: Peer, pointer: u64, len: u32, version: u64, owner: Peer, access: u8) {
    let stat = [
        &len.to_be_bytes()[..],
        &version.to_be_bytes(),
        &owner.owner.get().to_be_bytes(),
        &[access, 0],
        &u32::MAX.to_be_bytes(),
    ];
    assert_eq!(world.ask(peer, wire::about(71, op::STAT, pointer, [])), ok(71, stat.concat()));
}

fn list(world: &mut World, peer: Peer) -> Vec<u64> {
    let reply = world.ask(peer, request(72, op::LIST, 0, []));
    assert_eq!((reply.xid, reply.code, reply.access, reply.payload.len() % 8), (72, 0, 0, 0), "{reply:?}");
    reply.payload.chunks(8).map(|pointer| u64::from_be_bytes(pointer.try_into().unwrap())).collect()
}

#[test]
fn a_record_of_any_length_is_created_and_read_back() {
    let (mut world, one, other) = world();
    for len in [0, 1, 1389, 1390, 1391, 2780, 2781, LIMIT - 1, LIMIT] {
        for access in 0..8 {
            let pointer = world.create(one, access, pattern(len));
            assert_ne!(pointer, 0);
            assert_eq!(data(&mut world, one, pointer), pattern(len));
            assert_stat(&mut world, one, pointer, len as u32, 1, one, access);
            if access & 1 != 0 {
                assert_eq!(data(&mut world, other, pointer), pattern(len));
                assert_stat(&mut world, other, pointer, len as u32, 1, one, access);
            }
            assert_eq!(world.bytes(), held(len as u64) + OVERHEAD);
            assert_eq!(world.ask(one, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
            assert_eq!((world.bytes(), world.statistics().records), (0, 0));
        }
    }
}

#[test]
fn pointers_are_never_used_again() {
    let (mut world, one, _) = world();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let pointer = world.create(one, 0, "");
        assert!(seen.insert(pointer), "{pointer:016x} again");
        assert_eq!(world.ask(one, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
    }
}

#[test]
fn new_access_bits_take_the_place_of_the_old_ones() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 0, "x");
    for access in [7, 7, 2, 4, 1, 0, 0, 5] {
        let sent = request(2, op::PERMIT, access, pointer.to_be_bytes());
        assert_eq!(world.ask(one, sent), ok(2, []));
        assert_stat(&mut world, one, pointer, 1, 1, one, access);
    }
    assert_eq!(data(&mut world, other, pointer), b"x");
}

#[test]
fn a_replaced_record_has_the_new_data_and_the_next_version() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, "first");
    // Longer, shorter, the same, empty and empty again, by the owner and by others.
    for (n, len) in [LIMIT, 1, 1, 0, 0, 1390, 1391, LIMIT].into_iter().enumerate() {
        let (writer, reader) = if n % 2 == 0 { (other, one) } else { (one, other) };
        let sent = wire::about(2, op::REPLACE, pointer, pattern(len));
        assert_eq!(world.ask(writer, sent), version(2, n as u64 + 2));
        assert_eq!(data(&mut world, reader, pointer), pattern(len));
        assert_stat(&mut world, reader, pointer, len as u32, n as u64 + 2, one, 3);
        assert_eq!(world.bytes(), held(len as u64) + OVERHEAD);
    }
}

#[test]
fn a_version_counts_writes_of_data_alone() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 7, "x");
    assert_eq!(world.ask(one, request(2, op::PERMIT, 5, pointer.to_be_bytes())), ok(2, []));
    assert_eq!(world.ask(other, wire::about(2, op::TAKEOVER, pointer, [])), ok(2, []));
    let back = wire::about(2, op::TRANSFER, pointer, one.owner.get().to_be_bytes());
    assert_eq!(world.ask(other, back), ok(2, []));
    assert_eq!(data(&mut world, one, pointer), b"x");
    assert_stat(&mut world, one, pointer, 1, 1, one, 1);
    assert_eq!(world.ask(one, wire::about(2, op::REPLACE, pointer, "x")), version(2, 2));
}

#[test]
fn a_deleted_record_is_gone() {
    let (mut world, one, _) = world();
    let pointer = world.create(one, 7, "x");
    let kept = world.create(one, 7, "y");
    assert_eq!(world.ask(one, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
    for opcode in [op::RESOLVE, op::REPLACE, op::DELETE, op::TAKEOVER, op::STAT, op::PERMIT] {
        assert_eq!(world.ask(one, wire::about(3, opcode, pointer, [])), address_fault(3));
    }
    assert_eq!(list(&mut world, one), [kept]);
    let counters = world.statistics().counters;
    assert_eq!((counters.records_created, counters.records_deleted), (2, 1));
}

#[test]
fn a_taken_over_record_belongs_to_the_taker() {
    for access in [4, 5, 6, 7] {
        let (mut world, one, other) = world();
        let pointer = world.create(one, access, "x");
        assert_eq!(world.ask(other, wire::about(2, op::TAKEOVER, pointer, [])), ok(2, []));
        // TAKEOVER is cleared, so that there is one winner; the other bits stay.
        assert_stat(&mut world, other, pointer, 1, 1, other, access & 3);
        assert_eq!(world.ask(one, wire::about(2, op::TAKEOVER, pointer, [])), wire::access_violation(2));
        assert_eq!((list(&mut world, one), list(&mut world, other)), (vec![], vec![pointer]));
        assert_eq!(world.ask(one, wire::about(2, op::DELETE, pointer, [])), wire::access_violation(2));
        assert_eq!(world.ask(other, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
        assert_eq!(world.bytes(), 0);
    }
}

#[test]
fn of_sixty_four_takers_exactly_one_wins() {
    let (mut world, one, _) = world();
    let takers: Vec<Peer> = (10..74).map(|i| world.connect(&format!("127.0.0.{i}"))).collect();
    for round in 0..20 {
        let pointer = world.create(one, 5, "x");
        let first = takers[round % 64];
        for taker in takers.iter().cycle().skip(round % 64).take(64) {
            let won = world.ask(*taker, wire::about(2, op::TAKEOVER, pointer, []));
            assert_eq!(won.code, u8::from(*taker != first));
        }
        assert_stat(&mut world, one, pointer, 1, 1, first, 1);
    }
}

#[test]
fn an_owner_that_becomes_the_owner_changes_nothing() {
    let (mut world, one, _) = world();
    let twin = world.connect("::ffff:127.0.0.1");
    for access in 0..8 {
        let pointer = world.create(one, access, "x");
        let transfer = wire::about(2, op::TRANSFER, pointer, one.owner.get().to_be_bytes());
        for peer in [one, twin] {
            assert_eq!(world.ask(peer, wire::about(2, op::TAKEOVER, pointer, [])), ok(2, []));
            assert_eq!(world.ask(peer, &transfer), ok(2, []));
        }
        assert_stat(&mut world, one, pointer, 1, 1, one, access);
    }
}

#[test]
fn a_transferred_record_belongs_to_whom_it_was_given() {
    for access in 0..8 {
        let (mut world, one, other) = world();
        let pointer = world.create(one, access, "x");
        let sent = wire::about(2, op::TRANSFER, pointer, other.owner.get().to_be_bytes());
        assert_eq!(world.ask(one, &sent), ok(2, []));
        assert_stat(&mut world, other, pointer, 1, 1, other, access & 3);
        assert_eq!(world.ask(one, sent), wire::access_violation(2));
        assert_eq!((list(&mut world, one), list(&mut world, other)), (vec![], vec![pointer]));
    }
}

#[test]
fn a_record_is_given_to_a_hash_that_nobody_has() {
    let (mut world, one, _) = world();
    let pointer = world.create(one, 1, "x");
    assert_eq!(world.ask(one, wire::about(2, op::TRANSFER, pointer, [0xff; 8])), ok(2, []));
    let stat = world.ask(one, wire::about(3, op::STAT, pointer, []));
    assert_eq!((&stat.payload[12..20], &stat.payload[22..]), (&[0xff; 8][..], &300_u32.to_be_bytes()[..]));
    assert_eq!(world.statistics().owners, 3);
    world.wait(support::GRACE);
    assert_eq!((world.statistics().owners, world.bytes()), (2, 0));
}

#[test]
fn identify_tells_who_the_caller_is_and_what_the_server_allows() {
    let mut world = World::with(|config| {
        config.limits.record = 12_345;
        config.times.grace = std::time::Duration::from_millis(7001);
    });
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.2", "::1"] {
        let peer = world.connect(address);
        let identity = [
            &peer.owner.get().to_be_bytes()[..],
            &1_u16.to_be_bytes(),
            &1390_u16.to_be_bytes(),
            &12_345_u32.to_be_bytes(),
            &8_u32.to_be_bytes(),
        ];
        assert_eq!(world.ask(peer, request(2, op::IDENTIFY, 0, [])), ok(2, identity.concat()));
    }
}

#[test]
fn a_ping_of_any_length_comes_back() {
    let (mut world, one, _) = world();
    let payload = pattern(LIMIT + 1);
    for len in 0..=LIMIT {
        assert_eq!(world.ask(one, ping(len as u32, &payload[..len])), ok(len as u32, &payload[..len]));
        assert_eq!(world.bytes(), 0);
    }
    assert_eq!(world.ask(one, ping(1, payload)), wire::too_large(1, LIMIT as u32));
}

#[test]
fn a_list_has_the_callers_pointers_in_ascending_order() {
    let (mut world, one, other) = world();
    assert_eq!((list(&mut world, one), list(&mut world, other)), (vec![], vec![]));
    let mut mine = Vec::new();
    // 400 pointers need three packets.
    for n in 0..400 {
        mine.push(world.create(one, 7, ""));
        if n % 4 == 0 {
            world.create(other, 7, "");
        }
    }
    mine.sort_unstable();
    let twin = world.connect("127.0.0.1");
    assert_eq!((list(&mut world, one), list(&mut world, twin)), (mine.clone(), mine.clone()));
    assert_eq!(list(&mut world, other).len(), 100);
    for pointer in mine.drain(..200) {
        assert_eq!(world.ask(twin, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
    }
    assert_eq!(list(&mut world, one), mine);
    assert_eq!(world.bytes(), 300 * OVERHEAD);
}

#[test]
fn a_reply_is_a_snapshot_whatever_is_done_while_it_is_sent() {
    let mut world = World::new();
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let states = [pattern(300_000), vec![7; 200_000], vec![9; 100]];
    let pointer = world.create(one, 3, &states[0]);
    let read = wire::about(2, op::RESOLVE, pointer, []);
    world.send(other, &read);
    assert_eq!(world.take_replies(other, 150_000), []);
    for (n, state) in states.iter().enumerate().skip(1) {
        world.send(one, wire::about(3, op::REPLACE, pointer, state));
        assert_eq!(world.replies(one), [version(3, n as u64 + 1)]);
        world.send(one, wire::about(4, op::RESOLVE, pointer, []));
        assert_eq!(world.replies(one), [resolved(4, state)]);
    }
    // What only the reply still holds counts until it is sent: it has let go of what was sent.
    let held_by_reply = world.bytes() - (held(100) + OVERHEAD);
    assert!((130_000..held(300_000) - 100_000).contains(&held_by_reply), "{held_by_reply}");
    world.send(one, wire::about(5, op::DELETE, pointer, []));
    assert_eq!(world.replies(one), [ok(5, [])]);
    assert_eq!(world.bytes(), held_by_reply);
    assert_eq!(world.replies(other), [resolved(2, &states[0])]);
    assert_eq!(world.bytes(), 0);
    world.assert_silence();
}

#[test]
fn many_readers_share_one_snapshot() {
    let mut world = World::new();
    let one = world.connect("127.0.0.1");
    let pointer = world.create(one, 1, pattern(300_000));
    let readers: Vec<Peer> = (2..12).map(|i| world.connect(&format!("127.0.0.{i}"))).collect();
    for reader in &readers {
        world.send(*reader, wire::about(2, op::RESOLVE, pointer, []));
    }
    world.send(one, wire::about(2, op::DELETE, pointer, []));
    assert_eq!(world.replies(one), [ok(2, [])]);
    assert_eq!(world.bytes(), held(300_000) - 320);
    for reader in &readers {
        assert_eq!(world.replies(*reader), [resolved(2, pattern(300_000))]);
    }
    assert_eq!(world.bytes(), 0);
}

#[test]
fn every_request_is_counted_under_its_operation() {
    let (mut world, one, _) = world();
    let pointer = world.create(one, 7, "x");
    for opcode in Opcode::ALL.into_iter().skip(1) {
        // Refused ones too: some of these have no pointer, some one too many.
        for _ in 0..=opcode as u8 {
            world.ask(one, wire::about(2, opcode as u8, pointer, []));
        }
    }
    world.ask(one, request(2, op::UNKNOWN, 0, []));
    let counters = world.statistics().counters;
    assert_eq!((counters.requests(Opcode::CreateRecord), counters.unknown_requests()), (1, 1));
    for opcode in Opcode::ALL.into_iter().skip(1) {
        assert_eq!(counters.requests(opcode), opcode as u64 + 1, "{opcode}");
    }
}
