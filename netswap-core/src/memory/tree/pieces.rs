//! Going through the data of a snapshot, letting go of what lies behind.

use alloc::collections::VecDeque;

use super::FANOUT;
use super::node::Child;
use crate::memory::chunk::CHUNK;
use crate::memory::garbage::Garbage;
use crate::memory::piece::Piece;

/// Parts are split while a reader holds fewer than these, so that it soon holds no more what it has read.
const PARTS: usize = 6;

/// Zeros that nobody has written, as they are sent.
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// The bytes of a snapshot that are still to be read, piece by piece.
///
/// It holds the parts of the tree that lie ahead: a few large ones, and the path to the next chunk. What lies behind can be
/// written in place, or dropped, as far as nobody else holds it.
#[derive(Debug)]
pub(crate) struct Pieces {
    ahead: VecDeque<Part>,
    /// Bytes of a chunk.
    chunk: u32,
    /// Bytes before the first to be read: of the first part, or of its next child.
    skip: u32,
    /// Zeros that come before the first part.
    zeros: u32,
    /// Bytes that are still to be read.
    left: u32,
}

#[derive(Debug)]
struct Part {
    child: Child,
    level: u8,
    /// Of a node the first child that is still to be read.
    next: u8,
}

impl Pieces {
    pub(super) fn new(root: Child, height: u8, chunk: u32, start: usize, len: usize) -> Self {
        let ahead = VecDeque::from([Part { child: root, level: height, next: 0 }]);
        Self { ahead, chunk, skip: start as u32, zeros: 0, left: len as u32 }
    }

    /// The next bytes that lie together; `None` at the end. What it holds no longer goes to the garbage: nobody else may
    /// hold it either.
    pub(crate) fn next(&mut self, garbage: &mut Garbage) -> Option<Piece> {
        while self.zeros == 0 && self.left > 0 {
            let Part { child, level, next } = self.ahead.pop_front()?;
            match child {
                Child::Node(node) => {
                    let below = level.saturating_sub(1);
                    let first = usize::from(next) + (u64::from(self.skip) / self.span(below)) as usize;
                    self.skip = (u64::from(self.skip) % self.span(below)) as u32;
                    let end = u64::from(self.skip) + u64::from(self.left);
                    let last = (first + ((end - 1) / self.span(below)) as usize).min(FANOUT - 1);
                    if below == 0 || self.ahead.len() >= PARTS {
                        let child = node.children[first].clone();
                        let node = Child::Node(node);
                        if first < last {
                            self.ahead.push_front(Part { child: node, level, next: first as u8 + 1 });
                        } else {
                            garbage.add(node);
                        }
                        self.ahead.push_front(Part { child, level: below, next: 0 });
                    } else {
                        for child in node.children[first..=last].iter().rev() {
                            self.ahead.push_front(Part { child: child.clone(), level: below, next: 0 });
                        }
                        garbage.add(Child::Node(node));
                    }
                }
                Child::Chunk(chunk) => {
                    let start = core::mem::take(&mut self.skip);
                    let covered = self.chunk.saturating_sub(start).min(self.left);
                    let here = (chunk.bytes().len() as u32).saturating_sub(start).min(covered);
                    self.zeros = covered - here;
                    if here > 0 {
                        self.read(here, garbage);
                        return Some(Piece::chunk(chunk, start, here));
                    }
                }
                Child::Zeros => {
                    let covered = self.span(level) - u64::from(core::mem::take(&mut self.skip));
                    self.zeros = covered.min(self.left.into()) as u32;
                }
            }
        }
        let here = self.zeros.min(self.left).min(ZEROS.len() as u32);
        self.zeros -= here;
        self.read(here, garbage);
        (here > 0).then(|| Piece::fixed(&ZEROS[..here as usize]))
    }

    fn read(&mut self, bytes: u32, garbage: &mut Garbage) {
        self.left -= bytes;
        if self.left == 0 {
            self.let_go(garbage);
        }
    }

    /// Gives up what is still to be read.
    pub(crate) fn let_go(&mut self, garbage: &mut Garbage) {
        self.left = 0;
        core::mem::take(&mut self.ahead).into_iter().for_each(|part| garbage.add(part.child));
    }

    /// Bytes below a child at a level.
    fn span(&self, level: u8) -> u64 {
        u64::from(self.chunk) * (FANOUT as u64).pow(level.into())
    }
}
