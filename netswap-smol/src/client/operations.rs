//! The calls that hold their data in memory.

use std::time::Duration;

use bytes::Bytes;

use super::{Client, Error};
use crate::{Access, Identity, Owner, Pointer, Stat, Version};

/// # Operations
///
/// Calls can be made from many tasks at once; they share the connection, and a small one does not wait for a large one.
///
/// Every call fails with an [`Error`] that tells whether it may have taken effect ([`Error::outcome`]). No request is
/// ever sent twice.
///
/// **Cancel safety** is the same for all: when the future is dropped the request is called back where it still can be,
/// and the server is told where it must be. Other calls are not disturbed. A request that was completely sent may take
/// effect all the same.
impl Client {
    /// Makes a record and gets its pointer. The caller owns it; `access` is what others may do
    /// (CREATE_RECORD, docs/PROTOCOL.md §3.4).
    ///
    /// # Errors
    ///
    /// [`Refusal::RecordTooLarge`](netswap_core::error::Refusal) and `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, it may leave a record whose pointer nobody knows; that ends with its owner's grace.
    pub async fn create(&self, data: impl Into<Bytes>, access: Access) -> Result<Pointer, Error> {
        self.session.create(data.into(), access).await
    }

    /// Reads a record whole (RESOLVE_POINTER, docs/PROTOCOL.md §3.6). [`resolve_into`](Self::resolve_into) reads it
    /// piece by piece. A record that is reserved and gets no data in time is [`Error::TimedOut`]:
    /// [`resolve_wait`](Self::resolve_wait) waits longer.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn resolve(&self, pointer: Pointer) -> Result<Bytes, Error> {
        self.session.resolve(pointer).await
    }

    /// Puts new data in the place of a record's old data, all at once, and gets the new version
    /// (REPLACE_RECORD, docs/PROTOCOL.md §3.7).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the record has either its old data or all of the new.
    pub async fn replace(&self, pointer: Pointer, data: impl Into<Bytes>) -> Result<Version, Error> {
        self.session.replace(pointer, data.into()).await
    }

    /// Deletes a record that the caller owns (DELETE_RECORD, docs/PROTOCOL.md §3.8).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the record may be deleted or not.
    pub async fn delete(&self, pointer: Pointer) -> Result<(), Error> {
        self.session.delete(pointer).await
    }

    /// Becomes the owner of a record (TAKEOVER_RECORD, docs/PROTOCOL.md §3.9).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the record may be taken over or not.
    pub async fn takeover(&self, pointer: Pointer) -> Result<(), Error> {
        self.session.takeover(pointer).await
    }

    /// Makes another the owner of a record that the caller owns (TRANSFER_RECORD, docs/PROTOCOL.md §3.10).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the record may be transferred or not.
    pub async fn transfer(&self, pointer: Pointer, owner: Owner) -> Result<(), Error> {
        self.session.transfer(pointer, owner).await
    }

    /// Sets what others may do with a record that the caller owns (UPDATE_RECORD_PERMISSIONS, docs/PROTOCOL.md §3.5).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the bits may be the old or the new ones.
    pub async fn set_permissions(&self, pointer: Pointer, access: Access) -> Result<(), Error> {
        self.session.set_permissions(pointer, access).await
    }

    /// Asks the server who the caller is and what it allows (IDENTIFY, docs/PROTOCOL.md §3.11).
    ///
    /// # Errors
    ///
    /// What every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn identify(&self) -> Result<Identity, Error> {
        self.session.identify().await
    }

    /// Sends bytes to the server and back, and tells how long that took (PING, docs/PROTOCOL.md §3.12). The bytes are
    /// compared.
    ///
    /// # Errors
    ///
    /// `RecordTooLarge`, `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn ping(&self, data: impl Into<Bytes>) -> Result<Duration, Error> {
        self.session.ping(data.into()).await
    }

    /// Asks for the state of a record (STAT_RECORD, docs/PROTOCOL.md §3.13).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn stat(&self, pointer: Pointer) -> Result<Stat, Error> {
        self.session.stat(pointer).await
    }

    /// Asks for the pointers of all records that the caller owns, ascending (LIST_RECORDS, docs/PROTOCOL.md §3.14).
    ///
    /// # Errors
    ///
    /// `QuotaExceeded`, [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing.
    pub async fn list(&self) -> Result<Vec<Pointer>, Error> {
        self.session.list().await
    }
}
