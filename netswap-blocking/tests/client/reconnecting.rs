//! Connections that are lost and made again.

use std::thread;
use std::time::Duration;

use netswap_blocking::{Change, Client, ConnectOptions, ConnectionEvent, Elapsed, Error, Events, Refusal};
use netswap_core::client::Outcome;
use netswap_core::types::{Access, Pointer, Version};
use netswap_core::wire::{Notification, Opcode, Reply};

use crate::scripted::Scripted;
use crate::support::{both, joined, options, start, start_on};
use crate::{A_WHILE, client, event, refusal};

fn expect_connected(events: &mut Events) {
    loop {
        match event(events).expect("a connection") {
            ConnectionEvent::Connected { .. } => return,
            ConnectionEvent::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_under_way_fails_and_what_comes_later_waits_for_the_new_connection() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options());
    let mut events = client.events();
    let under_way = || {
        let error = client.replace(Pointer(1), "new").unwrap_err();
        assert_eq!((error.outcome(), error.is_retryable()), (Outcome::Unknown, false));
        // Right after the loss, before there is a connection again.
        client.ping("later").unwrap();
    };
    let script = || {
        assert_eq!(peer.request().code, Opcode::ReplaceRecord as u8);
        peer.reset();
        let mut peer = server.accept();
        // The first request that arrives is the ping: the replacement is not sent again.
        let ping = peer.request();
        assert_eq!(ping.code, Opcode::Ping as u8);
        peer.reply(ping.xid, Reply::Echo(ping.payload));
        peer
    };
    let ((), mut peer) = both(under_way, script);
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Disconnected { .. })));
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Reconnecting { attempt: 1, .. })));
    expect_connected(&mut events);
    client.close();
    assert_eq!(peer.drain(), 0, "nothing else was sent");
}

#[test]
fn a_client_survives_a_restart_of_its_server() {
    let server = start(options());
    let client = client(&server);
    let mut events = client.events();
    client.create("lost with the server", Access::READ).unwrap();
    let address = server.address.to_string();
    server.handle.shutdown();
    joined(server.thread);
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Disconnected { .. })));
    let _server = start_on(options(), &address);
    assert_eq!(client.list().unwrap(), []);
    expect_connected(&mut events);
}

#[test]
fn a_call_without_a_connection_times_out_and_was_not_done() {
    let server = Scripted::start();
    let (client, peer) = server.connected(server.options());
    let mut events = client.events();
    drop((peer, server));
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Disconnected { .. })));
    let error = client.with_timeout(A_WHILE).delete(Pointer(1)).unwrap_err();
    assert!(matches!(error, Error::TimedOut { outcome: Outcome::NotDone }), "{error:?}");
    assert!(error.is_retryable());
    // Closing does not wait for a connection either.
    client.close();
    assert!(matches!(client.ping("?"), Err(Error::Closed)));
}

#[test]
fn calls_that_wait_for_a_connection_end_when_the_client_is_closed() {
    let server = Scripted::start();
    let (client, peer) = server.connected(server.options());
    let mut events = client.events();
    drop((peer, server));
    event(&mut events).unwrap();
    let (call, ()) = both(
        || client.ping("?"),
        || {
            thread::sleep(Duration::from_millis(20));
            client.close();
        },
    );
    assert!(matches!(call, Err(Error::Closed)));
}

#[test]
fn a_client_that_does_not_reconnect_is_closed_by_a_loss() {
    let server = start(options());
    let options = ConnectOptions::new(server.address.to_string()).reconnect(false);
    let client: Client = Client::connect(options).unwrap();
    let mut events = client.events();
    server.handle.shutdown();
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Disconnected { .. })));
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Closed)));
    assert!(event(&mut events).is_none());
    assert!(matches!(client.ping("?"), Err(Error::Closed)));
}

#[test]
fn a_watch_is_armed_again_on_the_next_connection() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options());
    let (watch, ()) = both(
        || client.watch(Pointer(7)),
        || {
            let xid = peer.request().xid;
            peer.reply(xid, Reply::Watching(Version(5)));
        },
    );
    let mut watch = watch.unwrap();
    peer.reset();
    assert_eq!(watch.next().unwrap().unwrap(), Change::Interrupted);
    let mut peer = server.accept();
    let request = peer.request();
    assert_eq!(request.code, Opcode::WatchRecord as u8);
    assert_eq!(watch.next_timeout(A_WHILE).unwrap_err(), Elapsed);
    peer.reply(request.xid, Reply::Watching(Version(9)));
    assert_eq!(watch.next().unwrap().unwrap(), Change::Resumed { version: Version(9) });
    peer.notify(request.xid, Notification::Changed { version: Version(10), data: None });
    assert_eq!(watch.next().unwrap().unwrap(), Change::Changed { version: Version(10), data: None });
    drop(watch);
    peer.expect_abort(request.xid);
}

#[test]
fn a_watch_and_a_mirror_of_a_record_that_is_gone_by_then_end() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("lost with the server", Access::READ).unwrap();
    let (mut watch, mut mirror) = (client.watch(pointer).unwrap(), client.mirror(pointer).unwrap());
    let address = server.address.to_string();
    server.handle.shutdown();
    joined(server.thread);
    assert_eq!(watch.next().unwrap().unwrap(), Change::Interrupted);
    let _server = start_on(options(), &address);
    assert_eq!(refusal(watch.next().unwrap()), Refusal::AddressFault);
    assert!(watch.next().is_none());
    assert_eq!(refusal(mirror.changed()), Refusal::AddressFault);
    assert_eq!((mirror.is_live(), &mirror.data()[..]), (false, &b"lost with the server"[..]));
}
