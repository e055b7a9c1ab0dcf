//! What writes to parts of records cost: quotas, snapshots, copies (docs/PROTOCOL.md §3.3, §7.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::config::Config;
use netswap_core::engine::Peer;
use netswap_core::error::Quota;
use support::wire::{
    self, FULL, Message, add, added, address_fault, append, appended, compare, if_changed, mismatch, op,
    packets, pattern, pointed, quota, range, read_range, resolved, version, write_range,
};
use support::{OVERHEAD, World, held};

fn world(change: impl FnOnce(&mut Config)) -> (World, Peer, Peer) {
    let mut world = World::with(|config| {
        config.limits.record = 10_000;
        change(config);
    });
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, one, other)
}

/// The answer, while others may have something to read.
fn ask(world: &mut World, peer: Peer, bytes: Vec<u8>) -> Message {
    world.send(peer, bytes);
    let mut replies = world.replies(peer);
    assert_eq!(replies.len(), 1, "{replies:?}");
    replies.remove(0)
}

/// A server that is full to the last byte but `room`, with a record of 1024 bytes for everybody.
fn full(room: usize) -> (World, Peer, Peer, u64) {
    let (mut world, one, other) = world(|config| config.limits.total = 10_000);
    let pointer = world.create(one, 7, pattern(1024));
    world.fill(one, 10_000 - room as u64, 10_000);
    (world, one, other, pointer)
}

#[test]
fn growth_counts_in_the_servers_memory() {
    for room in [256, 512, 1024] {
        let (mut world, one, other, pointer) = full(room);
        let over = pattern(room + 1);
        assert_eq!(world.ask(other, append(2, pointer, &over)), quota(2, 1, 10_000));
        assert_eq!(world.ask(one, write_range(2, pointer, 1024, &over)), quota(2, 1, 10_000));
        assert_eq!(world.ask(one, write_range(2, pointer, 1025 + room as u32, "")), quota(2, 1, 10_000));
        assert_eq!(
            world.ask(one, compare(2, pointer, 1, [&over, &pattern(1024)[..]].concat())),
            quota(2, 1, 10_000)
        );
        assert_eq!(world.bytes(), 10_000 - room as u64);
        // To the last byte.
        assert_eq!(world.ask(other, append(2, pointer, &over[1..])), appended(2, 2, 1024));
        assert_eq!(world.bytes(), 10_000);
        assert_eq!(world.statistics().counters.quota(Quota::ServerMemory), 4);
    }
}

#[test]
fn what_does_not_grow_goes_on_when_the_server_is_full() {
    let (mut world, one, other, pointer) = full(0);
    let mut state = pattern(1024);
    let number = i64::from_be_bytes(state[1..9].try_into().unwrap());
    for n in 0..100 {
        let now = 1 + n * 8;
        assert_eq!(world.ask(other, write_range(2, pointer, 500, [n as u8; 524])), version(2, now + 1));
        assert_eq!(world.ask(other, add(2, pointer, 1, 1)), added(2, now + 2, number + n as i64 + 1));
        assert_eq!(world.ask(other, append(2, pointer, "")), appended(2, now + 3, 1024));
        assert_eq!(world.ask(other, write_range(2, pointer, 1024, "")), version(2, now + 4));
        state[500..].fill(n as u8);
        state[1..9].copy_from_slice(&(number + n as i64 + 1).to_be_bytes());
        assert_eq!(world.ask(one, compare(2, pointer, now + 4, &state)), version(2, now + 5));
        assert_eq!(world.ask(one, compare(2, pointer, now + 5, &state[..1023])), version(2, now + 6));
        assert_eq!(world.ask(one, append(2, pointer, [n as u8])), appended(2, now + 7, 1023));
        assert_eq!(world.ask(one, wire::about(2, op::REPLACE, pointer, &state)), version(2, now + 8));
        assert_eq!(world.ask(one, read_range(2, pointer, 990, 9)), range(2, now + 8, 1024, &state[990..999]));
        assert_eq!(world.bytes(), 10_000);
    }
}

#[test]
fn growth_takes_no_room_beyond_what_is_written() {
    let (mut world, one, _) = world(|_| {});
    let pointer = world.create(one, 0, "");
    let mut len = 0;
    for n in 0..90 {
        world.ask(one, append(2, pointer, pattern(n)));
        len += n as u64;
        assert_eq!(world.bytes(), OVERHEAD + held(len));
    }
    assert_eq!(world.ask(one, wire::about(2, op::REPLACE, pointer, "x")), version(2, 92));
    assert_eq!(world.bytes(), held(1) + OVERHEAD);
    assert_eq!(world.ask(one, append(2, pointer, pattern(800))), appended(2, 93, 1));
    assert_eq!(world.ask(one, wire::about(2, op::DELETE, pointer, [])), wire::ok(2, []));
    assert_eq!(world.bytes(), 0);
}

#[test]
fn a_hole_takes_nothing_until_it_is_written() {
    let (mut world, one, _) = world(|config| {
        config.limits.record = 1 << 30;
        config.limits.total = 1 << 30;
    });
    let pointer = world.create(one, 0, "x");
    let at = (1 << 30) - 1;
    assert_eq!(world.ask(one, write_range(2, pointer, at, "y")), version(2, 2));
    // Two chunks, of which the last is as long as what lies before the byte in it, and the tables above them.
    assert!(world.bytes() < 20_000, "{}", world.bytes());
    assert_eq!(world.ask(one, read_range(2, pointer, at - 2, 9)), range(2, 2, 1 << 30, b"\0\0y"));
    let before = world.bytes();
    assert_eq!(world.ask(one, write_range(2, pointer, 500_000, "z")), version(2, 3));
    assert!((1..20_000).contains(&(world.bytes() - before)));
    assert_eq!(world.ask(one, wire::about(2, op::REPLACE, pointer, "x")), version(2, 4));
    assert_eq!(world.bytes(), held(1) + OVERHEAD);
}

#[test]
fn data_of_many_packets_need_room_beside_what_has_arrived() {
    let total = OVERHEAD + 8 + 4097 + held(4097) - 1;
    let (mut world, one, _) = world(|config| (config.limits.record, config.limits.total) = (9000, total));
    let pointer = world.create(one, 0, "");
    let sent = |len| packets(2, op::APPEND, 0, pointed(pointer, pattern(len)));
    // While they are written they are held twice: as they came, operands and all, and in the record.
    let all = sent(4097);
    assert_eq!(world.exchange(one, all[..2].concat()), []);
    assert_eq!(world.ask(one, &all[2]), quota(2, 1, total));
    assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (OVERHEAD, 0));
    assert_eq!(world.ask(one, sent(4096).concat()), appended(2, 2, 0));
    assert_eq!(world.bytes(), held(4096) + OVERHEAD);
}

#[test]
fn growth_counts_for_the_records_owner_whoever_writes() {
    let (mut world, one, other) = world(|config| config.limits.owner_bytes = Some(3000));
    let pointer = world.create(one, 7, pattern(1000));
    let room = 3000 - 1000 - OVERHEAD as usize;
    let over = pattern(room + 1);
    assert_eq!(world.ask(other, append(2, pointer, &over)), quota(2, 2, 3000));
    assert_eq!(world.ask(other, write_range(2, pointer, 1000, &over)), quota(2, 2, 3000));
    assert_eq!(world.ask(other, write_range(2, pointer, 3000, "")), quota(2, 2, 3000));
    assert_eq!(world.ask(other, compare(2, pointer, 1, pattern(1001 + room))), quota(2, 2, 3000));
    // The room that growth makes is not the owner's business.
    assert_eq!(world.ask(other, append(2, pointer, &over[2..])), appended(2, 2, 1000));
    assert_eq!(world.ask(other, append(2, pointer, "x")), appended(2, 3, 999 + room as u32));
    assert_eq!(world.ask(one, append(2, pointer, "x")), quota(2, 2, 3000));
    assert_eq!(world.ask(one, wire::request(2, op::CREATE, 0, "")), quota(2, 2, 3000));
    assert_eq!(world.ask(one, write_range(2, pointer, 0, pattern(1000 + room))), version(2, 4));
    // What shrinks makes room again.
    assert_eq!(world.ask(one, compare(2, pointer, 4, pattern(500))), version(2, 5));
    assert_eq!(world.ask(other, write_range(2, pointer, 500, pattern(500 + room))), version(2, 6));
    assert_eq!(world.ask(one, append(2, pointer, "x")), quota(2, 2, 3000));
    assert_eq!(world.statistics().counters.quota(Quota::OwnerBytes), 7);
}

#[test]
fn of_several_quotas_the_lowest_is_named_and_the_version_and_the_range_come_last() {
    let unfinished = 2 * FULL as u64;
    for (total, owner_bytes, bytes, named) in [
        (3010, Some(2000), unfinished, Some(quota(2, 1, 3010))),
        (20_000, Some(2000), unfinished, Some(quota(2, 2, 2000))),
        (20_000, None, unfinished, Some(quota(2, 5, unfinished))),
        (20_000, None, 10_000, None),
    ] {
        let (mut world, one, _) = world(|config| {
            config.limits.record = 3000;
            config.limits.total = total;
            config.limits.owner_bytes = owner_bytes;
            config.limits.connection_unfinished = bytes;
        });
        let pointer = world.create(one, 0, pattern(100));
        let data = pattern(2 * FULL + 1);
        let ask = |world: &mut World, sent: Vec<u8>| world.ask(one, sent);
        let named = |free: Message| named.clone().unwrap_or(free);
        assert_eq!(ask(&mut world, compare(2, pointer, 7, &data)), named(mismatch(2, 1)));
        assert_eq!(ask(&mut world, append(2, pointer, &data)), named(appended(2, 2, 100)));
        assert_eq!(ask(&mut world, write_range(2, pointer, 1, &data)), named(version(2, 3)));
        assert_eq!(world.statistics().unfinished_bytes, 0);
    }
    let (mut world, one, _, pointer) = full(0);
    assert_eq!(world.ask(one, compare(2, pointer, 7, pattern(1025))), quota(2, 1, 10_000));
    assert_eq!(world.ask(one, compare(2, pointer, 7, pattern(1024))), mismatch(2, 1));
    assert_eq!(world.ask(one, add(2, pointer, 1017, 1)), address_fault(2));
}

#[test]
fn a_write_that_passed_the_total_on_its_way_is_refused_for_that_before_its_owners_quota() {
    // All of it is a size class, so that one byte more needs the next.
    let (len, more) = (2560, held(2561) - 2560);
    let before = len as u64 + OVERHEAD;
    let full = |room: u64| quota(2, 1, before + len as u64 + room);
    for (room, named) in [(12, full(12)), (12 + more, full(12 + more)), (13 + more, quota(2, 2, before))] {
        let (mut world, one, _) = world(|config| {
            config.limits.record = 3000;
            config.limits.total = before + len as u64 + room;
            config.limits.owner_bytes = Some(before);
        });
        let pointer = world.create(one, 0, pattern(len));
        // It has thirteen bytes beside them, and the record grows by one.
        assert_eq!(world.ask(one, write_range(2, pointer, 0, pattern(len + 1))), named);
        assert_eq!(world.bytes(), before);
    }
}

/// A server with a record of 300 000 bytes that is being sent to the second client, who has read a part.
fn being_read(request: fn(u64) -> Vec<u8>, total: u64) -> (World, Peer, Peer, u64) {
    let (mut world, one, other) = world(|config| {
        config.limits.record = 320_000;
        config.limits.total = total;
    });
    let pointer = world.create(one, 3, pattern(300_000));
    world.send(other, request(pointer));
    assert_eq!(world.take_replies(other, 100_000), []);
    (world, one, other, pointer)
}

#[test]
fn a_reply_is_a_snapshot_and_a_write_beside_it_copies_what_it_touches() {
    type Read = fn(u64) -> Vec<u8>;
    let reads: [(Read, Message); 3] = [
        (|pointer| wire::about(2, op::RESOLVE, pointer, []), resolved(2, pattern(300_000))),
        (|pointer| if_changed(2, pointer, 0), wire::changed(2, 1, pattern(300_000))),
        (|pointer| read_range(2, pointer, 10, 299_000), range(2, 1, 300_000, &pattern(299_010)[10..])),
    ];
    let (path, chunk) = (2 * 320, 10_240 + 64);
    for (read, reply) in reads {
        let (mut world, one, other, pointer) = being_read(read, 1 << 30);
        let before = world.bytes();
        assert_eq!(before, held(300_000) + OVERHEAD);
        // Nothing is written: nothing is copied.
        assert_eq!(ask(&mut world, one, write_range(3, pointer, 5, "")), version(3, 2));
        assert_eq!(ask(&mut world, one, append(3, pointer, "")), appended(3, 3, 300_000));
        assert_eq!(world.bytes(), before);
        let number = i64::from_be_bytes(pattern(300_000)[290_000..290_008].try_into().unwrap());
        assert_eq!(ask(&mut world, one, add(3, pointer, 290_000, 1)), added(3, 4, number + 1));
        let copied = world.bytes() - before;
        assert!((chunk..=chunk + path).contains(&copied), "{copied}");
        assert_eq!(ask(&mut world, one, add(3, pointer, 290_008, 0)).code, 0);
        assert_eq!(world.bytes() - before, copied, "the chunk is its own by now");
        assert_eq!(ask(&mut world, one, write_range(3, pointer, 0, [0xee; 200_000])), version(3, 6));
        let copied = world.bytes() - before;
        // What has left already is nobody's but the record's.
        assert!((90_000..230_000).contains(&copied), "{copied}");
        assert_eq!(ask(&mut world, one, append(3, pointer, [7; 1000])), appended(3, 7, 300_000));
        let state =
            [&[0xee; 200_000], &pattern(290_000)[200_000..], &(number + 1).to_be_bytes()[..]].concat();
        let state = [&state, &pattern(300_000)[290_008..], &[7; 1000]].concat();
        assert_eq!(ask(&mut world, one, if_changed(3, pointer, 0)), wire::changed(3, 7, state));
        assert_eq!(world.replies(other), [reply]);
        assert!((held(301_000)..held(301_000) + 1200).contains(&(world.bytes() - OVERHEAD)));
        assert_eq!(ask(&mut world, one, wire::about(3, op::DELETE, pointer, [])), wire::ok(3, []));
        assert_eq!(world.bytes(), 0);
    }
}

#[test]
fn a_write_beside_a_reply_needs_room_for_what_it_copies() {
    let resolve = |pointer| wire::about(2, op::RESOLVE, pointer, []);
    let total = held(300_000) + OVERHEAD + 9000;
    let (mut world, one, other, pointer) = being_read(resolve, total);
    let full = quota(3, 1, total);
    assert_eq!(ask(&mut world, one, write_range(3, pointer, 290_007, "x")), full);
    assert_eq!(ask(&mut world, one, add(3, pointer, 290_000, 1)), full);
    // What would write nothing needs nothing.
    assert_eq!(ask(&mut world, one, add(3, pointer, 299_993, 1)), address_fault(3));
    assert_eq!(ask(&mut world, one, write_range(3, pointer, 7, "")), version(3, 2));
    // The last chunk is short: its copy fits.
    assert_eq!(ask(&mut world, one, append(3, pointer, "x")), appended(3, 3, 300_000));
    assert_eq!(ask(&mut world, one, compare(3, pointer, 3, pattern(1000))), version(3, 4));
    assert!(world.bytes() <= total);
    assert_eq!(world.replies(other), [resolved(2, pattern(300_000))]);
    assert_eq!(world.bytes(), held(1000) + OVERHEAD);
    assert_eq!(ask(&mut world, one, add(3, pointer, 992, 0)).code, 0);
    assert_eq!(ask(&mut world, one, add(3, pointer, 993, 0)), address_fault(3));
}

#[test]
fn an_append_that_another_one_overtakes_begins_where_that_one_ends() {
    for other_len in [0_usize, 1, 9730, 20_000] {
        let (mut world, one, other) = world(|config| config.limits.record = 400_000);
        let pointer = world.create(one, 3, pattern(50_001));
        let sent = packets(2, op::APPEND, 0, pointed(pointer, [9; 100_000]));
        assert_eq!(world.exchange(one, sent[..sent.len() - 1].concat()), []);
        assert_eq!(world.ask(other, append(3, pointer, vec![8; other_len])), appended(3, 2, 50_001));
        let at = 50_001 + other_len;
        assert_eq!(world.ask(one, &sent[sent.len() - 1]), appended(2, 3, at as u32));
        let state = [&pattern(50_001), &vec![8; other_len][..], &[9; 100_000]].concat();
        assert_eq!(world.ask(other, if_changed(3, pointer, 0)), wire::changed(3, 3, state));
    }
}

#[test]
fn a_range_written_in_many_packets_takes_its_place_whatever_happened_meanwhile() {
    type Meanwhile = fn(u64) -> Vec<u8>;
    let nothing = |_| wire::request(3, op::IDENTIFY, 0, []);
    let whiles: [(Meanwhile, usize); 3] = [
        (nothing, 150_000),
        (|pointer| wire::about(3, op::REPLACE, pointer, vec![5; 30_000]), 30_000),
        (|pointer| wire::about(3, op::REPLACE, pointer, "few"), 3),
    ];
    for (meanwhile, len) in whiles {
        for offset in [0, 1, 9730, 19_459, 100_000, 200_000] {
            let (mut world, one, other) = world(|config| config.limits.record = 400_000);
            let pointer = world.create(one, 3, vec![5; 150_000]);
            let data = pattern(90_000);
            let payload = [&u32::try_from(offset).unwrap().to_be_bytes()[..], &data].concat();
            let sent = packets(2, op::WRITE_RANGE, 0, pointed(pointer, payload));
            assert_eq!(world.exchange(one, sent[..sent.len() - 1].concat()), []);
            world.ask(other, meanwhile(pointer));
            assert_eq!(world.ask(one, &sent[sent.len() - 1]).code, 0);
            let mut state = if len == 3 { b"few".to_vec() } else { vec![5; len] };
            state.resize(len.max(offset + 90_000), 0);
            state[offset..offset + 90_000].copy_from_slice(&data);
            let read = world.ask(other, wire::about(4, op::RESOLVE, pointer, []));
            assert_eq!(read, resolved(4, state), "{offset} {len}");
        }
    }
}
