//! Calls that are dropped before their end.

use std::time::Duration;

use futures_util::join;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{Opcode, Reply};
use netswap_smol::ConnectionEvent;
use smol::io::{AsyncWriteExt, sink};

use crate::scripted::Scripted;
use crate::support::streams::duplex;
use crate::support::{options, run, start, timeout};
use crate::{A_WHILE, client, pattern, soon};

/// Polls a call for a while and drops it.
async fn drop_after<T>(time: Duration, call: impl Future<Output = T>) {
    assert!(timeout(time, call).await.is_err(), "it was to be dropped before its end");
}

#[test]
fn a_dropped_call_is_aborted_and_its_late_reply_is_no_harm() {
    run(async {
        let server = Scripted::start().await;
        let patient = server.options().request_timeout(Duration::from_secs(600));
        let (client, mut peer) = server.connected(patient).await;
        drop_after(A_WHILE, client.create("data", Access::empty())).await;
        let request = peer.request().await;
        assert_eq!(request.code, Opcode::CreateRecord as u8);
        peer.expect_abort(request.xid).await;

        let (pong, ()) = join!(client.ping("other"), async {
            let ping = peer.request().await;
            assert_ne!(ping.xid, request.xid);
            peer.reply(request.xid, Reply::Created(Pointer(1))).await;
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
        });
        pong.unwrap();
    })
}

#[test]
fn a_call_of_a_lost_connection_is_dropped_without_harm_to_the_next() {
    run(async {
        let server = Scripted::start().await;
        let (client, mut peer) = server.connected(server.options()).await;
        let mut events = client.events();
        let mut stale = Box::pin(client.delete(Pointer(1)));
        let answered = async {
            let _ = stale.as_mut().await;
            panic!("nobody has answered")
        };
        let request = smol::future::or(answered, peer.request()).await;
        peer.reset();
        let mut peer = server.accept().await;
        while !matches!(soon(events.next()).await, Some(ConnectionEvent::Connected { .. })) {}
        // On the new connection the ids begin again.
        let (one, two, ()) = join!(soon(client.ping("1")), soon(client.ping("2")), async {
            let pings = [peer.request().await, peer.request().await];
            assert!(pings.iter().any(|ping| ping.xid == request.xid));
            drop(stale);
            assert!(timeout(A_WHILE, peer.request()).await.is_err(), "no ABORT comes");
            for ping in pings {
                peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
            }
        });
        one.and(two).unwrap();
    })
}

#[test]
fn a_call_that_was_never_polled_sends_nothing() {
    run(async {
        let server = Scripted::start().await;
        let (client, mut peer) = server.connected(server.options()).await;
        drop(client.create("data", Access::empty()));
        let (_, ping) = join!(timeout(A_WHILE, client.ping("?")), peer.request());
        assert_eq!(ping.code, Opcode::Ping as u8);
    })
}

#[test]
fn a_dropped_upload_leaves_nothing() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let (mut writer, reader) = duplex(1 << 20);
        writer.write_all(&pattern(500_000)).await.unwrap();
        drop_after(A_WHILE, client.create_from(reader, 1_000_000, Access::empty(), |_, _| ())).await;
        assert_eq!(client.list().await.unwrap(), []);
        crate::support::soon("the end of the upload", || {
            server.handle.statistics().store.unfinished_bytes == 0
        })
        .await;
    })
}

#[test]
fn a_dropped_download_holds_nothing_up() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create(pattern(50_000_000), Access::empty()).await.unwrap();
        for _ in 0..3 {
            // Nobody reads: the download fills its buffers and stands still.
            let (writer, _reader) = duplex(1000);
            drop_after(A_WHILE, client.resolve_into(pointer, writer, |_, _| ())).await;
            soon(client.ping("goes on")).await.unwrap();
        }
        drop_after(Duration::from_millis(1), client.resolve(pointer)).await;
        soon(client.ping("goes on")).await.unwrap();
    })
}

#[test]
fn dropping_some_calls_disturbs_no_others() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let mut events = client.events();
        let data = pattern(300_000);
        let pointer = client.create(data.clone(), Access::empty()).await.unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|task: u64| {
                let (client, data) = (client.clone(), data.clone());
                smol::spawn(async move {
                    for round in 0..20 {
                        let time = Duration::from_micros((task * 37 + round * 211) % 5000);
                        match (task + round) % 4 {
                            0 => drop(timeout(time, client.resolve(pointer)).await),
                            1 => drop(timeout(time, client.replace(pointer, data.clone())).await),
                            2 => drop(timeout(time, client.resolve_into(pointer, sink(), |_, _| ())).await),
                            _ => assert!(client.resolve(pointer).await.unwrap() == data),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            soon(task).await;
        }
        soon(client.ping("goes on")).await.unwrap();
        client.close().await;
        assert!(matches!(events.next().await, Some(ConnectionEvent::Closed)), "it was never disconnected");
    })
}
