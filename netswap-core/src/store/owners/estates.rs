//! Records that were due, or may have been, when their owner came back (docs/PROTOCOL.md §6.3).

use alloc::vec::Vec;

use super::super::lifetimes::{Lifetimes, Mortal};
use super::super::list::List;
use super::super::records::Records;
use super::super::slab::Slot;
use super::holdings::{Holdings, unqueue};
use super::{Owners, clear_deadline};
use crate::time::Instant;
use crate::types::Owner;

impl Owners {
    /// Whether records of an owner that is gone may be due.
    pub(in crate::store) fn is_behind(&self, owner: Owner, now: Instant) -> bool {
        let holdings = self.find(owner).and_then(|slot| self.holdings.get(slot));
        holdings.is_some_and(|holdings| holdings.is_behind(now))
    }

    /// The records that came to an owner since it left, if they are no more than `most`: they are about to be
    /// [settled](super::Store::settle).
    pub(in crate::store) fn take_late(&mut self, owner: Owner, most: u32, records: &Records) -> Vec<Slot> {
        let slot = self.find(owner);
        let Some(holdings) = slot.and_then(|slot| self.holdings.get_mut(slot)) else { return Vec::new() };
        if holdings.late > most {
            return Vec::new();
        }
        holdings.late_from = Instant::NEVER;
        let [_, own_grace, late] = &holdings.lists;
        let last = |list: &List| list.iter_back(records).take(holdings.late as usize).collect::<Vec<_>>();
        [last(own_grace), last(late)].concat()
    }

    /// Leaves an owner's records behind in an estate. Where the owner is now.
    pub(super) fn leave_behind(&mut self, slot: Slot, now: Instant, lifetimes: &mut Lifetimes) -> Slot {
        self.holdings.forget_name(slot);
        let Some(estate) = self.holdings.get_mut(slot) else { return slot };
        let since = estate.queued.min(estate.late_from).min(now);
        unqueue(estate, lifetimes);
        estate.came = now;
        let holdings = Holdings {
            connections: core::mem::take(&mut estate.connections),
            bytes: estate.bytes,
            records: estate.records,
            left: estate.left,
            predecessor: Some(slot),
            ..Holdings::new(estate.owner)
        };
        self.estates += 1;
        self.last_estate = self.last_estate.wrapping_add(1);
        lifetimes.set(since, Mortal::Estate { number: self.last_estate, slot });
        let successor = self.holdings.insert(holdings);
        if let Some(estate) = self.holdings.get_mut(slot) {
            estate.successor = Some(successor);
        }
        successor
    }

    /// The next record of an estate, and until when it is one. With the last one it ends.
    pub(in crate::store) fn next_of_estate(&mut self, slot: Slot) -> Option<(Slot, Instant)> {
        let estate = self.holdings.get(slot)?;
        let record = estate.lists.iter().find_map(List::first);
        if record.is_none() {
            if let Some(successor) = estate.successor.and_then(|slot| self.holdings.get_mut(slot))
                && successor.predecessor == Some(slot)
            {
                successor.predecessor = None;
            }
            self.holdings.remove(slot);
            self.estates -= 1;
        }
        Some((record?, self.holdings.get(slot)?.came))
    }

    /// A record has not ended when its deadline said so, or not with the estate in which it is: it gets to where its owner is
    /// now, if it is in an estate, and has a deadline of its own no more, otherwise.
    pub(in crate::store) fn keep(&mut self, record: Slot, lifetimes: &mut Lifetimes, records: &mut Records) {
        let holdings = records.get(record).and_then(|record| self.holdings.get(record.owner));
        let Some(holdings) = holdings else { return };
        let more = records.more(record);
        let own = more.and_then(|more| more.deadline).unwrap_or(Instant::ZERO);
        let deadline = own.max(holdings.left + self.grace_of(more));
        if let Some(successor) = holdings.successor
            && deadline > holdings.came
        {
            let came = holdings.came;
            self.take_out(record, lifetimes, records);
            self.add(successor, record, came, lifetimes, records);
        } else {
            clear_deadline(record, lifetimes, records);
        }
    }
}
