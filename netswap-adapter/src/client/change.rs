//! What a watch tells.

use bytes::Bytes;
use netswap_core::types::{Access, Owner, Version};
use netswap_core::wire::{Ending, Notification};

/// Something has happened to a watched record, or to the watching (docs/PROTOCOL.md §4.3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The record has other data, or has its first. Where data are watched, the first of all changes is one of these,
    /// with the record as it is.
    Changed {
        /// Its version.
        version: Version,
        /// Its data, where they are watched.
        data: Option<Bytes>,
    },
    /// A part of the record was written; of the version before nothing was missed. Only where data are watched.
    RangeChanged {
        /// The record's version.
        version: Version,
        /// Where the bytes begin. Where that is behind the old end, what lies between is zeros.
        offset: u32,
        /// The bytes.
        data: Bytes,
    },
    /// Others may do this from now on.
    AccessChanged(Access),
    /// The record has another owner.
    OwnerChanged(Owner),
    /// Somebody asks for the record, of which the caller is the owner: [`Session::transfer`](super::Session::transfer)
    /// gives it away. `OwnerChanged` tells when it has gone to another.
    OwnershipRequested(Owner),
    /// The connection is lost: nothing is heard of the record until it is [`Resumed`](Self::Resumed).
    Interrupted,
    /// The record is watched again, after an interruption, or because more was told of a large record than the
    /// application took in time. Something may have been missed, but never the newest data: where data are watched, a
    /// `Changed` with all of them follows, unless the record has none yet.
    Resumed {
        /// The record's version.
        version: Version,
    },
    /// The record is no more, or not for the caller. The last change.
    Ended(Ending),
}

impl Change {
    /// Bytes of data in it.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Changed { data: Some(data), .. } | Self::RangeChanged { data, .. } => data.len(),
            _ => 0,
        }
    }

    pub(super) fn is_about_data(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::RangeChanged { .. })
    }
}

impl From<Notification<Bytes>> for Change {
    fn from(notification: Notification<Bytes>) -> Self {
        match notification {
            Notification::Changed { version, data } => Self::Changed { version, data },
            Notification::RangeChanged { version, offset, data } => {
                Self::RangeChanged { version, offset, data }
            }
            Notification::AccessChanged(access) => Self::AccessChanged(access),
            Notification::OwnerChanged(owner) => Self::OwnerChanged(owner),
            Notification::OwnershipRequested(owner) => Self::OwnershipRequested(owner),
            Notification::Ended(ending) => Self::Ended(ending),
        }
    }
}
