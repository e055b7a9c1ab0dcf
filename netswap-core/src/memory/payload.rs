//! The data of a request that is complete.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use super::{Budget, Data, Garbage, Gathering, Kept, Overrun};

/// The data of a request that is complete.
pub enum Payload<'a> {
    /// They came in one piece and lie where they came: they count when they are kept.
    Whole(&'a [u8]),
    /// They came in several packets, in a buffer that can become the record's.
    Gathered(Box<Gathering>),
}

impl Payload<'_> {
    /// Bytes of data.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Gathered(gathering) => gathering.len(),
        }
    }

    /// Whether there are no data.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Judges whether the last bytes passed the budget's total.
    ///
    /// # Errors
    ///
    /// They did.
    pub fn check_total(&self) -> Result<(), Overrun> {
        match self {
            Self::Gathered(gathering) => gathering.check_total(),
            Self::Whole(_) => Ok(()),
        }
    }

    /// Judges whether a limit was passed when its last bytes came.
    ///
    /// # Errors
    ///
    /// It was.
    pub fn check(&self) -> Result<(), Overrun> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Gathered(gathering) => gathering.check(),
        }
    }

    /// Nobody wants these bytes any more: where they are many they are dropped in portions.
    pub(crate) fn discard(self, garbage: &mut Garbage) {
        if let Self::Gathered(gathering) = self {
            gathering.discard(garbage);
        }
    }

    /// The bytes, where they lie together.
    pub(crate) fn as_slice(&self) -> Option<&[u8]> {
        match self {
            Self::Whole(bytes) => Some(bytes),
            Self::Gathered(gathering) => gathering.as_slice(),
        }
    }

    /// Makes these bytes data that can be sent, no longer unfinished.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the bytes are gone.
    pub fn settle(self, budget: &Arc<Budget>) -> Result<Data, Overrun> {
        match self {
            Self::Whole(bytes) => Data::copy(bytes, budget),
            Self::Gathered(gathering) => gathering.settle(),
        }
    }

    /// Judges whether [`settle_into`](Self::settle_into) would pass the budget's total as things stand.
    ///
    /// # Errors
    ///
    /// It would, or the last bytes did.
    pub(crate) fn fits_in_place_of(&self, place: &Kept, budget: &Budget) -> Result<(), Overrun> {
        match self {
            // They are written over the others: no sum for the requests that there are most of.
            Self::Whole(bytes) if place.is_few_of(bytes.len()) => Ok(()),
            Self::Whole(bytes) if bytes.len() > budget.flat_at_most() => {
                Kept::default().allow_write(0, bytes.len(), budget)
            }
            Self::Whole(bytes) => place.allow_replace(bytes.len(), 0, budget),
            Self::Gathered(gathering) => gathering.fits_in_place_of(place),
        }
    }

    /// Judges whether the budget has room for what [`write_to`](Self::write_to) would add.
    ///
    /// # Errors
    ///
    /// It has not, or the last bytes passed the total.
    pub(crate) fn may_be_written_to(
        &self,
        place: &Kept,
        offset: usize,
        budget: &Budget,
    ) -> Result<(), Overrun> {
        self.check_total()?;
        match self {
            // Its chunks count already.
            Self::Gathered(gathering) if gathering.starts_at(offset) => Ok(()),
            _ => place.allow_write(offset, self.len(), budget),
        }
    }

    /// Writes these bytes at an offset of a record. What was there is given back to be dropped where it suits.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the record stays as it was.
    pub(crate) fn write_to(
        self,
        place: &mut Kept,
        offset: usize,
        budget: &Arc<Budget>,
        garbage: &mut Garbage,
    ) -> Result<Data, Overrun> {
        match self {
            Self::Whole(bytes) => place.write(offset, bytes, budget),
            Self::Gathered(gathering) => gathering.write_to(place, offset, garbage),
        }
    }

    /// Makes these bytes data to be kept in the place of others, which are given back to be dropped where it suits.
    /// Unless somebody else still holds the others, only the growth is charged, so that what shrinks always fits.
    ///
    /// # Errors
    ///
    /// The budget's total would be passed, or a limit was when its last bytes came; the others stay as they were and
    /// these bytes are gone.
    pub(crate) fn settle_into(self, place: &mut Kept, budget: &Arc<Budget>) -> Result<Data, Overrun> {
        match self {
            Self::Whole(bytes) if place.overwrite(bytes) => Ok(Data::default()),
            Self::Whole(bytes) if bytes.len() > budget.flat_at_most() => {
                place.replace_by_chunks(bytes, budget)
            }
            Self::Whole(bytes) => place.replace(bytes.to_vec(), 0, budget),
            Self::Gathered(gathering) => gathering.settle_into(place),
        }
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}
