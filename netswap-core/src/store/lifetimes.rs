//! What ends when: a queue of deadlines.

use alloc::collections::BTreeSet;

use super::slab::Slot;
use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// What has an entry in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mortal {
    /// One record, at the end of its time to live: before all others of the same moment.
    Ttl(Pointer),
    /// What an owner left when it came back too late, the oldest first.
    Estate { number: u32, slot: Slot },
    /// The records of an owner that is gone, from when the first of them ends.
    Owner(Owner),
    /// One record that came to an owner that was gone, at the end of its grace.
    Record(Pointer),
}

/// The deadlines, soonest first.
#[derive(Debug)]
pub(super) struct Lifetimes {
    queue: BTreeSet<(Instant, Mortal)>,
    /// The moment of the first entry, which every request looks at.
    next: Instant,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { queue: BTreeSet::new(), next: Instant::NEVER }
    }
}

impl Lifetimes {
    pub(super) fn set(&mut self, deadline: Instant, mortal: Mortal) {
        self.queue.insert((deadline, mortal));
        self.next = self.next.min(deadline);
    }

    pub(super) fn clear(&mut self, deadline: Instant, mortal: Mortal) {
        self.queue.remove(&(deadline, mortal));
        if deadline <= self.next {
            self.next = self.queue.first().map_or(Instant::NEVER, |(next, _)| *next);
        }
    }

    /// [Clears](Self::clear) what is probably the first entry, as that of a record is which ends: no search for it.
    pub(super) fn clear_first(&mut self, deadline: Instant, mortal: Mortal) {
        if self.queue.first() != Some(&(deadline, mortal)) {
            return self.clear(deadline, mortal);
        }
        self.queue.pop_first();
        self.next = self.queue.first().map_or(Instant::NEVER, |(next, _)| *next);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        (!self.queue.is_empty()).then_some(self.next)
    }

    /// Whether something is due: a deadline is a moment at which the thing is already gone.
    #[inline]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// What is due, the first first.
    pub(super) fn due(&self, now: Instant) -> impl Iterator<Item = Mortal> {
        let due = self.queue.iter().take_while(move |(deadline, _)| *deadline <= now);
        due.map(|(_, mortal)| *mortal)
    }

    /// The first entry that is due, which stays until it is [cleared](Self::clear).
    pub(super) fn first_due(&self, now: Instant) -> Option<(Instant, Mortal)> {
        self.queue.first().copied().filter(|(deadline, _)| *deadline <= now)
    }
}
