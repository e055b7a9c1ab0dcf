//! Things with a name each: found by it, and from then on by their slot.

use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::slab::{Slab, Slot};

/// What has a name that never changes.
pub(super) trait Named {
    type Name: Copy + Eq + Hash;

    fn name(&self) -> Self::Name;
}

/// A slab of things, and an index of their names that has no more than their slots in it.
#[derive(Debug)]
pub(super) struct Table<T> {
    slab: Slab<T>,
    index: HashTable<Slot>,
    hasher: FixedState,
}

impl<T: Named> Table<T> {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { slab: Slab::new(), index: HashTable::new(), hasher }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn find(&self, name: T::Name) -> Option<Slot> {
        let is_it = |slot: &Slot| self.slab.get(*slot).is_some_and(|thing| thing.name() == name);
        self.index.find(self.hasher.hash_one(name), is_it).copied()
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        self.slab.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.slab.get_mut(slot)
    }

    /// Adds a thing whose name nothing in the table has.
    pub(super) fn insert(&mut self, thing: T) -> Slot {
        let Self { slab, index, hasher } = self;
        let hash = hasher.hash_one(thing.name());
        let slot = slab.insert(thing);
        let hash_of = |slot: &Slot| slab.get(*slot).map_or(0, |thing| hasher.hash_one(thing.name()));
        index.insert_unique(hash, slot, hash_of);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let thing = self.slab.remove(slot)?;
        if let Ok(entry) = self.index.find_entry(self.hasher.hash_one(thing.name()), |it| *it == slot) {
            entry.remove();
        }
        if self.index.is_empty() {
            // There is nothing that would need a hash.
            self.index.shrink_to(Slab::<T>::SLOTS, |_| 0);
        }
        Some(thing)
    }
}
