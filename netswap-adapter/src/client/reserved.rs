//! Records that get their data later, and reads that wait for them.

use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::Options;
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{Reply, Request};

use super::call::Call;
use super::operations::created;
use super::{Error, Session};

impl Session {
    /// Makes a record that has no data yet, and gets its pointer (RESERVE_RECORD, docs/PROTOCOL.md §3.22). The first
    /// write to it, such as [`replace`](Self::replace), makes it like any other.
    pub async fn reserve(&self, access: Access) -> Result<Pointer, Error> {
        self.call(Request::ReserveRecord { access }, created).await
    }

    /// Reads a record whole, and waits for its data where it is reserved: up to `timeout`, or for as long as the connection
    /// lasts. Once the data come, the time limit is that of every request.
    pub async fn resolve_wait(&self, pointer: Pointer, timeout: Option<Duration>) -> Result<Bytes, Error> {
        let wait = Some(timeout.unwrap_or(Duration::MAX));
        let options = Options { idle_timeout: self.idle_timeout(), wait, ..Options::default() };
        let request = Request::ResolvePointer { pointer };
        let mut call = Call::start_with(self.shared(), request, options).await?;
        let reply = call.answer().await?;
        call.expect(reply, |reply| if let Reply::Resolved(data) = reply { Some(data) } else { None })
    }
}
