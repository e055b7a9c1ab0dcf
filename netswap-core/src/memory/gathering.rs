//! The data of a request while it arrives in several packets.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::charge::{Purse, sent};
use super::chunk::{CHUNK, Chunk, Filling};
use super::data::FEW;
use super::tree::{Builder, Pieces, Tree};
use super::{Budget, Data, Garbage, Kept, Overrun};

/// From so many bytes on there is twice the room that is needed. One packet gets what it needs.
const AMPLE_FROM: usize = 4096;

/// The data of a request while it arrives, in a buffer or a tree of chunks of its own that becomes the record's.
///
/// Room follows the bytes that came, never the length that was declared: at most as much again, and at most a chunk.
pub struct Gathering {
    /// What was charged and is no chunk's yet.
    purse: Purse,
    /// All bytes, or those of the chunk that is being filled.
    data: Vec<u8>,
    /// The chunk that is being filled, where as many bytes as it has are sure to come.
    full: Option<Filling>,
    /// The chunks that are full, where there are too many bytes for one block.
    tree: Option<Box<Builder>>,
    /// Where in a record the bytes will begin, as far as that is known: chunks are cut there.
    start: u32,
    /// Bytes of data that came.
    len: u32,
    unfinished: usize,
    /// Whether the bytes to come go into chunks, or they would be copied there in the end.
    fills_chunks: bool,
    /// The limit that its last bytes passed.
    overrun: Option<Overrun>,
}

impl Gathering {
    /// No bytes yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            purse: Purse::new(budget),
            data: Vec::new(),
            full: None,
            tree: None,
            start: 0,
            len: 0,
            unfinished: 0,
            fills_chunks: false,
            overrun: None,
        }
    }

    /// Where in a record the bytes are expected to begin, and how many there will be. To be said before many have come.
    pub fn expect(&mut self, start: u32, expected: usize) {
        if self.tree.is_none() {
            self.start = start;
            // What begins within a chunk would take, and not count, the zeros before it.
            let begins_a_chunk = (start as usize).is_multiple_of(self.chunk());
            self.fills_chunks = begins_a_chunk && expected > self.purse.budget().flat_at_most();
        }
    }

    /// Adds bytes that arrived, of data that are expected to have `expected` bytes in all.
    pub fn extend(&mut self, bytes: &[u8], expected: usize) {
        self.extend_by([bytes].into_iter(), bytes.len(), expected);
    }

    /// Adds bytes that arrived in several parts, `more` in all.
    #[inline]
    pub(crate) fn extend_by<'a>(
        &mut self,
        mut parts: impl Iterator<Item = &'a [u8]>,
        more: usize,
        expected: usize,
    ) {
        // All of them are here, so that there may be room for all.
        let came = self.len() + more;
        let mut part = &[][..];
        loop {
            if let Some(full) = &mut self.full {
                self.len += full.fill(&mut part, &mut parts) as u32;
                if part.is_empty() {
                    return;
                }
                self.seal();
                if self.begin_full(came, expected) {
                    continue;
                }
            } else if part.is_empty() {
                let Some(next) = parts.next() else { return };
                part = next;
            }
            part = self.extend_slowly(part, came, expected);
        }
    }

    /// Adds bytes, but not those that belong in a full chunk, which are given back.
    fn extend_slowly<'a>(&mut self, bytes: &'a [u8], came: usize, expected: usize) -> &'a [u8] {
        let flat_at_most = self.purse.budget().flat_at_most();
        if self.tree.is_none() && !self.fills_chunks && self.len() + bytes.len() <= flat_at_most {
            // The last of what stays in one block leaves no slack.
            extend(&mut self.data, bytes, expected.min(flat_at_most));
            self.len += bytes.len() as u32;
            return &[];
        }
        if self.tree.is_none() {
            self.begin_tree(expected);
            if self.full.is_some() {
                return bytes;
            }
        }
        self.fill(bytes, came, expected)
    }

    /// What came so far becomes the first chunks.
    fn begin_tree(&mut self, expected: usize) {
        self.tree = Some(Box::new(Builder::new(self.start as usize, self.chunk())));
        let first = core::mem::take(&mut self.data);
        self.data = vec![0; self.start as usize % self.chunk()];
        self.len = 0;
        self.extend(&first, expected);
    }

    /// Adds bytes to the chunk that is being filled, and to those behind it, when `came` bytes have come. Gives back those
    /// from which on full chunks are filled.
    fn fill<'a>(&mut self, mut bytes: &'a [u8], came: usize, expected: usize) -> &'a [u8] {
        while !bytes.is_empty() {
            if self.data.len() == self.chunk() {
                self.seal();
            }
            let (here, rest) = bytes.split_at(bytes.len().min(self.chunk() - self.data.len()));
            if here.len() > self.data.capacity() - self.data.len() {
                if self.begin_full(came, expected) {
                    break;
                }
                // What is still to come may be less than a chunk has, these bytes included.
                let more = expected.saturating_sub(self.len()).max(here.len());
                let most = (self.chunk() - self.data.len()).min(more).min(came);
                self.data.reserve_exact(most.max(here.len()));
            }
            self.data.extend_from_slice(here);
            self.len += here.len() as u32;
            bytes = rest;
        }
        bytes
    }

    /// Goes on with a full chunk, where there will be one and as many bytes have come as it has. Returns whether it does.
    fn begin_full(&mut self, came: usize, expected: usize) -> bool {
        let all = self.data.len() + expected.saturating_sub(self.len());
        if came < CHUNK || all < CHUNK || self.chunk() < CHUNK {
            return false;
        }
        let mut full = Filling::new();
        if !self.data.is_empty() {
            full.fill(&mut &core::mem::take(&mut self.data)[..], &mut [].into_iter());
        }
        self.full = Some(full);
        true
    }

    /// The chunk that is being filled takes its place.
    fn seal(&mut self) {
        let Some(tree) = &mut self.tree else { return };
        let chunk = match self.full.take() {
            Some(full) => full.seal(&mut self.purse),
            None if self.data.is_empty() => return,
            None => {
                let mut data = core::mem::take(&mut self.data);
                data.shrink_to_fit();
                Chunk::new(data, &mut self.purse)
            }
        };
        tree.push(chunk, &mut self.purse);
    }

    /// Bytes of a chunk, for which a buffer has room at most.
    fn chunk(&self) -> usize {
        self.purse.budget().chunk()
    }

    /// Counts bytes of the request as unfinished, and what they need beside themselves.
    ///
    /// # Errors
    ///
    /// Which limit would be passed, the total's first; nothing was charged.
    pub fn charge_unfinished(&mut self, bytes: usize) -> Result<(), Overrun> {
        let budget = self.purse.budget();
        let all = bytes + self.beside(self.unfinished + bytes) - self.beside(self.unfinished);
        budget.charge(all)?;
        budget.unfinished.charge(bytes).map_err(|limit| {
            budget.release(all);
            Overrun::Unfinished(limit)
        })?;
        self.purse.add(all);
        self.unfinished += bytes;
        Ok(())
    }

    /// What so many bytes need at most beside themselves: their chunks' blocks, the tables above them, and zeros before what
    /// begins within a chunk.
    fn beside(&self, bytes: usize) -> usize {
        if bytes <= self.purse.budget().flat_at_most() {
            return 0;
        }
        let each = Chunk::cost(self.chunk()) - self.chunk() + Tree::COST_OF_NODE / 8;
        (bytes / self.chunk() + 2) * each + self.start as usize % self.chunk()
    }

    /// Remembers that its last bytes passed a limit, so that it can never be settled. Whoever would settle it thus
    /// learns of that in its turn, after whatever else is wrong with the request.
    pub fn spoil(&mut self, overrun: Overrun) {
        self.overrun = Some(overrun);
    }

    /// Bytes that count as unfinished.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Bytes of data so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Judges whether the last bytes passed the budget's total.
    ///
    /// # Errors
    ///
    /// They did.
    pub fn check_total(&self) -> Result<(), Overrun> {
        match self.overrun {
            Some(total @ Overrun::Total(_)) => Err(total),
            _ => Ok(()),
        }
    }

    /// Judges whether a limit was passed when the last bytes came.
    ///
    /// # Errors
    ///
    /// It was.
    pub fn check(&self) -> Result<(), Overrun> {
        self.overrun.map_or(Ok(()), Err)
    }

    /// The bytes, where they lie together.
    pub(super) fn as_slice(&self) -> Option<&[u8]> {
        self.tree.is_none().then_some(&self.data)
    }

    /// Whether there are too many bytes for one block.
    #[must_use]
    pub fn is_in_chunks(&self) -> bool {
        self.tree.is_some()
    }

    /// Begins to cut its chunks as those of a record where the bytes begin at `start`, unless they are. It has no bytes then,
    /// but those that [`realign_some`](Self::realign_some) gives back.
    pub fn realign(&mut self, start: u32) -> Option<Realigning> {
        if self.start == start {
            return None;
        }
        let (before, len) = (self.start as usize, self.len());
        let pieces = self.take_tree()?.pieces(before, len);
        (self.start, self.len) = (start, 0);
        Some(Realigning { pieces, len })
    }

    /// Cuts up to `chunks` chunks anew. Returns whether there are more.
    pub fn realign_some(&mut self, rest: &mut Realigning, chunks: usize, garbage: &mut Garbage) -> bool {
        for _ in 0..chunks {
            let Some(piece) = rest.pieces.next(garbage) else { return false };
            self.extend(piece.as_ref(), rest.len);
        }
        true
    }

    /// Whether its chunks are cut as those of a record where the bytes begin at this offset.
    pub(super) fn starts_at(&self, offset: usize) -> bool {
        self.tree.is_some() && self.start as usize == offset
    }

    /// Makes these bytes data that can be sent, no longer unfinished.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the bytes are gone.
    pub fn settle(mut self) -> Result<Data, Overrun> {
        let cost = if self.tree.is_some() { 0 } else { sent(self.data.len()) };
        let more = cost.saturating_sub(self.purse.held());
        let budget = self.purse.budget().clone();
        if let Some(overrun) = self.overrun {
            // Of two limits the total is named.
            self.check_total().and_then(|()| budget.allow(more))?;
            return Err(overrun);
        }
        if let Some(tree) = self.take_tree() {
            return Ok(Data::from(tree));
        }
        if self.data.len() <= FEW {
            return Ok(Data::from_few(&self.data));
        }
        budget.charge(more)?;
        budget.release(self.purse.empty().saturating_sub(cost));
        Ok(Data::sent(core::mem::take(&mut self.data), budget))
    }

    /// Nobody wants these bytes any more.
    pub fn discard(mut self, garbage: &mut Garbage) {
        // What is not full yet is little.
        (self.full, self.data) = (None, Vec::new());
        if self.len() > self.purse.budget().flat_at_most()
            && let Some(tree) = self.take_tree()
        {
            garbage.discard(Data::from(tree));
        }
    }

    /// All chunks, the last one too.
    fn take_tree(&mut self) -> Option<Tree> {
        self.seal();
        Some(self.tree.take()?.finish(&mut self.purse))
    }

    /// Judges whether [`settle_into`](Self::settle_into) would pass the budget's total as things stand.
    ///
    /// # Errors
    ///
    /// It would, or the last bytes did.
    pub(super) fn fits_in_place_of(&self, place: &Kept) -> Result<(), Overrun> {
        self.check_total()?;
        if self.tree.is_some() {
            return Ok(());
        }
        place.allow_replace(self.data.len(), self.purse.held(), self.purse.budget())
    }

    /// Makes these bytes data to be kept in the place of others, which are given back to be dropped where it suits.
    /// Unless somebody else still holds the others, only the growth is charged, so that what shrinks always fits.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the others stay as they were and
    /// these bytes are gone.
    pub(super) fn settle_into(mut self, place: &mut Kept) -> Result<Data, Overrun> {
        self.check()?;
        if let Some(tree) = self.take_tree() {
            return Ok(place.become_tree(tree, self.purse.budget()));
        }
        let charged = self.purse.empty();
        place.replace(core::mem::take(&mut self.data), charged, self.purse.budget())
    }

    /// Writes these bytes at an offset of a record. Chunks that are cut as the record's take their places there; others are
    /// copied.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the record stays as it was.
    pub(super) fn write_to(
        mut self,
        place: &mut Kept,
        offset: usize,
        garbage: &mut Garbage,
    ) -> Result<Data, Overrun> {
        self.check()?;
        let (start, len) = (self.start as usize, self.len());
        let Some(tree) = self.take_tree() else {
            return place.write(offset, &self.data, self.purse.budget());
        };
        if start == offset {
            place.graft(tree, offset, &mut self.purse, garbage);
            return Ok(Data::default());
        }
        let mut pieces = tree.pieces(start, len);
        place.write_pieces(offset, len, || pieces.next(garbage), self.purse.budget())?;
        Ok(Data::from(tree))
    }
}

/// Bytes whose chunks are to be cut anew.
#[derive(Debug)]
pub struct Realigning {
    pieces: Pieces,
    len: usize,
}

impl Realigning {
    /// Nobody wants them any more.
    pub fn discard(&mut self, garbage: &mut Garbage) {
        self.pieces.let_go(garbage);
    }
}

/// Adds bytes that arrived to data that are expected to have `expected` bytes in all.
pub(crate) fn extend(data: &mut Vec<u8>, bytes: &[u8], expected: usize) {
    reserve(data, bytes.len(), expected);
    data.extend_from_slice(bytes);
}

fn reserve(data: &mut Vec<u8>, more: usize, expected: usize) {
    let needed = data.len() + more;
    if needed > data.capacity() {
        let ample = if needed < AMPLE_FROM { data.capacity() } else { needed };
        let capacity = needed.max(ample.saturating_mul(2)).min(expected.max(needed));
        data.reserve_exact(capacity - data.len());
    }
}

impl Drop for Gathering {
    fn drop(&mut self) {
        self.purse.budget().unfinished.release(self.unfinished);
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathering({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests;
