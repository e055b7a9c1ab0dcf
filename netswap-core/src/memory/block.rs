//! A block of bytes that is counted until its last holder lets it go.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Budget, Overrun};

pub(crate) struct Block {
    pub(super) bytes: Vec<u8>,
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

impl Block {
    /// Bytes whose length the budget, where there is one, has been charged with.
    pub(super) fn new(bytes: Vec<u8>, budget: Option<Arc<Budget>>) -> Self {
        Self { charged: bytes.len(), bytes, budget }
    }

    /// What the budget counts.
    pub(super) fn charged(&self) -> usize {
        self.charged
    }

    /// Makes the bytes `len`, of which the new ones are zeros, with an eighth of room more that counts.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed; nothing has changed.
    pub(super) fn grow(&mut self, len: usize, budget: &Budget) -> Result<(), Overrun> {
        if len > self.charged {
            let ample = len + len / 8;
            let capacity = match budget.charge(ample - self.charged) {
                Ok(()) => ample,
                Err(_) => budget.charge(len - self.charged).map(|()| len)?,
            };
            self.bytes.reserve_exact(capacity - self.bytes.len());
            self.charged = capacity;
        }
        self.bytes.resize(len, 0);
        Ok(())
    }

    /// Nobody counts it any more, because it is about to be dropped.
    pub(super) fn give_up_charge(&mut self) {
        self.budget = None;
    }
}
