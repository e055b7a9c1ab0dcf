//! Watches on connections that are lost and made again.

use std::time::Duration;

use netswap_core::error::Refusal;
use netswap_core::types::{Access, Pointer, Version};
use netswap_core::wire::{Notification, Opcode, Reply};
use netswap_tokio::{Change, Client, ConnectOptions, Error, Watch};

use crate::proxy::Proxy;
use crate::scripted::Scripted;
use crate::support::{Running, options, start, start_on};
use crate::{A_WHILE, client, refusal, soon};

async fn next(watch: &mut Watch) -> Change {
    soon(watch.next()).await.expect("a change").unwrap()
}

async fn behind(proxy: &Proxy) -> Client {
    let delays = (Duration::from_millis(5), Duration::from_millis(20));
    let options = ConnectOptions::new(proxy.address.to_string()).reconnect_delays(delays.0, delays.1);
    soon(Client::connect(options)).await.unwrap()
}

async fn world() -> (Running, Proxy, Client, Client) {
    let server = start(options()).await;
    let proxy = Proxy::to(server.address).await;
    let (writer, watcher) = (client(&server).await, behind(&proxy).await);
    (server, proxy, writer, watcher)
}

#[tokio::test]
async fn a_watch_is_armed_again_and_says_so() {
    let (_server, proxy, writer, watcher) = world().await;
    let pointer = writer.create("old", Access::READ).await.unwrap();
    let mut data = watcher.watch_data(pointer).await.unwrap();
    let mut plain = watcher.watch(pointer).await.unwrap();
    next(&mut data).await;
    for round in 0..3 {
        proxy.close();
        assert_eq!(next(&mut data).await, Change::Interrupted);
        assert_eq!(next(&mut plain).await, Change::Interrupted);
        let version = writer.replace(pointer, format!("new {round}")).await.unwrap();
        assert!(tokio::time::timeout(A_WHILE, data.next()).await.is_err());
        proxy.open();
        assert_eq!(next(&mut data).await, Change::Resumed { version });
        assert_eq!(next(&mut plain).await, Change::Resumed { version });
        let whole = Change::Changed { version, data: Some(format!("new {round}").into()) };
        assert_eq!(next(&mut data).await, whole);
        assert_eq!((data.try_next(), plain.try_next()), (None, None));
    }
    writer.append(pointer, "!").await.unwrap();
    let range = Change::RangeChanged { version: Version(5), offset: 5, data: "!".into() };
    assert_eq!(next(&mut data).await, range);
    assert_eq!(next(&mut plain).await, Change::Changed { version: Version(5), data: None });
}

#[tokio::test]
async fn a_record_that_is_gone_by_then_ends_the_watch_with_the_reason() {
    let (_server, proxy, writer, watcher) = world().await;
    let gone = writer.create("gone", Access::READ).await.unwrap();
    let stays = writer.create("stays", Access::READ).await.unwrap();
    let (mut first, mut second) =
        (watcher.watch(gone).await.unwrap(), watcher.watch_data(stays).await.unwrap());
    proxy.close();
    assert_eq!(next(&mut first).await, Change::Interrupted);
    writer.delete(gone).await.unwrap();
    proxy.open();
    assert_eq!(refusal(soon(first.next()).await.unwrap()), Refusal::AddressFault);
    assert!(soon(first.next()).await.is_none());
    while !matches!(next(&mut second).await, Change::Resumed { .. }) {}
}

#[tokio::test]
async fn a_server_that_was_restarted_has_no_such_record() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.create("lost with the server", Access::READ).await.unwrap();
    let mut watch = client.watch_data(pointer).await.unwrap();
    next(&mut watch).await;
    let mut mirror = client.mirror(pointer).await.unwrap();
    let address = server.address.to_string();
    server.handle.shutdown();
    soon(server.task).await.unwrap();
    assert_eq!(next(&mut watch).await, Change::Interrupted);
    let _server = start_on(options(), &address).await;
    assert_eq!(refusal(soon(watch.next()).await.unwrap()), Refusal::AddressFault);
    assert_eq!(refusal(soon(mirror.changed()).await), Refusal::AddressFault);
    assert_eq!((mirror.is_live(), &mirror.data()[..]), (false, &b"lost with the server"[..]));
    assert!(matches!(soon(mirror.changed()).await, Err(Error::Closed)));
}

#[tokio::test]
async fn many_watches_are_armed_again_beside_calls() {
    let (_server, proxy, writer, watcher) = world().await;
    let pointer = writer.create("old", Access::READ).await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..1500 {
        watches.push(watcher.watch(pointer).await.unwrap());
    }
    proxy.close();
    assert_eq!(next(&mut watches[0]).await, Change::Interrupted);
    // Some are dropped without a connection.
    watches.truncate(1400);
    proxy.open();
    soon(watcher.ping("beside them")).await.unwrap();
    for (number, watch) in watches.iter_mut().enumerate() {
        if number > 0 {
            assert_eq!(next(watch).await, Change::Interrupted);
        }
        assert_eq!(next(watch).await, Change::Resumed { version: Version(1) });
    }
    writer.replace(pointer, "new").await.unwrap();
    for watch in &mut watches {
        assert_eq!(next(watch).await, Change::Changed { version: Version(2), data: None });
    }
}

#[tokio::test]
async fn without_reconnecting_a_lost_connection_is_the_end() {
    let server = start(options()).await;
    let proxy = Proxy::to(server.address).await;
    let options = ConnectOptions::new(proxy.address.to_string()).reconnect(false);
    let watcher = soon(Client::connect(options)).await.unwrap();
    let pointer = watcher.create("data", Access::READ).await.unwrap();
    let mut watch = watcher.watch(pointer).await.unwrap();
    proxy.close();
    assert!(matches!(soon(watch.next()).await, Some(Err(Error::ConnectionLost { .. }))));
    assert!(soon(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_watch_that_begins_when_the_connection_is_lost_fails_like_every_call() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options()).await;
    let (watch, ()) = tokio::join!(soon(client.watch(Pointer(7))), async {
        peer.request().await;
        peer.reset();
    });
    let error = watch.unwrap_err();
    assert!(error.is_retryable() && matches!(error, Error::ConnectionLost { .. }), "{error:?}");
    // On the next connection it is not asked for again.
    let mut peer = server.accept().await;
    let (pong, ()) = tokio::join!(soon(client.ping("?")), async {
        let ping = peer.request().await;
        assert_eq!(ping.code, Opcode::Ping as u8);
        peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
    });
    pong.unwrap();
}

#[tokio::test]
async fn a_watch_that_the_server_aborts_waits_for_the_next_connection() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options()).await;
    let (watch, xid) = tokio::join!(soon(client.watch(Pointer(7))), async {
        let xid = peer.request().await.xid;
        peer.reply(xid, Reply::Watching(Version(5))).await;
        xid
    });
    let mut watch = watch.unwrap();
    peer.abort(xid).await;
    assert_eq!(next(&mut watch).await, Change::Interrupted);
    // It is not asked for in a loop.
    assert!(tokio::time::timeout(A_WHILE, peer.request()).await.is_err());
    peer.reset();
    let mut peer = server.accept().await;
    let request = peer.request().await;
    assert_eq!(request.code, Opcode::WatchRecord as u8);
    peer.reply(request.xid, Reply::Watching(Version(9))).await;
    assert_eq!(next(&mut watch).await, Change::Resumed { version: Version(9) });
    peer.notify(request.xid, Notification::Changed { version: Version(10), data: None }).await;
    assert_eq!(next(&mut watch).await, Change::Changed { version: Version(10), data: None });
    drop(watch);
    peer.expect_abort(request.xid).await;
}

#[tokio::test]
async fn a_mirror_goes_on_after_a_lost_connection() {
    let (_server, proxy, writer, watcher) = world().await;
    let pointer = writer.create("old", Access::READ).await.unwrap();
    let mut mirror = watcher.mirror(pointer).await.unwrap();
    proxy.close();
    assert!(tokio::time::timeout(A_WHILE, mirror.changed()).await.is_err());
    assert_eq!((mirror.is_live(), &mirror.data()[..]), (false, &b"old"[..]));
    writer.replace(pointer, "new").await.unwrap();
    proxy.open();
    assert_eq!(soon(mirror.changed()).await.unwrap(), Version(2));
    assert_eq!((mirror.is_live(), &mirror.data()[..]), (true, &b"new"[..]));

    // When nothing has changed meanwhile, that is no change.
    let waiting = async { tokio::time::timeout(A_WHILE * 3, mirror.changed()).await.is_err() };
    let (nothing, ()) = tokio::join!(waiting, async {
        proxy.close();
        tokio::time::sleep(A_WHILE).await;
        proxy.open();
    });
    assert!(nothing && mirror.is_live());
}
