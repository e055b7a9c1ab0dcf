//! Server and client under async-std, which has executors, sockets and readers of its own on the same reactor.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use async_std::future::timeout;
use async_std::io::Cursor;
use async_std::net::TcpStream;
use async_std::task::{self, JoinHandle, block_on};
use netswap_core::config::Limits;
use netswap_core::error::Refusal;
use netswap_smol::{
    Access, Change, Client, ConnectOptions, ConnectionEvent, Error, Server, ServerHandle, ServerOptions,
};

const SOON: Duration = Duration::from_secs(10);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("it takes too long")
}

async fn start(address: &str) -> (String, ServerHandle, JoinHandle<()>) {
    let options = ServerOptions::new(address).limits(Limits::new(64 << 20));
    let server = Server::bind(options).await.unwrap();
    (server.local_address().to_string(), server.handle(), task::spawn(server.run()))
}

async fn connect(to: impl Into<ConnectOptions>) -> Client {
    let (client, driver) = soon(Client::connect(to)).await.unwrap();
    task::spawn(driver.run());
    client
}

#[test]
fn calls_work() {
    block_on(async {
        let (address, handle, serving) = start("127.0.0.1:0").await;
        let owner = connect(&address).await;
        let other = connect(ConnectOptions::new(&address).bind([127, 0, 0, 2].into())).await;
        let pointer = soon(owner.create(vec![7; 3_000_000], Access::READ)).await.unwrap();
        let mut watch = soon(other.watch(pointer)).await.unwrap();
        assert!(soon(other.resolve(pointer)).await.unwrap() == vec![7; 3_000_000]);
        let refused = soon(other.replace(pointer, "mine now")).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::AccessViolation))));
        let version = soon(owner.write_range(pointer, 0, "new")).await.unwrap();
        assert_eq!(soon(watch.next()).await.unwrap().unwrap(), Change::Changed { version, data: None });
        soon(owner.close()).await;
        handle.shutdown();
        soon(serving).await;
        assert_eq!(handle.statistics().store.connections, 0);
    });
}

#[test]
fn data_are_streamed_from_its_readers_and_into_its_writers() {
    block_on(async {
        let (address, _handle, _serving) = start("127.0.0.1:0").await;
        let client = connect(&address).await;
        let data: Vec<u8> = (0..2_000_000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
        let reader = Cursor::new(&data);
        let pointer = soon(client.create_from(reader, 2_000_000, Access::empty(), |_, _| ())).await.unwrap();
        let mut writer = Cursor::new(Vec::new());
        soon(client.resolve_into(pointer, &mut writer, |_, _| ())).await.unwrap();
        assert!(writer.into_inner() == data);
    });
}

#[test]
fn a_stream_of_its_own_is_driven() {
    block_on(async {
        let (address, _handle, _serving) = start("127.0.0.1:0").await;
        let stream = TcpStream::connect(&address).await.unwrap();
        let (client, driver) = Client::connect_with(stream, ConnectOptions::default());
        let driving = task::spawn(driver.run());
        soon(client.ping("hello")).await.unwrap();
        soon(client.close()).await;
        soon(driving).await.unwrap();
    });
}

#[test]
fn a_client_survives_a_restart_of_its_server() {
    block_on(async {
        let (address, handle, serving) = start("127.0.0.1:0").await;
        let client = connect(&address).await;
        let mut events = client.events();
        handle.shutdown();
        soon(serving).await;
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Disconnected { .. })));
        let _again = start(&address).await;
        soon(client.ping("there again")).await.unwrap();
    });
}

#[test]
fn calls_have_their_timeouts_and_can_be_dropped() {
    block_on(async {
        let (address, _handle, _serving) = start("127.0.0.1:0").await;
        let client = connect(&address).await;
        let pointer = soon(client.reserve(Access::READ)).await.unwrap();
        let hasty = client.with_timeout(Duration::from_millis(50));
        assert!(matches!(soon(hasty.resolve(pointer)).await, Err(Error::TimedOut { .. })));
        assert!(timeout(Duration::from_millis(50), client.resolve(pointer)).await.is_err());
        soon(client.replace(pointer, "data")).await.unwrap();
        assert_eq!(soon(client.resolve(pointer)).await.unwrap(), "data");
    });
}
