//! Many want the same record at the same time: one gets it, and all others are told that they do not (fault 13).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use assurance::on_every_adapter;
use assurance::raw::{Raw, loopback};
use assurance::scale::quick_or_long;
use assurance::servers::Adapter;
use netswap_adapter::server::ServerOptions;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::Request;

const ADDRESSES: usize = 64;

/// Each has as many of the connections.
const THREADS: usize = 4;

const DONE: u8 = 0;
const NOT_ALLOWED: u8 = 1;

on_every_adapter!(every_race_has_one_winner);

fn every_race_has_one_winner(adapter: Adapter) {
    let rounds = quick_or_long(300, 10_000);
    let server = adapter.start(ServerOptions::default());
    let mut racers: Vec<_> =
        (0..ADDRESSES).map(|n| (n, Raw::connect(loopback(n), server.address).unwrap())).collect();
    let all = Access::all();
    let pointer = racers[0].1.ask(Request::CreateRecord { access: all, data: vec![] }).unwrap().pointer();
    let hashes: Vec<_> =
        racers.iter_mut().map(|(_, raw)| raw.ask(Request::Identify).unwrap().payload[..8].to_vec()).collect();
    // Who has it; and how often somebody was told to have got it.
    let (owner, won) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let barrier = Barrier::new(THREADS);
    let mut losers = 0;
    thread::scope(|scope| {
        let mut threads = Vec::new();
        while !racers.is_empty() {
            let mut racers = racers.split_off(racers.len() - ADDRESSES / THREADS);
            let (owner, won, barrier, hashes) = (&owner, &won, &barrier, &hashes);
            threads.push(scope.spawn(move || {
                let mut refused = 0;
                for round in 0..rounds {
                    let has = owner.load(SeqCst);
                    if let Some((_, raw)) = racers.iter_mut().find(|(n, _)| *n == has) {
                        assert_eq!(owned(raw, pointer), hashes[has], "round {round}");
                        let opened = Request::UpdateRecordPermissions { pointer, access: all };
                        assert_eq!(raw.ask(opened).unwrap().code, DONE);
                    }
                    barrier.wait();
                    for (_, raw) in racers.iter_mut().filter(|(n, _)| *n != has) {
                        raw.send(2, Request::TakeoverRecord { pointer }).unwrap();
                    }
                    for (n, raw) in racers.iter_mut().filter(|(n, _)| *n != has) {
                        match raw.answer().unwrap().code {
                            DONE => {
                                won.fetch_add(1, SeqCst);
                                owner.store(*n, SeqCst);
                            }
                            NOT_ALLOWED => refused += 1,
                            code => panic!("code {code} in round {round}"),
                        }
                    }
                    barrier.wait();
                    assert_eq!(won.load(SeqCst), round + 1, "winners after round {round}");
                }
                refused
            }));
        }
        losers = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    });
    assert_eq!((won.load(SeqCst), losers), (rounds, rounds * (ADDRESSES - 2)));
    eprintln!("{}: {rounds} races of {} addresses, {rounds} winners", adapter.name(), ADDRESSES - 1);
}

/// The hash of the record's owner, who alone asks.
fn owned(raw: &mut Raw, pointer: Pointer) -> Vec<u8> {
    let stat = raw.ask(Request::StatRecord { pointer }).unwrap();
    assert_eq!((stat.code, stat.payload.len()), (DONE, 26), "{stat:?}");
    stat.payload[12..20].to_vec()
}
