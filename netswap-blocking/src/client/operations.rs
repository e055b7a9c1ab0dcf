//! The calls that hold their data in memory.

use std::time::Duration;

use bytes::Bytes;

use super::{Client, Error};
use crate::{Access, Identity, Owner, Pointer, Stat, Version};

/// # Operations
///
/// Calls block until there is the answer, for as long as [`with_timeout`](Self::with_timeout) and
/// [`ConnectOptions::request_timeout`](super::ConnectOptions::request_timeout) say. They can be made from many threads at
/// once, which share the connection; a small one does not wait for a large one.
///
/// Every call fails with an [`Error`] that tells whether it may have taken effect ([`Error::outcome`]). No request is
/// ever sent twice.
impl Client {
    /// Makes a record and gets its pointer. The caller owns it; `access` is what others may do
    /// (CREATE_RECORD, docs/PROTOCOL.md §3.4).
    ///
    /// # Errors
    ///
    /// [`Refusal::RecordTooLarge`](netswap_core::error::Refusal) and `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn create(&self, data: impl Into<Bytes>, access: Access) -> Result<Pointer, Error> {
        self.wait(self.session.create(data.into(), access))
    }

    /// Reads a record whole (RESOLVE_POINTER, docs/PROTOCOL.md §3.6). [`resolve_into`](Self::resolve_into) reads it
    /// piece by piece. A record that is reserved and gets no data in time is [`Error::TimedOut`]:
    /// [`resolve_wait`](Self::resolve_wait) waits longer.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    pub fn resolve(&self, pointer: Pointer) -> Result<Bytes, Error> {
        self.wait(self.session.resolve(pointer))
    }

    /// Puts new data in the place of a record's old data, all at once, and gets the new version
    /// (REPLACE_RECORD, docs/PROTOCOL.md §3.7).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn replace(&self, pointer: Pointer, data: impl Into<Bytes>) -> Result<Version, Error> {
        self.wait(self.session.replace(pointer, data.into()))
    }

    /// Deletes a record that the caller owns (DELETE_RECORD, docs/PROTOCOL.md §3.8).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    pub fn delete(&self, pointer: Pointer) -> Result<(), Error> {
        self.wait(self.session.delete(pointer))
    }

    /// Becomes the owner of a record (TAKEOVER_RECORD, docs/PROTOCOL.md §3.9).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn takeover(&self, pointer: Pointer) -> Result<(), Error> {
        self.wait(self.session.takeover(pointer))
    }

    /// Makes another the owner of a record that the caller owns (TRANSFER_RECORD, docs/PROTOCOL.md §3.10).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn transfer(&self, pointer: Pointer, owner: Owner) -> Result<(), Error> {
        self.wait(self.session.transfer(pointer, owner))
    }

    /// Sets what others may do with a record that the caller owns (UPDATE_RECORD_PERMISSIONS, docs/PROTOCOL.md §3.5).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    pub fn set_permissions(&self, pointer: Pointer, access: Access) -> Result<(), Error> {
        self.wait(self.session.set_permissions(pointer, access))
    }

    /// Asks the server who the caller is and what it allows (IDENTIFY, docs/PROTOCOL.md §3.11).
    ///
    /// # Errors
    ///
    /// What every call can meet: see [`Error`].
    pub fn identify(&self) -> Result<Identity, Error> {
        self.wait(self.session.identify())
    }

    /// Sends bytes to the server and back, and tells how long that took (PING, docs/PROTOCOL.md §3.12). The bytes are
    /// compared.
    ///
    /// # Errors
    ///
    /// `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    pub fn ping(&self, data: impl Into<Bytes>) -> Result<Duration, Error> {
        self.wait(self.session.ping(data.into()))
    }

    /// Asks for the state of a record (STAT_RECORD, docs/PROTOCOL.md §3.13).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    pub fn stat(&self, pointer: Pointer) -> Result<Stat, Error> {
        self.wait(self.session.stat(pointer))
    }

    /// Asks for the pointers of all records that the caller owns, ascending (LIST_RECORDS, docs/PROTOCOL.md §3.14).
    ///
    /// # Errors
    ///
    /// `QuotaExceeded`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    pub fn list(&self) -> Result<Vec<Pointer>, Error> {
        self.wait(self.session.list())
    }
}
