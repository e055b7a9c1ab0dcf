//! Watches against the real server, and against servers that do as the test says.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream;
use netswap_core::client::Outcome;
use netswap_core::config::Limits;
use netswap_core::error::{ProtocolError, Quota, Refusal};
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Notification, Opcode, Reply};
use netswap_tokio::{Change, Client, Disconnect, Ending, Error, Lifetime, Watch};

use crate::scripted::Scripted;
use crate::support::{options, start};
use crate::{A_WHILE, client, client_from, pattern, refusal, soon};

async fn next(watch: &mut Watch) -> Change {
    soon(watch.next()).await.expect("a change").unwrap()
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

#[tokio::test]
async fn changes_arrive_in_order() {
    let server = start(options()).await;
    let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
    let pointer = owner.create("hello", Access::all()).await.unwrap();
    let mut data = other.watch_data(pointer).await.unwrap();
    let mut plain = other.watch(pointer).await.unwrap();
    assert_eq!((data.version(), plain.version(), data.pointer()), (Version(1), Version(1), pointer));
    assert_eq!(next(&mut data).await, whole(1, "hello"));
    assert_eq!((data.try_next(), plain.try_next()), (None, None));

    owner.write_range(pointer, 0, "J").await.unwrap();
    assert_eq!((next(&mut data).await, next(&mut plain).await), (range(2, 0, "J"), version(2)));
    owner.append(pointer, "!").await.unwrap();
    assert_eq!((next(&mut data).await, next(&mut plain).await), (range(3, 5, "!"), version(3)));
    owner.replace(pointer, pattern(100_000)).await.unwrap();
    assert_eq!((next(&mut data).await, next(&mut plain).await), (whole(4, pattern(100_000)), version(4)));

    let (me, you) = (owner.identify().await.unwrap().owner, other.identify().await.unwrap().owner);
    other.takeover(pointer).await.unwrap();
    let kept = Access::READ | Access::WRITE;
    for expected in [Change::OwnerChanged(you), Change::AccessChanged(kept)] {
        assert_eq!((next(&mut data).await, next(&mut plain).await), (expected.clone(), expected));
    }
    owner.request_ownership(pointer).await.unwrap();
    assert_eq!(next(&mut plain).await, Change::OwnershipRequested(me));
    assert_eq!(next(&mut data).await, Change::OwnershipRequested(me));

    other.delete(pointer).await.unwrap();
    for watch in [&mut data, &mut plain] {
        assert_eq!(next(watch).await, Change::Ended(Ending::Deleted));
        assert!(soon(watch.next()).await.is_none());
        assert!(soon(watch.next()).await.is_none());
    }
}

async fn item<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

#[tokio::test]
async fn a_watch_is_a_stream() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.create("hello", Access::READ).await.unwrap();
    let mut watch = client.watch_data(pointer).await.unwrap();
    assert_eq!(soon(item(&mut watch)).await.unwrap().unwrap(), whole(1, "hello"));
    assert!(tokio::time::timeout(A_WHILE, item(&mut watch)).await.is_err());
    let (changed, written) = tokio::join!(soon(item(&mut watch)), client.replace(pointer, "bye"));
    assert_eq!((changed.unwrap().unwrap(), written.unwrap()), (whole(2, "bye"), Version(2)));
}

#[tokio::test]
async fn a_reserved_record_is_watched_before_it_has_data() {
    let server = start(options()).await;
    let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
    let pointer = owner.reserve(Access::READ).await.unwrap();
    let mut watch = other.watch_data(pointer).await.unwrap();
    assert_eq!(watch.version(), Version::RESERVED);
    assert!(tokio::time::timeout(A_WHILE, watch.next()).await.is_err());
    owner.append(pointer, "data").await.unwrap();
    assert_eq!(next(&mut watch).await, whole(1, "data"));
    owner.set_permissions(pointer, Access::empty()).await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Ended(Ending::AccessLost));
}

#[tokio::test]
async fn watches_that_cannot_be_are_refused() {
    let limits = Limits { watches: 2, ..Limits::new(64 << 20) };
    let server = start(options().limits(limits)).await;
    let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
    assert_eq!(refusal(other.watch(Pointer(1)).await), Refusal::AddressFault);
    let pointer = owner.create("secret", Access::empty()).await.unwrap();
    assert_eq!(refusal(other.watch_data(pointer).await), Refusal::AccessViolation);
    // One that is dropped makes room at once, whatever has become of it.
    let quota = Refusal::QuotaExceeded { quota: Quota::Watches, limit: 2 };
    let _first = owner.watch(pointer).await.unwrap();
    for _ in 0..20 {
        let watch = owner.watch_data(pointer).await.unwrap();
        assert_eq!(refusal(owner.watch(pointer).await), quota);
        drop(watch);
        let mut pending = Box::pin(owner.watch_data(pointer));
        assert!(matches!(poll_fn(|cx| Poll::Ready(pending.as_mut().poll(cx))).await, Poll::Pending));
        drop(pending);
    }
}

#[tokio::test]
async fn a_slow_application_gets_the_newest_and_disturbs_nobody() {
    let server = start(options()).await;
    let (writer, watcher) = (client(&server).await, client(&server).await);
    let pointer = writer.create(vec![0; 40_000], Access::READ).await.unwrap();
    let mut data = watcher.watch_data(pointer).await.unwrap();
    let mut plain = watcher.watch(pointer).await.unwrap();
    for round in 0..1000_u32 {
        writer.replace(pointer, vec![round as u8; 40_000]).await.unwrap();
        if round % 100 == 0 {
            soon(watcher.ping("not held up")).await.unwrap();
        }
    }
    let newest = whole(1001, vec![999_u32 as u8; 40_000]);
    let mut taken = 0;
    while next(&mut data).await != newest {
        taken += 1;
    }
    assert!(taken < 30, "{taken} states of 40 kB were kept");
    let mut taken = 0;
    while next(&mut plain).await != version(1001) {
        taken += 1;
    }
    assert!(taken < 256, "{taken} versions were kept");
}

#[tokio::test]
async fn ranges_that_are_not_taken_in_time_become_the_whole_record() {
    let server = start(options()).await;
    let (writer, watcher) = (client(&server).await, client(&server).await);
    let pointer = writer.create(vec![0; 4000], Access::READ).await.unwrap();
    let mut watch = watcher.watch_data(pointer).await.unwrap();
    next(&mut watch).await;
    for round in 0..1000_u32 {
        writer.write_range(pointer, round * 4, round.to_be_bytes().to_vec()).await.unwrap();
    }
    let newest: Vec<u8> = (0..1000_u32).flat_map(u32::to_be_bytes).collect();
    let first = next(&mut watch).await;
    assert!(matches!(first, Change::Resumed { version } if version > Version(2)), "{first:?}");
    // From the whole on nothing is missed.
    let Change::Changed { version: mut seen, data: Some(data) } = next(&mut watch).await else {
        panic!("it is not told whole");
    };
    let mut copy = data.to_vec();
    while seen < Version(1001) {
        let Change::RangeChanged { version, offset, data } = next(&mut watch).await else {
            panic!("no range");
        };
        assert_eq!(version, seen.next());
        copy[offset as usize..][..data.len()].copy_from_slice(&data);
        seen = version;
    }
    assert!(copy == newest);
}

#[tokio::test]
async fn a_standing_watch_outlives_every_timeout() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.create("hello", Access::READ).await.unwrap();
    let mut watch = client.with_timeout(A_WHILE).watch(pointer).await.unwrap();
    assert!(tokio::time::timeout(A_WHILE * 4, watch.next()).await.is_err());
    client.replace(pointer, "still there").await.unwrap();
    assert_eq!(next(&mut watch).await, version(2));
}

#[tokio::test]
async fn a_watch_keeps_the_connection_until_it_is_dropped_or_the_client_closed() {
    let server = start(options()).await;
    let (first, second) = (client(&server).await, client(&server).await);
    let pointer = first.create("hello", Access::READ).await.unwrap();
    let mut watch = first.watch(pointer).await.unwrap();
    drop(first);
    second.replace(pointer, "bye").await.unwrap();
    assert_eq!(next(&mut watch).await, version(2));
    drop(watch);
    crate::support::soon("the end", || server.handle.statistics().store.connections == 1).await;

    let mut watch = second.watch(pointer).await.unwrap();
    let (last, ()) = tokio::join!(soon(watch.next()), soon(second.close()));
    assert!(matches!(last, Some(Err(Error::Closed))));
    assert!(soon(watch.next()).await.is_none());
    assert!(matches!(second.watch(pointer).await, Err(Error::Closed)));
}

#[tokio::test]
async fn thousands_of_watches_fit_into_one_connection() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.create("hello", Access::READ).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..4096 {
        watches.push(soon(client.watch(pointer)).await.unwrap());
    }
    client.replace(pointer, "news").await.unwrap();
    for watch in &mut watches {
        assert_eq!(next(watch).await, version(2));
    }
}

#[tokio::test]
async fn a_record_expires_or_goes_to_its_heir() {
    let server = start(options()).await;
    let heir = client_from("127.0.0.2", &server).await;
    let owner = client(&server).await;
    let heirs = heir.identify().await.unwrap().owner;
    let fleeting = owner.create("for a second", Access::READ).await.unwrap();
    let handed_on = owner.create("for others", Access::READ).await.unwrap();
    let (mut first, mut second) = (heir.watch(fleeting).await.unwrap(), heir.watch(handed_on).await.unwrap());
    let ttl = Lifetime { ttl: 1.try_into().ok(), ..Lifetime::default() };
    owner.set_lifetime(fleeting, ttl).await.unwrap();
    let inherited = Lifetime { grace: Some(0), heir: Some(heirs), ..Lifetime::default() };
    owner.set_lifetime(handed_on, inherited).await.unwrap();
    assert_eq!(owner.stat(fleeting).await.unwrap().expires, Some(1));
    let himself = Lifetime { heir: Some(owner.identify().await.unwrap().owner), ..Lifetime::default() };
    assert!(matches!(refusal(owner.set_lifetime(handed_on, himself).await), Refusal::InvalidRequest(_)));
    assert_eq!(refusal(heir.set_lifetime(handed_on, ttl).await), Refusal::AccessViolation);
    soon(owner.close()).await;
    assert_eq!(next(&mut second).await, Change::OwnerChanged(heirs));
    assert_eq!(next(&mut first).await, Change::Ended(Ending::Expired));
    assert_eq!(heir.list().await.unwrap(), [handed_on]);
}

#[tokio::test]
async fn ownership_is_asked_for_and_given() {
    let server = start(options()).await;
    let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
    let pointer = owner.create("mine", Access::READ).await.unwrap();
    let mut watch = owner.watch(pointer).await.unwrap();
    other.request_ownership(pointer).await.unwrap();
    let Change::OwnershipRequested(requester) = next(&mut watch).await else { panic!("no request") };
    owner.transfer(pointer, requester).await.unwrap();
    assert_eq!(next(&mut watch).await, Change::OwnerChanged(requester));
    assert_eq!(other.list().await.unwrap(), [pointer]);
    assert_eq!(refusal(other.request_ownership(Pointer(1)).await), Refusal::AddressFault);
}

/// Has a client watch a record at a server that does as the test says.
async fn watched(client: &Client, peer: &mut crate::scripted::Peer) -> (Watch, u32) {
    let (watch, xid) = tokio::join!(soon(client.watch_data(Pointer(7))), async {
        let request = peer.request().await;
        assert_eq!((request.code, request.access), (Opcode::WatchRecord as u8, 1));
        peer.reply(request.xid, Reply::Watching(Version(5))).await;
        request.xid
    });
    (watch.unwrap(), xid)
}

#[tokio::test]
async fn a_dropped_watch_is_aborted_and_what_comes_late_is_no_harm() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options()).await;
    let (mut watch, xid) = watched(&client, &mut peer).await;
    let changed = || Notification::Changed { version: Version(6), data: Some(b"data".to_vec()) };
    peer.notify(xid, changed()).await;
    assert_eq!(next(&mut watch).await, whole(6, "data"));
    drop(watch);
    peer.expect_abort(xid).await;
    peer.notify(xid, changed()).await;
    peer.abort(xid).await;
    let (pong, ()) = tokio::join!(soon(client.ping("?")), async {
        let ping = peer.request().await;
        peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
    });
    pong.unwrap();
}

#[tokio::test]
async fn a_server_that_tells_what_cannot_be_is_left() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options().reconnect(false)).await;
    let (mut watch, xid) = watched(&client, &mut peer).await;
    peer.notify(xid, Notification::Changed { version: Version(4), data: Some(vec![]) }).await;
    let error = soon(watch.next()).await.unwrap().unwrap_err();
    let bad = ProtocolError::BadReply { xid: Xid(xid), code: 11 };
    let Error::ConnectionLost { cause: Disconnect::Protocol(cause), outcome: Outcome::NotDone } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(cause, bad);
    assert!(soon(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_notification_that_stops_half_way_ends_the_watch() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options().request_timeout(A_WHILE)).await;
    let (mut watch, xid) = watched(&client, &mut peer).await;
    let header = netswap_core::wire::Header { xid: Xid(xid), remaining: 3000, opcode: 11, access: 1 };
    peer.send(&[&header.encode()[..], &[0; 1000]].concat()).await;
    let error = soon(watch.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut { outcome: Outcome::NotDone }), "{error:?}");
    peer.expect_abort(xid).await;
}

#[tokio::test]
async fn a_record_too_large_for_the_client_ends_the_watch_alone() {
    let server = start(options()).await;
    let options = netswap_tokio::ConnectOptions::new(server.address.to_string()).max_reply(10_000);
    let client = soon(Client::connect(options)).await.unwrap();
    let pointer = client.create("small", Access::READ).await.unwrap();
    let mut watch = client.watch_data(pointer).await.unwrap();
    next(&mut watch).await;
    client.write_range(pointer, 10_000, "!").await.unwrap();
    let error = soon(watch.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ReplyTooLarge { len: 10_001, limit: 10_000 }), "{error:?}");
    soon(client.ping("unharmed")).await.unwrap();
}
