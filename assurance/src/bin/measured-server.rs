//! A server of an adapter in a process of its own, whose allocator counts: `measured-server ADAPTER [LIMIT=NUMBER ..]`.
//! `threads=NUMBER` is the number of its threads.
//!
//! It prints `listening on ADDRESS, at most BYTES`, and answers each line of its input with the bytes that are allocated,
//! the most that ever were, its connections, its panics, and more that [`Usage`](assurance::measured::Usage) tells of. It ends with its input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, stdin};
use std::time::Duration;

use assurance::servers::Adapter;
use cap::Cap;
use mimalloc::MiMalloc;
use netswap_adapter::server::ServerOptions;
use netswap_core::config::{Limits, Times};

#[global_allocator]
static ALLOCATED: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let adapter = arguments.next().and_then(|name| Adapter::named(&name)).expect("an adapter");
    let (mut limits, mut times, mut threads) = (Limits::new(1 << 30), Times::default(), 2);
    for argument in arguments {
        let (name, number) = argument.split_once('=').expect("LIMIT=NUMBER");
        let number: u64 = number.parse().expect("a number");
        match name {
            "threads" => threads = number as usize,
            "total" => limits = Limits::with_record(number, limits.record.min(number as u32)),
            "record" => limits = Limits::with_record(limits.total, number as u32),
            "unfinished" => limits.unfinished = number,
            "connection_unfinished" => limits.connection_unfinished = number,
            "unfinished_requests" => limits.unfinished_requests = number as u32,
            "places" => limits.places = number,
            "watches" => limits.watches = number as u32,
            "connections" => limits.connections = number as u32,
            "queued_replies" => limits.queued_replies = number as u32,
            "queued_bytes" => limits.queued_bytes = number,
            "slow_ms" => times.slow = Duration::from_millis(number),
            "grace_ms" => times.grace = Duration::from_millis(number),
            _ => panic!("{name} is no limit"),
        }
    }
    let bound = limits.memory_bound();
    let mut server = adapter.start_on(threads, ServerOptions::default().limits(limits).times(times));
    server.handle.watch_memory(give_back).unwrap();
    println!("listening on {}, at most {bound}", server.address);
    for line in stdin().lock().lines() {
        line.unwrap();
        let statistics = server.handle.statistics();
        let (store, panics) = (statistics.store, statistics.traffic.panics);
        let (allocated, peak) = (ALLOCATED.allocated(), ALLOCATED.max_allocated());
        println!(
            "{allocated} {peak} {} {} {} {panics} {} {}",
            store.connections, store.unfinished_bytes, store.bytes, store.counters.slow_readers, store.places
        );
    }
    server.stop();
}

/// As the program does it.
fn give_back() {
    for size in std::iter::repeat_n(2 << 10, 10_000).chain([1 << 20]) {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(size)));
    }
}
