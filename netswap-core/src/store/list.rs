//! The records of one owner, in a list that goes through them.

use super::records::Records;
use super::slab::Slot;

/// The ends of a list of records. A record is in one list at most.
#[derive(Debug, Default)]
pub(super) struct List {
    first: Option<Slot>,
    last: Option<Slot>,
}

/// A record's neighbours in its list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    previous: Option<Slot>,
    next: Option<Slot>,
}

impl Links {
    /// The neighbours.
    pub(super) fn both(self) -> [Option<Slot>; 2] {
        [self.previous, self.next]
    }
}

impl List {
    /// The record that was pushed before all others.
    pub(super) fn first(&self) -> Option<Slot> {
        self.first
    }

    /// Whether a record is the first or the last one.
    pub(super) fn ends_with(&self, slot: Slot) -> bool {
        self.first == Some(slot) || self.last == Some(slot)
    }

    /// The slots in the list, in the order in which they were pushed.
    pub(super) fn iter(&self, records: &Records) -> impl Iterator<Item = Slot> {
        core::iter::successors(self.first, |slot| records.get(*slot)?.links.next)
    }

    /// The slots in the list, the latest first.
    pub(super) fn iter_back(&self, records: &Records) -> impl Iterator<Item = Slot> {
        core::iter::successors(self.last, |slot| records.get(*slot)?.links.previous)
    }

    /// Takes all records of another list, behind its own, in one step.
    pub(super) fn append(&mut self, other: Self, records: &mut Records) {
        let (Some(first), Some(last)) = (other.first, other.last) else { return };
        let previous = self.last.replace(last);
        if let Some(record) = records.get_mut(first) {
            record.links.previous = previous;
        }
        *self.after(previous, records) = Some(first);
    }

    /// Adds a record, which must be in no list, at the end.
    pub(super) fn push(&mut self, slot: Slot, records: &mut Records) {
        let previous = self.last.replace(slot);
        if let Some(record) = records.get_mut(slot) {
            record.links = Links { previous, next: None };
        }
        *self.after(previous, records) = Some(slot);
    }

    /// Takes out a record, which must be in this list; one that is neither its first nor its last may be in any.
    pub(super) fn remove(&mut self, slot: Slot, records: &mut Records) {
        let Some(record) = records.get_mut(slot) else { return };
        let Links { previous, next } = core::mem::take(&mut record.links);
        *self.after(previous, records) = next;
        *self.before(next, records) = previous;
    }

    /// A record of the list is at another slot now.
    pub(super) fn moved(&mut self, to: Slot, records: &mut Records) {
        let Some(record) = records.get(to) else { return };
        let Links { previous, next } = record.links;
        *self.after(previous, records) = Some(to);
        *self.before(next, records) = Some(to);
    }

    /// What says what comes after a record, or comes first.
    fn after<'a>(&'a mut self, previous: Option<Slot>, records: &'a mut Records) -> &'a mut Option<Slot> {
        match previous.and_then(|slot| records.get_mut(slot)) {
            Some(record) => &mut record.links.next,
            None => &mut self.first,
        }
    }

    /// What says what comes before a record, or comes last.
    fn before<'a>(&'a mut self, next: Option<Slot>, records: &'a mut Records) -> &'a mut Option<Slot> {
        match next.and_then(|slot| records.get_mut(slot)) {
            Some(record) => &mut record.links.previous,
            None => &mut self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec;
    use alloc::vec::Vec;

    use foldhash::fast::FixedState;
    use proptest::prelude::*;

    use super::*;
    use crate::memory::{Budget, Kept};
    use crate::store::record::Record;
    use crate::types::{Access, Pointer, Version};

    fn insert(records: &mut Records, n: u64) -> Slot {
        let owner = Slot::new(0);
        records.insert(Record::new(Pointer(n), owner, Access::READ, Version::FIRST, Kept::default()))
    }

    /// What is in the list, which is the same from either end.
    fn slots(list: &List, records: &Records) -> Vec<Slot> {
        let mut backwards: Vec<Slot> = list.iter_back(records).collect();
        backwards.reverse();
        let slots: Vec<Slot> = list.iter(records).collect();
        assert_eq!((&slots, list.first()), (&backwards, slots.first().copied()));
        assert!(slots.first().into_iter().chain(slots.last()).all(|slot| list.ends_with(*slot)));
        slots
    }

    #[test]
    fn records_are_taken_out_anywhere() {
        let mut records = Records::new(FixedState::with_seed(7), Arc::new(Budget::new(1 << 30, 0, 0)));
        let all: Vec<Slot> = (1..=5).map(|n| insert(&mut records, n)).collect();
        let mut list = List::default();
        assert!(slots(&list, &records).is_empty());
        all.iter().for_each(|slot| list.push(*slot, &mut records));
        assert_eq!(slots(&list, &records), all);
        // In the middle, the first, the last, and then the only one.
        let mut left = all.clone();
        for gone in [2, 0, 4, 1, 3].map(|at: usize| all[at]) {
            list.remove(gone, &mut records);
            left.retain(|slot| *slot != gone);
            assert_eq!(slots(&list, &records), left);
        }
        list.push(all[2], &mut records);
        assert_eq!(slots(&list, &records), vec![all[2]]);
    }

    proptest! {
        /// Records come into one of three lists, go from one to another, and end.
        #[test]
        fn every_record_is_in_its_list(
            steps in proptest::collection::vec((0..3_usize, 0..5_usize, any::<prop::sample::Index>()), 0..200)
        ) {
            let mut records = Records::new(FixedState::with_seed(7), Arc::new(Budget::new(1 << 30, 0, 0)));
            let mut lists: [List; 3] = Default::default();
            let mut model: [Vec<Slot>; 3] = Default::default();
            for (n, (from, to, index)) in steps.into_iter().enumerate() {
                if to == 4 {
                    // All of one list go to the first one.
                    let (list, mut slots) = (core::mem::take(&mut lists[from]), core::mem::take(&mut model[from]));
                    lists[0].append(list, &mut records);
                    model[0].append(&mut slots);
                    continue;
                }
                let slot = if model[from].is_empty() || from == to {
                    insert(&mut records, n as u64)
                } else {
                    let slot = model[from].remove(index.index(model[from].len()));
                    lists[from].remove(slot, &mut records);
                    slot
                };
                match lists.get_mut(to) {
                    Some(list) => {
                        list.push(slot, &mut records);
                        model[to].push(slot);
                    }
                    None => prop_assert!(records.remove(slot).is_some()),
                }
                while records.is_sparse() {
                    if let Some((from, to)) = records.shrink() {
                        let mut all = lists.iter_mut().zip(&mut model);
                        let (list, slots) = all.find(|(_, slots)| slots.contains(&from)).unwrap();
                        list.moved(to, &mut records);
                        slots.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
                    }
                }
                for (list, model) in lists.iter().zip(&model) {
                    prop_assert_eq!(&slots(list, &records), model);
                }
                prop_assert_eq!(records.len(), model.iter().map(Vec::len).sum::<usize>());
            }
        }
    }
}
