//! A piece of a large record, shared by snapshots and counted until its last holder lets it go.

use alloc::sync::Arc;
use alloc::vec::Vec;

use arrayvec::ArrayVec;

use super::charge::{Charge, Purse, taken};

/// Bytes of a chunk in every server but those of tests: seven full packets, and nearly all of a size class of 10 240.
pub(crate) const CHUNK: usize = 7 * crate::wire::MAX_PAYLOAD;

/// What a chunk counts beside its bytes: the block in which it is shared. A chunk of [`CHUNK`] bytes takes that much less.
const BESIDE: usize = taken(2 * size_of::<usize>() + size_of::<Part>());

/// Bytes at one place of a record. Where a record goes on behind them, zeros follow up to the next chunk. A clone is the
/// same chunk.
#[derive(Clone)]
pub(super) struct Chunk(Form);

#[derive(Clone)]
enum Form {
    Full(Arc<Full>),
    Part(Arc<Part>),
}

/// [`CHUNK`] bytes that arrived, in the allocation in which they are shared: an allocation less for nearly all that there are.
#[derive(Default)]
struct Full {
    bytes: ArrayVec<u8, CHUNK>,
    /// Nothing while it is being filled.
    charge: Option<Charge>,
}

/// Bytes that are fewer, were written or are about to be.
struct Part {
    bytes: Vec<u8>,
    /// Never nothing, but while it moves.
    charge: Option<Charge>,
}

// Both allocations of the one, and the only one of the other, are within what they count.
const _: () = assert!(taken(2 * size_of::<usize>() + size_of::<Full>()) <= Chunk::cost(CHUNK));

/// A chunk of [`CHUNK`] bytes that are arriving.
pub(super) struct Filling(Arc<Full>);

impl Chunk {
    /// What a chunk of `len` bytes counts.
    pub(super) const fn cost(len: usize) -> usize {
        taken(len) + BESIDE
    }

    pub(super) fn new(bytes: Vec<u8>, purse: &mut Purse) -> Self {
        let charge = Some(purse.take(Self::cost(bytes.len())));
        Self(Form::Part(Arc::new(Part { bytes, charge })))
    }

    /// A chunk with bytes at an offset, behind zeros.
    pub(super) fn at(at: usize, bytes: &[u8], purse: &mut Purse) -> Self {
        let mut all = Vec::with_capacity(at + bytes.len());
        all.resize(at, 0);
        all.extend_from_slice(bytes);
        Self::new(all, purse)
    }

    /// A copy in which these bytes stand at an offset.
    fn with(&self, at: usize, bytes: &[u8], purse: &mut Purse) -> Self {
        let (old, end) = (self.bytes(), at + bytes.len());
        let mut all = Vec::with_capacity(old.len().max(end));
        all.extend_from_slice(&old[..at.min(old.len())]);
        all.resize(at, 0);
        all.extend_from_slice(bytes);
        all.extend_from_slice(old.get(end..).unwrap_or_default());
        Self::new(all, purse)
    }

    /// Writes bytes at an offset, to a copy where somebody else holds the chunk. It grows as far as needed.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8], purse: &mut Purse) {
        if self.overwrite(at, bytes) {
            return;
        }
        if let Form::Part(part) = &mut self.0
            && let Some(part) = Arc::get_mut(part)
        {
            part.write(at, bytes, purse);
        } else {
            *self = self.with(at, bytes, purse);
        }
    }

    /// Overwrites bytes. Returns `false` where there are fewer to overwrite, or where somebody else holds them.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) -> bool {
        let own = match &mut self.0 {
            Form::Full(full) => Arc::get_mut(full).map(|full| &mut full.bytes[..]),
            Form::Part(part) => Arc::get_mut(part).map(|part| &mut part.bytes[..]),
        };
        let here = own.and_then(|own| own.get_mut(at..at + bytes.len()));
        here.map(|here| here.copy_from_slice(bytes)).is_some()
    }

    /// Moves the bytes to a new place, unless somebody else holds them.
    pub(super) fn relocate(&mut self) {
        match &mut self.0 {
            Form::Full(full) => {
                if let Some(old) = Arc::get_mut(full) {
                    let mut filling = Filling::new();
                    filling.fill(&mut &old.bytes[..], &mut [].into_iter());
                    let charge = old.charge.take();
                    *full = filling.charged(charge);
                }
            }
            Form::Part(part) => {
                if let Some(old) = Arc::get_mut(part) {
                    let bytes = old.bytes.as_slice().to_vec();
                    let charge = old.charge.take();
                    *part = Arc::new(Part { bytes, charge });
                }
            }
        }
    }

    /// The bytes, without the zeros behind them.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Full(full) => &full.bytes,
            Form::Part(part) => &part.bytes,
        }
    }

    /// What it counts.
    pub(super) fn charged(&self) -> usize {
        match &self.0 {
            Form::Full(full) => full.charge.as_ref().map_or(0, Charge::bytes),
            Form::Part(part) => part.charge.as_ref().map_or(0, Charge::bytes),
        }
    }

    /// Whether somebody beside the caller holds it.
    pub(super) fn is_shared(&self) -> bool {
        match &self.0 {
            Form::Full(full) => Arc::strong_count(full) > 1,
            Form::Part(part) => Arc::strong_count(part) > 1,
        }
    }
}

impl Part {
    fn write(&mut self, at: usize, bytes: &[u8], purse: &mut Purse) {
        let end = at + bytes.len();
        if end > self.bytes.len() {
            self.bytes.reserve_exact(end - self.bytes.len());
            self.bytes.resize(at.max(self.bytes.len()), 0);
            if let Some(charge) = &mut self.charge {
                purse.raise(charge, Chunk::cost(end));
            }
            let inside = self.bytes.len() - at;
            self.bytes[at..].copy_from_slice(&bytes[..inside]);
            self.bytes.extend_from_slice(&bytes[inside..]);
        } else {
            self.bytes[at..end].copy_from_slice(bytes);
        }
    }
}

impl Filling {
    /// No bytes yet, and room for all.
    #[inline(never)] // A build with little optimisation has that room on the stack too, which each thread's would grow by.
    pub(super) fn new() -> Self {
        // `Arc::new` would move all of the room to its place.
        Self(Arc::default())
    }

    /// Takes what it has room for of `part` and of the parts behind it, and leaves in `part` what it has not. How many bytes
    /// that were.
    #[inline]
    pub(super) fn fill<'a>(
        &mut self,
        part: &mut &'a [u8],
        parts: &mut impl Iterator<Item = &'a [u8]>,
    ) -> usize {
        let Some(Full { bytes, .. }) = Arc::get_mut(&mut self.0) else { return 0 };
        let before = bytes.len();
        loop {
            let (here, rest) = part.split_at(part.len().min(bytes.remaining_capacity()));
            // As many as there is room for.
            let _ = bytes.try_extend_from_slice(here);
            *part = rest;
            if !rest.is_empty() {
                break;
            }
            let Some(next) = parts.next() else { break };
            *part = next;
        }
        bytes.len() - before
    }

    /// The chunk, which counts from now on.
    pub(super) fn seal(self, purse: &mut Purse) -> Chunk {
        let charge = purse.take(Chunk::cost(self.0.bytes.len()));
        Chunk(Form::Full(self.charged(Some(charge))))
    }

    fn charged(mut self, charge: Option<Charge>) -> Arc<Full> {
        if let Some(full) = Arc::get_mut(&mut self.0) {
            full.charge = charge;
        }
        self.0
    }
}
