//! Watching a record.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use netswap_core::types::{Pointer, Version};

use super::shared::wake;
use super::watches::WatchId;
use super::{Change, Client, Error};

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
    client: Client,
    id: WatchId,
    pointer: Pointer,
    version: Version,
}

/// # Watching
///
/// Watches tell of changes when they happen (WATCH_RECORD, docs/PROTOCOL.md §3.21, §4.3): [`watch`](Self::watch) that
/// there are new data, [`watch_data`](Self::watch_data) which, and [`mirror`](Self::mirror) keeps a copy of them.
impl Client {
    /// Watches a record, without its data: of new data the version is told. Returns when every later change will be
    /// told.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use netswap_tokio::{Access, Change, Client, Ending};
    /// # let server = netswap_tokio::Server::builder().listen("127.0.0.1:0").bind().await?;
    /// # let address = server.local_address().to_string();
    /// # tokio::spawn(server.run());
    ///
    /// let client = Client::connect(address).await?;
    /// let pointer = client.create("hello", Access::READ).await?;
    /// let mut watch = client.watch(pointer).await?;
    ///
    /// client.replace(pointer, "good bye").await?;
    /// client.delete(pointer).await?;
    /// while let Some(change) = watch.next().await {
    ///     match change? {
    ///         Change::Changed { version, .. } => println!("it has version {version} now"),
    ///         Change::Ended(Ending::Deleted) => println!("it was deleted"),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `AddressFault`, `AccessViolation`, `QuotaExceeded` (6), and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is watched then.
    pub async fn watch(&self, pointer: Pointer) -> Result<Watch, Error> {
        Watch::begin(self, pointer, false).await
    }

    /// Watches a record with its data: the first change has the whole record, or comes when the record has data, and
    /// after that each has what is new.
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch). The stream ends with [`Error::ReplyTooLarge`] when the record is, or becomes, longer than
    /// this client takes whole.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is watched then.
    pub async fn watch_data(&self, pointer: Pointer) -> Result<Watch, Error> {
        Watch::begin(self, pointer, true).await
    }
}

impl Watch {
    async fn begin(client: &Client, pointer: Pointer, push: bool) -> Result<Self, Error> {
        let shared = client.shared();
        let id = {
            let mut state = shared.connected(client.idle_timeout()).await?;
            let id = state.begin_watch((pointer, push), client.idle_timeout(), shared.now())?;
            wake(state);
            id
        };
        let mut watch = Self { client: client.clone(), id, pointer, version: Version::RESERVED };
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
        self.client.shared().lock().watches().try_next(self.id)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Change, Error>>> {
        self.client.shared().lock().watches().poll_next(self.id, cx)
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
        self.client.shared().unwatch(self.id);
    }
}
