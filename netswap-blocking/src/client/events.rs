//! What happens to a client's connection.

use std::time::Duration;

use netswap_adapter::client as adapter;

use super::ConnectionEvent;
use crate::timer::{Elapsed, wait_for};
use crate::wait::wait;

/// The events of a client's connection, from the call of [`Client::events`](super::Client::events) on, as an
/// [`Iterator`], whose `next` waits.
///
/// It ends when the client is closed. Up to 64 events wait to be taken.
#[derive(Debug)]
pub struct Events(adapter::Events);

impl Events {
    pub(super) fn new(events: adapter::Events) -> Self {
        Self(events)
    }

    /// The next event, if it comes in this time; `None` when the client is closed.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when there was none: it is told when it comes.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<ConnectionEvent>, Elapsed> {
        wait_for(timeout, self.0.next())
    }
}

impl Iterator for Events {
    type Item = ConnectionEvent;

    fn next(&mut self) -> Option<ConnectionEvent> {
        wait(self.0.next())
    }
}
