//! What a watch is told (docs/PROTOCOL.md §4.3).

use core::fmt;

use bytes::Bytes;

use crate::types::{Access, Owner, Version};
use crate::wire::answer::{BadReply, Lengths};
use crate::wire::message::{Fields, Message, Operands};
use crate::wire::opcode::Code;

/// Something has happened to a record that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification<D> {
    /// The record has other data.
    Changed {
        /// Its version.
        version: Version,
        /// Its data, where the watch pushes them.
        data: Option<D>,
    },
    /// A part of the record was written. Only to a watch that pushes, and that was told every version before.
    RangeChanged {
        /// The record's version.
        version: Version,
        /// Where the bytes begin. Where that is behind the old end, what lies between is zeros.
        offset: u32,
        /// The bytes.
        data: D,
    },
    /// Others may do this from now on.
    AccessChanged(Access),
    /// The record has another owner.
    OwnerChanged(Owner),
    /// Somebody asks the owner for the record.
    OwnershipRequested(Owner),
    /// The watch ends.
    Ended(Ending),
}

/// Why a watch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ending {
    /// The record was deleted.
    Deleted = 16,
    /// The record's time was over.
    Expired = 17,
    /// The watcher may not read the record any more.
    AccessLost = 18,
}

impl Ending {
    const ALL: [Self; 3] = [Self::Deleted, Self::Expired, Self::AccessLost];

    /// The ending with this kind; `None` where the kind is not final.
    #[must_use]
    pub fn from_kind(kind: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| *ending as u8 == kind)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deleted => "the record was deleted",
            Self::Expired => "the record's time was over",
            Self::AccessLost => "the record may not be read any more",
        })
    }
}

const CHANGED: u8 = 1;
const RANGE_CHANGED: u8 = 2;
const ACCESS_CHANGED: u8 = 3;
const OWNER_CHANGED: u8 = 4;
const OWNERSHIP_REQUESTED: u8 = 5;

impl<D: Default> Notification<D> {
    /// The notification as it goes onto the wire.
    #[must_use]
    pub fn encode(self) -> Message<D> {
        let bare = |kind, operands| Message::bare(Code::Notify as u8, kind, operands);
        let with =
            |kind, operands, body| Message { opcode: Code::Notify as u8, access: kind, operands, body };
        match self {
            Self::Changed { version, data } => {
                with(CHANGED, Operands::new().with_u64(version.0), data.unwrap_or_default())
            }
            Self::RangeChanged { version, offset, data } => {
                with(RANGE_CHANGED, Operands::new().with_u64(version.0).with_u32(offset), data)
            }
            Self::AccessChanged(access) => bare(ACCESS_CHANGED, Operands::new().with(&[access.bits()])),
            Self::OwnerChanged(owner) => bare(OWNER_CHANGED, Operands::new().with_u64(owner.get())),
            Self::OwnershipRequested(owner) => {
                bare(OWNERSHIP_REQUESTED, Operands::new().with_u64(owner.get()))
            }
            Self::Ended(ending) => bare(ending as u8, Operands::new()),
        }
    }
}

/// What a notification weighs beside its data.
const WEIGHT: usize = 128;

impl Notification<Bytes> {
    /// The memory that it stands for, in bytes: 128 and its data.
    #[must_use]
    pub fn weight(&self) -> usize {
        WEIGHT
            + match self {
                Self::Changed { data: Some(data), .. } | Self::RangeChanged { data, .. } => data.len(),
                _ => 0,
            }
    }

    /// The lengths that a notification of this kind may have, for a watch that pushes data or one that does not.
    ///
    /// # Errors
    ///
    /// There is no such notification for this watch.
    pub fn lengths(kind: u8, push: bool) -> Result<Lengths, BadReply> {
        Ok(match kind {
            CHANGED if push => Lengths::AtLeast(8),
            CHANGED | OWNER_CHANGED | OWNERSHIP_REQUESTED => Lengths::Exactly(8),
            RANGE_CHANGED if push => Lengths::AtLeast(12),
            ACCESS_CHANGED => Lengths::Exactly(1),
            kind if Ending::from_kind(kind).is_some() => Lengths::Exactly(0),
            _ => return Err(BadReply),
        })
    }

    /// Judges a notification by its first header: its kind and the length of its payload, for a watch that pushes data
    /// or one that does not.
    ///
    /// # Errors
    ///
    /// There is no such notification for this watch.
    pub fn judge(kind: u8, len: u32, push: bool) -> Result<(), BadReply> {
        if Self::lengths(kind, push)?.allow(len) { Ok(()) } else { Err(BadReply) }
    }

    /// Reads a complete notification.
    ///
    /// # Errors
    ///
    /// It is not well formed, or none for this watch.
    pub fn decode(kind: u8, payload: Bytes, push: bool) -> Result<Self, BadReply> {
        let len = u32::try_from(payload.len()).map_err(|_| BadReply)?;
        Self::judge(kind, len, push)?;
        Self::read(kind, payload, push).ok_or(BadReply)
    }

    fn read(kind: u8, payload: Bytes, push: bool) -> Option<Self> {
        let mut fields = Fields(&payload);
        Some(match kind {
            CHANGED => {
                let version = Version(fields.u64()?);
                Self::Changed { version, data: push.then(|| payload.slice(8..)) }
            }
            RANGE_CHANGED => {
                let (version, offset) = (Version(fields.u64()?), fields.u32()?);
                Self::RangeChanged { version, offset, data: payload.slice(12..) }
            }
            ACCESS_CHANGED => Self::AccessChanged(Access::from_bits(fields.u8()?)?),
            OWNER_CHANGED => Self::OwnerChanged(Owner::new(fields.u64()?)?),
            OWNERSHIP_REQUESTED => Self::OwnershipRequested(Owner::new(fields.u64()?)?),
            kind => Self::Ended(Ending::from_kind(kind)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notification_is_read_back() {
        let (version, data, owner) = (Version(7), Bytes::from_static(b"data"), Owner::from_hash(9));
        let pushed = [
            Notification::Changed { version, data: Some(data.clone()) },
            Notification::Changed { version, data: Some(Bytes::new()) },
            Notification::RangeChanged { version, offset: u32::MAX, data },
        ];
        let others = [
            Notification::AccessChanged(Access::READ),
            Notification::OwnerChanged(owner),
            Notification::OwnershipRequested(owner),
            Notification::Ended(Ending::Deleted),
            Notification::Ended(Ending::Expired),
            Notification::Ended(Ending::AccessLost),
        ];
        let plain = [Notification::Changed { version, data: None }];
        let cases = [(true, &pushed[..]), (true, &others), (false, &others), (false, &plain)];
        for (push, notification) in cases.iter().flat_map(|(push, all)| all.iter().map(move |it| (*push, it)))
        {
            let message = notification.clone().encode();
            assert_eq!(message.opcode, 11);
            let payload = [message.operands.as_slice(), &message.body].concat();
            assert_eq!(Notification::decode(message.access, payload.into(), push).as_ref(), Ok(notification));
        }
    }

    #[test]
    fn what_is_no_notification_of_the_watch_is_a_bad_reply() {
        let bad = |kind, payload: &'static [u8], push| {
            let decoded = Notification::decode(kind, Bytes::from_static(payload), push);
            assert_eq!(decoded, Err(BadReply), "{kind}");
        };
        bad(0, b"", true);
        bad(CHANGED, b"1234567", true);
        bad(CHANGED, b"123456789", false);
        bad(RANGE_CHANGED, b"12345678901", true);
        bad(RANGE_CHANGED, b"123456789012", false);
        bad(ACCESS_CHANGED, b"\x08", true);
        bad(OWNER_CHANGED, &[0; 8], true);
        bad(16, b"x", true);
        bad(19, b"", true);
    }
}
