//! When a client has waited long enough.

use core::time::Duration;

use crate::client::transaction::Transaction;
use crate::time::{Instant, earlier};

/// The moments from which a client's waiting counts.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// No deadline is before this. Deadlines move away when packets move, and are only looked at
    /// when this has come, so that packets cost nothing.
    check: Option<Instant>,
    /// When bytes moved last, in either direction.
    active: Instant,
    /// When the client last began to read again: while it does not read, nothing can time out.
    resumed: Instant,
}

impl Clock {
    pub(super) fn active(&mut self, now: Instant) {
        self.active = now;
    }

    pub(super) fn resumed(&mut self, now: Instant) {
        self.resumed = now;
    }

    /// There is a deadline that may be before all others.
    pub(super) fn watch(&mut self, deadline: Instant) {
        self.check = earlier(self.check, Some(deadline));
    }

    pub(super) fn next_check(&self) -> Option<Instant> {
        self.check
    }

    /// No deadline is known any more; each is to be [watched](Self::watch) again.
    pub(super) fn reset(&mut self) {
        self.check = None;
    }

    /// When a transaction has waited too long; `None` for a watch, which waits for whatever may happen.
    ///
    /// The terminal of an abandoned one may take its time, as long as anything moves on the connection.
    pub(super) fn deadline(&self, transaction: &Transaction, default: Duration) -> Option<Instant> {
        let moved = transaction.moved.max(self.resumed);
        if transaction.abandoned {
            Some(moved.max(self.active) + default)
        } else {
            transaction.patience().map(|patience| moved + patience)
        }
    }
}
