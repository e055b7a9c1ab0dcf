//! Room for many things of one kind, which stay where they are until room is given back.

use alloc::vec::Vec;
use core::num::NonZeroU32;

/// About the bytes of a chunk.
const CHUNK: usize = 48 * 1024;

/// So many chunks of an empty slab are freed at a time.
const FREED: usize = 16;

/// So many slots are kept.
const FEW: u32 = 8;

/// Where a thing is in its slab, until it is removed or [moved](Slab::shrink).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(NonZeroU32);

/// Things in slots. It grows by chunks, so that nothing is copied and no more than a chunk is spare, and fills the slots of
/// what was removed first.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Entry<T>>>,
    /// Chunks that are to be freed: those of a slab that has become empty.
    spare: Vec<Vec<Entry<T>>>,
    /// Slots, taken or free.
    used: u32,
    /// Slots that are taken.
    len: u32,
    /// The first free slot.
    free: Option<Slot>,
}

#[derive(Debug)]
enum Entry<T> {
    Taken(T),
    /// Its neighbours among the free slots.
    Free {
        previous: Option<Slot>,
        next: Option<Slot>,
    },
}

impl Slot {
    pub(super) fn new(at: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(at))
    }

    fn at(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl<T> Slab<T> {
    /// Slots of a chunk: a power of two, so that finding one takes no division.
    pub(super) const SLOTS: usize = {
        let fit = CHUNK / size_of::<Entry<T>>();
        if fit > 1 { 1 << fit.ilog2() } else { 1 }
    };

    pub(super) fn new() -> Self {
        Self { chunks: Vec::new(), spare: Vec::new(), used: 0, len: 0, free: None }
    }

    /// The number of things.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The number of slots, taken or free: those below it may be taken.
    pub(super) fn slots(&self) -> u32 {
        self.used
    }

    /// Whether there are more than a few slots, of which less than half are taken: time to [shrink](Self::shrink).
    pub(super) fn is_sparse(&self) -> bool {
        self.used > FEW && self.len < self.used / 2
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        match self.chunks.get(slot.at() / Self::SLOTS)?.get(slot.at() % Self::SLOTS)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Free { .. } => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.entry(slot)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Free { .. } => None,
        }
    }

    /// Puts a thing into a free slot. There must be fewer than 2^32 - 1 things.
    pub(super) fn insert(&mut self, thing: T) -> Slot {
        let slot = match self.free {
            Some(slot) => slot,
            None => self.grow(),
        };
        if let Some(entry) = self.entry(slot)
            && let Entry::Free { previous, next } = core::mem::replace(entry, Entry::Taken(thing))
        {
            self.unlink(previous, next);
            self.len += 1;
        }
        slot
    }

    /// Takes a thing out of its slot. With the last one goes all room but a chunk, when it is [freed](Self::free_some).
    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let next = self.free;
        let entry = self.entry(slot)?;
        if let Entry::Free { .. } = entry {
            return None;
        }
        let removed = core::mem::replace(entry, Entry::Free { previous: None, next });
        self.link(slot, next);
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > 1 {
            self.clear();
        }
        match removed {
            Entry::Taken(thing) => Some(thing),
            Entry::Free { .. } => None,
        }
    }

    /// Gives up the last slot. A thing that was there goes to a free one: from where, and to where.
    pub(super) fn shrink(&mut self) -> Option<(Slot, Slot)> {
        let chunk = self.chunks.last_mut()?;
        let last = chunk.pop()?;
        self.used -= 1;
        if chunk.is_empty() && self.chunks.len() > 1 {
            self.chunks.pop();
        }
        match last {
            Entry::Free { previous, next } => {
                self.unlink(previous, next);
                None
            }
            Entry::Taken(thing) => {
                self.len -= 1;
                Some((Slot::new(self.used), self.insert(thing)))
            }
        }
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry<T>> {
        self.chunks.get_mut(slot.at() / Self::SLOTS)?.get_mut(slot.at() % Self::SLOTS)
    }

    /// A new slot, which is the only free one.
    fn grow(&mut self) -> Slot {
        let slot = Slot::new(self.used);
        if slot.at() / Self::SLOTS == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(Self::SLOTS));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(Entry::Free { previous: None, next: None });
        }
        self.used += 1;
        self.free = Some(slot);
        slot
    }

    /// A slot has become the first free one.
    fn link(&mut self, slot: Slot, behind: Option<Slot>) {
        self.free = Some(slot);
        if let Some(Entry::Free { previous, .. }) = behind.and_then(|behind| self.entry(behind)) {
            *previous = Some(slot);
        }
    }

    /// The slot between these is free no more.
    fn unlink(&mut self, before: Option<Slot>, behind: Option<Slot>) {
        match before.and_then(|before| self.entry(before)) {
            Some(Entry::Free { next, .. }) => *next = behind,
            _ => self.free = behind,
        }
        if let Some(Entry::Free { previous, .. }) = behind.and_then(|behind| self.entry(behind)) {
            *previous = before;
        }
    }

    /// Whether there is room to be [freed](Self::free_some).
    pub(super) fn has_spare(&self) -> bool {
        !self.spare.is_empty()
    }

    /// Frees some of the room of a slab that has become empty: freeing a large one at once takes milliseconds.
    pub(super) fn free_some(&mut self) {
        self.spare.truncate(self.spare.len().saturating_sub(FREED));
        if self.spare.is_empty() {
            self.spare = Vec::new();
        }
    }

    /// Forgets the slots of what was removed, all of which is.
    fn clear(&mut self) {
        self.spare.extend(self.chunks.drain(1..));
        self.chunks.iter_mut().for_each(Vec::clear);
        self.chunks.shrink_to(1);
        self.used = 0;
        self.free = None;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::record::Record;

    /// Four fit in a chunk.
    type Large = [u64; 1024];

    fn large(n: u64) -> Large {
        [n; 1024]
    }

    #[test]
    fn a_chunk_has_as_many_slots_as_fit_and_one_at_least() {
        assert_eq!((Slab::<Large>::SLOTS, Slab::<[Large; 7]>::SLOTS), (4, 1));
        assert_eq!(size_of::<Entry<Record>>(), size_of::<Record>(), "being free takes no room");
    }

    #[test]
    fn what_was_removed_leaves_its_slot_to_the_next() {
        let mut slab = Slab::new();
        let slots: Vec<Slot> = (0..10).map(|n| slab.insert(large(n))).collect();
        assert_eq!((slab.len(), slab.chunks.len()), (10, 3));
        for (n, slot) in slots.iter().enumerate() {
            assert_eq!(slab.get(*slot).unwrap()[1023], n as u64);
            slab.get_mut(*slot).unwrap()[0] = 100;
            assert_eq!(slab.get(*slot).unwrap()[0], 100);
        }
        assert_eq!(slab.remove(slots[3]).unwrap()[1], 3);
        assert_eq!(slab.remove(slots[8]).unwrap()[1], 8);
        for gone in [slots[3], slots[8], Slot::new(10), Slot::new(12)] {
            assert!(slab.get(gone).is_none() && slab.get_mut(gone).is_none());
            assert!(slab.remove(gone).is_none());
        }
        assert_eq!(slab.len(), 8);
        assert_eq!([10, 11, 12].map(|n| slab.insert(large(n))), [slots[8], slots[3], Slot::new(10)]);
        assert_eq!((slab.len(), slab.chunks.len()), (11, 3));
        assert_eq!([slots[8], slots[3], Slot::new(10)].map(|it| slab.get(it).unwrap()[0]), [10, 11, 12]);
    }

    #[test]
    fn an_empty_slab_keeps_one_chunk() {
        let mut slab = Slab::new();
        for count in [1, 4, 5, 40] {
            let slots: Vec<Slot> = (0..count).map(|n| slab.insert(large(n))).collect();
            assert!((0..count as u32).all(|at| slots.contains(&Slot::new(at))));
            assert_eq!(slab.chunks.len(), count.div_ceil(4) as usize);
            slots.iter().for_each(|slot| assert!(slab.remove(*slot).is_some()));
            assert_eq!((slab.len(), slab.chunks.len()), (0, 1));
            assert!(slots.iter().all(|slot| slab.get(*slot).is_none()));
        }
        // As long as one chunk is enough, nothing is done.
        let [one, two] = [1, 2].map(|n| slab.insert(large(n)));
        assert!(slab.remove(two).is_some() && slab.remove(one).is_some());
        assert_eq!([1, 2].map(|n| slab.insert(large(n))), [one, two]);
        assert!(slab.remove(one).is_some() && slab.remove(two).is_some());
        assert_eq!(slab.insert(large(3)), two);
    }

    #[test]
    fn the_room_of_an_empty_slab_is_freed_in_steps() {
        let mut slab = Slab::new();
        let slots: Vec<Slot> = (0..200).map(|n| slab.insert(large(n))).collect();
        slots.iter().for_each(|slot| assert!(slab.remove(*slot).is_some()));
        let mut spare = [49, 33, 17, 1].into_iter();
        while slab.has_spare() {
            assert_eq!(Some(slab.spare.len()), spare.next());
            slab.free_some();
        }
        assert_eq!((spare.next(), slab.chunks.len(), slab.spare.capacity()), (None, 1, 0));
    }

    /// The free slots, which are the same from either end.
    fn free<T>(slab: &Slab<T>) -> Vec<Slot> {
        let neighbours =
            |slot: Slot| match &slab.chunks[slot.at() / Slab::<T>::SLOTS][slot.at() % Slab::<T>::SLOTS] {
                Entry::Free { previous, next } => (*previous, *next),
                Entry::Taken(_) => panic!("{slot:?} is taken"),
            };
        let slots: Vec<Slot> = core::iter::successors(slab.free, |slot| neighbours(*slot).1).collect();
        let last = slots.last().copied();
        let backwards = core::iter::successors(last, |slot| neighbours(*slot).0);
        assert!(backwards.eq(slots.iter().rev().copied()));
        slots
    }

    #[test]
    fn what_is_in_the_last_slots_goes_to_free_ones() {
        let mut slab = Slab::new();
        let slots: Vec<Slot> = (0..20).map(|n| slab.insert(large(n))).collect();
        assert!(free(&slab).is_empty() && !slab.is_sparse());
        for gone in (0..20).filter(|at| ![1, 3, 5, 7, 9, 11, 13, 16, 18, 19].contains(at)) {
            assert!(slab.remove(slots[gone]).is_some());
        }
        assert!(slab.len() == 10 && !slab.is_sparse());
        assert!(slab.remove(slots[19]).is_some() && slab.is_sparse());
        // The last is free; the next goes to the slot that was given up before that, and with it a chunk.
        assert_eq!((slab.shrink(), slab.chunks.len(), slab.is_sparse()), (None, 5, false));
        assert!(slab.remove(slots[1]).is_some() && slab.is_sparse());
        assert_eq!((slab.shrink(), slab.is_sparse()), (Some((slots[18], slots[1])), true));
        assert_eq!((slab.get(slots[1]).unwrap()[0], slab.get(slots[18]).is_none()), (18, true));
        assert_eq!((slab.shrink(), slab.chunks.len(), slab.is_sparse()), (None, 5, false));
        assert!(slab.remove(slots[3]).is_some() && slab.is_sparse());
        assert_eq!((slab.shrink(), slab.chunks.len()), (Some((slots[16], slots[3])), 4));
        assert_eq!((slab.len(), free(&slab).len(), slab.used), (7, 9, 16));
        // None is free: it stays.
        let mut full = Slab::new();
        let only = full.insert(large(1));
        assert_eq!((full.shrink(), full.get(only).unwrap()[0], full.len()), (Some((only, only)), 1, 1));
        assert_eq!(Slab::<Large>::new().shrink(), None);
    }

    proptest! {
        #[test]
        fn it_has_what_was_put_in_and_not_much_room_beside(
            steps in proptest::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..300),
            bias in 0..300_usize,
        ) {
            let mut slab = Slab::new();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (n, (insert, index)) in steps.into_iter().enumerate() {
                if model.is_empty() || (insert && n < bias) {
                    let slot = slab.insert(large(n as u64));
                    prop_assert_eq!(model.insert(slot.at() as u32, n as u64), None);
                } else {
                    let at = *index.get(&model.keys().copied().collect::<Vec<_>>());
                    prop_assert_eq!(slab.remove(Slot::new(at)).map(|it| it[1]), model.remove(&at));
                }
                while slab.is_sparse() {
                    if let Some((from, to)) = slab.shrink() {
                        let moved = model.remove(&(from.at() as u32)).unwrap();
                        prop_assert_eq!(model.insert(to.at() as u32, moved), None);
                    }
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert!((0..310).all(|at| slab.get(Slot::new(at)).map(|it| it[0]) == model.get(&at).copied()));
                let free = free(&slab);
                prop_assert_eq!(free.len() + slab.len(), slab.used as usize);
                prop_assert!(slab.used <= FEW.max(2 * slab.len + 1));
                prop_assert!(slab.chunks.len() <= (slab.used as usize).div_ceil(4).max(1));
            }
        }
    }
}
