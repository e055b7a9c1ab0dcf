//! Prints the longest single call into the store in the worst cases that owners and expiry have.
//!
//! `cargo run --release -p netswap-core --example longest_call [RECORDS] [RUNS] [CASE]`: a million records, three runs
//! and all cases by default.
//! The same calls are made in every run, and of each call the shortest time counts, so that what else the machine does
//! is left out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant as Clock};

use netswap_core::config::{Config, Limits};
use netswap_core::engine::Peer;
use netswap_core::error::Refusal;
use netswap_core::identity::IdentityKey;
use netswap_core::memory::{Data, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Owner, Pointer, Xid};
use netswap_core::wire::{Lifetime, Reply, Request};

/// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A store, and how long each call of a kind took, in nanoseconds.
struct Run {
    store: Store,
    now: Instant,
    calls: Vec<(&'static str, Vec<u64>)>,
}

impl Run {
    fn new() -> Self {
        let config = Config::new(Limits::new(1 << 40), IdentityKey([1; 16]), [2; 32]);
        Self { store: Store::new(config).unwrap(), now: Instant::ZERO, calls: Vec::new() }
    }

    fn call<T>(&mut self, name: &'static str, call: impl FnOnce(&mut Store, Instant) -> T) -> T {
        let start = Clock::now();
        let done = call(&mut self.store, self.now);
        let took = start.elapsed().as_nanos() as u64;
        match self.calls.iter_mut().find(|(it, _)| *it == name) {
            Some((_, all)) => all.push(took),
            None => self.calls.push((name, vec![took])),
        }
        done
    }

    fn connect(&mut self, host: u8) -> Peer {
        match self.call("connect", |store, now| store.connect([10, 0, 0, host].into(), now)) {
            Admission::Served(peer) => peer,
            other => panic!("{other:?}"),
        }
    }

    fn disconnect(&mut self, peer: Peer) {
        self.call("disconnect", |store, now| store.disconnect(peer.id, now));
    }

    fn ask(&mut self, name: &'static str, peer: Peer, request: Request<Payload<'_>>) -> Reply<Data> {
        self.call(name, |store, now| store.serve(peer, Xid(1), request, now)).reply().unwrap()
    }

    fn create(&mut self, peer: Peer) -> Pointer {
        let request = Request::CreateRecord { access: Access::READ, data: Payload::Whole(b"12345678") };
        match self.ask("create", peer, request) {
            Reply::Created(pointer) => pointer,
            other => panic!("{other:?}"),
        }
    }

    fn set(&mut self, peer: Peer, pointer: Pointer, lifetime: Lifetime) {
        let done = self.ask("set lifetime", peer, Request::SetLifetime { pointer, lifetime });
        assert!(matches!(done, Reply::Done), "{done:?}");
    }

    /// Lets time pass until something is due, then does all that is.
    fn wait(&mut self, name: &'static str) {
        self.now = self.now.max(self.store.poll_timeout().unwrap());
        while self.store.poll_timeout().is_some_and(|due| due <= self.now) {
            self.call(name, |store, now| store.handle_timeout(now));
        }
    }

    fn end(&mut self) {
        while self.store.statistics().records > 0 {
            self.wait("end");
        }
    }
}

const PLAIN: Lifetime = Lifetime { grace: None, ttl: None, heir: None };

/// The owner connects and disconnects while every record has a grace of its own.
fn own_grace(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    for n in 0..records {
        let pointer = run.create(peer);
        run.set(peer, pointer, Lifetime { grace: Some(60 + n % 1000), ..PLAIN });
    }
    run.disconnect(peer);
    let peer = run.connect(1);
    run.disconnect(peer);
    run.end();
}

/// All records of an owner end at one moment.
fn expire(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    (0..records).for_each(|_| _ = run.create(peer));
    run.disconnect(peer);
    run.wait("handle_timeout");
}

/// The owner comes back when all its records have just ended, and nobody has noticed.
fn back_late(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    (0..records).for_each(|_| _ = run.create(peer));
    run.disconnect(peer);
    run.now = run.store.poll_timeout().unwrap();
    let peer = run.connect(1);
    let reply = run.ask("list", peer, Request::ListRecords);
    assert!(matches!(&reply, Reply::Pointers(pointers) if pointers.is_empty()), "something is left");
    run.disconnect(peer);
    run.end();
}

/// All records end at one moment by their time to live.
fn ttl(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    for _ in 0..records {
        let pointer = run.create(peer);
        run.set(peer, pointer, Lifetime { ttl: 1000.try_into().ok(), ..PLAIN });
    }
    run.wait("handle_timeout");
}

/// All records go to an heir at one moment, who is not there, and end there.
fn heirs(run: &mut Run, records: u32) {
    let heir = run.connect(2);
    run.disconnect(heir);
    let peer = run.connect(1);
    for _ in 0..records {
        let pointer = run.create(peer);
        run.set(peer, pointer, Lifetime { heir: Some(heir.owner), ..PLAIN });
    }
    run.disconnect(peer);
    run.wait("handle_timeout");
    assert_eq!(run.store.statistics().records, u64::from(records));
    let heir = run.connect(2);
    run.disconnect(heir);
    run.end();
}

/// Every record goes to an owner of its own, who was never there.
fn unknown_owners(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    for n in 0..records {
        let pointer = run.create(peer);
        let owner = Owner::new(u64::from(n) << 32 | 1).unwrap();
        run.ask("transfer", peer, Request::TransferRecord { pointer, owner });
    }
    run.disconnect(peer);
    run.end();
}

/// All records are deleted, one by one, in the order of their making.
fn delete(run: &mut Run, records: u32) {
    let peer = run.connect(1);
    let pointers: Vec<Pointer> = (0..records).map(|_| run.create(peer)).collect();
    for pointer in pointers {
        let reply = run.ask("delete", peer, Request::DeleteRecord { pointer });
        assert!(!matches!(reply, Reply::Refused(Refusal::AddressFault)));
    }
    run.disconnect(peer);
}

type Scenario = fn(&mut Run, u32);

const SCENARIOS: [(&str, Scenario); 7] = [
    ("a grace of their own", own_grace),
    ("expire", expire),
    ("back too late", back_late),
    ("time to live", ttl),
    ("heirs", heirs),
    ("unknown owners", unknown_owners),
    ("delete all", delete),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise| arguments.next().map_or(otherwise, |it| it.parse().expect("a number"));
    let (records, runs) = (number(1_000_000), number(3));
    let only = arguments.next().unwrap_or_default();
    println!("{records} records, the best of {runs} runs; milliseconds");
    println!("{:<24}{:<16}{:>10}{:>10}{:>12}{:>12}", "case", "call", "calls", "all", "longest", "over 1 ms");
    for (name, scenario) in SCENARIOS.into_iter().filter(|(name, _)| name.contains(&only)) {
        let mut best: Vec<(&'static str, Vec<u64>)> = Vec::new();
        for _ in 0..runs {
            let mut run = Run::new();
            scenario(&mut run, records);
            if best.is_empty() {
                best = run.calls;
                continue;
            }
            for ((_, best), (_, calls)) in best.iter_mut().zip(&run.calls) {
                assert_eq!(best.len(), calls.len(), "the same calls in every run");
                best.iter_mut().zip(calls).for_each(|(best, call)| *best = (*best).min(*call));
            }
        }
        for (call, times) in best {
            let milliseconds = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3;
            let longest = times.iter().copied().max().unwrap_or(0);
            let over = times.iter().filter(|it| **it > 1_000_000).count();
            let (calls, all) = (times.len(), milliseconds(times.iter().sum()));
            println!("{name:<24}{call:<16}{calls:>10}{all:>10.0}{:>12.3}{over:>12}", milliseconds(longest));
        }
    }
}
