//! What must come from a server, known beforehand byte for byte.

use anyhow::{Result, bail};

use crate::pattern::Pattern;

/// A part of what must come.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    /// These bytes.
    Words(Vec<u8>),
    /// These data.
    Data(Pattern),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Words(words) => words.len(),
            Self::Data(pattern) => pattern.len,
        }
    }

    fn has(&self, at: usize, bytes: &[u8]) -> bool {
        match self {
            Self::Words(words) => words[at..].starts_with(bytes),
            Self::Data(pattern) => pattern.has(at, bytes),
        }
    }

    #[cfg(test)]
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Words(words) => words.clone(),
            Self::Data(pattern) => pattern.bytes(),
        }
    }
}

/// Pieces that must come one after the other, and how far they have come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pieces: Vec<Piece>,
    piece: usize,
    at: usize,
}

impl Script {
    /// All of `pieces`, from the first on.
    pub(crate) fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces: pieces.into_iter().filter(|piece| piece.len() > 0).collect(), piece: 0, at: 0 }
    }

    /// How many bytes it has in all.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// All of its bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.pieces.iter().flat_map(Piece::bytes).collect()
    }

    /// Compares what has come with what must come, as far as the script goes, and takes it off the front.
    pub(crate) fn take(&mut self, input: &mut &[u8]) -> Result<()> {
        while let Some(piece) = self.pieces.get(self.piece)
            && !input.is_empty()
        {
            let (bytes, rest) = input.split_at(input.len().min(piece.len() - self.at));
            if !piece.has(self.at, bytes) {
                bail!("wrong bytes, among them {}", excerpt(bytes));
            }
            *input = rest;
            self.at += bytes.len();
            if self.at == piece.len() {
                (self.piece, self.at) = (self.piece + 1, 0);
            }
        }
        Ok(())
    }

    /// Whether all has come.
    pub(crate) fn is_done(&self) -> bool {
        self.piece == self.pieces.len()
    }

    /// Begins again.
    pub(crate) fn rewind(&mut self) {
        (self.piece, self.at) = (0, 0);
    }
}

/// The first few of `bytes`, as people can read them.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(60)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        let data = Piece::Data(Pattern { phase: 3, len: 64 });
        Script::new(vec![Piece::Words(b"$64\r\n".to_vec()), data, Piece::Words(b"\r\n".to_vec())])
    }

    #[test]
    fn what_must_come_may_come_in_any_pieces() {
        let bytes = script().bytes();
        assert_eq!(bytes.len(), script().len());
        for cut in 0..=bytes.len() {
            let mut script = script();
            let (mut first, mut second) = bytes.split_at(cut);
            script.take(&mut first).unwrap();
            assert_eq!(script.is_done(), cut == bytes.len());
            script.take(&mut second).unwrap();
            assert!(script.is_done() && first.is_empty() && second.is_empty());
        }
    }

    #[test]
    fn every_wrong_byte_is_seen() {
        let bytes = script().bytes();
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            assert!(script().take(&mut &wrong[..]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn what_comes_after_the_end_is_left() {
        let mut bytes = script().bytes();
        bytes.extend_from_slice(b"more");
        let mut input = &bytes[..];
        script().take(&mut input).unwrap();
        assert_eq!(input, b"more");
    }
}
