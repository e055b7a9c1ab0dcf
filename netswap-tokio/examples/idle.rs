//! What idle connections cost a server: its resident memory, threads and descriptors, before and with them.
//!
//! `cargo run --release -p netswap-tokio --example idle -- 127.0.0.1:7420 5000 $(pgrep -x netswap)`
//!
//! Each connection makes one small request first. Linux only: the figures are from /proc.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::{env, fs, process};

/// PING, XID 1, without a payload.
const PING: [u8; 10] = [0, 0, 0, 1, 0, 0, 0, 0, 8, 0];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(server), Some(count), Some(pid)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: idle HOST:PORT CONNECTIONS PID");
        process::exit(2);
    };
    let (server, count): (SocketAddr, u64) = (server.parse()?, count.parse()?);
    let before = Cost::of(&pid)?;
    println!("before: {before:?}");
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = TcpStream::connect(server)?;
        connection.write_all(&PING)?;
        connection.read_exact(&mut [0; 10])?;
        connections.push(connection);
    }
    let with = Cost::of(&pid)?;
    println!("with {count} connections: {with:?}");
    println!(
        "each: {} bytes resident, {:.2} threads, {:.2} descriptors",
        with.resident.saturating_sub(before.resident) / count,
        (with.threads - before.threads) as f64 / count as f64,
        (with.descriptors - before.descriptors) as f64 / count as f64,
    );
    Ok(())
}

/// What a process uses.
#[derive(Debug)]
struct Cost {
    /// Bytes.
    resident: u64,
    threads: u64,
    descriptors: u64,
}

impl Cost {
    fn of(pid: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok())
        };
        let (resident, threads) =
            (field("VmRSS:").ok_or("no VmRSS")?, field("Threads:").ok_or("no Threads")?);
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        Ok(Self { resident: resident * 1024, threads, descriptors })
    }
}
