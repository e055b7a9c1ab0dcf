//! The simulation can fail: faults that are planted in the server are found, and shown by a case of the conformance suite
//! that a server without them passes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use conformance::cases;
use conformance::server::Mode;
use conformance::server::memory;
use simulation::run::{explain, run};
use simulation::sabotage::Sabotage;

/// Seeds within which every fault must be found.
const SEEDS: u64 = 200;

#[test]
fn every_planted_fault_is_found_and_shown() {
    for sabotage in Sabotage::ALL {
        let found = (0..SEEDS).find_map(|seed| {
            let found = run(seed, 200, Some(sabotage), false).unwrap().failure?;
            Some((seed, found))
        });
        let (seed, found) = found.unwrap_or_else(|| panic!("{sabotage:?} is not found in {SEEDS} seeds"));
        let text = explain(seed, Some(sabotage), &found, Duration::from_secs(60))
            .unwrap_or_else(|reason| panic!("{sabotage:?}: {reason}"));
        let cases = cases::parse("0-simulation.txt", &text);
        let cases = cases.unwrap_or_else(|error| panic!("{sabotage:?}: {error}\n{text}"));
        for case in cases {
            let played = memory::play(&case, Mode::Whole, 0, None);
            played.unwrap_or_else(|failure| panic!("{sabotage:?}: {failure}\n{text}"));
        }
    }
}
