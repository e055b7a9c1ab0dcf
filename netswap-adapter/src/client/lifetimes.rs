//! How long records live, and whose they become.

use netswap_core::types::Pointer;
use netswap_core::wire::{Lifetime, Request};

use super::operations::done;
use super::{Error, Session};

impl Session {
    /// Sets how long a record that the caller owns lives, and whose it becomes then: all three settings anew
    /// (SET_LIFETIME, docs/PROTOCOL.md §3.23).
    pub async fn set_lifetime(&self, pointer: Pointer, lifetime: Lifetime) -> Result<(), Error> {
        self.call(Request::SetLifetime { pointer, lifetime }, done).await
    }

    /// Asks the owner of a record for it (REQUEST_OWNERSHIP, docs/PROTOCOL.md §3.24). The owner hears of it with
    /// [`Change::OwnershipRequested`](super::Change::OwnershipRequested) if it watches the record, and gives it away with
    /// [`transfer`](Self::transfer) if it likes. That it was asked does not say that anybody heard it.
    pub async fn request_ownership(&self, pointer: Pointer) -> Result<(), Error> {
        self.call(Request::RequestOwnership { pointer }, done).await
    }
}
