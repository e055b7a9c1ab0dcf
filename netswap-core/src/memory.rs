//! Memory that is counted: where bytes are buffered they are charged, where they are freed they are released.
//!
//! One [`Budget`] covers a whole server: records, requests that are arriving, and data that only replies still
//! hold (docs/PROTOCOL.md §7, total bytes). It can be shared between threads.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::error::{Quota, Refusal};

/// How many bytes a server may hold, and how many it does.
#[derive(Debug)]
pub struct Budget {
    total: Gauge,
    unfinished: Gauge,
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
    /// A budget with nothing used of `total` bytes, of which unfinished requests may have `unfinished`.
    #[must_use]
    pub fn new(total: u64, unfinished: u64) -> Self {
        Self { total: Gauge::new(total), unfinished: Gauge::new(unfinished) }
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
        let grown = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, grown).map(drop).map_err(|_| self.limit as u64)
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// The payload of a request while it arrives, in a buffer of its own that becomes the record's data.
///
/// The buffer follows the bytes that came, never the length that was declared.
pub struct Payload {
    budget: Arc<Budget>,
    data: Vec<u8>,
    charged: usize,
    unfinished: usize,
    /// The limit that its last bytes passed.
    overrun: Option<Overrun>,
}

impl Payload {
    /// An empty payload.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, data: Vec::new(), charged: 0, unfinished: 0, overrun: None }
    }

    /// Adds bytes that arrived, of data that are expected to have `expected` bytes in all.
    pub fn extend(&mut self, bytes: &[u8], expected: usize) {
        extend(&mut self.data, bytes, expected);
    }

    /// Counts bytes of the request as unfinished.
    ///
    /// # Errors
    ///
    /// Which limit would be passed, the total's first; nothing was charged.
    pub fn charge_unfinished(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.budget.charge(bytes)?;
        self.budget.unfinished.charge(bytes).map_err(|limit| {
            self.budget.release(bytes);
            Overrun::Unfinished(limit)
        })?;
        self.charged += bytes;
        self.unfinished += bytes;
        Ok(())
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
        self.data.len()
    }

    /// Whether there are no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Makes these bytes data to be kept, charged with their length and no longer unfinished.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the bytes are gone.
    pub fn settle(self) -> Result<Data, Overrun> {
        let mut data = Data::default();
        self.settle_into(&mut data)?;
        Ok(data)
    }

    /// Judges whether [`settle_into`](Self::settle_into) would pass the budget's total as things stand.
    ///
    /// # Errors
    ///
    /// It would, or the last bytes did.
    pub fn fits_in_place_of(&self, place: &Data) -> Result<(), Overrun> {
        if let Some(total @ Overrun::Total(_)) = self.overrun {
            return Err(total);
        }
        let have = self.charged + if place.is_unshared() { place.len() } else { 0 };
        self.budget.allow(self.data.len().saturating_sub(have))
    }

    /// Makes these bytes data to be kept in the place of others, which are given back to be dropped where it suits.
    /// Unless somebody else still holds the others, only the growth is charged, so that what shrinks always fits.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the others stay as they were and
    /// these bytes are gone.
    pub fn settle_into(mut self, place: &mut Data) -> Result<Data, Overrun> {
        if let Some(overrun) = self.overrun {
            return Err(overrun);
        }
        let len = self.data.len();
        self.charged += place.give_up_charge(&self.budget);
        if let Some(more) = len.checked_sub(self.charged).filter(|more| *more > 0) {
            if let Err(overrun) = self.budget.charge(more) {
                self.charged -= place.take_back_charge(&self.budget);
                return Err(overrun);
            }
        } else {
            self.budget.release(self.charged - len);
        }
        self.charged = 0;
        let bytes = core::mem::take(&mut self.data);
        let block = |bytes| Arc::new(Block { bytes, budget: Some(self.budget.clone()) });
        Ok(core::mem::replace(place, Data((len > 0).then(|| block(bytes)))))
    }
}

/// Adds bytes that arrived to data that are expected to have `expected` bytes in all.
///
/// The buffer doubles as it grows and stops at `expected`: it follows the bytes that came, never the length that was
/// declared, and ends without slack.
pub(crate) fn extend(data: &mut Vec<u8>, bytes: &[u8], expected: usize) {
    let needed = data.len() + bytes.len();
    if needed > data.capacity() {
        let capacity = needed.max(data.capacity().saturating_mul(2)).min(expected.max(needed));
        data.reserve_exact(capacity - data.len());
    }
    data.extend_from_slice(bytes);
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.budget.release(self.charged);
        self.budget.unfinished.release(self.unfinished);
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.data.len())
    }
}

/// A block of bytes that is shared, never changed and counted once, until its last holder lets it go.
///
/// A clone is a snapshot and costs no copy. As [`Bytes`] it can leave in slices.
#[derive(Clone, Default)]
pub struct Data(Option<Arc<Block>>);

struct Block {
    bytes: Vec<u8>,
    budget: Option<Arc<Budget>>,
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.release(self.bytes.len());
        }
    }
}

impl Data {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn is_unshared(&self) -> bool {
        self.0.as_ref().is_none_or(|block| Arc::strong_count(block) == 1)
    }

    /// How many bytes nobody counts any more from now on, because this, their only holder, is about to drop them.
    pub(crate) fn give_up_charge(&mut self, budget: &Arc<Budget>) -> usize {
        let Some(block) = self.0.as_mut().and_then(Arc::get_mut) else { return 0 };
        let ours = block.budget.take_if(|it| Arc::ptr_eq(it, budget)).is_some();
        if ours { block.bytes.len() } else { 0 }
    }

    /// Undoes `give_up_charge`.
    fn take_back_charge(&mut self, budget: &Arc<Budget>) -> usize {
        let Some(block) = self.0.as_mut().and_then(Arc::get_mut) else { return 0 };
        block.budget = Some(budget.clone());
        block.bytes.len()
    }
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |block| &block.bytes)
    }
}

impl From<Vec<u8>> for Data {
    /// Bytes that no budget counts.
    fn from(bytes: Vec<u8>) -> Self {
        Self((!bytes.is_empty()).then(|| Arc::new(Block { bytes, budget: None })))
    }
}

impl From<Data> for Bytes {
    fn from(data: Data) -> Self {
        if data.is_empty() { Self::new() } else { Self::from_owner(data) }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.len())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Data {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_until_their_last_holder_lets_go() {
        let budget = Arc::new(Budget::new(100, 40));
        let mut payload = Payload::new(budget.clone());
        payload.charge_unfinished(30).unwrap();
        assert_eq!(payload.charge_unfinished(11), Err(Overrun::Unfinished(40)));
        assert_eq!(payload.charge_unfinished(71), Err(Overrun::Total(100)));
        assert_eq!((budget.used(), budget.unfinished()), (30, 30));

        payload.extend(&[7; 22], 22);
        let data = payload.settle().unwrap();
        assert_eq!((budget.used(), budget.unfinished()), (22, 0));
        let snapshot = Bytes::from(data.clone());
        let slice = snapshot.slice(3..5);
        drop((data, snapshot));
        assert_eq!((slice.as_ref(), budget.used()), (&[7, 7][..], 22));
        drop(slice);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_dropped_or_refused_payload_leaves_nothing_behind() {
        let budget = Arc::new(Budget::new(100, 100));
        let mut payload = Payload::new(budget.clone());
        payload.charge_unfinished(60).unwrap();
        payload.extend(&[0; 101], 101);
        assert_eq!(payload.settle(), Err(Overrun::Total(100)));
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));

        let mut payload = Payload::new(budget.clone());
        payload.charge_unfinished(60).unwrap();
        drop(payload);
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));
    }

    #[test]
    fn data_in_the_place_of_others_cost_their_growth() {
        let budget = Arc::new(Budget::new(100, 100));
        let payload = |len| {
            let mut payload = Payload::new(budget.clone());
            payload.extend(&[1; 200][..len], len);
            payload
        };
        let mut place = payload(80).settle().unwrap();
        assert_eq!(payload(101).settle_into(&mut place), Err(Overrun::Total(100)));
        assert_eq!((place.len(), budget.used()), (80, 80));
        payload(100).settle_into(&mut place).unwrap();
        assert_eq!((place.len(), budget.used()), (100, 100));

        // While somebody reads the old data, both are held and both count.
        payload(60).settle_into(&mut place).unwrap();
        let snapshot = place.clone();
        assert_eq!(payload(41).fits_in_place_of(&place), Err(Overrun::Total(100)));
        assert_eq!(payload(41).settle_into(&mut place), Err(Overrun::Total(100)));
        payload(40).settle_into(&mut place).unwrap();
        assert_eq!((snapshot.len(), place.len(), budget.used()), (60, 40, 100));
        drop((snapshot, place));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_buffer_follows_the_bytes_that_came() {
        let mut payload = Payload::new(Arc::new(Budget::new(1 << 40, 1 << 40)));
        for packet in 1..=200 {
            payload.extend(&[1; 1390], 4_000_000_000);
            assert!(payload.data.capacity() <= 2 * packet * 1390);
        }
        let mut payload = Payload::new(Arc::new(Budget::new(1 << 40, 1 << 40)));
        while payload.len() < 100_000 {
            payload.extend(&[1; 1000], 100_000);
        }
        assert_eq!(payload.data.capacity(), 100_000);
    }
}
