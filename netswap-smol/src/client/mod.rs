//! A NetSwap client on async-io.

mod lifetimes;
mod operations;
mod ranges;
mod reserved;
mod streaming;
mod watching;

use std::pin::Pin;
use std::time::Duration;

use async_net::TcpStream;
use futures_io::{AsyncRead, AsyncWrite};
use netswap_adapter::client as adapter;
use netswap_adapter::client::Session;
pub use netswap_adapter::client::{
    Added, Appended, Change, ConnectOptions, ConnectionEvent, Disconnect, Error, ErrorKind, Events, Mirror,
    Range, Snapshot, Watch,
};

use crate::runtime::Smol;
use crate::stream::Stream;

/// A client of a NetSwap server. Cheap to clone, and shared between tasks as it is.
///
/// ```
/// use netswap_smol::core::types::Access;
/// use netswap_smol::{Client, Error, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { async_io::block_on(async {
/// # let server = Server::bind("127.0.0.1:0").await?;
/// # let address = server.local_address().to_string();
/// # smol::spawn(server.run()).detach();
/// let (client, driver) = Client::connect(address).await?;
/// smol::spawn(driver.run()).detach();
///
/// let pointer = client.create("hello", Access::READ).await?;
/// println!("tell the others: {pointer}");
///
/// assert_eq!(client.resolve(pointer).await?, "hello");
///
/// client.delete(pointer).await?;
/// match client.resolve(pointer).await {
///     Err(Error::Refused(refusal)) => println!("{refusal}"),
///     other => println!("{other:?}"),
/// }
/// client.close().await;
/// # Ok(()) }) }
/// ```
///
/// When the last clone is dropped, and the last [`Watch`], the connection is closed. The records that the client owns live on for their grace
/// (docs/PROTOCOL.md §6.3).
#[derive(Clone, Debug)]
pub struct Client {
    session: Session,
}

impl Client {
    /// Connects to a server: at an address, "host:port" or a host alone, or as [`ConnectOptions`] say. From then on nothing
    /// happens unless the [`Driver`] runs, in whatever executor.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] when there is no connection to be had, [`Error::Greeting`] when there is no server behind it
    /// that this client can talk to. A first connection is not tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(to: impl Into<ConnectOptions>) -> Result<(Self, Driver), Error> {
        let (session, driver) = adapter::connect::<Smol>(to.into()).await?;
        Ok((Self { session }, Driver(driver)))
    }

    /// A client over a stream that was made elsewhere: a tunnel, a pipe, a stream of another runtime. Nothing happens
    /// until the [`Driver`] runs, in whatever executor. Once the stream has ended the client is closed: of the options, those that
    /// concern connecting have no effect.
    pub fn connect_with<S: AsyncRead + AsyncWrite>(stream: S, options: ConnectOptions) -> (Self, Driver<S>) {
        let (session, driver) = adapter::connect_with::<Smol, _>(Stream::new(Box::pin(stream)), &options);
        (Self { session }, Driver(driver))
    }

    /// The same client, of which requests fail when none of their bytes move for this long, in the place of
    /// [`ConnectOptions::request_timeout`].
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { session: self.session.with_timeout(timeout) }
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.session.events()
    }

    /// Closes the client, for all clones of it: calls that are under way get their answers, new ones get
    /// [`Error::Closed`]. Returns when the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) {
        self.session.close().await;
    }
}

/// Moves the bytes of a [`Client`], and connects again where a connection that it made is lost. Over a stream that the
/// caller made it is a `Driver` of that: see [`Client::connect_with`].
#[derive(Debug)]
#[must_use = "nothing moves unless the driver runs"]
pub struct Driver<S = TcpStream>(adapter::Driver<Stream<Pin<Box<S>>>>);

impl<S: AsyncRead + AsyncWrite> Driver<S> {
    /// Runs until the client is closed, or the stream ends and is not made again.
    ///
    /// # Errors
    ///
    /// Why the stream ended, where the client was not closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream; calls that are under way fail, and later ones too.
    pub async fn run(self) -> Result<(), Disconnect> {
        self.0.run().await
    }
}
