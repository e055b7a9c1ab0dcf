//! Bytes that lie together, shared with whoever else holds them.

use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use super::block::Block;
use super::chunk::Chunk;

/// Bytes that lie together and do not change while this holds them.
pub(crate) struct Piece(Form);

enum Form {
    Chunk(Chunk, u32, u32),
    Block(Arc<Block>, u32, u32),
    Bytes(Bytes),
    Fixed(&'static [u8]),
}

impl Piece {
    pub(super) fn chunk(chunk: Chunk, start: u32, len: u32) -> Self {
        Self(Form::Chunk(chunk, start, len))
    }

    pub(super) fn block(block: Arc<Block>, start: u32, len: u32) -> Self {
        Self(Form::Block(block, start, len))
    }

    pub(super) fn fixed(bytes: &'static [u8]) -> Self {
        Self(Form::Fixed(bytes))
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self(Form::Bytes(bytes))
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Form::Chunk(chunk, start, len) => &chunk.bytes()[*start as usize..(*start + *len) as usize],
            Form::Block(block, start, len) => &block.bytes()[*start as usize..(*start + *len) as usize],
            Form::Bytes(bytes) => bytes,
            Form::Fixed(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({} bytes)", self.as_ref().len())
    }
}
