//! Reading and writing parts of records, versions and numbers (docs/PROTOCOL.md §3.15 to §3.20).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use netswap_core::error::Quota;
use netswap_core::wire::{Code, Opcode};
use support::wire::{
    self, FULL, access_violation, add, added, address_fault, append, appended, changed, compare, if_changed,
    mismatch, not_modified, ok, op, packets, pattern, pointed, range, read_range, request, resolved,
    too_large, version, write_range,
};
use support::{OVERHEAD, World, held};

const LIMIT: u32 = 6000;

fn world() -> (World, Peer, Peer) {
    let mut world = World::with(|config| config.limits.record = LIMIT);
    let (one, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    (world, one, other)
}

/// The record has this version and these data, and costs what they cost.
#[track_caller]
fn assert_record(world: &mut World, peer: Peer, pointer: u64, version: u64, data: &[u8]) {
    assert_eq!(world.ask(peer, if_changed(70, pointer, 0)), changed(70, version, data));
    let stat = world.ask(peer, wire::about(71, op::STAT, pointer, [])).payload;
    assert_eq!(stat[..12], [&(data.len() as u32).to_be_bytes()[..], &version.to_be_bytes()].concat());
    assert_eq!(world.bytes(), OVERHEAD + held(data.len() as u64));
}

/// Offsets and lengths at all boundaries.
fn places() -> impl Iterator<Item = u32> {
    let around = |at: u32| at.saturating_sub(1)..=at.saturating_add(1);
    [0, 10, FULL as u32, 3000, LIMIT, 1 << 31, u32::MAX - 64, u32::MAX].into_iter().flat_map(around)
}

#[test]
fn a_range_is_read_as_far_as_the_record_goes() {
    let (mut world, one, other) = world();
    for len in [0, 1, 3000, LIMIT as usize] {
        let data = pattern(len);
        let pointer = world.create(one, 1, &data);
        for offset in places() {
            for count in places() {
                let begin = len.min(offset as usize);
                let end = len.min(begin + count as usize);
                let expected = range(5, 1, len as u32, &data[begin..end]);
                assert_eq!(world.ask(other, read_range(5, pointer, offset, count)), expected);
            }
        }
        assert_eq!(world.bytes(), held(len as u64) + OVERHEAD);
        assert_eq!(world.ask(one, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
    }
}

#[test]
fn a_range_is_written_wherever_it_ends_within_the_limit() {
    let (mut world, one, other) = world();
    for before in [0, 1, 10, 3000] {
        for len in [0, 1, 10, FULL - 12, FULL, 3000, LIMIT as usize] {
            for offset in places() {
                let mut expected = pattern(before);
                let pointer = world.create(one, 3, &expected);
                let data = vec![0xee; len];
                let answer = world.ask(other, write_range(5, pointer, offset, &data));
                let end = u64::from(offset) + len as u64;
                if end > u64::from(LIMIT) {
                    assert_eq!(answer, too_large(5, LIMIT), "{len} at {offset}");
                    assert_record(&mut world, one, pointer, 1, &expected);
                } else {
                    assert_eq!(answer, version(5, 2), "{len} at {offset}");
                    let (offset, end) = (offset as usize, end as usize);
                    // A gap is filled with zeros, and data that are empty make one too.
                    expected.resize(before.max(end), 0);
                    expected[offset..end].copy_from_slice(&data);
                    assert_record(&mut world, other, pointer, 2, &expected);
                }
                assert_eq!(world.ask(one, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
                assert_eq!(world.bytes(), 0);
            }
        }
    }
}

#[test]
fn a_gap_is_zeros_where_other_data_were_before() {
    let (mut world, one, _) = world();
    let pointer = world.create(one, 0, [0xff; 100]);
    // Room is made, and written to, and the record gets shorter again.
    assert_eq!(world.ask(one, append(2, pointer, [0xff; 500])), appended(2, 2, 100));
    assert_eq!(world.ask(one, wire::about(2, op::REPLACE, pointer, "ab")), version(2, 3));
    assert_eq!(world.ask(one, write_range(2, pointer, 6, "c")), version(2, 4));
    assert_eq!(world.ask(one, write_range(2, pointer, 10, "")), version(2, 5));
    assert_record(&mut world, one, pointer, 5, b"ab\0\0\0\0c\0\0\0");
}

#[test]
fn appended_data_begin_where_the_record_ended() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, "");
    let mut expected = Vec::new();
    for (n, len) in [0, 1, 0, 10, 1382, FULL, 2000].into_iter().enumerate() {
        let (writer, reader) = if n % 2 == 0 { (other, one) } else { (one, other) };
        let data = vec![n as u8; len];
        let answer = appended(5, n as u64 + 2, expected.len() as u32);
        assert_eq!(world.ask(writer, append(5, pointer, &data)), answer);
        expected.extend(data);
        assert_record(&mut world, reader, pointer, n as u64 + 2, &expected);
    }
    let room = LIMIT as usize - expected.len();
    assert_eq!(world.ask(one, append(5, pointer, vec![1; room + 1])), too_large(5, LIMIT));
    assert_record(&mut world, one, pointer, 8, &expected);
    assert_eq!(world.ask(one, append(5, pointer, vec![1; room])), appended(5, 9, expected.len() as u32));
    assert_eq!(world.ask(one, append(5, pointer, "x")), too_large(5, LIMIT));
    // Nothing fits always.
    assert_eq!(world.ask(one, append(5, pointer, "")), appended(5, 10, LIMIT));
}

#[test]
fn the_record_that_is_appended_to_is_judged_at_the_first_packet_and_at_the_last() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, pattern(3000));
    let sent = packets(5, op::APPEND, 0, pointed(pointer, pattern(3000)));
    let replace = |len| wire::about(6, op::REPLACE, pointer, pattern(len));
    // It grows meanwhile.
    assert_eq!(world.exchange(other, sent[..2].concat()), []);
    assert_eq!(world.ask(one, replace(3001)), version(6, 2));
    assert_eq!(world.ask(other, &sent[2]), too_large(5, LIMIT));
    // It is too long at first: what happens to it later is of no use.
    assert_eq!(world.ask(other, &sent[0]), too_large(5, LIMIT));
    assert_eq!(world.ask(one, replace(10)), version(6, 3));
    assert_eq!(world.exchange(other, sent[1..].concat()), []);
    assert_record(&mut world, one, pointer, 3, &pattern(10));
    // Where the data begin is known at the last.
    assert_eq!(world.exchange(other, sent[..2].concat()), []);
    assert_eq!(world.ask(one, replace(77)), version(6, 4));
    assert_eq!(world.ask(other, &sent[2]), appended(5, 5, 77));
    assert_record(&mut world, one, pointer, 5, &[pattern(77), pattern(3000)].concat());
    assert_eq!(world.statistics().unfinished_bytes, 0);
}

#[test]
fn a_record_is_replaced_if_its_version_is_the_one_named() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, "first");
    for len in [3, 0, FULL - 16, FULL - 15, LIMIT as usize] {
        let current =
            u64::from_be_bytes(world.ask(one, if_changed(4, pointer, 0)).payload[..8].try_into().unwrap());
        for wrong in [0, current - 1, current + 1, 1 << 63, u64::MAX] {
            let answer = world.ask(other, compare(5, pointer, wrong, pattern(len)));
            assert_eq!(answer, mismatch(5, current), "{wrong} for {current}");
        }
        assert_eq!(world.ask(other, compare(5, pointer, current, pattern(len))), version(5, current + 1));
        assert_eq!(world.ask(one, compare(5, pointer, current, "late")), mismatch(5, current + 1));
        assert_record(&mut world, one, pointer, current + 1, &pattern(len));
    }
    let counters = world.statistics().counters;
    assert_eq!(counters.refusals(Code::VersionMismatch), 5 * 6);
    assert_eq!(counters.requests(Opcode::CompareAndReplace), 5 * 7);
    let long = compare(5, pointer, 6, pattern(LIMIT as usize + 1));
    assert_eq!(world.ask(one, long), too_large(5, LIMIT));
}

#[test]
fn versions_are_compared_when_the_request_is_complete() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, "x");
    let sent = |version: u64| {
        packets(5, op::COMPARE, 0, pointed(pointer, [&version.to_be_bytes(), &pattern(3000)[..]].concat()))
    };
    // Right at first and then not.
    assert_eq!(world.exchange(other, sent(1)[..2].concat()), []);
    assert_eq!(world.ask(one, append(6, pointer, "")), appended(6, 2, 1));
    assert_eq!(world.ask(other, &sent(1)[2]), mismatch(5, 2));
    // Wrong at first and then right.
    assert_eq!(world.exchange(other, sent(3)[..2].concat()), []);
    assert_eq!(world.ask(one, append(6, pointer, "")), appended(6, 3, 1));
    assert_eq!(world.ask(other, &sent(3)[2]), version(5, 4));
    assert_record(&mut world, one, pointer, 4, &pattern(3000));
    assert_eq!(world.statistics().unfinished_bytes, 0);
}

#[test]
fn every_write_counts_one_version() {
    let (mut world, one, _) = world();
    let pointer = world.create(one, 0, [0; 8]);
    let writes = [
        write_range(2, pointer, 0, ""),
        write_range(2, pointer, 0, [0; 8]),
        append(2, pointer, ""),
        add(2, pointer, 0, 0),
        compare(2, pointer, 5, [0; 8]),
        wire::about(2, op::REPLACE, pointer, [0; 8]),
    ];
    for (n, write) in writes.into_iter().enumerate() {
        assert_eq!(world.ask(one, write).payload[..8], (n as u64 + 2).to_be_bytes());
        assert_record(&mut world, one, pointer, n as u64 + 2, &[0; 8]);
    }
    // What is refused counts none.
    world.ask(one, add(2, pointer, 1, 1));
    world.ask(one, compare(2, pointer, 1, "x"));
    world.ask(one, write_range(2, pointer, LIMIT, "x"));
    assert_record(&mut world, one, pointer, 7, &[0; 8]);
}

#[test]
fn a_number_is_added_to_and_wraps() {
    let (mut world, one, other) = world();
    let data = [&[0xaa; 3][..], &42_i64.to_be_bytes(), &[0xbb; 3]].concat();
    let pointer = world.create(one, 3, data);
    let mut value = 42_i64;
    for (n, delta) in [1, -44, 0, i64::MAX, 1, 1, i64::MIN, i64::MIN, -1].into_iter().enumerate() {
        value = value.wrapping_add(delta);
        assert_eq!(world.ask(other, add(5, pointer, 3, delta)), added(5, n as u64 + 2, value));
        let expected = [&[0xaa; 3][..], &value.to_be_bytes(), &[0xbb; 3]].concat();
        assert_record(&mut world, one, pointer, n as u64 + 2, &expected);
    }
}

#[test]
fn a_number_must_be_there_as_a_whole() {
    let (mut world, one, _) = world();
    for len in [0, 7, 8, 9, 20] {
        let pointer = world.create(one, 0, vec![0; len]);
        let mut now = 1;
        for offset in places().chain(0..30) {
            let fits = u64::from(offset) + 8 <= len as u64;
            now += u64::from(fits);
            let expected = if fits { added(5, now, 0) } else { address_fault(5) };
            assert_eq!(world.ask(one, add(5, pointer, offset, 0)), expected, "{offset} of {len}");
        }
        assert_record(&mut world, one, pointer, now, &vec![0; len]);
        assert_eq!(world.ask(one, wire::about(3, op::DELETE, pointer, [])), ok(3, []));
    }
}

#[test]
fn adding_needs_both_rights() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 0, [0; 8]);
    for access in 0..8 {
        assert_eq!(world.ask(one, request(2, op::PERMIT, access, pointer.to_be_bytes())), ok(2, []));
        let answer = world.ask(other, add(5, pointer, 0, 1));
        assert_eq!(answer == access_violation(5), access & 3 != 3, "{access}: {answer:?}");
    }
    assert_record(&mut world, one, pointer, 3, &2_i64.to_be_bytes());
}

#[test]
fn a_record_is_read_unless_its_version_is_known() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 1, pattern(3000));
    for current in 1..4 {
        for known in [0, 1, 2, 3, 4, 1 << 63, u64::MAX] {
            let expected =
                if known == current { not_modified(5) } else { changed(5, current, pattern(3000)) };
            assert_eq!(world.ask(other, if_changed(5, pointer, known)), expected, "{known} of {current}");
        }
        assert_eq!(world.ask(one, write_range(2, pointer, 0, "")), version(2, current + 1));
    }
    // Rights and owners are not versions.
    assert_eq!(world.ask(one, request(2, op::PERMIT, 7, pointer.to_be_bytes())), ok(2, []));
    assert_eq!(world.ask(other, wire::about(2, op::TAKEOVER, pointer, [])), ok(2, []));
    assert_eq!(world.ask(one, if_changed(5, pointer, 4)), not_modified(5));
}

#[test]
fn writes_of_many_packets_take_effect_whole_or_not_at_all() {
    let (mut world, one, other) = world();
    let pointer = world.create(one, 3, pattern(100));
    let data = pattern(2900);
    let permit = |access| request(6, op::PERMIT, access, pointer.to_be_bytes());
    for (n, whole) in
        [write_range(5, pointer, 50, &data), append(5, pointer, &data), compare(5, pointer, 3, &data)]
            .iter()
            .enumerate()
    {
        let now = world.ask(one, if_changed(4, pointer, 0));
        let (most, last) = whole.split_at(2 * (10 + FULL));
        for end in [wire::abort(5), permit(1)] {
            assert_eq!(world.exchange(other, most), []);
            let aborted = end[8] == op::ABORT;
            let answers = world.exchange(if aborted { other } else { one }, end);
            assert_eq!(answers.len(), 1);
            if !aborted {
                assert_eq!(world.ask(other, last), access_violation(5));
                assert_eq!(world.ask(one, permit(3)), ok(6, []));
            }
            assert_eq!(world.ask(one, if_changed(4, pointer, 0)), now);
            assert_eq!(world.statistics().unfinished_bytes, 0);
        }
        assert_eq!(world.exchange(other, most), []);
        assert_eq!(world.ask(other, last).payload[..8], (n as u64 + 2).to_be_bytes());
    }
    assert_eq!(world.ask(one, wire::about(4, op::RESOLVE, pointer, [])), resolved(4, &data));
    assert_eq!(world.statistics().counters.quota(Quota::ServerMemory), 0);
}
