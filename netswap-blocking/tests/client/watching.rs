//! Watches against the real server, and against servers that do as the test says.

use std::thread;

use netswap_blocking::{Change, Client, Disconnect, Elapsed, Ending, Error, Lifetime, Watch};
use netswap_core::client::Outcome;
use netswap_core::config::Limits;
use netswap_core::error::{ProtocolError, Quota, Refusal};
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Notification, Opcode, Reply};

use crate::scripted::Scripted;
use crate::support::{SOON, both, joined, options, start};
use crate::{A_WHILE, client, client_from, pattern, refusal};

fn next(watch: &mut Watch) -> Change {
    watch.next_timeout(SOON).expect("a change").expect("a change").unwrap()
}

fn version(version: u64) -> Change {
    Change::Changed { version: Version(version), data: None }
}

fn whole(version: u64, data: impl Into<bytes::Bytes>) -> Change {
    Change::Changed { version: Version(version), data: Some(data.into()) }
}

fn range(version: u64, offset: u32, data: &'static str) -> Change {
    Change::RangeChanged { version: Version(version), offset, data: data.into() }
}

#[test]
fn changes_arrive_in_order() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create("hello", Access::all()).unwrap();
    let mut data = other.watch_data(pointer).unwrap();
    let mut plain = other.watch(pointer).unwrap();
    assert_eq!((data.version(), plain.version(), data.pointer()), (Version(1), Version(1), pointer));
    assert_eq!(next(&mut data), whole(1, "hello"));
    assert_eq!((data.try_next(), plain.try_next()), (None, None));

    owner.write_range(pointer, 0, "J").unwrap();
    assert_eq!((next(&mut data), next(&mut plain)), (range(2, 0, "J"), version(2)));
    owner.append(pointer, "!").unwrap();
    assert_eq!((next(&mut data), next(&mut plain)), (range(3, 5, "!"), version(3)));
    owner.replace(pointer, pattern(100_000)).unwrap();
    assert_eq!((next(&mut data), next(&mut plain)), (whole(4, pattern(100_000)), version(4)));

    let (me, you) = (owner.identify().unwrap().owner, other.identify().unwrap().owner);
    other.takeover(pointer).unwrap();
    let kept = Access::READ | Access::WRITE;
    for expected in [Change::OwnerChanged(you), Change::AccessChanged(kept)] {
        assert_eq!((next(&mut data), next(&mut plain)), (expected.clone(), expected));
    }
    owner.request_ownership(pointer).unwrap();
    assert_eq!(next(&mut plain), Change::OwnershipRequested(me));
    assert_eq!(next(&mut data), Change::OwnershipRequested(me));

    other.delete(pointer).unwrap();
    for watch in [&mut data, &mut plain] {
        assert_eq!(next(watch), Change::Ended(Ending::Deleted));
        assert!(watch.next().is_none());
        assert!(watch.next().is_none());
    }
}

#[test]
fn a_watch_is_an_iterator() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("hello", Access::READ).unwrap();
    let mut watch = client.watch_data(pointer).unwrap();
    assert_eq!(watch.next().unwrap().unwrap(), whole(1, "hello"));
    assert_eq!(watch.next_timeout(A_WHILE).unwrap_err(), Elapsed);
    let (changed, written) = both(|| watch.next(), || client.replace(pointer, "bye"));
    assert_eq!((changed.unwrap().unwrap(), written.unwrap()), (whole(2, "bye"), Version(2)));
    client.append(pointer, "!").unwrap();
    client.delete(pointer).unwrap();
    let rest: Vec<_> = watch.map(Result::unwrap).collect();
    assert_eq!(rest, [range(3, 3, "!"), Change::Ended(Ending::Deleted)]);
}

#[test]
fn a_watch_is_stopped_from_another_thread() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("hello", Access::READ).unwrap();
    let (mut watch, mut mirror) = (client.watch(pointer).unwrap(), client.mirror(pointer).unwrap());
    let stoppers = [watch.stopper(), mirror.stopper()];
    let waiting = thread::spawn(move || (watch.next().is_none(), watch));
    let following = thread::spawn(move || (mirror.changed(), mirror));
    thread::sleep(A_WHILE);
    assert!(!waiting.is_finished() && !following.is_finished());
    for stopper in stoppers {
        stopper.stop();
    }
    let ((stopped, mut watch), (changed, mut mirror)) = (joined(waiting), joined(following));
    assert!(stopped && watch.next().is_none() && matches!(changed, Err(Error::Closed)));
    assert!(mirror.next().is_none() && mirror.data() == "hello");
    // The record may be watched again.
    assert_eq!(client.watch(pointer).unwrap().version(), Version(1));
}

#[test]
fn a_reserved_record_is_watched_before_it_has_data() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.reserve(Access::READ).unwrap();
    let mut watch = other.watch_data(pointer).unwrap();
    assert_eq!(watch.version(), Version::RESERVED);
    assert!(watch.next_timeout(A_WHILE).is_err());
    owner.append(pointer, "data").unwrap();
    assert_eq!(next(&mut watch), whole(1, "data"));
    owner.set_permissions(pointer, Access::empty()).unwrap();
    assert_eq!(next(&mut watch), Change::Ended(Ending::AccessLost));
}

#[test]
fn watches_that_cannot_be_are_refused() {
    let limits = Limits { watches: 2, ..Limits::new(64 << 20) };
    let server = start(options().limits(limits));
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    assert_eq!(refusal(other.watch(Pointer(1))), Refusal::AddressFault);
    let pointer = owner.create("secret", Access::empty()).unwrap();
    assert_eq!(refusal(other.watch_data(pointer)), Refusal::AccessViolation);
    // One that is dropped makes room at once, whatever has become of it.
    let quota = Refusal::QuotaExceeded { quota: Quota::Watches, limit: 2 };
    let _first = owner.watch(pointer).unwrap();
    for _ in 0..20 {
        let watch = owner.watch_data(pointer).unwrap();
        assert_eq!(refusal(owner.watch(pointer)), quota);
        drop(watch);
    }
}

#[test]
fn a_slow_application_gets_the_newest_and_disturbs_nobody() {
    let server = start(options());
    let (writer, watcher) = (client(&server), client(&server));
    let pointer = writer.create(vec![0; 40_000], Access::READ).unwrap();
    let mut data = watcher.watch_data(pointer).unwrap();
    let mut plain = watcher.watch(pointer).unwrap();
    for round in 0..1000_u32 {
        writer.replace(pointer, vec![round as u8; 40_000]).unwrap();
        if round % 100 == 0 {
            watcher.ping("not held up").unwrap();
        }
    }
    let newest = whole(1001, vec![999_u32 as u8; 40_000]);
    let mut taken = 0;
    while next(&mut data) != newest {
        taken += 1;
    }
    assert!(taken < 30, "{taken} states of 40 kB were kept");
    let mut taken = 0;
    while next(&mut plain) != version(1001) {
        taken += 1;
    }
    assert!(taken < 256, "{taken} versions were kept");
}

#[test]
fn ranges_that_are_not_taken_in_time_become_the_whole_record() {
    let server = start(options());
    let (writer, watcher) = (client(&server), client(&server));
    let pointer = writer.create(vec![0; 4000], Access::READ).unwrap();
    let mut watch = watcher.watch_data(pointer).unwrap();
    next(&mut watch);
    for round in 0..1000_u32 {
        writer.write_range(pointer, round * 4, round.to_be_bytes().to_vec()).unwrap();
    }
    let newest: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
    // What was folded, and by whom, depends on how the threads were scheduled; what comes out does not.
    let (mut copy, mut seen) = (vec![0; 4000], Version(1));
    while seen < Version(1001) {
        match next(&mut watch) {
            Change::Changed { version, data: Some(data) } => (copy, seen) = (data.to_vec(), version),
            // Of the version before nothing was missed.
            Change::RangeChanged { version, offset, data } => {
                assert_eq!(version, seen.next());
                copy[offset as usize..][..data.len()].copy_from_slice(&data);
                seen = version;
            }
            Change::Resumed { .. } => {}
            _ => panic!("something else has happened"),
        }
    }
    assert!(copy == newest);
}

#[test]
fn a_standing_watch_outlives_every_timeout() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("hello", Access::READ).unwrap();
    let mut watch = client.with_timeout(A_WHILE).watch(pointer).unwrap();
    assert!(watch.next_timeout(A_WHILE * 4).is_err());
    client.replace(pointer, "still there").unwrap();
    assert_eq!(next(&mut watch), version(2));
}

#[test]
fn a_watch_keeps_the_connection_until_it_is_dropped_or_the_client_closed() {
    let server = start(options());
    let (first, second) = (client(&server), client(&server));
    let pointer = first.create("hello", Access::READ).unwrap();
    let mut watch = first.watch(pointer).unwrap();
    drop(first);
    second.replace(pointer, "bye").unwrap();
    assert_eq!(next(&mut watch), version(2));
    drop(watch);
    crate::support::soon("the end", || server.handle.statistics().store.connections == 1);

    let mut watch = second.watch(pointer).unwrap();
    let (last, ()) = both(|| watch.next(), || second.close());
    assert!(matches!(last, Some(Err(Error::Closed))));
    assert!(watch.next().is_none());
    assert!(matches!(second.watch(pointer), Err(Error::Closed)));
}

#[test]
fn thousands_of_watches_fit_into_one_connection() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("hello", Access::READ).unwrap();
    let mut watches = Vec::new();
    for _ in 0..4096 {
        watches.push(client.watch(pointer).unwrap());
    }
    client.replace(pointer, "news").unwrap();
    for watch in &mut watches {
        assert_eq!(next(watch), version(2));
    }
}

#[test]
fn a_record_expires_or_goes_to_its_heir() {
    let server = start(options());
    let heir = client_from("127.0.0.2", &server);
    let owner = client(&server);
    let heirs = heir.identify().unwrap().owner;
    let fleeting = owner.create("for a second", Access::READ).unwrap();
    let handed_on = owner.create("for others", Access::READ).unwrap();
    let (mut first, mut second) = (heir.watch(fleeting).unwrap(), heir.watch(handed_on).unwrap());
    let ttl = Lifetime { ttl: 1.try_into().ok(), ..Lifetime::default() };
    owner.set_lifetime(fleeting, ttl).unwrap();
    let inherited = Lifetime { grace: Some(0), heir: Some(heirs), ..Lifetime::default() };
    owner.set_lifetime(handed_on, inherited).unwrap();
    assert_eq!(owner.stat(fleeting).unwrap().expires, Some(1));
    let himself = Lifetime { heir: Some(owner.identify().unwrap().owner), ..Lifetime::default() };
    assert!(matches!(refusal(owner.set_lifetime(handed_on, himself)), Refusal::InvalidRequest(_)));
    assert_eq!(refusal(heir.set_lifetime(handed_on, ttl)), Refusal::AccessViolation);
    owner.close();
    assert_eq!(next(&mut second), Change::OwnerChanged(heirs));
    assert_eq!(next(&mut first), Change::Ended(Ending::Expired));
    assert_eq!(heir.list().unwrap(), [handed_on]);
}

#[test]
fn ownership_is_asked_for_and_given() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create("mine", Access::READ).unwrap();
    let mut watch = owner.watch(pointer).unwrap();
    other.request_ownership(pointer).unwrap();
    let Change::OwnershipRequested(requester) = next(&mut watch) else { panic!("no request") };
    owner.transfer(pointer, requester).unwrap();
    assert_eq!(next(&mut watch), Change::OwnerChanged(requester));
    assert_eq!(other.list().unwrap(), [pointer]);
    assert_eq!(refusal(other.request_ownership(Pointer(1))), Refusal::AddressFault);
}

/// Has a client watch a record at a server that does as the test says.
fn watched(client: &Client, peer: &mut crate::scripted::Peer) -> (Watch, u32) {
    let (watch, xid) = both(
        || client.watch_data(Pointer(7)),
        || {
            let request = peer.request();
            assert_eq!((request.code, request.access), (Opcode::WatchRecord as u8, 1));
            peer.reply(request.xid, Reply::Watching(Version(5)));
            request.xid
        },
    );
    (watch.unwrap(), xid)
}

#[test]
fn a_dropped_watch_is_aborted_and_what_comes_late_is_no_harm() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options());
    let (mut watch, xid) = watched(&client, &mut peer);
    let changed = || Notification::Changed { version: Version(6), data: Some(b"data".to_vec()) };
    peer.notify(xid, changed());
    assert_eq!(next(&mut watch), whole(6, "data"));
    drop(watch);
    peer.expect_abort(xid);
    peer.notify(xid, changed());
    peer.abort(xid);
    let (pong, ()) = both(
        || client.ping("?"),
        || {
            let ping = peer.request();
            peer.reply(ping.xid, Reply::Echo(ping.payload));
        },
    );
    pong.unwrap();
}

#[test]
fn a_server_that_tells_what_cannot_be_is_left() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options().reconnect(false));
    let (mut watch, xid) = watched(&client, &mut peer);
    peer.notify(xid, Notification::Changed { version: Version(4), data: Some(vec![]) });
    let error = watch.next().unwrap().unwrap_err();
    let bad = ProtocolError::BadReply { xid: Xid(xid), code: 11 };
    let Error::ConnectionLost { cause: Disconnect::Protocol(cause), outcome: Outcome::NotDone } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(cause, bad);
    assert!(watch.next().is_none());
}

#[test]
fn a_notification_that_stops_half_way_ends_the_watch() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options().request_timeout(A_WHILE));
    let (mut watch, xid) = watched(&client, &mut peer);
    let header = netswap_core::wire::Header { xid: Xid(xid), remaining: 3000, opcode: 11, access: 1 };
    peer.send(&[&header.encode()[..], &[0; 1000]].concat());
    let error = watch.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut { outcome: Outcome::NotDone }), "{error:?}");
    peer.expect_abort(xid);
}

#[test]
fn a_record_too_large_for_the_client_ends_the_watch_alone() {
    let server = start(options());
    let options = netswap_blocking::ConnectOptions::new(server.address.to_string()).max_reply(10_000);
    let client = Client::connect(options).unwrap();
    let pointer = client.create("small", Access::READ).unwrap();
    let mut watch = client.watch_data(pointer).unwrap();
    next(&mut watch);
    client.write_range(pointer, 10_000, "!").unwrap();
    let error = watch.next().unwrap().unwrap_err();
    assert!(matches!(error, Error::ReplyTooLarge { len: 10_001, limit: 10_000 }), "{error:?}");
    client.ping("unharmed").unwrap();
}
