//! The data of a record.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::block::Block;
use super::charge::{Purse, taken};
use super::data::FEW;
use super::tree::Tree;
use super::{Budget, Data, Garbage, Overrun, Piece};

/// The data of a record: few bytes in a box of their own, more in a block that snapshots share, many in a tree of chunks.
///
/// Writing to what somebody else holds writes to a copy: of a block, or of the chunks that are touched. What is kept
/// counts; it must be [let go](Self::let_go) in the end.
pub(crate) enum Kept {
    Few(Box<[u8]>),
    Many(Arc<Block>),
}

impl Kept {
    /// Bytes that the budget counts already.
    fn new(bytes: Vec<u8>, budget: &Arc<Budget>) -> Self {
        if bytes.len() <= FEW {
            // They are a third of what their record takes at most, and leave holes too small to hurry for.
            Self::Few(bytes.into())
        } else {
            budget.note_allocated(taken(bytes.len()));
            Self::Many(Arc::new(Block::new(bytes, Some(budget.clone()))))
        }
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(bytes) => bytes.len(),
            Self::Many(block) => block.len(),
        }
    }

    /// The first byte, or any where they are many.
    pub(crate) fn first(&self) -> Option<u8> {
        match self {
            Self::Few(bytes) => bytes.first().copied(),
            Self::Many(block) => Some(block.len() as u8),
        }
    }

    /// Whether they are few, and as many as said.
    pub(super) fn is_few_of(&self, len: usize) -> bool {
        matches!(self, Self::Few(bytes) if bytes.len() == len)
    }

    /// The data as they are now.
    pub(crate) fn snapshot(&self) -> Data {
        self.slice(0, u32::MAX)
    }

    /// The part from `offset` on, of at most `len` bytes, clipped at the end, as it is now.
    pub(crate) fn slice(&self, offset: u32, len: u32) -> Data {
        match self {
            Self::Few(bytes) => {
                let rest = bytes.get(offset as usize..).unwrap_or_default();
                Data::from_few(&rest[..rest.len().min(len as usize)])
            }
            Self::Many(block) => {
                let start = (offset as usize).min(block.len());
                Data::part(block, start, (len as usize).min(block.len() - start))
            }
        }
    }

    /// The eight bytes at an offset, where there are as many.
    pub(crate) fn number(&self, offset: usize) -> Option<[u8; 8]> {
        if let Some(tree) = self.tree() {
            let mut number = [0; 8];
            let fits = offset.checked_add(8).is_some_and(|end| end <= tree.len());
            return fits.then(|| {
                tree.read(offset, &mut number);
                number
            });
        }
        self.flat().get(offset..)?.first_chunk().copied()
    }

    /// Judges whether the budget has room for what [`write`](Self::write) would add.
    ///
    /// # Errors
    ///
    /// The total would be passed.
    pub(crate) fn allow_write(&self, offset: usize, len: usize, budget: &Budget) -> Result<(), Overrun> {
        if self.tree().is_some_and(|tree| tree.has_own(offset, len)) {
            return Ok(());
        }
        budget.allow(self.cost_of_write(offset, len, budget))
    }

    fn cost_of_write(&self, offset: usize, len: usize, budget: &Budget) -> usize {
        if let Some(tree) = self.tree() {
            return tree.cost_of_write(offset, len);
        }
        let all = self.len().max(offset + len);
        if all <= budget.flat_at_most() {
            return taken(all).saturating_sub(self.own_charge());
        }
        let tree = Tree::zeros(0, budget.chunk());
        let cost = tree.cost_of_write(0, self.len()) + tree.cost_of_write(offset, len);
        cost.saturating_sub(self.own_charge())
    }

    /// Writes bytes at an offset; the data grow as far as needed, and a gap is filled with zeros.
    ///
    /// Only where somebody else holds the data are they copied, and an old block is given back to be dropped where it suits.
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
        if self.overwrite_in_chunk(offset, bytes) {
            return Ok(Data::default());
        }
        if self.tree().is_some() || len > budget.flat_at_most() {
            let cost = self.cost_of_write(offset, bytes.len(), budget);
            budget.charge(cost)?;
            let mut purse = Purse::new(budget.clone());
            purse.add(cost);
            if let Some(tree) = self.make_tree(&mut purse) {
                tree.write(offset, bytes, &mut purse);
            }
            return Ok(Data::default());
        }
        let mut old = Data::default();
        if !self.grow_in_place(len, budget)? {
            let mut copy = Vec::with_capacity(len);
            copy.extend_from_slice(self.flat());
            copy.resize(len, 0);
            old = self.replace(copy, 0, budget)?;
        }
        if let Some(own) = self.own() {
            own[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Ok(old)
    }

    /// Overwrites bytes of one chunk that nobody else holds. Returns whether it did.
    fn overwrite_in_chunk(&mut self, offset: usize, bytes: &[u8]) -> bool {
        match self {
            Self::Many(block) => match Arc::get_mut(block) {
                Some(Block::Tree(tree)) => tree.overwrite(offset, bytes),
                _ => false,
            },
            Self::Few(_) => false,
        }
    }

    /// [Writes](Self::write) `len` bytes that lie in pieces, whole or not at all.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; the data stay as they were.
    pub(super) fn write_pieces(
        &mut self,
        offset: usize,
        len: usize,
        mut next: impl FnMut() -> Option<Piece>,
        budget: &Arc<Budget>,
    ) -> Result<(), Overrun> {
        let cost = self.cost_of_write(offset, len, budget);
        budget.charge(cost)?;
        let mut purse = Purse::new(budget.clone());
        purse.add(cost);
        if let Some(tree) = self.make_tree(&mut purse) {
            let mut at = offset;
            while let Some(piece) = next() {
                tree.write(at, piece.as_ref(), &mut purse);
                at += piece.as_ref().len();
            }
        }
        Ok(())
    }

    /// Puts the bytes of a tree, from `start` on, into the place of those here, whatever their number in the same few
    /// steps. The tree has nothing before `start`, and nobody else holds it.
    pub(super) fn graft(&mut self, other: Tree, start: usize, purse: &mut Purse, garbage: &mut Garbage) {
        if let Some(tree) = self.make_tree(purse) {
            tree.graft(other, start, purse, garbage);
        }
    }

    /// The tree of chunks, which a block becomes.
    fn make_tree(&mut self, purse: &mut Purse) -> Option<&mut Tree> {
        if self.tree().is_none() {
            let mut tree = Tree::zeros(0, purse.budget().chunk());
            tree.write(0, self.flat(), purse);
            self.become_tree(tree, purse.budget());
        }
        match self {
            Self::Many(block) => match Arc::get_mut(block) {
                Some(Block::Tree(tree)) => Some(tree),
                _ => None,
            },
            Self::Few(_) => None,
        }
    }

    /// Puts bytes that are too many for one block, and that nothing counts yet, in the place of these, which are given back.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; these stay as they were.
    pub(super) fn replace_by_chunks(&mut self, bytes: &[u8], budget: &Arc<Budget>) -> Result<Data, Overrun> {
        let mut new = Self::default();
        new.write(0, bytes, budget)?;
        Ok(core::mem::replace(self, new).let_go(budget))
    }

    /// Puts a tree into the place of these data, which are given back.
    pub(super) fn become_tree(&mut self, tree: Tree, budget: &Budget) -> Data {
        match core::mem::replace(self, Self::Many(Arc::new(Block::Tree(tree)))) {
            Self::Few(bytes) => {
                budget.release(taken(bytes.len()));
                Data::default()
            }
            Self::Many(block) => Data::whole(block),
        }
    }

    fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Many(block) => match &**block {
                Block::Tree(tree) => Some(tree),
                Block::Flat(_) => None,
            },
            Self::Few(_) => None,
        }
    }

    /// The bytes, where they are no tree.
    fn flat(&self) -> &[u8] {
        match self {
            Self::Few(bytes) => bytes,
            Self::Many(block) => block.bytes(),
        }
    }

    /// Where its bytes lie.
    #[cfg(test)]
    pub(crate) fn flat_at(&self) -> *const u8 {
        self.flat().as_ptr()
    }

    /// Makes the data `len` bytes where they are, if that can be.
    fn grow_in_place(&mut self, len: usize, budget: &Budget) -> Result<bool, Overrun> {
        match self {
            Self::Few(bytes) => Ok(bytes.len() == len),
            Self::Many(block) => match Arc::get_mut(block) {
                Some(Block::Flat(flat)) => {
                    budget.charge(flat.cost_of_growth(len))?;
                    flat.grow(len);
                    Ok(true)
                }
                _ => Ok(false),
            },
        }
    }

    /// The bytes, to be written, unless somebody else holds them.
    fn own(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Few(bytes) => Some(bytes),
            Self::Many(block) => match Arc::get_mut(block) {
                Some(Block::Flat(flat)) => Some(&mut flat.bytes),
                _ => None,
            },
        }
    }

    /// Overwrites all bytes with as many others, where nobody else holds them. Returns whether it did.
    pub(super) fn overwrite(&mut self, bytes: &[u8]) -> bool {
        match self.own() {
            Some(own) if own.len() == bytes.len() => {
                own.copy_from_slice(bytes);
                true
            }
            _ => false,
        }
    }

    /// Puts bytes, for which the budget counts `charged` already, in the place of these, which are given back. Unless
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
        if self.tree().is_some() {
            return self.replace_tree(bytes, charged, budget);
        }
        // Whether somebody else holds these is looked at once: others may let go at any moment.
        let own = self.own_charge();
        let (have, need) = (charged + own, taken(bytes.len()));
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
                    && let Some(Block::Flat(flat)) = Arc::get_mut(&mut block)
                {
                    flat.give_up_charge();
                }
                Ok(Data::whole(block))
            }
        }
    }

    #[cold]
    fn replace_tree(
        &mut self,
        bytes: Vec<u8>,
        charged: usize,
        budget: &Arc<Budget>,
    ) -> Result<Data, Overrun> {
        let need = taken(bytes.len());
        let more = need.saturating_sub(charged);
        // The tree is released in portions, a moment later.
        if self.tree().is_some_and(|tree| tree.freed_by_dropping(more) >= more) {
            budget.total.force(more);
        } else if let Err(overrun) = budget.charge(more) {
            budget.release(charged);
            return Err(overrun);
        }
        budget.release(charged.saturating_sub(need));
        match core::mem::replace(self, Self::new(bytes, budget)) {
            Self::Many(block) => Ok(Data::whole(block)),
            Self::Few(_) => Ok(Data::default()),
        }
    }

    /// Moves data that nobody else holds to a new place: all of it, or of a tree the chunks of one node, from an offset on.
    /// Where it is to go on, if there is more.
    pub(crate) fn relocate(&mut self, offset: usize) -> Option<usize> {
        match core::mem::take(self) {
            Self::Few(bytes) => {
                *self = Self::Few(bytes.iter().copied().collect());
                None
            }
            Self::Many(mut block) => {
                let next = match Arc::get_mut(&mut block) {
                    Some(Block::Tree(tree)) => tree.relocate(offset),
                    Some(Block::Flat(flat)) => {
                        flat.bytes = flat.bytes.as_slice().to_vec();
                        None
                    }
                    None => None,
                };
                if next.is_none() {
                    block = match Arc::try_unwrap(block) {
                        Ok(block) => Arc::new(block),
                        Err(shared) => shared,
                    };
                }
                *self = Self::Many(block);
                next
            }
        }
    }

    /// The record ends: these bytes no longer count, unless somebody else holds them; they are given back to be dropped
    /// where it suits. Those of a tree count until then.
    pub(crate) fn let_go(mut self, budget: &Arc<Budget>) -> Data {
        if let Self::Few(bytes) = &self {
            budget.release(taken(bytes.len()));
            return Data::default();
        }
        // Replaced by nothing, which needs no room.
        self.replace(Vec::new(), 0, budget).unwrap_or_default()
    }

    /// Judges whether `len` bytes of data, for which the budget counts `charged` already, fit in the place of these.
    ///
    /// # Errors
    ///
    /// The total would be passed.
    pub(super) fn allow_replace(&self, len: usize, charged: usize, budget: &Budget) -> Result<(), Overrun> {
        let more = taken(len).saturating_sub(charged);
        match self.tree() {
            Some(tree) if tree.freed_by_dropping(more) >= more => Ok(()),
            Some(_) => budget.allow(more),
            None => budget.allow(more.saturating_sub(self.own_charge())),
        }
    }

    /// What the budget would get back at once if this holder let go of a block.
    fn own_charge(&self) -> usize {
        match self {
            Self::Few(bytes) => taken(bytes.len()),
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

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests;
