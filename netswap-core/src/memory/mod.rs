//! Memory that is counted: where bytes are buffered they are charged, where they are freed they are released.
//!
//! One [`Budget`] covers a whole server: records, requests that are arriving, and data that only replies still
//! hold (docs/PROTOCOL.md §7, total bytes). It can be shared between threads.

mod block;
mod charge;
mod chunk;
mod data;
mod garbage;
mod gathering;
mod kept;
mod payload;
mod piece;
mod places;
mod tree;

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) use charge::{Charge, sent};
pub(crate) use chunk::CHUNK;
pub use data::Data;
pub(crate) use data::{FEW, Unread};
pub use garbage::{Garbage, Portion};
pub(crate) use gathering::extend;
pub use gathering::{Gathering, Realigning};
pub(crate) use kept::Kept;
pub use payload::Payload;
pub(crate) use piece::Piece;
pub(crate) use places::Places;
pub(crate) use tree::Pieces;

use crate::error::{Quota, Refusal};

/// How many bytes a server may hold, and how many it does.
#[derive(Debug)]
pub struct Budget {
    total: Gauge,
    unfinished: Gauge,
    /// Not bytes, but places in tables and queues.
    places: Gauge,
    /// Bytes that were ever allocated for data.
    allocated: AtomicUsize,
    /// Bytes of a chunk.
    chunk: usize,
}

#[derive(Debug)]
struct Gauge {
    limit: usize,
    used: AtomicUsize,
}

/// Which of the budget's two limits would be passed, with its value in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// All bytes together.
    Total(u64),
    /// The bytes of unfinished requests.
    Unfinished(u64),
}

impl From<Overrun> for Refusal {
    fn from(overrun: Overrun) -> Self {
        let (quota, limit) = match overrun {
            Overrun::Total(limit) => (Quota::ServerMemory, limit),
            Overrun::Unfinished(limit) => (Quota::UnfinishedBytes, limit),
        };
        Self::QuotaExceeded { quota, limit }
    }
}

impl Budget {
    /// A budget with nothing used of `total` bytes, of which unfinished requests may have `unfinished`, and of `places`
    /// in tables and queues.
    #[must_use]
    pub fn new(total: u64, unfinished: u64, places: u64) -> Self {
        Self {
            total: Gauge::new(total),
            unfinished: Gauge::new(unfinished),
            places: Gauge::new(places),
            allocated: AtomicUsize::new(0),
            chunk: CHUNK,
        }
    }

    /// Sets the length of chunks, for tests on small records: from 1 byte to the default.
    #[doc(hidden)]
    #[must_use]
    pub fn with_chunk(self, chunk: usize) -> Self {
        Self { chunk: chunk.clamp(1, CHUNK), ..self }
    }

    /// Bytes of a chunk.
    pub(crate) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Bytes up to which a record's data lie in one block.
    pub(crate) fn flat_at_most(&self) -> usize {
        (2 * self.chunk).max(FEW)
    }

    /// Bytes in use, of records, unfinished requests and replies.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.total.used.load(Relaxed) as u64
    }

    /// Bytes in use by unfinished requests.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished.used.load(Relaxed) as u64
    }

    /// Bytes that were allocated or freed so far for records of more than 64 bytes, in size classes: as much as can have left
    /// holes among them. It starts anew at the largest `usize`.
    #[must_use]
    pub fn turnover(&self) -> usize {
        self.allocated().wrapping_mul(2).wrapping_sub(self.total.used.load(Relaxed))
    }

    /// Bytes that were allocated so far for records of more than 64 bytes. It starts anew at the largest `usize`.
    pub(crate) fn allocated(&self) -> usize {
        self.allocated.load(Relaxed)
    }

    /// Counts an allocation for a record.
    fn note_allocated(&self, bytes: usize) {
        self.allocated.fetch_add(bytes, Relaxed);
    }

    /// Places in use.
    #[must_use]
    pub fn places(&self) -> u64 {
        self.places.used.load(Relaxed) as u64
    }

    /// Whether so many more places are free.
    #[must_use]
    pub fn has_places(&self, places: usize) -> bool {
        self.places.allow(places).is_ok()
    }

    /// Judges whether [`charge`](Self::charge) would succeed as things stand.
    ///
    /// # Errors
    ///
    /// The total would be passed.
    pub fn allow(&self, bytes: usize) -> Result<(), Overrun> {
        self.total.allow(bytes).map_err(Overrun::Total)
    }

    /// Charges bytes against the total.
    ///
    /// # Errors
    ///
    /// The total would be passed; nothing was charged.
    pub fn charge(&self, bytes: usize) -> Result<(), Overrun> {
        self.total.charge(bytes).map_err(Overrun::Total)
    }

    /// Releases bytes that were charged before.
    pub fn release(&self, bytes: usize) {
        self.total.release(bytes);
    }
}

impl Gauge {
    fn new(limit: u64) -> Self {
        Self { limit: usize::try_from(limit).unwrap_or(usize::MAX), used: AtomicUsize::new(0) }
    }

    fn allow(&self, bytes: usize) -> Result<(), u64> {
        let fits = self.used.load(Relaxed).checked_add(bytes).is_some_and(|used| used <= self.limit);
        if bytes == 0 || fits { Ok(()) } else { Err(self.limit as u64) }
    }

    fn charge(&self, bytes: usize) -> Result<(), u64> {
        if bytes == 0 {
            return Ok(());
        }
        let grown = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, grown).map(drop).map_err(|_| self.limit as u64)
    }

    /// Charges what nobody could be refused.
    fn force(&self, more: usize) {
        self.used.fetch_add(more, Relaxed);
    }

    fn release(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use alloc::sync::Arc;
    use bytes::Bytes;

    fn gathering(budget: &Arc<Budget>, len: usize) -> Gathering {
        let mut gathering = Gathering::new(budget.clone());
        gathering.extend(&[7; 300][..len], len);
        gathering
    }

    #[test]
    fn bytes_are_counted_until_their_last_holder_lets_go() {
        let budget = Arc::new(Budget::new(200, 140, 1));
        let mut gathering = gathering(&budget, 122);
        gathering.charge_unfinished(130).unwrap();
        assert_eq!(gathering.charge_unfinished(11), Err(Overrun::Unfinished(140)));
        assert_eq!(gathering.charge_unfinished(71), Err(Overrun::Total(200)));
        assert_eq!((budget.used(), budget.unfinished()), (130, 130));

        let data = gathering.settle().unwrap();
        // A block of 128, and the one in which it is shared.
        assert_eq!((budget.used(), budget.unfinished()), (128 + 64, 0));
        let snapshot = Bytes::from(data.clone());
        let slice = snapshot.slice(3..5);
        drop((data, snapshot));
        assert_eq!((slice.as_ref(), budget.used()), (&[7, 7][..], 128 + 64));
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn few_bytes_that_nobody_keeps_count_nothing() {
        let budget = Arc::new(Budget::new(64, 64, 1));
        let mut few = gathering(&budget, 64);
        few.charge_unfinished(64).unwrap();
        let data = few.settle().unwrap();
        assert_eq!((data.len(), budget.used(), budget.unfinished()), (64, 0, 0));
        // Nor do they need room, however they were cut.
        budget.charge(64).unwrap();
        assert_eq!(gathering(&budget, 64).settle().map(|data| data.len()), Ok(64));
    }

    #[test]
    fn dropped_or_refused_bytes_leave_nothing_behind() {
        let budget = Arc::new(Budget::new(100, 100, 1));
        let mut refused = gathering(&budget, 101);
        refused.charge_unfinished(60).unwrap();
        assert_eq!(refused.settle(), Err(Overrun::Total(100)));
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));

        let mut dropped = gathering(&budget, 0);
        dropped.charge_unfinished(60).unwrap();
        drop(dropped);
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));
    }

    #[test]
    fn data_in_the_place_of_others_cost_their_growth() {
        let budget = Arc::new(Budget::new(224, 200, 1));
        let payload = |len| Payload::Gathered(Box::new(gathering(&budget, len)));
        let mut place = Kept::default();
        payload(180).settle_into(&mut place, &budget).unwrap();
        assert_eq!(payload(225).settle_into(&mut place, &budget), Err(Overrun::Total(224)));
        assert_eq!((place.len(), budget.used()), (180, 192));
        payload(224).settle_into(&mut place, &budget).unwrap();
        assert_eq!((place.len(), budget.used()), (224, 224));

        // While somebody reads the old data, both are held and both count.
        payload(120).settle_into(&mut place, &budget).unwrap();
        let snapshot = place.snapshot();
        assert_eq!(payload(97).fits_in_place_of(&place, &budget), Err(Overrun::Total(224)));
        assert_eq!(payload(97).settle_into(&mut place, &budget), Err(Overrun::Total(224)));
        payload(96).settle_into(&mut place, &budget).unwrap();
        assert_eq!((snapshot.len(), place.len(), budget.used()), (120, 96, 224));
        drop((snapshot, place));
        assert_eq!(budget.used(), 0);
    }
}
