//! When owners were away, as long as something is due from before they came back.
//!
//! What goes to an heir does so as of the moment at which its grace ended. Where that is done late, the heir may have come and
//! gone since, and what it would have got may have ended meanwhile.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::time::Instant;
use crate::types::Owner;

/// So many absences are forgotten for each that is not noted.
const FORGOTTEN: usize = 4;

/// Absences, by who was away and until when: since when.
#[derive(Debug, Default)]
pub(super) struct Absences {
    all: BTreeMap<(Owner, Instant), Instant>,
    /// Those that are as long as the shortest grace.
    long: BTreeMap<(Owner, Instant), Instant>,
}

impl Absences {
    /// An owner has come at a moment, having left at another. No grace is shorter than `shortest`, but there may be none.
    pub(super) fn note(&mut self, owner: Owner, (came, left): (Instant, Instant), shortest: Duration) {
        self.all.insert((owner, came), left);
        if left + shortest <= came {
            self.long.insert((owner, came), left);
        }
    }

    /// Nothing is due: some are forgotten, and with time all.
    pub(super) fn forget_some(&mut self) {
        for _ in 0..FORGOTTEN {
            self.all.pop_first();
            self.long.pop_first();
        }
    }

    /// Whether a record that came to an owner at a moment ended with its grace while the owner was away.
    pub(super) fn outlast(&self, owner: Owner, then: Instant, grace: Duration) -> bool {
        let ended = |((_, came), left): (&(Owner, Instant), &Instant)| then.max(*left) + grace <= *came;
        let since = (owner, then)..=(owner, Instant::NEVER);
        // Without any grace it ended in the first absence; with one, only in that or in a long one.
        self.all.range(since.clone()).next().is_some_and(ended) || self.long.range(since).any(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn what_came_ends_in_an_absence_that_is_as_long_as_its_grace() {
        let [one, two] = [1, 2].map(|hash| Owner::new(hash).unwrap());
        let (mut absences, second) = (Absences::default(), Duration::from_secs(1));
        for absence in [(at(10), at(5)), (at(21), at(20)), (at(21) + second / 2, at(21)), (at(40), at(30))] {
            absences.note(one, absence, second);
        }
        let outlasts = |owner, then, grace| absences.outlast(owner, at(then), Duration::from_secs(grace));
        // Within the first absence, between two, and after the last.
        assert_eq!(
            [1, 3, 4, 7, 10, 11].map(|grace| outlasts(one, 7, grace)),
            [true, true, true, true, true, false]
        );
        assert_eq!([0, 1, 2, 10].map(|grace| outlasts(one, 15, grace)), [true; 4]);
        assert_eq!([0, 9, 10, 11].map(|grace| outlasts(one, 31, grace)), [true, true, false, false]);
        assert!(!outlasts(one, 41, 0) && !outlasts(two, 7, 0));
        (0..4).for_each(|_| absences.forget_some());
        assert!(absences.all.is_empty() && absences.long.is_empty());
    }
}
