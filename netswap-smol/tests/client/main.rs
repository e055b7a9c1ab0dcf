//! The client over real sockets: against the real server, and against servers that do as the test says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod drivers;
mod dropping;
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

use netswap_smol::{Client, ConnectOptions, Error};

use support::{Running, SOON, timeout};

/// What is expected comes soon, or the test fails.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

/// A client whose driver runs on smol's threads.
async fn connect(to: impl Into<ConnectOptions>) -> Result<Client, Error> {
    let (client, driver) = Client::connect(to).await?;
    smol::spawn(driver.run()).detach();
    Ok(client)
}

async fn client(server: &Running) -> Client {
    soon(connect(server.address.to_string())).await.unwrap()
}

/// A client with an identity of its own.
async fn client_from(local: &str, server: &Running) -> Client {
    let options = ConnectOptions::new(server.address.to_string()).bind(local.parse().unwrap());
    soon(connect(options)).await.unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> netswap_smol::core::error::Refusal {
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
