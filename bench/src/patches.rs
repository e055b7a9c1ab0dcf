//! A record that is patched: blocks that say which patch they hold, and which one they must hold at each version.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a patch. Patches begin at multiples of it.
pub(crate) const BLOCK: usize = 512;

const WORD: usize = size_of::<u64>();

/// One patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Its number, from 1. Number 0 stands for what the record holds at first.
    pub(crate) number: u64,
    /// The block that it writes.
    pub(crate) block: usize,
}

impl Patch {
    /// Where it begins, in bytes.
    pub(crate) fn offset(self) -> usize {
        self.block * BLOCK
    }

    /// Its bytes: its number, then words that follow from number, block and place.
    pub(crate) fn bytes(self) -> [u8; BLOCK] {
        let mut bytes = [0; BLOCK];
        bytes[..WORD].copy_from_slice(&self.number.to_le_bytes());
        for (word, place) in bytes.chunks_exact_mut(WORD).zip(0..).skip(1) {
            word.copy_from_slice(&self.word(place).to_le_bytes());
        }
        bytes
    }

    /// The patch of a block, or of its beginning at the end of a record; `None` where the bytes are no patch of it.
    pub(crate) fn of(block: usize, bytes: &[u8]) -> Option<Self> {
        let number = u64::from_le_bytes(*bytes.first_chunk()?);
        let patch = Self { number, block };
        let mut words = bytes.chunks_exact(WORD).zip(0..).skip(1);
        words.all(|(word, place)| word == patch.word(place).to_le_bytes()).then_some(patch)
    }

    fn word(self, place: u64) -> u64 {
        let mixed =
            self.number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (self.block as u64).wrapping_mul(0xc2b2_ae3d);
        mixed.wrapping_add(place)
    }
}

/// Which patches every block has had. The writer adds a patch before it sends it.
pub(crate) struct History {
    blocks: Mutex<Vec<Vec<u64>>>,
    len: usize,
}

impl History {
    /// Of a record of so many bytes that nobody has patched.
    pub(crate) fn new(len: usize) -> Self {
        Self { blocks: Mutex::new(vec![Vec::new(); len / BLOCK]), len }
    }

    /// What the record holds at first.
    pub(crate) fn first_state(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(self.len + BLOCK);
        for block in 0..self.len.div_ceil(BLOCK) {
            data.extend_from_slice(&Patch { number: 0, block }.bytes());
        }
        data.truncate(self.len);
        data
    }

    /// Whole blocks: those that can be patched.
    pub(crate) fn blocks(&self) -> usize {
        self.len / BLOCK
    }

    /// Adds a patch, whose number is above those of all patches before it.
    pub(crate) fn add(&self, patch: Patch) {
        self.lock()[patch.block].push(patch.number);
    }

    /// Whether a block holds `patch` once the first `applied` patches have been made and no other; or at any time, where
    /// that is not known.
    pub(crate) fn has(&self, patch: Patch, applied: Option<u64>) -> bool {
        let blocks = self.lock();
        let numbers = blocks.get(patch.block).map_or(&[][..], |numbers| numbers);
        match applied {
            Some(applied) => {
                let made = numbers.partition_point(|number| *number <= applied);
                patch.number == made.checked_sub(1).map_or(0, |last| numbers[last])
            }
            None => patch.number == 0 || numbers.binary_search(&patch.number).is_ok(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u64>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_recognized_in_its_block_alone() {
        let patch = Patch { number: 7, block: 3 };
        let bytes = patch.bytes();
        assert_eq!(Patch::of(3, &bytes), Some(patch));
        assert_eq!(Patch::of(3, &bytes[..100]), Some(patch));
        assert_eq!(Patch::of(4, &bytes), None);
        let mut torn = bytes;
        torn[BLOCK / 2..].copy_from_slice(&Patch { number: 8, block: 3 }.bytes()[BLOCK / 2..]);
        assert_eq!(Patch::of(3, &torn), None);
    }

    #[test]
    fn a_block_holds_the_last_patch_of_its_version() {
        let history = History::new(10 * BLOCK + 1);
        assert_eq!((history.first_state().len(), history.blocks()), (10 * BLOCK + 1, 10));
        for number in [3, 5] {
            history.add(Patch { number, block: 2 });
        }
        let has = |number, applied| history.has(Patch { number, block: 2 }, applied);
        assert!(has(0, Some(2)) && has(3, Some(3)) && has(3, Some(4)) && has(5, Some(9)));
        assert!(!has(3, Some(2)) && !has(0, Some(3)) && !has(3, Some(5)) && !has(4, Some(4)));
        assert!(has(0, None) && has(3, None) && has(5, None) && !has(4, None));
        assert!(history.has(Patch { number: 0, block: 10 }, Some(5)));
    }
}
