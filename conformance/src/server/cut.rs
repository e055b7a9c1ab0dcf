//! How what is sent is cut into pieces.

use std::hash::{DefaultHasher, Hash, Hasher};

use fastrand::Rng;

/// The way in which bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// All lines that follow each other at once.
    Whole,
    /// Every byte by itself.
    Bytes,
    /// In pieces of random lengths.
    Cuts,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Bytes, Self::Cuts];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Bytes => "bytes",
            Self::Cuts => "cuts",
        }
    }
}

/// Of what is longer only so many bytes are sent one by one, and the rest in pieces that fit no packet.
const ONE_BY_ONE: usize = 8 * 1024;

/// The length of those pieces: a prime number.
const PIECE: usize = 1373;

/// Cuts what is sent in one play of a case.
#[derive(Debug)]
pub struct Cuts {
    mode: Mode,
    random: Rng,
}

impl Cuts {
    /// The cuts of a case; the same seed gives the same ones.
    #[must_use]
    pub fn new(mode: Mode, seed: u64, id: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, id).hash(&mut hasher);
        Self { mode, random: Rng::with_seed(hasher.finish()) }
    }

    /// The lengths of the pieces.
    pub fn pieces(&mut self, len: usize) -> Vec<usize> {
        let mut left = len;
        let mut pieces = Vec::new();
        while left > 0 {
            let piece = match self.mode {
                Mode::Whole => left,
                Mode::Bytes if len - left < ONE_BY_ONE => 1,
                Mode::Bytes => PIECE,
                // Small pieces cut headers, large ones cut nothing: there must be some of all.
                Mode::Cuts => match self.random.u8(0..8) {
                    0..4 => self.random.usize(1..=16),
                    4..7 => self.random.usize(1..=2000),
                    _ => self.random.usize(1..=65536),
                },
            };
            pieces.push(piece.min(left));
            left -= piece.min(left);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_are_the_same_for_the_same_seed() {
        for mode in Mode::ALL {
            for len in [0, 1, 10, 10_000, 200_000] {
                let pieces = Cuts::new(mode, 7, "2.1-01").pieces(len);
                assert_eq!(pieces.iter().sum::<usize>(), len);
                assert_eq!(pieces, Cuts::new(mode, 7, "2.1-01").pieces(len));
            }
        }
        assert_eq!(Cuts::new(Mode::Whole, 0, "").pieces(9), [9]);
        assert_eq!(Cuts::new(Mode::Bytes, 0, "").pieces(3), [1, 1, 1]);
        assert_ne!(Cuts::new(Mode::Cuts, 1, "").pieces(9000), Cuts::new(Mode::Cuts, 2, "").pieces(9000));
    }
}
