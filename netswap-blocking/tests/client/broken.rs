//! Servers that are not there, fall silent, break off, or talk nonsense. Everything ends in time, with an error that
//! says what is known.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use netswap_blocking::{Client, Error, ErrorKind};
use netswap_core::client::Outcome;
use netswap_core::types::Access;
use netswap_core::wire::Reply;

use crate::A_WHILE;
use crate::scripted::Scripted;
use crate::support::both;

#[test]
fn a_first_connection_that_is_refused_fails_at_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let start = Instant::now();
    let error = Client::connect(address.to_string()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(
        (error.kind(), error.is_retryable(), error.outcome()),
        (ErrorKind::Connect, true, Outcome::NotDone)
    );
    assert!(
        matches!(&error, Error::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
    );
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

#[test]
fn a_name_that_nobody_knows_fails() {
    let error = Client::connect("no-such-host.invalid").unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn a_listener_that_says_nothing_is_given_up() {
    let server = Scripted::start();
    let (error, _peer) =
        both(|| Client::connect(server.options().connect_timeout(A_WHILE)), || server.accept());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("no answer within 100ms"), "{error}");
}

#[test]
fn what_is_no_netswap_server_is_recognised() {
    for greeting in
        [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n", &[0; 10], &[255; 64]]
    {
        let server = Scripted::start();
        let script = || {
            let mut peer = server.accept();
            peer.send(greeting);
            peer
        };
        let (result, _peer) = both(|| Client::connect(server.options()), script);
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Protocol, false), "{error}");
    }
}

#[test]
fn another_version_is_recognised() {
    let server = Scripted::start();
    let script = || {
        let mut peer = server.accept();
        peer.greet_with(2);
        peer
    };
    let (result, _peer) = both(|| Client::connect(server.options()), script);
    let error = result.unwrap_err();
    let Error::Greeting { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**source, Error::UnsupportedVersion { version: 2 }));
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_server_that_closes_at_once_fails_the_connect() {
    let server = Scripted::start();
    let script = || drop(server.accept());
    let (result, ()) = both(|| Client::connect(server.options()), script);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ConnectionLost);
}

#[test]
fn a_server_that_never_answers_times_out() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options());
    let hasty = client.with_timeout(A_WHILE);
    let start = Instant::now();
    let (write, read) = both(|| hasty.create("data", Access::empty()), || hasty.list());
    assert!(start.elapsed() >= A_WHILE && start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let (write, read) = (write.unwrap_err(), read.unwrap_err());
    assert!(matches!(write, Error::TimedOut { outcome: Outcome::Unknown }), "{write:?}");
    assert!(matches!(read, Error::TimedOut { outcome: Outcome::NotDone }), "{read:?}");
    let (one, other) = (peer.request(), peer.request());
    peer.expect_abort(one.xid);
    peer.expect_abort(other.xid);
    // The connection goes on.
    let (pong, ()) = both(
        || client.ping("hi"),
        || {
            let ping = peer.request();
            peer.reply(ping.xid, Reply::Echo(ping.payload));
        },
    );
    pong.unwrap();
}

#[test]
fn after_a_server_that_is_dead_the_next_call_works_on_a_new_connection() {
    let server = Scripted::start();
    let (client, _dead) = server.connected(server.options().request_timeout(A_WHILE));
    assert!(matches!(client.ping("?"), Err(Error::TimedOut { .. })));
    // The dead server does not answer the ABORT either.
    let mut peer = server.accept();
    let (pong, ()) = both(
        || client.ping("alive?"),
        || {
            let ping = peer.request();
            peer.reply(ping.xid, Reply::Echo(ping.payload));
        },
    );
    pong.unwrap();
}
