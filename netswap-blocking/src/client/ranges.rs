//! The calls that read or write a part of a record, and those that go by its version.

use bytes::Bytes;

use super::{Added, Appended, Client, Error, Range, Snapshot};
use crate::{Pointer, Version};

/// # Parts of records, and versions
///
/// A record's version is 1 when it is made and grows by 1 with every write of data (docs/PROTOCOL.md §3.3). Each of
/// these calls takes effect at one instant, like every other: nobody sees half a write.
impl Client {
    /// Reads at most `len` bytes of a record from `offset` on (READ_RANGE, docs/PROTOCOL.md §3.15). Where the record ends
    /// earlier there are fewer, or none: that is no error.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    pub fn read_range(&self, pointer: Pointer, offset: u32, len: u32) -> Result<Range, Error> {
        self.wait(self.session.read_range(pointer, offset, len))
    }

    /// Writes data over a part of a record, and gets the new version (WRITE_RANGE, docs/PROTOCOL.md §3.16). The record grows
    /// as far as needed; a gap between its end and `offset` is filled with zeros.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn write_range(
        &self,
        pointer: Pointer,
        offset: u32,
        data: impl Into<Bytes>,
    ) -> Result<Version, Error> {
        self.wait(self.session.write_range(pointer, offset, data.into()))
    }

    /// Adds data at the end of a record, and learns where they begin (APPEND, docs/PROTOCOL.md §3.17).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn append(&self, pointer: Pointer, data: impl Into<Bytes>) -> Result<Appended, Error> {
        self.wait(self.session.append(pointer, data.into()))
    }

    /// Puts new data in the place of a record's old data if it still has this version, and gets the new one
    /// (COMPARE_AND_REPLACE, docs/PROTOCOL.md §3.18). [`update`](Self::update) does the reading and the trying again.
    ///
    /// # Errors
    ///
    /// [`Refusal::VersionMismatch`](crate::Refusal) with the version that the record has, `AddressFault`, `AccessViolation`,
    /// `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn compare_and_replace(
        &self,
        pointer: Pointer,
        version: Version,
        data: impl Into<Bytes>,
    ) -> Result<Version, Error> {
        self.wait(self.session.compare_and_replace(pointer, version, data.into()))
    }

    /// Changes a record by what it holds: reads it, has `change` make new data of the old, and puts these in their place
    /// if nobody has written meanwhile; otherwise it begins again. Gets the new version.
    ///
    /// ```
    /// # use netswap_blocking::{Access, Client, Server};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::bind("127.0.0.1:0")?;
    /// # let address = server.local_address();
    /// # std::thread::spawn(|| server.run());
    /// # let client = Client::connect(address)?;
    /// let pointer = client.create("players:", Access::READ | Access::WRITE)?;
    /// client.update(pointer, |old| [old, &b" ann"[..]].concat())?;
    /// assert_eq!(client.resolve(pointer)?, "players: ann");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Among all who update a record at the same time one always succeeds, and the others try again after a short random
    /// pause of up to 16 ms, for as long as it takes. `change` runs once for each attempt. For one number [`fetch_add`](Self::fetch_add), and for a log [`append`](Self::append), need one
    /// request and never try again.
    ///
    /// Needs the rights to read and to write. A request is not sent twice here either: where it is not known whether an
    /// attempt was done, the call fails and [`Error::outcome`] says so.
    ///
    /// # Errors
    ///
    /// Those of [`resolve_if_changed`](Self::resolve_if_changed) and [`compare_and_replace`](Self::compare_and_replace), but
    /// for `VersionMismatch`.
    pub fn update<T: Into<Bytes>>(
        &self,
        pointer: Pointer,
        change: impl FnMut(&Bytes) -> T,
    ) -> Result<Version, Error> {
        self.wait(self.session.update(pointer, change))
    }

    /// Adds to the big-endian i64 at `offset` in a record, and gets the sum (FETCH_ADD, docs/PROTOCOL.md §3.19). It wraps
    /// at the ends of the range.
    ///
    /// # Errors
    ///
    /// `AddressFault` where there is no record, or it does not have all 8 bytes; `AccessViolation` for whom it does not let
    /// both read and write; `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn fetch_add(&self, pointer: Pointer, offset: u32, delta: i64) -> Result<Added, Error> {
        self.wait(self.session.fetch_add(pointer, offset, delta))
    }

    /// Reads a record whole, unless its version is the one that the caller `has` already: then there is nothing to read
    /// (RESOLVE_IF_CHANGED, docs/PROTOCOL.md §3.20). With `None` it always reads, and tells the version too, as
    /// [`resolve`](Self::resolve) does not.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    pub fn resolve_if_changed(
        &self,
        pointer: Pointer,
        has: Option<Version>,
    ) -> Result<Option<Snapshot>, Error> {
        self.wait(self.session.resolve_if_changed(pointer, has))
    }
}
