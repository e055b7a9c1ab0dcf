//! Requests as clients make them, of what the machine chose for them.

use std::collections::VecDeque;

use crate::naive::Store;
use crate::operations::{Ask, Flaw};
use crate::support::wire::{op, packets, request};

/// A pointer to no record.
const NOWHERE: u64 = 0x00c0_ffee_00c0_ffee;

/// An owner that never connects.
const NOBODY: u64 = 0x1234;

/// The packets of a request.
pub(crate) fn make(ask: &Ask, xid: u32, store: &Store, owners: &[u64]) -> VecDeque<Vec<u8>> {
    let Ask { op, record, len, byte, number, which, .. } = *ask;
    let live: Vec<u64> = store.records.keys().copied().collect();
    let pointer = match record {
        0 => 0,
        1 => NOWHERE,
        2..=12 => {
            store.past.keys().nth(usize::from(record) % store.past.len().max(1)).copied().unwrap_or(NOWHERE)
        }
        _ => {
            let last = store.past.keys().last();
            live.get(usize::from(record) % live.len().clamp(1, 6)).or(last).copied().unwrap_or(NOWHERE)
        }
    };
    let somebody = match usize::from(which) % (owners.len() + 2) {
        0 => 0,
        1 => NOBODY,
        at => owners[at - 2],
    };
    let version = store.records.get(&pointer).map_or(0, |it| it.version());
    let version = match which % 5 {
        0 => 0,
        1 => version.wrapping_sub(1),
        2 => u64::from(number),
        _ => version,
    };
    let data: Vec<u8> = (0..len).map(|i| (i as u8).wrapping_mul(7) ^ byte).collect();
    let offset = number.to_be_bytes();
    let grace = match which % 4 {
        0 => u32::MAX,
        1 => 0,
        2 => u32::from(byte) % 20,
        _ => u32::from(byte) * 400,
    };
    let ttl = if byte % 3 > 0 { 0 } else { number % 40 };
    let delta = i64::from(number).wrapping_mul(if byte == 0 { i64::MAX } else { -3 });
    // Rather a known owner than none: the heir of a record is of interest.
    let rest = match op {
        op::CREATE | op::PING | op::IDENTIFY | op::LIST | op::RESERVE => Vec::new(),
        op::TRANSFER => somebody.to_be_bytes().to_vec(),
        op::READ_RANGE => [offset, (len as u32).to_be_bytes()].concat(),
        op::WRITE_RANGE => offset.to_vec(),
        op::COMPARE | op::IF_CHANGED => version.to_be_bytes().to_vec(),
        op::ADD => [&(number % 64).to_be_bytes()[..], &delta.to_be_bytes()].concat(),
        op::SET_LIFETIME => [&grace.to_be_bytes()[..], &ttl.to_be_bytes(), &somebody.to_be_bytes()].concat(),
        _ => Vec::new(),
    };
    let about = !matches!(op, op::CREATE | op::PING | op::IDENTIFY | op::LIST | op::RESERVE);
    let mut payload = if about { [&pointer.to_be_bytes()[..], &rest].concat() } else { rest };
    if matches!(op, op::CREATE | op::PING | op::REPLACE | op::WRITE_RANGE | op::APPEND | op::COMPARE) {
        payload.extend(data);
    }
    let mut access = match op {
        op::CREATE | op::PERMIT | op::RESERVE => ask.access & 7,
        op::WATCH => which & 1,
        _ => 0,
    };
    match ask.flaw {
        Flaw::None => {}
        Flaw::AccessByte(bits) => access = bits,
        Flaw::Shorter(by) => payload.truncate(payload.len().saturating_sub(usize::from(by))),
        Flaw::Longer => payload.extend(vec![byte; 1 + len]),
    }
    packets(xid, op, access, payload).into()
}

/// A packet against the rules, or the beginning of more requests than may be refused at once. `upload` is the packet
/// that would have to come next of a request that is under way, and `standing` the XID of a watch or a waiting read.
pub(crate) fn violation(how: u8, xid: u32, upload: Option<&[u8]>, standing: Option<u32>) -> Vec<Vec<u8>> {
    let part = |at: usize, with: u8| {
        upload.map(|packet| {
            let mut packet = packet.to_vec();
            packet[at] ^= with;
            packet
        })
    };
    let packet = match how % 8 {
        0 => part(7, 1),
        1 => part(8, 1),
        2 => part(9, 1),
        3 => standing.map(|xid| request(xid, op::PING, 0, b"in use")),
        4 => Some([&xid.to_be_bytes()[..], &[0xff; 4], &[op::UNKNOWN, 0]].concat()),
        5 => Some([&xid.to_be_bytes()[..], &[0, 0, 0, 0, op::ABORT, 1]].concat()),
        6 => Some([&xid.to_be_bytes()[..], &[0, 0, 0, 1, op::ABORT, 0], b"x"].concat()),
        _ => {
            let begin = |i: u32| packets(xid.wrapping_add(i), op::CREATE, 8, vec![0; 3000]).swap_remove(0);
            return (0..4).map(begin).collect();
        }
    };
    packet.into_iter().collect()
}
