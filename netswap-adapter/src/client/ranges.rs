//! The calls that read or write a part of a record, and those that go by its version.

use std::time::Duration;

use bytes::Bytes;
use netswap_core::error::Refusal;
use netswap_core::types::{Pointer, Version};
use netswap_core::wire::{Reply, Request};

use super::{Error, Session};

/// A part of a record, as [`Session::read_range`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The record's version.
    pub version: Version,
    /// Bytes of the whole record.
    pub record_len: u32,
    /// The bytes that were asked for, as far as the record has them.
    pub data: Bytes,
}

/// A whole record with its version, as [`Session::resolve_if_changed`] reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The record's version.
    pub version: Version,
    /// Its data.
    pub data: Bytes,
}

/// What [`Session::append`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record's version now.
    pub version: Version,
    /// Where in the record the data begin.
    pub offset: u32,
}

/// What [`Session::fetch_add`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// The record's version now.
    pub version: Version,
    /// The number now.
    pub value: i64,
}

impl Session {
    /// Reads at most `len` bytes of a record from `offset` on (READ_RANGE, docs/PROTOCOL.md §3.15). Where the record ends
    /// earlier there are fewer, or none: that is no error.
    pub async fn read_range(&self, pointer: Pointer, offset: u32, len: u32) -> Result<Range, Error> {
        self.call(Request::ReadRange { pointer, offset, len }, |reply| match reply {
            Reply::Range { version, record_len, data } => Some(Range { version, record_len, data }),
            _ => None,
        })
        .await
    }

    /// Writes data over a part of a record, and gets the new version (WRITE_RANGE, docs/PROTOCOL.md §3.16). The record grows
    /// as far as needed; a gap between its end and `offset` is filled with zeros.
    pub async fn write_range(&self, pointer: Pointer, offset: u32, data: Bytes) -> Result<Version, Error> {
        self.call(Request::WriteRange { pointer, offset, data }, written).await
    }

    /// Adds data at the end of a record, and learns where they begin (APPEND, docs/PROTOCOL.md §3.17).
    pub async fn append(&self, pointer: Pointer, data: Bytes) -> Result<Appended, Error> {
        self.call(Request::Append { pointer, data }, appended).await
    }

    /// Puts new data in the place of a record's old data if it still has this version, and gets the new one
    /// (COMPARE_AND_REPLACE, docs/PROTOCOL.md §3.18). [`update`](Self::update) does the reading and the trying again.
    pub async fn compare_and_replace(
        &self,
        pointer: Pointer,
        version: Version,
        data: Bytes,
    ) -> Result<Version, Error> {
        self.call(Request::CompareAndReplace { pointer, version, data }, written).await
    }

    /// Changes a record by what it holds: reads it, has `change` make new data of the old, and puts these in their place
    /// if nobody has written meanwhile; otherwise it begins again. Gets the new version.
    pub async fn update<T: Into<Bytes>>(
        &self,
        pointer: Pointer,
        mut change: impl FnMut(&Bytes) -> T,
    ) -> Result<Version, Error> {
        let mut failed = 0_u32;
        loop {
            let Snapshot { version, data } = self.snapshot(pointer).await?;
            match self.compare_and_replace(pointer, version, change(&data).into()).await {
                Err(Error::Refused(Refusal::VersionMismatch { .. })) => {}
                done => return done,
            }
            // Others go first for a random time, which may be none and gets longer with the attempts that failed.
            let most = 1_u32 << failed.min(4);
            let millis = getrandom::u32().map_or(most, |random| random % (most + 1));
            if millis > 0 {
                self.shared().pause(Duration::from_millis(millis.into())).await;
            }
            failed += 1;
        }
    }

    /// Adds to the big-endian i64 at `offset` in a record, and gets the sum (FETCH_ADD, docs/PROTOCOL.md §3.19). It wraps
    /// at the ends of the range.
    pub async fn fetch_add(&self, pointer: Pointer, offset: u32, delta: i64) -> Result<Added, Error> {
        self.call(Request::FetchAdd { pointer, offset, delta }, |reply| match reply {
            Reply::Added { version, value } => Some(Added { version, value }),
            _ => None,
        })
        .await
    }

    /// Reads a record whole, unless its version is the one that the caller `has` already: then there is nothing to read
    /// (RESOLVE_IF_CHANGED, docs/PROTOCOL.md §3.20). With `None` it always reads, and tells the version too, as
    /// [`resolve`](Self::resolve) does not.
    pub async fn resolve_if_changed(
        &self,
        pointer: Pointer,
        has: Option<Version>,
    ) -> Result<Option<Snapshot>, Error> {
        let version = has.unwrap_or(NONE);
        self.call(Request::ResolveIfChanged { pointer, version }, |reply| match reply {
            Reply::NotModified if version != NONE => Some(None),
            reply => snapshot(reply).map(Some),
        })
        .await
    }

    async fn snapshot(&self, pointer: Pointer) -> Result<Snapshot, Error> {
        self.call(Request::ResolveIfChanged { pointer, version: NONE }, snapshot).await
    }
}

/// The version of whoever has none.
const NONE: Version = Version(0);

fn snapshot(reply: Reply<Bytes>) -> Option<Snapshot> {
    if let Reply::Changed { version, data } = reply { Some(Snapshot { version, data }) } else { None }
}

pub(super) fn written(reply: Reply<Bytes>) -> Option<Version> {
    if let Reply::Written(version) = reply { Some(version) } else { None }
}

pub(super) fn appended(reply: Reply<Bytes>) -> Option<Appended> {
    match reply {
        Reply::Appended { version, offset } => Some(Appended { version, offset }),
        _ => None,
    }
}
