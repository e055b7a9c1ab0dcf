//! Records that get their data later, and reads that wait for them.

use std::time::Duration;

use bytes::Bytes;

use super::{Client, Error};
use crate::{Access, Pointer};

/// # Reserved records
///
/// A pointer can be sent on before the data behind it are uploaded (docs/PROTOCOL.md §3.22). Whoever resolves it
/// meanwhile waits for them: [`resolve`](Self::resolve), [`resolve_into`](Self::resolve_into),
/// [`read_range`](Self::read_range) and [`resolve_if_changed`](Self::resolve_if_changed) as long as every request may take
/// without anything moving, 10 s by default, and [`resolve_wait`](Self::resolve_wait) as long as it is told.
impl Client {
    /// Makes a record that has no data yet, and gets its pointer (RESERVE_RECORD, docs/PROTOCOL.md §3.22). The first
    /// write to it, such as [`replace`](Self::replace), makes it like any other.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded`, and what every call can meet: see [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, it may leave a record whose pointer nobody knows; that ends with its owner's grace.
    pub async fn reserve(&self, access: Access) -> Result<Pointer, Error> {
        self.session.reserve(access).await
    }

    /// Reads a record whole, and waits for its data where it is reserved: up to `timeout`, or for as long as the connection
    /// lasts. Once the data come, the time limit is that of every request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> { async_io::block_on(async {
    /// use netswap_smol::{Access, Client};
    /// # let server = netswap_smol::Server::bind("127.0.0.1:0").await?;
    /// # let address = server.local_address().to_string();
    /// # smol::spawn(server.run()).detach();
    ///
    /// let (client, driver) = Client::connect(address).await?;
    /// smol::spawn(driver.run()).detach();
    /// let pointer = client.reserve(Access::READ).await?;
    /// println!("tell the others, who can wait for it from now on: {pointer}");
    ///
    /// let other = client.clone();
    /// let waiting = smol::spawn(async move { other.resolve_wait(pointer, None).await });
    /// client.replace(pointer, "the map, at last").await?;
    /// assert_eq!(waiting.await?, "the map, at last");
    /// # Ok(()) }) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the record has no data in time, `AddressFault` (also when it is deleted meanwhile),
    /// `AccessViolation`, `QuotaExceeded` (6), [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`]. A wait
    /// does not outlive its connection; it can be repeated.
    ///
    /// # Cancel safety
    ///
    /// Safe: it changes nothing, and the server is told to wait no more.
    pub async fn resolve_wait(&self, pointer: Pointer, timeout: Option<Duration>) -> Result<Bytes, Error> {
        self.session.resolve_wait(pointer, timeout).await
    }
}
