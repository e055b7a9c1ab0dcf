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
    /// As whole, but for one cut after so many of all bytes that are sent in the case.
    At(usize),
}

impl Mode {
    /// Every mode, but for those with one cut.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Bytes, Self::Cuts];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Bytes => "bytes",
            Self::Cuts => "cuts",
            Self::At(_) => "one cut",
        }
    }
}

/// Of what is longer only so many bytes are sent one by one, and the rest in pieces that fit no packet.
const ONE_BY_ONE: usize = 8 * 1024;

/// The same where the time that it takes counts.
const ONE_BY_ONE_IN_TIME: usize = 128;

/// The length of those pieces: a prime number.
const PIECE: usize = 1373;

/// Cuts what is sent in one play of a case.
#[derive(Debug)]
pub struct Cuts {
    mode: Mode,
    one_by_one: usize,
    random: Rng,
    sent: usize,
}

impl Cuts {
    /// The cuts of a case; the same seed gives the same ones.
    #[must_use]
    pub fn new(mode: Mode, seed: u64, id: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, id).hash(&mut hasher);
        Self { mode, one_by_one: ONE_BY_ONE, random: Rng::with_seed(hasher.finish()), sent: 0 }
    }

    /// The same for a case in which the time counts that sending takes.
    #[must_use]
    pub fn in_time(self) -> Self {
        Self { one_by_one: ONE_BY_ONE_IN_TIME, ..self }
    }

    /// The lengths of the pieces.
    pub fn pieces(&mut self, len: usize) -> Vec<usize> {
        let mut left = len;
        let mut pieces = Vec::new();
        while left > 0 {
            let piece = match self.mode {
                Mode::At(cut) if (self.sent + 1..self.sent + left).contains(&cut) => cut - self.sent,
                Mode::Whole | Mode::At(_) => left,
                Mode::Bytes if len - left < self.one_by_one => 1,
                Mode::Bytes => PIECE,
                // Small pieces cut headers, large ones cut nothing: there must be some of all.
                Mode::Cuts => match self.random.u8(0..8) {
                    0..4 => self.random.usize(1..=16),
                    4..7 => self.random.usize(1..=2000),
                    _ => self.random.usize(1..=65536),
                },
            };
            let piece = piece.min(left);
            pieces.push(piece);
            self.sent += piece;
            left -= piece;
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
        let mut once = Cuts::new(Mode::At(7), 0, "");
        assert_eq!([once.pieces(5), once.pieces(5), once.pieces(5)], [vec![5], vec![2, 3], vec![5]]);
        assert_eq!(Cuts::new(Mode::Bytes, 0, "").pieces(3), [1, 1, 1]);
        assert_ne!(Cuts::new(Mode::Cuts, 1, "").pieces(9000), Cuts::new(Mode::Cuts, 2, "").pieces(9000));
    }
}
