//! The data of a record.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::block::Block;
use super::data::FEW;
use super::{Budget, Data, Overrun};

/// The data of a record: few bytes in a box of their own, more in a block that snapshots share.
///
/// Writing to a block that somebody else holds writes to a copy. What is kept counts; it must be
/// [let go](Self::let_go) in the end.
pub(crate) enum Kept {
    Few(Box<[u8]>),
    Many(Arc<Block>),
}

impl Kept {
    /// Bytes that the budget counts already.
    fn new(bytes: Vec<u8>, budget: &Arc<Budget>) -> Self {
        if bytes.len() <= FEW {
            Self::Few(bytes.into())
        } else {
            Self::Many(Arc::new(Block::new(bytes, Some(budget.clone()))))
        }
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// The data as they are now.
    pub(crate) fn snapshot(&self) -> Data {
        self.slice(0, u32::MAX)
    }

    /// The part from `offset` on, of at most `len` bytes, clipped at the end, as it is now.
    pub(crate) fn slice(&self, offset: u32, len: u32) -> Data {
        let start = (offset as usize).min(self.len());
        let len = (len as usize).min(self.len() - start);
        match self {
            Self::Few(bytes) => Data::from_few(&bytes[start..start + len]),
            Self::Many(block) => Data::part(block, start, len),
        }
    }

    /// Judges whether the budget has room for what [`write`](Self::write) would add, with `len` bytes in the end.
    ///
    /// # Errors
    ///
    /// The total would be passed.
    pub(crate) fn allow_write(&self, len: usize, budget: &Budget) -> Result<(), Overrun> {
        budget.allow(len.saturating_sub(self.own_charge()))
    }

    /// Writes bytes at an offset; the data grow as far as needed, and a gap is filled with zeros.
    ///
    /// Only where somebody else holds the data are they copied, and the old ones given back to be dropped where it
    /// suits. A block that grows gets an eighth of room more, counted, so that many small appends do not copy each time.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; the data stay as they were.
    ///
    /// # Panics
    ///
    /// When the data would have 2^32 bytes or more: the limit of a record is below that.
    pub(crate) fn write(
        &mut self,
        offset: usize,
        bytes: &[u8],
        budget: &Arc<Budget>,
    ) -> Result<Data, Overrun> {
        let len = self.len().max(offset + bytes.len());
        let mut old = Data::default();
        if !self.grow_in_place(len, budget)? {
            let mut copy = Vec::with_capacity(len);
            copy.extend_from_slice(self.as_ref());
            copy.resize(len, 0);
            old = self.replace(copy, 0, budget)?;
        }
        if let Some(own) = self.own() {
            own[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Ok(old)
    }

    /// Makes the data `len` bytes where they are, if that can be.
    fn grow_in_place(&mut self, len: usize, budget: &Budget) -> Result<bool, Overrun> {
        match self {
            Self::Few(bytes) => Ok(bytes.len() == len),
            Self::Many(block) => match Arc::get_mut(block) {
                Some(block) => block.grow(len, budget).map(|()| true),
                None => Ok(false),
            },
        }
    }

    /// The bytes, to be written, unless somebody else holds them.
    fn own(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Few(bytes) => Some(bytes),
            Self::Many(block) => Arc::get_mut(block).map(|block| &mut block.bytes[..]),
        }
    }

    /// Writes bytes in the place of as many others, where nobody else holds them and no room is left; whether it did.
    pub(super) fn overwrite(&mut self, bytes: &[u8]) -> bool {
        let fits = self.len() == bytes.len() && self.own_charge() == bytes.len();
        if fits && let Some(own) = self.own() {
            own.copy_from_slice(bytes);
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
    ) -> Result<Data, Overrun> {
        // Whether somebody else holds these is looked at once: others may let go at any moment.
        let own = self.own_charge();
        let (have, need) = (charged + own, bytes.len());
        if need > have
            && let Err(overrun) = budget.charge(need - have)
        {
            budget.release(charged);
            return Err(overrun);
        }
        budget.release(have.saturating_sub(need));
        match core::mem::replace(self, Self::new(bytes, budget)) {
            Self::Few(_) => Ok(Data::default()),
            Self::Many(mut block) => {
                // What it counted was taken over, if it was ours alone.
                if own > 0
                    && let Some(block) = Arc::get_mut(&mut block)
                {
                    block.give_up_charge();
                }
                Ok(Data::whole(block))
            }
        }
    }

    /// The record ends: these bytes no longer count, unless somebody else holds them; they are given back to be dropped
    /// where it suits.
    pub(crate) fn let_go(mut self, budget: &Arc<Budget>) -> Data {
        // Replaced by nothing, which needs no room.
        self.replace(Vec::new(), 0, budget).unwrap_or_default()
    }

    /// The bytes as they are sent, which count no longer than somebody holds them.
    pub(super) fn into_data(self, budget: &Budget) -> Data {
        match self {
            Self::Few(bytes) => {
                budget.release(bytes.len());
                Data::from_few(&bytes)
            }
            Self::Many(block) => Data::whole(block),
        }
    }

    /// What the budget would get back if this holder let go.
    pub(super) fn own_charge(&self) -> usize {
        match self {
            Self::Few(bytes) => bytes.len(),
            Self::Many(block) if Arc::strong_count(block) == 1 => block.charged(),
            Self::Many(_) => 0,
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self::Few(Box::default())
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Few(bytes) => bytes,
            Self::Many(block) => &block.bytes,
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Arc<Budget> {
        Arc::new(Budget::new(1000, 1000, 1))
    }

    #[test]
    fn a_write_copies_only_what_somebody_else_holds() {
        let budget = budget();
        let mut kept = Kept::default();
        kept.write(0, &[1; 100], &budget).unwrap();
        let at = kept.as_ref().as_ptr();
        kept.write(50, &[2; 10], &budget).unwrap();
        assert_eq!((kept.as_ref().as_ptr(), budget.used()), (at, 100));

        let snapshot = kept.snapshot();
        let old = kept.write(0, &[3], &budget).unwrap();
        assert_ne!(kept.as_ref().as_ptr(), at);
        assert_eq!((snapshot.as_ref()[0], old.as_ref()[0], kept.as_ref()[0]), (1, 1, 3));
        assert_eq!((kept.as_ref()[55], budget.used()), (2, 200));
        drop((snapshot, old));
        assert_eq!(budget.used(), 100);
        drop(kept.let_go(&budget));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn growth_fills_gaps_and_counts_its_room() {
        let budget = budget();
        let mut kept = Kept::default();
        kept.write(4, &[1], &budget).unwrap();
        assert_eq!((kept.as_ref(), budget.used()), (&[0, 0, 0, 0, 1][..], 5));
        kept.write(79, &[2], &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (80, 80), "a block with no room yet");
        kept.write(80, &[3], &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (81, 81 + 81 / 8));
        let before = budget.used();
        kept.write(81, &[3; 10], &budget).unwrap();
        assert_eq!(budget.used(), before, "the room was there");

        // Where an eighth more does not fit, what is needed does; and where that does not, nothing changes.
        kept.write(999, &[4], &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (1000, 1000));
        assert_eq!(kept.write(1000, &[5], &budget).err(), Some(Overrun::Total(1000)));
        assert_eq!((kept.len(), kept.as_ref()[999]), (1000, 4));
        drop(kept.let_go(&budget));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn few_bytes_count_as_others_do() {
        let budget = Arc::new(Budget::new(70, 0, 0));
        let mut kept = Kept::default();
        assert!(!kept.overwrite(&[1]));
        kept.replace([1; 60].into(), 0, &budget).unwrap();
        assert!(kept.overwrite(&[2; 60]) && !kept.overwrite(&[3; 61]));
        assert_eq!((kept.as_ref(), budget.used()), (&[2; 60][..], 60));
        kept.replace([3; 64].into(), 0, &budget).unwrap();
        assert_eq!(kept.write(0, &[4; 71], &budget), Err(Overrun::Total(70)));
        kept.write(60, &[4; 10], &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (70, 70));
        assert!(kept.overwrite(&[5; 70]));
        let snapshot = kept.snapshot();
        assert!(!kept.overwrite(&[6; 70]), "somebody holds them");
        assert_eq!(kept.replace([6; 20].into(), 0, &budget), Err(Overrun::Total(70)));
        drop(snapshot);
        kept.replace([6; 20].into(), 0, &budget).unwrap();
        assert_eq!(budget.used(), 20);
        drop(kept.let_go(&budget));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn slices_are_clipped() {
        let budget = budget();
        for len in [5, 100] {
            let mut kept = Kept::default();
            kept.replace((0..len).collect(), 0, &budget).unwrap();
            assert_eq!(kept.slice(1, 3).as_ref(), [1, 2, 3]);
            assert_eq!(kept.slice(3, u32::MAX).as_ref(), (3..len).collect::<Vec<_>>());
            assert!(kept.slice(len.into(), 1).is_empty() && kept.slice(u32::MAX, u32::MAX).is_empty());
        }
    }

    #[test]
    fn others_may_let_go_at_any_moment() {
        extern crate std;
        let budget = Arc::new(Budget::new(1 << 30, 0, 0));
        let (give, take) = std::sync::mpsc::sync_channel::<Data>(0);
        let others = std::thread::spawn(move || take.into_iter().for_each(drop));
        let mut kept = Kept::default();
        for _ in 0..20_000 {
            kept.replace([1; 100].into(), 0, &budget).unwrap();
            give.send(kept.snapshot()).unwrap();
        }
        drop(give);
        others.join().unwrap();
        drop(kept.let_go(&budget));
        assert_eq!(budget.used(), 0);
    }
}
