//! A NetSwap client on threads.

mod events;
mod lifetimes;
mod mirror;
mod operations;
mod ranges;
mod reserved;
mod stopper;
mod streaming;
mod watch;
mod watching;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use netswap_adapter::client as adapter;
use netswap_adapter::client::Session;
pub use netswap_adapter::client::{
    Added, Appended, Change, ConnectOptions, ConnectionEvent, Disconnect, Error, ErrorKind, Range, Snapshot,
};
use netswap_core::client::Outcome;
use rustix::fd::AsFd;

use crate::runtime::Blocking;
use crate::stream::Stream;
use crate::threads::spawn;
use crate::wait::wait;

pub use events::Events;
pub use mirror::Mirror;
pub use stopper::Stopper;
pub use watch::Watch;

/// A client of a NetSwap server. Cheap to clone, and shared between threads as it is.
///
/// ```
/// use netswap_blocking::core::types::Access;
/// use netswap_blocking::{Client, Error, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::bind("127.0.0.1:0")?;
/// # let address = server.local_address().to_string();
/// # std::thread::spawn(|| server.run());
/// let client = Client::connect(address)?;
///
/// let pointer = client.create("hello", Access::READ)?;
/// println!("tell the others: {pointer}");
///
/// assert_eq!(client.resolve(pointer)?, "hello");
///
/// client.delete(pointer)?;
/// match client.resolve(pointer) {
///     Err(Error::Refused(refusal)) => println!("{refusal}"),
///     other => println!("{other:?}"),
/// }
/// client.close();
/// # Ok(())
/// # }
/// ```
///
/// A client has one thread, which moves its bytes; the calls wait for that in the threads that make them.
///
/// When the last clone is dropped, and the last [`Watch`], the connection is closed. The records that the client owns live on for their grace
/// (docs/PROTOCOL.md §6.3).
#[derive(Clone, Debug)]
pub struct Client {
    session: Session,
    stopper: Option<Stopper>,
}

impl Client {
    /// Connects to a server: at an address, "host:port" or a host alone, or as [`ConnectOptions`] say.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] when there is no connection to be had, [`Error::Greeting`] when there is no server behind it
    /// that this client can talk to, [`Error::ConnectionLost`] when there is no thread for it. A first connection is not
    /// tried again.
    pub fn connect(to: impl Into<ConnectOptions>) -> Result<Self, Error> {
        let (session, driver) = wait(adapter::connect::<Blocking>(to.into()))?;
        spawn("netswap-client", driver.run()).map_err(no_thread)?;
        Ok(Self { session, stopper: None })
    }

    /// A client over a stream that was made elsewhere: a connected socket, of TCP or another sort. It must keep no bytes
    /// that it has read, so that there is something to read when the system says so; what it keeps of those written is
    /// flushed. Nothing happens until the [`Driver`] runs, in whatever thread. Once the stream has ended the client is
    /// closed: of the options, those that concern connecting have no effect.
    ///
    /// # Errors
    ///
    /// What the system says when the stream is none that can be waited for.
    pub fn connect_with<S>(stream: S, options: ConnectOptions) -> io::Result<(Self, Driver<S>)>
    where
        S: Read + Write + AsFd,
    {
        let (session, driver) = adapter::connect_with::<Blocking, _>(Stream::new(stream)?, &options);
        Ok((Self { session, stopper: None }, Driver(driver)))
    }

    /// The same client, of which requests fail when none of their bytes move for this long, in the place of
    /// [`ConnectOptions::request_timeout`].
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { session: self.session.with_timeout(timeout), stopper: self.stopper.clone() }
    }

    /// The same client, of which another thread can end all calls, now and in future, with the [`Stopper`]: they fail with
    /// [`Error::Cancelled`]. A request that is ended so is called back where it still can be, and the server is told where
    /// it must be. Other calls are not disturbed.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use netswap_blocking::{Access, Client, Error};
    /// # let server = netswap_blocking::Server::bind("127.0.0.1:0")?;
    /// # let address = server.local_address().to_string();
    /// # std::thread::spawn(|| server.run());
    ///
    /// let client = Client::connect(address)?;
    /// let pointer = client.reserve(Access::READ)?;
    ///
    /// let (download, stopper) = client.stoppable();
    /// let waiting = std::thread::spawn(move || download.resolve_wait(pointer, None));
    /// stopper.stop();
    /// assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stoppable(&self) -> (Self, Stopper) {
        let stopper = Stopper::default();
        (Self { session: self.session.clone(), stopper: Some(stopper.clone()) }, stopper)
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.session.events())
    }

    /// Closes the client, for all clones of it: calls that are under way get their answers, but for
    /// [`resolve_wait`](Self::resolve_wait), and new ones get [`Error::Closed`]. So do watches, mirrors and those who wait
    /// for a connection: no thread is left waiting, whichever closes the client. Returns when the connection is closed.
    pub fn close(&self) {
        wait(self.session.close());
    }

    /// Waits for a call.
    fn wait<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.stopper {
            None => wait(call),
            Some(stopper) => wait(stopper.unless_stopped(call)).unwrap_or(Err(Error::Cancelled)),
        }
    }
}

fn no_thread(error: io::Error) -> Error {
    let error = io::Error::new(error.kind(), format!("there is no thread for it: {error}"));
    Error::ConnectionLost { cause: Disconnect::Io(Arc::new(error)), outcome: Outcome::NotDone }
}

/// Moves the bytes of a [`Client`] over a stream that the caller made: see [`Client::connect_with`].
#[derive(Debug)]
#[must_use = "nothing moves unless the driver runs"]
pub struct Driver<S: AsFd>(adapter::Driver<Stream<S>>);

impl<S: Read + Write + AsFd> Driver<S> {
    /// Runs until the client is closed or the stream ends. Blocking.
    ///
    /// # Errors
    ///
    /// Why the stream ended, where the client was not closed.
    pub fn run(self) -> Result<(), Disconnect> {
        wait(self.0.run())
    }
}
