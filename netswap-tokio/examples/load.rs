//! A load for a running server: RESOLVE_POINTER of one record over many connections, each with several requests under
//! way, the way `redis-benchmark -P` does it. Prints operations per second.
//!
//! ```text
//! taskset -c 0 netswap serve --threads 1 &
//! taskset -c 1 cargo run --release -p netswap-tokio --example load -- 127.0.0.1:7420 50 16 64 5
//! ```
//!
//! The arguments are the server's address, connections, requests under way on each, bytes of the record, and seconds.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{HEADER_LEN, Header, MAX_PAYLOAD, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

struct Load {
    server: String,
    connections: usize,
    depth: usize,
    record: usize,
    length: Duration,
}

fn main() -> io::Result<()> {
    let load = arguments().ok_or_else(|| {
        io::Error::other(
            "usage: load [SERVER [CONNECTIONS [DEPTH [RECORD-BYTES [SECONDS]]]]]; see the source",
        )
    })?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(load))
}

fn arguments() -> Option<Load> {
    let mut arguments = std::env::args().skip(1);
    let server = arguments.next().unwrap_or_else(|| "127.0.0.1:7420".into());
    let mut number = |default: usize| arguments.next().map_or(Some(default), |text| text.parse().ok());
    let load = Load {
        server,
        connections: number(50)?,
        depth: number(16)?,
        record: number(64)?,
        length: Duration::from_secs(number(5)? as u64),
    };
    arguments.next().is_none().then_some(load).filter(|load| load.record <= MAX_PAYLOAD && load.depth > 0)
}

async fn run(load: Load) -> io::Result<()> {
    let mut owner = TcpStream::connect(&load.server).await?;
    let pointer = create(&mut owner, load.record).await?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| {
            tokio::spawn(resolve(load.server.clone(), pointer, load.depth, load.record, start + load.length))
        })
        .collect();
    let mut operations = 0;
    for task in tasks {
        operations += task.await??;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{:.0} operations/s ({} connections, {} under way on each, {} bytes)",
        operations as f64 / seconds,
        load.connections,
        load.depth,
        load.record
    );
    Ok(())
}

fn packet(xid: u32, request: Request<Vec<u8>>) -> Vec<u8> {
    let message = request.encode();
    let remaining = (message.operands.as_slice().len() + message.body.len()) as u32;
    let header = Header { xid: Xid(xid), remaining, opcode: message.opcode, access: message.access };
    [&header.encode()[..], message.operands.as_slice(), &message.body].concat()
}

async fn create(stream: &mut TcpStream, len: usize) -> io::Result<Pointer> {
    let request = Request::CreateRecord { access: Access::READ, data: vec![0x5a; len] };
    stream.write_all(&packet(0, request)).await?;
    let mut reply = [0; HEADER_LEN + 8];
    stream.read_exact(&mut reply).await?;
    let pointer: [u8; 8] = reply[HEADER_LEN..].try_into().map_err(io::Error::other)?;
    Ok(Pointer(u64::from_be_bytes(pointer)))
}

async fn resolve(
    server: String,
    pointer: Pointer,
    depth: usize,
    len: usize,
    end: Instant,
) -> io::Result<u64> {
    let mut stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let requests: Vec<u8> =
        (0..depth as u32).flat_map(|xid| packet(xid, Request::ResolvePointer { pointer })).collect();
    let mut replies = vec![0; depth * (HEADER_LEN + len)];
    let mut operations = 0;
    while Instant::now() < end {
        stream.write_all(&requests).await?;
        stream.read_exact(&mut replies).await?;
        let right = replies.chunks(HEADER_LEN + len).all(|reply| reply[8] == 3 && reply.ends_with(&[0x5a]));
        if !right {
            return Err(io::Error::other("a reply is not the record"));
        }
        operations += depth as u64;
    }
    Ok(operations)
}
