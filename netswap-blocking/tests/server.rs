//! The server over real sockets: what the state machine cannot show.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use netswap_core::config::Limits;
use netswap_core::identity::IdentityKey;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{ABORT, Opcode, Request};
use support::{Answer, Raw, joined, options, packets, soon, start, start_on};

fn create(len: usize) -> Request<Vec<u8>> {
    Request::CreateRecord { access: Access::READ, data: (0..len).map(|i| (i * 7) as u8).collect() }
}

fn pointer(answer: &Answer) -> Pointer {
    assert_eq!(answer.code, 0, "{answer:?}");
    Pointer(u64::from_be_bytes(answer.payload[..].try_into().unwrap()))
}

#[test]
fn a_record_put_from_one_address_is_read_from_another() {
    let server = start(options());
    let mut one = Raw::connect_from("127.0.0.1", server.address);
    let mut other = Raw::connect_from("127.0.0.2", server.address);
    for len in [0, 1, 1390, 1391, 100_000, 5_000_000] {
        let pointer = pointer(&one.ask(create(len)));
        let Request::CreateRecord { data, .. } = create(len) else { unreachable!() };
        assert!(other.ask(Request::ResolvePointer { pointer }).payload == data, "{len} bytes");
        let refused = other.ask(Request::ReplaceRecord { pointer, data: vec![1] });
        assert_eq!((refused.code, refused.access), (1, 0));
    }
    assert_eq!(server.handle.statistics().store.records, 6);
}

#[test]
fn one_address_is_one_owner_in_both_its_spellings() {
    let key = IdentityKey([9; 16]);
    let four = start(options().identity_key(key.clone()));
    let both = start_on(options().identity_key(key), "[::]:0");
    let through_both = format!("127.0.0.1:{}", both.address.port()).parse().unwrap();
    let who = |answer: Answer| answer.payload[..8].to_vec();
    let plain = who(Raw::connect(four.address).ask(Request::Identify));
    let mapped = who(Raw::connect(through_both).ask(Request::Identify));
    let six = who(Raw::connect(both.address).ask(Request::Identify));
    assert_eq!(plain, mapped);
    assert_ne!(plain, six);
}

#[test]
fn an_http_request_is_told_that_this_is_not_http() {
    let server = start(options());
    let mut browser = Raw::connect(server.address);
    browser.0.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answer = browser.answer();
    assert_eq!((answer.code, answer.access), (4, 2));
    assert!(browser.ends());
    soon("the connection's end", || server.handle.statistics().store.connections == 0);
}

#[test]
fn a_violation_is_answered_though_the_client_goes_on_sending() {
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    raw.0.write_all(&[0, 0, 0, 9, 0, 0, 0, 1, ABORT, 0]).unwrap();
    // Far more than both sides' buffers hold: unless the server drains it, its answer dies with a reset.
    let junk = vec![0x55; 1 << 20];
    for _ in 0..32 {
        if raw.0.write_all(&junk).is_err() {
            break;
        }
    }
    assert_eq!(raw.answer(), Answer { xid: 9, code: 4, access: 3, payload: vec![] });
}

#[test]
fn the_server_reads_while_its_replies_are_not_taken() {
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    let pointer = pointer(&raw.ask(create(32 << 20)));
    raw.send(2, Request::ResolvePointer { pointer });
    // The reply fills every buffer on its way. A request of the same size goes the other way meanwhile.
    let Request::CreateRecord { data, .. } = create(32 << 20) else { unreachable!() };
    let upload = packets(3, Request::ReplaceRecord { pointer, data });
    raw.0.write_all(&upload).expect("no deadlock");
    let replaced = || server.handle.statistics().store.counters.requests(Opcode::ReplaceRecord) == 1;
    soon("the upload", replaced);
    let mut replies = 0;
    let mut rest = vec![0; 1 << 20];
    while replies < 32 << 20 {
        replies += raw.0.read(&mut rest).unwrap();
    }
}

#[test]
fn a_small_reply_passes_a_large_one() {
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    let pointer = pointer(&raw.ask(create(64 << 20)));
    raw.send(2, Request::ResolvePointer { pointer });
    raw.send(3, Request::Ping { data: vec![] });
    let mut before = 0;
    loop {
        let mut header = [0; 10];
        raw.0.read_exact(&mut header).unwrap();
        let header = netswap_core::wire::Header::decode(&header);
        if header.xid.0 == 3 {
            break;
        }
        let mut payload = vec![0; header.payload_len()];
        raw.0.read_exact(&mut payload).unwrap();
        before += payload.len();
    }
    assert!(before < 16 << 20, "the PING came behind {before} bytes");
}

#[test]
fn shutdown_answers_what_is_complete_and_aborts_what_is_not() {
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    let pointer = pointer(&raw.ask(create(16 << 20)));
    let unfinished = packets(7, create(5000));
    raw.0.write_all(&unfinished[..2800]).unwrap();
    raw.send(8, Request::ResolvePointer { pointer });
    let arrived = || server.handle.statistics().store.counters.requests(Opcode::ResolvePointer) == 1;
    soon("the request", arrived);
    server.handle.shutdown();
    let mut seen = std::collections::BTreeMap::<u32, (u8, usize)>::new();
    let mut stream = Vec::new();
    raw.0.read_to_end(&mut stream).expect("an end");
    let mut input = &stream[..];
    let mut reader = netswap_core::wire::PacketReader::default();
    while let Some(fragment) = reader.next(&mut input) {
        let entry = seen.entry(fragment.header.xid.0).or_default();
        *entry = (fragment.header.opcode, entry.1 + fragment.payload.len());
    }
    assert_eq!(seen, [(7, (ABORT, 0)), (8, (3, 16 << 20))].into());
    drop(raw);
    joined(server.thread);
    assert_eq!(server.handle.statistics().store.connections, 0);
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn a_stuck_client_does_not_hold_up_a_shutdown() {
    let server = start(options().shutdown_deadline(Duration::from_millis(300)));
    let mut raw = Raw::connect(server.address);
    let pointer = pointer(&raw.ask(create(32 << 20)));
    raw.send(2, Request::ResolvePointer { pointer });
    let start = Instant::now();
    server.handle.shutdown();
    joined(server.thread);
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn connections_over_the_limit_are_told_so() {
    let limits = Limits { connections: 3, connections_per_address: Some(2), ..Limits::new(1 << 20) };
    let server = start(options().limits(limits));
    let mut served = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(server.address);
        assert_eq!(raw.ask(Request::Ping { data: vec![] }).code, 0);
        served.push(raw);
    }
    let refused =
        |quota, limit: u64| Answer { xid: 0, code: 8, access: quota, payload: limit.to_be_bytes().into() };
    let mut third = Raw::connect(server.address);
    assert_eq!(third.answer(), refused(8, 2));
    assert!(third.ends());
    let mut other = Raw::connect_from("127.0.0.2", server.address);
    assert_eq!(other.ask(Request::Ping { data: vec![] }).code, 0);
    let mut another = Raw::connect_from("127.0.0.3", server.address);
    assert_eq!(another.answer(), refused(7, 3));
    drop((third, another, served.pop()));
    soon("a free place", || server.handle.statistics().store.connections == 2);
    let mut next = Raw::connect(server.address);
    assert_eq!(next.ask(Request::Ping { data: vec![] }).code, 0);
}

#[test]
fn a_reset_in_the_middle_of_an_upload_leaves_nothing() {
    let server = start(options());
    let mut raw = Raw::connect(server.address);
    let old = pointer(&raw.ask(create(3000)));
    let upload = packets(2, Request::ReplaceRecord { pointer: old, data: vec![9; 1 << 20] });
    raw.0.write_all(&upload[..500_000]).unwrap();
    soon("the upload", || server.handle.statistics().store.unfinished_bytes > 400_000);
    socket2::SockRef::from(&raw.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(raw);
    soon("the end", || server.handle.statistics().store.unfinished_bytes == 0);
    let mut raw = Raw::connect(server.address);
    let Request::CreateRecord { data, .. } = create(3000) else { unreachable!() };
    assert_eq!(raw.ask(Request::ResolvePointer { pointer: old }).payload, data);
}

#[test]
fn records_go_when_the_grace_of_their_owner_ends() {
    let server = start(options().grace(Duration::from_millis(200)));
    let mut raw = Raw::connect(server.address);
    let pointer = pointer(&raw.ask(create(10)));
    thread::sleep(Duration::from_millis(900));
    assert_eq!(server.handle.statistics().store.records, 1, "the owner is still connected");
    drop(raw);
    // Nobody asks for it: the sweep removes it.
    soon("the end of the record", || server.handle.statistics().store.records == 0);
    let mut other = Raw::connect_from("127.0.0.2", server.address);
    assert_eq!(other.ask(Request::ResolvePointer { pointer }).code, 2);
}
