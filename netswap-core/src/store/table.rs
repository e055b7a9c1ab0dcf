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

/// Parts of an index: each doubles when it is full, so that nobody waits for all to be moved at once.
const PARTS: usize = 64;

/// An empty part keeps room for as many.
const KEPT: usize = 8;

/// A slab of things, and an index of their names that has no more than their slots in it.
#[derive(Debug)]
pub(super) struct Table<T> {
    slab: Slab<T>,
    index: [HashTable<Slot>; PARTS],
    hasher: FixedState,
}

impl<T: Named> Table<T> {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { slab: Slab::new(), index: [const { HashTable::new() }; PARTS], hasher }
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(super) fn find(&self, name: T::Name) -> Option<Slot> {
        let is_it = |slot: &Slot| self.slab.get(*slot).is_some_and(|thing| thing.name() == name);
        let hash = self.hasher.hash_one(name);
        self.index[part_of(hash)].find(hash, is_it).copied()
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
        index[part_of(hash)].insert_unique(hash, slot, hash_of);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let thing = self.slab.remove(slot)?;
        let hash = self.hasher.hash_one(thing.name());
        let part = &mut self.index[part_of(hash)];
        if let Ok(entry) = part.find_entry(hash, |it| *it == slot) {
            entry.remove();
        }
        if let Some(room) = less_room(part.len(), part.capacity(), KEPT) {
            let Self { slab, hasher, .. } = self;
            part.shrink_to(room, |slot| slab.get(*slot).map_or(0, |thing| hasher.hash_one(thing.name())));
        }
        Some(thing)
    }

    /// Whether [`shrink`](Self::shrink) is due.
    pub(super) fn is_sparse(&self) -> bool {
        self.slab.is_sparse()
    }

    /// Gives up a slot. A thing that was there is elsewhere now: from where, and to where.
    pub(super) fn shrink(&mut self) -> Option<(Slot, Slot)> {
        let (from, to) = self.slab.shrink()?;
        let hash = self.hasher.hash_one(self.slab.get(to)?.name());
        if let Some(slot) = self.index[part_of(hash)].find_mut(hash, |it| *it == from) {
            *slot = to;
        }
        Some((from, to))
    }
}

/// How much room to leave to a hash table of which less than a quarter is used, if it has more than about `least`.
pub(super) fn less_room(used: usize, room: usize, least: usize) -> Option<usize> {
    (room > 2 * least && used < room / 4).then(|| least.max(2 * used))
}

/// Where in the index a hash belongs, by bits of it that its part does not look at.
fn part_of(hash: u64) -> usize {
    (hash >> 40) as usize % PARTS
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Eight fit in a chunk.
    #[derive(Debug)]
    struct Large(u32, #[expect(dead_code)] [u64; 512]);

    impl Named for Large {
        type Name = u32;

        fn name(&self) -> u32 {
            self.0
        }
    }

    fn table() -> Table<Large> {
        Table::new(FixedState::with_seed(7))
    }

    #[test]
    fn a_thing_is_found_by_its_name() {
        let mut table = table();
        let [one, two] = [1, 2].map(|name| table.insert(Large(name, [0; 512])));
        assert_eq!((table.find(1), table.find(2), table.find(3)), (Some(one), Some(two), None));
        assert_eq!(table.remove(one).map(|it| it.0), Some(1));
        assert_eq!((table.find(1), table.find(2), table.len()), (None, Some(two), 1));
        assert!(table.remove(one).is_none() && table.get(one).is_none());
        // The slot is another's, under the name of before too.
        assert_eq!(table.insert(Large(1, [1; 512])), one);
        assert_eq!((table.find(1), table.get_mut(one).map(|it| it.0)), (Some(one), Some(1)));
    }

    #[test]
    fn with_the_last_thing_goes_the_room() {
        let mut table = table();
        let slots: Vec<Slot> = (0..1000).map(|name| table.insert(Large(name, [0; 512]))).collect();
        let capacity = |table: &Table<Large>| table.index.iter().map(HashTable::capacity).sum::<usize>();
        assert!(capacity(&table) >= 1000);
        slots.into_iter().for_each(|slot| assert!(table.remove(slot).is_some()));
        let kept = capacity(&table);
        assert!(kept < 2 * KEPT * PARTS, "{kept}");
        assert!((0..1000).all(|name| table.find(name).is_none()));
        let slot = table.insert(Large(1, [0; 512]));
        assert!(table.remove(slot).is_some());
        assert!(kept > 0 && capacity(&table) == kept, "one that comes and goes moves nothing");
    }

    #[test]
    fn a_quarter_of_the_room_is_enough_to_keep_it() {
        assert_eq!([24, 25, 100].map(|used| less_room(used, 100, 8)), [Some(48), None, None]);
        assert_eq!([0, 3, 4, 5].map(|used| less_room(used, 40, 8)), [Some(8), Some(8), Some(8), Some(10)]);
        assert_eq!([16, 17, 7, 8].map(|room| less_room(0, room, 8)), [None, Some(8), None, None]);
    }

    #[test]
    fn no_part_has_much_more_than_its_share() {
        let mut table = table();
        for name in 0..6400 {
            table.insert(Large(name, [0; 512]));
        }
        assert!(table.index.iter().all(|part| (50..200).contains(&part.len())));
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any::<bool>(), 0_u32..60), 0..600)) {
            let mut table = table();
            let mut model: BTreeMap<u32, Slot> = BTreeMap::new();
            for (remove, name) in steps {
                if let Some(slot) = model.get(&name).copied().filter(|_| remove) {
                    model.remove(&name);
                    prop_assert_eq!(table.remove(slot).map(|it| it.0), Some(name));
                } else if !model.contains_key(&name) {
                    let slot = table.insert(Large(name, [0; 512]));
                    prop_assert!(model.values().all(|it| *it != slot));
                    model.insert(name, slot);
                }
                while table.is_sparse() {
                    if let Some((from, to)) = table.shrink() {
                        let moved = model.values_mut().find(|slot| **slot == from).unwrap();
                        *moved = to;
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                for name in 0..60 {
                    let slot = table.find(name);
                    prop_assert_eq!(slot, model.get(&name).copied());
                    prop_assert_eq!(slot.map(|it| table.get(it).unwrap().0), slot.map(|_| name));
                }
            }
        }
    }
}
