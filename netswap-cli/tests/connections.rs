//! More connections than `netswap serve` has room for, or descriptors (fault 12 of docs/ASSURANCE.md).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;

use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use assurance::measured::{busy, descriptors};
use assurance::raw::{Answer, Raw, SOON, loopback};
use common::{Server, netswap, wait_until};
use netswap_tokio::core::wire::Request;

const RUNTIMES: [&str; 3] = ["tokio", "smol", "blocking"];

const CONNECTIONS: usize = 1000;

fn ping() -> Request<Vec<u8>> {
    Request::Ping { data: b"still there?".to_vec() }
}

/// The longest of many requests of somebody who is served.
fn slowest(served: &mut Raw) -> Duration {
    let times = (0..200).map(|_| {
        let start = Instant::now();
        assert_eq!(served.ask(ping()).unwrap().code, 0);
        start.elapsed()
    });
    times.max().unwrap()
}

#[test]
fn without_descriptors_others_are_served_and_nothing_spins() {
    for runtime in RUNTIMES {
        let program = netswap([]).get_program().to_str().unwrap().to_owned();
        let mut limited = Command::new("sh");
        let script = format!("ulimit -n 256; exec {program} serve --listen 127.0.0.1:0 --runtime {runtime}");
        let server = Server::from(limited.args(["-c", &script]));
        let process = server.process.id();
        let mut served = Raw::connect(loopback(0), server.address).unwrap();
        slowest(&mut served);
        // The system takes those into its queue that the server cannot accept.
        let waiting: Vec<_> =
            (1..=CONNECTIONS).map(|n| Raw::connect(loopback(n), server.address).unwrap()).collect();
        wait_until("it has no descriptor left", || descriptors(process) == 256);
        let (before, start) = (busy(process), Instant::now());
        std::thread::sleep(Duration::from_secs(1));
        let spent = busy(process) - before;
        assert!(spent <= 50, "{runtime}: {spent} ms busy in {:?} with nothing to do", start.elapsed());
        let slowest = slowest(&mut served);
        assert!(slowest < Duration::from_millis(500), "{runtime}: {slowest:?} for a PING");
        // Those that it has are served, and as they leave the next ones are.
        let mut answered = 0;
        for mut raw in waiting {
            assert_eq!(raw.ask(ping()).unwrap().code, 0, "{runtime}, after {answered}");
            answered += 1;
        }
        assert_eq!(answered, CONNECTIONS);
        wait_until("they are gone", || descriptors(process) < 40);
        server.process.signal("TERM");
        let (status, log) = server.process.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        let said = log.matches("cannot accept connections").count();
        eprintln!("{runtime}: busy for {spent} ms of 1 s, slowest PING {slowest:?}, said so {said} times");
        assert!(said > 0 && !log.contains("panicked"), "{log}");
        assert!(log.contains("the system allows 256 open files: 10000 connections"), "{log}");
    }
}

#[test]
fn a_low_limit_of_descriptors_that_may_be_raised_is_raised() {
    let program = netswap([]).get_program().to_str().unwrap().to_owned();
    let script = format!("ulimit -S -n 64; exec {program} serve --listen 127.0.0.1:0 --max-connections 500");
    let server = Server::from(Command::new("sh").args(["-c", &script]));
    let mut clients: Vec<_> = (0..400).map(|n| Raw::connect(loopback(n), server.address).unwrap()).collect();
    clients.iter_mut().for_each(|raw| assert_eq!(raw.ask(ping()).unwrap().code, 0));
    server.process.signal("TERM");
    let (status, log) = server.process.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("open files"), "{log}");
}

#[test]
fn connections_over_the_limit_are_told_so_and_others_are_served() {
    for runtime in RUNTIMES {
        let server = Server::start(&["--max-connections", "100", "--runtime", runtime]);
        let process = server.process.id();
        let mut served: Vec<_> =
            (0..100).map(|n| Raw::connect(loopback(n), server.address).unwrap()).collect();
        served.iter_mut().for_each(|raw| assert_eq!(raw.ask(ping()).unwrap().code, 0));
        let full = descriptors(process);
        let over: Vec<_> =
            (100..100 + CONNECTIONS).map(|n| Raw::connect(loopback(n), server.address).unwrap()).collect();
        let told = Answer { xid: 0, code: 8, access: 7, payload: 100_u64.to_be_bytes().into() };
        let (mut refused, mut closed) = (0, 0);
        for mut raw in over {
            match raw.answer() {
                Ok(answer) => {
                    assert_eq!(answer, told);
                    assert!(raw.ends());
                    refused += 1;
                }
                Err(_) => closed += 1,
            }
        }
        // So many may be being told at a time; the others are closed at once.
        assert!(refused >= 256 && refused + closed == CONNECTIONS, "{refused} refused, {closed} closed");
        let slowest = slowest(&mut served[0]);
        assert!(slowest < Duration::from_millis(500), "{runtime}: {slowest:?} for a PING");
        wait_until("those are gone", || descriptors(process) <= full);
        drop(served.pop());
        let end = Instant::now() + SOON;
        while !Raw::connect(loopback(0), server.address).unwrap().ask(ping()).is_ok_and(|it| it.code == 0) {
            assert!(Instant::now() < end, "a place that is free again can be had");
        }
        served[1].half_close().unwrap();
        assert!(matches!(served[1].0.read(&mut [0]), Ok(0)));
        eprintln!("{runtime}: {refused} refused, {closed} closed at once, slowest PING {slowest:?}");
    }
}
