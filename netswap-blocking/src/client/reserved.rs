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
    pub fn reserve(&self, access: Access) -> Result<Pointer, Error> {
        self.wait(self.session.reserve(access))
    }

    /// Reads a record whole, and waits for its data where it is reserved: up to `timeout`, or for as long as the connection
    /// lasts. Once the data come, the time limit is that of every request.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use netswap_blocking::{Access, Client};
    /// # let server = netswap_blocking::Server::bind("127.0.0.1:0")?;
    /// # let address = server.local_address();
    /// # std::thread::spawn(|| server.run());
    ///
    /// let client = Client::connect(address)?;
    /// let pointer = client.reserve(Access::READ)?;
    /// println!("tell the others, who can wait for it from now on: {pointer}");
    ///
    /// let other = client.clone();
    /// let waiting = std::thread::spawn(move || other.resolve_wait(pointer, None));
    /// client.replace(pointer, "the map, at last")?;
    /// assert_eq!(waiting.join().unwrap()?, "the map, at last");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the record has no data in time, `AddressFault` (also when it is deleted meanwhile),
    /// `AccessViolation`, `QuotaExceeded` (6), [`Error::ReplyTooLarge`], and what every call can meet: see [`Error`]. A wait
    /// does not outlive its connection; it can be repeated.
    pub fn resolve_wait(&self, pointer: Pointer, timeout: Option<Duration>) -> Result<Bytes, Error> {
        self.wait(self.session.resolve_wait(pointer, timeout))
    }
}
