//! The connection ends: what every caller is told.

use netswap_core::client::{Client, Config, Event, Failure, Options, Outcome, RequestError};
use netswap_core::error::{ProtocolError, Quota, Refusal, Violation};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Reply, Request};

use crate::peer::{Peer, encode, packet, pattern, replied};

fn lost(xid: Xid, outcome: Outcome) -> Event {
    Event::Ended { xid, failure: Failure::ConnectionLost, outcome }
}

#[test]
fn what_has_not_left_whole_was_not_done_and_the_rest_is_unknown() {
    let mut peer = Peer::default();
    let gone = peer.sent(Request::DeleteRecord { pointer: Pointer(1) });
    let read = peer.sent(Request::ResolvePointer { pointer: Pointer(1) });
    let answered = peer.sent(Request::DeleteRecord { pointer: Pointer(2) });
    let aborted = peer.sent(Request::DeleteRecord { pointer: Pointer(3) });
    peer.client.abort(aborted, peer.now);
    peer.receive();
    let in_window = peer.request(Request::DeleteRecord { pointer: Pointer(4) });
    let upload = peer.replace(1_000_000);
    peer.receive_at_most(17);
    peer.reply(answered, Reply::Done);
    peer.client.handle_eof();
    let expected = [
        replied(answered, Reply::Done),
        lost(gone, Outcome::Unknown),
        lost(read, Outcome::NotDone),
        lost(in_window, Outcome::NotDone),
        lost(upload, Outcome::NotDone),
    ];
    assert_eq!(peer.events(), expected);
}

#[test]
fn one_byte_decides() {
    for (taken, outcome) in [(17, Outcome::NotDone), (18, Outcome::Unknown)] {
        let mut peer = Peer::default();
        let xid = peer.request(Request::DeleteRecord { pointer: Pointer(4) });
        peer.receive_at_most(taken);
        peer.client.handle_eof();
        assert_eq!(peer.events(), [lost(xid, outcome)], "{taken} bytes");
    }
}

#[test]
fn a_reply_cut_in_the_middle_is_lost() {
    let mut peer = Peer::default();
    let xid = peer.sent(Request::CreateRecord { access: Access::empty(), data: pattern(3) });
    peer.send(&encode(xid, Reply::Created(Pointer(1)))[..17]).unwrap();
    peer.client.handle_eof();
    peer.client.handle_eof();
    assert_eq!(peer.events(), [lost(xid, Outcome::Unknown)]);
}

#[test]
fn after_the_end_nothing_happens_any_more() {
    let mut peer = Peer::default();
    let xid = peer.sent(Request::Identify);
    peer.replace(100_000);
    peer.client.handle_eof();
    peer.events();
    assert!(peer.client.is_closed() && !peer.client.wants_read());
    assert_eq!(peer.client.request(Request::Identify, peer.now), Err(RequestError::Closed));
    assert_eq!(peer.client.abort(xid, peer.now), None);
    assert!(!peer.client.provide(xid, pattern(4)));
    peer.client.consumed(xid, 4, peer.now);
    peer.send(b"whatever it is").unwrap();
    peer.client.sent(10, peer.now);
    assert_eq!(peer.client.handle_timeout(peer.now), Ok(()));
    assert_eq!((peer.receive(), peer.events(), peer.client.poll_timeout()), (vec![], vec![], None));
}

#[test]
fn a_violation_that_the_server_reports_ends_everything() {
    for violation in Violation::ALL {
        for xid in [Xid(0), Xid(1), Xid(77)] {
            let mut peer = Peer::default();
            let read = peer.sent(Request::Identify);
            let error = ProtocolError::ViolationReported(violation);
            assert_eq!(peer.send(&packet(xid, 0, 4, violation as u8, b"")), Err(error));
            assert_eq!(peer.events(), [lost(read, Outcome::NotDone)]);
            assert_eq!(peer.send(b""), Err(error), "it stays dead");
            assert!(peer.client.is_closed());
            assert_eq!(peer.client.request(Request::Identify, peer.now), Err(RequestError::Closed));
        }
    }
}

#[test]
fn a_violation_can_be_reported_in_the_middle_of_a_reply() {
    let mut peer = Peer::default();
    let xid = peer.sent(Request::ResolvePointer { pointer: Pointer(1) });
    peer.send(&encode(xid, Reply::Resolved(pattern(5000)))[..1400]).unwrap();
    let error = ProtocolError::ViolationReported(Violation::Continuation);
    assert_eq!(peer.send(&packet(xid, 0, 4, 1, b"")), Err(error));
    assert_eq!(peer.events(), [lost(xid, Outcome::NotDone)]);
}

#[test]
fn a_refused_connection_has_done_nothing() {
    for quota in [Quota::Connections, Quota::ConnectionsOfAddress] {
        let refusal = Refusal::QuotaExceeded { quota, limit: 3 };
        let bytes = encode(Xid(0), Reply::Refused(refusal));
        for cut in 0..bytes.len() {
            let mut peer = Peer::default();
            let write = peer.sent(Request::DeleteRecord { pointer: Pointer(1) });
            peer.send(&bytes[..cut]).unwrap();
            let error = ProtocolError::ConnectionRefused(refusal);
            assert_eq!(peer.send(&bytes[cut..]), Err(error));
            assert_eq!(peer.events(), [lost(write, Outcome::NotDone)]);
        }
    }
}

#[test]
fn transaction_zero_can_be_refused_like_any_other() {
    let mut peer = Peer::new(Config { first_xid: Xid(0), ..Config::default() });
    let xid = peer.sent(Request::Identify);
    let refusal = Refusal::QuotaExceeded { quota: Quota::ServerMemory, limit: 3 };
    peer.reply(xid, Reply::Refused(refusal));
    assert_eq!(peer.events(), [replied(Xid(0), Reply::Refused(refusal))]);
}

/// Found by the simulation: the server refuses a connection under XID 0, whatever that is to the client.
#[test]
fn a_refused_connection_is_told_apart_from_the_answer_to_transaction_zero() {
    let refusal = Refusal::QuotaExceeded { quota: Quota::Connections, limit: 3 };
    for sent in [0, 10, 18] {
        let mut peer = Peer::new(Config { first_xid: Xid(0), ..Config::default() });
        let xid = peer.request(Request::DeleteRecord { pointer: Pointer(1) });
        peer.receive_at_most(sent);
        let error = ProtocolError::ConnectionRefused(refusal);
        assert_eq!(peer.send(&encode(Xid(0), Reply::Refused(refusal))), Err(error));
        assert_eq!(peer.events(), [lost(xid, Outcome::NotDone)], "{sent} bytes sent");
    }
}

#[test]
fn the_same_calls_give_the_same_events_and_bytes() {
    let run = || {
        let mut client = Client::new(Config::default());
        let now = Instant::ZERO;
        for n in 0..100 {
            let data = pattern(n * 100);
            client.request(Request::CreateRecord { access: Access::empty(), data }, now).unwrap();
        }
        let upload = Request::CreateRecord { access: Access::empty(), data: 10 };
        client.upload(upload, Options::default(), now).unwrap();
        let bytes: Vec<u8> = client.output().slices().flatten().copied().collect();
        client.sent(30_000, now);
        client.handle_eof();
        (bytes, std::iter::from_fn(|| client.poll_event()).collect::<Vec<_>>())
    };
    assert_eq!(run(), run());
}
