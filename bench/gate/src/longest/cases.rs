//! What is worst of each request.

use std::num::NonZeroU32;

use anyhow::Result;
use netswap_core::types::{Access, Owner, Pointer, Version};
use netswap_core::wire::{ABORT, Lifetime, MAX_PAYLOAD, Opcode, Request};

use super::{Attack, Case, Server};
use crate::wire::request;

/// Bytes of a chunk of a large record.
const CHUNK: u32 = 7 * MAX_PAYLOAD as u32;

/// Requests that are sent: some turns of them.
const MANY: u32 = 600;

/// The watches of one connection.
const WATCHES: u32 = 4096;

/// All rights for everybody.
const ALL_RIGHTS: Access = Access::READ.union(Access::WRITE).union(Access::TAKEOVER);

/// Chunks of a record: 64 MiB.
const CHUNKS: u64 = (64 << 20) / CHUNK as u64;

/// Chunks of a record that many queued replies may hold.
const FEW: u64 = 32;

/// Chunks of a request: 2 MiB.
const SENT: u64 = (2 << 20) / CHUNK as u64;

/// Enough records for tables to grow.
const RECORDS: u64 = 3200;

/// Watches, or waiting reads: those of two connections.
const STANDING: u64 = 2 * WATCHES as u64;

const fn case(
    name: &'static str,
    opcode: Opcode,
    size: u64,
    prepare: fn(&mut Server, u32) -> Result<Attack>,
) -> Case {
    Case { name, opcode, size, prepare }
}

/// All cases.
pub(crate) const ALL: [Case; 34] = [
    case("create", Opcode::CreateRecord, RECORDS, |server, count| {
        let client = server.connect(1)?;
        Ok(flood(client, count, |_| Request::CreateRecord { access: Access::READ, data: vec![] }))
    }),
    case("create-large", Opcode::CreateRecord, SENT, |server, chunks| {
        let client = server.connect(1)?;
        Ok(one(client, Request::CreateRecord { access: Access::READ, data: large(chunks) }))
    }),
    case("permissions-watched", Opcode::UpdateRecordPermissions, STANDING, |server, count| {
        let (client, pointer) = watched(server, count, 1)?;
        let access = |n| if n % 2 == 0 { Access::READ } else { ALL_RIGHTS };
        Ok(flood(client, MANY, |n| Request::UpdateRecordPermissions { pointer, access: access(n) }))
    }),
    case("permissions-lost", Opcode::UpdateRecordPermissions, STANDING, |server, count| {
        let (client, pointer) = watched(server, count, 2)?;
        Ok(one(client, Request::UpdateRecordPermissions { pointer, access: Access::WRITE }))
    }),
    case("resolve", Opcode::ResolvePointer, CHUNKS, |server, chunks| {
        let (client, pointer) = scattered(server, chunks)?;
        Ok(one(client, Request::ResolvePointer { pointer }))
    }),
    case("resolve-unread", Opcode::ResolvePointer, FEW, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        Ok(unread(flood(client, MANY, |_| Request::ResolvePointer { pointer })))
    }),
    case("replace-watched", Opcode::ReplaceRecord, STANDING, |server, count| {
        let (client, pointer) = watched(server, count, 1)?;
        Ok(flood(client, MANY, |_| Request::ReplaceRecord { pointer, data: vec![1; 64] }))
    }),
    case("replace-large", Opcode::ReplaceRecord, CHUNKS, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        Ok(flood(client, MANY, |_| Request::ReplaceRecord { pointer, data: vec![] }))
    }),
    case("replace-waited-for", Opcode::ReplaceRecord, STANDING, |server, count| {
        let client = server.connect(1)?;
        let pointer = server.reserve(client)?;
        stand(server, count, 2, |_| Request::ResolvePointer { pointer })?;
        Ok(one(client, Request::ReplaceRecord { pointer, data: vec![1; 64] }))
    }),
    case("delete", Opcode::DeleteRecord, RECORDS, |server, count| {
        let (client, pointers) = many(server, count)?;
        Ok(flood(client, count, |n| Request::DeleteRecord { pointer: pointers[n as usize] }))
    }),
    case("delete-watched", Opcode::DeleteRecord, STANDING, |server, count| {
        let (client, pointer) = watched(server, count, 2)?;
        Ok(one(client, Request::DeleteRecord { pointer }))
    }),
    case("delete-large", Opcode::DeleteRecord, CHUNKS, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        Ok(one(client, Request::DeleteRecord { pointer }))
    }),
    case("takeover", Opcode::TakeoverRecord, RECORDS, |server, count| {
        let (_, pointers) = many(server, count)?;
        let other = server.connect(2)?;
        Ok(flood(other, count, |n| Request::TakeoverRecord { pointer: pointers[n as usize] }))
    }),
    case("takeover-watched", Opcode::TakeoverRecord, STANDING, |server, count| {
        let (_, pointer) = watched(server, count, 3)?;
        let other = server.connect(2)?;
        Ok(one(other, Request::TakeoverRecord { pointer }))
    }),
    case("transfer", Opcode::TransferRecord, RECORDS, |server, count| {
        let (client, pointers) = many(server, count)?;
        let owners: Vec<_> = (1..=u64::from(count)).filter_map(|n| Owner::new(n << 32)).collect();
        let transfer = |n: usize| Request::TransferRecord { pointer: pointers[n], owner: owners[n] };
        Ok(flood(client, count, |n| transfer(n as usize)))
    }),
    case("identify", Opcode::Identify, MANY as u64, |server, count| {
        let client = server.connect(1)?;
        Ok(flood(client, count, |_| Request::Identify))
    }),
    case("ping-large", Opcode::Ping, SENT, |server, chunks| {
        let client = server.connect(1)?;
        Ok(one(client, Request::Ping { data: large(chunks) }))
    }),
    case("stat", Opcode::StatRecord, RECORDS, |server, count| {
        let (client, pointers) = many(server, count)?;
        Ok(flood(client, MANY, |n| Request::StatRecord { pointer: pointers[(n % count) as usize] }))
    }),
    case("list", Opcode::ListRecords, 2048, |server, count| {
        let (client, _) = many(server, count)?;
        Ok(flood(client, 300, |_| Request::ListRecords))
    }),
    case("list-long", Opcode::ListRecords, 6 * RECORDS, |server, count| {
        let (client, _) = many(server, count)?;
        Ok(one(client, Request::ListRecords))
    }),
    case("read-range-unread", Opcode::ReadRange, CHUNKS, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        let offset = |n| n % chunks * CHUNK + CHUNK / 2;
        Ok(unread(flood(client, MANY, |n| Request::ReadRange { pointer, offset: offset(n), len: CHUNK })))
    }),
    case("write-range-held", Opcode::WriteRange, CHUNKS, |server, chunks| {
        held(server, chunks, |pointer, end, _| Request::WriteRange {
            pointer,
            offset: end - 1,
            data: vec![1],
        })
    }),
    case("write-range-flat-held", Opcode::WriteRange, 2, |server, _| {
        // The longest record that lies in one piece.
        held(server, 2, |pointer, end, _| Request::WriteRange { pointer, offset: end / 2, data: vec![1; 2] })
    }),
    case("write-range-large-held", Opcode::WriteRange, SENT, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        let reader = server.connect(2)?;
        server.hold(reader, pointer)?;
        Ok(one(client, Request::WriteRange { pointer, offset: 1, data: large(chunks) }))
    }),
    case("append-held", Opcode::Append, CHUNKS, |server, chunks| {
        held(server, chunks, |pointer, _, _| Request::Append { pointer, data: vec![1] })
    }),
    case("append-overtaken", Opcode::Append, SENT, |server, chunks| {
        let (client, pointer) = full(server, 4)?;
        let other = server.connect(2)?;
        let append = request(1, Request::Append { pointer, data: large(chunks) });
        let (most, last) = append.split_at(append.len() - 1);
        server.send(client, most, false);
        server.ask(other, [Request::Append { pointer, data: vec![1] }])?;
        Ok(Attack { client, bytes: last.to_vec(), reads: true, requests: 1 })
    }),
    case("compare-and-replace-large", Opcode::CompareAndReplace, SENT, |server, chunks| {
        let (client, pointer) = full(server, 1)?;
        let version = Version(77);
        Ok(one(client, Request::CompareAndReplace { pointer, version, data: large(chunks) }))
    }),
    case("fetch-add-held", Opcode::FetchAdd, CHUNKS, |server, chunks| {
        // The number lies in two chunks.
        held(server, chunks, |pointer, end, _| Request::FetchAdd {
            pointer,
            offset: end - CHUNK - 4,
            delta: 1,
        })
    }),
    case("resolve-if-changed-unread", Opcode::ResolveIfChanged, FEW, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        let version = Version(0);
        Ok(unread(flood(client, MANY, |_| Request::ResolveIfChanged { pointer, version })))
    }),
    case("watch-given-up", Opcode::WatchRecord, CHUNKS, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        server.hold(client, pointer)?;
        let pair = |xid| [request(xid, Request::WatchRecord { pointer, push: true }), abort(xid)].concat();
        let bytes = (1..=MANY).flat_map(pair).collect();
        Ok(Attack { client, bytes, reads: false, requests: MANY.into() })
    }),
    case("reserve", Opcode::ReserveRecord, RECORDS, |server, count| {
        let client = server.connect(1)?;
        Ok(flood(client, count, |_| Request::ReserveRecord { access: Access::READ }))
    }),
    case("set-lifetime", Opcode::SetLifetime, RECORDS, |server, count| {
        let (client, pointers) = many(server, count)?;
        // Each of another time, in no order.
        let ttl = |n: u32| NonZeroU32::new(1 + n.wrapping_mul(7919) % 80_000);
        let lifetime = |n| Lifetime { grace: Some(n % 3600), ttl: ttl(n), heir: None };
        let set = |n: u32| {
            let pointer = pointers[(n % count) as usize];
            Request::SetLifetime { pointer, lifetime: lifetime(n) }
        };
        Ok(flood(client, 2 * count, set))
    }),
    case("request-ownership-watched", Opcode::RequestOwnership, STANDING, |server, count| {
        let (_, pointer) = watched(server, count, 1)?;
        let other = server.connect(2)?;
        Ok(flood(other, MANY, |_| Request::RequestOwnership { pointer }))
    }),
    case("abort-unread", Opcode::ResolvePointer, FEW, |server, chunks| {
        let (client, pointer) = full(server, chunks)?;
        server.hold(client, pointer)?;
        let read = |xid| request(xid, Request::ResolvePointer { pointer });
        let bytes = (1..=MANY).flat_map(read).chain((1..=MANY).rev().flat_map(abort)).collect();
        Ok(Attack { client, bytes, reads: false, requests: MANY.into() })
    }),
];

fn one(client: usize, it: Request<Vec<u8>>) -> Attack {
    Attack { client, bytes: request(1, it), reads: true, requests: 1 }
}

/// So many requests, one after the other.
fn flood(client: usize, count: u32, each: impl Fn(u32) -> Request<Vec<u8>>) -> Attack {
    let bytes = (0..count).flat_map(|n| request(n + 1, each(n))).collect();
    Attack { client, bytes, reads: true, requests: count.into() }
}

/// Nothing is read of the answers.
fn unread(attack: Attack) -> Attack {
    Attack { reads: false, ..attack }
}

fn abort(xid: u32) -> Vec<u8> {
    [&xid.to_be_bytes()[..], &[0, 0, 0, 0, ABORT, 0]].concat()
}

/// Data of a number of chunks.
fn large(chunks: u32) -> Vec<u8> {
    vec![1; (chunks * CHUNK) as usize]
}

/// A record of chunks that are full, or have one byte each where they begin.
fn record(server: &mut Server, chunks: u32, offset: u32) -> Result<(usize, Pointer)> {
    let client = server.connect(1)?;
    let pointer = server.create(client, ALL_RIGHTS, b"")?;
    let write = |chunk| Request::WriteRange { pointer, offset: chunk * CHUNK + offset, data: vec![1] };
    server.ask(client, (0..chunks).map(write))?;
    Ok((client, pointer))
}

fn full(server: &mut Server, chunks: u32) -> Result<(usize, Pointer)> {
    record(server, chunks, CHUNK - 1)
}

fn scattered(server: &mut Server, chunks: u32) -> Result<(usize, Pointer)> {
    record(server, chunks, 0)
}

/// Writes to a record of full chunks, each of which finds it held by a reply that nobody reads.
fn held(
    server: &mut Server,
    chunks: u32,
    write: impl Fn(Pointer, u32, u32) -> Request<Vec<u8>>,
) -> Result<Attack> {
    let (client, pointer) = full(server, chunks)?;
    server.hold(client, pointer)?;
    let pair = |n| {
        let read = Request::ReadRange { pointer, offset: 0, len: 65 };
        [request(2 * n, read), request(2 * n + 1, write(pointer, chunks * CHUNK, n))].concat()
    };
    let count = MANY / 2;
    let bytes = (0..count).flat_map(pair).collect();
    Ok(Attack { client, bytes, reads: false, requests: count.into() })
}

/// The owner of many records.
fn many(server: &mut Server, count: u32) -> Result<(usize, Vec<Pointer>)> {
    let client = server.connect(1)?;
    let create = |server: &mut Server| server.create(client, ALL_RIGHTS, b"");
    Ok((client, (0..count).map(|_| create(server)).collect::<Result<_>>()?))
}

/// A record that is watched so many times from an address, and its owner.
fn watched(server: &mut Server, count: u32, address: u8) -> Result<(usize, Pointer)> {
    let client = server.connect(1)?;
    let pointer = server.create(client, ALL_RIGHTS, &[1; 64])?;
    stand(server, count, address, |_| Request::WatchRecord { pointer, push: false })?;
    Ok((client, pointer))
}

/// Connections from an address with so many watches or waiting reads together.
fn stand(server: &mut Server, count: u32, address: u8, each: impl Fn(u32) -> Request<Vec<u8>>) -> Result<()> {
    for first in (0..count).step_by(WATCHES as usize) {
        let watcher = server.connect(address)?;
        server.ask(watcher, (first..count.min(first + WATCHES)).map(&each))?;
    }
    Ok(())
}
