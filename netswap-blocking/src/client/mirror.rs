//! A copy of a record that follows it.

use std::time::Duration;

use bytes::Bytes;
use netswap_adapter::client as adapter;

use super::{Change, Error, Stopper};
use crate::timer::{Elapsed, wait_for};
use crate::wait::wait;
use crate::{Pointer, Version};

/// A copy of a record that is kept up to date: the newest data and their version, whatever was written, folded or missed.
///
/// It moves on when it is asked, with [`changed`](Self::changed) or as the [`Iterator`] that it is, of all changes of
/// whatever sort, which the data have in them already; between, the data stay as they are. Like a
/// [`Watch`](super::Watch) it goes on after a lost connection, and watches no more when it is dropped.
#[derive(Debug)]
#[must_use = "a mirror that is dropped follows its record no more"]
pub struct Mirror {
    mirror: adapter::Mirror,
    stopper: Stopper,
}

impl Mirror {
    pub(super) fn new(mirror: adapter::Mirror) -> Self {
        Self { mirror, stopper: Stopper::default() }
    }

    /// The record.
    #[must_use]
    pub fn pointer(&self) -> Pointer {
        self.mirror.pointer()
    }

    /// The data. A clone of them, which costs nothing, is a snapshot that stays as it is.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        self.mirror.data()
    }

    /// The version of the data: 0 where the record has none yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.mirror.version()
    }

    /// Whether the data follow the record, as far as is known: not between a [`Change::Interrupted`] or
    /// [`Change::Resumed`] and the data that come after it, and not after the end.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.mirror.is_live()
    }

    /// Waits until there are other data, and moves on to the newest that are here. Tells their version: where it is
    /// more than one above the version before, states between were passed over. Where the copy did not
    /// [follow](Self::is_live) its record, it waits until it does again.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] when the record is no more, [`Error::Closed`] after a [`Stopper::stop`], and those of a
    /// [`Watch`](super::Watch). The data stay as they were last.
    pub fn changed(&mut self) -> Result<Version, Error> {
        wait(changed(&self.stopper, &mut self.mirror))
    }

    /// As [`changed`](Self::changed), if it comes about in this time.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when it did not: the mirror goes on.
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<Result<Version, Error>, Elapsed> {
        wait_for(timeout, changed(&self.stopper, &mut self.mirror))
    }

    /// The next change of whatever sort, if it comes in this time; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when there was none: the mirror goes on. What is in it is as `next` gives it.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Result<Change, Error>>, Elapsed> {
        wait_for(timeout, next(&self.stopper, &mut self.mirror))
    }

    /// Ends the mirror from another thread: `next` gives `None` then, and [`changed`](Self::changed)
    /// [`Error::Closed`]. The data stay as they are.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}

async fn changed(stopper: &Stopper, mirror: &mut adapter::Mirror) -> Result<Version, Error> {
    stopper.unless_stopped(mirror.changed()).await.unwrap_or(Err(Error::Closed))
}

async fn next(stopper: &Stopper, mirror: &mut adapter::Mirror) -> Option<Result<Change, Error>> {
    stopper.unless_stopped(mirror.next()).await.flatten()
}

impl Iterator for Mirror {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(next(&self.stopper, &mut self.mirror))
    }
}
