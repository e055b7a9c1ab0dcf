//! The data of records: bytes of which every place says where it is, so that a wrong one is seen wherever it comes from.

use std::sync::LazyLock;

/// After so many bytes the pattern begins again: a prime, so that no size of block or packet is a multiple of it.
const PERIOD: usize = 251;
/// The most bytes that are compared at once: few enough to stay in the processor's nearest caches.
const BLOCK: usize = 16 * 1024;

static TABLE: LazyLock<Vec<u8>> = LazyLock::new(|| (0..BLOCK + PERIOD).map(|i| (i % PERIOD) as u8).collect());

/// A stretch of the pattern. Those with different phases (of 251) differ in every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// Where in the pattern it begins.
    pub(crate) phase: usize,
    /// Its bytes.
    pub(crate) len: usize,
}

impl Pattern {
    /// Its bytes.
    pub(crate) fn bytes(self) -> Vec<u8> {
        TABLE[self.phase % PERIOD..][..PERIOD].iter().copied().cycle().take(self.len).collect()
    }

    /// Whether `bytes` are what it has at `at`.
    pub(crate) fn has(self, mut at: usize, mut bytes: &[u8]) -> bool {
        if at + bytes.len() > self.len {
            return false;
        }
        while !bytes.is_empty() {
            let (block, rest) = bytes.split_at(bytes.len().min(BLOCK));
            if block != &TABLE[(self.phase + at) % PERIOD..][..block.len()] {
                return false;
            }
            at += block.len();
            bytes = rest;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_recognized_and_no_other() {
        let pattern = Pattern { phase: 300, len: 40_000 };
        let bytes = pattern.bytes();
        assert_eq!(bytes[0], 49);
        for (from, to) in [(0, 40_000), (1, 2), (250, 252), (16_383, 33_000), (39_999, 40_000), (7, 7)] {
            assert!(pattern.has(from, &bytes[from..to]));
            assert!(from == to || !pattern.has(from + 1, &bytes[from..to]));
        }
        assert!(!pattern.has(39_999, &bytes[..2]));
        assert!(!Pattern { phase: 301, ..pattern }.has(0, &bytes));
        let mut wrong = bytes.clone();
        wrong[39_998] ^= 1;
        assert!(!pattern.has(0, &wrong));
    }
}
