//! Requests and their replies, one and many.

use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Config, Event, RequestError};
use netswap_core::error::{Quota, Refusal};
use netswap_core::types::{Access, Owner, Pointer, Version, Xid};
use netswap_core::wire::{Identity, MAX_PAYLOAD, Reply, Request, Stat};
use proptest::prelude::*;

use crate::peer::{Peer, Received, encode, pattern, replied, stream};

fn owner() -> Owner {
    Owner::new(9).unwrap()
}

/// A request, its opcode, ACCESS byte and payload, and a reply to it.
type Operation = (Request<Bytes>, u8, u8, &'static [u8], Reply<Bytes>);

fn operations() -> Vec<Operation> {
    let pointer = Pointer(0x0102_0304_0506_0708);
    let p = b"\x01\x02\x03\x04\x05\x06\x07\x08";
    let data = Bytes::from_static(b"data");
    let identity = Identity::new(owner(), 1 << 28, Duration::from_secs(300));
    let stat = Stat {
        len: 4,
        version: Version(2),
        owner: owner(),
        access: Access::READ,
        reserved: false,
        expires: None,
    };
    let to_owner = b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09";
    let version = Version(2);
    let written = Reply::Written(version);
    let read = Access::READ;
    vec![
        (Request::CreateRecord { access: read, data: data.clone() }, 0, 1, b"data", Reply::Created(pointer)),
        (Request::UpdateRecordPermissions { pointer, access: Access::WRITE }, 1, 2, p, Reply::Done),
        (Request::ResolvePointer { pointer }, 2, 0, p, Reply::Resolved(data.clone())),
        (
            Request::ReplaceRecord { pointer, data: data.clone() },
            3,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08data",
            written,
        ),
        (Request::DeleteRecord { pointer }, 4, 0, p, Reply::Done),
        (Request::TakeoverRecord { pointer }, 5, 0, p, Reply::Done),
        (Request::TransferRecord { pointer, owner: owner() }, 6, 0, to_owner, Reply::Done),
        (Request::Identify, 7, 0, b"", Reply::Identity(identity)),
        (Request::Ping { data: data.clone() }, 8, 0, b"data", Reply::Echo(data.clone())),
        (Request::StatRecord { pointer }, 9, 0, p, Reply::Stat(stat)),
        (
            Request::ReadRange { pointer, offset: 1, len: 4 },
            10,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x01\0\0\0\x04",
            Reply::Range { version, record_len: 9, data: data.clone() },
        ),
        (
            Request::WriteRange { pointer, offset: 1, data: data.clone() },
            11,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x01data",
            Reply::Written(version),
        ),
        (
            Request::Append { pointer, data: data.clone() },
            12,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08data",
            Reply::Appended { version, offset: 5 },
        ),
        (
            Request::CompareAndReplace { pointer, version: Version(3), data: data.clone() },
            13,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x03data",
            Reply::Refused(Refusal::VersionMismatch { current: version }),
        ),
        (
            Request::FetchAdd { pointer, offset: 1, delta: -2 },
            14,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe",
            Reply::Added { version, value: -1 },
        ),
        (
            Request::ResolveIfChanged { pointer, version: Version(1) },
            15,
            0,
            b"\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x01",
            Reply::Changed { version, data },
        ),
        (Request::ListRecords, 17, 0, b"", Reply::Pointers(vec![Pointer(1), pointer])),
    ]
}

#[test]
fn every_operation_is_asked_and_answered() {
    let mut peer = Peer::default();
    for (number, (request, opcode, access, payload, reply)) in operations().into_iter().enumerate() {
        let xid = peer.request(request.clone());
        assert_eq!(xid, Xid(number as u32 + 1));
        assert_eq!(peer.receive(), [Received { xid, opcode, access, payload: payload.to_vec() }]);
        assert_eq!(peer.events(), []);
        peer.reply(xid, reply.clone());
        assert_eq!(peer.events(), [replied(xid, reply)], "{request:?}");
        assert_eq!(peer.client.transactions(), 0);
    }
}

#[test]
fn every_operation_can_be_refused() {
    for (request, ..) in operations() {
        for refusal in [
            Refusal::AccessViolation,
            Refusal::AddressFault,
            Refusal::UnsupportedOp,
            Refusal::RecordTooLarge { limit: 5 },
            Refusal::QuotaExceeded { quota: Quota::ServerMemory, limit: 1 << 40 },
        ] {
            let mut peer = Peer::default();
            let xid = peer.sent(request.clone());
            peer.reply(xid, Reply::Refused(refusal));
            assert_eq!(peer.events(), [replied(xid, Reply::Refused(refusal))]);
            assert_eq!(peer.receive(), []);
            assert_eq!(peer.client.transactions(), 0);
        }
    }
}

#[test]
fn long_requests_and_replies_are_whole() {
    for len in [1389, 1390, 1391, 2780, 2781, 1_000_000] {
        let mut peer = Peer::default();
        let xid = peer.request(Request::CreateRecord { access: Access::empty(), data: pattern(len) });
        assert_eq!(peer.receive()[0].payload, pattern(len));
        peer.reply(xid, Reply::Created(Pointer(1)));
        let xid = peer.sent(Request::ResolvePointer { pointer: Pointer(1) });
        peer.events();
        peer.reply(xid, Reply::Resolved(pattern(len)));
        assert_eq!(peer.events(), [replied(xid, Reply::Resolved(pattern(len)))]);
    }
}

#[test]
fn ids_count_up_and_wrap_to_zero() {
    let mut peer = Peer::new(Config { first_xid: Xid(u32::MAX - 1), ..Config::default() });
    let open = peer.sent(Request::Identify);
    assert_eq!(open, Xid(u32::MAX - 1));
    for expected in [Xid(u32::MAX), Xid(0), Xid(1)] {
        let xid = peer.sent(Request::ListRecords);
        assert_eq!(xid, expected);
        peer.reply(xid, Reply::Pointers(vec![]));
        assert_eq!(peer.events(), [replied(xid, Reply::Pointers(vec![]))]);
    }
}

#[test]
fn too_many_at_once_are_an_error_of_their_own() {
    let mut peer = Peer::new(Config { max_transactions: 3, ..Config::default() });
    let first = peer.sent(Request::Identify);
    peer.sent(Request::ListRecords);
    peer.sent(Request::ListRecords);
    let error = Err(RequestError::TooManyTransactions { limit: 3 });
    assert_eq!(peer.client.request(Request::Identify, peer.now), error);
    assert_eq!(peer.receive(), []);
    // An id that was aborted counts until the server is done with it.
    peer.client.abort(first, peer.now);
    assert_eq!(peer.client.request(Request::Identify, peer.now), error);
    peer.receive();
    peer.reply_abort(first);
    assert_eq!(peer.sent(Request::Identify), Xid(4));
}

#[test]
fn a_request_that_no_message_can_carry_is_an_error_of_its_own() {
    let mut peer = Peer::default();
    let request = Request::ReplaceRecord { pointer: Pointer(1), data: u32::MAX - 7 };
    assert_eq!(peer.client.upload(request, Default::default(), peer.now), Err(RequestError::TooLong));
    let request = Request::ReplaceRecord { pointer: Pointer(1), data: u32::MAX - 8 };
    assert!(peer.client.upload(request, Default::default(), peer.now).is_ok());
}

#[test]
fn many_at_once_are_answered_in_any_order() {
    let mut peer = Peer::default();
    let ping = |n: usize| Request::Ping { data: pattern(n * 10) };
    let xids: Vec<Xid> = (0..1000).map(|n| peer.request(ping(n))).collect();
    assert_eq!(peer.receive().len(), 1000);
    let mut replies: Vec<_> =
        xids.iter().enumerate().map(|(n, xid)| (*xid, Reply::Echo(pattern(n * 10)))).collect();
    replies.reverse();
    replies.rotate_left(333);
    for (xid, reply) in replies {
        peer.reply(xid, reply.clone());
        assert_eq!(peer.events(), [replied(xid, reply)]);
    }
    assert_eq!(peer.client.transactions(), 0);
}

#[test]
fn a_small_request_passes_a_large_one() {
    let mut peer = Peer::default();
    let large = peer.request(Request::CreateRecord { access: Access::empty(), data: pattern(1_000_000) });
    assert_eq!(peer.receive_at_most(10_000), []);
    let small = peer.request(Request::Identify);
    let received = peer.receive_at_most(80_000);
    assert_eq!(received.iter().map(|r| r.xid).collect::<Vec<_>>(), [small]);
    assert_eq!(peer.receive()[0].xid, large);
}

/// Everything that a server may send to a set of requests, and the events that must come of it.
fn conversation() -> impl Strategy<Value = (Vec<Request<Bytes>>, Vec<u8>, Vec<Event>)> {
    let choice = proptest::collection::vec((0..13usize, 0..5000usize), 1..12);
    (choice, any::<bool>()).prop_map(|(choices, in_turn)| {
        let mut requests = Vec::new();
        let mut replies = Vec::new();
        for (number, (choice, len)) in choices.into_iter().enumerate() {
            let xid = Xid(number as u32 + 1);
            let (request, reply) = match operations().into_iter().nth(choice) {
                Some((request, .., reply)) => (request, reply),
                None if len < 2500 => {
                    let resolve = Request::ResolvePointer { pointer: Pointer(3) };
                    (resolve, Reply::Refused(Refusal::RecordTooLarge { limit: len as u32 }))
                }
                None => (Request::ResolvePointer { pointer: Pointer(3) }, Reply::Resolved(pattern(len))),
            };
            requests.push(request);
            replies.push((xid, reply));
        }
        let bytes = if in_turn {
            stream(replies.clone())
        } else {
            replies.iter().flat_map(|(xid, reply)| encode(*xid, reply.clone())).collect()
        };
        (requests, bytes, replies.into_iter().map(|(xid, reply)| replied(xid, reply)).collect())
    })
}

fn run(requests: &[Request<Bytes>], input: &[u8], mut cut: impl FnMut() -> usize) -> Vec<Event> {
    let mut peer = Peer::default();
    for request in requests {
        peer.request(request.clone());
    }
    peer.receive();
    let mut rest = input;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(cut().min(rest.len()));
        peer.send(now).unwrap();
        rest = later;
    }
    peer.events()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn however_the_input_is_cut_the_events_are_the_same(
        (requests, input, expected) in conversation(),
        cuts in proptest::collection::vec(1..3000usize, 1..20),
    ) {
        let whole = run(&requests, &input, || usize::MAX);
        prop_assert_eq!(&run(&requests, &input, || 1), &whole);
        let mut cuts = cuts.into_iter().cycle();
        prop_assert_eq!(&run(&requests, &input, || cuts.next().unwrap()), &whole);
        let sorted = |mut events: Vec<Event>| {
            events.sort_by_key(|event| match event {
                Event::Replied { xid, .. } => *xid,
                other => panic!("{other:?}"),
            });
            events
        };
        prop_assert_eq!(sorted(whole), expected);
    }
}

#[test]
fn replies_that_take_turns_are_put_together() {
    let mut peer = Peer::default();
    let (one, other) = (peer.resolve(), peer.resolve());
    peer.receive();
    let lens = [3 * MAX_PAYLOAD, 2 * MAX_PAYLOAD + 1];
    let replies = vec![(one, Reply::Resolved(pattern(lens[0]))), (other, Reply::Resolved(pattern(lens[1])))];
    let bytes = stream(replies.clone());
    assert_eq!(bytes[1400..1404], other.0.to_be_bytes(), "the second packet is the other's");
    peer.send(&bytes).unwrap();
    let replies: Vec<Event> = replies.into_iter().map(|(xid, reply)| replied(xid, reply)).collect();
    assert_eq!(peer.events(), replies);
}
