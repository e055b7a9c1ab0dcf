//! A connection may end after any byte: what was complete is done, and of the rest nothing is left (fault 3,
//! docs/PROTOCOL.md §5.2, §5.4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use assurance::on_every_adapter;
use assurance::raw::{Answer, Raw, SOON, loopback, packets};
use assurance::scale::{is_long, quick_or_long};
use assurance::servers::{Adapter, Running, within};
use netswap_adapter::server::ServerOptions;
use netswap_core::config::Times;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{HEADER_LEN, MAX_PAYLOAD, Request};

/// Bytes of a packet that is not the last.
const PACKET: usize = HEADER_LEN + MAX_PAYLOAD;

/// Data of a request of three packets.
const DATA: usize = 2 * MAX_PAYLOAD + 200;

const OK: u8 = 0;

/// So many connections end before it is looked at what is left.
const AT_A_TIME: usize = 50;

on_every_adapter!(ends, half_closes, resets, silences);

/// How a client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    End,
    HalfClose,
    Reset,
}

fn ends(adapter: Adapter) {
    nothing_is_left(adapter, Ending::End);
}

fn half_closes(adapter: Adapter) {
    nothing_is_left(adapter, Ending::HalfClose);
}

fn resets(adapter: Adapter) {
    nothing_is_left(adapter, Ending::Reset);
}

fn ping() -> Request<Vec<u8>> {
    Request::Ping { data: b"here".to_vec() }
}

/// After how many bytes of a request of this length it ends: all in the long set, otherwise those at the ends of headers
/// and packets, and some between them.
fn offsets(len: usize) -> Vec<usize> {
    let ends = [0, HEADER_LEN, PACKET, PACKET + HEADER_LEN, 2 * PACKET, 2 * PACKET + HEADER_LEN, len];
    let near = |at: usize| ends.iter().any(|end| at.abs_diff(*end) <= 1);
    (0..=len).filter(|at| is_long() || near(*at) || at.is_multiple_of(101)).collect()
}

fn nothing_is_left(adapter: Adapter, ending: Ending) {
    let server = adapter.start(ServerOptions::default());
    let mut owner = Raw::connect(loopback(0), server.address).unwrap();
    let old = Request::CreateRecord { access: Access::all(), data: b"old".to_vec() };
    let pointer = owner.ask(old).unwrap().pointer();
    let data = vec![7; DATA];
    let create = packets(2, Request::CreateRecord { access: Access::READ, data: data.clone() });
    let replace = packets(2, Request::ReplaceRecord { pointer, data });
    let start = Instant::now();
    let (mut done, mut tried) = (0, 0);
    for (bytes, creates) in [(create, true), (replace, false)] {
        for offsets in offsets(bytes.len()).chunks(AT_A_TIME) {
            let before = (records(&server), version(&mut owner, pointer));
            // Which requests arrived whole, and may have taken effect or must have.
            let (mut may, mut must) = (0, 0);
            for at in offsets {
                let whole = *at == bytes.len();
                may += u64::from(whole);
                must += u64::from(whole && ending != Ending::Reset);
                end(&server, &bytes[..*at], whole, ending);
                tried += 1;
            }
            within(SOON, "the end of all but the owner", || {
                let now = server.handle.statistics().store;
                now.connections == 1 && now.unfinished_bytes == 0
            });
            let (records, version) = (records(&server) - before.0, version(&mut owner, pointer) - before.1);
            let (effects, others) = if creates { (records, version) } else { (version, records) };
            assert!((must..=may).contains(&effects) && others == 0, "{effects} of {may}, {others} others");
            done += effects;
        }
    }
    let statistics = server.handle.statistics();
    assert_eq!(statistics.traffic.panics, 0);
    eprintln!("{} {ending:?}: {tried} connections, {done} requests, {:?}", adapter.name(), start.elapsed());
}

fn records(server: &Running) -> u64 {
    server.handle.statistics().store.records
}

fn version(owner: &mut Raw, pointer: Pointer) -> u64 {
    let stat = owner.ask(Request::StatRecord { pointer }).unwrap();
    u64::from_be_bytes(stat.payload[4..12].try_into().unwrap())
}

/// A PING, as much of a request, and the end.
fn end(server: &Running, bytes: &[u8], whole: bool, ending: Ending) {
    let mut raw = Raw::connect(loopback(1 + bytes.len() % 200), server.address).unwrap();
    raw.0.write_all(&[&packets(1, ping()), bytes].concat()).unwrap();
    // The server has accepted it and read what came with the PING. An echo that nobody reads would make an end a reset.
    let echo = Answer { xid: 1, code: OK, access: 0, payload: b"here".to_vec() };
    assert_eq!(raw.answer().unwrap(), echo);
    match ending {
        Ending::End => drop(raw),
        Ending::Reset => raw.reset(),
        Ending::HalfClose => {
            raw.half_close().unwrap();
            if whole {
                let answer = raw.answer().unwrap();
                assert_eq!((answer.xid, answer.code, answer.payload.len()), (2, OK, 8));
            }
            assert!(raw.ends(), "the server closes in order, after {} bytes", bytes.len());
        }
    }
}

/// Clients that fall silent within a request are closed when the time is over, and no others.
fn silences(adapter: Adapter) {
    let slow = Duration::from_secs(quick_or_long(2, 30));
    let server = adapter.start(ServerOptions::default().times(Times { slow, ..Times::default() }));
    let request = Request::CreateRecord { access: Access::READ, data: vec![7; DATA] };
    let bytes = packets(2, request);
    let all = offsets(bytes.len());
    let start = Instant::now();
    let mut clients: Vec<_> = all
        .iter()
        .map(|at| {
            let mut raw = Raw::connect(loopback(at % 200), server.address).unwrap();
            raw.0.write_all(&[&packets(1, ping()), &bytes[..*at]].concat()).unwrap();
            assert_eq!(raw.answer().unwrap().code, OK);
            (*at, raw)
        })
        .collect();
    let begun = start.elapsed();
    assert!(begun < slow / 2, "{begun:?} until all of them were silent");
    thread::sleep(slow.saturating_sub(begun + Duration::from_millis(200)));
    let statistics = || server.handle.statistics().store;
    // Those whose time began at the start have some left.
    assert_eq!(statistics().connections, all.len() as u64, "nobody is closed too early");
    // One has said nothing, one has said all: both may be silent for ever.
    let closed = all.len() as u64 - 2;
    within(begun + Duration::from_secs(1), "the end of the others", || statistics().connections == 2);
    assert_eq!((statistics().unfinished_bytes, statistics().counters.slow_requests), (0, closed));
    for (at, raw) in &mut clients {
        match *at {
            0 => assert_eq!(raw.ask(ping()).unwrap().code, OK),
            at if at == bytes.len() => assert_eq!(raw.answer().unwrap().code, OK),
            at => assert!(matches!(raw.0.read(&mut [0]), Ok(0) | Err(_)), "closed after {at} bytes"),
        }
    }
    eprintln!("{}: {closed} silent clients closed after {slow:?}", adapter.name());
}
