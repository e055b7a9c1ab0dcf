//! What the steps of the clients in other languages share: the programs that they are tested against, and the line in
//! which their tests sum up.

use std::process::Command;

use anyhow::{Error, Result, anyhow};

use crate::{
    command,
    tally::{Tally, Verdict},
    workspace::Workspace,
};

/// Builds the server and the conformance suite, and names them to `tests` as NETSWAP_BIN and NETSWAP_CONFORMANCE.
pub(crate) fn with_programs(workspace: &Workspace, tests: &mut Command) -> Result<()> {
    let [server, suite] = workspace.programs(["netswap", "conformance"])?;
    tests.env("NETSWAP_BIN", server).env("NETSWAP_CONFORMANCE", suite);
    Ok(())
}

/// Runs the tests of the wrapper `name`, and takes their counts from the line in which they sum up. Without that line
/// nobody knows what was tested, so that it is a failure.
pub(crate) fn run(name: &str, tests: &mut Command) -> Verdict {
    let mut counted = None;
    let status = command::tee(tests, |line| counted = summary(name, line).or(counted));
    let mut tally = counted.unwrap_or_default();
    let problem = match status {
        Err(problem) => Some(problem),
        Ok(_) if tally.failed > 0 => Some(anyhow!("{tally}")),
        Ok(status) if !status.success() => Some(anyhow!("the tests failed ({status})")),
        Ok(_) => uncounted(name, counted),
    };
    if problem.is_some() && tally.failed == 0 {
        tally += Tally::FAILED;
    }
    Verdict { tally, problem }
}

/// The problem of tests that pass and do not say what they tested.
fn uncounted(name: &str, counted: Option<Tally>) -> Option<Error> {
    match counted {
        None => Some(anyhow!("the tests printed no line `{name}: N tests passed, N failed; ...`")),
        Some(tally) if tally.passed == 0 => Some(anyhow!("no test ran")),
        Some(_) => None,
    }
}

/// Reads the line in which the wrapper `name` sums up, and nothing from any other line:
/// `node: 63 tests passed, 0 failed; conformance: 227 passed, 0 failed, 1 skipped`. Every part must have its counts.
fn summary(name: &str, line: &str) -> Option<Tally> {
    let parts = line.strip_prefix(name)?.strip_prefix(": ")?;
    let mut total = Tally::default();
    for part in parts.split("; ") {
        total += counts(part.split_once(": ").map_or(part, |(_, counts)| counts))?;
    }
    Some(total)
}

/// Reads `63 tests passed, 0 failed, 2 skipped`, where only what was skipped may be missing. A remark in brackets may
/// follow.
fn counts(part: &str) -> Option<Tally> {
    let counts = part.split_once(" (").map_or(part, |(counts, _)| counts);
    let (mut passed, mut failed, mut skipped) = (None, None, None);
    for count in counts.split(", ") {
        let (number, what) = count.split_once(' ')?;
        let of = match what.strip_prefix("tests ").unwrap_or(what) {
            "passed" => &mut passed,
            "failed" => &mut failed,
            "skipped" => &mut skipped,
            _ => return None,
        };
        *of = Some(number.parse().ok()?);
    }
    Some(Tally { passed: passed?, failed: failed?, skipped: skipped.unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_summary_add_up() {
        let lines = [
            ("node: 63 tests passed, 0 failed; conformance: 228 passed, 0 failed", [291, 0, 0]),
            (
                "node: 60 tests passed, 2 failed, 1 skipped; conformance: 227 passed, 1 failed, 3 skipped",
                [287, 3, 4],
            ),
            (
                "node: 1 tests passed, 0 failed; conformance: 9 passed, 0 failed (2 passed only with more time)",
                [10, 0, 0],
            ),
            ("node: 0 tests passed, 0 failed", [0, 0, 0]),
        ];
        for (line, [passed, failed, skipped]) in lines {
            assert_eq!(summary("node", line), Some(Tally { passed, failed, skipped }), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_summary_counts_nothing() {
        for line in [
            "",
            "node: ",
            "nodes: 63 tests passed, 0 failed",
            "csharp: 63 tests passed, 0 failed",
            " node: 63 tests passed, 0 failed",
            "node: 63 tests passed",
            "node: many tests passed, 0 failed",
            "node: 63 tests passed, -1 failed",
            "node: 99999999999999999999 tests passed, 0 failed",
            "node: 63 tests passed, 0 failed; the conformance suite did not run",
            "node: 63 tests passed, 0 failed; conformance: 228 passed",
            "node: 63 tests passed, 0 failed, 1 forgotten",
        ] {
            assert_eq!(summary("node", line), None, "{line:?}");
        }
    }

    #[test]
    fn tests_that_do_not_say_what_they_tested_have_failed() {
        assert!(uncounted("node", None).is_some());
        assert!(uncounted("node", Some(Tally::default())).is_some());
        assert!(uncounted("node", Some(Tally::PASSED)).is_none());
    }
}
