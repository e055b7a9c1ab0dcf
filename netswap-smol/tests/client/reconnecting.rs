//! Connections that are lost and made again.

use std::time::Duration;

use futures_util::join;
use netswap_core::client::Outcome;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{Opcode, Reply};
use netswap_smol::{Client, ConnectOptions, ConnectionEvent, Error, Events};
use smol::net::TcpListener;

use crate::scripted::{Peer, Scripted};
use crate::support::{Raw, options, run, sleep, start, start_on};
use crate::{A_WHILE, client, connect, soon};

async fn expect_connected(events: &mut Events) {
    loop {
        match soon(events.next()).await.expect("a connection") {
            ConnectionEvent::Connected { .. } => return,
            ConnectionEvent::Reconnecting { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_under_way_fails_and_what_comes_later_waits_for_the_new_connection() {
    run(async {
        let server = Scripted::start().await;
        let (client, mut peer) = server.connected(server.options()).await;
        let mut events = client.events();
        let under_way = async {
            let error = soon(client.replace(Pointer(1), "new")).await.unwrap_err();
            assert_eq!((error.outcome(), error.is_retryable()), (Outcome::Unknown, false));
            // Right after the loss, before there is a connection again.
            soon(client.ping("later")).await.unwrap();
        };
        let script = async {
            assert_eq!(peer.request().await.code, Opcode::ReplaceRecord as u8);
            peer.reset();
            let mut peer = server.accept().await;
            // The first request that arrives is the ping: the replacement is not sent again.
            let ping = peer.request().await;
            assert_eq!(ping.code, Opcode::Ping as u8);
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
            peer
        };
        let ((), mut peer) = join!(under_way, script);
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Reconnecting { attempt: 1, .. })));
        expect_connected(&mut events).await;
        soon(client.close()).await;
        assert_eq!(peer.drain().await, 0, "nothing else was sent");
    })
}

#[test]
fn a_client_survives_a_restart_of_its_server() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let mut events = client.events();
        client.create("lost with the server", Access::READ).await.unwrap();
        let address = server.address.to_string();
        server.handle.shutdown();
        soon(server.task).await;
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        let _server = start_on(options(), &address).await;
        assert_eq!(soon(client.list()).await.unwrap(), []);
        expect_connected(&mut events).await;
    })
}

#[test]
fn a_call_without_a_connection_times_out_and_was_not_done() {
    run(async {
        let server = Scripted::start().await;
        let (client, peer) = server.connected(server.options()).await;
        let mut events = client.events();
        drop((peer, server));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        let error = soon(client.with_timeout(A_WHILE).delete(Pointer(1))).await.unwrap_err();
        assert!(matches!(error, Error::TimedOut { outcome: Outcome::NotDone }), "{error:?}");
        assert!(error.is_retryable());
        // Closing does not wait for a connection either.
        soon(client.close()).await;
        assert!(matches!(client.ping("?").await, Err(Error::Closed)));
    })
}

#[test]
fn calls_that_wait_for_a_connection_end_when_the_client_is_closed() {
    run(async {
        let server = Scripted::start().await;
        let (client, peer) = server.connected(server.options()).await;
        let mut events = client.events();
        drop((peer, server));
        soon(events.next()).await.unwrap();
        let (call, ()) = join!(soon(client.ping("?")), async {
            sleep(Duration::from_millis(20)).await;
            soon(client.close()).await;
        });
        assert!(matches!(call, Err(Error::Closed)));
    })
}

#[test]
fn attempts_come_at_growing_intervals_until_a_server_answers() {
    run(async {
        let server = Scripted::start().await;
        let options = server.options().reconnect_delays(Duration::from_millis(4), Duration::from_millis(20));
        let (client, peer) = server.connected(options).await;
        let mut events = client.events();
        let address = server.address;
        drop((peer, server));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        for expected in 1..=5 {
            let Some(ConnectionEvent::Reconnecting { attempt, delay }) = soon(events.next()).await else {
                panic!("no attempt {expected}");
            };
            assert_eq!(attempt, expected);
            let least = Duration::from_millis([4, 8, 16, 20, 20][expected as usize - 1]);
            assert!(delay >= least && delay <= least * 2, "{delay:?} before attempt {attempt}");
        }
        // One that connects and breaks off at once counts as one more attempt.
        let listener = TcpListener::bind(address).await.unwrap();
        drop(soon(listener.accept()).await.unwrap());
        expect_connected(&mut events).await;
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        match soon(events.next()).await {
            Some(ConnectionEvent::Reconnecting { attempt, .. }) => assert!(attempt > 5, "{attempt}"),
            other => panic!("{other:?}"),
        }
        // One that has answered makes the count begin again.
        let (stream, _) = soon(listener.accept()).await.unwrap();
        expect_connected(&mut events).await;
        let mut peer = Peer(Raw(stream));
        let (pong, ()) = join!(soon(client.ping("hi")), async {
            let ping = peer.request().await;
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
        });
        pong.unwrap();
        drop(peer);
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Reconnecting { attempt: 1, .. })));
        drop(client);
        while soon(events.next()).await.is_some() {}
    })
}

#[test]
fn a_client_that_does_not_reconnect_is_closed_by_a_loss() {
    run(async {
        let server = start(options()).await;
        let options = ConnectOptions::new(server.address.to_string()).reconnect(false);
        let client: Client = soon(connect(options)).await.unwrap();
        let mut events = client.events();
        server.handle.shutdown();
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Closed)));
        assert!(soon(events.next()).await.is_none());
        assert!(matches!(client.ping("?").await, Err(Error::Closed)));
    })
}
