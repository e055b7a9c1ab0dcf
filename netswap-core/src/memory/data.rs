//! Bytes that are kept and shared.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::{Budget, Overrun};

/// A block of bytes, or a part of one, that is shared and counted once, until its last holder lets it go.
///
/// A clone is a snapshot and costs no copy: writing to data that somebody else holds writes to a copy. As [`Bytes`]
/// they can leave in slices.
#[derive(Clone, Default)]
pub struct Data {
    block: Option<Arc<Block>>,
    start: u32,
    len: u32,
}

struct Block {
    bytes: Vec<u8>,
    /// What the budget counts: the bytes, and the room that growth has made for more.
    charged: usize,
    budget: Option<Arc<Budget>>,
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.release(self.charged);
        }
    }
}

impl Data {
    /// Bytes whose length the budget has been charged with.
    pub(super) fn charged(bytes: Vec<u8>, budget: Arc<Budget>) -> Self {
        Self::whole(bytes, Some(budget))
    }

    /// A copy of bytes.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed.
    pub fn copy(bytes: &[u8], budget: &Arc<Budget>) -> Result<Self, Overrun> {
        budget.charge(bytes.len())?;
        Ok(Self::charged(bytes.to_vec(), budget.clone()))
    }

    fn whole(bytes: Vec<u8>, budget: Option<Arc<Budget>>) -> Self {
        let charged = bytes.len();
        let len = charged as u32;
        let block = (len > 0).then(|| Arc::new(Block { bytes, charged, budget }));
        Self { block, start: 0, len }
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part from `offset` on, of at most `len` bytes, clipped at the end.
    #[must_use]
    pub fn slice(&self, offset: u32, len: u32) -> Self {
        let offset = offset.min(self.len);
        let len = len.min(self.len - offset);
        if len == 0 {
            return Self::default();
        }
        Self { block: self.block.clone(), start: self.start + offset, len }
    }

    /// Judges whether the budget has room for what [`write`](Self::write) would add, with `len` bytes in the end.
    ///
    /// # Errors
    ///
    /// The total would be passed.
    pub fn allow_write(&self, len: usize, budget: &Budget) -> Result<(), Overrun> {
        budget.allow(len.saturating_sub(self.own_charge()))
    }

    /// Writes bytes at an offset; the data grow as far as needed, and a gap is filled with zeros.
    ///
    /// Only where somebody else holds the data are they copied, and the old ones given back to be dropped where it
    /// suits. Data that grow get an eighth of room more, counted, so that many small appends do not copy each time.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; the data stay as they were.
    ///
    /// # Panics
    ///
    /// When the data would have 2^32 bytes or more: the limit of a record is below that.
    pub fn write(&mut self, offset: usize, bytes: &[u8], budget: &Arc<Budget>) -> Result<Self, Overrun> {
        let len = self.len().max(offset + bytes.len());
        let mut old = Self::default();
        if !self.grow_in_place(len, budget)? {
            budget.charge(len)?;
            let mut copy = Vec::with_capacity(len);
            copy.extend_from_slice(self.as_ref());
            copy.resize(len, 0);
            old = core::mem::replace(self, Self::charged(copy, budget.clone()));
        }
        if let Some(block) = self.block.as_mut().and_then(Arc::get_mut) {
            block.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Ok(old)
    }

    /// Makes room in the block itself, where nobody else holds it.
    fn grow_in_place(&mut self, len: usize, budget: &Budget) -> Result<bool, Overrun> {
        let Some(block) = self.block.as_mut().and_then(Arc::get_mut) else { return Ok(len == 0) };
        if len > block.charged {
            let ample = len + len / 8;
            let capacity = match budget.charge(ample - block.charged) {
                Ok(()) => ample,
                Err(_) => budget.charge(len - block.charged).map(|()| len)?,
            };
            block.bytes.reserve_exact(capacity - block.bytes.len());
            block.charged = capacity;
        }
        block.bytes.resize(len, 0);
        self.len = len as u32;
        Ok(true)
    }

    /// Writes bytes in the place of as many others, where nobody else holds them and no room is left; whether it did.
    pub(super) fn overwrite(&mut self, bytes: &[u8]) -> bool {
        let Some(block) = self.block.as_mut().and_then(Arc::get_mut) else { return false };
        let fits = block.charged == bytes.len() && block.bytes.len() == bytes.len();
        if fits {
            block.bytes.copy_from_slice(bytes);
        }
        fits
    }

    /// Puts bytes, of which the budget counts `charged` already, in the place of these, which are given back. Unless
    /// somebody else still holds these, only the growth is charged.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; these stay as they were, and nothing is charged for the others.
    pub(super) fn replace(
        &mut self,
        bytes: Vec<u8>,
        charged: usize,
        budget: &Arc<Budget>,
    ) -> Result<Self, Overrun> {
        let given_up = self.give_up_charge(budget);
        let (have, need) = (charged + given_up, bytes.len());
        if need <= have {
            budget.release(have - need);
        } else if let Err(overrun) = budget.charge(need - have) {
            if given_up > 0 {
                self.take_back_charge(budget);
            }
            budget.release(charged);
            return Err(overrun);
        }
        Ok(core::mem::replace(self, Self::charged(bytes, budget.clone())))
    }

    /// What the budget would get back if this holder let go.
    pub(super) fn own_charge(&self) -> usize {
        let own = self.block.as_ref().filter(|block| Arc::strong_count(block) == 1);
        own.map_or(0, |block| block.charged)
    }

    /// How many bytes nobody counts any more from now on, because this, their only holder, is about to drop them.
    pub(crate) fn give_up_charge(&mut self, budget: &Arc<Budget>) -> usize {
        let Some(block) = self.block.as_mut().and_then(Arc::get_mut) else { return 0 };
        let ours = block.budget.take_if(|it| Arc::ptr_eq(it, budget)).is_some();
        if ours { block.charged } else { 0 }
    }

    /// Undoes `give_up_charge`.
    fn take_back_charge(&mut self, budget: &Arc<Budget>) {
        if let Some(block) = self.block.as_mut().and_then(Arc::get_mut) {
            block.budget = Some(budget.clone());
        }
    }
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        let (start, end) = (self.start as usize, (self.start + self.len) as usize);
        self.block.as_ref().map_or(&[], |block| &block.bytes[start..end])
    }
}

impl From<Vec<u8>> for Data {
    /// Bytes that no budget counts.
    fn from(bytes: Vec<u8>) -> Self {
        Self::whole(bytes, None)
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

    fn budget() -> Arc<Budget> {
        Arc::new(Budget::new(1000, 1000, 1))
    }

    #[test]
    fn a_write_copies_only_what_somebody_else_holds() {
        let budget = budget();
        let mut data = Data::default();
        data.write(0, &[1; 100], &budget).unwrap();
        let at = data.as_ref().as_ptr();
        data.write(50, &[2; 10], &budget).unwrap();
        assert_eq!((data.as_ref().as_ptr(), budget.used()), (at, 100));

        let snapshot = data.clone();
        let old = data.write(0, &[3], &budget).unwrap();
        assert_ne!(data.as_ref().as_ptr(), at);
        assert_eq!((snapshot.as_ref()[0], old.as_ref()[0], data.as_ref()[0]), (1, 1, 3));
        assert_eq!((data.as_ref()[55], budget.used()), (2, 200));
        drop((snapshot, old));
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn growth_fills_gaps_and_counts_its_room() {
        let budget = budget();
        let mut data = Data::default();
        data.write(4, &[1], &budget).unwrap();
        assert_eq!(data.as_ref(), [0, 0, 0, 0, 1]);
        data.write(80, &[2], &budget).unwrap();
        assert_eq!((data.len(), budget.used()), (81, 81 + 81 / 8));
        let before = budget.used();
        data.write(81, &[3; 10], &budget).unwrap();
        assert_eq!(budget.used(), before, "the room was there");

        // Where an eighth more does not fit, what is needed does; and where that does not, nothing changes.
        data.write(999, &[4], &budget).unwrap();
        assert_eq!((data.len(), budget.used()), (1000, 1000));
        assert_eq!(data.write(1000, &[5], &budget).err(), Some(Overrun::Total(1000)));
        assert_eq!((data.len(), data.as_ref()[999]), (1000, 4));
    }

    #[test]
    fn slices_are_clipped() {
        let data = Data::from(alloc::vec![0, 1, 2, 3, 4]);
        assert_eq!(data.slice(1, 3).as_ref(), [1, 2, 3]);
        assert_eq!(data.slice(1, 3).slice(1, 9).as_ref(), [2, 3]);
        assert_eq!(data.slice(3, u32::MAX).as_ref(), [3, 4]);
        assert!(data.slice(5, 1).is_empty() && data.slice(u32::MAX, u32::MAX).is_empty());
    }
}
