//! Keeps a client's connection: moves its bytes, and makes it again where it is lost.

use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use netswap_core::client::Outcome;
use netswap_core::wire::PROTOCOL_VERSION;
use tracing::debug;

use super::connection::{Connection, Ended};
use super::delays::Delays;
use super::dial::dial;
use super::shared::Shared;
use super::{ConnectOptions, ConnectionEvent, Disconnect, Error, Session};
use crate::runtime::within;
use crate::{Runtime, Sleep, Transport};

/// Moves the bytes of a client, from connection to connection where it may connect again.
#[derive(Debug)]
#[must_use = "nothing moves unless the driver runs"]
pub struct Driver<T> {
    connection: Connection<T>,
    place: Place,
    again: Option<Again<T>>,
}

/// The driver's place at the client: however it is left, nobody waits for it in vain.
#[derive(Debug)]
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// How a lost connection is made again.
struct Again<T> {
    options: ConnectOptions,
    dial: fn(ConnectOptions) -> Dialing<T>,
    sleep: fn(std::time::Duration) -> Option<Sleep>,
}

type Dialing<T> = Pin<Box<dyn Future<Output = Result<(T, SocketAddr), Error>> + Send>>;

impl<T> fmt::Debug for Again<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(f)
    }
}

/// Connects and greets the server. From then on the driver keeps the connection, in whatever task or thread.
///
/// # Errors
///
/// [`Error::Connect`] when there is no connection to be had, [`Error::Greeting`] when there is no server behind it
/// that this client can talk to.
pub async fn connect<R: Runtime>(options: ConnectOptions) -> Result<(Session, Driver<R::Stream>), Error> {
    let (stream, address) = dial::<R>(&options).await?;
    let (session, mut driver) = connect_with::<R, _>(stream, &options);
    let greeted = {
        let (mut greeting, mut moving) = (pin!(greet(&session)), pin!(driver.connection.run()));
        let greeted = poll_fn(|cx| match greeting.as_mut().poll(cx) {
            Poll::Ready(greeted) => Poll::Ready(greeted),
            Poll::Pending => moving.as_mut().poll(cx).map(|ended| Err(ended.into_error())),
        });
        within(R::sleep(options.connect_timeout), greeted).await
    };
    match greeted {
        Some(Ok(())) => {
            let dial = |options| Box::pin(async move { dial::<R>(&options).await }) as Dialing<_>;
            driver.again = options.reconnect.then_some(Again { options, dial, sleep: R::sleep });
            Ok((session, driver))
        }
        Some(Err(source)) => Err(Error::Greeting { address: address.to_string(), source: Box::new(source) }),
        None => Err(Error::no_answer(&address.to_string(), options.connect_timeout)),
    }
}

/// A client over a stream that was made elsewhere. Once it has ended the client is closed: of the options, those that
/// concern connecting have no effect.
pub fn connect_with<R: Runtime, T: Transport>(stream: T, options: &ConnectOptions) -> (Session, Driver<T>) {
    let shared = Arc::new(Shared::new(options.machine.clone(), R::sleep));
    let connection = Connection::new(stream, shared.clone());
    (Session::new(shared.clone()), Driver { connection, place: Place(shared), again: None })
}

/// Finds out whether there is a server of this protocol and version.
async fn greet(session: &Session) -> Result<(), Error> {
    match session.identify().await?.protocol_version {
        PROTOCOL_VERSION => Ok(()),
        version => Err(Error::UnsupportedVersion { version }),
    }
}

impl<T: Transport> Driver<T> {
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
        let Self { mut connection, place, again } = self;
        let shared = &place.0;
        let mut delays = again.as_ref().map(|again| Delays::new(&again.options));
        loop {
            let Ended::Lost(cause) = connection.run().await else { return Ok(()) };
            if !shared.link_down(cause.clone(), again.is_some()) {
                return Err(cause);
            }
            let (Some(again), Some(delays)) = (&again, &mut delays) else { return Err(cause) };
            if connection.has_answered() {
                *delays = Delays::new(&again.options);
            }
            drop(connection);
            let Some((stream, address)) = again.connect(shared, delays).await else { return Ok(()) };
            debug!(%address, "connected again");
            connection = Connection::new(stream, shared.clone());
            shared.link_up(address);
        }
    }
}

impl<T> Again<T> {
    /// Connects again, however many attempts it takes; `None` when the client is closed meanwhile.
    async fn connect(&self, shared: &Shared, delays: &mut Delays) -> Option<(T, SocketAddr)> {
        let (mut closing, mut connecting) = (pin!(shared.closing()), pin!(self.attempts(shared, delays)));
        poll_fn(|cx| match closing.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => connecting.as_mut().poll(cx).map(Some),
        })
        .await
    }

    async fn attempts(&self, shared: &Shared, delays: &mut Delays) -> (T, SocketAddr) {
        loop {
            let (attempt, delay) = delays.next();
            shared.tell(&ConnectionEvent::Reconnecting { attempt, delay });
            if let Some(pause) = (self.sleep)(delay) {
                pause.await;
            }
            match (self.dial)(self.options.clone()).await {
                Ok(connected) => return connected,
                Err(error) => debug!(attempt, %error, "not connected yet"),
            }
        }
    }
}

impl Ended {
    fn into_error(self) -> Error {
        match self {
            Self::Closed => Error::Closed,
            Self::Lost(cause) => Error::ConnectionLost { cause, outcome: Outcome::NotDone },
        }
    }
}
