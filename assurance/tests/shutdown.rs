//! A server stops in time, however dear the requests are that have arrived (fault 19).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use assurance::on_every_adapter;
use assurance::raw::{Raw, loopback, packets};
use assurance::servers::Adapter;
use netswap_adapter::server::ServerOptions;
use netswap_core::config::Limits;
use netswap_core::types::Access;
use netswap_core::wire::Request;

on_every_adapter!(dear_requests);

/// Records of the client: each LIST_RECORDS collects and sorts all of them.
const RECORDS: usize = 100_000;

/// As much as fits in 122 kB.
const REQUESTS: u32 = 12_200;

const CLIENTS: usize = 6;

const DEADLINE: Duration = Duration::from_secs(1);

/// One after the other: they look at the clock.
static ALONE: Mutex<()> = Mutex::new(());

fn dear_requests(adapter: Adapter) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // All records fit, with little room beside them: the answers to LIST_RECORDS are refused, and take none.
    let limits = Limits::with_record(RECORDS as u64 * 128 + (256 << 10), 1 << 16);
    let mut server = adapter.start(ServerOptions::default().limits(limits).shutdown_deadline(DEADLINE));
    let mut owner = Raw::connect(loopback(0), server.address).unwrap();
    let create = packets(1, Request::CreateRecord { access: Access::READ, data: vec![] });
    for _ in 0..RECORDS / 500 {
        owner.0.write_all(&create.repeat(500)).unwrap();
        (0..500).for_each(|_| assert_eq!(owner.answer().unwrap().code, 0));
    }
    let asked = Instant::now();
    assert_ne!(owner.ask(Request::ListRecords).unwrap().code, 0);
    let one = asked.elapsed();
    let lists: Vec<u8> = (1..=REQUESTS).flat_map(|xid| packets(xid, Request::ListRecords)).collect();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = Raw::connect(loopback(0), server.address).unwrap();
            client.0.write_all(&lists).unwrap();
            client
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    let start = Instant::now();
    server.stop();
    let took = start.elapsed();
    drop(clients);
    eprintln!("{}: one request takes {one:?}, the server has stopped after {took:?}", adapter.name());
    assert!(took < DEADLINE + Duration::from_secs(1), "{took:?}");
}
