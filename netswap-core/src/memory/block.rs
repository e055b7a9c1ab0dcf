//! The data of one record: bytes in one block, which snapshots share and the budget counts until the last holder lets it go;
//! or a tree of chunks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Budget;
use super::charge::{sent, taken};
use super::tree::Tree;

/// Bytes of the allocation in which a block is shared, beside its data.
pub(super) const BLOCK: usize = taken(2 * size_of::<usize>() + size_of::<Block>());

/// Data of more than a few bytes.
pub(crate) enum Block {
    Flat(Flat),
    /// Snapshots share the tree, and never this.
    Tree(Tree),
}

/// Bytes in one block.
pub(crate) struct Flat {
    pub(super) bytes: Vec<u8>,
    /// Bytes that the budget counts.
    charged: usize,
    budget: Option<Arc<Budget>>,
}

impl Drop for Flat {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.release(self.charged);
        }
    }
}

impl Block {
    /// Bytes of a record, or of nobody, whose [size class](taken) the budget, where there is one, has been charged with.
    pub(super) fn new(bytes: Vec<u8>, budget: Option<Arc<Budget>>) -> Self {
        Self::Flat(Flat { charged: taken(bytes.len()), bytes, budget })
    }

    /// Bytes that only replies hold, [for which](sent) the budget has been charged.
    pub(super) fn sent(bytes: Vec<u8>, budget: Arc<Budget>) -> Self {
        Self::Flat(Flat { charged: sent(bytes.len()), bytes, budget: Some(budget) })
    }

    /// The bytes of a block; none of a tree.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Flat(flat) => &flat.bytes,
            Self::Tree(_) => &[],
        }
    }

    /// What the budget gets back when the block is dropped; nothing of a tree.
    pub(super) fn charged(&self) -> usize {
        match self {
            Self::Flat(flat) => flat.charged,
            Self::Tree(_) => 0,
        }
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Flat(flat) => flat.bytes.len(),
            Self::Tree(tree) => tree.len(),
        }
    }
}

impl Flat {
    /// What growth to `len` bytes counts more.
    pub(super) fn cost_of_growth(&self, len: usize) -> usize {
        taken(len).saturating_sub(self.charged)
    }

    /// Makes the bytes `len`, for whose size class the budget has been charged. The new ones are zeros.
    pub(super) fn grow(&mut self, len: usize) {
        if len > self.bytes.len() {
            self.bytes.reserve_exact(len - self.bytes.len());
            self.bytes.resize(len, 0);
            self.charged = taken(len);
            if let Some(budget) = &self.budget {
                budget.note_allocated(self.charged);
            }
        }
    }

    /// Nobody counts it any more, because it is about to be dropped.
    pub(super) fn give_up_charge(&mut self) {
        self.budget = None;
    }
}
