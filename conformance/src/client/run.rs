//! Plays many client cases with one driver, and tells how they went.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{Action, Case, Setting};
use super::play::{Failure, Outcome, Settings, play};
use crate::text::Scale;
use crate::verdict::Verdict;

/// By how much times are divided.
const FASTER: u32 = 10;

/// By how much when a case that failed is played once more: machines are shared, and late.
const SLOWER_AGAIN: u32 = 2;

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cases.
    pub cases: Vec<Arc<Case>>,
    /// The driver's program and its arguments.
    pub command: Vec<String>,
    /// How many cases are played at once, each with a driver of its own.
    pub at_once: usize,
    /// How long the suite waits for anything that is to come.
    pub patience: Duration,
}

/// A case that was played, or could not be.
#[derive(Clone, Debug)]
pub struct Played {
    /// The case.
    pub case: Arc<Case>,
    /// How it went.
    pub verdict: Verdict<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Plan {
    /// Plays everything, and tells of each case as it ends. The result is in the order of the cases.
    pub async fn run(self, mut tell: impl FnMut(&Played)) -> Vec<Played> {
        let room = Arc::new(Semaphore::new(self.at_once.max(1)));
        let command: Arc<[String]> = self.command.into();
        let mut plays = JoinSet::new();
        for (at, case) in self.cases.into_iter().enumerate() {
            let (room, command, patience) = (room.clone(), command.clone(), self.patience);
            plays.spawn(async move {
                let _place = room.acquire_owned().await;
                let start = Instant::now();
                let verdict = verdict(&case, &command, patience).await;
                (at, Played { case, verdict, took: start.elapsed() })
            });
        }
        let mut played = Vec::new();
        while let Some(ended) = plays.join_next().await {
            match ended {
                Ok((at, play)) => {
                    tell(&play);
                    played.push((at, play));
                }
                Err(fault) => std::panic::resume_unwind(fault.into_panic()),
            }
        }
        played.sort_by_key(|(at, _)| *at);
        played.into_iter().map(|(_, play)| play).collect()
    }
}

/// Plays a case; where times matter in it and it fails, once more with more of them.
pub async fn verdict(case: &Case, command: &[String], patience: Duration) -> Verdict<Failure> {
    let settings = |factor| Settings { scale: Scale::divided_by(factor), patience };
    let first = match play(case, command, settings(FASTER)).await {
        Ok(Outcome::Passed) => return Verdict::Passed,
        Ok(Outcome::Skipped(reason)) => return Verdict::Skipped(reason),
        Err(failure) => failure,
    };
    let times = case.options.iter().any(|(_, setting)| matches!(setting, Setting::Time(_)))
        || case.steps.iter().any(|step| matches!(step.action, Action::Pass(_)));
    if !times {
        return Verdict::Failed(first);
    }
    match play(case, command, settings(SLOWER_AGAIN)).await {
        Ok(Outcome::Passed) => Verdict::PassedSlower(first),
        Ok(Outcome::Skipped(reason)) => Verdict::Skipped(reason),
        Err(failure) => Verdict::Failed(failure),
    }
}
