//! What attackers do: build much, send without end, read nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use assurance::raw::{Answer, Raw, packets};
use netswap_core::types::{Access, Owner, Pointer};
use netswap_core::wire::Request;

/// How long the building of much may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection with much patience.
pub(crate) fn connect(from: IpAddr, server: SocketAddr) -> Raw {
    let raw = Raw::connect(from, server).unwrap();
    raw.0.set_read_timeout(Some(PATIENCE)).unwrap();
    raw.0.set_write_timeout(Some(PATIENCE)).unwrap();
    raw
}

/// A connection whose replies have no room but what the server has: the first ones wait there already.
pub(crate) fn stuck(from: IpAddr, server: SocketAddr, large: Pointer) -> Raw {
    let mut raw = Raw::with_buffer(from, server, Some(4096)).unwrap();
    for xid in 1_000_000..1_000_004 {
        raw.send(xid, Request::ResolvePointer { pointer: large }).unwrap();
    }
    // Time for the server to fill what the systems of both sides hold.
    thread::sleep(Duration::from_millis(50));
    raw
}

pub(crate) fn create(raw: &mut Raw, access: Access, data: Vec<u8>) -> Pointer {
    raw.ask(Request::CreateRecord { access, data }).unwrap().pointer()
}

/// Creates `count` records of `len` bytes each.
pub(crate) fn create_many(raw: &mut Raw, count: usize, access: Access, len: usize) -> Vec<Pointer> {
    let mut pointers = Vec::with_capacity(count);
    let create = || Request::CreateRecord { access, data: vec![7; len] };
    raw.pipeline((0..count).map(|_| create()), |answer| pointers.push(answer.pointer())).unwrap();
    pointers
}

/// Sends requests, each of which must succeed.
pub(crate) fn all(raw: &mut Raw, requests: impl IntoIterator<Item = Request<Vec<u8>>>) {
    raw.pipeline(requests, |answer| assert_eq!(answer.code, 0, "{answer:?}")).unwrap();
}

/// The caller's own hash.
pub(crate) fn identify(raw: &mut Raw) -> Owner {
    let Answer { payload, .. } = raw.ask(Request::Identify).unwrap();
    Owner::new(u64::from_be_bytes(payload[..8].try_into().unwrap())).unwrap()
}

/// Connections with `each` watches of a record, which read only the OK of each watch.
pub(crate) fn watches(
    from: IpAddr,
    server: SocketAddr,
    pointer: Pointer,
    connections: usize,
    each: usize,
) -> Vec<Raw> {
    let watch = || Request::WatchRecord { pointer, push: false };
    let connect = |_| {
        let mut raw = Raw::with_buffer(from, server, Some(16 << 10)).unwrap();
        let (mut xid, mut replies) = (0, 0);
        while xid < each {
            let batch: Vec<u8> = (xid..each.min(xid + 500))
                .flat_map(|xid| packets(u32::try_from(xid).unwrap() + 1, watch()))
                .collect();
            raw.0.write_all(&batch).unwrap();
            xid = each.min(xid + 500);
            while replies < xid {
                assert_eq!(raw.answer().unwrap().code, 0);
                replies += 1;
            }
        }
        raw
    };
    (0..connections).map(connect).collect()
}

/// An attack on one connection: bytes that are sent once, or over and over.
#[derive(Debug)]
pub(crate) struct Flood {
    /// Where they are sent.
    pub(crate) raw: Raw,
    /// What is sent.
    pub(crate) bytes: Vec<u8>,
    /// Whether it is sent over and over.
    pub(crate) again: bool,
    /// Whether replies are read.
    pub(crate) reads: bool,
}

/// Sends for this time from all connections at once, and closes them. What is sent once may take longer.
pub(crate) fn flood(floods: Vec<Flood>, length: Duration) {
    let end = Instant::now() + length;
    thread::scope(|scope| {
        for flood in &floods {
            scope.spawn(move || send(flood, end));
            if flood.reads {
                scope.spawn(|| drain(&flood.raw.0, end));
            }
        }
    });
}

fn send(Flood { raw, bytes, again, .. }: &Flood, end: Instant) {
    let mut stream = &raw.0;
    stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut at = 0;
    while Instant::now() < end {
        match stream.write(&bytes[at..bytes.len().min(at + (256 << 10))]) {
            Ok(count) => at += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            // It was refused to go on.
            Err(_) => return,
        }
        if at == bytes.len() {
            if !again {
                thread::sleep(end.saturating_duration_since(Instant::now()));
                return;
            }
            at = 0;
        }
    }
}

/// Reads what comes until the time is over.
pub(crate) fn drain(mut stream: &TcpStream, end: Instant) {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut buffer = vec![0; 256 << 10];
    while Instant::now() < end {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return,
            _ => {}
        }
    }
}

/// Several requests as bytes, each with an XID of its own, from 1 on.
pub(crate) fn bytes(requests: impl IntoIterator<Item = Request<Vec<u8>>>) -> Vec<u8> {
    requests.into_iter().zip(1..).flat_map(|(request, xid)| packets(xid, request)).collect()
}

/// An ABORT.
pub(crate) fn abort(xid: u32) -> Vec<u8> {
    [&xid.to_be_bytes()[..], &[0, 0, 0, 0, 255, 0]].concat()
}
