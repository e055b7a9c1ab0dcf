//! Putting data that arrived, in a tree of their own, into the place of as many others.

use super::Tree;
use super::node::Child;
use super::write::parts;
use crate::memory::charge::Purse;
use crate::memory::chunk::Chunk;
use crate::memory::garbage::Garbage;

impl Tree {
    /// Puts the bytes of another tree from `start` to its end into the place of those here. The other one has nothing before
    /// `start`, and nobody else holds it. It takes a few steps for each level, whatever the length: whole parts change
    /// places, and two chunks at most are copied. What was here goes to the garbage.
    pub(in crate::memory) fn graft(
        &mut self,
        mut other: Self,
        start: usize,
        purse: &mut Purse,
        garbage: &mut Garbage,
    ) {
        let end = other.len();
        self.grow(end, purse);
        let height = self.height.max(other.height);
        self.raise(height, purse);
        other.raise(height, purse);
        let mut root = core::mem::replace(&mut self.root, Child::Zeros);
        self.graft_below(&mut root, &mut other.root, self.height, (start, end - start), purse);
        self.root = root;
        garbage.add(other.root);
    }

    fn graft_below(
        &self,
        old: &mut Child,
        new: &mut Child,
        level: u8,
        (at, len): (usize, usize),
        purse: &mut Purse,
    ) {
        if at == 0 && len == self.span(level) {
            core::mem::swap(old, new);
            return;
        }
        let Some(below) = level.checked_sub(1) else {
            keep_edges(old, new, (at, len), purse);
            core::mem::swap(old, new);
            return;
        };
        let (Some(here), Some(there)) = (old.own_node(purse), new.own_node(purse)) else { return };
        for (child, at, len) in parts(at, len, self.span(below)) {
            self.graft_below(&mut here.children[child], &mut there.children[child], below, (at, len), purse);
        }
    }
}

/// Adds to a new chunk that takes the place of a part of an old one what is before and behind that part.
fn keep_edges(old: &Child, new: &mut Child, (at, len): (usize, usize), purse: &mut Purse) {
    let Child::Chunk(old) = old else { return };
    if let Child::Zeros = new {
        *new = Child::Chunk(Chunk::at(0, &[], purse));
    }
    let Child::Chunk(new) = new else { return };
    let before = &old.bytes()[..at.min(old.bytes().len())];
    if !before.is_empty() {
        new.write(0, before, purse);
    }
    if let Some(behind) = old.bytes().get(at + len..).filter(|behind| !behind.is_empty()) {
        new.write(at + len, behind, purse);
    }
}
