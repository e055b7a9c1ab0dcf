//! The data of a request that is complete.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use super::{Budget, Data, Gathering, Kept, Overrun};

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

    /// The bytes, to be written somewhere.
    ///
    /// # Errors
    ///
    /// A limit was passed when their last came.
    pub fn bytes(&self) -> Result<&[u8], Overrun> {
        match self {
            Self::Whole(bytes) => Ok(bytes),
            Self::Gathered(gathering) => gathering.bytes(),
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
            Self::Whole(bytes) => budget.allow(bytes.len().saturating_sub(place.own_charge())),
            Self::Gathered(gathering) => gathering.fits_in_place_of(place),
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
