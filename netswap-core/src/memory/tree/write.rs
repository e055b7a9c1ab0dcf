//! Writing into a tree of chunks.

use alloc::sync::Arc;

use super::Tree;
use super::node::FANOUT;
use super::node::{COST, Child, Node};
use crate::memory::charge::Purse;
use crate::memory::chunk::Chunk;

/// The parts of `len` bytes from `at` on that lie in the children of a node, of `span` bytes each: which child, where in
/// it, and how many bytes.
pub(super) fn parts(at: usize, len: usize, span: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let (mut at, mut left) = (at, len);
    core::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        let part = (at / span, at % span, left.min(span - at % span));
        at += part.2;
        left -= part.2;
        Some(part)
    })
}

impl Tree {
    /// What [`write`](Self::write) would make the tree count more, as things stand.
    pub(in crate::memory) fn cost_of_write(&self, offset: usize, len: usize) -> usize {
        let mut height = self.height;
        while offset + len > self.span(height) {
            height += 1;
        }
        self.cost_above(height, offset, len)
    }

    /// What a write costs in a tree that was made higher, with the root as it is now in the first place of each new level.
    fn cost_above(&self, level: u8, at: usize, len: usize) -> usize {
        if level <= self.height {
            return self.cost_below(&self.root, level, (at, len), false);
        }
        if len == 0 && matches!(self.root, Child::Zeros) {
            return 0;
        }
        let (below, span) = (level - 1, self.span(level - 1));
        let children = parts(at, len, span).map(|(child, at, len)| match child {
            0 => self.cost_above(below, at, len),
            _ => self.cost_below(&Child::Zeros, below, (at, len), false),
        });
        let first = if at >= span || len == 0 { self.cost_above(below, 0, 0) } else { 0 };
        COST + first + children.sum::<usize>()
    }

    /// What a write of `len` bytes at an offset costs below a child at a level.
    fn cost_below(&self, child: &Child, level: u8, (at, len): (usize, usize), shared: bool) -> usize {
        if len == 0 {
            return 0;
        }
        let shared = shared || child.is_shared();
        let node = match child {
            Child::Node(node) => Some(&**node),
            Child::Zeros => None,
            Child::Chunk(chunk) => {
                let all = Chunk::cost(chunk.bytes().len().max(at + len));
                return if shared { all } else { all.saturating_sub(chunk.charged()) };
            }
        };
        let Some(below) = level.checked_sub(1) else { return Chunk::cost(at + len) };
        let own = if shared || node.is_none() { COST } else { 0 };
        let children = parts(at, len, self.span(below)).map(|(child, at, len)| {
            let child = node.map_or(&Child::Zeros, |node| &node.children[child]);
            self.cost_below(child, below, (at, len), shared)
        });
        own + children.sum::<usize>()
    }

    /// Whether `len` bytes from an offset on lie in one chunk that no snapshot holds.
    pub(in crate::memory) fn has_own(&self, offset: usize, len: usize) -> bool {
        let (mut child, mut at, mut span) = (&self.root, offset, self.span(self.height));
        if offset >= span {
            return false;
        }
        loop {
            match child {
                Child::Node(node) if Arc::strong_count(node) == 1 => {
                    span /= FANOUT;
                    child = &node.children[at / span];
                    at %= span;
                }
                Child::Chunk(chunk) => {
                    return !chunk.is_shared() && at + len <= chunk.bytes().len();
                }
                _ => return false,
            }
        }
    }

    /// Overwrites bytes of one chunk that no snapshot holds. Returns whether it did.
    pub(in crate::memory) fn overwrite(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let (mut at, mut span) = (offset, self.span(self.height));
        let mut child = &mut self.root;
        if offset >= span {
            return false;
        }
        loop {
            match child {
                Child::Node(node) => {
                    let Some(node) = Arc::get_mut(node) else { return false };
                    span /= FANOUT;
                    child = &mut node.children[at / span];
                    at %= span;
                }
                Child::Chunk(chunk) => {
                    return chunk.overwrite(at, bytes);
                }
                Child::Zeros => return false,
            }
        }
    }

    /// Writes bytes at an offset; what is new counts from the purse. The tree grows as far as needed, and what lies
    /// between its old end and the offset is zeros.
    pub(in crate::memory) fn write(&mut self, offset: usize, bytes: &[u8], purse: &mut Purse) {
        let end = offset + bytes.len();
        self.grow(end, purse);
        if !bytes.is_empty() {
            let mut root = core::mem::replace(&mut self.root, Child::Zeros);
            self.write_below(&mut root, self.height, offset, bytes, purse);
            self.root = root;
        }
    }

    /// Puts a part that begins at an offset, a child of a node at `level` + 1, at its place. Nobody has written there.
    pub(super) fn put(&mut self, offset: usize, level: u8, part: Child, purse: &mut Purse) {
        let mut root = core::mem::replace(&mut self.root, Child::Zeros);
        let (mut child, mut at) = (&mut root, offset);
        for level in (level..self.height).rev() {
            let Some(node) = child.own_node(purse) else { return };
            child = &mut node.children[at / self.span(level)];
            at %= self.span(level);
        }
        *child = part;
        self.root = root;
    }

    /// Moves the chunks of one node to new places, and the node, as far as no snapshot holds them: those at an offset. Where
    /// the next node begins, if there is one.
    pub(in crate::memory) fn relocate(&mut self, offset: usize) -> Option<usize> {
        let span = self.span(1);
        let mut root = core::mem::replace(&mut self.root, Child::Zeros);
        self.relocate_below(&mut root, self.height, offset);
        self.root = root;
        let next = offset - offset % span + span;
        (next < self.len()).then_some(next)
    }

    fn relocate_below(&self, child: &mut Child, level: u8, at: usize) {
        if level <= 1 {
            child.relocate();
        } else if let Child::Node(node) = child
            && let Some(node) = Arc::get_mut(node)
        {
            let span = self.span(level - 1);
            self.relocate_below(&mut node.children[at / span], level - 1, at % span);
        }
    }

    /// Makes the tree at least `len` bytes long, and high enough for as many.
    pub(in crate::memory) fn grow(&mut self, len: usize, purse: &mut Purse) {
        while len > self.span(self.height) {
            self.raise(self.height + 1, purse);
        }
        self.len = self.len.max(len as u32);
    }

    /// Makes the tree so high at least, whatever its length.
    pub(super) fn raise(&mut self, height: u8, purse: &mut Purse) {
        while self.height < height {
            if !matches!(self.root, Child::Zeros) {
                let below = core::mem::replace(&mut self.root, Child::Zeros);
                self.root = Child::Node(Arc::new(Node::with_first(below, purse)));
            }
            self.height += 1;
        }
    }

    fn write_below(&self, child: &mut Child, level: u8, at: usize, bytes: &[u8], purse: &mut Purse) {
        let Some(below) = level.checked_sub(1) else { return write_chunk(child, at, bytes, purse) };
        let Some(node) = child.own_node(purse) else { return };
        let mut rest = bytes;
        for (child, at, len) in parts(at, bytes.len(), self.span(below)) {
            let (part, behind) = rest.split_at(len);
            self.write_below(&mut node.children[child], below, at, part, purse);
            rest = behind;
        }
    }
}

fn write_chunk(child: &mut Child, at: usize, bytes: &[u8], purse: &mut Purse) {
    match child {
        Child::Chunk(chunk) => chunk.write(at, bytes, purse),
        Child::Zeros => *child = Child::Chunk(Chunk::at(at, bytes, purse)),
        Child::Node(_) => {}
    }
}
