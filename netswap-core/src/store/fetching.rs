//! Looking at many records before any of them ends.
//!
//! What a record that ends needs lies in a dozen places that the processor's caches mostly do not have: its entries in two
//! indexes, its slot, what more there is of it, its data, its neighbours. Each is known only when the one before it has come,
//! so one record after another takes a microsecond, most of which is waiting. Looked at in stages, all records of a portion in
//! each, they come a dozen at a time.

use core::hint::black_box;

use super::Store;
use super::lifetimes::Mortal;
use super::records::Records;
use super::slab::Slot;
use crate::time::Instant;
use crate::types::Pointer;

/// Records that are looked at ahead: those of a portion.
const AHEAD: usize = super::PORTION as usize;

impl Store {
    /// Looks at the records that end next. Those that end with their owner's absence lie in the order of their making, and so
    /// mostly together: they gain little.
    pub(super) fn fetch_due(&self, now: Instant) {
        let pointer = |mortal| match mortal {
            Mortal::Ttl(pointer) | Mortal::Record(pointer) => Some(pointer),
            Mortal::Owner(_) | Mortal::Estate { .. } => None,
        };
        match self.lifetimes.first_due(now) {
            Some((_, Mortal::Owner(owner))) => self.records.fetch(self.owners.own_grace_of(owner)),
            _ => self.records.fetch(self.lifetimes.due(now).map_while(pointer)),
        }
    }
}

impl Records {
    /// Looks at records that are about to end.
    fn fetch(&self, pointers: impl Iterator<Item = Pointer>) {
        let mut slots = [None; AHEAD];
        let mut count = 0;
        for (slot, pointer) in slots.iter_mut().zip(pointers) {
            *slot = self.find(pointer);
            count += 1;
        }
        if count > 1 {
            self.fetch_at(slots[..count].iter().flatten().copied());
        }
    }

    /// Looks at the records in the last slots, of which some are about to [move](Self::shrink).
    pub(super) fn fetch_last(&self) {
        if !self.is_sparse() {
            return;
        }
        let slots = self.slots();
        let goes = (slots - (2 * self.len() as u32).min(slots)).min(2 * AHEAD as u32);
        if goes > 2 {
            for slot in (slots - goes..slots).map(Slot::new) {
                black_box(self.get(slot).map(|record| self.find(record.pointer)));
                black_box(self.more(slot).is_some());
            }
        }
    }

    fn fetch_at(&self, slots: impl Iterator<Item = Slot> + Clone) {
        let mut all = [None; AHEAD];
        for (more, slot) in all.iter_mut().zip(slots.clone()) {
            *more = self.more(slot);
        }
        for record in slots.filter_map(|slot| self.get(slot)) {
            let neighbour = |slot: Option<Slot>| slot.and_then(|slot| self.get(slot)).map(|it| it.pointer);
            black_box((record.links.both().map(neighbour), record.data.first()));
        }
        for more in all.into_iter().flatten() {
            black_box((more.settings.ttl, more.counts(), more.charge.is_some()));
        }
    }
}
