//! What a budget counts for one allocation, until it is dropped.

use alloc::sync::Arc;

use super::Budget;
use super::block::BLOCK;
use super::data::FEW;

/// Bytes that a budget counts. They are released when this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: u32,
}

/// Bytes that were charged for what is about to be made, which takes its share of them.
pub(super) struct Purse {
    budget: Arc<Budget>,
    held: usize,
}

/// The bytes that an allocation of `len` bytes takes: allocators round up to size classes, four for each power of two.
pub(super) const fn taken(len: usize) -> usize {
    if len <= 64 {
        return len.next_multiple_of(16);
    }
    let step = 1 << ((len - 1).ilog2() - 2);
    len.next_multiple_of(step)
}

/// What a copy of `len` bytes counts that only replies hold: few lie in the reply itself, and more in a shared block. The block
/// of a record is within what every record counts.
pub(crate) const fn sent(len: usize) -> usize {
    if len <= FEW { 0 } else { taken(len) + BLOCK }
}

impl Charge {
    /// Counts bytes, beyond the limit where it must be: it was asked before, or nobody can be refused.
    pub(crate) fn new(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.total.force(bytes);
        Self { budget: budget.clone(), bytes: bytes as u32 }
    }

    /// Bytes that count.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.release(self.bytes());
    }
}

impl Purse {
    /// Nothing yet.
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    pub(super) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Bytes that nothing has taken yet.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Adds bytes that the budget has been charged with.
    pub(super) fn add(&mut self, charged: usize) {
        self.held += charged;
    }

    /// Takes out all bytes, which the budget goes on counting.
    pub(super) fn empty(&mut self) -> usize {
        core::mem::take(&mut self.held)
    }

    /// A charge of `bytes`. What the purse does not hold is charged beyond the limit: whoever filled the purse has asked
    /// the budget, and others may have changed the sum by little meanwhile.
    pub(super) fn take(&mut self, bytes: usize) -> Charge {
        self.pay(bytes);
        self.budget.note_allocated(bytes);
        Charge { budget: self.budget.clone(), bytes: bytes as u32 }
    }

    /// Makes a charge `bytes`, which must not be less than it is.
    pub(super) fn raise(&mut self, charge: &mut Charge, bytes: usize) {
        self.pay(bytes.saturating_sub(charge.bytes()));
        self.budget.note_allocated(bytes);
        charge.bytes = charge.bytes.max(bytes as u32);
    }

    fn pay(&mut self, bytes: usize) {
        let own = bytes.min(self.held);
        self.held -= own;
        // Nearly always it holds enough, and what all share is left alone.
        if own < bytes {
            self.budget.total.force(bytes - own);
        }
    }
}

impl Drop for Purse {
    fn drop(&mut self) {
        self.budget.release(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up_to_four_classes_for_each_power_of_two() {
        let classes = [0, 1, 16, 17, 64, 65, 80, 81, 128, 129, 2048, 2049, 2560, 9730, 10_240, 10_241];
        let expected = [0, 16, 16, 32, 64, 80, 80, 96, 128, 160, 2048, 2560, 2560, 10_240, 10_240, 12_288];
        assert_eq!(classes.map(taken), expected);
    }

    #[test]
    fn charges_count_until_they_are_dropped() {
        let budget = Arc::new(Budget::new(100, 0, 0));
        let mut purse = Purse::new(budget.clone());
        budget.charge(50).unwrap();
        purse.add(50);
        let mut one = purse.take(20);
        assert_eq!((purse.held(), budget.used()), (30, 50));
        purse.raise(&mut one, 25);
        purse.raise(&mut one, 10);
        assert_eq!((one.bytes(), purse.held(), budget.used()), (25, 25, 50));
        // What is not in the purse counts all the same.
        let other = purse.take(100);
        assert_eq!((purse.held(), budget.used()), (0, 125));
        drop(one);
        assert_eq!(budget.used(), 100);
        purse.add(0);
        drop(purse);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
