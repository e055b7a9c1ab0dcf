//! A transaction given up, by either side, at every stage (docs/PROTOCOL.md §2.5).

use bytes::Bytes;
use netswap_core::client::{Event, Failure, Outcome};
use netswap_core::error::{ProtocolError, Refusal};
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Reply, Request};

use crate::peer::{Peer, abort, encode, packet, pattern, replied};

fn create(len: usize) -> Request<Bytes> {
    Request::CreateRecord { access: Access::empty(), data: pattern(len) }
}

/// A peer with its connection kept busy, so that what is requested next waits outside the window.
fn busy() -> (Peer, Xid) {
    let mut peer = Peer::default();
    let xid = peer.request(create(1_000_000));
    (peer, xid)
}

#[test]
fn nothing_is_sent_of_a_request_aborted_before_it_left() {
    let (mut peer, large) = busy();
    let xid = peer.request(create(5));
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
    assert_eq!(peer.client.transactions(), 1);
    assert_eq!(peer.client.abort(xid, peer.now), None);
    let received = peer.receive();
    assert_eq!(received.iter().map(|r| r.xid).collect::<Vec<_>>(), [large]);
    assert_eq!(peer.events(), []);
}

#[test]
fn an_upload_aborted_on_its_way_stops_and_gets_an_abort() {
    let (mut peer, xid) = busy();
    peer.receive_at_most(5000);
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
    assert_eq!(peer.receive(), [abort(xid)]);
    assert!(peer.partial.is_empty());
    assert_eq!(peer.client.transactions(), 1, "the id is reserved until the server is done with it");
    peer.reply_abort(xid);
    assert_eq!(peer.client.transactions(), 0);
    assert_eq!(peer.events(), []);
}

#[test]
fn a_request_aborted_after_it_left_may_have_been_done() {
    let mut peer = Peer::default();
    let xid = peer.sent(create(5));
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::Unknown));
    assert_eq!(peer.receive(), [abort(xid)]);
    // Its reply was on the way already, and is its terminal: the server does not answer the ABORT.
    peer.reply(xid, Reply::Created(Pointer(1)));
    assert_eq!(peer.client.transactions(), 0);
    assert_eq!(peer.events(), []);
}

#[test]
fn a_request_in_the_window_can_not_be_called_back() {
    let mut peer = Peer::default();
    let xid = peer.request(create(5));
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::Unknown));
    let received = peer.receive();
    assert_eq!((received[0].opcode, &received[1]), (0, &abort(xid)));
}

#[test]
fn a_read_that_is_aborted_has_changed_nothing() {
    let mut peer = Peer::default();
    let xid = peer.resolve();
    peer.receive();
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
}

#[test]
fn a_reply_aborted_on_its_way_is_dropped_where_it_stands() {
    let mut peer = Peer::default();
    let (xid, other) = (peer.resolve(), peer.resolve());
    peer.receive();
    let reply = encode(xid, Reply::Resolved(pattern(10_000)));
    peer.send(&reply[..2000]).unwrap();
    peer.client.abort(xid, peer.now);
    assert_eq!(peer.receive(), [abort(xid)]);
    peer.send(&reply[2000..2800]).unwrap();
    peer.reply(other, Reply::Resolved(pattern(3)));
    assert_eq!(peer.events(), [replied(other, Reply::Resolved(pattern(3)))]);
    peer.reply_abort(xid);
    assert_eq!(peer.client.transactions(), 0);
    assert_eq!(peer.events(), []);
}

#[test]
fn a_refusal_during_an_upload_stops_it() {
    let (mut peer, xid) = busy();
    peer.receive_at_most(5000);
    let refusal = Refusal::RecordTooLarge { limit: 10 };
    let reply = encode(xid, Reply::Refused(refusal));
    // The header alone says enough to stop.
    peer.send(&reply[..10]).unwrap();
    assert_eq!(peer.receive(), [abort(xid)]);
    assert_eq!(peer.events(), []);
    peer.send(&reply[10..]).unwrap();
    assert_eq!(peer.events(), [replied(xid, Reply::Refused(refusal))]);
    assert_eq!((peer.client.transactions(), peer.receive()), (0, vec![]));
}

#[test]
fn a_refusal_of_a_request_that_has_left_needs_no_abort() {
    let mut peer = Peer::default();
    let xid = peer.sent(create(100_000));
    peer.reply(xid, Reply::Refused(Refusal::AddressFault));
    assert_eq!(peer.receive(), []);
    assert_eq!(peer.events(), [replied(xid, Reply::Refused(Refusal::AddressFault))]);
}

#[test]
fn a_refusal_that_crosses_an_abort_is_the_terminal() {
    let (mut peer, xid) = busy();
    peer.receive_at_most(5000);
    peer.client.abort(xid, peer.now);
    peer.reply(xid, Reply::Refused(Refusal::AddressFault));
    assert_eq!(peer.receive(), [abort(xid)]);
    assert_eq!((peer.client.transactions(), peer.events()), (0, vec![]));
}

#[test]
fn a_refused_upload_aborted_before_the_whole_refusal_is_here_gets_one_abort() {
    let (mut peer, xid) = busy();
    peer.receive_at_most(5000);
    let reply = encode(xid, Reply::Refused(Refusal::RecordTooLarge { limit: 10 }));
    peer.send(&reply[..12]).unwrap();
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
    assert_eq!(peer.receive(), [abort(xid)]);
    peer.send(&reply[12..]).unwrap();
    assert_eq!((peer.client.transactions(), peer.events()), (0, vec![]));
}

#[test]
fn an_abort_that_waits_to_be_sent_is_not_taken_for_the_request() {
    // The window is full, so that ABORTs wait behind it.
    let full = || {
        let mut peer = Peer::default();
        let empty = peer.sent(Request::ListRecords);
        let (large, other) = (peer.request(create(1_000_000)), peer.request(create(1_000_000)));
        peer.receive_at_most(10_000);
        (peer, empty, large, other)
    };
    let (mut peer, empty, ..) = full();
    peer.client.abort(empty, peer.now);
    peer.reply(empty, Reply::Refused(Refusal::UnsupportedOp));
    assert_eq!(peer.receive()[0], abort(empty));

    let (mut peer, empty, large, other) = full();
    peer.client.abort(empty, peer.now);
    peer.client.abort(large, peer.now);
    peer.reply(large, Reply::Refused(Refusal::AddressFault));
    peer.reply_abort(empty);
    let received = peer.receive();
    let aborts: Vec<_> = received.iter().filter(|r| r.opcode == 255).cloned().collect();
    assert_eq!((aborts, received.len()), (vec![abort(empty), abort(large)], 3));
    assert_eq!((peer.client.transactions(), peer.events()), (1, vec![]));
    peer.reply(other, Reply::Created(Pointer(2)));
    assert_eq!(peer.events(), [replied(other, Reply::Created(Pointer(2)))]);
}

#[test]
fn an_abort_by_the_server_ends_the_transaction() {
    let mut peer = Peer::default();
    let ended = |xid, outcome| [Event::Ended { xid, failure: Failure::Aborted, outcome }];
    let (write, read) = (peer.sent(create(5)), peer.sent(Request::Identify));
    peer.reply_abort(write);
    assert_eq!(peer.events(), ended(write, Outcome::Unknown));
    peer.reply_abort(read);
    assert_eq!(peer.events(), ended(read, Outcome::NotDone));

    let upload = peer.request(create(1_000_000));
    peer.receive_at_most(5000);
    peer.reply_abort(upload);
    assert_eq!(peer.events(), ended(upload, Outcome::NotDone));
    assert_eq!(peer.receive(), [], "no ABORT back, and no more of the upload");

    let resolve = peer.resolve();
    peer.receive();
    let reply = encode(resolve, Reply::Resolved(pattern(5000)));
    peer.send(&reply[..1400]).unwrap();
    peer.reply_abort(resolve);
    assert_eq!(peer.events(), ended(resolve, Outcome::NotDone));
    assert_eq!(peer.client.transactions(), 0);
    let late = peer.send(&reply[1400..]);
    assert_eq!(late, Err(ProtocolError::UnknownTransaction(resolve)));
}

#[test]
fn an_abort_may_come_between_two_packets_of_another_reply() {
    let mut peer = Peer::default();
    let (one, other) = (peer.resolve(), peer.resolve());
    peer.receive();
    let reply = encode(one, Reply::Resolved(pattern(2000)));
    peer.send(&reply[..1400]).unwrap();
    peer.send(&packet(other, 0, 255, 0, b"")).unwrap();
    peer.send(&reply[1400..]).unwrap();
    let ended = Event::Ended { xid: other, failure: Failure::Aborted, outcome: Outcome::NotDone };
    assert_eq!(peer.events(), [ended, replied(one, Reply::Resolved(pattern(2000)))]);
}
