//! The data of one record: bytes in one block, which snapshots share and the budget counts until the last holder lets it go;
//! or a tree of chunks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Budget;
use super::tree::Tree;

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
    /// Bytes whose length the budget, where there is one, has been charged with.
    pub(super) fn new(bytes: Vec<u8>, budget: Option<Arc<Budget>>) -> Self {
        Self::Flat(Flat { charged: bytes.len(), bytes, budget })
    }

    /// The bytes of a block; none of a tree.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Flat(flat) => &flat.bytes,
            Self::Tree(_) => &[],
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
    /// Makes the bytes `len`, which the budget has been charged with. The new ones are zeros.
    pub(super) fn grow(&mut self, len: usize) {
        if len > self.bytes.len() {
            self.bytes.reserve_exact(len - self.bytes.len());
            self.bytes.resize(len, 0);
            self.charged = len;
        }
    }

    /// Nobody counts it any more, because it is about to be dropped.
    pub(super) fn give_up_charge(&mut self) {
        self.budget = None;
    }
}
