//! The data of a request while it arrives in several packets.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::data::FEW;
use super::{Budget, Data, Kept, Overrun};

/// From so many bytes on there is twice the room that is needed. One packet gets what it needs.
const AMPLE_FROM: usize = 4096;

/// When so many bytes have come, room for all may be made at once.
const AHEAD_FROM: usize = 64 * 1024;

/// The data of a request while it arrives, in a buffer of its own that becomes the record's.
///
/// The buffer follows the bytes that came, never the length that was declared.
pub struct Gathering {
    budget: Arc<Budget>,
    data: Vec<u8>,
    charged: usize,
    unfinished: usize,
    /// What of its room counts as ahead.
    ahead: usize,
    /// The limit that its last bytes passed.
    overrun: Option<Overrun>,
}

impl Gathering {
    /// No bytes yet.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self { budget, data: Vec::new(), charged: 0, unfinished: 0, ahead: 0, overrun: None }
    }

    /// Adds bytes that arrived, of data that are expected to have `expected` bytes in all.
    pub fn extend(&mut self, bytes: &[u8], expected: usize) {
        self.reserve(bytes.len(), expected);
        self.data.extend_from_slice(bytes);
    }

    /// Makes room for bytes that arrived, of data that are expected to have `expected` bytes in all.
    ///
    /// The room doubles, and stops at `expected`: it follows the bytes that came, never the length that was declared, and
    /// ends without slack. When much has come, and as far as the budget has room ahead, it is all that is
    /// expected: bytes that need not be moved once more.
    pub fn reserve(&mut self, more: usize, expected: usize) {
        let needed = self.data.len() + more;
        if needed <= self.data.capacity() {
            return;
        }
        let beyond = expected.saturating_sub(needed.saturating_mul(2));
        if needed >= AHEAD_FROM
            && beyond > self.ahead
            && self.budget.ahead.charge(beyond - self.ahead).is_ok()
        {
            self.ahead = beyond;
            self.data.reserve_exact(expected - self.data.len());
        } else {
            reserve(&mut self.data, more, expected);
        }
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

    /// The bytes, to be written somewhere.
    ///
    /// # Errors
    ///
    /// A limit was passed when their last came.
    pub fn bytes(&self) -> Result<&[u8], Overrun> {
        self.overrun.map_or(Ok(&self.data), Err)
    }

    /// Makes these bytes data that can be sent, no longer unfinished.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the bytes are gone.
    pub fn settle(self) -> Result<Data, Overrun> {
        if self.data.len() <= FEW {
            return self.bytes().map(Data::from_few);
        }
        let mut kept = Kept::default();
        let budget = self.budget.clone();
        self.settle_into(&mut kept)?;
        Ok(kept.into_data(&budget))
    }

    /// Judges whether [`settle_into`](Self::settle_into) would pass the budget's total as things stand.
    ///
    /// # Errors
    ///
    /// It would, or the last bytes did.
    pub(super) fn fits_in_place_of(&self, place: &Kept) -> Result<(), Overrun> {
        self.check_total()?;
        let have = self.charged + place.own_charge();
        self.budget.allow(self.data.len().saturating_sub(have))
    }

    /// Makes these bytes data to be kept in the place of others, which are given back to be dropped where it suits.
    /// Unless somebody else still holds the others, only the growth is charged, so that what shrinks always fits.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the others stay as they were and
    /// these bytes are gone.
    pub(super) fn settle_into(mut self, place: &mut Kept) -> Result<Data, Overrun> {
        if let Some(overrun) = self.overrun {
            return Err(overrun);
        }
        let charged = core::mem::take(&mut self.charged);
        place.replace(core::mem::take(&mut self.data), charged, &self.budget)
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
        self.budget.release(self.charged);
        self.budget.unfinished.release(self.unfinished);
        self.budget.ahead.release(self.ahead);
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gathering({} bytes)", self.data.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathering(unfinished: u64) -> Gathering {
        Gathering::new(Arc::new(Budget::new(1 << 40, unfinished, 1)))
    }

    #[test]
    fn the_buffer_follows_the_bytes_that_came() {
        let mut gathering = gathering(1 << 20);
        for packet in 1..=200 {
            gathering.extend(&[1; 1390], 4_000_000_000);
            assert!(gathering.data.capacity() <= 2 * packet * 1390);
        }
    }

    #[test]
    fn it_ends_without_slack() {
        for unfinished in [0, 1 << 40] {
            for expected in [1, 1000, 2780, 100_000, 300_000] {
                let mut gathering = gathering(unfinished);
                while gathering.len() < expected {
                    let more = 1000.min(expected - gathering.len());
                    gathering.extend(&[1; 1000][..more], expected);
                }
                assert_eq!((gathering.len(), gathering.data.capacity()), (expected, expected));
            }
        }
    }

    #[test]
    fn when_much_has_come_there_is_room_for_all_as_far_as_there_may_be() {
        let budget = Arc::new(Budget::new(1 << 30, 4 * 1_000_000, 1));
        let mut one = Gathering::new(budget.clone());
        one.extend(&[1; 65_535], 1_000_000);
        assert_eq!(one.data.capacity(), 2 * 65_535);
        one.reserve(65_536, 1_000_000);
        assert_eq!((one.data.capacity(), one.ahead), (1_000_000, 1_000_000 - 2 * 131_071));
        let mut other = Gathering::new(budget.clone());
        other.extend(&[1; 65_536], 1_000_000);
        assert_eq!((other.data.capacity(), other.ahead), (2 * 65_536, 0), "no more may be ahead");
        drop(one);
        other.reserve(65_537, 1_000_000);
        assert_eq!((other.data.capacity(), other.ahead), (1_000_000, 1_000_000 - 2 * 131_073));
        drop(other);
        assert!(budget.ahead.charge(1_000_000).is_ok() && budget.ahead.charge(1).is_err());
    }
}
