//! Many connections, and what they cost: threads, memory, and no time while nothing happens.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netswap_blocking::{Limits, Server};
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::Request;
use rustix::process::{Resource, getrlimit, setrlimit};
use support::{Raw, joined, options, packets, soon, start};

fn ping() -> Request<Vec<u8>> {
    Request::Ping { data: b"still there?".to_vec() }
}

fn create(len: usize) -> Request<Vec<u8>> {
    Request::CreateRecord { access: Access::READ, data: vec![7; len] }
}

/// The processor time of the threads of this process that serve, in clock ticks of 10 ms.
fn ticks() -> u64 {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, numbers)) = stat.split_once(") ") else { continue };
        if name.contains("(netswap-") {
            let numbers: Vec<&str> = numbers.split(' ').collect();
            sum += numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap();
        }
    }
    sum
}

/// How many threads of this process have this name.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|it| it.trim() == name).count()
}

/// One test after the other: each looks at all threads of the process, or at the time that something takes.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn requests_are_read_while_no_reply_is_taken_and_nobody_is_busy_meanwhile() {
    const LEN: usize = 8 << 20;
    let _alone = alone();
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    let created = raw.ask(create(LEN));
    let pointer = Pointer(u64::from_be_bytes(created.payload[..].try_into().unwrap()));
    // Four replies of 8 MiB that nobody takes, and 8 MiB the other way.
    for xid in 2..6 {
        raw.send(xid, Request::ResolvePointer { pointer });
    }
    raw.0.write_all(&packets(6, create(LEN))).expect("no deadlock");
    soon("the upload", || server.handle.statistics().store.records == 2);
    // Everything stands still now, and the server knows it.
    let before = ticks();
    thread::sleep(Duration::from_secs(1));
    let busy = ticks() - before;
    assert!(busy <= 2, "{busy} ticks of 10 ms in one second without anything to do");
    let mut left = 4 * LEN;
    let mut buffer = vec![0; 1 << 20];
    while left > 0 {
        left = left.saturating_sub(raw.0.read(&mut buffer).unwrap());
    }
    drop(raw);
    server.handle.shutdown();
    joined(server.thread);
}

#[test]
fn a_shutdown_wakes_a_thousand_idle_threads() {
    let _alone = alone();
    let server = start(options());
    let mut clients: Vec<_> = (0..1000).map(|_| Raw::connect(server.address)).collect();
    soon("a thread for each", || threads("netswap-server") == 1000);
    clients.iter_mut().step_by(100).for_each(|client| assert_eq!(client.ask(ping()).code, 0));
    let before = Instant::now();
    server.handle.shutdown();
    assert!(clients.iter_mut().all(Raw::ends), "each connection is ended in order");
    drop(clients);
    joined(server.thread);
    let took = before.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?} for a shutdown");
    soon("the end of the threads", || threads("netswap-server") == 0);
}

/// The other process of the test below.
const OTHER: &str = "NETSWAP_TEST_MANY";

const CONNECTIONS: usize = 10_000;

/// Not a test: the server of the test below, until its input ends.
#[test]
fn other_process() {
    if std::env::var_os(OTHER).is_none() {
        return;
    }
    let connections = CONNECTIONS as u32 + 100;
    let limits = Limits { connections, connections_per_address: None, ..Limits::new(256 << 20) };
    let server = Server::bind(options().limits(limits)).unwrap();
    let (address, handle) = (server.local_address(), server.handle());
    let serving = thread::spawn(|| server.run());
    println!("\nlistening on {address}");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let start = Instant::now();
    handle.shutdown();
    serving.join().unwrap();
    println!("stopped after {}", start.elapsed().as_millis());
    assert_eq!(handle.statistics().traffic.panics, 0);
}

/// A value of a /proc/PID/status, which may have a unit.
fn status(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Why this machine does not let a process have so many connections and threads.
fn no_room() -> Option<String> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, rustix::process::Rlimit { current: limit.maximum, ..limit }).ok()?;
    let number = |path| fs::read_to_string(path).ok()?.trim().parse::<usize>().ok();
    let places = [
        ("descriptors of a process", limit.maximum.map(|limit| limit as usize)),
        ("tasks of a user", getrlimit(Resource::Nproc).maximum.map(|limit| limit as usize)),
        ("tasks of the control group", number("/sys/fs/cgroup/pids.max")),
        ("tasks of the system", number("/proc/sys/kernel/threads-max")),
        // A thread has a stack and a smaller one for signals, each with a guard.
        ("a quarter of the mappings", number("/proc/sys/vm/max_map_count").map(|count| count / 4)),
    ];
    let (what, limit) =
        places.into_iter().find(|(_, limit)| limit.is_some_and(|it| it < CONNECTIONS + 500))?;
    Some(format!("{what}: {}", limit?))
}

#[test]
fn ten_thousand_connections_fit() {
    let _alone = alone();
    if let Some(limit) = no_room() {
        eprintln!("SKIPPED: 10 000 connections do not fit here, {limit}");
        return;
    }
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "other_process", "--nocapture"])
        .env(OTHER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = |start: &str| lines.find_map(|line| Some(line.strip_prefix(start)?.to_owned())).unwrap();
    let address: SocketAddr = said("listening on ").parse().unwrap();
    let before = status(other.id(), "VmRSS");

    let start = Instant::now();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for n in 0..CONNECTIONS {
        clients.push(Raw::connect_from(&format!("127.0.{}.{}", n / 250, n % 250 + 1), address));
    }
    let all_there = || status(other.id(), "Threads") as usize > CONNECTIONS;
    soon("a thread for each", all_there);
    let took = start.elapsed();
    let idle = status(other.id(), "VmRSS") - before;
    // Every one of them is served, and what that needs is given back.
    for client in &mut clients {
        client.send(1, create(1000));
    }
    for client in &mut clients {
        assert_eq!(client.answer().code, 0);
    }
    let used = status(other.id(), "VmRSS") - before;
    for client in clients.iter_mut().step_by(500) {
        let start = Instant::now();
        assert_eq!(client.ask(ping()).code, 0);
        assert!(start.elapsed() < Duration::from_secs(1), "{:?} for a ping", start.elapsed());
    }
    let descriptors = fs::read_dir(format!("/proc/{}/fd", other.id())).unwrap().count();
    let mappings = fs::read_to_string(format!("/proc/{}/maps", other.id())).unwrap().lines().count();
    let (threads, n) = (status(other.id(), "Threads"), CONNECTIONS as u64);
    eprintln!(
        "{CONNECTIONS} connections in {took:?}: {threads} threads, {descriptors} descriptors, {mappings} mappings, \
         resident {} KiB each, {} KiB after a request of each",
        idle / n,
        used / n
    );
    assert!(descriptors < CONNECTIONS + 50, "{descriptors} descriptors");
    assert!(idle / n < 96 && used / n < 96, "{idle} KiB, then {used} KiB for {n} connections");

    drop(other.stdin.take());
    assert!(clients.iter_mut().all(Raw::ends), "each connection is ended in order");
    drop(clients);
    let stopped = said("stopped after ");
    assert!(other.wait().unwrap().success());
    eprintln!("shut down in {stopped} ms");
    assert!(stopped.parse::<u64>().unwrap() < 4000, "{stopped} ms for a shutdown");
}
