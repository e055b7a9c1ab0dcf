//! How long records live, and whose they become.

use super::{Client, Error};
use crate::{Lifetime, Pointer};

/// # Lifetimes and owners
///
/// See docs/PROTOCOL.md §6.3 and §6.4.
impl Client {
    /// Sets how long a record that the caller owns lives, and whose it becomes then: all three settings anew
    /// (SET_LIFETIME, docs/PROTOCOL.md §3.23).
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `InvalidRequest` when a time is above the server's maximum or the heir is the caller,
    /// and what every call can meet: see [`Error`].
    pub fn set_lifetime(&self, pointer: Pointer, lifetime: Lifetime) -> Result<(), Error> {
        self.wait(self.session.set_lifetime(pointer, lifetime))
    }

    /// Asks the owner of a record for it (REQUEST_OWNERSHIP, docs/PROTOCOL.md §3.24). The owner hears of it with
    /// [`Change::OwnershipRequested`](super::Change::OwnershipRequested) if it watches the record, and gives it away with
    /// [`transfer`](Self::transfer) if it likes. That it was asked does not say that anybody heard it.
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, and what every call can meet: see [`Error`].
    pub fn request_ownership(&self, pointer: Pointer) -> Result<(), Error> {
        self.wait(self.session.request_ownership(pointer))
    }
}
