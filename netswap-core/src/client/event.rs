//! What a client learns.

use core::fmt;

use bytes::Bytes;

use crate::types::{Version, Xid};
use crate::wire::{Notification, Reply};

/// Something happened to a transaction.
///
/// [`Replied`](Self::Replied), [`Ended`](Self::Ended) and the [`Notified`](Self::Notified) of a
/// [`Notification::Ended`] are the last event of their transaction. One that was [aborted](super::Client::abort) has no
/// more events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server has answered, with a refusal perhaps.
    ///
    /// Of data that came in pieces, [`Reply::Resolved`] holds the rest behind the last [`Piece`](Self::Piece).
    Replied {
        /// The transaction.
        xid: Xid,
        /// The answer.
        reply: Reply<Bytes>,
    },
    /// The next data of a record that is read in pieces, 64 KiB or a little more; to be reported as
    /// [consumed](super::Client::consumed).
    Piece {
        /// The transaction.
        xid: Xid,
        /// The data.
        data: Bytes,
        /// Bytes of the record in all.
        total: u32,
    },
    /// More of an upload's data can be [provided](super::Client::provide).
    Wanted {
        /// The transaction.
        xid: Xid,
    },
    /// The record is watched from now on: a WATCH_RECORD has got its OK (docs/PROTOCOL.md §3.21). A watch that is
    /// refused has [`Replied`](Self::Replied) in its place.
    Watching {
        /// The watch.
        xid: Xid,
        /// The record's version.
        version: Version,
    },
    /// Something has happened to a watched record. To be reported as [consumed](super::Client::consumed), by its
    /// [`weight`](Notification::weight).
    ///
    /// Versions do not go backwards, and a [`RangeChanged`](Notification::RangeChanged) follows the version before it
    /// directly: a server for which that is not so breaks the protocol.
    Notified {
        /// The watch.
        xid: Xid,
        /// What has happened.
        notification: Notification<Bytes>,
    },
    /// The transaction has ended without a reply, or a watch other than by a final notification.
    Ended {
        /// The transaction.
        xid: Xid,
        /// Why.
        failure: Failure,
        /// What can be said of its effect.
        outcome: Outcome,
    },
}

impl Event {
    /// The transaction that it is about.
    #[must_use]
    pub fn xid(&self) -> Xid {
        match self {
            Self::Replied { xid, .. }
            | Self::Piece { xid, .. }
            | Self::Wanted { xid }
            | Self::Watching { xid, .. }
            | Self::Notified { xid, .. }
            | Self::Ended { xid, .. } => *xid,
        }
    }
}

/// Why a transaction ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server ended it with an ABORT (docs/PROTOCOL.md §2.5).
    #[error("the server ended the request without a result")]
    Aborted,
    /// None of its packets moved for too long.
    #[error("the request timed out")]
    TimedOut,
    /// The connection ended before the reply was complete.
    #[error("the connection was lost before the reply arrived")]
    ConnectionLost,
    /// The reply is longer than this client takes whole.
    #[error("the reply has {len} bytes of data, more than this client's limit of {limit} bytes")]
    ReplyTooLarge {
        /// Bytes of data in the reply.
        len: u32,
        /// [`Config::max_reply`](super::Config::max_reply).
        limit: u32,
    },
}

/// What can be said of the effect of a request that got no reply (docs/PROTOCOL.md §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It changed nothing and never will: its last packet did not leave, or the operation only reads.
    /// It can be repeated safely.
    NotDone,
    /// It may have taken effect, or may still do so.
    Unknown,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotDone => "nothing was changed",
            Self::Unknown => "it is not known whether it was done",
        })
    }
}
