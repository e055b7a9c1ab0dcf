//! A piece of a large record, shared by snapshots and counted until its last holder lets it go.

use alloc::vec::Vec;

use super::charge::{Charge, Purse, taken};

/// Bytes of a chunk in every server but those of tests: seven full packets, and nearly all of a size class of 10 240.
pub(crate) const CHUNK: usize = 7 * crate::wire::MAX_PAYLOAD;

/// What a chunk counts beside its bytes: the block in which it is shared.
const BESIDE: usize = taken(2 * size_of::<usize>() + size_of::<Chunk>());

/// Bytes at one place of a record. Where a record goes on behind them, zeros follow up to the next chunk.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    charge: Charge,
}

impl Chunk {
    /// What a chunk of `len` bytes counts.
    pub(super) const fn cost(len: usize) -> usize {
        taken(len) + BESIDE
    }

    pub(super) fn new(bytes: Vec<u8>, purse: &mut Purse) -> Self {
        let charge = purse.take(Self::cost(bytes.len()));
        purse.budget().note_allocated(charge.bytes());
        Self { bytes, charge }
    }

    /// A chunk with bytes at an offset, behind zeros.
    pub(super) fn at(at: usize, bytes: &[u8], purse: &mut Purse) -> Self {
        let mut all = Vec::with_capacity(at + bytes.len());
        all.resize(at, 0);
        all.extend_from_slice(bytes);
        Self::new(all, purse)
    }

    /// A copy in which these bytes stand at an offset.
    pub(super) fn with(&self, at: usize, bytes: &[u8], purse: &mut Purse) -> Self {
        let end = at + bytes.len();
        let mut all = Vec::with_capacity(self.bytes.len().max(end));
        all.extend_from_slice(&self.bytes[..at.min(self.bytes.len())]);
        all.resize(at, 0);
        all.extend_from_slice(bytes);
        all.extend_from_slice(self.bytes.get(end..).unwrap_or_default());
        Self::new(all, purse)
    }

    /// Writes bytes at an offset; the chunk grows as far as needed.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8], purse: &mut Purse) {
        let end = at + bytes.len();
        if end > self.bytes.len() {
            self.bytes.reserve_exact(end - self.bytes.len());
            self.bytes.resize(at.max(self.bytes.len()), 0);
            purse.raise(&mut self.charge, Self::cost(end));
            purse.budget().note_allocated(self.charge.bytes());
            let inside = self.bytes.len() - at;
            self.bytes[at..].copy_from_slice(&bytes[..inside]);
            self.bytes.extend_from_slice(&bytes[inside..]);
        } else {
            self.bytes[at..end].copy_from_slice(bytes);
        }
    }

    /// Overwrites bytes. Returns `false` where there are fewer to overwrite.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) -> bool {
        let here = self.bytes.get_mut(at..at + bytes.len());
        here.map(|here| here.copy_from_slice(bytes)).is_some()
    }

    /// The same at a new place.
    pub(super) fn relocated(mut self) -> Self {
        self.bytes = self.bytes.as_slice().to_vec();
        self
    }

    /// The bytes, without the zeros behind them.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it counts.
    pub(super) fn charged(&self) -> usize {
        self.charge.bytes()
    }
}
