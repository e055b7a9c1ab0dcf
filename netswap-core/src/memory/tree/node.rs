//! A node of the tree of a record's chunks.

use alloc::sync::Arc;
use core::fmt;

use crate::memory::charge::{Charge, Purse, taken};
use crate::memory::chunk::Chunk;

/// Children of a node: few, since a write copies a node for each level where a snapshot holds it.
pub(in crate::memory) const FANOUT: usize = 16;

/// What a node counts.
pub(super) const COST: usize = taken(2 * size_of::<usize>() + size_of::<Node>());

/// A part of the tree.
#[derive(Clone)]
pub(in crate::memory) enum Child {
    /// Bytes that nobody has written.
    Zeros,
    Chunk(Chunk),
    Node(Arc<Node>),
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Zeros => "Zeros",
            Self::Chunk(_) => "Chunk",
            Self::Node(_) => "Node",
        })
    }
}

/// Parts that follow each other.
pub(in crate::memory) struct Node {
    pub(in crate::memory) children: [Child; FANOUT],
    charge: Charge,
}

impl Node {
    /// A node with a first child, and zeros behind it.
    pub(super) fn with_first(first: Child, purse: &mut Purse) -> Self {
        let mut children = [const { Child::Zeros }; FANOUT];
        children[0] = first;
        Self { children, charge: purse.take(COST) }
    }

    fn copy(&self, purse: &mut Purse) -> Self {
        Self { children: self.children.clone(), charge: purse.take(COST) }
    }

    /// What it counts.
    pub(in crate::memory) fn charged(&self) -> usize {
        self.charge.bytes()
    }
}

impl Child {
    /// The node here, for nobody but the caller: a copy of one that is shared, a new one in the place of zeros. `None`
    /// where there is a chunk.
    pub(super) fn own_node(&mut self, purse: &mut Purse) -> Option<&mut Node> {
        match self {
            Self::Zeros => *self = Self::Node(Arc::new(Node::with_first(Self::Zeros, purse))),
            Self::Node(node) => {
                if Arc::strong_count(node) > 1 {
                    *node = Arc::new(node.copy(purse));
                }
            }
            Self::Chunk(_) => {}
        }
        match self {
            Self::Node(node) => Arc::get_mut(node),
            _ => None,
        }
    }

    /// Moves a chunk, or a node with its chunks, to a new place, as far as nobody else holds them.
    pub(super) fn relocate(&mut self) {
        *self = match core::mem::replace(self, Self::Zeros) {
            Self::Zeros => Self::Zeros,
            Self::Chunk(mut chunk) => {
                chunk.relocate();
                Self::Chunk(chunk)
            }
            Self::Node(node) => Self::Node(match Arc::try_unwrap(node) {
                Ok(mut node) => {
                    let chunks = node.children.iter_mut().filter(|child| matches!(child, Self::Chunk(_)));
                    chunks.for_each(Self::relocate);
                    Arc::new(node)
                }
                Err(shared) => shared,
            }),
        }
    }

    /// Whether somebody beside the caller holds it.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Self::Zeros => false,
            Self::Chunk(chunk) => chunk.is_shared(),
            Self::Node(node) => Arc::strong_count(node) > 1,
        }
    }
}

impl super::Tree {
    /// Bytes that count no more once this is dropped, as far as that is seen at a glance: `enough` at least, or what the
    /// first few chunks have that nobody else holds.
    pub(in crate::memory) fn freed_by_dropping(&self, enough: usize) -> usize {
        const GLANCE: usize = 64;
        fn look(child: &Child, enough: usize, glances: &mut usize) -> usize {
            if child.is_shared() || *glances == 0 {
                return 0;
            }
            *glances -= 1;
            match child {
                Child::Zeros => 0,
                Child::Chunk(chunk) => chunk.charged(),
                Child::Node(node) => {
                    let mut freed = node.charged();
                    for child in &node.children {
                        if freed >= enough {
                            break;
                        }
                        freed += look(child, enough - freed, glances);
                    }
                    freed
                }
            }
        }
        look(&self.root, enough, &mut { GLANCE })
    }
}

/// What all that these trees have counts, each chunk and each node once.
#[cfg(test)]
pub(super) fn count(trees: &[&super::Tree]) -> usize {
    use alloc::collections::BTreeSet;
    fn below(child: &Child, seen: &mut BTreeSet<usize>) -> usize {
        match child {
            Child::Zeros => 0,
            Child::Chunk(chunk) => match seen.insert(chunk.bytes().as_ptr() as usize) {
                true => Chunk::cost(chunk.bytes().len()),
                false => 0,
            },
            Child::Node(node) => match seen.insert(Arc::as_ptr(node) as usize) {
                true => COST + node.children.iter().map(|child| below(child, seen)).sum::<usize>(),
                false => 0,
            },
        }
    }
    let mut seen = BTreeSet::new();
    trees.iter().map(|tree| below(&tree.root, &mut seen)).sum()
}
