//! However TCP cuts what a client sends, the core's answers are the same (fault 1 of docs/ASSURANCE.md): every case with
//! one cut at every place, and with cuts at random places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use assurance::scale::{quick_or_long, seed};
use conformance::cases::{self, Action, Case};
use conformance::pattern::Names;
use conformance::report;
use conformance::server::{Mode, memory};
use conformance::text::Scale;

/// Plays a case in this way.
fn play(case: &Case, mode: Mode, seed: u64) {
    if let Err(failure) = memory::play(case, mode, seed, None) {
        panic!("{mode:?}: {}", report::failure(case, "core", mode, seed, &failure));
    }
}

/// How many bytes all clients of a case send.
fn sent(case: &Case) -> usize {
    let sent = case.steps.iter().filter_map(|step| match &step.action {
        Action::Send(_, pattern) => Some(pattern.bytes(&Names::new(), Scale::TRUE).len()),
        _ => None,
    });
    sent.sum()
}

/// Plays all cases in some ways each, on all cores; how many plays there were.
fn all(plays: impl Fn(&Case) -> usize + Sync) -> usize {
    let cases = cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("server")).unwrap();
    let (next, count) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Relaxed)) {
                    count.fetch_add(plays(case), Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

#[test]
fn one_cut_anywhere() {
    // What is longer is played byte by byte, as all cases are, and cut at random places.
    let longest = quick_or_long(80, 10_000);
    let plays = all(|case| {
        let len = sent(case);
        let cuts = if len <= longest { 1..len } else { 0..0 };
        cuts.clone().for_each(|at| play(case, Mode::At(at), seed()));
        cuts.len()
    });
    eprintln!("{plays} plays with one cut");
    assert!(plays > 5000, "{plays}");
}

#[test]
fn cuts_at_random_places() {
    let times = quick_or_long(2, 100);
    let plays = all(|case| {
        (0..times).for_each(|n| play(case, Mode::Cuts, seed() << 8 | n));
        times as usize
    });
    eprintln!("{plays} plays with cuts at random places");
}
