//! What ends when: a queue of deadlines.

use alloc::collections::BTreeSet;

use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// What ends at a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mortal {
    /// One record, at the end of its time to live: before all others of the same moment.
    Ttl(Pointer),
    /// All records of an owner that is gone, but those that have deadlines of their own.
    Owner(Owner),
    /// One record, at the end of its grace.
    Record(Pointer),
}

/// The deadlines, soonest first.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    queue: BTreeSet<(Instant, Mortal)>,
}

impl Lifetimes {
    pub(super) fn set(&mut self, deadline: Instant, mortal: Mortal) {
        self.queue.insert((deadline, mortal));
    }

    pub(super) fn clear(&mut self, deadline: Instant, mortal: Mortal) {
        self.queue.remove(&(deadline, mortal));
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// The first that is due: a deadline is a moment at which the thing is already gone.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, Mortal)> {
        let due = *self.queue.first().filter(|(deadline, _)| *deadline <= now)?;
        self.queue.pop_first();
        Some(due)
    }
}
