//! Watching a record.

use std::time::Duration;

use netswap_adapter::client as adapter;

use super::{Change, Error, Stopper};
use crate::timer::{Elapsed, wait_for};
use crate::wait::wait;
use crate::{Pointer, Version};

/// What happens to a record, as an [`Iterator`] of [`Change`]s, whose `next` waits. Dropped, it watches no more.
///
/// After its last item, which is a [`Change::Ended`] or an error, it has ended. Where the client connects again (it does
/// by default), a lost connection is no end: the watch is armed again by itself, and tells of it with
/// [`Change::Interrupted`] and [`Change::Resumed`].
///
/// An error tells why the watch has ended without the record's end: the connection is lost and not made again, the client
/// is closed, or the record cannot be watched again on a new connection, where it may be gone (`AddressFault`) or belong
/// to somebody else (`AccessViolation`).
///
/// A thread that waits for a change can be woken by another, with a [`Stopper`] or by closing the client.
///
/// A watch keeps its client's connection, as a clone of the client does. Changes that are not taken wait: up to 256 of
/// them, with up to 1 MiB of data beside the newest whole state of the record. What is more folds into the newest
/// state, so that a slow application misses states between but never the newest, and neither holds up the other calls of the
/// client nor needs more memory.
#[derive(Debug)]
#[must_use = "a watch that is dropped watches no more"]
pub struct Watch {
    watch: adapter::Watch,
    stopper: Stopper,
}

impl Watch {
    pub(super) fn new(watch: adapter::Watch) -> Self {
        Self { watch, stopper: Stopper::default() }
    }

    /// The record.
    #[must_use]
    pub fn pointer(&self) -> Pointer {
        self.watch.pointer()
    }

    /// The version that the record had when it began to be watched: 0 where it has no data yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.watch.version()
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.watch.try_next()
    }

    /// The next change, if it comes in this time; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when there was none: the watch goes on. What is in it is as `next` gives it.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Result<Change, Error>>, Elapsed> {
        wait_for(timeout, next(&self.stopper, &mut self.watch))
    }

    /// Ends the watch from another thread: `next` gives `None` then.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

async fn next(stopper: &Stopper, watch: &mut adapter::Watch) -> Option<Result<Change, Error>> {
    stopper.unless_stopped(watch.next()).await.flatten()
}

impl Iterator for Watch {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(next(&self.stopper, &mut self.watch))
    }
}
