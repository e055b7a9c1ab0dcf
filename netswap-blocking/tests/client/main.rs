//! The client over real sockets: against the real server, and against servers that do as the test says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod closing;
mod drivers;
mod mirrors;
mod operations;
mod ranges;
mod reconnecting;
mod reserved;
mod scripted;
mod streaming;
#[path = "../support/mod.rs"]
mod support;
mod watching;

use std::time::Duration;

use netswap_blocking::{Client, ConnectOptions, ConnectionEvent, Error, Events};

use support::{Running, SOON};

fn client(server: &Running) -> Client {
    Client::connect(server.address).unwrap()
}

/// A client with an identity of its own.
fn client_from(local: &str, server: &Running) -> Client {
    let options = ConnectOptions::new(server.address.to_string()).bind(local.parse().unwrap());
    Client::connect(options).unwrap()
}

/// The next event, which comes soon.
fn event(events: &mut Events) -> Option<ConnectionEvent> {
    events.next_timeout(SOON).expect("an event")
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> netswap_blocking::core::error::Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?} is no refusal"),
    }
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// Long enough for something that must not happen to happen.
const A_WHILE: Duration = Duration::from_millis(100);
