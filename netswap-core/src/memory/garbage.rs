//! Data that no record holds any more, dropped in portions.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::Data;
use super::tree::{Child, Node};

/// Data that are to be dropped. Dropping much takes the system milliseconds: a portion takes microseconds.
///
/// What it holds counts against the budget until it is dropped.
#[derive(Default)]
pub struct Garbage {
    /// Parts of trees, of which the last is next; mostly there are none.
    #[expect(clippy::box_collection, reason = "it lies in every connection, and is mostly nothing")]
    parts: Option<Box<Vec<Child>>>,
}

impl Garbage {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: None }
    }

    /// Whether there is nothing to be dropped.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_none()
    }

    /// Adds data. What is small is dropped at once.
    #[inline]
    pub fn discard(&mut self, data: Data) {
        if let Some(root) = data.into_root() {
            self.add(root);
        }
    }

    pub(super) fn add(&mut self, part: Child) {
        if let Child::Node(_) = part {
            self.parts.get_or_insert_default().push(part);
        }
    }

    /// Takes what can be dropped without keeping anybody waiting: up to about `most` chunks or nodes. Behind a lock, drop
    /// them after unlocking.
    #[must_use]
    pub fn take(&mut self, most: usize) -> Portion {
        let mut portion = Portion { nodes: Vec::new() };
        let Some(parts) = &mut self.parts else { return portion };
        let mut left = most;
        while left > 0
            && let Some(part) = parts.pop()
        {
            left -= 1;
            // Where somebody else holds it, that one drops what is below.
            if let Child::Node(node) = part
                && let Some(mut node) = Arc::into_inner(node)
            {
                for child in &mut node.children {
                    match child {
                        Child::Node(_) => parts.push(core::mem::replace(child, Child::Zeros)),
                        Child::Chunk(_) => left = left.saturating_sub(1),
                        Child::Zeros => {}
                    }
                }
                portion.nodes.push(node);
            }
        }
        if parts.is_empty() {
            self.parts = None;
        }
        portion
    }

    /// Takes over what others have to drop.
    pub fn append(&mut self, other: &mut Self) {
        if let Some(parts) = &mut other.parts {
            self.parts.get_or_insert_default().append(parts);
            other.parts = None;
        }
    }
}

/// A portion of garbage. Dropping it takes some microseconds.
pub struct Portion {
    nodes: Vec<Node>,
}

impl Portion {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Bytes that count no more once it is dropped, as far as nobody else holds them.
    #[must_use]
    pub fn charged(&self) -> usize {
        self.nodes.iter().map(Node::charged).sum()
    }
}

impl fmt::Debug for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Garbage({} parts)", self.parts.as_ref().map_or(0, |parts| parts.len()))
    }
}

impl fmt::Debug for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Portion({} nodes)", self.nodes.len())
    }
}
