//! The places that one connection has of those that all have together.

use alloc::sync::Arc;

use super::Budget;

/// How many places of a [`Budget`] a connection holds. They are free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Places {
    budget: Arc<Budget>,
    held: usize,
}

impl Places {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, held: 0 }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn are_held(&self) -> bool {
        self.held > 0
    }

    /// From now on it holds so many, even if they are more than there are: what they are for is there already.
    pub(crate) fn hold(&mut self, places: usize) {
        if places == self.held {
            return;
        }
        if places > self.held {
            self.budget.places.force(places - self.held);
        } else {
            self.budget.places.release(self.held - places);
        }
        self.held = places;
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_free_again_when_it_is_dropped() {
        let budget = Arc::new(Budget::new(0, 0, 10));
        let (mut one, mut other) = (Places::new(budget.clone()), Places::new(budget.clone()));
        one.hold(4);
        other.hold(5);
        assert!(budget.has_places(1) && !budget.has_places(2));
        other.hold(9);
        assert_eq!((budget.places(), budget.has_places(1)), (13, false));
        one.hold(1);
        assert_eq!((budget.places(), budget.has_places(0)), (10, true));
        drop(other);
        assert_eq!(budget.places(), 1);
        drop(one);
        assert_eq!(budget.places(), 0);
    }
}
