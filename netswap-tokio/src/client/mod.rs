//! A NetSwap client on tokio.

mod backlog;
mod call;
mod change;
mod connection;
mod dial;
mod driver;
mod error;
mod events;
mod lifetimes;
mod mirror;
mod operations;
mod options;
mod ranges;
mod reserved;
mod shared;
mod streaming;
mod watch;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use change::Change;
pub use driver::Driver;
pub use error::{Disconnect, Error, ErrorKind};
pub use events::{ConnectionEvent, Events};
pub use mirror::Mirror;
pub use options::ConnectOptions;
pub use ranges::{Added, Appended, Range, Snapshot};
use shared::Shared;
pub use watch::Watch;

/// A client of a NetSwap server. Cheap to clone, and shared between tasks as it is.
///
/// ```
/// use netswap_tokio::core::types::Access;
/// use netswap_tokio::{Client, Error, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().listen("127.0.0.1:0").bind().await?;
/// # let address = server.local_address().to_string();
/// # tokio::spawn(server.run());
/// let client = Client::connect(address).await?;
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
/// # Ok(())
/// # }
/// ```
///
/// When the last clone is dropped, and the last [`Watch`], the connection is closed. The records that the client owns live on for their grace
/// (docs/PROTOCOL.md §6.3).
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
    idle_timeout: Option<Duration>,
}

/// What all clones of a client have in common; with the last of them the client is closed.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Client {
    /// Connects to the server at `address`, "host:port" or a host alone, with the default [`ConnectOptions`].
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] when there is no connection to be had, [`Error::Greeting`] when there is no server behind it
    /// that this client can talk to. A first connection is not tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(address: impl Into<String>) -> Result<Self, Error> {
        ConnectOptions::new(address).connect().await
    }

    /// A client over a stream that was made elsewhere: a tunnel, a pipe, a stream of another runtime. Nothing happens
    /// until the [`Driver`] runs, in whatever executor. Once the stream has ended the client is closed: of the options, those that
    /// concern connecting have no effect.
    ///
    /// Timeouts need a tokio runtime with its time enabled; without one requests wait as long as the stream lasts.
    pub fn connect_with<S: AsyncRead + AsyncWrite>(stream: S, options: ConnectOptions) -> (Self, Driver<S>) {
        let shared = Arc::new(Shared::new(options.machine));
        (Self::new(shared.clone()), Driver::new(stream, shared))
    }

    /// The same client, of which requests fail when none of their bytes move for this long, in the place of
    /// [`ConnectOptions::request_timeout`].
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { handle: self.handle.clone(), idle_timeout: Some(timeout) }
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared().listen()
    }

    /// Closes the client, for all clones of it: calls that are under way get their answers, new ones get
    /// [`Error::Closed`]. Returns when the connection is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) {
        self.shared().close();
        self.shared().closed().await;
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self { handle: Arc::new(Handle(shared)), idle_timeout: None }
    }

    fn shared(&self) -> &Shared {
        &self.handle.0
    }

    fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }
}
