//! Transactions of which nothing moves.

use std::time::Duration;

use netswap_core::client::{Config, Event, Failure, Options, Outcome};
use netswap_core::error::ProtocolError;
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Reply, Request};

use crate::peer::{Peer, abort, encode, pattern, replied};

fn timed_out(xid: Xid, outcome: Outcome) -> Event {
    Event::Ended { xid, failure: Failure::TimedOut, outcome }
}

fn after(seconds: u64) -> Instant {
    Instant::after_start(Duration::from_secs(seconds))
}

/// Lets time pass to just before a moment, when nothing may happen, and then to it.
fn wait_until(peer: &mut Peer, seconds: u64) {
    peer.now = Instant::after_start(Duration::from_secs(seconds) - Duration::from_nanos(1));
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [], "before {seconds} s");
    assert!(peer.client.poll_timeout().is_some_and(|check| check <= after(seconds)));
    peer.now = after(seconds);
    peer.client.handle_timeout(peer.now).unwrap();
}

#[test]
fn without_transactions_there_is_nothing_to_wait_for() {
    let mut peer = Peer::default();
    assert_eq!(peer.client.poll_timeout(), None);
    let xid = peer.sent(Request::ListRecords);
    assert_eq!(peer.client.poll_timeout(), Some(after(10)));
    peer.reply(xid, Reply::Pointers(vec![]));
    assert_eq!(peer.client.poll_timeout(), None);
}

#[test]
fn a_request_without_an_answer_times_out() {
    let mut peer = Peer::default();
    let (read, write) = (peer.resolve(), peer.replace(5));
    peer.receive();
    wait_until(&mut peer, 10);
    assert_eq!(peer.events(), [timed_out(read, Outcome::NotDone), timed_out(write, Outcome::Unknown)]);
    assert_eq!(peer.receive(), [abort(read), abort(write)]);
    // What comes late is the terminal, and no event.
    peer.reply(write, Reply::Written(Version(2)));
    peer.reply_abort(read);
    assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0));
}

#[test]
fn each_request_can_have_its_own_timeout() {
    let mut peer = Peer::default();
    let options =
        |seconds| Options { idle_timeout: Some(Duration::from_secs(seconds)), ..Options::default() };
    let ever = Options { idle_timeout: Some(Duration::MAX), ..Options::default() };
    let mut ask = |options| {
        peer.client.request_with(Request::ResolvePointer { pointer: Pointer(1) }, options, peer.now).unwrap()
    };
    let (slow, fast, _) = (ask(options(60)), ask(options(2)), ask(ever));
    peer.receive();
    wait_until(&mut peer, 2);
    assert_eq!(peer.events(), [timed_out(fast, Outcome::NotDone)]);
    peer.receive();
    peer.reply_abort(fast);
    wait_until(&mut peer, 60);
    assert_eq!(peer.events(), [timed_out(slow, Outcome::NotDone)]);
    peer.receive();
    peer.reply_abort(slow);
    peer.wait(1_000_000);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!((peer.events(), peer.client.transactions()), (vec![], 1));
}

#[test]
fn a_read_waits_for_data_only_when_it_has_left() {
    let mut peer = Peer::default();
    let options = Options { wait: Some(Duration::from_secs(60)), ..Options::default() };
    let read = Request::ResolvePointer { pointer: Pointer(1) };
    // The socket takes more than the window before this one has a packet in it.
    peer.replace(1_000_000);
    let behind = peer.client.request_with(read, options, peer.now).unwrap();
    wait_until(&mut peer, 10);
    assert!(peer.events().contains(&timed_out(behind, Outcome::NotDone)));
}

#[test]
fn a_reply_that_moves_does_not_time_out_and_one_that_stops_does() {
    let mut peer = Peer::default();
    let (xid, other) = (peer.resolve(), peer.resolve());
    peer.receive();
    let reply = encode(xid, Reply::Resolved(pattern(10_000)));
    for portion in reply[..7000].chunks(1000) {
        peer.wait(9);
        peer.client.handle_timeout(peer.now).unwrap();
        peer.send(portion).unwrap();
    }
    // The other one stood still all the time, and its ABORT is not answered; but the connection lives.
    assert_eq!(peer.events(), [timed_out(other, Outcome::NotDone)]);
    peer.receive();
    peer.reply_abort(other);
    wait_until(&mut peer, 63 + 10);
    assert_eq!(peer.events(), [timed_out(xid, Outcome::NotDone)]);
    assert_eq!(peer.receive(), [abort(xid)]);
}

#[test]
fn an_upload_that_moves_does_not_time_out_and_one_that_stops_does() {
    let mut peer = Peer::default();
    let upload = Request::CreateRecord { access: Access::empty(), data: 1_000_000 };
    let xid = peer.client.upload(upload, Options::default(), peer.now).unwrap();
    // Nobody gives data: 2 s. Data come and leave slowly: 9 s each. The socket stops.
    peer.wait(2);
    for _ in 0..5 {
        peer.client.provide(xid, pattern(100_000));
        peer.wait(9);
        peer.receive_at_most(5000);
        peer.client.handle_timeout(peer.now).unwrap();
    }
    wait_until(&mut peer, 2 + 45 + 10);
    assert_eq!(peer.events(), [timed_out(xid, Outcome::NotDone)]);
    assert_eq!(peer.receive(), [abort(xid)]);
}

#[test]
fn a_request_that_never_leaves_times_out_too() {
    let mut peer = Peer::default();
    let xid = peer.replace(1_000_000);
    peer.receive_at_most(2000);
    let waiting = peer.replace(1_000_000);
    wait_until(&mut peer, 10);
    let outcome = Outcome::NotDone;
    assert_eq!(peer.events(), [timed_out(xid, outcome), timed_out(waiting, outcome)]);
    assert_eq!(peer.receive(), [abort(xid)]);
    assert_eq!(peer.client.transactions(), 1, "the server has heard of one only");
}

#[test]
fn time_stands_still_while_the_client_itself_does_not_read() {
    let mut peer = Peer::default();
    let options = Options { pieces: true, ..Options::default() };
    let request = Request::ResolvePointer { pointer: Pointer(1) };
    let xid = peer.client.request_with(request, options, peer.now).unwrap();
    let other = peer.sent(Request::ListRecords);
    let input = encode(xid, Reply::Resolved(pattern(5_000_000)));
    peer.send(&input[..4_500_000]).unwrap();
    assert!(!peer.client.wants_read());
    assert_eq!(peer.client.poll_timeout(), None);
    peer.events();
    peer.wait(1000);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), []);
    peer.client.consumed(xid, 4_000_000, peer.now);
    wait_until(&mut peer, 1010);
    assert_eq!(peer.events(), [timed_out(xid, Outcome::NotDone), timed_out(other, Outcome::NotDone)]);
}

#[test]
fn a_server_that_leaves_aborts_unanswered_and_is_silent_is_dead() {
    let mut peer = Peer::default();
    let xid = peer.sent(Request::Identify);
    wait_until(&mut peer, 10);
    assert_eq!(peer.events(), [timed_out(xid, Outcome::NotDone)]);
    peer.receive();
    peer.wait(5);
    let patient = Options { idle_timeout: Some(Duration::from_secs(60)), ..Options::default() };
    let delete = Request::DeleteRecord { pointer: Pointer(1) };
    let write = peer.client.request_with(delete, patient, peer.now).unwrap();
    peer.receive();
    // The request of 15 s was the last that moved.
    peer.now = after(24);
    assert_eq!(peer.client.handle_timeout(peer.now), Ok(()));
    assert_eq!(peer.events(), []);
    peer.now = after(25);
    assert_eq!(peer.client.handle_timeout(peer.now), Err(ProtocolError::AbortUnanswered(xid)));
    let lost = Event::Ended { xid: write, failure: Failure::ConnectionLost, outcome: Outcome::Unknown };
    assert_eq!(peer.events(), [lost]);
    assert!(peer.client.is_closed());
    assert_eq!(peer.client.poll_timeout(), None);
}

#[test]
fn an_unanswered_abort_is_no_harm_while_the_connection_moves() {
    let mut peer = Peer::new(Config { idle_timeout: Duration::from_secs(10), ..Config::default() });
    let silent = peer.sent(Request::Identify);
    peer.client.abort(silent, peer.now);
    peer.receive();
    for _ in 0..20 {
        peer.wait(9);
        peer.client.handle_timeout(peer.now).unwrap();
        let xid = peer.sent(Request::ListRecords);
        peer.reply(xid, Reply::Pointers(vec![]));
        assert_eq!(peer.events(), [replied(xid, Reply::Pointers(vec![]))]);
    }
    assert_eq!(peer.client.transactions(), 1);
}
