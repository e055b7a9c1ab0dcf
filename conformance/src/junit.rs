//! The result of a run as JUnit XML.

use std::io;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::verdict::Verdict;

/// A play, as JUnit tells of it.
pub struct Test<'a> {
    /// What was tested: those of one suite follow each other.
    pub suite: &'a str,
    /// The ID of the case.
    pub id: &'a str,
    /// What the play is called.
    pub name: String,
    /// How it went: of a failure, one line and all there is to say.
    pub verdict: Verdict<(String, String)>,
    /// How long it took.
    pub took: Duration,
}

/// Writes what was played: a suite for everything that was tested, a test for every play.
///
/// # Errors
///
/// It cannot be written.
pub fn write(tests: &[Test<'_>], to: impl io::Write) -> Result<(), SerializeError> {
    let mut report = Report::new("netswap conformance");
    for tests in tests.chunk_by(|one, other| one.suite == other.suite) {
        let Some(first) = tests.first() else { continue };
        let mut suite = TestSuite::new(first.suite);
        suite.add_test_cases(tests.iter().map(test));
        report.add_test_suite(suite);
    }
    report.serialize(to)
}

fn test(test: &Test<'_>) -> TestCase {
    let status = match &test.verdict {
        Verdict::Passed | Verdict::PassedSlower(_) => TestCaseStatus::success(),
        Verdict::Failed((line, all)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(line.clone());
            status.set_description(all.clone());
            status
        }
        Verdict::Skipped(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
    };
    let mut written = TestCase::new(test.name.clone(), status);
    written.set_classname(format!("{}.{}", test.suite, test.id)).set_time(test.took);
    if let Verdict::PassedSlower((_, all)) = &test.verdict {
        written.set_system_out(format!("passed only with more time; at first:\n{all}"));
    }
    written
}
