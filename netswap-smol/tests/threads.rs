//! One server on several threads.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_io::block_on;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::Request;
use netswap_smol::{Client, Server, ServerHandle};
use support::{Raw, SOON, options, run, timeout};

fn start(threads: usize) -> (String, ServerHandle, Vec<JoinHandle<()>>) {
    let options = options().shutdown_deadline(Duration::from_millis(500));
    let server = block_on(Server::bind(options.listen("127.0.0.1:0"))).unwrap();
    let serve = |_| {
        thread::spawn({
            let server = server.clone();
            || block_on(server.run())
        })
    };
    (server.local_address().to_string(), server.handle(), (0..threads).map(serve).collect())
}

#[test]
fn clones_serve_the_same_records_and_end_together() {
    let (address, handle, threads) = start(3);
    run(async {
        let mut clients = Vec::new();
        for _ in 0..30 {
            let (client, driver) = Client::connect(&address).await.unwrap();
            smol::spawn(driver.run()).detach();
            clients.push(client);
        }
        let data = vec![7; 300_000];
        let pointer = clients[0].create(data.clone(), Access::READ).await.unwrap();
        let mut watches = Vec::new();
        for client in &clients {
            assert!(client.resolve(pointer).await.unwrap() == data);
            watches.push(client.watch(pointer).await.unwrap());
        }
        // What one thread's connection does calls those of all others.
        clients[0].delete(pointer).await.unwrap();
        for watch in &mut watches {
            timeout(SOON, watch.next()).await.unwrap().unwrap().unwrap();
        }
        assert_eq!(handle.statistics().store.connections, 30);
    });
    handle.shutdown();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(handle.statistics().store.connections, 0);
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn stuck_clients_do_not_hold_up_the_shutdown_of_any_thread() {
    let (address, handle, threads) = start(2);
    run(async {
        let mut stuck = Vec::new();
        for _ in 0..8 {
            let mut raw = Raw::connect(address.parse().unwrap()).await;
            let create = Request::CreateRecord { access: Access::READ, data: vec![7; 8 << 20] };
            let created = raw.ask(create).await;
            let pointer = Pointer(u64::from_be_bytes(created.payload.try_into().unwrap()));
            raw.send(2, Request::ResolvePointer { pointer }).await;
            stuck.push(raw);
        }
        let start = Instant::now();
        handle.shutdown();
        for thread in threads {
            smol::unblock(|| thread.join().unwrap()).await;
        }
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    });
}

#[test]
fn a_run_that_is_dropped_takes_only_its_own_connections_along() {
    run(async {
        let server = Server::bind(options().listen("127.0.0.1:0")).await.unwrap();
        let (address, handle) = (server.local_address(), server.handle());
        let first = smol::spawn(server.clone().run());
        let mut of_first = Raw::connect(address).await;
        assert_eq!(of_first.ask(Request::Ping { data: vec![] }).await.code, 0);
        let second = smol::spawn(server.run());
        first.cancel().await;
        assert!(of_first.ends().await);
        assert_eq!(handle.statistics().store.connections, 0);
        let mut of_second = Raw::connect(address).await;
        assert_eq!(of_second.ask(Request::Ping { data: vec![] }).await.code, 0);
        handle.shutdown();
        timeout(SOON, second).await.unwrap();
    });
}
