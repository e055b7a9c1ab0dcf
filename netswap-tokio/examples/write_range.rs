//! What a small write into a large record costs, and how many updates of one record a second 16 clients get done.
//!
//! ```text
//! cargo run --release -p netswap-tokio --example write_range
//! ```
//!
//! Prints nanoseconds for each WRITE_RANGE of 32 bytes into records of 4 KiB, 1 MiB and 64 MiB: by the state machine
//! alone, over TCP one after the other, and by the state machine while a reply holds the record, so that each write
//! copies it.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::{Duration, Instant as Clock};

use netswap_core::config::Config;
use netswap_core::engine::Peer;
use netswap_core::server::Server as Machine;
use netswap_core::time::Instant;
use netswap_core::types::Xid;
use netswap_core::wire::{HEADER_LEN, Header, Request};
use netswap_tokio::{Access, Client, ConnectOptions, IdentityKey, Limits, Pointer, Server, ServerOptions};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DATA: [u8; 32] = [0x5a; 32];

const SIZES: [(usize, &str); 3] = [(4 << 10, "4 KiB"), (1 << 20, "1 MiB"), (64 << 20, "64 MiB")];

/// For how long each of the figures is measured.
const LENGTH: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<()> {
    let server = Server::bind(ServerOptions::new("127.0.0.1:0").limits(limits())).await?;
    let address = server.local_address().to_string();
    tokio::spawn(server.run());

    println!("{:>8}  {:>12}  {:>12}  {:>12}", "record", "core", "core, shared", "TCP");
    for (size, name) in SIZES {
        let (alone, shared) = (in_memory(size, false)?, in_memory(size, true)?);
        let tcp = over_tcp(&address, size).await?;
        println!("{name:>8}  {alone:>9.0} ns  {shared:>9.0} ns  {tcp:>9.0} ns");
    }
    for clients in [1, 2, 4, 16] {
        let (rate, attempts, fewest, most) = updates(&address, clients).await?;
        println!(
            "{clients:>2} clients update one record: {rate:.0} updates/s, {attempts:.2} attempts each, {fewest} to {most} of a client"
        );
    }
    Ok(())
}

fn limits() -> Limits {
    Limits::new(1 << 30)
}

/// The server's state machine without a socket, a client of it, and the client's record.
fn machine(size: usize) -> Result<(Machine, Peer, Pointer)> {
    let mut machine = Machine::new(Config::new(limits(), IdentityKey([0; 16]), [0; 32]))?;
    let peer = machine.connect([127, 0, 0, 1].into(), Instant::ZERO).ok_or("no connection")?;
    let create = Request::CreateRecord { access: Access::READ, data: Vec::new() };
    let reply = ask(&mut machine, peer, &packet(create));
    let pointer = Pointer(u64::from_be_bytes(reply[HEADER_LEN..].try_into()?));
    // One empty write makes the record as long as it is to be.
    let grow = Request::WriteRange { pointer, offset: size as u32, data: Vec::new() };
    ask(&mut machine, peer, &packet(grow));
    Ok((machine, peer, pointer))
}

fn in_memory(size: usize, shared: bool) -> Result<f64> {
    let (mut machine, peer, pointer) = machine(size)?;
    let writes: Vec<_> = (0..64).map(|at| packet(write(pointer, place(at, size)))).collect();
    let reader = machine.connect([127, 0, 0, 1].into(), Instant::ZERO).ok_or("no connection")?;
    let read = packet(Request::ResolvePointer { pointer });
    let mut time = Duration::ZERO;
    let mut count: u32 = 0;
    while time < LENGTH {
        if shared {
            // A reply that nobody has taken yet holds the record; the one before has been taken.
            let held = machine.output(reader.id).map_or(0, |output| output.len() as usize);
            take(&mut machine, reader, held);
            machine.handle_input(reader.id, &read, Instant::ZERO);
        }
        let batch = if shared { &writes[..1] } else { &writes };
        let start = Clock::now();
        for write in batch {
            ask(&mut machine, peer, write);
        }
        time += start.elapsed();
        count += batch.len() as u32;
    }
    Ok(time.as_secs_f64() * 1e9 / f64::from(count))
}

async fn over_tcp(address: &str, size: usize) -> Result<f64> {
    let client = Client::connect(address).await?;
    let pointer = client.create(vec![0; size], Access::READ).await?;
    let start = Clock::now();
    let mut count = 0;
    while start.elapsed() < LENGTH {
        client.write_range(pointer, place(count, size), &DATA[..]).await?;
        count += 1;
    }
    let time = start.elapsed();
    client.delete(pointer).await?;
    Ok(time.as_secs_f64() * 1e9 / f64::from(count))
}

/// Updates a second, how many attempts each took, and the fewest and the most that a client got done.
async fn updates(address: &str, clients: u8) -> Result<(f64, f64, u32, u32)> {
    let owner = Client::connect(address).await?;
    let pointer = owner.create(vec![0; 256], Access::READ | Access::WRITE).await?;
    let start = Clock::now();
    let tasks: Vec<_> = (0..clients)
        .map(|n| {
            let options = ConnectOptions::new(address).bind([127, 0, 0, n + 2].into());
            tokio::spawn(async move {
                let client = Client::connect(options).await?;
                let (mut attempts, mut done) = (0_u32, 0_u32);
                while start.elapsed() < LENGTH {
                    let change = |old: &bytes::Bytes| {
                        attempts += 1;
                        old.clone()
                    };
                    client.update(pointer, change).await?;
                    done += 1;
                }
                Ok::<_, netswap_tokio::Error>((attempts, done))
            })
        })
        .collect();
    let (mut attempts, mut fewest, mut most) = (0, u32::MAX, 0);
    for task in tasks {
        let (tried, done) = task.await??;
        attempts += tried;
        (fewest, most) = (fewest.min(done), most.max(done));
    }
    let seconds = start.elapsed().as_secs_f64();
    let done = owner.stat(pointer).await?.version.0 - 1;
    owner.delete(pointer).await?;
    Ok((done as f64 / seconds, f64::from(attempts) / done as f64, fewest, most))
}

fn write(pointer: Pointer, offset: u32) -> Request<Vec<u8>> {
    Request::WriteRange { pointer, offset, data: DATA.to_vec() }
}

/// Places all over a record.
fn place(at: u32, size: usize) -> u32 {
    at.wrapping_mul(0x9e37_79b1) % (size - DATA.len()) as u32
}

/// A request that fits in one packet.
fn packet(request: Request<Vec<u8>>) -> Vec<u8> {
    let message = request.encode();
    let remaining = (message.operands.as_slice().len() + message.body.len()) as u32;
    let header = Header { xid: Xid(1), remaining, opcode: message.opcode, access: message.access };
    [&header.encode()[..], message.operands.as_slice(), &message.body].concat()
}

/// Sends a request, and takes the reply out of the output.
fn ask(machine: &mut Machine, peer: Peer, request: &[u8]) -> Vec<u8> {
    machine.handle_input(peer.id, request, Instant::ZERO);
    let len = machine.output(peer.id).map_or(0, |output| output.window_len());
    let reply = machine.output(peer.id).map(|output| output.slices().flatten().copied().collect());
    machine.sent(peer.id, len, Instant::ZERO);
    reply.unwrap_or_default()
}

/// Takes bytes out of the output.
fn take(machine: &mut Machine, peer: Peer, mut count: usize) {
    while count > 0 {
        let now = machine.output(peer.id).map_or(0, |output| output.window_len()).min(count);
        machine.sent(peer.id, now, Instant::ZERO);
        count -= now;
        if now == 0 {
            return;
        }
    }
}
