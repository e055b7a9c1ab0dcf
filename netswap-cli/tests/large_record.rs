//! A large record, as its users have it: one puts it and writes to it without a pause, one gets it through a slow pipe,
//! and others notice nothing. The server holds it once, and nothing when it is deleted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;

use std::fs;
use std::io::Read;
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use assurance::measured::status;
use assurance::scale::{at_most, quick_or_long};
use assurance::waits::{Other, Waits};
use common::{Process, Server, run_with};

const MB: usize = 1_000_000;

/// What the slow pipe takes in a second.
const PACE: usize = 2 * MB;

/// What the server may have beside the record.
const BESIDE: u64 = 15 * MB as u64;

/// What it may keep when the record is deleted.
const KEPT: u64 = 16 << 20;

/// A p99 that is too long counts only where it is so each time.
const ATTEMPTS: usize = 5;

/// Where those bytes are that are written over and over, and how many.
const WRITTEN: (usize, usize) = (5 * MB, 100);

fn resident(server: &Server) -> u64 {
    status(server.process.id(), "VmRSS") * 1024
}

#[test]
fn a_large_record_is_written_while_it_is_fetched_through_a_slow_pipe() {
    let len = quick_or_long(20, 200) * MB;
    let server = Server::start(&["--grace", "200ms", "--max-memory", "1GB"]);
    assert_eq!(server.run("127.0.0.1", &["ping", "-n", "3"]).code, Some(0));
    let start = resident(&server);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("record");
    let data: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
    fs::write(&file, &data).unwrap();
    let (mut held, pointer) = server.put_and_hold("127.0.0.1", &file, &["--access", "rw"]);
    let small = server.put("127.0.0.1", &[0; 1000], &["--access", "rw"]);

    // What others wait where the same is done, and the writes go to another record.
    let within =
        |patched: &str| (0..3).map(|_| beside(&server, &pointer, patched, &data).permille(990)).min();
    let most = at_most(Duration::from_millis(1)) + within(&small).unwrap();
    fs::write(format!("/proc/{}/clear_refs", server.process.id()), "5").unwrap();
    let mut waits = Vec::new();
    while waits.last().is_none_or(|wait| *wait > most) && waits.len() < ATTEMPTS {
        waits.push(beside(&server, &pointer, &pointer, &data).permille(990));
    }
    let peak = status(server.process.id(), "VmHWM") * 1024;
    let above = peak.saturating_sub(start + len as u64);
    eprintln!("99% of others within {waits:?}, {most:?} allowed; {above} bytes above the record");

    assert_eq!(server.run("127.0.0.1", &["rm", &pointer]).code, Some(0));
    assert_eq!(server.run("127.0.0.1", &["rm", &small]).code, Some(0));
    held.kill();
    let end = Instant::now() + Duration::from_secs(10);
    while resident(&server) > start + KEPT && Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
    }
    let left = resident(&server);
    eprintln!("{start} bytes at the start, {left} when it is deleted");
    assert!(waits.last().unwrap() <= &most, "99% of others within {waits:?}, {most:?} allowed");
    assert!(above <= BESIDE, "{above} bytes above the record");
    assert!(left <= start + KEPT, "{left} bytes are left, {start} were there at the start");
}

/// What others wait while the record is fetched through a slow pipe and `patched` is written without a pause. What was
/// fetched must be one state of the record.
fn beside(server: &Server, pointer: &str, patched: &str, data: &[u8]) -> Waits {
    let slow = Duration::from_millis(quick_or_long(500, 10_000));
    let (over, writes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (waits, fetched) = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(SeqCst) {
                let tick = (writes.fetch_add(1, SeqCst) % 250) as u8;
                let offset = if patched == pointer { WRITTEN.0 } else { 0 };
                let mut write =
                    server.client("127.0.0.3", &["write", patched, "-", "--offset", &offset.to_string()]);
                run_with(&mut write, &[tick; WRITTEN.1]).success();
            }
        });
        let mut get = server.client("127.0.0.2", &["get", pointer]);
        let mut get = Process::start(get.stdout(Stdio::piped()));
        let mut stdout = get.take_stdout();
        let other = Other::start(server.address);
        let mut fetched = through_a_slow_pipe(&mut stdout, slow);
        let waits = other.stop();
        over.store(true, SeqCst);
        stdout.read_to_end(&mut fetched).unwrap();
        assert!(get.ended().0.success());
        (waits, fetched)
    });
    assert!(writes.into_inner() > 0, "something was written meanwhile");
    let (from, to) = (WRITTEN.0, WRITTEN.0 + WRITTEN.1);
    assert!(fetched.len() == data.len() && fetched[..from] == data[..from] && fetched[to..] == data[to..]);
    let written = &fetched[from..to];
    assert!(
        written == &data[from..to] || written.iter().all(|byte| *byte == written[0]),
        "one state: {written:?}"
    );
    waits
}

fn through_a_slow_pipe(stdout: &mut ChildStdout, length: Duration) -> Vec<u8> {
    const TURN: Duration = Duration::from_millis(10);

    let end = Instant::now() + length;
    let mut data = Vec::new();
    while Instant::now() < end {
        stdout.take(PACE as u64 / 100).read_to_end(&mut data).unwrap();
        thread::sleep(TURN);
    }
    data
}
