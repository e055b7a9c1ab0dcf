//! The calls that hold their data in memory.

use std::time::{Duration, Instant};

use bytes::Bytes;
use netswap_core::types::{Access, Owner, Pointer, Version};
use netswap_core::wire::{Identity, Reply, Request, Stat};

use super::call::Call;
use super::ranges::written;
use super::{Error, Session};

impl Session {
    /// Makes a record and gets its pointer. The caller owns it; `access` is what others may do
    /// (CREATE_RECORD, docs/PROTOCOL.md §3.4).
    pub async fn create(&self, data: Bytes, access: Access) -> Result<Pointer, Error> {
        let request = Request::CreateRecord { access, data };
        self.call(request, created).await
    }

    /// Reads a record whole (RESOLVE_POINTER, docs/PROTOCOL.md §3.6). [`resolve_into`](Self::resolve_into) reads it
    /// piece by piece. A record that is reserved and gets no data in time is [`Error::TimedOut`]:
    /// [`resolve_wait`](Self::resolve_wait) waits longer.
    pub async fn resolve(&self, pointer: Pointer) -> Result<Bytes, Error> {
        let request = Request::ResolvePointer { pointer };
        self.call(request, |reply| if let Reply::Resolved(data) = reply { Some(data) } else { None }).await
    }

    /// Puts new data in the place of a record's old data, all at once, and gets the new version
    /// (REPLACE_RECORD, docs/PROTOCOL.md §3.7).
    pub async fn replace(&self, pointer: Pointer, data: Bytes) -> Result<Version, Error> {
        let request = Request::ReplaceRecord { pointer, data };
        self.call(request, written).await
    }

    /// Deletes a record that the caller owns (DELETE_RECORD, docs/PROTOCOL.md §3.8).
    pub async fn delete(&self, pointer: Pointer) -> Result<(), Error> {
        self.call(Request::DeleteRecord { pointer }, done).await
    }

    /// Becomes the owner of a record (TAKEOVER_RECORD, docs/PROTOCOL.md §3.9).
    pub async fn takeover(&self, pointer: Pointer) -> Result<(), Error> {
        self.call(Request::TakeoverRecord { pointer }, done).await
    }

    /// Makes another the owner of a record that the caller owns (TRANSFER_RECORD, docs/PROTOCOL.md §3.10).
    pub async fn transfer(&self, pointer: Pointer, owner: Owner) -> Result<(), Error> {
        self.call(Request::TransferRecord { pointer, owner }, done).await
    }

    /// Sets what others may do with a record that the caller owns (UPDATE_RECORD_PERMISSIONS, docs/PROTOCOL.md §3.5).
    pub async fn set_permissions(&self, pointer: Pointer, access: Access) -> Result<(), Error> {
        self.call(Request::UpdateRecordPermissions { pointer, access }, done).await
    }

    /// Asks the server who the caller is and what it allows (IDENTIFY, docs/PROTOCOL.md §3.11).
    pub async fn identify(&self) -> Result<Identity, Error> {
        self.call(Request::Identify, |reply| {
            if let Reply::Identity(identity) = reply { Some(identity) } else { None }
        })
        .await
    }

    /// Sends bytes to the server and back, and tells how long that took (PING, docs/PROTOCOL.md §3.12). The bytes are
    /// compared.
    pub async fn ping(&self, data: Bytes) -> Result<Duration, Error> {
        let start = Instant::now();
        let request = Request::Ping { data };
        self.call(request, |reply| if let Reply::Echo(_) = reply { Some(()) } else { None }).await?;
        Ok(start.elapsed())
    }

    /// Asks for the state of a record (STAT_RECORD, docs/PROTOCOL.md §3.13).
    pub async fn stat(&self, pointer: Pointer) -> Result<Stat, Error> {
        let request = Request::StatRecord { pointer };
        self.call(request, |reply| if let Reply::Stat(stat) = reply { Some(stat) } else { None }).await
    }

    /// Asks for the pointers of all records that the caller owns, ascending (LIST_RECORDS, docs/PROTOCOL.md §3.14).
    pub async fn list(&self) -> Result<Vec<Pointer>, Error> {
        self.call(
            Request::ListRecords,
            |reply| if let Reply::Pointers(list) = reply { Some(list) } else { None },
        )
        .await
    }

    pub(super) async fn call<T>(
        &self,
        request: Request<Bytes>,
        expected: impl FnOnce(Reply<Bytes>) -> Option<T>,
    ) -> Result<T, Error> {
        let mut call = Call::start(self.shared(), request, self.idle_timeout()).await?;
        let reply = call.answer().await?;
        call.expect(reply, expected)
    }
}

pub(super) fn created(reply: Reply<Bytes>) -> Option<Pointer> {
    if let Reply::Created(pointer) = reply { Some(pointer) } else { None }
}

pub(super) fn done(reply: Reply<Bytes>) -> Option<()> {
    if let Reply::Done = reply { Some(()) } else { None }
}
