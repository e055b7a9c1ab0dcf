//! All records, and what there is to know of few of them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::index::Index;
use super::record::{More, Record};
use super::slab::Slot;
use super::table::{Named, Table};
use crate::config::SETTINGS_COST;
use crate::memory::{Budget, Charge};
use crate::types::Pointer;

/// The most records: their slots are 32 bits wide, and so are those of owners, of which not every one has a record.
const MOST: usize = 1 << 31;

/// The records. What most of them do not have takes no room in them.
#[derive(Debug)]
pub(super) struct Records {
    budget: Arc<Budget>,
    table: Table<Record>,
    more: Index<(Slot, Box<More>)>,
    hasher: FixedState,
    /// How often a record was looked at.
    #[cfg(test)]
    pub(super) looks: core::cell::Cell<usize>,
    /// How many there may be.
    pub(super) most: usize,
}

impl Named for Record {
    type Name = Pointer;

    fn name(&self) -> Pointer {
        self.pointer
    }
}

impl Records {
    pub(super) fn new(hasher: FixedState, budget: Arc<Budget>) -> Self {
        Self {
            budget,
            table: Table::new(hasher.clone()),
            more: Index::new(),
            hasher,
            #[cfg(test)]
            looks: core::cell::Cell::new(0),
            most: MOST,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The number of slots: those below it may be taken.
    pub(super) fn slots(&self) -> u32 {
        self.table.slots()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    #[inline(always)]
    pub(super) fn find(&self, pointer: Pointer) -> Option<Slot> {
        self.table.find(pointer)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.table.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        #[cfg(test)]
        self.looks.set(self.looks.get() + 1);
        self.table.get_mut(slot)
    }

    /// Adds a record with a pointer that no record has.
    pub(super) fn insert(&mut self, record: Record) -> Slot {
        self.table.insert(record)
    }

    /// Removes a record with all that is known of it.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<(Record, Option<Box<More>>)> {
        let record = self.table.remove(slot)?;
        let more = record.has_more.then(|| self.forget(slot)).flatten();
        Some((record, more))
    }

    /// Whether [`free_some`](Self::free_some) is due.
    pub(super) fn has_spare(&self) -> bool {
        self.table.has_spare()
    }

    /// Frees some room that records have left.
    pub(super) fn free_some(&mut self) {
        self.table.free_some();
    }

    /// Whether [`shrink`](Self::shrink) is due.
    pub(super) fn is_sparse(&self) -> bool {
        self.table.is_sparse()
    }

    /// Gives up a slot. A record that was there is elsewhere now, of which its owner is to be [told](super::owners::Owners::moved):
    /// from where, and to where.
    pub(super) fn shrink(&mut self) -> Option<(Slot, Slot)> {
        let (from, to) = self.table.shrink()?;
        if self.get(to).is_some_and(|record| record.has_more)
            && let Some(more) = self.forget(from)
        {
            self.remember(to, more);
        }
        Some((from, to))
    }

    /// What more there is to know of a record.
    pub(super) fn more(&self, slot: Slot) -> Option<&More> {
        self.get(slot).filter(|record| record.has_more)?;
        let (_, more) = self.more.find(self.hasher.hash_one(slot), |(it, _)| *it == slot)?;
        Some(more)
    }

    /// A record, and what more there is to know of it, of which some must be left.
    pub(super) fn more_mut(&mut self, slot: Slot) -> Option<(&Record, &mut More)> {
        let record = self.table.get(slot).filter(|record| record.has_more)?;
        let (_, more) = self.more.find_mut(self.hasher.hash_one(slot), |(it, _)| *it == slot)?;
        Some((record, more))
    }

    /// Changes a record and what more there is to know of it. There need be nothing, before or after.
    pub(super) fn edit<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Record, &mut More) -> R,
    ) -> Option<R> {
        let record = self.table.get_mut(slot)?;
        if !record.has_more {
            let mut more = More::default();
            let done = change(record, &mut more);
            charge(&mut more, &self.budget);
            record.has_more = !more.is_empty();
            if record.has_more {
                self.remember(slot, Box::new(more));
            }
            return Some(done);
        }
        let (_, more) = self.more.find_mut(self.hasher.hash_one(slot), |(it, _)| *it == slot)?;
        let done = change(record, more);
        charge(more, &self.budget);
        record.has_more = !more.is_empty();
        if !record.has_more {
            self.forget(slot);
        }
        Some(done)
    }

    /// [Changes](Self::edit) a record if there is more to know of it.
    pub(super) fn edit_any<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Record, &mut More) -> R,
    ) -> Option<R> {
        self.get(slot).filter(|record| record.has_more)?;
        self.edit(slot, change)
    }

    fn remember(&mut self, slot: Slot, more: Box<More>) {
        let hasher = &self.hasher;
        self.more.insert(hasher.hash_one(slot), (slot, more), |(slot, _)| hasher.hash_one(slot));
    }

    fn forget(&mut self, slot: Slot) -> Option<Box<More>> {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(slot);
        let removed = self.more.remove(hash, |(it, _)| *it == slot, |(slot, _)| hasher.hash_one(slot));
        removed.map(|(_, more)| more)
    }
}

/// Counts what a record has of settings and deadlines, or counts it no more.
fn charge(more: &mut More, budget: &Arc<Budget>) {
    if !more.counts() {
        more.charge = None;
    } else if more.charge.is_none() {
        more.charge = Some(Charge::new(budget, SETTINGS_COST));
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::memory::Kept;
    use crate::time::Instant;
    use crate::types::{Access, Owner, Version};

    fn records() -> Records {
        Records::new(FixedState::with_seed(7), Arc::new(Budget::new(1 << 30, 0, 0)))
    }

    fn insert(records: &mut Records, n: u64) -> Slot {
        let record = Record::new(Pointer(n), Slot::new(0), Access::READ, Version(n), Kept::default());
        records.insert(record)
    }

    #[test]
    fn what_few_records_have_takes_room_only_while_they_have_it() {
        let mut records = records();
        let slot = insert(&mut records, 1);
        let has_more = |records: &Records| {
            let flag = records.get(slot).unwrap().has_more;
            assert_eq!((records.more(slot).is_some(), records.more.len()), (flag, usize::from(flag)));
            flag
        };
        assert!(!has_more(&records));
        assert_eq!(records.edit_any(slot, |_, _| ()), None);
        assert_eq!(
            records.edit(slot, |record, more| (record.pointer, more.is_empty())),
            Some((Pointer(1), true))
        );
        assert!(!has_more(&records));
        let (moment, heir) = (Instant::after_start(core::time::Duration::from_secs(1)), Owner::new(1));
        records.edit(slot, |_, more| more.deadline = Some(moment));
        assert!(has_more(&records));
        records.edit_any(slot, |_, more| more.settings.heir = heir).unwrap();
        let more = records.more(slot).unwrap();
        assert_eq!((more.deadline, more.settings.heir), (Some(moment), heir));
        assert_eq!(records.edit_any(slot, |_, more| more.deadline.take()), Some(Some(moment)));
        assert!(has_more(&records));
        assert_eq!(records.edit_any(slot, |_, more| more.settings.heir.take()), Some(heir));
        assert!(!has_more(&records));
        // Who gets the slot next gets nothing of it.
        records.edit(slot, |_, more| more.settings.heir = heir);
        let (record, more) = records.remove(slot).unwrap();
        assert_eq!((record.pointer, more.unwrap().settings.heir), (Pointer(1), heir));
        assert!(records.more(slot).is_none() && records.more.len() == 0 && records.remove(slot).is_none());
        assert_eq!(insert(&mut records, 2), slot);
        assert!(!has_more(&records));
        assert!(records.remove(slot).unwrap().1.is_none());
    }

    #[test]
    fn there_are_no_more_than_there_may_be() {
        let mut records = records();
        records.most = 2;
        let first = insert(&mut records, 1);
        assert!(!records.is_full());
        insert(&mut records, 2);
        assert!(records.is_full());
        records.remove(first);
        assert!(!records.is_full());
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..4, 1..40_u64), 0..300)) {
            let mut records = records();
            let mut model: BTreeMap<Pointer, (Slot, Option<Instant>)> = BTreeMap::new();
            let mut now = Instant::ZERO;
            for (step, n) in steps {
                let pointer = Pointer(n);
                now = now + core::time::Duration::from_secs(1);
                match (step, model.get_mut(&pointer)) {
                    (_, None) => {
                        let slot = insert(&mut records, n);
                        prop_assert!(model.values().all(|(it, _)| *it != slot));
                        model.insert(pointer, (slot, None));
                    }
                    (0, Some((slot, deadline))) => {
                        let (record, more) = records.remove(*slot).unwrap();
                        prop_assert_eq!((record.pointer, more.and_then(|it| it.deadline)), (pointer, *deadline));
                        model.remove(&pointer);
                    }
                    (1, Some((slot, deadline))) => {
                        let was = records.edit(*slot, |_, more| more.deadline.replace(now)).unwrap();
                        prop_assert_eq!(was, deadline.replace(now));
                    }
                    (2, Some((slot, deadline))) => {
                        let was = records.edit_any(*slot, |_, more| more.deadline.take());
                        prop_assert_eq!(was, deadline.take().map(Some));
                    }
                    (_, Some((slot, _))) => {
                        let version = &mut records.get_mut(*slot).unwrap().version;
                        *version = version.next();
                    }
                }
                while records.is_sparse() {
                    if let Some((from, to)) = records.shrink() {
                        model.values_mut().find(|(slot, _)| *slot == from).unwrap().0 = to;
                    }
                }
                for (pointer, (slot, deadline)) in &model {
                    prop_assert_eq!(records.find(*pointer), Some(*slot));
                    prop_assert_eq!(records.get(*slot).unwrap().pointer, *pointer);
                    prop_assert_eq!(records.more(*slot).map(|more| more.deadline), deadline.map(Some));
                }
                prop_assert_eq!(records.len(), model.len());
                prop_assert_eq!(records.more.len(), model.values().filter(|it| it.1.is_some()).count());
            }
            model.values().for_each(|(slot, _)| assert!(records.remove(*slot).is_some()));
            prop_assert!(records.len() == 0 && records.more.len() == 0);
        }
    }
}
