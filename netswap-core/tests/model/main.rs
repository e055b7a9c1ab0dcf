//! The whole core against a naive store: every operation, several owners and connections, time, cuts of the stream,
//! aborts, slow readers.
//!
//! Less than a minute by default; `PROPTEST_CASES=50000 cargo test -p netswap-core --test model the_core` runs for longer,
//! and with CARGO_PROFILE_DEV_OPT_LEVEL=2 does five times as much in the same time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod checks;
mod connection;
mod counts;
mod delivery;
mod expected;
mod lives;
mod machine;
mod memory;
mod naive;
mod operations;
mod requests;
mod scripted;
#[path = "../support/mod.rs"]
mod support;
mod terms;

use proptest::test_runner::{Config, FileFailurePersistence};
use proptest_state_machine::prop_state_machine;

use machine::{InPortions, Machine};

/// How many cases are played where the environment does not say.
const CASES: u32 = 1500;

fn config() -> Config {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let regressions = Box::new(FileFailurePersistence::Direct("tests/model/regressions.txt"));
    Config { cases, failure_persistence: Some(regressions), ..Config::default() }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn the_core_does_what_a_naive_store_does(sequential 50..300 => Machine);
}

prop_state_machine! {
    #![proptest_config(Config { cases: config().cases / 3, ..config() })]

    #[test]
    fn a_core_that_ends_records_in_portions_does_what_a_naive_store_does(sequential 50..300 => InPortions);
}
