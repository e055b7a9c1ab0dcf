//! Room for many things of one kind, which never move.

use alloc::vec::Vec;
use core::num::NonZeroU32;

/// About the bytes of a chunk.
const CHUNK: usize = 48 * 1024;

/// Where a thing is in its slab, until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot(NonZeroU32);

/// Things in slots. It grows by chunks, so that nothing is copied and no more than a chunk is spare, and fills the slots of
/// what was removed first.
#[derive(Debug)]
pub(super) struct Slab<T> {
    chunks: Vec<Vec<Entry<T>>>,
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
    /// The next free slot.
    Free(Option<Slot>),
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
        Self { chunks: Vec::new(), used: 0, len: 0, free: None }
    }

    /// The number of things.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&T> {
        match self.chunks.get(slot.at() / Self::SLOTS)?.get(slot.at() % Self::SLOTS)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Free(_) => None,
        }
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.entry(slot)? {
            Entry::Taken(thing) => Some(thing),
            Entry::Free(_) => None,
        }
    }

    /// Puts a thing into a free slot. There must be fewer than 2^32 - 1 things.
    pub(super) fn insert(&mut self, thing: T) -> Slot {
        let slot = match self.free {
            Some(slot) => slot,
            None => self.grow(),
        };
        if let Some(entry) = self.entry(slot)
            && let Entry::Free(next) = core::mem::replace(entry, Entry::Taken(thing))
        {
            self.free = next;
            self.len += 1;
        }
        slot
    }

    /// Takes a thing out of its slot. With the last one goes all room but a chunk.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<T> {
        let free = Entry::Free(self.free);
        let entry = self.entry(slot)?;
        if let Entry::Free(_) = entry {
            return None;
        }
        let removed = core::mem::replace(entry, free);
        self.free = Some(slot);
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > 1 {
            self.clear();
        }
        match removed {
            Entry::Taken(thing) => Some(thing),
            Entry::Free(_) => None,
        }
    }

    fn entry(&mut self, slot: Slot) -> Option<&mut Entry<T>> {
        self.chunks.get_mut(slot.at() / Self::SLOTS)?.get_mut(slot.at() % Self::SLOTS)
    }

    /// One more slot, a free one.
    fn grow(&mut self) -> Slot {
        let slot = Slot::new(self.used);
        if slot.at() / Self::SLOTS == self.chunks.len() {
            self.chunks.push(Vec::with_capacity(Self::SLOTS));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(Entry::Free(None));
        }
        self.used += 1;
        slot
    }

    fn clear(&mut self) {
        self.chunks.truncate(1);
        self.chunks.iter_mut().for_each(Vec::clear);
        self.chunks.shrink_to(1);
        self.used = 0;
        self.free = None;
    }
}

#[cfg(test)]
mod tests {
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
}
