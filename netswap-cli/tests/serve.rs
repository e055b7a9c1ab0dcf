//! `netswap serve`: its start, what it says, and its end.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{RUNTIMES, Server, netswap, run};
use netswap_tokio::core::config::Limits;

/// PING with the XID 1 and the payload "hi", and its answer.
const PING: &[u8] = b"\0\0\0\x01\0\0\0\x02\x08\0hi";
const PONG: &[u8] = b"\0\0\0\x01\0\0\0\x02\0\0hi";

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn ping(stream: &mut TcpStream) {
    stream.write_all(PING).unwrap();
    let mut pong = [0; PONG.len()];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(pong, PONG);
}

#[test]
fn it_prints_its_address_and_serves() {
    let flags: [&[&str]; 6] = [
        &["--threads", "1"],
        &["--threads", "2"],
        &["--runtime", "smol", "--threads", "1"],
        &["--runtime", "smol", "--threads", "2"],
        &["--runtime", "smol"],
        &["--runtime", "blocking"],
    ];
    for flags in flags {
        let server = Server::start(flags);
        assert_ne!(server.address.port(), 0);
        // More than there are threads.
        let mut connections: Vec<_> = (0..5).map(|_| connect(&server)).collect();
        connections.iter_mut().for_each(ping);
    }
}

#[test]
fn threads_that_a_runtime_does_not_have_are_no_use() {
    let flags = ["serve", "--listen", "127.0.0.1:0", "--runtime", "blocking", "--threads", "2"];
    run(&mut netswap(flags)).fails(2, &["--threads", "every connection has a thread of its own"]);
}

#[test]
fn it_says_how_much_memory_it_may_need_and_of_what_it_consists() {
    let flags =
        ["--max-memory", "64MiB", "--max-connections", "16", "--max-record", "1MiB", "--grace", "90s"];
    let server = Server::start(&flags);
    server.process.signal("TERM");
    let (_, log) = server.process.ended();
    let limits = Limits { connections: 16, ..Limits::with_record(64 << 20, 1 << 20) };
    let bytes = format!("bytes={}", limits.memory_bound());
    let words = ["memory: at most ", "64.0 MiB", "16 connections", "at most 1.0 MiB each", "1m 30s", &bytes];
    for words in words {
        assert!(log.contains(words), "{words:?} in {log}");
    }
    assert!(!log.contains("WARN"), "{log}");
}

#[test]
fn it_warns_when_other_machines_may_reach_it() {
    let server = Server::from(netswap(["serve"]).args(["--listen", "0.0.0.0:0"]));
    server.process.signal("TERM");
    let (_, log) = server.process.ended();
    assert!(log.contains("WARN") && log.contains("other machines may reach this server"), "{log}");
}

#[test]
fn it_warns_that_a_seed_makes_pointers_predictable() {
    let seed = "5a".repeat(32);
    let server = Server::start(&["--seed", &seed]);
    server.process.signal("TERM");
    let (_, log) = server.process.ended();
    assert!(log.contains("WARN") && log.contains("tests only") && !log.contains(&seed), "{log}");
}

#[test]
fn the_environment_sets_what_flags_do_not() {
    let mut command = netswap(["serve", "--max-record", "2MiB"]);
    command.env("NETSWAP_LISTEN", "127.0.0.1:0").env("NETSWAP_MAX_RECORD", "1MiB").env("NETSWAP_GRACE", "7s");
    command.env("NETSWAP_LOG_FORMAT", "json");
    let server = Server::from(&mut command);
    ping(&mut connect(&server));
    server.process.signal("TERM");
    let (_, log) = server.process.ended();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().any(|line| line["max_record"] == 2 << 20), "{log}");
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap().contains("by 7s")), "{log}");
}

#[test]
fn a_signal_stops_it_in_order() {
    for (runtime, signal) in RUNTIMES.iter().flat_map(|runtime| [(runtime, "TERM"), (runtime, "INT")]) {
        let server = Server::start(&["--runtime", runtime]);
        let mut stream = connect(&server);
        ping(&mut stream);
        let start = Instant::now();
        server.process.signal(signal);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
        drop(stream);
        let (status, log) = server.process.ended();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(log.contains(&format!("SIG{signal} received")), "{log}");
    }
}

#[test]
fn it_serves_and_stops_when_nobody_reads_its_log_any_more() {
    for runtime in RUNTIMES {
        let mut command = netswap(["serve", "--listen", "127.0.0.1:0", "--runtime", runtime]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        drop(child.stderr.take());
        let address = line.trim().rsplit(' ').next().unwrap();
        TcpStream::connect(address).unwrap().write_all(PING).unwrap();
        common::signal(child.id(), "TERM");
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if start.elapsed() > Duration::from_secs(10) {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.and_then(|status| status.code()), Some(0), "{runtime}");
    }
}

fn stuck(server: &Server) -> TcpStream {
    common::stuck(connect(server))
}

#[test]
fn a_stuck_client_does_not_keep_it_from_stopping() {
    for runtime in RUNTIMES {
        let server = Server::start(&["--runtime", runtime]);
        let stream = stuck(&server);
        let start = Instant::now();
        server.process.signal("TERM");
        let (status, log) = server.process.ended();
        assert_eq!(status.code(), Some(0), "{runtime}: {log}");
        assert!(start.elapsed() < Duration::from_secs(5), "{runtime}: {:?}", start.elapsed());
        assert!(log.contains("closing what is left"), "{runtime}: {log}");
        drop(stream);
    }
}

#[test]
fn a_second_signal_stops_it_at_once() {
    for runtime in RUNTIMES {
        let server = Server::start(&["--runtime", runtime]);
        let _stream = stuck(&server);
        let start = Instant::now();
        server.process.signal("TERM");
        std::thread::sleep(Duration::from_millis(300));
        server.process.signal("TERM");
        let (status, log) = server.process.ended();
        assert_eq!(status.code(), Some(143), "{runtime}: {log}");
        assert!(start.elapsed() < Duration::from_secs(2), "{runtime}: {:?}", start.elapsed());
    }
}

#[test]
fn limits_that_cannot_be_kept_are_refused_with_their_flags() {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--max-record", "2MiB", "--max-memory", "1MiB"], &["--max-record", "2097152", "1048576"]),
        (&["--max-record", "4GiB"], &["--max-record", "4294967231"]),
        (&["--max-connections", "0"], &["connections is 0"]),
        (&["--grace", "5"], &["--grace", "5m"]),
        (&["--max-memory", "lots"], &["--max-memory", "64KiB"]),
        (&["--identity-key", "00"], &["--identity-key", "32 hex digits"]),
    ];
    for (flags, words) in cases {
        run(netswap(["serve", "--listen", "127.0.0.1:0"]).args(flags)).fails(2, words);
    }
}

#[test]
fn an_address_that_cannot_be_had_is_named() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    run(&mut netswap(["serve", "--listen", &address])).fails(1, &[&address, "in use"]);
}
