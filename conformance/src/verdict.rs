//! How plays went.

use std::collections::BTreeMap;
use std::fmt;

/// How a case went, with what is known of a failure.
#[derive(Clone, Debug)]
pub enum Verdict<F> {
    /// Everything was as the case says.
    Passed,
    /// It was when the case was played again with more time, after this.
    PassedSlower(F),
    /// It was not.
    Failed(F),
    /// The case cannot be played here, for this reason.
    Skipped(String),
}

impl<F> Verdict<F> {
    /// The same, with something else known of a failure.
    pub fn map<G>(&self, tell: impl FnOnce(&F) -> G) -> Verdict<G> {
        match self {
            Self::Passed => Verdict::Passed,
            Self::PassedSlower(failure) => Verdict::PassedSlower(tell(failure)),
            Self::Failed(failure) => Verdict::Failed(tell(failure)),
            Self::Skipped(reason) => Verdict::Skipped(reason.clone()),
        }
    }
}

/// How many plays went how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Plays in which everything was as the case says.
    pub passed: usize,
    /// Of these, those that passed when they were played again with more time.
    pub passed_slower: usize,
    /// Plays in which it was not.
    pub failed: usize,
    /// Plays that were not possible, by reason.
    pub skipped: BTreeMap<String, usize>,
}

impl Summary {
    /// Counts plays.
    pub fn of<'a, F: 'a>(verdicts: impl IntoIterator<Item = &'a Verdict<F>>) -> Self {
        let mut summary = Self::default();
        for verdict in verdicts {
            match verdict {
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

    /// Whether nothing was played at all: then nothing is shown either.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.passed + self.failed == 0
    }

    /// Whether something was played, and nothing failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed == 0 && !self.is_nothing()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        let skipped: usize = self.skipped.values().sum();
        if skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        if self.passed_slower > 0 {
            write!(f, " ({} passed only with more time)", self.passed_slower)?;
        }
        self.skipped.iter().try_for_each(|(reason, count)| write!(f, "\n  {count} skipped: {reason}"))
    }
}
