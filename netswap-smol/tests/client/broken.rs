//! Servers that are not there, fall silent, break off, or talk nonsense. Everything ends in time, with an error that
//! says what is known.

use std::io;
use std::time::{Duration, Instant};

use futures_util::join;
use netswap_core::client::Outcome;
use netswap_core::error::{ProtocolError, Violation};
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Opcode, Reply};
use netswap_smol::{ConnectionEvent, Disconnect, Error, ErrorKind};
use smol::net::TcpListener;

use crate::scripted::{Peer, Scripted, encode};
use crate::support::run;
use crate::{A_WHILE, connect, pattern, soon};

#[test]
fn a_first_connection_that_is_refused_fails_at_once() {
    run(async {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let start = Instant::now();
        let error = soon(connect(address.to_string())).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2));
        assert_eq!(
            (error.kind(), error.is_retryable(), error.outcome()),
            (ErrorKind::Connect, true, Outcome::NotDone)
        );
        assert!(
            matches!(&error, Error::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
        );
        assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
    })
}

#[test]
fn a_name_that_nobody_knows_fails() {
    run(async {
        let error = soon(connect("no-such-host.invalid")).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    })
}

#[test]
fn a_listener_that_says_nothing_is_given_up() {
    run(async {
        let server = Scripted::start().await;
        let (error, _peer) = join!(soon(connect(server.options().connect_timeout(A_WHILE))), server.accept());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains("no answer within 100ms"), "{error}");
    })
}

#[test]
fn what_is_no_netswap_server_is_recognised() {
    run(async {
        for greeting in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n", &[0; 10], &[255; 64]]
        {
            let server = Scripted::start().await;
            let script = async {
                let mut peer = server.accept().await;
                peer.send(greeting).await;
                peer
            };
            let (result, _peer) = join!(soon(connect(server.options())), script);
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Protocol, false), "{error}");
        }
    })
}

#[test]
fn another_version_is_recognised() {
    run(async {
        let server = Scripted::start().await;
        let script = async {
            let mut peer = server.accept().await;
            peer.greet_with(2).await;
            peer
        };
        let (result, _peer) = join!(soon(connect(server.options())), script);
        let error = result.unwrap_err();
        let Error::Greeting { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**source, Error::UnsupportedVersion { version: 2 }));
        assert_eq!(error.kind(), ErrorKind::Protocol);
    })
}

#[test]
fn a_server_that_closes_at_once_fails_the_connect() {
    run(async {
        let server = Scripted::start().await;
        let script = async { drop(server.accept().await) };
        let (result, ()) = join!(soon(connect(server.options())), script);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionLost);
    })
}

/// Has a write and a read under way, does something to them, and gives back how they ended.
async fn with_two_calls<F: Future<Output = ()>>(
    act: impl FnOnce(Peer, u32) -> F,
) -> (Error, Error, Vec<Disconnect>) {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options().reconnect(false)).await;
    let mut events = client.events();
    let (write, read, ()) = join!(soon(client.delete(Pointer(1))), soon(client.resolve(Pointer(2))), async {
        assert_eq!(peer.request().await.code, Opcode::DeleteRecord as u8);
        let read = peer.request().await;
        act(peer, read.xid).await;
    });
    let mut causes = Vec::new();
    while let Some(event) = soon(events.next()).await {
        if let ConnectionEvent::Disconnected { cause } = event {
            causes.push(cause);
        }
    }
    assert!(matches!(client.ping("?").await, Err(Error::Closed)));
    (write.unwrap_err(), read.unwrap_err(), causes)
}

#[test]
fn a_connection_that_ends_in_the_middle_of_a_reply_tells_what_is_known() {
    run(async {
        let (write, read, causes) = with_two_calls(|mut peer, xid| async move {
            peer.send(&encode(xid, Reply::Resolved(pattern(5000)))[..3000]).await;
            drop(peer);
        })
        .await;
        let lost =
            |error: &Error| matches!(error, Error::ConnectionLost { cause: Disconnect::ServerClosed, .. });
        assert!(lost(&write) && lost(&read), "{write:?} {read:?}");
        assert_eq!((write.outcome(), write.is_retryable()), (Outcome::Unknown, false));
        assert_eq!((read.outcome(), read.is_retryable()), (Outcome::NotDone, true));
        assert_eq!(
            write.to_string(),
            "the server closed the connection; it is not known whether it was done"
        );
        assert!(matches!(causes[..], [Disconnect::ServerClosed]));
    })
}

#[test]
fn a_reset_is_a_lost_connection() {
    run(async {
        let (write, _, causes) = with_two_calls(|peer, _| async move { peer.reset() }).await;
        assert_eq!((write.kind(), write.outcome()), (ErrorKind::ConnectionLost, Outcome::Unknown));
        assert!(
            matches!(&causes[..], [Disconnect::Io(error)] if error.kind() == io::ErrorKind::ConnectionReset)
        );
    })
}

#[test]
fn nonsense_ends_the_connection() {
    run(async {
        let cases: [(Vec<u8>, ProtocolError); 4] = [
            (encode(77, Reply::Done), ProtocolError::UnknownTransaction(Xid(77))),
            (encode(3, Reply::Done), ProtocolError::BadReply { xid: Xid(3), code: 0 }),
            (
                [encode(3, Reply::Resolved(pattern(5000)))[..1400].to_vec(), encode(3, Reply::Done)].concat(),
                ProtocolError::Continuation(Xid(3)),
            ),
            (
                encode(0, Reply::Malformed(Violation::Continuation)),
                ProtocolError::ViolationReported(Violation::Continuation),
            ),
        ];
        for (bytes, expected) in cases {
            let (write, read, causes) = with_two_calls(|mut peer, xid| async move {
                assert_eq!(xid, 3);
                peer.send(&bytes).await;
                assert_eq!(peer.drain().await, 0, "the client closes");
            })
            .await;
            assert_eq!((write.kind(), write.outcome()), (ErrorKind::Protocol, Outcome::Unknown));
            assert_eq!((read.kind(), read.is_retryable()), (ErrorKind::Protocol, false));
            assert!(matches!(causes[..], [Disconnect::Protocol(error)] if error == expected), "{causes:?}");
        }
    })
}

#[test]
fn an_abort_by_the_server_ends_one_call() {
    run(async {
        let server = Scripted::start().await;
        let (client, mut peer) = server.connected(server.options()).await;
        let (deleted, pong, ()) = join!(client.delete(Pointer(1)), client.ping("hi"), async {
            let delete = peer.request().await;
            peer.abort(delete.xid).await;
            let ping = peer.request().await;
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
        });
        pong.unwrap();
        let error = deleted.unwrap_err();
        assert!(matches!(error, Error::Aborted { outcome: Outcome::Unknown }), "{error:?}");
    })
}

#[test]
fn a_server_that_never_answers_times_out() {
    run(async {
        let server = Scripted::start().await;
        let (client, mut peer) = server.connected(server.options()).await;
        let hasty = client.with_timeout(A_WHILE);
        let start = Instant::now();
        let (write, read) = join!(soon(hasty.create("data", Access::empty())), soon(hasty.list()));
        assert!(
            start.elapsed() >= A_WHILE && start.elapsed() < Duration::from_secs(3),
            "{:?}",
            start.elapsed()
        );
        let (write, read) = (write.unwrap_err(), read.unwrap_err());
        assert!(matches!(write, Error::TimedOut { outcome: Outcome::Unknown }), "{write:?}");
        assert!(matches!(read, Error::TimedOut { outcome: Outcome::NotDone }), "{read:?}");
        let (one, other) = (peer.request().await, peer.request().await);
        peer.expect_abort(one.xid).await;
        peer.expect_abort(other.xid).await;
        // The connection goes on.
        let (pong, ()) = join!(client.ping("hi"), async {
            let ping = peer.request().await;
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
        });
        pong.unwrap();
    })
}

#[test]
fn after_a_server_that_is_dead_the_next_call_works_on_a_new_connection() {
    run(async {
        let server = Scripted::start().await;
        let (client, _dead) = server.connected(server.options().request_timeout(A_WHILE)).await;
        assert!(matches!(soon(client.ping("?")).await, Err(Error::TimedOut { .. })));
        // The dead server does not answer the ABORT either.
        let mut peer = server.accept().await;
        let (pong, ()) = join!(client.ping("alive?"), async {
            let ping = peer.request().await;
            peer.reply(ping.xid, Reply::Echo(ping.payload)).await;
        });
        pong.unwrap();
    })
}
