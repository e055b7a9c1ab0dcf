//! Watching a record.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use netswap_core::types::{Pointer, Version};

use super::shared::wake;
use super::watches::WatchId;
use super::{Change, Error, Session};

/// What happens to a record, as a [`Stream`] of [`Change`]s. Dropped, it watches no more.
///
/// After its last item, which is a [`Change::Ended`] or an error, it has ended. Where the client connects again (it does
/// by default), a lost connection is no end: the watch is armed again by itself, and tells of it with
/// [`Change::Interrupted`] and [`Change::Resumed`].
///
/// A watch keeps its client's connection, as a clone of the client does. Changes that are not taken wait: up to 256 of
/// them, with up to 1 MiB of data beside the newest whole state of the record. What is more folds into the newest
/// state, so that a slow application misses states between but never the newest, and neither holds up the other calls of the
/// client nor needs more memory.
#[derive(Debug)]
#[must_use = "a watch that is dropped watches no more"]
pub struct Watch {
    session: Session,
    id: WatchId,
    pointer: Pointer,
    version: Version,
}

impl Session {
    /// Watches a record, without its data.
    pub async fn watch(&self, pointer: Pointer) -> Result<Watch, Error> {
        Watch::begin(self, pointer, false).await
    }

    /// Watches a record with its data.
    pub async fn watch_data(&self, pointer: Pointer) -> Result<Watch, Error> {
        Watch::begin(self, pointer, true).await
    }
}

impl Watch {
    async fn begin(session: &Session, pointer: Pointer, push: bool) -> Result<Self, Error> {
        let shared = session.shared();
        let id = {
            let mut state = shared.connected(session.idle_timeout()).await?;
            let id = state.begin_watch((pointer, push), session.idle_timeout(), shared.now())?;
            wake(state);
            id
        };
        let mut watch = Self { session: session.clone(), id, pointer, version: Version::RESERVED };
        watch.version = poll_fn(|cx| shared.lock().watches().poll_begun(id, cx)).await?;
        Ok(watch)
    }

    /// The record.
    #[must_use]
    pub fn pointer(&self) -> Pointer {
        self.pointer
    }

    /// The version that the record had when it began to be watched: 0 where it has no data yet.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The next change; `None` after the last.
    ///
    /// # Errors
    ///
    /// Why the watch has ended without the record's end: the connection is lost and not made again, the client is closed,
    /// or the record cannot be watched again on a new connection, where it may be gone (`AddressFault`) or belong to
    /// somebody else (`AccessViolation`).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Change, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The next change, if there is one already.
    pub fn try_next(&mut self) -> Option<Change> {
        self.session.shared().lock().watches().try_next(self.id)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Change, Error>>> {
        self.session.shared().lock().watches().poll_next(self.id, cx)
    }
}

impl Stream for Watch {
    type Item = Result<Change, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.session.shared().unwatch(self.id);
    }
}
