//! Counts what passed and what failed.

use std::{fmt, ops::AddAssign};

use anyhow::Error;

/// How many checks passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Checks that passed.
    pub(crate) passed: u64,
    /// Checks that failed.
    pub(crate) failed: u64,
    /// Tests marked `#[ignore]`, and steps that lack something.
    pub(crate) skipped: u64,
}

impl Tally {
    /// One check that passed.
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    /// One check that failed.
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// Reads the line in which one test program sums up its run, and nothing from any other line:
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let count = |what: &str| {
            let words = counts.split(';').find_map(|part| part.trim().strip_suffix(what))?;
            words.split_whitespace().next_back()?.parse().ok()
        };
        Some(Self { passed: count(" passed")?, failed: count(" failed")?, skipped: count(" ignored")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// How a step went.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What the step adds to the total.
    pub(crate) tally: Tally,
    /// Why the step failed, if it did.
    pub(crate) problem: Option<Error>,
}

impl Verdict {
    /// One check that was not made, since something is missing for it.
    pub(crate) const SKIPPED: Self =
        Self { tally: Tally { passed: 0, failed: 0, skipped: 1 }, problem: None };
}

/// A step that is one check counts as one.
impl From<anyhow::Result<()>> for Verdict {
    fn from(result: anyhow::Result<()>) -> Self {
        let tally = if result.is_ok() { Tally::PASSED } else { Tally::FAILED };
        Self { tally, problem: result.err() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `cargo test --workspace --no-fail-fast` printed for a crate with one failing test, an ignored one
    /// and documentation tests of both kinds.
    const OUTPUT: &str = "
running 4 tests
test tests::fails ... FAILED
test tests::later ... ignored
test tests::one ... ok
test tests::two ... ok

failures:

---- tests::fails stdout ----

thread 'tests::fails' (7) panicked at src/lib.rs:9:5:
assertion failed: 1 passed; 0 failed; 0 ignored

failures:
    tests::fails

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 0 tests

test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 3 tests
test src/lib.rs - add (line 1) ... ok
test src/lib.rs - sub (line 7) ... ok
test src/lib.rs - run (line 13) - compile ... ok

test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

all doctests ran in 0.31s; merged doctests compilation took 0.29s

running 1 test
test src/lib.rs - no (line 19) - compile fail ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 12 filtered out; finished in 0.02s
";

    #[test]
    fn the_results_in_the_output_of_cargo_test_add_up() {
        let mut total = Tally::default();
        OUTPUT.lines().filter_map(Tally::parse).for_each(|result| total += result);
        assert_eq!(total, Tally { passed: 6, failed: 1, skipped: 1 });
        assert_eq!(total.to_string(), "6 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn what_is_no_result_counts_nothing() {
        for line in [
            "",
            "test result: ",
            "test result: ok.",
            "test result: ok. many passed; 0 failed; 0 ignored",
            "test result: ok. 3 passed; 0 failed",
            "test result: ok. 99999999999999999999 passed; 0 failed; 0 ignored",
            "  test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test test_result ... ok",
        ] {
            assert_eq!(Tally::parse(line), None, "{line:?}");
        }
    }
}
