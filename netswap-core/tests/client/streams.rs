//! Uploads from and downloads into something that has its own pace.

use netswap_core::client::{Config, Event, Failure, Options, Outcome, Progress};
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Reply, Request};

use crate::peer::{Peer, abort, encode, pattern, replied};

fn upload(peer: &mut Peer, len: usize) -> Xid {
    let request = Request::ReplaceRecord { pointer: Pointer(7), data: len as u32 };
    peer.client.upload(request, Options::default(), peer.now).unwrap()
}

fn download(peer: &mut Peer) -> Xid {
    let options = Options { pieces: true, ..Options::default() };
    let request = Request::ResolvePointer { pointer: Pointer(7) };
    let xid = peer.client.request_with(request, options, peer.now).unwrap();
    peer.receive();
    xid
}

#[test]
fn an_upload_takes_its_data_as_they_come() {
    let mut peer = Peer::default();
    let data = pattern(1_000_000);
    let xid = upload(&mut peer, data.len());
    assert_eq!(peer.receive(), []);
    let mut given = 0;
    let mut received = Vec::new();
    while given < data.len() {
        let progress = peer.client.progress(xid).unwrap();
        assert!(progress.wanted > 0 && progress.wanted <= 256 * 1024);
        let end = (given + progress.wanted.min(99_999)).min(data.len());
        assert!(peer.client.provide(xid, data.slice(given..end)));
        given = end;
        received.extend(peer.receive());
        let sent = peer.client.progress(xid).unwrap().sent as usize;
        assert!(sent <= given && sent + 1400 > given, "{sent} of {given}");
    }
    assert!(!peer.client.provide(xid, data.slice(..1)));
    assert_eq!(received[0].payload[..8], [0, 0, 0, 0, 0, 0, 0, 7]);
    assert_eq!(received[0].payload[8..], data);
    peer.reply(xid, Reply::Written(Version(2)));
    assert_eq!(peer.events(), [replied(xid, Reply::Written(Version(2)))]);
    assert_eq!(peer.client.progress(xid), None);
}

#[test]
fn it_is_enough_from_128_kib_behind_the_window_on() {
    const LOW: usize = 128 * 1024;
    // 46 packets are in the window, the first of them with a pointer.
    const IN_WINDOW: usize = 46 * 1390 - 8;
    let wanted = |peer: &Peer, xid| peer.client.progress(xid).unwrap().wanted;
    for (given, wants) in [(LOW - 1, true), (LOW, false)] {
        let mut peer = Peer::default();
        let xid = upload(&mut peer, 1_000_000);
        peer.client.provide(xid, pattern(IN_WINDOW + given));
        assert_eq!(wanted(&peer, xid) > 0, wants, "{given}");
    }
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 1_000_000);
    peer.client.provide(xid, pattern(IN_WINDOW + LOW + 1390));
    peer.receive_at_most(1400);
    assert_eq!((peer.events(), wanted(&peer, xid)), (vec![], 0));
    peer.receive_at_most(1400);
    assert_eq!(peer.events(), [Event::Wanted { xid }]);
    // Who has given all is not asked for more.
    let mut peer = Peer::default();
    let xid = upload(&mut peer, IN_WINDOW + LOW + 1390);
    peer.client.provide(xid, pattern(IN_WINDOW + LOW + 1390));
    peer.receive();
    assert_eq!(peer.events(), []);
}

#[test]
fn an_upload_says_when_it_has_enough_and_when_it_wants_more() {
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 1_000_000);
    let data = pattern(1_000_000);
    // 64 KiB go into the window, and 256 KiB wait behind it.
    let mut given = 0;
    loop {
        let wanted = peer.client.progress(xid).unwrap().wanted;
        if wanted == 0 {
            break;
        }
        peer.client.provide(xid, data.slice(given..given + wanted.min(50_000)));
        given += wanted.min(50_000);
        assert_eq!(peer.events(), []);
    }
    assert!((192 * 1024..=384 * 1024).contains(&given), "{given}");
    assert_eq!(peer.client.progress(xid), Some(Progress { sent: 0, total: 1_000_000, wanted: 0 }));
    let mut taken = 0;
    while peer.client.progress(xid).unwrap().wanted == 0 {
        assert_eq!(peer.events(), []);
        peer.receive_at_most(1000);
        taken += 1000;
    }
    assert!(taken < given, "it asks before it runs dry");
    assert_eq!(peer.events(), [Event::Wanted { xid }]);
    // It says so once.
    peer.receive();
    assert_eq!(peer.events(), []);
}

#[test]
fn small_requests_go_between_the_packets_of_an_upload() {
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 300_000);
    peer.client.provide(xid, pattern(200_000));
    let small = peer.request(Request::Identify);
    let received = peer.receive_at_most(80_000);
    assert_eq!(received.iter().map(|r| r.xid).collect::<Vec<_>>(), [small]);
    peer.receive();
    // While the upload has nothing to send, others go on.
    let small = peer.request(Request::Identify);
    assert_eq!(peer.receive()[0].xid, small);
    peer.client.provide(xid, pattern(100_000));
    assert_eq!(peer.receive()[0].payload.len(), 300_008);
}

#[test]
fn data_for_a_part_of_a_record_are_streamed_too() {
    let data = pattern(200_000);
    let pointer = Pointer(7);
    for request in [
        Request::WriteRange { pointer, offset: 9, data: 200_000 },
        Request::Append { pointer, data: 200_000 },
        Request::CompareAndReplace { pointer, version: Version(9), data: 200_000 },
    ] {
        let mut peer = Peer::default();
        let xid = peer.client.upload(request, Options::default(), peer.now).unwrap();
        assert!(peer.client.provide(xid, data.slice(..100_000)));
        assert_eq!(peer.receive(), []);
        let sent = peer.client.progress(xid).unwrap();
        assert!(sent.sent > 98_000 && sent.total == 200_000 && sent.wanted == 100_000, "{sent:?}");
        assert!(peer.client.provide(xid, data.slice(100_000..)));
        let received = peer.receive();
        assert_eq!(received[0].payload[request.opcode().operand_len()..], data);
    }
}

#[test]
fn an_empty_upload_goes_at_once() {
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 0);
    assert_eq!(peer.receive()[0].payload.len(), 8);
    assert!(!peer.client.provide(xid, pattern(1)));
}

#[test]
fn what_is_beyond_an_uploads_length_is_ignored() {
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 10);
    assert!(peer.client.provide(xid, pattern(4)));
    assert!(peer.client.provide(xid, pattern(100)));
    let expected = [&[0, 0, 0, 0, 0, 0, 0, 7], &pattern(4)[..], &pattern(6)[..]].concat();
    assert_eq!(peer.receive()[0].payload, expected);
}

#[test]
fn a_refused_or_aborted_upload_takes_no_more() {
    for by_server in [true, false] {
        let mut peer = Peer::default();
        let xid = upload(&mut peer, 1_000_000);
        peer.client.provide(xid, pattern(400_000));
        peer.receive_at_most(70_000);
        if by_server {
            peer.reply(xid, Reply::Refused(Refusal::AccessViolation));
            assert_eq!(peer.events(), [replied(xid, Reply::Refused(Refusal::AccessViolation))]);
        } else {
            assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
        }
        assert!(!peer.client.provide(xid, pattern(10)));
        assert_eq!(peer.client.progress(xid), None);
        assert_eq!(peer.receive(), [abort(xid)]);
    }
}

#[test]
fn an_upload_that_was_given_nothing_can_be_aborted_without_a_word() {
    let mut peer = Peer::default();
    let xid = upload(&mut peer, 1_000_000);
    peer.client.provide(xid, pattern(1000));
    assert_eq!(peer.client.abort(xid, peer.now), Some(Outcome::NotDone));
    assert_eq!((peer.receive(), peer.client.transactions()), (vec![], 0));
}

#[test]
fn a_download_comes_in_pieces() {
    let mut peer = Peer::default();
    let xid = download(&mut peer);
    let data = pattern(1_000_000);
    let mut got = Vec::new();
    let mut pieces = 0;
    let mut done = false;
    for portion in encode(xid, Reply::Resolved(data.clone())).chunks(10_000) {
        peer.send(portion).unwrap();
        for event in peer.events() {
            match event {
                Event::Piece { xid: of, data, total } => {
                    assert_eq!((of, total), (xid, 1_000_000));
                    assert!((64 * 1024..66 * 1024).contains(&data.len()));
                    got.extend_from_slice(&data);
                    peer.client.consumed(xid, data.len(), peer.now);
                    pieces += 1;
                }
                Event::Replied { reply: Reply::Resolved(rest), .. } => {
                    got.extend_from_slice(&rest);
                    done = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(done && pieces == 15, "{pieces}");
    assert!(got == data);
}

#[test]
fn a_small_record_comes_whole_and_a_refusal_too() {
    let mut peer = Peer::default();
    let xid = download(&mut peer);
    peer.reply(xid, Reply::Resolved(pattern(5000)));
    assert_eq!(peer.events(), [replied(xid, Reply::Resolved(pattern(5000)))]);
    let xid = download(&mut peer);
    peer.reply(xid, Reply::Refused(Refusal::RecordTooLarge { limit: 4 }));
    assert_eq!(peer.events(), [replied(xid, Reply::Refused(Refusal::RecordTooLarge { limit: 4 }))]);
}

#[test]
fn the_end_of_a_download_is_never_a_piece() {
    // The last byte makes 64 KiB full.
    let mut peer = Peer::default();
    let xid = download(&mut peer);
    peer.reply(xid, Reply::Resolved(pattern(64 * 1024)));
    assert_eq!(peer.events(), [replied(xid, Reply::Resolved(pattern(64 * 1024)))]);
}

/// Feeds a download until the client wants no more; the bytes that are left.
fn feed_until_full(peer: &mut Peer, input: &[u8]) -> Vec<u8> {
    let mut fed = 0;
    while peer.client.wants_read() {
        peer.send(&input[fed..fed + 10_000]).unwrap();
        fed += 10_000;
    }
    assert!((4 << 20..5 << 20).contains(&fed), "{fed}");
    input[fed..].to_vec()
}

#[test]
fn nothing_is_read_while_pieces_are_not_consumed() {
    let mut peer = Peer::default();
    let xid = download(&mut peer);
    let input = encode(xid, Reply::Resolved(pattern(6_000_000)));
    let rest = feed_until_full(&mut peer, &input);
    peer.client.consumed(Xid(99), 1 << 30, peer.now);
    assert!(!peer.client.wants_read());
    peer.client.consumed(xid, 100_000, peer.now);
    assert!(peer.client.wants_read());
    // What comes nevertheless is taken.
    peer.send(&rest).unwrap();
    assert!(matches!(peer.events().last(), Some(Event::Replied { .. })));
    assert!(peer.client.wants_read(), "a download that has ended holds nothing up");
}

#[test]
fn an_aborted_download_holds_nothing_up() {
    let mut peer = Peer::default();
    let xid = download(&mut peer);
    let input = encode(xid, Reply::Resolved(pattern(6_000_000)));
    let rest = feed_until_full(&mut peer, &input);
    peer.client.abort(xid, peer.now);
    assert!(peer.client.wants_read());
    peer.events();
    peer.send(&rest).unwrap();
    assert_eq!((peer.events(), peer.client.transactions()), (vec![], 0));
    assert!(peer.client.wants_read());
}

#[test]
fn a_reply_too_large_to_be_taken_whole_ends_its_transaction_alone() {
    let mut peer = Peer::new(Config { max_reply: 3000, ..Config::default() });
    let fits = peer.resolve();
    let (large, other) = (peer.resolve(), peer.resolve());
    let list = peer.request(Request::ListRecords);
    peer.receive();
    peer.reply(fits, Reply::Resolved(pattern(3000)));
    assert_eq!(peer.events(), [replied(fits, Reply::Resolved(pattern(3000)))]);

    let reply = encode(large, Reply::Resolved(pattern(3001)));
    peer.send(&reply[..10]).unwrap();
    let failure = Failure::ReplyTooLarge { len: 3001, limit: 3000 };
    let outcome = Outcome::NotDone;
    assert_eq!(peer.events(), [Event::Ended { xid: large, failure, outcome }]);
    assert_eq!(peer.receive(), [abort(large)]);
    // The rest may come or not.
    peer.send(&reply[10..1400]).unwrap();
    peer.reply_abort(large);
    peer.reply(other, Reply::Resolved(pattern(3)));
    assert_eq!(peer.events(), [replied(other, Reply::Resolved(pattern(3)))]);
    peer.reply(list, Reply::Pointers(vec![Pointer(1); 376]));
    let failure = Failure::ReplyTooLarge { len: 3008, limit: 3000 };
    assert_eq!(peer.events(), [Event::Ended { xid: list, failure, outcome }]);
    // It is the data that count. In pieces they come of a whole record only.
    let options = Options { pieces: true, ..Options::default() };
    let request = Request::ReadRange { pointer: Pointer(7), offset: 0, len: 3001 };
    for (len, fits) in [(3000, true), (3001, false)] {
        let xid = peer.client.request_with(request.clone(), options, peer.now).unwrap();
        peer.receive();
        let range = Reply::Range { version: Version(1), record_len: 3001, data: pattern(len) };
        peer.reply(xid, range.clone());
        let failure = Failure::ReplyTooLarge { len: 3001, limit: 3000 };
        let expected = if fits { replied(xid, range) } else { Event::Ended { xid, failure, outcome } };
        assert_eq!(peer.events(), [expected]);
    }
    // In pieces it is welcome, and what a request sent itself comes back whole.
    let xid = download(&mut peer);
    peer.reply(xid, Reply::Resolved(pattern(5000)));
    assert_eq!(peer.events(), [replied(xid, Reply::Resolved(pattern(5000)))]);
    let xid = peer.sent(Request::Ping { data: pattern(4000) });
    peer.reply(xid, Reply::Echo(pattern(4000)));
    assert_eq!(peer.events(), [replied(xid, Reply::Echo(pattern(4000)))]);
    let xid = peer.sent(Request::CreateRecord { access: Access::empty(), data: pattern(1) });
    peer.reply(xid, Reply::Created(Pointer(1)));
    assert_eq!(peer.events(), [replied(xid, Reply::Created(Pointer(1)))]);
}
