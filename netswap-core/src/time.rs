//! Time as the core sees it: a number that the caller passes in.

use core::ops::Add;
use core::time::Duration;

/// A moment, as nanoseconds since a start that the caller chose once.
///
/// The core has no clock: every call that depends on time takes an `Instant`. Moments must not go
/// backwards from call to call on one object. Sums saturate at about 584 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The start.
    pub const ZERO: Self = Self(0);

    /// Later than all others: what has no deadline has this one.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// The moment this long after the start.
    #[must_use]
    pub fn after_start(elapsed: Duration) -> Self {
        Self(nanoseconds(elapsed))
    }

    /// How long this moment is after the start.
    #[must_use]
    pub fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long this moment is after `earlier`; zero where it is not.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment this much earlier; the start where there is none.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(duration)))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanoseconds(duration)))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The earlier of two deadlines, of which either may be missing.
pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_so_far_from_the_start_and_from_each_other() {
        let [early, late] = [3, 5].map(|seconds| Instant::after_start(Duration::from_secs(seconds)));
        assert_eq!(
            (early.since_start(), late.since_start()),
            (Duration::from_secs(3), Duration::from_secs(5))
        );
        assert_eq!(late.saturating_since(early), Duration::from_secs(2));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
        assert_eq!(late.saturating_sub(Duration::from_secs(2)), early);
        assert_eq!(early.saturating_sub(Duration::from_secs(4)), Instant::ZERO);
        assert_eq!(early + Duration::from_secs(2), late);
    }
}
