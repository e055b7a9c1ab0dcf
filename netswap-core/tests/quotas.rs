//! Quotas 1 to 5: what counts, what is refused, and which one is named (docs/PROTOCOL.md §4.2, §7.1, §7.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::config::Config;
use netswap_core::engine::Peer;
use netswap_core::error::Quota;
use support::wire::{
    self, FULL, abort, aborted, address_fault, ok, op, packets, pattern, ping, quota, request, resolved,
    unsupported, version,
};
use support::{GRACE, NS, OVERHEAD, OWNER_COST, SETTINGS_COST, World, held, sent};

fn world(change: impl FnOnce(&mut Config)) -> (World, Peer, Peer) {
    let mut world = World::with(|config| {
        config.limits.record = 10_000;
        change(config);
    });
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, one, other)
}

fn create(xid: u32, len: usize) -> Vec<u8> {
    request(xid, op::CREATE, 7, pattern(len))
}

fn replace(xid: u32, pointer: u64, len: usize) -> Vec<u8> {
    wire::about(xid, op::REPLACE, pointer, pattern(len))
}

/// Fills a server with a total of 10 000 bytes to the last byte: the pointer of a record of 1024.
fn full() -> (World, Peer, Peer, u64) {
    let (mut world, one, other) = world(|config| config.limits.total = 10_000);
    let pointer = world.create(one, 7, pattern(1024));
    world.fill(one, 10_000, 10_000);
    (world, one, other, pointer)
}

#[test]
fn the_total_is_used_to_the_last_byte() {
    for len in [0, 16, 64, 80, 1024, 1280, 1536, 4096] {
        let (mut world, one, _) = world(|config| config.limits.total = 10_000);
        let used = 10_000 - OVERHEAD - len as u64;
        world.fill(one, used, 10_000);
        assert_eq!(world.ask(one, create(2, len + 1)), quota(2, 1, 10_000), "{len}");
        assert_eq!(world.bytes(), used);
        assert_eq!(world.ask(one, create(3, len)).code, 0, "{len}");
        assert_eq!(world.bytes(), 10_000);
        assert_eq!(world.statistics().counters.quota(Quota::ServerMemory), 1);
    }
}

#[test]
fn what_does_not_grow_goes_on_when_the_server_is_full() {
    let (mut world, one, other, pointer) = full();
    assert_eq!(world.ask(one, create(2, 0)), quota(2, 1, 10_000));
    // What is sent of few bytes is a copy that counts nothing.
    assert_eq!(world.ask(one, ping(2, pattern(65))), quota(2, 1, 10_000));
    assert_eq!(world.ask(one, ping(2, pattern(64))), ok(2, pattern(64)));
    for _ in 0..1000 {
        assert_eq!(world.ask(other, wire::about(2, op::RESOLVE, pointer, [])), resolved(2, pattern(1024)));
        assert_eq!(world.ask(other, wire::about(2, op::STAT, pointer, [])).code, 0);
    }
    assert_eq!(world.ask(one, replace(2, pointer, 1025)), quota(2, 1, 10_000));
    assert_eq!(world.ask(one, replace(2, pointer, 1024)), version(2, 2));
    assert_eq!(world.ask(one, replace(2, pointer, 896)), version(2, 3));
    assert_eq!(world.bytes(), 10_000 - 128);
    // What is in the same size class counts the same.
    assert_eq!(world.ask(one, replace(2, pointer, 897)), version(2, 4));
    assert_eq!(world.bytes(), 10_000);
    assert_eq!(world.ask(one, replace(2, pointer, 1024)), version(2, 5));
    assert_eq!(world.ask(one, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
    assert_eq!(world.bytes(), 10_000 - 1024 - OVERHEAD);
}

#[test]
fn a_list_counts_until_it_is_sent() {
    let (mut world, one, other) = world(|config| config.limits.total = 10_000);
    let list = request(2, op::LIST, 0, []);
    (0..8).for_each(|_| _ = world.create(one, 0, ""));
    world.fill(other, 10_000, 10_000);
    assert_eq!(world.ask(one, &list).payload.len(), 64, "few");
    let (mut world, one, other) = self::world(|config| config.limits.total = 10_000);
    (0..9).for_each(|_| _ = world.create(one, 0, ""));
    let pointer = world.create(other, 0, pattern(16));
    world.fill(other, 10_000 - sent(72), 10_000);
    assert_eq!(world.ask(one, &list).payload.len(), 72);
    assert_eq!(world.ask(other, replace(2, pointer, 17)), version(2, 2));
    assert_eq!(world.ask(one, &list), quota(2, 1, 10_000));
    let counters = world.statistics().counters;
    assert_eq!(counters.quota(Quota::ServerMemory), 1);
    assert_eq!(counters.requests(netswap_core::wire::Opcode::ListRecords), 2);
    assert_eq!(world.ask(other, replace(2, pointer, 16)), version(2, 3));
    assert_eq!(world.ask(one, &list).payload.len(), 72);
}

#[test]
fn what_only_a_reply_still_holds_counts() {
    const TOTAL: u64 = 420_000;
    let (mut world, one, other) = world(|config| {
        config.limits.record = 200_000;
        config.limits.total = TOTAL;
    });
    let pointer = world.create(one, 1, pattern(200_000));
    world.send(other, wire::about(2, op::RESOLVE, pointer, []));
    // The old data are still being sent: the new come on top.
    let ask = |world: &mut World, bytes: Vec<u8>| {
        world.send(one, bytes);
        world.replies(one)
    };
    assert_eq!(ask(&mut world, replace(2, pointer, 200_000)), [quota(2, 1, TOTAL)]);
    assert_eq!(ask(&mut world, replace(2, pointer, 150_000)), [version(2, 2)]);
    let table = 320;
    assert_eq!(world.bytes(), held(200_000) - table + held(150_000) + OVERHEAD);
    assert_eq!(ask(&mut world, create(2, 50_000)), [quota(2, 1, TOTAL)]);
    assert_eq!(world.replies(other), [resolved(2, pattern(200_000))]);
    assert_eq!(world.bytes(), held(150_000) + OVERHEAD);
    assert_eq!(ask(&mut world, replace(2, pointer, 200_000)), [version(2, 3)]);
    // So does the echo of a PING.
    world.send(other, ping(3, pattern(100_000)));
    let echo = world.bytes() - held(200_000) - OVERHEAD;
    assert!((held(100_000) - table..=held(100_000)).contains(&echo), "{echo}");
    assert_eq!(world.replies(other), [ok(3, pattern(100_000))]);
    assert_eq!(world.bytes(), held(200_000) + OVERHEAD);
}

#[test]
fn unfinished_bytes_count_in_the_total_as_they_arrive() {
    let (mut world, one, other) = world(|config| config.limits.total = 10_000);
    world.create(other, 0, pattern(5000));
    let upload = packets(2, op::CREATE, 0, pattern(9000));
    for n in 1..=3 {
        assert_eq!(world.exchange(one, &upload[n - 1]), []);
        assert_eq!(world.bytes(), held(5000) + OVERHEAD + (n * FULL) as u64);
        assert_eq!(world.statistics().unfinished_bytes, (n * FULL) as u64);
    }
    assert_eq!(world.ask(one, &upload[3]), quota(2, 1, 10_000));
    assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (held(5000) + OVERHEAD, 0));
    assert_eq!(world.exchange(one, upload[4..].concat()), []);
    assert_eq!(world.statistics().counters.quota(Quota::ServerMemory), 1);
    // A declared length counts nothing.
    assert_eq!(world.exchange(one, wire::header(3, 9000, op::CREATE, 0)), []);
    assert_eq!(world.bytes(), held(5000) + OVERHEAD);
}

#[test]
fn an_owner_has_so_many_bytes_and_so_many_records() {
    let (mut world, one, other) = world(|config| {
        config.limits.owner_bytes = Some(3000);
        config.limits.owner_records = Some(3);
    });
    let limit = 3000 - 2 * OVERHEAD as usize;
    let pointer = world.create(one, 7, "");
    assert_eq!(world.ask(one, create(2, limit + 1)), quota(2, 2, 3000));
    assert_eq!(world.ask(one, create(2, limit)).code, 0);
    // Several are exceeded: the lowest is named.
    assert_eq!(world.ask(one, create(2, 0)), quota(2, 2, 3000));
    // It is the record's owner who must have room, whoever writes.
    assert_eq!(world.ask(other, replace(2, pointer, 1)), quota(2, 2, 3000));
    assert_eq!(world.ask(other, create(2, limit)).code, 0);
    assert_eq!(world.bytes(), 2 * held(limit as u64) + 3 * OVERHEAD);
    assert_eq!(world.statistics().counters.quota(Quota::OwnerBytes), 3);

    let (mut world, one, _) = self::world(|config| config.limits.owner_records = Some(3));
    let first = world.create(one, 0, "");
    world.create(one, 0, "");
    world.create(one, 0, "");
    assert_eq!(world.ask(one, create(2, 0)), quota(2, 3, 3));
    assert_eq!(world.ask(one, replace(2, first, 5000)), version(2, 2));
    assert_eq!(world.ask(one, wire::about(2, op::DELETE, first, [])), ok(2, []));
    assert_eq!(world.ask(one, create(2, 0)).code, 0);
    assert_eq!(world.statistics().counters.quota(Quota::OwnerRecords), 1);
}

#[test]
fn a_change_of_owner_counts_for_the_new_one() {
    for (bytes, records, refused) in
        [(Some(400), None, Some((2, 400))), (None, Some(1), Some((3, 1))), (Some(500), Some(2), None)]
    {
        let (mut world, one, other) = world(|config| {
            config.limits.owner_bytes = bytes;
            config.limits.owner_records = records;
        });
        world.create(other, 0, pattern(72));
        let pointer = world.create(one, 7, pattern(172));
        for (peer, sent) in [
            (other, wire::about(2, op::TAKEOVER, pointer, [])),
            (one, wire::about(2, op::TRANSFER, pointer, other.owner.get().to_be_bytes())),
        ] {
            match refused {
                Some((number, limit)) => assert_eq!(world.ask(peer, sent), quota(2, number, limit)),
                None => {
                    assert_eq!(world.ask(peer, sent), ok(2, []));
                    let back = wire::about(2, op::TRANSFER, pointer, one.owner.get().to_be_bytes());
                    assert_eq!(world.ask(other, back), ok(2, []));
                }
            }
            // To become what one is takes no room.
            assert_eq!(world.ask(one, wire::about(2, op::TAKEOVER, pointer, [])), ok(2, []));
        }
        let stat = world.ask(one, wire::about(2, op::STAT, pointer, [])).payload;
        assert_eq!(stat[12..20], one.owner.get().to_be_bytes());
    }
}

#[test]
fn so_many_requests_of_a_connection_may_be_unfinished() {
    let (mut world, one, other) = world(|config| config.limits.unfinished_requests = 3);
    let sent = |xid| packets(xid, op::CREATE, 0, pattern(2000));
    for xid in 1..=3 {
        assert_eq!(world.exchange(one, &sent(xid)[0]), []);
    }
    // It is judged when the first packet is complete. One packet alone is never unfinished, a refused one does not count.
    let fourth = &sent(4)[0];
    assert_eq!(world.exchange(one, &fourth[..fourth.len() - 1]), []);
    assert_eq!(world.ask(one, &fourth[fourth.len() - 1..]), quota(4, 4, 3));
    assert_eq!(world.statistics().unfinished_bytes, 3 * FULL as u64);
    assert_eq!(world.ask(one, create(5, FULL)).code, 0);
    assert_eq!(world.ask(one, &packets(6, op::UNKNOWN, 0, pattern(2000))[0]), unsupported(6));
    // Others have their own count. What ends makes room.
    assert_eq!(world.exchange(other, &sent(4)[0]), []);
    assert_eq!(world.ask(one, &sent(2)[1]).code, 0);
    assert_eq!(world.exchange(one, &sent(7)[0]), []);
    assert_eq!(world.ask(one, abort(3)), aborted(3));
    assert_eq!(world.exchange(one, &sent(8)[0]), []);
    assert_eq!(world.ask(one, &sent(9)[0]), quota(9, 4, 3));
    assert_eq!(world.statistics().counters.quota(Quota::UnfinishedRequests), 2);
}

#[test]
fn a_million_unfinished_requests_of_a_connection_leave_no_more_than_its_limit() {
    let (mut world, one, _) = world(|_| {});
    let mut first = packets(0, op::CREATE, 0, pattern(FULL + 1)).remove(0);
    for from in (0..1_u32 << 20).step_by(1024) {
        let mut sent = Vec::new();
        for xid in from..from + 1024 {
            first[..4].copy_from_slice(&xid.to_be_bytes());
            sent.extend_from_slice(&first);
            // What is refused is given up, or there would be too much to discard.
            sent.extend(if from > 0 { abort(xid) } else { Vec::new() });
        }
        let refused: Vec<_> = (from.max(1024)..from + 1024).map(|xid| quota(xid, 4, 1024)).collect();
        let mut replies = Vec::new();
        for piece in sent.chunks(100_000) {
            replies.extend(world.exchange(one, piece));
        }
        assert_eq!(replies, refused);
    }
    let statistics = world.statistics();
    assert_eq!((statistics.unfinished_bytes, statistics.bytes), (1024 * FULL as u64, 1024 * FULL as u64));
    assert_eq!(statistics.places, 1024 - 16);
}

#[test]
fn so_many_bytes_of_a_connection_may_be_unfinished() {
    let limit = 3 * FULL + 10;
    let (mut world, one, other) = world(|config| config.limits.connection_unfinished = limit as u64);
    let pointer = world.create(one, 0, "");
    // The last packet and the operands count too.
    let exactly = replace(2, pointer, limit - 8);
    assert_eq!(world.ask(one, &exactly), version(2, 2));
    assert_eq!(world.ask(one, replace(3, pointer, limit - 7)), quota(3, 5, limit as u64));
    assert_eq!(world.ask(one, create(3, limit + 1)), quota(3, 5, limit as u64));
    assert_eq!(world.ask(one, create(3, limit)).code, 0);
    // Several requests share the limit; the one that would exceed it is refused, and the others go on.
    let uploads = [4, 5].map(|xid| packets(xid, op::CREATE, 0, pattern(2 * FULL)));
    assert_eq!(world.exchange(one, [&uploads[0][0][..], &uploads[1][0]].concat()), []);
    assert_eq!(world.exchange(other, packets(4, op::CREATE, 0, pattern(limit))[..3].concat()), []);
    assert_eq!(world.exchange(one, &packets(6, op::CREATE, 0, pattern(2 * FULL))[0]), []);
    assert_eq!(world.ask(one, &uploads[0][1]), quota(4, 5, limit as u64));
    assert_eq!(world.ask(one, &uploads[1][1]).code, 0);
    assert_eq!(world.ask(one, create(7, FULL)).code, 0);
    assert_eq!(world.statistics().unfinished_bytes, 4 * FULL as u64);
    assert_eq!(world.statistics().counters.quota(Quota::UnfinishedBytes), 3);
}

#[test]
fn whatever_ends_makes_room_for_other_unfinished_bytes() {
    let limit = 3 * FULL as u64;
    let (mut world, one, other) = world(|config| {
        config.limits.record = 4 * FULL as u32;
        config.limits.connection_unfinished = limit;
        config.limits.unfinished = limit;
    });
    let pointer = world.create(other, 2, "");
    let upload = packets(2, op::REPLACE, 0, wire::pointed(pointer, pattern(limit as usize - 8)));
    let permit = |access| request(2, op::PERMIT, access, pointer.to_be_bytes());
    for round in 0..3 {
        // It is complete, abandoned, refused on its way, refused with its last packet.
        assert_eq!(world.ask(one, upload.concat()), version(2, 2 + round));
        assert_eq!(world.exchange(one, upload[..2].concat()), []);
        assert_eq!(world.ask(one, abort(2)), aborted(2));
        let longer = packets(3, op::CREATE, 0, pattern(limit as usize + 1));
        assert_eq!(world.ask(one, longer.concat()), quota(3, 5, limit));
        let longer = packets(4, op::CREATE, 0, pattern(limit as usize + 5));
        assert_eq!(world.exchange(one, longer[..3].concat()), []);
        let another = packets(5, op::CREATE, 0, pattern(2 * FULL));
        assert_eq!(world.ask(one, another.concat()), quota(5, 5, limit));
        assert_eq!(world.ask(one, &longer[3]), quota(4, 5, limit));
        assert_eq!(world.exchange(one, upload[..2].concat()), []);
        assert_eq!(world.ask(other, permit(0)), ok(2, []));
        assert_eq!(world.ask(one, &upload[2]), wire::access_violation(2));
        assert_eq!(world.ask(other, permit(2)), ok(2, []));
        assert_eq!(world.statistics().unfinished_bytes, 0);
    }
}

#[test]
fn so_many_bytes_of_all_connections_may_be_unfinished() {
    let limit = 4 * FULL as u64;
    let (mut world, one, other) = world(|config| {
        config.limits.unfinished = limit;
        config.limits.connection_unfinished = 3 * FULL as u64;
    });
    let upload = packets(2, op::CREATE, 0, pattern(9000));
    assert_eq!(world.exchange(one, upload[..2].concat()), []);
    assert_eq!(world.exchange(other, upload[..2].concat()), []);
    assert_eq!(world.ask(one, &upload[2]), quota(2, 5, limit));
    assert_eq!(world.exchange(other, &upload[2]), []);
    assert_eq!(world.statistics().unfinished_bytes, 3 * FULL as u64);
    // Both limits are exceeded: the connection's is named.
    assert_eq!(world.exchange(one, &packets(3, op::CREATE, 0, pattern(9000))[0]), []);
    assert_eq!(world.ask(other, &upload[3]), quota(2, 5, 3 * FULL as u64));
}

#[test]
fn of_several_quotas_the_lowest_number_is_named() {
    // With the first packet: 1, then 4, then 5.
    for (total, requests, bytes, named) in [
        (2000, 1, 2 * FULL as u64 - 1, quota(3, 1, 2000)),
        (9000, 1, 2 * FULL as u64 - 1, quota(3, 4, 1)),
        (9000, 2, 2 * FULL as u64 - 1, quota(3, 5, 2 * FULL as u64 - 1)),
    ] {
        for of_connection in [true, false] {
            let (mut world, one, _) = world(|config| {
                config.limits.record = 2000.min(total);
                config.limits.total = u64::from(total);
                config.limits.unfinished_requests = requests;
                let limit = if of_connection {
                    &mut config.limits.connection_unfinished
                } else {
                    &mut config.limits.unfinished
                };
                *limit = bytes;
            });
            let sent = |xid| packets(xid, op::CREATE, 0, pattern(2000)).remove(0);
            assert_eq!(world.exchange(one, sent(2)), []);
            assert_eq!(world.ask(one, sent(3)), named);
            assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (FULL as u64, FULL as u64));
        }
    }
}

#[test]
fn with_the_last_packet_the_order_of_checks_is_kept() {
    // The unfinished bytes are passed by the last packet alone.
    let limit = 2 * FULL as u64;
    let upload = |xid| packets(xid, op::CREATE, 0, pattern(2 * FULL + 1));
    for (total, owner_bytes, owner_records, named) in [
        (10_000, None, None, quota(2, 5, limit)),
        (10_000, None, Some(1), quota(2, 3, 1)),
        (10_000, Some(2000), Some(1), quota(2, 2, 2000)),
        (2 * FULL as u64 + 200, Some(2000), Some(1), quota(2, 1, 2 * FULL as u64 + 200)),
    ] {
        for of_connection in [true, false] {
            let (mut world, one, other) = world(|config| {
                config.limits.record = 2800;
                config.limits.total = total;
                config.limits.owner_bytes = owner_bytes;
                config.limits.owner_records = owner_records;
                config.limits.unfinished = limit;
                if of_connection {
                    config.limits.connection_unfinished = limit;
                }
            });
            world.create(one, 0, "");
            assert_eq!(world.exchange(one, upload(2)[..2].concat()), []);
            assert_eq!(world.ask(one, &upload(2)[2]), named, "{of_connection}");
            assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (OVERHEAD, 0));
            assert_eq!((world.statistics().records, world.statistics().counters.records_created), (1, 1));
            // The connection and the limits are as before.
            assert_eq!(world.exchange(other, upload(2)[..2].concat()), []);
            assert_eq!(world.ask(other, abort(2)), aborted(2));
        }
    }
    // The record and the right come before all quotas.
    let (mut world, one, other) = world(|config| config.limits.connection_unfinished = limit);
    let pointer = world.create(one, 7, "x");
    let upload = packets(2, op::REPLACE, 0, wire::pointed(pointer, pattern(2 * FULL)));
    assert_eq!(world.exchange(other, upload[..2].concat()), []);
    assert_eq!(world.ask(one, request(2, op::PERMIT, 1, pointer.to_be_bytes())), ok(2, []));
    assert_eq!(world.ask(other, &upload[2]), wire::access_violation(2));
    assert_eq!(world.exchange(one, upload[..2].concat()), []);
    let twin = world.connect("127.0.0.1");
    assert_eq!(world.ask(twin, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
    assert_eq!(world.ask(one, &upload[2]), address_fault(2));
    assert_eq!((world.bytes(), world.statistics().unfinished_bytes), (0, 0));
}

#[test]
fn the_memory_of_what_has_ended_is_free_at_that_moment() {
    // Its owner counts too, when it is gone.
    for (len, room) in [(1000, held(1000) - 1000 + OWNER_COST), (200_000, 14_000)] {
        let total = u64::from(len) + OVERHEAD + room;
        let mut world = World::with(|config| {
            config.limits.record = len;
            config.limits.total = total;
        });
        let other = world.connect("127.0.0.9");
        let owner = world.connect("127.0.0.1");
        world.create(owner, 0, pattern(len as usize));
        world.reset(owner);
        world.skip(GRACE - NS);
        let again = create(1, 1000);
        assert_eq!(world.ask(other, &again), quota(1, 1, total));
        world.skip(NS);
        assert_eq!(world.ask(other, again).code, 0, "{len}");
    }
}

/// A server with so many bytes, where little beside them is left.
fn scarce(total: u64) -> (World, Peer, Peer) {
    world(|config| (config.limits.record, config.limits.total) = (100, total))
}

#[test]
fn settings_count_until_a_record_has_none_of_them() {
    const TOTAL: u64 = 10 * OVERHEAD + SETTINGS_COST;
    let settings = [(60, 0, 0), (u32::MAX, 60, 0), (u32::MAX, 0, 7), (300, 60, 7)];
    for (grace, ttl, heir) in settings {
        let (mut world, one, _) = scarce(TOTAL);
        let pointer = world.create(one, 7, "");
        world.fill(one, TOTAL - SETTINGS_COST, 0);
        // To the last byte.
        let set = wire::lifetime(2, pointer, grace, ttl, heir);
        assert_eq!(world.ask(one, replace(2, pointer, 1)), version(2, 2));
        assert_eq!(world.ask(one, &set), quota(2, 1, TOTAL));
        assert_eq!(world.bytes(), TOTAL - SETTINGS_COST + held(1));
        assert_eq!(world.ask(one, replace(2, pointer, 0)), version(2, 3));
        assert_eq!(world.ask(one, &set), ok(2, []));
        // More of them count no more.
        assert_eq!(world.ask(one, wire::lifetime(2, pointer, 60, 60, 7)), ok(2, []));
        assert_eq!(world.bytes(), TOTAL);
        assert_eq!(world.ask(one, wire::lifetime(2, pointer, u32::MAX, 0, 0)), ok(2, []));
        assert_eq!(world.bytes(), TOTAL - SETTINGS_COST);
        assert_eq!(world.ask(one, &set), ok(2, []));
        assert_eq!(world.ask(one, wire::about(2, op::DELETE, pointer, [])), ok(2, []));
        assert_eq!(world.bytes(), TOTAL - SETTINGS_COST - OVERHEAD);
    }
}

#[test]
fn records_of_absent_owners_count_a_deadline_and_their_owner() {
    const TOTAL: u64 = 10 * OVERHEAD + 2 * SETTINGS_COST + OWNER_COST;
    const NOBODY: u64 = 7;
    let (mut world, one, other) = scarce(TOTAL);
    let pointers = [world.create(one, 7, ""), world.create(one, 7, "")];
    let give = |pointer, to| wire::transfer(2, pointer, to);
    world.fill(one, TOTAL - 2 * SETTINGS_COST - OWNER_COST, 0);
    // To one that is there it costs nothing.
    assert_eq!(world.ask(one, give(pointers[0], other.owner.get())), ok(2, []));
    assert_eq!(world.bytes(), TOTAL - 2 * SETTINGS_COST - OWNER_COST);
    assert_eq!(world.ask(other, give(pointers[0], one.owner.get())), ok(2, []));
    // To one that nobody knows it costs a deadline and the owner, to the last byte.
    let rest = world.create(one, 7, pattern(64));
    let used = OVERHEAD + 64 + SETTINGS_COST;
    assert_eq!(world.ask(one, wire::lifetime(2, rest, 60, 0, 0)), ok(2, []));
    assert_eq!(world.bytes(), TOTAL - 2 * SETTINGS_COST - OWNER_COST + used);
    assert_eq!(world.ask(one, give(pointers[0], NOBODY)), quota(2, 1, TOTAL));
    assert_eq!(world.ask(one, wire::about(2, op::DELETE, rest, [])), ok(2, []));
    // What has settings counts no more with a deadline.
    assert_eq!(world.ask(one, wire::lifetime(2, pointers[0], 60, 0, 0)), ok(2, []));
    assert_eq!(world.ask(one, give(pointers[0], NOBODY)), ok(2, []));
    assert_eq!(world.bytes(), TOTAL - SETTINGS_COST);
    // The owner counts once.
    assert_eq!(world.ask(one, give(pointers[1], NOBODY)), ok(2, []));
    assert_eq!(world.bytes(), TOTAL);
    // They end with their grace, and their owner with them.
    world.wait(GRACE);
    assert_eq!(world.bytes(), TOTAL - 2 * SETTINGS_COST - OWNER_COST - 2 * OVERHEAD);
    // Nobody can be refused for going away.
    world.reset(one);
    world.reset(other);
    assert_eq!(world.bytes(), TOTAL - 2 * SETTINGS_COST - 2 * OVERHEAD);
    world.wait(GRACE);
    assert_eq!(world.bytes(), 0);
}
