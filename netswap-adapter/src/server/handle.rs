//! A running server, looked at from outside.

use std::sync::Arc;

use netswap_core::config::Limits;

use super::excess::Excess;
use super::shared::{Shared, Traffic};

/// A running server, to be looked at and stopped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

/// What happened so far on a server, and how things stand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests, refusals, records and connections.
    pub store: netswap_core::store::Statistics,
    /// Bytes and panics.
    pub traffic: Traffic,
}

impl ServerHandle {
    /// A handle to the server that these connections belong to.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Tells the server to stop in order: it accepts no more connections, answers complete requests, ends unfinished
    /// ones with ABORT, flushes and closes (docs/PROTOCOL.md §5.3).
    pub fn shutdown(&self) {
        self.shared.stop();
    }

    /// The counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { store: self.shared.store().statistics(), traffic: self.shared.traffic() }
    }

    /// Tells the server how many bytes of memory its process has, where nothing else in the process has much. To be told
    /// each second or so; it is of use where the allocator keeps what the server no longer holds.
    ///
    /// Where that is far more than the counted bytes explain, the server moves its data together in the background. `true`
    /// where the process has much more than the server holds, so that it is worth asking the allocator to give memory back.
    pub fn note_resident(&self, bytes: u64) -> bool {
        self.shared.note_resident(bytes)
    }

    pub(super) fn excess(&self) -> &Excess {
        self.shared.excess()
    }

    /// The limits that the server keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.config().limits.clone()
    }
}
