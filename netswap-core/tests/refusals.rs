//! What is refused, in which order it is checked, and that a refused request changes nothing (docs/PROTOCOL.md §3.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use netswap_core::error::Quota;
use netswap_core::wire::Code;
use support::wire::{
    self, FULL, Message, access_violation, address_fault, invalid, ok, op, pattern, pointed, quota, request,
    resolved, too_large, unsupported,
};
use support::{OVERHEAD, World, held};

const LIMIT: usize = 4000;

/// A pointer to no record.
const NOWHERE: u64 = 0x00c0_ffee_00c0_ffee;

fn world() -> (World, Peer, Peer) {
    let mut world = World::with(|config| config.limits.record = LIMIT as u32);
    let (owner, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, owner, other)
}

/// A well-formed request of an operation about a record; the new owner of a TRANSFER is nobody.
fn well_formed(opcode: u8, pointer: u64) -> Vec<u8> {
    match opcode {
        op::TRANSFER => wire::about(9, opcode, pointer, [1; 8]),
        op::REPLACE | op::APPEND => wire::about(9, opcode, pointer, "new"),
        op::READ_RANGE => wire::read_range(9, pointer, 1, 2),
        op::WRITE_RANGE => wire::write_range(9, pointer, 1, "new"),
        op::COMPARE => wire::compare(9, pointer, 1, "new"),
        op::ADD => wire::add(9, pointer, 0, 1),
        op::IF_CHANGED => wire::if_changed(9, pointer, 0),
        _ => wire::about(9, opcode, pointer, []),
    }
}

const ABOUT_A_RECORD: [u8; 13] = [
    op::PERMIT,
    op::RESOLVE,
    op::REPLACE,
    op::DELETE,
    op::TAKEOVER,
    op::TRANSFER,
    op::STAT,
    op::READ_RANGE,
    op::WRITE_RANGE,
    op::APPEND,
    op::COMPARE,
    op::ADD,
    op::IF_CHANGED,
];

/// The access bits that let others do it (§3.1).
fn right(opcode: u8) -> Option<u8> {
    match opcode {
        op::RESOLVE | op::STAT | op::READ_RANGE | op::IF_CHANGED => Some(1),
        op::REPLACE | op::WRITE_RANGE | op::APPEND | op::COMPARE => Some(2),
        op::ADD => Some(3),
        op::TAKEOVER => Some(4),
        _ => None,
    }
}

#[test]
fn others_may_do_what_the_access_bits_say_and_the_owner_everything() {
    for access in 0..8 {
        for opcode in ABOUT_A_RECORD {
            let (mut world, owner, other) = world();
            let pointer = world.create(owner, access, "old data");
            let stat = |world: &mut World| world.ask(owner, wire::about(8, op::STAT, pointer, []));
            let before = (stat(&mut world), world.bytes());
            let answer = world.ask(other, well_formed(opcode, pointer));
            if right(opcode).is_some_and(|bits| access & bits == bits) {
                assert!(!wire::is_refusal(&answer), "{opcode} with {access}: {answer:?}");
                continue;
            }
            assert_eq!(answer, access_violation(9), "{opcode} with {access}");
            assert_eq!((stat(&mut world), world.bytes()), before);
            let read = wire::about(8, op::RESOLVE, pointer, []);
            assert_eq!(world.ask(owner, read), resolved(8, "old data"));
            assert_eq!(world.statistics().counters.refusals(Code::AccessViolation), 1);
            let answer = world.ask(owner, well_formed(opcode, pointer));
            assert!(!wire::is_refusal(&answer), "{opcode} by the owner: {answer:?}");
        }
    }
}

#[test]
fn rights_are_those_of_the_moment() {
    let (mut world, owner, other) = world();
    let pointer = world.create(owner, 3, "x");
    let sent = wire::packets(5, op::REPLACE, 0, pointed(pointer, pattern(3000)));
    let permit = |access| request(6, op::PERMIT, access, pointer.to_be_bytes());
    // Taken away before the last packet: judged again, decisively.
    assert_eq!(world.exchange(other, sent[..2].concat()), []);
    assert_eq!(world.ask(owner, permit(1)), ok(6, []));
    assert_eq!(world.ask(other, &sent[2]), access_violation(5));
    // Given before the last packet: too late, it was refused at the first.
    assert_eq!(world.ask(other, &sent[0]), access_violation(5));
    assert_eq!(world.ask(owner, permit(3)), ok(6, []));
    assert_eq!(world.exchange(other, sent[1..].concat()), []);
    assert_eq!(world.ask(other, wire::about(7, op::RESOLVE, pointer, [])), resolved(7, "x"));
    assert_eq!(world.ask(other, sent.concat()), ok(5, 2_u64.to_be_bytes()));
    // A record that is removed meanwhile.
    assert_eq!(world.exchange(other, sent[..2].concat()), []);
    assert_eq!(world.ask(owner, wire::about(6, op::DELETE, pointer, [])), ok(6, []));
    assert_eq!(world.ask(other, &sent[2]), address_fault(5));
    assert_eq!(world.bytes(), 0);
}

#[test]
fn there_is_no_record_at_other_pointers() {
    let (mut world, owner, _) = world();
    let pointer = world.create(owner, 7, "x");
    for nowhere in [0, 1, NOWHERE, u64::MAX, pointer ^ 1, pointer.swap_bytes()] {
        for opcode in ABOUT_A_RECORD {
            assert_eq!(world.ask(owner, well_formed(opcode, nowhere)), address_fault(9));
        }
    }
    assert_eq!(world.statistics().counters.refusals(Code::AddressFault), 6 * 13);
}

/// Requests with several faults: the first in the order of checks is named.
#[test]
fn the_first_fault_in_the_order_of_checks_is_named() {
    let (mut world, owner, other) = world();
    let theirs = world.create(owner, 0, "x");
    let long = pattern(LIMIT + 1);
    let cases: Vec<(Vec<u8>, Message)> = vec![
        // Unknown before everything.
        (request(9, op::UNKNOWN, 0xff, &long), unsupported(9)),
        (request(9, 254, 0xff, []), unsupported(9)),
        // The ACCESS byte before the length, the operands, the record, the right, the size.
        (request(9, op::RESOLVE, 1, [0; 7]), invalid(9, 1)),
        (request(9, op::RESOLVE, 1, NOWHERE.to_be_bytes()), invalid(9, 1)),
        (request(9, op::RESOLVE, 1, theirs.to_be_bytes()), invalid(9, 1)),
        (request(9, op::TRANSFER, 1, [0; 16]), invalid(9, 1)),
        (request(9, op::CREATE, 8, &long), invalid(9, 1)),
        (request(9, op::PERMIT, 8, [0; 7]), invalid(9, 1)),
        (request(9, op::LIST, 1, [0]), invalid(9, 1)),
        (request(9, op::WRITE_RANGE, 1, [0; 11]), invalid(9, 1)),
        (request(9, op::ADD, 0x80, [0; 21]), invalid(9, 1)),
        // The length before the operands, the record, the right, the size.
        (request(9, op::TRANSFER, 0, [0; 15]), invalid(9, 2)),
        (request(9, op::TRANSFER, 0, [0; 17]), invalid(9, 2)),
        (request(9, op::DELETE, 0, pointed(theirs, [0])), invalid(9, 2)),
        (request(9, op::DELETE, 0, pointed(theirs, &long)), invalid(9, 2)),
        (request(9, op::REPLACE, 0, [0; 7]), invalid(9, 2)),
        (wire::about(9, op::WRITE_RANGE, theirs, [0; 3]), invalid(9, 2)),
        (wire::about(9, op::COMPARE, NOWHERE, [0; 7]), invalid(9, 2)),
        (wire::about(9, op::ADD, theirs, [0xff; 11]), invalid(9, 2)),
        (wire::about(9, op::ADD, theirs, [0xff; 13]), invalid(9, 2)),
        (wire::about(9, op::READ_RANGE, theirs, [0xff; 9]), invalid(9, 2)),
        // The operands before the record, the right.
        (wire::about(9, op::TRANSFER, NOWHERE, [0; 8]), invalid(9, 3)),
        (wire::about(9, op::TRANSFER, theirs, [0; 8]), invalid(9, 3)),
        // The record before the size, the range, the version.
        (wire::write_range(9, NOWHERE, u32::MAX, "x"), address_fault(9)),
        (wire::append(9, NOWHERE, &long), address_fault(9)),
        (wire::compare(9, NOWHERE, 7, &long), address_fault(9)),
        (wire::about(9, op::REPLACE, NOWHERE, &long), address_fault(9)),
        // The right before the size, the range, the version.
        (wire::write_range(9, theirs, u32::MAX, "x"), access_violation(9)),
        (wire::append(9, theirs, &long), access_violation(9)),
        (wire::compare(9, theirs, 7, "x"), access_violation(9)),
        (wire::add(9, theirs, u32::MAX, 1), access_violation(9)),
        (wire::if_changed(9, theirs, 1), access_violation(9)),
        (wire::read_range(9, theirs, u32::MAX, 0), access_violation(9)),
        (wire::about(9, op::REPLACE, theirs, &long), access_violation(9)),
        (request(9, op::CREATE, 0, &long), too_large(9, LIMIT as u32)),
    ];
    let before = world.statistics();
    for (sent, answer) in &cases {
        assert_eq!(world.ask(other, sent), *answer);
    }
    let after = world.statistics();
    assert_eq!((before.records, before.bytes, before.owners), (after.records, after.bytes, after.owners));
    let refused: u64 = Code::ALL.map(|code| after.counters.refusals(code)).iter().sum();
    assert_eq!(refused, cases.len() as u64);
}

#[test]
fn the_size_is_judged_before_the_quotas() {
    // A server that is full in every way.
    let mut world = World::with(|config| {
        config.limits.record = LIMIT as u32;
        config.limits.total = held(LIMIT as u64) + OVERHEAD;
        config.limits.owner_bytes = Some(LIMIT as u64 + 128);
        config.limits.owner_records = Some(1);
    });
    let owner = world.connect("127.0.0.1");
    let full = world.create(owner, 7, pattern(LIMIT));
    for sent in [
        request(9, op::CREATE, 0, pattern(LIMIT + 1)),
        wire::about(9, op::REPLACE, full, pattern(LIMIT + 1)),
        request(9, op::PING, 0, pattern(LIMIT + 1)),
        wire::append(9, full, "x"),
        wire::write_range(9, full, LIMIT as u32, "x"),
        wire::compare(9, full, 7, pattern(LIMIT + 1)),
    ] {
        assert_eq!(world.ask(owner, sent), too_large(9, LIMIT as u32));
    }
    assert_eq!(world.ask(owner, request(9, op::CREATE, 0, "")), quota(9, 1, held(LIMIT as u64) + OVERHEAD));
    assert_eq!(world.statistics().counters.quota(Quota::ServerMemory), 1);
}

#[test]
fn a_record_has_at_most_the_record_limit() {
    for limit in [1, 10, 1389, 1390, 1391, 2780, LIMIT] {
        let mut world = World::with(|config| config.limits.record = limit as u32);
        let owner = world.connect("127.0.0.1");
        let pointer = world.create(owner, 0, pattern(limit));
        assert_eq!(
            world.ask(owner, request(2, op::CREATE, 0, pattern(limit + 1))),
            too_large(2, limit as u32)
        );
        let replace = |len| wire::about(3, op::REPLACE, pointer, pattern(len));
        assert_eq!(world.ask(owner, replace(limit + 1)), too_large(3, limit as u32));
        assert_eq!(world.ask(owner, replace(limit)), ok(3, 2_u64.to_be_bytes()));
        assert_eq!(world.statistics().records, 1);
    }
}

#[test]
fn what_can_be_judged_with_the_first_packet_is_judged_there() {
    let (mut world, owner, other) = world();
    let theirs = world.create(owner, 0, "x");
    let three = pattern(2 * FULL + 5);
    let mine = world.create(other, 0, pattern(LIMIT - 2 * FULL));
    let replace = |pointer| request(9, op::REPLACE, 0, pointed(pointer, &three));
    for (sent, answer) in [
        (request(9, op::UNKNOWN, 0, &three), unsupported(9)),
        (request(9, op::CREATE, 8, &three), invalid(9, 1)),
        (request(9, op::STAT, 0, &three), invalid(9, 2)),
        (replace(NOWHERE), address_fault(9)),
        (replace(theirs), access_violation(9)),
        (wire::write_range(9, theirs, 0, &three), access_violation(9)),
        (wire::append(9, NOWHERE, &three), address_fault(9)),
        (wire::compare(9, theirs, 7, &three), access_violation(9)),
        (wire::write_range(9, mine, LIMIT as u32 - 2 * FULL as u32, &three), too_large(9, LIMIT as u32)),
        (wire::append(9, mine, &three), too_large(9, LIMIT as u32)),
        (wire::compare(9, mine, 7, pattern(LIMIT + 1)), too_large(9, LIMIT as u32)),
        (request(9, op::PING, 0, pattern(LIMIT + 1)), too_large(9, LIMIT as u32)),
        (request(9, op::CREATE, 0, pattern(LIMIT + 1)), too_large(9, LIMIT as u32)),
    ] {
        // Not before the packet is complete, and then at once.
        assert_eq!(world.exchange(other, &sent[..10 + FULL - 1]), []);
        assert_eq!(world.ask(other, &sent[10 + FULL - 1..10 + FULL]), answer);
        assert_eq!(world.statistics().unfinished_bytes, 0);
        // The rest is thrown away; then the XID is free.
        assert_eq!(world.exchange(other, &sent[10 + FULL..]), []);
        assert_eq!(world.ask(other, wire::ping(9, "free")), ok(9, "free"));
        // Or it is never sent.
        assert_eq!(world.ask(other, &sent[..10 + FULL]), answer);
        assert_eq!(world.exchange(other, wire::abort(9)), []);
        assert_eq!(world.ask(other, wire::ping(9, "free")), ok(9, "free"));
    }
    assert_eq!(world.ask(owner, wire::about(2, op::RESOLVE, theirs, [])), resolved(2, "x"));
}
