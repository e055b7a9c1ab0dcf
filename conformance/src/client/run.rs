//! Plays many client cases with one driver, and tells how they went.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::case::{Action, Case, Setting};
use super::play::{Failure, Outcome, Settings, play};
use crate::run::Summary;
use crate::text::Scale;

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

/// How a case went.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The client did what the case says.
    Passed,
    /// It did when the case was played again with more time, after this.
    PassedSlower(Failure),
    /// It did not.
    Failed(Failure),
    /// The driver says that its client does not have what the case needs.
    Skipped(String),
}

/// A case that was played, or could not be.
#[derive(Clone, Debug)]
pub struct Played {
    /// The case.
    pub case: Arc<Case>,
    /// How it went.
    pub verdict: Verdict,
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
pub async fn verdict(case: &Case, command: &[String], patience: Duration) -> Verdict {
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

/// Counts what was played.
#[must_use]
pub fn summary(played: &[Played]) -> Summary {
    let mut summary = Summary::default();
    for play in played {
        match &play.verdict {
            Verdict::Passed => summary.passed += 1,
            Verdict::PassedSlower(_) => {
                summary.passed += 1;
                summary.passed_slower += 1;
            }
            Verdict::Failed(_) => summary.failed += 1,
            Verdict::Skipped(reason) => *summary.skipped.entry(reason.clone()).or_default() += 1,
        }
    }
    summary
}

/// Writes what was played as JUnit XML: one suite, a test for every case.
///
/// # Errors
///
/// It cannot be written.
pub fn write_junit(played: &[Played], command: &[String], to: impl io::Write) -> Result<(), SerializeError> {
    let program = command.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let name = program.to_string_lossy();
    let mut suite = TestSuite::new(name.clone());
    for Played { case, verdict, took } in played {
        let status = match verdict {
            Verdict::Passed | Verdict::PassedSlower(_) => TestCaseStatus::success(),
            Verdict::Failed(failure) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(failure.problem.lines().next().unwrap_or_default());
                status.set_description(failure.to_string());
                status
            }
            Verdict::Skipped(reason) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(reason.clone());
                status
            }
        };
        let mut test = TestCase::new(format!("{} {}", case.id, case.title), status);
        test.set_classname(format!("{name}.{}", case.id)).set_time(*took);
        if let Verdict::PassedSlower(failure) = verdict {
            test.set_system_out(format!("passed only with more time; at first:\n{failure}"));
        }
        suite.add_test_case(test);
    }
    let mut report = Report::new("netswap conformance");
    report.add_test_suite(suite);
    report.serialize(to)
}
