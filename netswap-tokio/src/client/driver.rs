//! Keeps a client's connection: moves its bytes, and makes it again where it is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use netswap_core::wire::PROTOCOL_VERSION;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing::debug;

use super::connection::{Connection, Ended};
use super::dial::dial;
use super::events::ConnectionEvent;
use super::shared::Shared;
use super::{Client, ConnectOptions, Disconnect, Error};

/// Moves the bytes of a [`Client`] over a stream that the caller made: see [`Client::connect_with`].
#[derive(Debug)]
#[must_use = "nothing moves unless the driver runs"]
pub struct Driver<S> {
    connection: Connection<S>,
    place: Place,
}

/// The driver's place at the client: however it is left, nobody waits for it in vain.
#[derive(Debug)]
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl<S: AsyncRead + AsyncWrite> Driver<S> {
    pub(super) fn new(stream: S, shared: Arc<Shared>) -> Self {
        Self { connection: Connection::new(stream, shared.clone()), place: Place(shared) }
    }

    /// Runs until the client is closed or the stream ends.
    ///
    /// # Errors
    ///
    /// Why the stream ended, where the client was not closed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream; calls that are under way fail.
    pub async fn run(mut self) -> Result<(), Disconnect> {
        match self.connection.run().await {
            Ended::Closed => Ok(()),
            Ended::Lost(cause) => {
                self.place.0.link_down(cause.clone(), false);
                Err(cause)
            }
        }
    }
}

/// Connects and greets the server, and has a task keep the connection.
pub(super) async fn connect(options: ConnectOptions) -> Result<Client, Error> {
    let (stream, address) = dial(&options).await?;
    let shared = Arc::new(Shared::new(options.machine.clone()));
    let client = Client::new(shared.clone());
    let mut connection = Connection::new(stream, shared.clone());
    let place = Place(shared);
    let greeted = tokio::select! {
        biased;
        greeted = greet(&client) => greeted,
        ended = connection.run() => Err(ended.into_error()),
        () = tokio::time::sleep(options.connect_timeout) => {
            return Err(Error::no_answer(&address.to_string(), options.connect_timeout));
        }
    };
    match greeted {
        Ok(()) => {
            tokio::spawn(keep(connection, place, options));
            Ok(client)
        }
        Err(source) => Err(Error::Greeting { address: address.to_string(), source: Box::new(source) }),
    }
}

/// Finds out whether there is a server of this protocol and version.
async fn greet(client: &Client) -> Result<(), Error> {
    match client.identify().await?.protocol_version {
        PROTOCOL_VERSION => Ok(()),
        version => Err(Error::UnsupportedVersion { version }),
    }
}

/// Keeps a client connected until it is closed.
async fn keep(mut connection: Connection<TcpStream>, place: Place, options: ConnectOptions) {
    let shared = &place.0;
    let mut delays = Delays::new(&options);
    while let Ended::Lost(cause) = connection.run().await {
        debug!(%cause, "disconnected");
        if !shared.link_down(cause, options.reconnect) {
            return;
        }
        if connection.has_answered() {
            delays = Delays::new(&options);
        }
        drop(connection);
        let (stream, address) = tokio::select! {
            () = shared.closing() => return,
            connected = reconnect(shared, &options, &mut delays) => connected,
        };
        debug!(%address, "connected again");
        connection = Connection::new(stream, shared.clone());
        shared.link_up(address);
    }
}

async fn reconnect(
    shared: &Shared,
    options: &ConnectOptions,
    delays: &mut Delays,
) -> (TcpStream, SocketAddr) {
    loop {
        let (attempt, delay) = delays.next();
        shared.tell(&ConnectionEvent::Reconnecting { attempt, delay });
        tokio::time::sleep(delay).await;
        match dial(options).await {
            Ok(connected) => return connected,
            Err(error) => debug!(attempt, %error, "not connected yet"),
        }
    }
}

/// The pauses between attempts to connect.
struct Delays {
    attempt: u32,
    delays: <ExponentialBuilder as BackoffBuilder>::Backoff,
    last: Duration,
}

impl Delays {
    fn new(options: &ConnectOptions) -> Self {
        let (first, most) = options.reconnect_delays;
        let delays = ExponentialBuilder::new().with_jitter().without_max_times();
        Self { attempt: 0, delays: delays.with_min_delay(first).with_max_delay(most).build(), last: most }
    }

    fn next(&mut self) -> (u32, Duration) {
        self.attempt += 1;
        (self.attempt, self.delays.next().unwrap_or(self.last))
    }
}

impl Ended {
    fn into_error(self) -> Error {
        match self {
            Self::Closed => Error::Closed,
            Self::Lost(cause) => {
                Error::ConnectionLost { cause, outcome: netswap_core::client::Outcome::NotDone }
            }
        }
    }
}
