//! The result of a run as JUnit XML.

use std::io;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::report;
use crate::run::Played;
use crate::server::play::Verdict;

/// Writes what was played: a suite for every server, a test for every play.
///
/// # Errors
///
/// It cannot be written.
pub fn write(played: &[Played], seed: u64, to: impl io::Write) -> Result<(), quick_junit::SerializeError> {
    let mut report = Report::new("netswap conformance");
    for plays in played.chunk_by(|one, other| one.server == other.server) {
        let Some(first) = plays.first() else { continue };
        let server = first.server.name();
        let mut suite = TestSuite::new(&server);
        suite.add_test_cases(plays.iter().map(|play| test(play, &server, seed)));
        report.add_test_suite(suite);
    }
    report.serialize(to)
}

fn test(play: &Played, server: &str, seed: u64) -> TestCase {
    let Played { case, mode, verdict, took, .. } = play;
    let mut slower = None;
    let status = match verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::PassedSlower(failure) => {
            slower = Some(report::failure(case, server, *mode, seed, failure));
            TestCaseStatus::success()
        }
        Verdict::Failed(failure) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(failure.problem.to_string());
            status.set_description(report::failure(case, server, *mode, seed, failure));
            status
        }
        Verdict::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
    };
    let mut test = TestCase::new(format!("{} {} ({})", case.id, case.title, mode.name()), status);
    test.set_classname(format!("{server}.{}", case.id)).set_time(*took);
    if let Some(slower) = slower {
        test.set_system_out(format!("passed only with more time; at first:\n{slower}"));
    }
    test
}
