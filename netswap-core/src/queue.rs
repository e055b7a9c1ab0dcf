//! A queue from whose middle items can be removed, at the same cost whatever its length.

use core::fmt;

use slab::Slab;

/// No item.
const NONE: u32 = u32::MAX;

/// Items in the order in which they were pushed. Each has a key until it is removed.
pub(crate) struct Queue<T> {
    items: Slab<Item<T>>,
    first: u32,
    last: u32,
}

#[derive(Debug)]
struct Item<T> {
    value: T,
    previous: u32,
    next: u32,
}

/// Bytes that an item takes in a queue: itself, and what a slab adds.
#[cfg(test)]
pub(crate) const fn item_size<T>() -> usize {
    size_of::<Item<T>>() + size_of::<usize>()
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: Slab::new(), first: NONE, last: NONE }
    }
}

impl<T: fmt::Debug> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Items for which there is room.
    pub(crate) fn capacity(&self) -> usize {
        self.items.capacity()
    }

    /// The items in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let first = self.items.get(self.first as usize);
        core::iter::successors(first, |item| self.items.get(item.next as usize)).map(|item| &item.value)
    }

    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        Some(&self.items.get(key as usize)?.value)
    }

    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        Some(&mut self.items.get_mut(key as usize)?.value)
    }

    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.first)
    }

    /// Adds an item at the end. There may be fewer than 2^32 - 1.
    pub(crate) fn push_back(&mut self, value: T) -> u32 {
        let key = self.items.insert(Item { value, previous: NONE, next: NONE }) as u32;
        self.append(key);
        key
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.remove(self.first)
    }

    /// Removes an item, wherever it is.
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let item = self.items.try_remove(key as usize)?;
        self.unlink(item.previous, item.next);
        Some(item.value)
    }

    /// Makes the first item the last.
    pub(crate) fn rotate(&mut self) {
        let first = self.first;
        if let Some(item) = self.items.get(first as usize).filter(|item| item.next != NONE) {
            self.unlink(NONE, item.next);
            self.append(first);
        }
    }

    fn append(&mut self, key: u32) {
        let previous = core::mem::replace(&mut self.last, key);
        match self.items.get_mut(previous as usize) {
            Some(item) => item.next = key,
            None => self.first = key,
        }
        if let Some(item) = self.items.get_mut(key as usize) {
            (item.previous, item.next) = (previous, NONE);
        }
    }

    /// Joins the neighbours of an item.
    fn unlink(&mut self, previous: u32, next: u32) {
        match self.items.get_mut(previous as usize) {
            Some(item) => item.next = next,
            None => self.first = next,
        }
        match self.items.get_mut(next as usize) {
            Some(item) => item.previous = previous,
            None => self.last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue(steps in proptest::collection::vec((0..6, any::<prop::sample::Index>()), 0..200)) {
            let mut queue = Queue::default();
            let mut model: VecDeque<(u32, usize)> = VecDeque::new();
            for (value, (step, index)) in steps.into_iter().enumerate() {
                match step {
                    0 => prop_assert_eq!(queue.pop_front(), model.pop_front().map(|(_, value)| value)),
                    1 => {
                        queue.rotate();
                        if let Some(first) = model.pop_front() {
                            model.push_back(first);
                        }
                    }
                    2 if !model.is_empty() => {
                        let (key, value) = model.remove(index.index(model.len())).unwrap();
                        prop_assert_eq!(queue.remove(key), Some(value));
                        prop_assert!(queue.get(key).is_none() && queue.remove(key).is_none());
                    }
                    _ => model.push_back((queue.push_back(value), value)),
                }
                let values: Vec<usize> = queue.iter().copied().collect();
                prop_assert_eq!(&values, &model.iter().map(|(_, value)| *value).collect::<Vec<_>>());
                prop_assert_eq!((queue.len(), queue.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(queue.front_mut().copied(), model.front().map(|(_, value)| *value));
                for (key, value) in &model {
                    prop_assert_eq!(queue.get(*key), Some(value));
                }
            }
        }
    }
}
