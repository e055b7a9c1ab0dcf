//! Bytes on their way to a client.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::block::Block;
use super::{Budget, Overrun};

/// Data no longer than this are copied where longer ones are shared, and count nothing where nobody keeps them: whatever
/// they are a part of is larger than they are.
pub(crate) const FEW: usize = 64;

/// A snapshot of bytes: a copy of few, or a part of a block that is shared and counted once, until its last holder lets it
/// go.
///
/// As [`Bytes`] they can leave in slices.
#[derive(Clone)]
pub struct Data(Form);

#[derive(Clone)]
enum Form {
    Few { len: u8, bytes: [u8; FEW] },
    Shared { block: Arc<Block>, start: u32, len: u32 },
}

impl Data {
    /// A copy of bytes.
    ///
    /// # Errors
    ///
    /// They are more than 64, and the budget's total would be passed.
    pub fn copy(bytes: &[u8], budget: &Arc<Budget>) -> Result<Self, Overrun> {
        if let Some(few) = Self::few(bytes) {
            return Ok(few);
        }
        budget.charge(bytes.len())?;
        Ok(Self::whole(Arc::new(Block::new(bytes.to_vec(), Some(budget.clone())))))
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
        let len = block.bytes.len() as u32;
        Self(Form::Shared { block, start: 0, len })
    }

    /// A part of a block, which is shared unless it is small.
    pub(super) fn part(block: &Arc<Block>, start: usize, len: usize) -> Self {
        let few = Self::few(&block.bytes[start..start + len]);
        few.unwrap_or_else(|| {
            Self(Form::Shared { block: block.clone(), start: start as u32, len: len as u32 })
        })
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Few { len, .. } => usize::from(*len),
            Form::Shared { len, .. } => *len as usize,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for Data {
    fn default() -> Self {
        Self(Form::Few { len: 0, bytes: [0; FEW] })
    }
}

impl AsRef<[u8]> for Data {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Form::Few { len, bytes } => &bytes[..usize::from(*len)],
            Form::Shared { block, start, len } => &block.bytes[*start as usize..(*start + *len) as usize],
        }
    }
}

impl From<Vec<u8>> for Data {
    /// Bytes that no budget counts.
    fn from(bytes: Vec<u8>) -> Self {
        Self::few(&bytes).unwrap_or_else(|| Self::whole(Arc::new(Block::new(bytes, None))))
    }
}

impl From<Data> for Bytes {
    fn from(data: Data) -> Self {
        match data.0 {
            Form::Few { .. } => Self::copy_from_slice(data.as_ref()),
            Form::Shared { .. } => Self::from_owner(data),
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
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Data {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_copied_and_more_are_shared_and_counted() {
        let budget = Arc::new(Budget::new(65, 0, 0));
        let block = Arc::new(Block::new((0..100).collect(), None));
        for len in [0, 1, FEW, FEW + 1, 90] {
            let shares = usize::from(len > FEW);
            let part = Data::part(&block, 3, len);
            assert_eq!(part.as_ref(), (3..3 + len as u8).collect::<Vec<_>>());
            assert_eq!(Arc::strong_count(&block), 1 + shares, "{len} bytes");
            assert_eq!(Bytes::from(part), (3..3 + len as u8).collect::<Vec<_>>());
        }
        let copy = Data::copy(&[7; FEW], &budget).unwrap();
        assert_eq!((copy.len(), budget.used()), (64, 0));
        let copy = Data::copy(&[7; 65], &budget).unwrap();
        assert_eq!((copy.len(), budget.used()), (65, 65));
        assert_eq!(Data::copy(&[7; 65], &budget), Err(Overrun::Total(65)));
        drop(copy);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn data_are_equal_when_their_bytes_are() {
        for len in [0, 1, FEW, FEW + 1] {
            let bytes: Vec<u8> = (0..len as u8).collect();
            let block = Arc::new(Block::new(bytes.clone(), None));
            let data = Data::from(bytes.clone());
            assert_eq!((data.as_ref(), data.is_empty()), (&bytes[..], len == 0));
            assert_eq!(data, Data::part(&block, 0, len));
            assert!(len == 0 || data != Data::part(&block, 0, len - 1));
        }
    }
}
