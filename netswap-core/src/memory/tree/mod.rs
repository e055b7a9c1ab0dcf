//! The data of a large record: chunks at fixed places, in a tree whose parts snapshots share.
//!
//! A snapshot is a handle to the root. A write copies what it touches of the tree where anybody else holds it, from the
//! root down, and writes in place where nobody does. Chunk `n` has the bytes from `n` times the chunk length on. Places
//! that nobody has written are zeros, and take no memory.
//!
//! Versions of chunks and pages, when changes since a version are asked for, belong beside the children of a [`Node`].

mod build;
mod graft;
mod node;
mod pieces;
mod write;

pub(super) use build::Builder;
use node::FANOUT;
pub(super) use node::{Child, Node};
pub(crate) use pieces::Pieces;

/// Data in chunks. A clone is a snapshot.
#[derive(Clone)]
pub(crate) struct Tree {
    root: Child,
    /// Nodes on the way from the root to a chunk, the root included.
    height: u8,
    /// Bytes of a chunk.
    chunk: u32,
    len: u32,
}

impl Tree {
    /// What a node counts.
    pub(super) const COST_OF_NODE: usize = node::COST;

    /// `len` zeros, in chunks of `chunk` bytes to come.
    pub(super) fn zeros(len: usize, chunk: usize) -> Self {
        let mut tree = Self { root: Child::Zeros, height: 0, chunk: chunk as u32, len: len as u32 };
        while len > tree.span(tree.height) {
            tree.height += 1;
        }
        tree
    }

    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// What it is made of, to be dropped in portions.
    pub(super) fn into_root(self) -> Child {
        self.root
    }

    /// The bytes from an offset on that lie in one piece, up to `most`; an empty slice for zeros that nobody has written.
    fn piece(&self, offset: usize) -> &[u8] {
        let (mut child, mut at) = (&self.root, offset);
        for level in (0..self.height).rev() {
            let Child::Node(node) = child else { return &[] };
            let span = self.span(level);
            child = &node.children[at / span];
            at %= span;
        }
        match child {
            Child::Chunk(chunk) => chunk.bytes().get(at..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Fills a buffer with the bytes from an offset on; what lies behind the end is zeros.
    pub(super) fn read(&self, mut offset: usize, mut buffer: &mut [u8]) {
        let chunk = self.chunk as usize;
        while !buffer.is_empty() {
            let here = (chunk - offset % chunk).min(buffer.len());
            let (part, rest) = buffer.split_at_mut(here);
            let piece = if offset < self.span(self.height) { self.piece(offset) } else { &[] };
            let known = piece.len().min(here);
            part[..known].copy_from_slice(&piece[..known]);
            part[known..].fill(0);
            offset += here;
            buffer = rest;
        }
    }

    /// Bytes below a child of a node at this level; of the root there is one at the level of the height.
    fn span(&self, level: u8) -> usize {
        (self.chunk as usize).saturating_mul(FANOUT.saturating_pow(level.into()))
    }

    /// The bytes from `start` on, `len` of them, piece by piece.
    pub(super) fn pieces(&self, start: usize, len: usize) -> Pieces {
        Pieces::new(self.root.clone(), self.height, self.chunk, start, len)
    }
}

#[cfg(test)]
mod tests;
