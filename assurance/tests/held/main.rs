//! Resident memory stays below the bound that a server prints, whatever it is made to hold, and below what counts and a
//! little more; and it goes back when all is deleted (faults 4 and 5). The server is seen from outside:
//! `NETSWAP_PROGRAM=FILE` tries that build of the program `netswap`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod fragmentation;
mod random;
mod things;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assurance::on_every_adapter;
use assurance::program::{Program, Serving};
use assurance::raw::{Answer, Raw};
use assurance::scale::quick_or_long;
use assurance::servers::Adapter;
use netswap_core::wire::Request;

use fragmentation::small_records_that_are_left_of_many;
use random::random_clients;
use things::{
    lengths_above_a_size_class, owners_with_a_record_each, records_given_to_unknown_owners,
    records_with_settings, small_records, unfinished_requests, waiting_reads, watches,
};

on_every_adapter!(
    small_records,
    records_with_settings,
    records_given_to_unknown_owners,
    owners_with_a_record_each,
    watches,
    waiting_reads,
    unfinished_requests,
    lengths_above_a_size_class,
    small_records_that_are_left_of_many,
    random_clients,
);

const MIB: u64 = 1 << 20;

/// What a server may have beside what counts: what its threads and buffers have grown to.
const BESIDE: u64 = 16 * MIB;

/// What a server may have more than at its start when all is deleted, beside the allocator's tables for what there was: buffers
/// of its threads.
const LEFT: u64 = 10 * MIB;

/// How long memory may take to go back: the grace of the owners, which is short, and the time to free it in portions.
fn soon() -> Duration {
    Duration::from_secs(quick_or_long(10, 30))
}

/// Connections, but where a case has more or fewer: the buffers that they may have are part of the bound.
const CONNECTIONS: u64 = 300;

/// One after the other: each takes much of the machine's memory.
static ALONE: Mutex<()> = Mutex::new(());

/// A server, and what it needs while it holds nothing.
struct Held {
    server: Program,
    what: &'static str,
    adapter: Adapter,
    /// The bytes that may count.
    counted: u64,
    /// Resident bytes at the start.
    start: u64,
    /// The expectations that failed. The test reports all of them at its end.
    wrong: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Held {
    /// Starts a server that may hold `total` bytes, and `beside` bytes that do not count there.
    fn start(adapter: Adapter, what: &'static str, total: u64, beside: u64, limits: &[(&str, u64)]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = vec![("total", total), ("record", MIB.min(total))];
        all.extend(limits);
        if limits.iter().all(|(name, _)| *name != "connections") {
            all.push(("connections", CONNECTIONS));
        }
        let serving = Serving { adapter, threads: 2 };
        let server = Program::start(env!("CARGO_BIN_EXE_measured-server"), serving, &all);
        let start = server.resident();
        Self { server, what, adapter, counted: total + beside, start, wrong: Vec::new(), _alone: alone }
    }

    /// Judges what it needs now that it holds `count` things: after a while it is no more than what counts.
    fn is_full(&mut self, count: usize) {
        let most = self.counted + self.counted / 10 + BESIDE;
        let end = std::time::Instant::now() + soon();
        while self.server.resident().saturating_sub(self.start) > most && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.is_bounded(count);
        let grown = self.server.resident().saturating_sub(self.start);
        if grown > most {
            self.wrong.push(format!("{} MiB are taken where {} MiB count", grown / MIB, self.counted / MIB));
        }
    }

    /// Judges whether it needs little more than what may count, at a moment when data were freed among others.
    fn is_dense(&mut self, count: usize) {
        let most = 3 * self.counted + BESIDE;
        let grown = self.server.peak().saturating_sub(self.start);
        if grown > most {
            self.wrong.push(format!("{} MiB were taken where {} MiB count", grown / MIB, self.counted / MIB));
        }
        self.is_bounded(count);
    }

    /// Judges whether it needs no more than it has said, now that it holds `count` things.
    fn is_bounded(&mut self, count: usize) {
        let (resident, bound) = (self.server.resident(), self.server.bound);
        let grown = resident.saturating_sub(self.start);
        eprintln!(
            "\n{}: {count} {}: {} MiB resident above {}, {} bytes for each; {} MiB may count, the bound is {} MiB",
            self.adapter.name(),
            self.what,
            grown / MIB,
            self.start / MIB,
            grown / count.max(1) as u64,
            self.counted / MIB,
            bound / MIB
        );
        if resident > bound {
            self.wrong.push(format!("{} MiB are above the bound of {} MiB", resident / MIB, bound / MIB));
        }
    }

    /// Judges what it needs when nothing is held any more, and all else.
    fn ends_empty(mut self) {
        let most = self.start + LEFT + self.server.peak() / 50;
        let end = std::time::Instant::now() + soon();
        while self.server.resident() > most && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let resident = self.server.resident();
        eprintln!("{}: {} MiB when all is deleted", self.adapter.name(), resident / MIB);
        if resident > most {
            let (resident, start) = (resident / MIB, self.start / MIB);
            self.wrong
                .push(format!("{resident} MiB are left when all is deleted, {start} were there at first"));
        }
        assert!(self.wrong.is_empty(), "{}, {}: {:#?}", self.adapter.name(), self.what, self.wrong);
    }
}

/// Sends requests, a batch at a time, until one is refused for a quota. Returns the replies before that.
fn until_refused(
    raw: &mut Raw,
    mut batch: impl FnMut(usize) -> Vec<Request<Vec<u8>>>,
    mut each: impl FnMut(usize, &Answer),
) {
    const QUOTA_EXCEEDED: u8 = 8;

    let mut refused = false;
    let mut count = 0;
    while !refused {
        let first = count;
        raw.pipeline(batch(first), |answer| {
            refused |= answer.code == QUOTA_EXCEEDED;
            if !refused {
                each(count, &answer);
                count += 1;
            }
        })
        .unwrap();
    }
}
