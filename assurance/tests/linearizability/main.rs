//! One order of effects for all clients of a server (docs/PROTOCOL.md §3.3), on recorded histories of real servers.
//!
//! Clients of an adapter, each from an address of its own, do what they like to a few records of a server of the same
//! adapter, and write down what they asked, what they were told, and when. Some of their connections are cut meanwhile:
//! what a lost answer would have said is unknown, and when it took effect too. For each record there must then be an
//! order of all operations, none before one that had been answered when it was asked, in which a server that did one
//! after the other would have given these very answers. And of each history falsified copies are made, which must not
//! have one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod falsify;
mod history;
mod model;
mod play;

use std::time::{Duration, Instant};

use assurance::scale::{quick_or_long, seed};
use assurance::servers::Adapter;
use falsify::Lie;
use history::{History, Verdict};
use play::{Plan, play};

/// How long the search for an order may take, for one record. What is not decided has failed.
const DECIDED_WITHIN: Duration = Duration::from_secs(60);

/// Plays a plan against an adapter, judges it, and finds every falsified copy out.
fn tried(adapter: Adapter, plan: &Plan) {
    let start = Instant::now();
    let played = play(adapter, plan);
    let playing = start.elapsed();
    let (mut lies, mut largest) = ([0; Lie::ALL.len()], 0);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    for (record, history) in played.records.iter().enumerate() {
        largest = largest.max(history.len());
        if let verdict @ (Verdict::Impossible | Verdict::Undecided) = history.judge(DECIDED_WITHIN) {
            panic!("{} {plan:?}, record {record} is {verdict:?}:\n{history}", adapter.name());
        }
        for (lie, count) in Lie::ALL.into_iter().zip(&mut lies) {
            let Some(false_copy) = lie.of(history, &mut random) else { continue };
            let verdict = false_copy.judge(DECIDED_WITHIN);
            if verdict != Verdict::Impossible {
                panic!("{lie:?} of record {record} is {verdict:?}, {plan:?}:\n{false_copy}");
            }
            *count += 1;
        }
    }
    let (records, entries) = (played.records.len(), played.records.iter().map(History::len).sum::<usize>());
    let lost = played.records.iter().map(History::lost).sum::<usize>();
    eprintln!(
        "{}: {entries} operations on {records} records, at most {largest} on one, {lost} answers lost in {} cuts; \
         falsified copies found out: {lies:?}; {playing:.1?} to play, {:.1?} to judge",
        adapter.name(),
        played.cuts,
        start.elapsed() - playing
    );
    assert!(entries >= plan.clients * plan.operations / 2, "most of it must have been played");
    assert!(largest <= play::MOST_ON_ONE + plan.clients, "{largest} operations on one record");
    match plan.cut_every {
        None => assert!(lost == 0 && lies.iter().all(|count| *count > 0), "{lost} lost, {lies:?}"),
        Some(_) => assert!(lost > 0 && lies[..4].iter().all(|count| *count > 0), "{lost} lost, {lies:?}"),
    }
}

fn histories(adapter: Adapter) {
    // Eight clients that nobody disturbs, then sixteen of which half lose their connections.
    for round in 0..quick_or_long(1, 5) {
        let seed = seed().wrapping_mul(1000) + round;
        let operations = quick_or_long(250, 4000);
        tried(adapter, &Plan { seed, clients: 8, operations, cut_every: None });
        tried(adapter, &Plan { seed, clients: 16, operations, cut_every: Some(40) });
    }
}

#[test]
fn tokio() {
    histories(Adapter::Tokio);
}

#[test]
fn smol() {
    histories(Adapter::Smol);
}

#[test]
fn blocking() {
    histories(Adapter::Blocking);
}
