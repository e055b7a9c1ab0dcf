//! A copy of a record that follows it.

use bytes::Bytes;
use netswap_core::client::Replica;
use netswap_core::types::{Pointer, Version};
use netswap_core::wire::{Ending, Notification};

use super::{Change, Error, Session, Watch};

/// A copy of a record that is kept up to date: the newest data and their version, whatever was written, folded or missed.
///
/// It moves on when it is asked, with [`changed`](Self::changed) or [`next`](Self::next); between, the data stay as they
/// are. Like a [`Watch`] it goes on after a lost connection, and watches no more when it is dropped.
#[derive(Debug)]
#[must_use = "a mirror that is dropped follows its record no more"]
pub struct Mirror {
    watch: Watch,
    replica: Replica,
    live: bool,
    ended: Option<Ending>,
}

impl Session {
    /// Keeps a copy of a record.
    pub async fn mirror(&self, pointer: Pointer) -> Result<Mirror, Error> {
        let watch = self.watch_data(pointer).await?;
        let live = watch.version() == Version::RESERVED;
        let mut mirror = Mirror { watch, replica: Replica::default(), live, ended: None };
        while !mirror.live {
            mirror.changed().await?;
        }
        Ok(mirror)
    }
}

impl Mirror {
    /// The record.
    #[must_use]
    pub fn pointer(&self) -> Pointer {
        self.watch.pointer()
    }

    /// The data. A clone of them, which costs nothing, is a snapshot that stays as it is.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        self.replica.data()
    }

    /// The version of the data: 0 where the record has none yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.replica.version()
    }

    /// Whether the data follow the record, as far as is known: not between a [`Change::Interrupted`] or
    /// [`Change::Resumed`] and the data that come after it, and not after the end.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Waits until there are other data, and moves on to the newest that are here. Tells their version: where it is
    /// more than one above the version before, states between were passed over. Where the copy did not
    /// [follow](Self::is_live) its record, it waits until it does again.
    ///
    /// # Errors
    ///
    /// [`Error::Ended`] when the record is no more, and those of [`Watch::next`]. The data stay as they were last.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Result<Version, Error> {
        // Of a copy that did not follow, any data are other data.
        let before = self.live.then_some(self.version());
        loop {
            if let Some(ending) = self.ended {
                return Err(Error::Ended(ending));
            }
            let mut about_data = self.next().await.unwrap_or(Err(Error::Closed))?.is_about_data();
            while let Some(change) = self.watch.try_next() {
                about_data |= change.is_about_data();
                self.apply(&change);
            }
            if about_data && before != Some(self.version()) {
                return Ok(self.version());
            }
        }
    }

    /// The next change of whatever sort, which the data have in them already; `None` after the last.
    ///
    /// # Errors
    ///
    /// Those of [`Watch::next`]. The data stay as they were last.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Change, Error>> {
        let change = self.watch.next().await;
        match &change {
            Some(Ok(change)) => self.apply(change),
            Some(Err(_)) | None => self.live = false,
        }
        change
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Changed { version, data } => {
                self.live = true;
                self.replica.apply(&Notification::Changed { version: *version, data: data.clone() });
            }
            Change::RangeChanged { version, offset, data } => {
                let (version, offset, data) = (*version, *offset, data.clone());
                self.replica.apply(&Notification::RangeChanged { version, offset, data });
            }
            Change::Interrupted => self.live = false,
            Change::Resumed { version } => self.live = *version == Version::RESERVED,
            Change::Ended(ending) => {
                self.live = false;
                self.ended = Some(*ending);
            }
            Change::AccessChanged(_) | Change::OwnerChanged(_) | Change::OwnershipRequested(_) => {}
        }
    }
}
