//! A connection to a server, and what its errors mean for the program.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use netswap_tokio::core::error::{ProtocolError, Refusal};
use netswap_tokio::core::types::Pointer;
use netswap_tokio::core::wire::Identity;
use netswap_tokio::{Client, ConnectOptions, ConnectionEvent, Disconnect, Error, ErrorKind};
use tracing::{debug, info, warn};

use crate::args::Connection;
use crate::failure::{Exit, Failure};
use crate::target::Address;

/// How long to wait between attempts to reach the server again while a record is held.
const RETRY: Duration = Duration::from_millis(500);

/// A connection to a server.
pub(crate) struct Session {
    /// The server, as it was named.
    pub(crate) server: Address,
    /// The connection.
    pub(crate) client: Client,
    options: Connection,
}

impl Session {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// There is no connection, or the server refuses it.
    pub(crate) async fn open(options: &Connection, server: &Address) -> Result<Self, Failure> {
        let client = connect(options, server).await.map_err(|error| not_connected(options, error))?;
        debug!(%server, "connected");
        Ok(Self { server: server.clone(), client, options: options.clone() })
    }

    /// Puts the server's name before what failed there.
    pub(crate) fn failure(&self, doing: impl fmt::Display, error: Error) -> Failure {
        let named = matches!(error, Error::Connect { .. } | Error::Greeting { .. });
        let refused = matches!(error, Error::Refused(_));
        let failure = failure(error);
        match failure.exit {
            Exit::NoConnection if !named => {
                failure.context(format_args!("{doing}: no answer from {}", self.server))
            }
            _ if refused => failure.context(doing),
            _ => failure,
        }
    }

    /// Asks who this client is, and what the server allows.
    ///
    /// # Errors
    ///
    /// The server does not answer.
    pub(crate) async fn identify(&self) -> Result<Identity, Failure> {
        let identity = self.client.identify().await;
        identity.map_err(|error| self.failure("cannot ask who I am", error))
    }
}

/// A record that is to be held, and the session that holds it.
pub(crate) struct Held {
    /// The connection that keeps the record alive.
    pub(crate) session: Session,
    /// The record.
    pub(crate) pointer: Pointer,
    /// Its owner, which is this client, and the server's grace.
    pub(crate) identity: Identity,
}

impl Held {
    /// Stays connected. Connects again when the connection is lost, as long as the record may still be there.
    ///
    /// # Errors
    ///
    /// The record is gone, or may be, or is another's: it never ends otherwise.
    pub(crate) async fn hold(self) -> Result<(), Failure> {
        let Self { mut session, pointer, identity } = self;
        loop {
            let cause = session.lost().await;
            warn!(server = %session.server, "{cause}; connecting again");
            let given_up = Instant::now() + identity.grace;
            session.client = loop {
                match connect(&session.options, &session.server).await {
                    Ok(client) => break client,
                    Err(error) if server_is_gone(&error) || Instant::now() >= given_up => {
                        let failure = not_connected(&session.options, error);
                        return Err(failure.context(format_args!("{pointer} is lost: {cause}")));
                    }
                    Err(error) => info!("{error}"),
                }
                tokio::time::sleep(RETRY).await;
            };
            let stat = session.client.stat(pointer).await.map_err(|error| session.failure(pointer, error))?;
            if stat.owner != identity.owner {
                return Err(Failure::failed(format_args!("{pointer} belongs to {} now", stat.owner)));
            }
            warn!(server = %session.server, "connected again, the record is still there");
        }
    }
}

impl Session {
    /// Waits until the connection is lost.
    async fn lost(&self) -> Disconnect {
        let mut events = self.client.events();
        while let Some(event) = events.next().await {
            if let ConnectionEvent::Disconnected { cause } = event {
                return cause;
            }
        }
        Disconnect::ServerClosed
    }
}

async fn connect(options: &Connection, server: &Address) -> Result<Client, Error> {
    let mut connect = ConnectOptions::new(server.to_string())
        .connect_timeout(options.timeout)
        .request_timeout(options.timeout)
        .reconnect(false);
    if let Some(address) = options.bind {
        connect = connect.bind(address);
    }
    connect.connect().await
}

fn not_connected(options: &Connection, error: Error) -> Failure {
    match options.bind {
        Some(address) if matches!(error, Error::Connect { .. }) => {
            Failure::new(Exit::NoConnection, format_args!("{error}, when connecting from {address}"))
        }
        _ => failure(error),
    }
}

/// Where nothing listens any more the server has ended, and all its records with it.
fn server_is_gone(error: &Error) -> bool {
    matches!(error, Error::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
}

/// What an error of the client means for the program.
pub(crate) fn failure(error: Error) -> Failure {
    if let Some(refusal) = refusal(&error) {
        return Failure::failed(format_args!("{}: {error}", refusal.name()));
    }
    match error.kind() {
        ErrorKind::TimedOut
        | ErrorKind::ConnectionLost
        | ErrorKind::Connect
        | ErrorKind::Protocol
        | ErrorKind::Closed => Failure::new(Exit::NoConnection, error),
        _ => match error {
            Error::Read(error) => Failure::failed(error),
            error => Failure::failed(error),
        },
    }
}

/// The server's refusal of a request, or of the connection itself.
fn refusal(error: &Error) -> Option<&Refusal> {
    match error {
        Error::Refused(refusal) => Some(refusal),
        Error::ConnectionLost {
            cause: Disconnect::Protocol(ProtocolError::ConnectionRefused(refusal)),
            ..
        } => Some(refusal),
        Error::Greeting { source, .. } => refusal(source),
        _ => None,
    }
}
