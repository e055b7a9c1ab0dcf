//! A tree in the making: chunks that arrive in their order.

use alloc::sync::Arc;

use super::Tree;
use super::node::{Child, FANOUT, Node};
use crate::memory::charge::Purse;
use crate::memory::chunk::Chunk;

/// A tree to which chunks are added at its end. Those of one node are put in place together.
pub(in crate::memory) struct Builder {
    tree: Tree,
    /// The node whose chunks are arriving.
    node: Option<Node>,
    /// Where the next chunk begins.
    end: usize,
}

impl Builder {
    /// A tree whose first bytes come at an offset, in chunks of `chunk` bytes; before them is nothing.
    pub(in crate::memory) fn new(start: usize, chunk: usize) -> Self {
        Self { tree: Tree::zeros(start, chunk), node: None, end: start - start % chunk }
    }

    /// Adds the next chunk. All but the last must be full.
    pub(in crate::memory) fn push(&mut self, chunk: Chunk, purse: &mut Purse) {
        let (size, len) = (self.tree.chunk as usize, chunk.bytes().len());
        let at = self.end / size % FANOUT;
        let node = self.node.get_or_insert_with(|| Node::with_first(Child::Zeros, purse));
        node.children[at] = Child::Chunk(chunk);
        self.end += len;
        if at == FANOUT - 1 {
            self.put_node(purse);
        }
    }

    /// The whole tree.
    pub(in crate::memory) fn finish(mut self, purse: &mut Purse) -> Tree {
        self.put_node(purse);
        self.tree
    }

    fn put_node(&mut self, purse: &mut Purse) {
        let Some(node) = self.node.take() else { return };
        let size = self.tree.chunk as usize;
        // A tree of one chunk has no nodes, and this one has a node.
        self.tree.grow(self.end.max(size + 1), purse);
        self.tree.len = self.end as u32;
        let at = (self.end - 1) / (size * FANOUT) * (size * FANOUT);
        self.tree.put(at, 1, Child::Node(Arc::new(node)), purse);
    }
}
