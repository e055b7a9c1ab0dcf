//! Bytes on their way to a client.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::block::Block;
use super::charge::sent;
use super::piece::Piece;
use super::tree::{Child, Pieces, Tree};
use super::{Budget, Overrun};

/// Data no longer than this are copied where longer ones are shared, and count nothing where nobody keeps them: whatever
/// they are a part of is larger than they are.
pub(crate) const FEW: usize = 64;

/// A snapshot of bytes: a copy of few, or a part of what is shared and counted once, until its last holder lets it go.
#[derive(Clone)]
pub struct Data(Form);

#[derive(Clone)]
enum Form {
    Few { len: u8, bytes: [u8; FEW] },
    Shared { block: Arc<Block>, start: u32, len: u32 },
    Tree { tree: Tree, start: u32, len: u32 },
    Bytes(Bytes),
}

/// The bytes of [`Data`] on their way out.
pub(crate) enum Unread {
    /// They lie together.
    Piece(Piece),
    Pieces(Box<Pieces>),
}

impl Data {
    /// A copy of bytes, which counts its size class and the block in which it is shared.
    ///
    /// # Errors
    ///
    /// They are more than 64, and the budget's total would be passed.
    pub fn copy(bytes: &[u8], budget: &Arc<Budget>) -> Result<Self, Overrun> {
        if let Some(few) = Self::few(bytes) {
            return Ok(few);
        }
        budget.charge(sent(bytes.len()))?;
        Ok(Self::sent(bytes.to_vec(), budget.clone()))
    }

    /// Bytes that only replies will hold, for which the budget has been charged.
    pub(super) fn sent(bytes: Vec<u8>, budget: Arc<Budget>) -> Self {
        Self::whole(Arc::new(Block::sent(bytes, budget)))
    }

    /// A copy, if they are few.
    fn few(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= FEW).then(|| Self::from_few(bytes))
    }

    /// A copy of bytes that are few; of more it is the first.
    pub(super) fn from_few(bytes: &[u8]) -> Self {
        let len = bytes.len().min(FEW);
        let mut copy = [0; FEW];
        copy[..len].copy_from_slice(&bytes[..len]);
        Self(Form::Few { len: len as u8, bytes: copy })
    }

    /// All of a block.
    pub(super) fn whole(block: Arc<Block>) -> Self {
        let len = block.len();
        Self::part(&block, 0, len)
    }

    /// A part of a block, which is shared unless it is small.
    pub(super) fn part(block: &Arc<Block>, start: usize, len: usize) -> Self {
        match &**block {
            Block::Flat(flat) => Self::few(&flat.bytes[start..start + len]).unwrap_or_else(|| {
                Self(Form::Shared { block: block.clone(), start: start as u32, len: len as u32 })
            }),
            Block::Tree(tree) => Self::part_of_tree(tree, start, len),
        }
    }

    /// A part of a tree, which is shared unless it is small.
    pub(super) fn part_of_tree(tree: &Tree, start: usize, len: usize) -> Self {
        if len <= FEW {
            let mut bytes = [0; FEW];
            tree.read(start, &mut bytes[..len]);
            return Self(Form::Few { len: len as u8, bytes });
        }
        Self(Form::Tree { tree: tree.clone(), start: start as u32, len: len as u32 })
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few { len, .. } => usize::from(*len),
            Form::Shared { len, .. } | Form::Tree { len, .. } => *len as usize,
            Form::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they lie together.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[u8]> {
        match &self.0 {
            Form::Few { len, bytes } => Some(&bytes[..usize::from(*len)]),
            Form::Shared { block, start, len } => {
                Some(&block.bytes()[*start as usize..(*start + *len) as usize])
            }
            Form::Tree { .. } => None,
            Form::Bytes(bytes) => Some(bytes),
        }
    }

    /// The part from `offset` on, of at most `len` bytes, clipped at the end.
    pub(crate) fn slice(&self, offset: u32, len: u32) -> Self {
        let begin = (offset as usize).min(self.len());
        let len = (len as usize).min(self.len() - begin);
        match &self.0 {
            Form::Few { bytes, .. } => Self::from_few(&bytes[begin..begin + len]),
            Form::Shared { block, start, .. } => Self::part(block, *start as usize + begin, len),
            Form::Tree { tree, start, .. } => Self::part_of_tree(tree, *start as usize + begin, len),
            Form::Bytes(bytes) => Self(Form::Bytes(bytes.slice(begin..begin + len))),
        }
    }

    /// A copy of all bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match &self.0 {
            Form::Tree { tree, start, len } => {
                let mut bytes = vec![0; *len as usize];
                tree.read(*start as usize, &mut bytes);
                bytes
            }
            _ => self.as_slice().unwrap_or_default().to_vec(),
        }
    }

    /// The bytes, to be read piece by piece.
    pub(crate) fn unread(self) -> Unread {
        match self.0 {
            Form::Few { len, bytes } => {
                Unread::Piece(Piece::from(Bytes::copy_from_slice(&bytes[..usize::from(len)])))
            }
            Form::Shared { block, start, len } => Unread::Piece(Piece::block(block, start, len)),
            Form::Bytes(bytes) => Unread::Piece(Piece::from(bytes)),
            Form::Tree { tree, start, len } => {
                Unread::Pieces(Box::new(tree.pieces(start as usize, len as usize)))
            }
        }
    }

    /// The root of a tree, to be dropped in portions; anything else is dropped.
    pub(super) fn into_root(self) -> Option<Child> {
        match self.0 {
            Form::Tree { tree, .. } => Some(tree.into_root()),
            _ => None,
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self(Form::Few { len: 0, bytes: [0; FEW] })
    }
}

impl From<Vec<u8>> for Data {
    /// Bytes that no budget counts.
    fn from(bytes: Vec<u8>) -> Self {
        Self::few(&bytes).unwrap_or_else(|| Self::whole(Arc::new(Block::new(bytes, None))))
    }
}

impl From<Bytes> for Data {
    /// Bytes that no budget counts.
    fn from(bytes: Bytes) -> Self {
        Self(Form::Bytes(bytes))
    }
}

impl From<Tree> for Data {
    fn from(tree: Tree) -> Self {
        let len = tree.len() as u32;
        Self(Form::Tree { tree, start: 0, len })
    }
}

impl From<Data> for Bytes {
    /// The bytes in one piece, which those of a large record are only as a copy.
    fn from(data: Data) -> Self {
        match data.0 {
            Form::Shared { block, start, len } => Self::from_owner(Piece::block(block, start, len)),
            Form::Bytes(bytes) => bytes,
            Form::Few { .. } | Form::Tree { .. } => data.to_vec().into(),
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.len())
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        match (self.as_slice(), other.as_slice()) {
            (Some(one), Some(other)) => one == other,
            _ => self.to_vec() == other.to_vec(),
        }
    }
}

impl Eq for Data {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_copied_and_more_are_shared_and_counted() {
        let budget = Arc::new(Budget::new(160, 0, 0));
        let block = Arc::new(Block::new((0..100).collect(), None));
        for len in [0, 1, FEW, FEW + 1, 90] {
            let shares = usize::from(len > FEW);
            let part = Data::part(&block, 3, len);
            assert_eq!(part.as_slice().unwrap(), (3..3 + len as u8).collect::<Vec<_>>());
            assert_eq!(Arc::strong_count(&block), 1 + shares, "{len} bytes");
            assert_eq!(Bytes::from(part), (3..3 + len as u8).collect::<Vec<_>>());
        }
        let copy = Data::copy(&[7; FEW], &budget).unwrap();
        assert_eq!((copy.len(), budget.used()), (64, 0));
        let copy = Data::copy(&[7; 65], &budget).unwrap();
        assert_eq!((copy.len(), budget.used()), (65, 80 + 64));
        assert_eq!(Data::copy(&[7; 65], &budget), Err(Overrun::Total(160)));
        drop(copy);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn data_are_equal_when_their_bytes_are() {
        for len in [0, 1, FEW, FEW + 1] {
            let bytes: Vec<u8> = (0..len as u8).collect();
            let block = Arc::new(Block::new(bytes.clone(), None));
            let data = Data::from(bytes.clone());
            assert_eq!((data.as_slice().unwrap(), data.is_empty()), (&bytes[..], len == 0));
            assert_eq!(data, Data::part(&block, 0, len));
            assert!(len == 0 || data != Data::part(&block, 0, len - 1));
        }
    }
}
