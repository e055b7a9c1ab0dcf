//! A hash table that grows and shrinks a small part at a time.
//!
//! A hash table that doubles moves all of its entries at once, which takes milliseconds for a million of them. This is linear
//! hashing (Litwin, 1980) over small tables: whenever there are more entries than the parts should have on average, one
//! part is split into two, and whenever there are much fewer, the last part is merged into that which it came from.

use alloc::vec::Vec;

use hashbrown::HashTable;

/// Entries of a part, on average. A part has at most about twice as many, and so few are moved at once; and the parts are so
/// few that the list of them, which is copied as a whole, has 32 bytes for a thousand entries.
const SHARE: usize = 1024;

/// An empty part keeps room for as many entries.
const KEPT: usize = 8;

/// Entries that are found by a hash. The caller says what the hash of an entry is.
#[derive(Debug)]
pub(super) struct Index<T> {
    parts: Vec<HashTable<T>>,
    /// One less than the power of two that is next to the number of parts.
    mask: usize,
    len: usize,
    /// The number of entries at which a part is added, and that below which one is taken away.
    most: usize,
    least: usize,
}

impl<T> Index<T> {
    pub(super) const fn new() -> Self {
        Self { parts: Vec::new(), mask: 0, len: 0, most: 0, least: 0 }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&T> {
        self.parts.get(self.part_of(hash))?.find(hash, is_it)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, hash: u64, is_it: impl FnMut(&T) -> bool) -> Option<&mut T> {
        let at = self.part_of(hash);
        self.parts.get_mut(at)?.find_mut(hash, is_it)
    }

    /// Adds an entry, which must not be there yet.
    pub(super) fn insert(&mut self, hash: u64, entry: T, hash_of: impl Fn(&T) -> u64) {
        if self.len >= self.most {
            self.split(&hash_of);
        }
        let at = self.part_of(hash);
        if let Some(part) = self.parts.get_mut(at) {
            part.insert_unique(hash, entry, hash_of);
            self.len += 1;
        }
    }

    pub(super) fn remove(
        &mut self,
        hash: u64,
        is_it: impl FnMut(&T) -> bool,
        hash_of: impl Fn(&T) -> u64,
    ) -> Option<T> {
        let at = self.part_of(hash);
        let part = self.parts.get_mut(at)?;
        let (removed, _) = part.find_entry(hash, is_it).ok()?.remove();
        give_back(part, &hash_of);
        self.len -= 1;
        if self.len < self.least {
            self.merge(&hash_of);
        }
        Some(removed)
    }

    /// Adds a part, with what belongs there of the part that was responsible for it.
    #[cold]
    fn split(&mut self, hash_of: &impl Fn(&T) -> u64) {
        let new = self.parts.len();
        let mask = (new + 1).next_power_of_two() - 1;
        let mut moved = HashTable::new();
        if new > 0
            && let Some(old) = self.parts.get_mut(new & (mask >> 1))
        {
            let goes = |entry: &mut T| place(hash_of(entry)) & mask == new;
            for entry in old.extract_if(goes) {
                moved.insert_unique(hash_of(&entry), entry, hash_of);
            }
            give_back(old, hash_of);
        }
        self.parts.push(moved);
        self.resized(mask);
    }

    /// Takes the last part away; what was in it goes to the part that is responsible for it then.
    #[cold]
    fn merge(&mut self, hash_of: &impl Fn(&T) -> u64) {
        let Some(gone) = self.parts.pop() else { return };
        let left = self.parts.len();
        let heir = left & (self.mask >> 1);
        self.resized(left.next_power_of_two() - 1);
        if let Some(part) = self.parts.get_mut(heir) {
            for entry in gone {
                part.insert_unique(hash_of(&entry), entry, hash_of);
            }
        }
        if left < self.parts.capacity() / 4 {
            self.parts.shrink_to(2 * left);
        }
    }

    fn resized(&mut self, mask: usize) {
        self.mask = mask;
        let parts = self.parts.len();
        self.most = parts * SHARE;
        self.least = if parts > 1 { self.most / 4 } else { 0 };
    }

    #[inline]
    fn part_of(&self, hash: u64) -> usize {
        let at = place(hash) & self.mask;
        if at < self.parts.len() { at } else { at & (self.mask >> 1) }
    }
}

/// Bits of a hash that its part does not look at: the table in it takes the lowest and the highest ones.
#[inline]
fn place(hash: u64) -> usize {
    (hash >> 32) as usize
}

/// Leaves less room to a part of which less than a quarter is used.
fn give_back<T>(part: &mut HashTable<T>, hash_of: impl Fn(&T) -> u64) {
    if let Some(room) = less_room(part.len(), part.capacity(), KEPT) {
        part.shrink_to(room, hash_of);
    }
}

/// How much room to leave to a hash table of which less than a quarter is used, if it has more than about `least`.
fn less_room(used: usize, room: usize, least: usize) -> Option<usize> {
    (room > 2 * least && used < room / 4).then(|| least.max(2 * used))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use core::hash::BuildHasher;

    use foldhash::fast::FixedState;
    use proptest::prelude::*;

    use super::*;

    fn hash_of(n: &u32) -> u64 {
        FixedState::with_seed(7).hash_one(n)
    }

    fn insert(index: &mut Index<u32>, n: u32) {
        index.insert(hash_of(&n), n, hash_of);
    }

    fn remove(index: &mut Index<u32>, n: u32) -> Option<u32> {
        index.remove(hash_of(&n), |it| *it == n, hash_of)
    }

    fn finds(index: &Index<u32>, n: u32) -> bool {
        index.find(hash_of(&n), |it| *it == n) == Some(&n)
    }

    fn sizes(index: &Index<u32>) -> Vec<usize> {
        index.parts.iter().map(HashTable::len).collect()
    }

    fn capacity(index: &Index<u32>) -> usize {
        index.parts.iter().map(HashTable::capacity).sum()
    }

    #[test]
    fn it_grows_and_shrinks_by_small_parts() {
        let mut index = Index::new();
        let all = 100_000;
        for n in 0..all {
            let before = sizes(&index);
            insert(&mut index, n);
            let after = sizes(&index);
            let changed = before.iter().zip(&after).filter(|(before, after)| before != after).count();
            assert!(
                changed <= 2 && after.len() <= before.len() + 1,
                "one part is split, and one is added to"
            );
        }
        let largest = sizes(&index).into_iter().max().unwrap();
        assert!(sizes(&index).len() == all.div_ceil(1024) as usize && largest < 3 * SHARE, "{largest}");
        assert!(capacity(&index) < 3 * all as usize, "{}", capacity(&index));
        assert!((0..all).all(|n| finds(&index, n)) && !finds(&index, all));
        for n in 0..all {
            let before = sizes(&index).len();
            assert_eq!(remove(&mut index, n), Some(n));
            assert!(sizes(&index).len() + 1 >= before);
            assert!(capacity(&index) < 6 * index.len() + 20 * sizes(&index).len() + KEPT);
        }
        assert_eq!((index.len(), sizes(&index)), (0, alloc::vec![0]));
        let kept = capacity(&index);
        insert(&mut index, 1);
        assert_eq!(remove(&mut index, 1), Some(1));
        assert!(kept > 0 && capacity(&index) == kept, "one that comes and goes moves nothing");
    }

    #[test]
    fn a_quarter_of_the_room_is_enough_to_keep_it() {
        assert_eq!([24, 25, 100].map(|used| less_room(used, 100, 8)), [Some(48), None, None]);
        assert_eq!([0, 3, 4, 5].map(|used| less_room(used, 40, 8)), [Some(8), Some(8), Some(8), Some(10)]);
        assert_eq!([16, 17, 7, 8].map(|room| less_room(0, room, 8)), [None, Some(8), None, None]);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), 0_u32..40, 0_u32..2800), 0..40)) {
            let mut index = Index::new();
            let mut model = BTreeSet::new();
            for (add, from, count) in steps {
                for n in from * 200..from * 200 + count {
                    if add && model.insert(n) {
                        insert(&mut index, n);
                    } else if !add {
                        let removed = remove(&mut index, n);
                        prop_assert_eq!(removed, model.take(&n));
                    }
                }
                prop_assert_eq!(index.len(), model.len());
                prop_assert_eq!(sizes(&index).into_iter().sum::<usize>(), model.len());
                prop_assert!((0..11_000).all(|n| finds(&index, n) == model.contains(&n)));
            }
        }
    }
}
