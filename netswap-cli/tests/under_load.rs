//! `netswap serve` ends while many are busy with it: killed (fault 18 of docs/ASSURANCE.md) or asked to (fault 19).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod common;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use assurance::raw::{Raw, loopback, packets};
use assurance::scale::quick_or_long;
use common::{RUNTIMES, Server, netswap};
use netswap_tokio::core::wire::Request;
use netswap_tokio::{Access, Client, ConnectOptions, Error, ErrorKind, Outcome};

/// How long a request may take before a client gives up.
const TIMEOUT: Duration = Duration::from_secs(5);

fn serve(address: &str, runtime: &str) -> Server {
    Server::from(netswap(["serve"]).args(["--listen", address, "--runtime", runtime]))
}

#[test]
fn killed() {
    let times = quick_or_long(3, 67);
    for runtime in RUNTIMES {
        // A port that stays the same.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let (mut told, mut unknown, mut longest, mut restart) = (0, 0, Duration::ZERO, Duration::ZERO);
        for round in 0..times {
            let start = Instant::now();
            let mut server = serve(&address, runtime);
            let mut first = Raw::connect(loopback(0), server.address).unwrap();
            assert_eq!(first.ask(Request::Ping { data: vec![] }).unwrap().code, 0);
            restart = restart.max(start.elapsed());
            let ended = killed_under(&mut server, 20, Duration::from_millis(20 + 7 * (round % 20)));
            for (error, took) in ended {
                // The next request after one that had been answered finds the client closed.
                let kinds = [ErrorKind::ConnectionLost, ErrorKind::Closed];
                assert!(kinds.contains(&error.kind()), "{runtime}: {error}");
                assert!(took < TIMEOUT, "{runtime}: {took:?} until {error}");
                told += 1;
                unknown += u64::from(error.outcome() == Outcome::Unknown);
                longest = longest.max(took);
            }
        }
        eprintln!(
            "{runtime}: {times} kills, {told} clients told after at most {longest:?}, {unknown} of them that it is \
             unknown; served again after at most {restart:?}"
        );
        assert_eq!(told, times * 20);
        assert!(restart < Duration::from_secs(3), "{restart:?}");
    }
}

/// How each of so many busy clients learns that the server was killed, and how long after it.
fn killed_under(server: &mut Server, clients: usize, after: Duration) -> Vec<(Error, Duration)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let address = server.address;
    runtime.block_on(async {
        let mut busy = tokio::task::JoinSet::new();
        for n in 0..clients {
            let options = ConnectOptions::new(address.to_string()).bind(loopback(n)).reconnect(false);
            let client = Client::connect(options.request_timeout(TIMEOUT)).await.unwrap();
            busy.spawn(async move {
                let error = loop {
                    if let Err(error) = work(&client, n).await {
                        break error;
                    }
                };
                (error, Instant::now())
            });
        }
        tokio::time::sleep(after).await;
        let killed = Instant::now();
        server.process.kill();
        let ended = busy.join_all().await;
        ended.into_iter().map(|(error, at)| (error, at.saturating_duration_since(killed))).collect()
    })
}

/// Something of everything.
async fn work(client: &Client, n: usize) -> Result<(), Error> {
    let pointer = client.create(vec![n as u8; 100_000], Access::READ).await?;
    client.write_range(pointer, 500, "new").await?;
    assert_eq!(client.resolve(pointer).await?.len(), 100_000);
    client.delete(pointer).await
}

const BUSY: usize = 100;

const PINGS: u32 = 5;

#[test]
fn told_to_stop() {
    let times = quick_or_long(2, 67);
    for runtime in RUNTIMES {
        let (mut longest, mut answered) = (Duration::ZERO, 0);
        for round in 0..times {
            let server = serve("127.0.0.1:0", runtime);
            let (address, ready) = (server.address, AtomicUsize::new(0));
            thread::scope(|scope| {
                let busy: Vec<_> = (0..BUSY)
                    .map(|n| {
                        let ready = &ready;
                        let thread = thread::Builder::new().stack_size(256 * 1024);
                        thread.spawn_scoped(scope, move || until_its_end(address, n, ready)).unwrap()
                    })
                    .collect();
                while ready.load(SeqCst) < BUSY {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(7 * (round % 20)));
                server.process.signal("TERM");
                let start = Instant::now();
                let (status, log) = server.process.ended();
                longest = longest.max(start.elapsed());
                assert_eq!(status.code(), Some(0), "{runtime}: {log}");
                assert!(
                    !log.contains("closing what is left") && !log.contains("panicked"),
                    "{runtime}: {log}"
                );
                answered += busy.into_iter().map(|busy| busy.join().unwrap()).sum::<u64>();
            });
        }
        eprintln!("{runtime}: {times} stops with {BUSY} clients, at most {longest:?}; {answered} answers");
        assert!(longest < Duration::from_secs(5), "{runtime}: {longest:?}");
    }
}

/// Asks and asks, with one request unfinished all the time, until the server ends the connection. It must do so in order:
/// the answers are those to the first requests, each whole, then the ABORT of the unfinished one, then the end.
fn until_its_end(server: SocketAddr, n: usize, ready: &AtomicUsize) -> u64 {
    let mut raw = Raw::connect(loopback(n), server).unwrap();
    let unfinished =
        assurance::raw::packets(0, Request::CreateRecord { access: Access::READ, data: vec![1; 2000] });
    std::io::Write::write_all(&mut raw.0, &unfinished[..1400]).unwrap();
    let (mut sent, mut answered, mut aborted) = (0, 0, false);
    loop {
        let mut open = true;
        for _ in 0..PINGS {
            sent += 1;
            // After its last word the server throws away what comes, and closes when that ends.
            open &= raw.send(sent, Request::Ping { data: sent.to_be_bytes().into() }).is_ok();
        }
        loop {
            match raw.answer() {
                Ok(answer) if answer.xid == 0 => {
                    assert_eq!((answer.code, aborted), (255, false));
                    aborted = true;
                }
                Ok(answer) => {
                    answered += 1;
                    assert_eq!((answer.xid, answer.code), (answered, 0), "no answer is missing");
                    assert_eq!(answer.payload, answered.to_be_bytes());
                }
                Err(error) => {
                    let kind = error.kind();
                    assert_eq!(kind, std::io::ErrorKind::UnexpectedEof, "{error} after {answered} of {sent}");
                    assert!(aborted, "the unfinished request is ended");
                    return answered.into();
                }
            }
            if answered == sent {
                break;
            }
        }
        if answered == PINGS {
            ready.fetch_add(1, SeqCst);
        }
        assert!(open);
    }
}

#[test]
fn asked_to_end_while_requests_are_dear() {
    const RECORDS: usize = 100_000;
    for (runtime, threads) in
        [("tokio", Some("1")), ("tokio", None), ("smol", Some("1")), ("smol", None), ("blocking", None)]
    {
        // All records fit, with little room beside them: the answers to LIST_RECORDS are refused, and take none.
        let memory = (RECORDS * 128 + (256 << 10)).to_string();
        let mut command = netswap(["serve", "--listen", "127.0.0.1:0", "--runtime", runtime]);
        command.args(["--max-memory", &memory, "--max-record", "64KiB"]);
        command.args(threads.iter().flat_map(|threads| ["--threads", threads]));
        let server = Server::from(&mut command);
        let mut owner = Raw::connect(loopback(0), server.address).unwrap();
        let create = packets(1, Request::CreateRecord { access: Access::READ, data: vec![] });
        for _ in 0..RECORDS / 500 {
            owner.0.write_all(&create.repeat(500)).unwrap();
            (0..500).for_each(|_| assert_eq!(owner.answer().unwrap().code, 0));
        }
        let lists: Vec<u8> = (1..=12_200).flat_map(|xid| packets(xid, Request::ListRecords)).collect();
        let clients: Vec<_> = (0..6)
            .map(|_| {
                let mut client = Raw::connect(loopback(0), server.address).unwrap();
                client.0.write_all(&lists).unwrap();
                client
            })
            .collect();
        thread::sleep(Duration::from_millis(100));
        let start = Instant::now();
        server.process.signal("TERM");
        let (status, log) = server.process.ended();
        let took = start.elapsed();
        drop(clients);
        eprintln!("{runtime}, {threads:?}: ended after {took:?}");
        assert_eq!(status.code(), Some(0), "{runtime}, {threads:?}: {log}");
        assert!(took < Duration::from_secs(5), "{runtime}, {threads:?}: {took:?}");
    }
}
