//! Servers that break the protocol. Each case names the last bytes that the client must not accept, and they are
//! judged as soon as the header is here.

use bytes::Bytes;
use netswap_core::client::{Config, Event, Failure};
use netswap_core::error::ProtocolError;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{MAX_PAYLOAD, Reply, Request};
use proptest::prelude::*;

use crate::peer::{Peer, encode, packet, pattern, replied};

const X: Xid = Xid(1);

fn bad(code: u8) -> ProtocolError {
    ProtocolError::BadReply { xid: X, code }
}

/// Makes the request, sends it, and has the server answer with these bytes: they must be this error, at their last
/// byte and not before, and end the transaction.
fn expect(request: Request<Bytes>, answer: &[u8], error: ProtocolError) {
    let mut peer = Peer::default();
    assert_eq!(peer.sent(request), X);
    let (last, before) = answer.split_last().unwrap();
    peer.send(before).unwrap_or_else(|early| panic!("{early:?} came early for {answer:?}"));
    assert_eq!(peer.send(&[*last]), Err(error), "{answer:?}");
    let events = peer.events();
    assert!(
        matches!(events[..], [Event::Ended { xid: X, failure: Failure::ConnectionLost, .. }]),
        "{events:?} for {answer:?}"
    );
    assert!(peer.client.is_closed() && peer.client.output().is_empty());
}

fn resolve() -> Request<Bytes> {
    Request::ResolvePointer { pointer: Pointer(1) }
}

fn create() -> Request<Bytes> {
    Request::CreateRecord { access: Access::empty(), data: pattern(3) }
}

fn ping() -> Request<Bytes> {
    Request::Ping { data: pattern(3) }
}

fn header(xid: Xid, remaining: u32, code: u8, access: u8) -> Vec<u8> {
    packet(xid, remaining, code, access, b"")
}

#[test]
fn a_reply_to_nothing() {
    for xid in [Xid(0), Xid(2), Xid(u32::MAX)] {
        expect(resolve(), &header(xid, 5, 3, 0), ProtocolError::UnknownTransaction(xid));
        expect(resolve(), &header(xid, 0, 255, 0), ProtocolError::UnknownTransaction(xid));
    }
    // XID 0 may refuse the connection, in one way only.
    expect(resolve(), &header(Xid(0), 8, 8, 6), ProtocolError::UnknownTransaction(Xid(0)));
    expect(resolve(), &header(Xid(0), 7, 8, 7), ProtocolError::UnknownTransaction(Xid(0)));
    expect(resolve(), &header(Xid(2), 8, 8, 7), ProtocolError::UnknownTransaction(Xid(2)));
    // What other servers say first.
    let http = b"HTTP/1.1 4";
    let xid = Xid(u32::from_be_bytes(*b"HTTP"));
    expect(resolve(), http, ProtocolError::UnknownTransaction(xid));
}

#[test]
fn more_of_a_range_than_was_asked_for() {
    let read = |len| Request::ReadRange { pointer: Pointer(1), offset: 5, len };
    expect(read(10), &header(X, 23, 3, 3), bad(3));
    expect(read(0), &header(X, 13, 3, 3), bad(3));
    expect(read(u32::MAX - 12), &header(X, 11, 3, 3), bad(3));
    let mut peer = Peer::default();
    let xid = peer.sent(read(10));
    let range = Reply::Range { version: Version(1), record_len: 15, data: pattern(10) };
    peer.reply(xid, range.clone());
    assert_eq!(peer.events(), [replied(xid, range)]);
}

#[test]
fn nothing_is_unchanged_for_whom_has_nothing() {
    let read = |version| Request::ResolveIfChanged { pointer: Pointer(1), version: Version(version) };
    expect(read(0), &header(X, 0, 10, 0), bad(10));
    let mut peer = Peer::default();
    let xid = peer.sent(read(1));
    peer.reply(xid, Reply::NotModified);
    assert_eq!(peer.events(), [replied(xid, Reply::NotModified)]);
}

#[test]
fn a_second_reply() {
    let mut peer = Peer::default();
    let xid = peer.sent(create());
    let reply = encode(xid, Reply::Created(Pointer(1)));
    peer.send(&reply).unwrap();
    assert_eq!(peer.events(), [replied(xid, Reply::Created(Pointer(1)))]);
    assert_eq!(peer.send(&reply), Err(ProtocolError::UnknownTransaction(xid)));
}

#[test]
fn codes_that_answer_something_else() {
    for code in (9..=254).chain([3]) {
        expect(create(), &header(X, 8, code, 0), bad(code));
    }
    expect(resolve(), &header(X, 8, 0, 0), bad(0));
    expect(ping(), &header(X, 3, 3, 0), bad(3));
}

#[test]
fn lengths_that_do_not_fit() {
    for len in (0..20).filter(|len| *len != 8) {
        expect(create(), &header(X, len, 0, 0), bad(0));
        expect(create(), &header(X, len, 8, 1), bad(8));
    }
    expect(Request::DeleteRecord { pointer: Pointer(1) }, &header(X, 1, 0, 0), bad(0));
    expect(Request::Identify, &header(X, 21, 0, 0), bad(0));
    expect(Request::StatRecord { pointer: Pointer(1) }, &header(X, 25, 0, 0), bad(0));
    expect(Request::ListRecords, &header(X, 4001, 0, 0), bad(0));
    expect(ping(), &header(X, 4, 0, 0), bad(0));
    expect(ping(), &header(X, u32::MAX, 0, 0), bad(0));
    for code in [1, 2, 6] {
        expect(resolve(), &header(X, 1, code, 0), bad(code));
    }
    expect(resolve(), &header(X, 1, 5, 1), bad(5));
    expect(resolve(), &header(X, 5, 7, 0), bad(7));
    expect(resolve(), &header(X, 1, 4, 1), bad(4));
    expect(resolve(), &header(X, 1, 255, 0), bad(255));
}

#[test]
fn access_bytes_that_do_not_fit() {
    for access in 1..=255 {
        expect(create(), &header(X, 8, 0, access), bad(0));
        expect(resolve(), &header(X, 8, 3, access), bad(3));
        expect(resolve(), &header(X, 0, 255, access), bad(255));
        for code in [1, 2, 6] {
            expect(resolve(), &header(X, 0, code, access), bad(code));
        }
        expect(resolve(), &header(X, 4, 7, access), bad(7));
    }
    for access in (4..=255).chain([0]) {
        expect(resolve(), &header(X, 0, 5, access), bad(5));
    }
    for access in (9..=255).chain([0]) {
        expect(resolve(), &header(X, 8, 8, access), bad(8));
    }
    for access in (6..=255).chain([0]) {
        expect(resolve(), &header(X, 0, 4, access), bad(4));
    }
}

#[test]
fn payloads_that_mean_nothing() {
    expect(ping(), &packet(X, 3, 0, 0, b"\0\x01\x03"), bad(0));
    expect(Request::Identify, &packet(X, 20, 0, 0, &[0; 20]), bad(0));
    let mut stat = [1; 26];
    stat[20] = 8;
    expect(Request::StatRecord { pointer: Pointer(1) }, &packet(X, 26, 0, 0, &stat), bad(0));
}

#[test]
fn continuations_that_do_not_follow() {
    let first = packet(X, 4000, 3, 0, &[7; MAX_PAYLOAD]);
    let wrong = [
        header(X, 2609, 3, 0),
        header(X, 2611, 3, 0),
        header(X, 4000, 3, 0),
        header(X, 0, 3, 0),
        header(X, 2610, 0, 0),
        header(X, 2610, 3, 1),
        header(X, 0, 1, 0),
    ];
    for wrong in wrong {
        expect(resolve(), &[&first[..], &wrong].concat(), ProtocolError::Continuation(X));
    }
    // The same for a reply that nobody waits for any more.
    let mut peer = Peer::default();
    let xid = peer.sent(resolve());
    peer.send(&first).unwrap();
    peer.client.abort(xid, peer.now);
    assert_eq!(peer.send(&header(X, 1, 3, 0)), Err(ProtocolError::Continuation(X)));
}

#[test]
fn answers_to_a_request_that_has_not_arrived() {
    // Success before the whole request has left.
    let mut peer = Peer::default();
    let xid = peer.replace(1_000_000);
    peer.receive_at_most(5000);
    assert_eq!(peer.send(&header(xid, 8, 0, 0)), Err(bad(0)));

    // Success for an upload that was aborted half-way.
    let mut peer = Peer::default();
    let xid = peer.replace(1_000_000);
    peer.receive_at_most(5000);
    peer.client.abort(xid, peer.now);
    peer.receive();
    assert_eq!(peer.send(&header(xid, 8, 0, 0)), Err(bad(0)));

    // Any answer before the first packet has left.
    for answer in [header(X, 0, 2, 0), header(X, 0, 255, 0)] {
        let mut peer = Peer::default();
        let upload = Request::Ping { data: 5 };
        assert_eq!(peer.client.upload(upload, Default::default(), peer.now), Ok(X));
        assert_eq!(peer.send(&answer), Err(ProtocolError::UnknownTransaction(X)));
    }
}

#[test]
fn memory_follows_the_bytes_that_arrive() {
    // A thousand replies that announce 4 GiB each and bring nothing.
    let mut peer = Peer::new(Config { max_reply: u32::MAX, ..Config::default() });
    for _ in 0..1000 {
        let xid = peer.sent(resolve());
        peer.send(&packet(xid, u32::MAX, 3, 0, b"a byte")[..11]).unwrap();
        peer.send(&[0; MAX_PAYLOAD - 1]).unwrap();
    }
    peer.client.handle_eof();
    assert_eq!(peer.events().len(), 1000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes, every transaction ends once and no call does more than return.
    #[test]
    fn any_bytes_at_all(
        packets in proptest::collection::vec(
            (0..6u32, prop_oneof![0..30u32, 1380..1400u32, any::<u32>()], 0..12u8, 0..4u8), 0..30),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut peer = Peer::default();
        let requests = [resolve(), create(), ping(), Request::ListRecords];
        for request in requests {
            peer.sent(request);
        }
        let mut result = Ok(());
        for (xid, remaining, code, access) in packets {
            let payload = vec![code; (remaining as usize).min(MAX_PAYLOAD)];
            result = result.and(peer.send(&packet(Xid(xid), remaining, code, access, &payload)));
        }
        result = result.and(peer.send(&tail));
        if let Err(error) = result {
            prop_assert_eq!(peer.send(b""), Err(error));
        }
        peer.client.handle_eof();
        let mut ended: Vec<Xid> = peer.events().iter().map(|event| match event {
            Event::Replied { xid, .. } | Event::Ended { xid, .. } => *xid,
            other => panic!("{other:?}"),
        }).collect();
        ended.sort_unstable();
        prop_assert_eq!(ended, [Xid(1), Xid(2), Xid(3), Xid(4)]);
    }
}
