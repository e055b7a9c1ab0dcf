//! Runs seeds, and makes of a failure what helps to mend it.

use std::time::Duration;

use anyhow::Context;

use crate::failure::{Failure, Invariant};
use crate::sabotage::Sabotage;
use crate::scenario::Scenario;
use crate::stage::Event;
use crate::{shrink, transcript, world};

/// Every so many seeds are run twice, to see that the same happens.
pub const TWICE_EVERY: u64 = 50;

/// How a seed went.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Transactions that clients have begun.
    pub transactions: u64,
    /// Requests that the server has carried out or refused.
    pub requests: u64,
    /// Simulated time.
    pub time: Duration,
    /// The same whenever the same has happened.
    pub digest: u64,
    /// What was wrong.
    pub failure: Option<Found>,
}

/// Something that was found.
#[derive(Debug)]
pub struct Found {
    /// What was wrong.
    pub failure: Failure,
    /// What has happened to the server.
    pub tape: Vec<Event>,
}

/// Runs a seed.
///
/// # Errors
///
/// The seed makes a server that does not start: the simulation has a fault.
pub fn run(seed: u64, transactions: u64, sabotage: Option<Sabotage>, verbose: bool) -> anyhow::Result<Run> {
    let scenario = Scenario::new(seed, sabotage);
    let once = || {
        world::run(&scenario, seed, transactions, verbose)
            .with_context(|| format!("the server of seed {seed} does not start"))
    };
    let outcome = once()?;
    let mut failure = outcome.failure;
    if seed.is_multiple_of(TWICE_EVERY) && once()?.digest != outcome.digest && failure.is_none() {
        failure = Some(Failure::everywhere(Invariant::Determinism, "the same seed gives another run"));
    }
    let tape = outcome.tape.into_iter().map(|(event, _)| event);
    Ok(Run {
        seed,
        transactions: outcome.transactions,
        requests: outcome.requests,
        time: outcome.time,
        digest: outcome.digest,
        failure: failure.map(|failure| Found { failure, tape: tape.collect() }),
    })
}

/// A failure as a case of the conformance suite, as short as it gets in the time given; or why there is none.
///
/// # Errors
///
/// What keeps it from being one.
pub fn explain(
    seed: u64,
    sabotage: Option<Sabotage>,
    found: &Found,
    time: Duration,
) -> Result<String, &'static str> {
    let setting = Scenario::new(seed, sabotage).setting;
    let played = shrink::shrink(&setting, &found.tape, &found.failure, time)
        .ok_or("it does not show in what the server got and sent: it is to be looked for in the client")?;
    transcript::case(&setting.config, seed, &played)
        .ok_or("it takes more connections than the alphabet has letters")
}
