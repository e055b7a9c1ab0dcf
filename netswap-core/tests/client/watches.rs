//! Watches and reads that wait.

use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Config, Event, Failure, Options, Outcome, Replica, RequestError};
use netswap_core::error::{ProtocolError, Quota, Refusal};
use netswap_core::types::{Access, Owner, Pointer, Version, Xid};
use netswap_core::wire::{Ending, Notification, Reply, Request};

use crate::peer::{
    Peer, Received, abort, changed, encode, encode_notification, packet, pattern, range, replied,
};

fn notified(xid: Xid, notification: Notification<Bytes>) -> Event {
    Event::Notified { xid, notification }
}

fn ended(xid: Xid, failure: Failure) -> Event {
    Event::Ended { xid, failure, outcome: Outcome::NotDone }
}

fn everything() -> Vec<Notification<Bytes>> {
    let owner = Owner::new(9).unwrap();
    vec![
        changed(3, pattern(5000)),
        range(4, 100, pattern(3000)),
        range(5, 0, ""),
        Notification::OwnerChanged(owner),
        Notification::AccessChanged(Access::READ),
        Notification::OwnershipRequested(owner),
        changed(9, ""),
        Notification::Ended(Ending::Deleted),
    ]
}

#[test]
fn a_watch_hears_everything_until_it_ends() {
    for cut in [1, 7, 10, 1399, 1400, 1401, 100_000] {
        let mut peer = Peer::default();
        let xid = peer.request(Request::WatchRecord { pointer: Pointer(7), push: true });
        let payload = vec![0, 0, 0, 0, 0, 0, 0, 7];
        assert_eq!(peer.receive(), [Received { xid, opcode: 16, access: 1, payload }]);
        let mut input = encode(xid, Reply::Watching(Version(3)));
        let mut expected = vec![Event::Watching { xid, version: Version(3) }];
        for notification in everything() {
            input.extend(encode_notification(xid, notification.clone()));
            expected.push(notified(xid, notification));
        }
        input.chunks(cut).for_each(|portion| peer.send(portion).unwrap());
        assert_eq!(peer.events(), expected, "cut every {cut} bytes");
        assert_eq!((peer.client.transactions(), peer.receive()), (0, vec![]));
        assert!(peer.client.wants_read());
    }
}

#[test]
fn a_watch_that_does_not_push_hears_of_versions() {
    let mut peer = Peer::default();
    let xid = peer.request(Request::WatchRecord { pointer: Pointer(7), push: false });
    assert_eq!(peer.receive()[0].access, 0);
    peer.reply(xid, Reply::Watching(Version(0)));
    let plain = |version| Notification::Changed { version: Version(version), data: None };
    peer.notify(xid, plain(1));
    peer.notify(xid, plain(7));
    peer.notify(xid, Notification::Ended(Ending::AccessLost));
    let watching = Event::Watching { xid, version: Version(0) };
    let last = notified(xid, Notification::Ended(Ending::AccessLost));
    assert_eq!(peer.events(), [watching, notified(xid, plain(1)), notified(xid, plain(7)), last]);
}

#[test]
fn every_final_kind_is_the_end() {
    for ending in [Ending::Deleted, Ending::Expired, Ending::AccessLost] {
        let mut peer = Peer::default();
        let xid = peer.watch(false, 1);
        peer.notify(xid, Notification::Ended(ending));
        assert_eq!(peer.events(), [notified(xid, Notification::Ended(ending))]);
        let late = peer.send(&encode_notification(xid, Notification::Ended(ending)));
        assert_eq!(late, Err(ProtocolError::UnknownTransaction(xid)));
    }
}

#[test]
fn a_watch_that_is_refused_is_a_request_that_is_refused() {
    let mut peer = Peer::default();
    let watches = Refusal::QuotaExceeded { quota: Quota::Watches, limit: 4096 };
    for refusal in [Refusal::AddressFault, Refusal::AccessViolation, Refusal::UnsupportedOp, watches] {
        let xid = peer.ask_to_watch(true);
        peer.reply(xid, Reply::Refused(refusal));
        assert_eq!(peer.events(), [replied(xid, Reply::Refused(refusal))]);
        assert_eq!(peer.client.transactions(), 0);
    }
}

#[test]
fn notifications_of_several_watches_and_replies_are_told_apart() {
    let mut peer = Peer::default();
    let (one, other) = (peer.watch(true, 1), peer.watch(true, 1));
    let resolve = peer.resolve();
    peer.receive();
    let messages = [
        encode_notification(one, changed(1, pattern(3000))),
        encode_notification(other, changed(1, pattern(2000))),
        encode(resolve, Reply::Resolved(pattern(4000))),
    ];
    for packet in 0..3 {
        for message in &messages {
            let packet = message.chunks(1400).nth(packet).unwrap_or_default();
            peer.send(packet).unwrap();
        }
    }
    let expected = [
        notified(other, changed(1, pattern(2000))),
        notified(one, changed(1, pattern(3000))),
        replied(resolve, Reply::Resolved(pattern(4000))),
    ];
    assert_eq!(peer.events(), expected);
}

#[test]
fn a_standing_watch_does_not_time_out() {
    let mut peer = Peer::default();
    let xid = peer.watch(true, 1);
    peer.wait(1_000_000);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), []);
    assert_eq!(peer.client.poll_timeout(), None);
    peer.notify(xid, changed(1, "data"));
    assert_eq!(peer.events(), [notified(xid, changed(1, "data"))]);
    peer.wait(1_000_000);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), []);
}

#[test]
fn the_ok_of_a_watch_and_a_notification_that_has_begun_do() {
    let mut peer = Peer::default();
    let xid = peer.ask_to_watch(true);
    peer.wait(10);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [ended(xid, Failure::TimedOut)]);
    assert_eq!(peer.receive(), [abort(xid)]);
    peer.reply_abort(xid);

    let xid = peer.watch(true, 1);
    peer.wait(100);
    let first = encode_notification(xid, changed(1, pattern(3000)));
    for portion in [0..5, 5..600, 600..1000, 1000..1400] {
        peer.send(&first[portion]).unwrap();
        peer.wait(9);
        peer.client.handle_timeout(peer.now).unwrap();
        assert_eq!(peer.events(), []);
    }
    assert!(peer.client.poll_timeout().is_some());
    peer.wait(1);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [ended(xid, Failure::TimedOut)]);
    assert_eq!(peer.receive(), [abort(xid)]);
    // The rest of it, and the ABORT, are the end of it.
    peer.send(&first[1400..]).unwrap();
    peer.reply_abort(xid);
    assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0));
}

#[test]
fn a_watch_is_aborted_at_any_time_and_its_id_stays_reserved_until_the_server_is_done() {
    let ok = encode(Xid(1), Reply::Watching(Version(3)));
    let news: Vec<u8> = everything().into_iter().flat_map(|it| encode_notification(Xid(1), it)).collect();
    let all = [ok, news].concat();
    for at in 0..all.len() {
        let mut peer = Peer::default();
        let xid = peer.ask_to_watch(true);
        peer.send(&all[..at]).unwrap();
        assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
        assert_eq!(peer.client.abort(xid, peer.now), None);
        assert_eq!(peer.receive(), [abort(xid)]);
        assert_eq!(peer.events(), [], "what was queued is gone too, at {at}");
        peer.send(&all[at..]).unwrap();
        assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0), "at {at}");
    }
}

#[test]
fn an_abort_may_be_answered_at_once_or_between_two_notifications_or_in_one() {
    let notification = encode_notification(Xid(1), changed(3, pattern(3000)));
    for received in [0, 5, 10, 1400, 2000, notification.len()] {
        let mut peer = Peer::default();
        let xid = peer.watch(true, 3);
        peer.send(&notification[..received]).unwrap();
        peer.client.abort(xid, peer.now);
        let whole_packets = received.div_ceil(1400) * 1400;
        peer.send(&notification[received..whole_packets.min(notification.len())]).unwrap();
        peer.reply_abort(xid);
        assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0));
    }
    // A refusal that crosses an ABORT is the terminal.
    let mut peer = Peer::default();
    let xid = peer.ask_to_watch(true);
    peer.client.abort(xid, peer.now);
    peer.reply(xid, Reply::Refused(Refusal::AddressFault));
    assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0));
}

#[test]
fn an_abort_by_the_server_and_the_end_of_the_connection_end_a_watch() {
    let mut peer = Peer::default();
    let (asked, watch, busy) = (peer.ask_to_watch(true), peer.watch(true, 3), peer.watch(true, 3));
    peer.send(&encode_notification(busy, changed(3, pattern(3000)))[..1400]).unwrap();
    peer.reply_abort(watch);
    peer.reply_abort(busy);
    assert_eq!(peer.events(), [ended(watch, Failure::Aborted), ended(busy, Failure::Aborted)]);
    peer.client.handle_eof();
    assert_eq!(peer.events(), [ended(asked, Failure::ConnectionLost)]);
}

#[test]
fn an_aborted_watch_that_the_server_forgets_is_a_dead_server() {
    let mut peer = Peer::default();
    let xid = peer.watch(false, 3);
    peer.wait(1000);
    peer.client.abort(xid, peer.now);
    peer.receive();
    peer.wait(10);
    assert_eq!(peer.client.handle_timeout(peer.now), Err(ProtocolError::AbortUnanswered(xid)));
}

#[test]
fn notifications_that_nobody_consumes_stop_the_reading() {
    let mut peer = Peer::default();
    let (xid, other) = (peer.watch(true, 1), peer.watch(false, 1));
    peer.notify(xid, changed(1, pattern(4 << 20)));
    assert!(!peer.client.wants_read());
    let [Event::Notified { notification, .. }] = &peer.events()[..] else { panic!("no notification") };
    peer.client.consumed(xid, notification.weight(), peer.now);
    assert!(peer.client.wants_read());

    // Many that carry no data are memory too.
    let mut version = 1;
    while peer.client.wants_read() {
        version += 1;
        peer.notify(other, Notification::Changed { version: Version(version), data: None });
    }
    assert!((30_000..40_000).contains(&version), "{version}");
    // What nobody wants any more holds nothing up.
    peer.client.abort(other, peer.now);
    assert!(peer.client.wants_read());
    assert_eq!(peer.events(), []);
}

#[test]
fn standing_watches_do_not_count_as_transactions_at_once() {
    let mut peer = Peer::new(Config { max_transactions: 2, ..Config::default() });
    let watches: Vec<Xid> = (0..10).map(|_| peer.watch(false, 1)).collect();
    let pending = [peer.ask_to_watch(true), peer.resolve()];
    let more = peer.client.request(Request::Identify, peer.now);
    assert_eq!(more, Err(RequestError::TooManyTransactions { limit: 2 }));
    peer.receive();
    peer.reply(pending[1], Reply::Resolved(Bytes::new()));
    peer.resolve();
    assert_eq!(peer.client.transactions(), 12);
    for xid in watches {
        peer.client.abort(xid, peer.now);
        peer.reply_abort(xid);
    }
    assert_eq!(peer.client.transactions(), 2);
    assert!(peer.client.request(Request::Identify, peer.now).is_err());
}

#[test]
fn the_ids_of_watches_are_passed_when_the_count_comes_round() {
    let mut peer = Peer::new(Config { first_xid: Xid(u32::MAX), ..Config::default() });
    let watch = peer.watch(true, 1);
    assert_eq!(watch, Xid(u32::MAX));
    assert_eq!((peer.resolve(), peer.resolve()), (Xid(0), Xid(1)));
}

#[test]
fn a_record_too_long_for_the_client_ends_the_watch_alone() {
    let mut peer = Peer::new(Config { max_reply: 1000, ..Config::default() });
    let too_large = |len| Failure::ReplyTooLarge { len, limit: 1000 };
    let xid = peer.watch(true, 1);
    peer.notify(xid, changed(1, pattern(1000)));
    peer.events();
    let whole = encode_notification(xid, changed(2, pattern(1001)));
    peer.send(&whole[..10]).unwrap();
    assert_eq!(peer.events(), [ended(xid, too_large(1001))]);
    assert_eq!(peer.receive(), [abort(xid)]);
    peer.send(&whole[10..]).unwrap();
    peer.reply_abort(xid);

    // A few bytes far behind the end make it too long as well.
    let xid = peer.watch(true, 1);
    peer.notify(xid, changed(1, ""));
    peer.notify(xid, range(2, 995, "12345"));
    assert_eq!(peer.events().len(), 2);
    peer.notify(xid, range(3, 996, "12345"));
    assert_eq!(peer.events(), [ended(xid, too_large(1001))]);
    assert_eq!(peer.receive(), [abort(xid)]);
    peer.reply_abort(xid);
    assert_eq!(peer.client.transactions(), 0);
}

#[test]
fn a_replica_follows_a_watch() {
    let mut peer = Peer::default();
    let xid = peer.watch(true, 5);
    let mut replica = Replica::default();
    let news =
        [changed(5, "hello"), range(6, 0, "J"), range(7, 5, "!"), changed(20, "bye"), range(21, 5, "?")];
    let expected: [&[u8]; 5] = [b"hello", b"Jello", b"Jello!", b"bye", b"bye\0\0?"];
    for (notification, expected) in news.into_iter().zip(expected) {
        peer.notify(xid, notification);
        for event in peer.events() {
            let Event::Notified { notification, .. } = event else { panic!("{event:?}") };
            assert!(replica.apply(&notification));
        }
        assert_eq!(replica.data(), expected);
    }
    assert_eq!(replica.version(), Version(21));
}

#[test]
fn a_read_that_waits_has_a_time_limit_of_its_own_until_its_answer_begins() {
    let mut peer = Peer::default();
    let wait = |seconds| Options { wait: Some(Duration::from_secs(seconds)), ..Options::default() };
    let mut ask = |options| {
        peer.client.request_with(Request::ResolvePointer { pointer: Pointer(7) }, options, peer.now).unwrap()
    };
    let (short, long) = (ask(wait(3)), ask(wait(600)));
    let ever = ask(Options { wait: Some(Duration::MAX), ..Options::default() });
    // The time begins when the request has left.
    peer.wait(9);
    peer.client.handle_timeout(peer.now).unwrap();
    peer.receive();
    peer.wait(3);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [ended(short, Failure::TimedOut)]);
    assert_eq!(peer.receive(), [abort(short)]);
    peer.reply_abort(short);
    peer.wait(597);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [ended(long, Failure::TimedOut)]);
    peer.receive();
    peer.reply_abort(long);
    peer.wait(1_000_000);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), []);
    // Once there are data, they must go on.
    peer.send(&packet(ever, 3000, 3, 0, b"")).unwrap();
    peer.wait(10);
    peer.client.handle_timeout(peer.now).unwrap();
    assert_eq!(peer.events(), [ended(ever, Failure::TimedOut)]);
    assert_eq!(peer.receive(), [abort(ever)]);
}
