//! Servers that break the protocol of watches: each case is judged at its last byte, and not before.

use netswap_core::client::{Event, Failure};
use netswap_core::error::ProtocolError;
use netswap_core::types::{Owner, Pointer, Version, Xid};
use netswap_core::wire::{Ending, MAX_PAYLOAD, Notification, Reply, Request};
use proptest::prelude::*;

use crate::peer::{Peer, changed, encode, encode_notification, packet, pattern, range};

const X: Xid = Xid(1);
const NOTIFY: u8 = 11;

fn bad(code: u8) -> ProtocolError {
    ProtocolError::BadReply { xid: X, code }
}

fn header(remaining: u32, kind: u8) -> Vec<u8> {
    packet(X, remaining, NOTIFY, kind, b"")
}

/// Has the server answer a request with these bytes: the last of them is the error.
fn expect_of(request: Request<bytes::Bytes>, before: &[u8], last: &[u8], error: ProtocolError) {
    let mut peer = Peer::default();
    assert_eq!(peer.sent(request), X);
    peer.send(before).unwrap();
    peer.events();
    let (end, rest) = last.split_last().unwrap();
    peer.send(rest).unwrap_or_else(|early| panic!("{early:?} came early for {last:?}"));
    assert_eq!(peer.send(&[*end]), Err(error), "{last:?}");
    let events = peer.events();
    assert!(
        matches!(events[..], [Event::Ended { xid: X, failure: Failure::ConnectionLost, .. }]),
        "{events:?} for {last:?}"
    );
}

/// The same of a watch that has got its OK, of version 5, and these notifications.
fn expect(push: bool, before: &[Notification<bytes::Bytes>], last: &[u8], error: ProtocolError) {
    let mut sent = encode(X, Reply::Watching(Version(5)));
    sent.extend(before.iter().flat_map(|it| encode_notification(X, it.clone())));
    expect_of(Request::WatchRecord { pointer: Pointer(1), push }, &sent, last, error);
}

fn watch(push: bool) -> Request<bytes::Bytes> {
    Request::WatchRecord { pointer: Pointer(1), push }
}

#[test]
fn a_notification_without_a_watch_or_before_its_ok() {
    for kind in [1, 3, 16, 18] {
        for len in [0, 1, 8] {
            expect_of(Request::ResolvePointer { pointer: Pointer(1) }, b"", &header(len, kind), bad(NOTIFY));
            expect_of(Request::ListRecords, b"", &header(len, kind), bad(NOTIFY));
            expect_of(watch(true), b"", &header(len, kind), bad(NOTIFY));
        }
    }
    let mut peer = Peer::default();
    peer.watch(true, 1);
    let unknown = packet(Xid(2), 0, NOTIFY, 16, b"");
    assert_eq!(peer.send(&unknown), Err(ProtocolError::UnknownTransaction(Xid(2))));
}

#[test]
fn a_notification_after_the_last() {
    let mut peer = Peer::default();
    let xid = peer.watch(true, 5);
    peer.notify(xid, Notification::Ended(Ending::Expired));
    let late = peer.send(&header(0, 17));
    assert_eq!(late, Err(ProtocolError::UnknownTransaction(xid)));
}

#[test]
fn something_else_in_the_place_of_a_notification() {
    expect(true, &[], &encode(X, Reply::Watching(Version(5)))[..10], bad(0));
    for (len, code, detail) in [(0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 5, 1), (0, 6, 0), (4, 7, 0), (8, 8, 6)] {
        expect(true, &[], &packet(X, len, code, detail, b""), bad(code));
    }
    for code in (9..=254).filter(|code| *code != NOTIFY) {
        expect(true, &[], &packet(X, 0, code, 0, b""), bad(code));
    }
    expect(true, &[], &packet(X, 1, 255, 0, b""), bad(255));
}

#[test]
fn kinds_and_lengths_that_do_not_fit() {
    for push in [false, true] {
        for kind in 0..=255 {
            for len in 0..20 {
                let fits = match kind {
                    1 if push => len >= 8,
                    2 => push && len >= 12,
                    1 | 4 | 5 => len == 8,
                    3 => len == 1,
                    16..=18 => len == 0,
                    _ => false,
                };
                if !fits {
                    expect(push, &[], &header(len, kind), bad(NOTIFY));
                }
            }
        }
    }
    expect(false, &[], &header(u32::MAX, 1), bad(NOTIFY));
}

#[test]
fn payloads_that_mean_nothing() {
    expect(true, &[], &packet(X, 1, NOTIFY, 3, &[8]), bad(NOTIFY));
    for kind in [4, 5] {
        expect(false, &[], &packet(X, 8, NOTIFY, kind, &[0; 8]), bad(NOTIFY));
    }
}

#[test]
fn versions_that_go_backwards_or_do_not_follow() {
    let last = |notification| encode_notification(X, notification);
    let plain = |version| Notification::Changed { version: Version(version), data: None };
    expect(true, &[], &last(changed(4, "x")), bad(NOTIFY));
    expect(true, &[], &last(changed(0, "x")), bad(NOTIFY));
    expect(false, &[], &last(plain(4)), bad(NOTIFY));
    expect(false, &[plain(6)], &last(plain(5)), bad(NOTIFY));
    expect(true, &[changed(7, "x")], &last(changed(6, "x")), bad(NOTIFY));
    // A reserved record has no data to be told of.
    let reserved = encode(X, Reply::Watching(Version::RESERVED));
    expect_of(watch(true), &reserved, &last(changed(0, "x")), bad(NOTIFY));
    // A range without the data that it is a part of.
    expect(true, &[], &last(range(6, 0, "x")), bad(NOTIFY));
    let owner = Notification::OwnerChanged(Owner::new(3).unwrap());
    for version in [4, 5, 7, 0, u64::MAX] {
        expect(true, &[changed(5, "x"), owner.clone()], &last(range(version, 0, "x")), bad(NOTIFY));
    }
    expect(true, &[changed(5, "x"), range(6, 0, "y")], &last(range(6, 0, "x")), bad(NOTIFY));
    expect(true, &[changed(u64::MAX, "x")], &last(range(0, 0, "x")), bad(NOTIFY));
    // Nothing is so long.
    expect(true, &[changed(5, "x")], &last(range(6, u32::MAX, "x")), bad(NOTIFY));
}

#[test]
fn continuations_that_do_not_follow() {
    let first = packet(X, 4000, NOTIFY, 1, &[0; MAX_PAYLOAD]);
    let sent = [encode(X, Reply::Watching(Version(0))), first].concat();
    for (remaining, code, kind) in [(2609, NOTIFY, 1), (2610, NOTIFY, 2), (2610, 3, 1), (0, NOTIFY, 16)] {
        let wrong = packet(X, remaining, code, kind, b"");
        expect_of(watch(true), &sent, &wrong, ProtocolError::Continuation(X));
    }
}

#[test]
fn an_aborted_watch_is_judged_as_before() {
    for (wrong, error) in [
        (header(9, 4), bad(NOTIFY)),
        (header(0, 6), bad(NOTIFY)),
        (packet(X, 8, 0, 0, b""), bad(0)),
        (packet(X, 0, 2, 0, b""), bad(2)),
    ] {
        let mut peer = Peer::default();
        let xid = peer.watch(true, 5);
        peer.notify(xid, changed(5, pattern(10)));
        peer.client.abort(xid, peer.now);
        assert_eq!(peer.send(&wrong), Err(error));
    }
}

#[test]
fn notifications_that_announce_much_and_bring_nothing_cost_nothing() {
    let config = netswap_core::client::Config { max_reply: u32::MAX, ..Default::default() };
    let mut peer = Peer::new(config);
    for _ in 0..1000 {
        let xid = peer.ask_to_watch(true);
        peer.reply(xid, Reply::Watching(Version(1)));
        peer.send(&packet(xid, u32::MAX, NOTIFY, 1, &[0; MAX_PAYLOAD])).unwrap();
    }
    assert!(peer.client.wants_read());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever comes, every watch ends once, and versions do not go backwards.
    #[test]
    fn any_notifications_at_all(
        packets in proptest::collection::vec(
            (1..4u32, prop_oneof![Just(0), Just(1), Just(8), 0..30u32], 0..20u8, 0..9u8, any::<bool>()), 0..40),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut peer = Peer::default();
        for push in [true, false, true] {
            peer.ask_to_watch(push);
        }
        for xid in 1..3 {
            peer.reply(Xid(xid), Reply::Watching(Version(2)));
        }
        let mut result = Ok(());
        for (xid, remaining, kind, value, notify) in packets {
            let mut payload = vec![0; remaining as usize];
            payload.iter_mut().skip(7).take(1).for_each(|byte| *byte = value);
            let code = if notify { NOTIFY } else { value };
            result = result.and(peer.send(&packet(Xid(xid), remaining, code, kind, &payload)));
        }
        result = result.and(peer.send(&tail));
        if let Err(error) = result {
            prop_assert_eq!(peer.send(b""), Err(error));
        }
        peer.client.handle_eof();
        let mut ended = Vec::new();
        let mut told = [Version(0); 4];
        for event in peer.events() {
            match event {
                Event::Replied { xid, .. }
                | Event::Ended { xid, .. }
                | Event::Notified { xid, notification: Notification::Ended(_) } => ended.push(xid),
                Event::Watching { xid, version }
                | Event::Notified {
                    xid,
                    notification: Notification::Changed { version, .. } | Notification::RangeChanged { version, .. },
                } => {
                    let before = std::mem::replace(&mut told[xid.0 as usize], version);
                    prop_assert!(version >= before);
                }
                _ => {}
            }
        }
        ended.sort_unstable();
        prop_assert_eq!(ended, [Xid(1), Xid(2), Xid(3)]);
    }
}
