//! No executor at all: everything is one future, polled by a thread that only parks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use futures_lite::future::{self, block_on};
use futures_util::future::{join, join3};
use netswap_core::config::Limits;
use netswap_smol::{Access, Client, ConnectOptions, Error, Server, ServerOptions};

async fn server() -> Server {
    Server::bind(ServerOptions::new("127.0.0.1:0").limits(Limits::new(64 << 20))).await.unwrap()
}

/// A call beside its driver, which it does not outlive.
async fn driven<T>(call: impl Future<Output = T>, driver: impl Future<Output = ()>) -> T {
    let gone = async {
        driver.await;
        unreachable!("the client is not closed")
    };
    future::or(call, gone).await
}

#[test]
fn a_server_and_two_clients_are_one_future() {
    let result = block_on(async {
        let server = server().await;
        let (address, handle) = (server.local_address().to_string(), server.handle());
        let play = async {
            let (host, host_driver) = Client::connect(&address).await.unwrap();
            let joining = ConnectOptions::new(&address).bind([127, 0, 0, 2].into());
            let (joiner, joiner_driver) = Client::connect(joining).await.unwrap();
            let calls = async {
                let pointer = host.create(vec![7; 3_000_000], Access::READ).await.unwrap();
                let map = joiner.resolve(pointer).await.unwrap();
                host.close().await;
                joiner.close().await;
                map
            };
            let (map, one, other) = join3(calls, host_driver.run(), joiner_driver.run()).await;
            one.and(other).unwrap();
            handle.shutdown();
            map
        };
        join(server.run(), play).await.1
    });
    assert!(result == vec![7; 3_000_000]);
}

#[test]
fn time_goes_by_without_an_executor() {
    // Nobody serves: the connection is in the listener's queue, and nothing answers.
    let start = Instant::now();
    let error = block_on(async {
        let silent = server().await;
        let to = ConnectOptions::from(silent.local_address()).connect_timeout(Duration::from_millis(100));
        Client::connect(to).await.unwrap_err()
    });
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert!(start.elapsed() >= Duration::from_millis(100) && start.elapsed() < Duration::from_secs(5));
}

#[test]
fn nothing_moves_while_the_driver_does_not_run() {
    block_on(async {
        let server = server().await;
        let address = server.local_address().to_string();
        let serving = async {
            server.run().await;
            unreachable!("nobody stops it")
        };
        let play = async {
            let (client, driver) = Client::connect(&address).await.unwrap();
            let a_while = async {
                async_io::Timer::after(Duration::from_millis(100)).await;
                None
            };
            assert!(future::or(async { Some(client.ping("?").await) }, a_while).await.is_none());
            let run = async { drop(driver.run().await) };
            driven(client.ping("now"), run).await.unwrap();
        };
        future::or(play, serving).await;
    });
}
