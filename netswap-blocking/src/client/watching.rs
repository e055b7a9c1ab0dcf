//! Watching records.

use super::{Client, Error, Mirror, Watch};
use crate::Pointer;

/// # Watching
///
/// Watches tell of changes when they happen (WATCH_RECORD, docs/PROTOCOL.md §3.21, §4.3): [`watch`](Self::watch) that
/// there are new data, [`watch_data`](Self::watch_data) which, and [`mirror`](Self::mirror) keeps a copy of them.
impl Client {
    /// Watches a record, without its data: of new data the version is told. Returns when every later change will be
    /// told.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use netswap_blocking::{Access, Change, Client, Ending};
    /// # let server = netswap_blocking::Server::bind("127.0.0.1:0")?;
    /// # let address = server.local_address().to_string();
    /// # std::thread::spawn(|| server.run());
    ///
    /// let client = Client::connect(address)?;
    /// let pointer = client.create("hello", Access::READ)?;
    /// let watch = client.watch(pointer)?;
    ///
    /// client.replace(pointer, "good bye")?;
    /// client.delete(pointer)?;
    /// for change in watch {
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
    pub fn watch(&self, pointer: Pointer) -> Result<Watch, Error> {
        Ok(Watch::new(self.wait(self.session.watch(pointer))?))
    }

    /// Watches a record with its data: the first change has the whole record, or comes when the record has data, and
    /// after that each has what is new.
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch). The stream ends with [`Error::ReplyTooLarge`] when the record is, or becomes, longer than
    /// this client takes whole.
    pub fn watch_data(&self, pointer: Pointer) -> Result<Watch, Error> {
        Ok(Watch::new(self.wait(self.session.watch_data(pointer))?))
    }

    /// Keeps a copy of a record. Returns when it has the record's data; of a reserved record at once, without any.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use netswap_blocking::{Access, Client};
    /// # let server = netswap_blocking::Server::bind("127.0.0.1:0")?;
    /// # let address = server.local_address().to_string();
    /// # std::thread::spawn(|| server.run());
    ///
    /// let client = Client::connect(address)?;
    /// let pointer = client.create("the state of the game", Access::READ)?;
    ///
    /// let mut mirror = client.mirror(pointer)?;
    /// assert_eq!(mirror.data(), "the state of the game");
    ///
    /// client.write_range(pointer, 17, "world")?;
    /// mirror.changed()?;
    /// assert_eq!(mirror.data(), "the state of the world");
    /// assert_eq!(mirror.version().0, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`watch`](Self::watch), [`Error::Ended`] when the record ends at that moment, and [`Error::ReplyTooLarge`] when it
    /// is longer than this client takes whole.
    pub fn mirror(&self, pointer: Pointer) -> Result<Mirror, Error> {
        Ok(Mirror::new(self.wait(self.session.mirror(pointer))?))
    }
}
