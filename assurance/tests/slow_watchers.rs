//! A record changes faster than its watchers read: they miss states, never the newest, and nothing piles up for them
//! (fault 23, docs/PROTOCOL.md §4.3).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::thread;
use std::time::Duration;

use assurance::measured::Measured;
use assurance::on_every_adapter;
use assurance::raw::{Raw, loopback};
use assurance::scale::quick_or_long;
use assurance::servers::Adapter;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::Request;

on_every_adapter!(the_newest_state_arrives);

const KIB: usize = 1 << 10;

/// The record's length. Each state is filled with its version.
const RECORD: usize = 256 * KIB;

const NOTIFY: u8 = 11;
const CHANGED: u8 = 1;
const RANGE_CHANGED: u8 = 2;

fn state(version: u64) -> Vec<u8> {
    version.to_be_bytes().repeat(RECORD / 8)
}

fn the_newest_state_arrives(adapter: Adapter) {
    let (watchers, writes) = (10, quick_or_long(500, 20_000));
    // Those that read nothing until all is written are not closed for it here.
    let limits = [("total", 64 << 20), ("record", 1 << 20), ("slow_ms", 600_000)];
    let mut server = Measured::start(env!("CARGO_BIN_EXE_measured-server"), adapter, &limits);
    let mut writer = Raw::connect(loopback(0), server.address).unwrap();
    let create = Request::CreateRecord { access: Access::READ, data: state(1) };
    let pointer = writer.ask(create).unwrap().pointer();
    let before = server.usage();
    let newest = writes + 1;
    let seen: Vec<usize> = thread::scope(|scope| {
        let watching: Vec<_> = (0..watchers)
            .map(|n| {
                let address = server.address;
                // Half of them read nothing until all is written.
                let pause = if n % 2 == 0 { Duration::from_millis(20) } else { Duration::MAX };
                let mut raw = Raw::with_buffer(loopback(1 + n), address, Some(16 * KIB)).unwrap();
                raw.send(1, Request::WatchRecord { pointer, push: true }).unwrap();
                assert_eq!(raw.answer().unwrap().code, 0);
                let (finished, written) = std::sync::mpsc::channel::<()>();
                let thread = scope.spawn(move || watch(&mut raw, pause, &written, newest));
                (thread, finished)
            })
            .collect();
        for version in 2..=newest {
            write(&mut writer, pointer, version);
        }
        let full = server.usage();
        let counted = full.counted / 1024;
        eprintln!(
            "{}: {writes} writes; {counted} KiB counted, {} KiB allocated at most beside {} before",
            adapter.name(),
            full.peak >> 10,
            before.allocated >> 10
        );
        // A watcher holds the state that is being sent to it, and the newest one is the record's own.
        let most = (watchers + 4) * RECORD;
        assert!(full.peak <= before.allocated + most as u64, "{full:?}");
        assert!(full.peak <= server.bound);
        watching
            .into_iter()
            .map(|(thread, finished)| {
                drop(finished);
                thread.join().unwrap()
            })
            .collect()
    });
    eprintln!("{}: notifications of each: {seen:?}", adapter.name());
    // Those that did not read got what was under way, and the newest.
    assert!(seen.iter().skip(1).step_by(2).all(|seen| *seen <= 8), "{seen:?}");
    assert_eq!(server.usage().panics, 0);
    server.stop();
}

/// Every other write is of the whole, the others of a part that makes the whole the same as if.
fn write(writer: &mut Raw, pointer: Pointer, version: u64) {
    let request = if version.is_multiple_of(2) {
        Request::ReplaceRecord { pointer, data: state(version) }
    } else {
        Request::WriteRange { pointer, offset: 0, data: state(version) }
    };
    let answer = writer.ask(request).unwrap();
    assert_eq!((answer.code, answer.payload), (0, version.to_be_bytes().to_vec()));
}

/// Reads notifications until that of the newest version; how many there were.
fn watch(raw: &mut Raw, pause: Duration, written: &std::sync::mpsc::Receiver<()>, newest: u64) -> usize {
    let (mut seen, mut last) = (0, 0);
    while last < newest {
        // When all is written nobody is slow any more.
        let _ = written.recv_timeout(pause);
        let answer = raw.answer().unwrap();
        assert_eq!((answer.xid, answer.code), (1, NOTIFY));
        let version = u64::from_be_bytes(answer.payload[..8].try_into().unwrap());
        assert!(version > last, "{version} after {last}");
        let data = match answer.access {
            CHANGED => &answer.payload[8..],
            RANGE_CHANGED => {
                assert_eq!((version, &answer.payload[8..12]), (last + 1, &[0; 4][..]));
                &answer.payload[12..]
            }
            kind => panic!("kind {kind}"),
        };
        assert!(data == state(version), "the state of version {version} is one state");
        (seen, last) = (seen + 1, version);
    }
    seen
}
