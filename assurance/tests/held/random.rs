//! Clients that do anything, at random, for a given time.

use std::io::Write;
use std::num::NonZeroU32;
use std::thread;
use std::time::{Duration, Instant};

use assurance::raw::{Raw, loopback, packets};
use assurance::scale::{quick_or_long, seconds, seed};
use assurance::servers::Adapter;
use fastrand::Rng;
use netswap_core::types::{Access, Owner, Pointer, Version};
use netswap_core::wire::{HEADER_LEN, Lifetime, MAX_PAYLOAD, Request};

use crate::{Held, MIB};

/// Clients at one time.
const CLIENTS: usize = 6;

/// Addresses that they come from.
const ADDRESSES: usize = 20;

/// `NETSWAP_ASSURANCE_SECONDS` is how long they go on.
pub(crate) fn random_clients(adapter: Adapter) {
    let length = seconds().unwrap_or(Duration::from_millis(quick_or_long(1000, 60_000)));
    let total = 64 * MIB;
    let limits = [("grace_ms", 300), ("connections", 50), ("places", 20_000), ("unfinished", 16 * MIB)];
    let beside = 20_000 * 512 + 20 * MIB + CLIENTS as u64 * MIB;
    let mut held = Held::start(adapter, "requests by random clients", total, beside, &limits);
    let (end, server, seed) = (Instant::now() + length, held.server.address, seed());
    eprintln!("\n{}: random clients, seed {seed}", adapter.name());
    let pointers = std::sync::Mutex::new(Vec::new());
    let requests: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|n| {
                let pointers = &pointers;
                scope.spawn(move || {
                    let mut rng = Rng::with_seed(seed.wrapping_mul(1000) + n);
                    let mut count = 0;
                    while Instant::now() < end {
                        let mut raw = Raw::connect(loopback(rng.usize(..ADDRESSES)), server).unwrap();
                        raw.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                        for _ in 0..rng.usize(1..50) {
                            count += session(&mut raw, &mut rng, pointers);
                        }
                        if rng.bool() {
                            raw.reset();
                        }
                    }
                    count
                })
            })
            .collect();
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(100));
            if held.server.resident() > held.server.bound {
                break;
            }
        }
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    let peak = held.server.peak();
    eprintln!("{}: {requests} requests; at most {} MiB resident", adapter.name(), peak / MIB);
    if peak > held.server.bound {
        held.wrong.push(format!("{} MiB are above the bound, seed {seed}", peak / MIB));
    }
    held.is_full(requests);
    held.ends_empty();
}

/// Some requests in one write, and their replies as far as a PING behind them. Returns how many there were.
fn session(raw: &mut Raw, rng: &mut Rng, pointers: &std::sync::Mutex<Vec<Pointer>>) -> usize {
    let count = rng.usize(1..40);
    let mut bytes = Vec::new();
    for xid in 1..=count as u32 {
        let pointer = {
            let pointers = pointers.lock().unwrap();
            rng.choice(&*pointers).copied().unwrap_or(Pointer(1))
        };
        let request = packets(xid, request(rng, pointer));
        // Now and then one that does not end, or is given up.
        let is_cut = rng.u8(..) < 4 && request.len() > HEADER_LEN + MAX_PAYLOAD;
        bytes.extend_from_slice(if is_cut { &request[..HEADER_LEN + MAX_PAYLOAD] } else { &request });
        if is_cut || rng.u8(..) < 20 {
            bytes.extend([&xid.to_be_bytes()[..], &[0, 0, 0, 0, 255, 0]].concat());
        }
    }
    // XIDs of watches and waiting reads are free again.
    bytes.extend((1..=count as u32).flat_map(|xid| [&xid.to_be_bytes()[..], &[0, 0, 0, 0, 255, 0]].concat()));
    bytes.extend(packets(0, Request::Ping { data: vec![] }));
    let mut stream = raw.0.try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stream.write_all(&bytes));
        replies(raw, pointers);
    });
    let mut pointers = pointers.lock().unwrap();
    while pointers.len() > 20_000 {
        let n = rng.usize(..pointers.len());
        pointers.swap_remove(n);
    }
    count
}

/// Reads packets until the reply to the PING, and notes what may be pointers.
fn replies(raw: &mut Raw, pointers: &std::sync::Mutex<Vec<Pointer>>) {
    use std::io::Read;
    let mut header = [0; HEADER_LEN];
    let mut payload = [0; MAX_PAYLOAD];
    while raw.0.read_exact(&mut header).is_ok() {
        let header = netswap_core::wire::Header::decode(&header);
        let payload = &mut payload[..header.payload_len()];
        raw.0.read_exact(payload).unwrap();
        match header {
            _ if header.xid.0 == 0 => return,
            _ if header.opcode == 0 && header.remaining == 8 => {
                let pointer = u64::from_be_bytes((&*payload).try_into().unwrap());
                // Versions are small.
                if pointer > 1 << 32 {
                    pointers.lock().unwrap().push(Pointer(pointer));
                }
            }
            _ => {}
        }
    }
}

fn len(rng: &mut Rng) -> usize {
    match rng.u8(..) {
        0..=199 => rng.usize(..300),
        200..=249 => rng.usize(..20_000),
        _ => rng.usize(..MIB as usize),
    }
}

fn request(rng: &mut Rng, pointer: Pointer) -> Request<Vec<u8>> {
    let access = Access::from_bits_truncate(rng.u8(..8) | rng.u8(..8));
    let offset = len(rng) as u32;
    let version = Version(rng.u64(..4));
    let owner = Owner::new(rng.u64(1..2000)).unwrap();
    let data = vec![rng.u8(..); len(rng)];
    match rng.u8(..30) {
        0..=4 => Request::CreateRecord { access, data },
        5 => Request::UpdateRecordPermissions { pointer, access },
        6 => Request::ResolvePointer { pointer },
        7 | 8 => Request::ReplaceRecord { pointer, data },
        9..=11 => Request::DeleteRecord { pointer },
        12 => Request::TakeoverRecord { pointer },
        13 => Request::TransferRecord { pointer, owner },
        14 => Request::Identify,
        15 => Request::Ping { data },
        16 => Request::StatRecord { pointer },
        17 => Request::ListRecords,
        18 => Request::ReadRange { pointer, offset, len: rng.u32(..) },
        19 | 20 => Request::WriteRange { pointer, offset, data },
        21 | 22 => Request::Append { pointer, data },
        23 => Request::CompareAndReplace { pointer, version, data },
        24 => Request::FetchAdd { pointer, offset, delta: rng.i64(..) },
        25 => Request::ResolveIfChanged { pointer, version },
        26 => Request::WatchRecord { pointer, push: rng.bool() },
        27 => Request::ReserveRecord { access },
        28 => {
            // Short: what nobody can delete is gone when the clients are.
            let (grace, ttl) = (Some(rng.u32(..3)), NonZeroU32::new(rng.u32(..4)));
            Request::SetLifetime {
                pointer,
                lifetime: Lifetime { grace, ttl, heir: rng.bool().then_some(owner) },
            }
        }
        _ => Request::RequestOwnership { pointer },
    }
}
