//! What there is to know of one owner, or of one estate.

use alloc::sync::Arc;
use core::time::Duration;

use super::super::lifetimes::{Lifetimes, Mortal};
use super::super::list::List;
use super::super::slab::Slot;
use super::super::table::Named;
use crate::config::OWNER_COST;
use crate::memory::{Budget, Charge};
use crate::time::Instant;
use crate::types::{Owner, Pointer};

#[derive(Debug)]
pub(super) struct Holdings {
    pub(super) owner: Owner,
    /// Open connections.
    pub(super) connections: u32,
    /// Those of them that keep the records alive.
    pub(super) present: u32,
    /// What all records together count, those in estates of the owner too, and how many they are.
    pub(super) bytes: u64,
    pub(super) records: u32,
    /// The records, by their [`Kind`].
    pub(super) lists: [List; 3],
    /// When the owner left last; of an estate, when it came after that.
    pub(super) left: Instant,
    pub(super) came: Instant,
    /// The moment of the owner's entry in the queue.
    pub(super) queued: Instant,
    /// No record that came since the owner left ends before this, and how many came.
    pub(super) late_from: Instant,
    pub(super) late: u32,
    /// Since the owner left, it is known of its records with a grace of their own up to this one whether they end.
    pub(super) passed: (u32, Pointer),
    /// The estate from which records come here.
    pub(super) predecessor: Option<Slot>,
    /// This is an estate: where those go that outlived the owner's absence until it [came](Self::came).
    pub(super) successor: Option<Slot>,
    /// What the entry counts in the server's memory while it has records and no connection.
    pub(super) charge: Option<Charge>,
}

/// How it is found when a record ends.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// With all others of its kind, the default grace after its owner left.
    Ordinary,
    /// By its place in the set of those with a grace of their own; and by an entry of its own in the queue where it came
    /// while the owner was gone.
    OwnGrace,
    /// By an entry of its own: it came while the owner was gone. It is an ordinary one when the owner comes.
    Late,
}

impl Named for Holdings {
    type Name = Owner;

    fn name(&self) -> Owner {
        self.owner
    }
}

impl Holdings {
    pub(super) fn new(owner: Owner) -> Self {
        Self {
            owner,
            connections: 0,
            present: 0,
            bytes: 0,
            records: 0,
            lists: Default::default(),
            left: Instant::ZERO,
            came: Instant::ZERO,
            queued: Instant::NEVER,
            late_from: Instant::NEVER,
            late: 0,
            passed: (0, Pointer(0)),
            predecessor: None,
            successor: None,
            charge: None,
        }
    }

    /// Counts the entry of an owner that has records and no connection.
    #[inline]
    pub(super) fn count_absent(&mut self, budget: &Arc<Budget>) {
        if self.connections == 0 && self.records > 0 && self.charge.is_none() {
            self.charge = Some(Charge::new(budget, OWNER_COST));
        }
    }

    /// Whether there is nothing to be known of the owner any more.
    pub(super) fn is_idle(&self) -> bool {
        self.connections == 0 && self.records == 0
    }

    /// Whether the owner was gone for so long that something may have ended that an earlier estate of it holds. What
    /// has no grace at all ends with its estate.
    pub(super) fn outlasts(&self, shortest: Duration, now: Instant) -> bool {
        self.present == 0 && self.predecessor.is_some() && self.left + shortest <= now
    }

    /// Whether there are records of an owner that is gone of which some may be due.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        self.present == 0
            && self.queued.min(self.late_from) <= now
            && self.lists.iter().any(|list| list.first().is_some())
    }

    pub(super) fn list(&mut self, kind: Kind) -> &mut List {
        &mut self.lists[kind as usize]
    }

    /// The list in which a record is; any, where it is at neither end of it.
    pub(super) fn list_of(&mut self, record: Slot) -> &mut List {
        let [ordinary, own_grace, late] = &mut self.lists;
        if own_grace.ends_with(record) {
            own_grace
        } else if late.ends_with(record) {
            late
        } else {
            ordinary
        }
    }
}

/// Takes an owner out of the queue, where it is in it.
pub(super) fn unqueue(holdings: &mut Holdings, lifetimes: &mut Lifetimes) {
    let queued = core::mem::replace(&mut holdings.queued, Instant::NEVER);
    if queued != Instant::NEVER {
        lifetimes.clear(queued, Mortal::Owner(holdings.owner));
    }
}
