//! What other clients of `netswap serve` wait for, while some keep it busy.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use assurance::raw::{Raw, loopback, packets};
use common::Server;
use netswap_tokio::core::types::{Access, Pointer};
use netswap_tokio::core::wire::Request;

/// A PING that takes longer is late.
const BOUND: Duration = Duration::from_millis(50);

/// How long it is measured, and how much of that time late PINGs may take: the machine has other things to do.
const TIME: Duration = Duration::from_secs(5);
const LATE: Duration = Duration::from_secs(1);

/// Between two PINGs.
const APART: Duration = Duration::from_millis(4);

/// Runtimes and threads.
const SERVERS: [&[&str]; 5] = [
    &["--runtime", "tokio", "--threads", "1"],
    &["--runtime", "tokio", "--threads", "2"],
    &["--runtime", "smol", "--threads", "1"],
    &["--runtime", "smol", "--threads", "2"],
    &["--runtime", "blocking"],
];

/// A client that always has some reads under way.
struct Reader {
    stream: TcpStream,
    threads: [thread::JoinHandle<()>; 2],
}

impl Reader {
    fn start(number: usize, server: SocketAddr, pointer: Pointer) -> Self {
        let stream = Raw::connect(loopback(number), server).unwrap().0;
        let requests: Vec<u8> =
            (1..=64).flat_map(|xid| packets(xid, Request::ResolvePointer { pointer })).collect();
        let (mut from, mut to) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let threads = [
            thread::spawn(move || while to.write_all(&requests).is_ok() {}),
            thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while matches!(from.read(&mut buffer), Ok(1..)) {}
            }),
        ];
        Self { stream, threads }
    }

    fn stop(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// The longest PING, and how long all late ones took together.
fn pings(server: SocketAddr) -> (Duration, Duration) {
    let mut client = Raw::connect(loopback(100), server).unwrap();
    let (start, mut longest, mut late) = (Instant::now(), Duration::ZERO, Duration::ZERO);
    while start.elapsed() < TIME {
        let sent = Instant::now();
        assert_eq!(client.ask(Request::Ping { data: vec![1; 8] }).unwrap().code, 0);
        let took = sent.elapsed();
        longest = longest.max(took);
        if took > BOUND {
            late += took;
        }
        thread::sleep(APART);
    }
    (longest, late)
}

#[test]
fn pipelined_reads_of_some_do_not_hold_up_others() {
    for flags in SERVERS {
        let server = Server::start(flags);
        let mut owner = Raw::connect(loopback(0), server.address).unwrap();
        let create = Request::CreateRecord { access: Access::READ, data: vec![7; 64] };
        let pointer = owner.ask(create).unwrap().pointer();
        let readers: Vec<_> = (1..=4).map(|number| Reader::start(number, server.address, pointer)).collect();
        let (longest, late) = pings(server.address);
        readers.into_iter().for_each(Reader::stop);
        eprintln!("{flags:?}: the longest PING took {longest:?}, all late ones {late:?} of {TIME:?}");
        assert!(late < LATE, "{flags:?}: late PINGs took {late:?} of {TIME:?}");
    }
}
