//! A connection to a server, and what its errors mean for the program.

use std::fmt;

use netswap_tokio::core::error::{ProtocolError, Refusal};
use netswap_tokio::core::wire::Identity;
use netswap_tokio::{Client, ConnectOptions, Disconnect, Error, ErrorKind};
use tracing::debug;

use crate::args::Connection;
use crate::failure::{Exit, Failure};
use crate::target::Address;

/// A connection to a server.
pub(crate) struct Session {
    /// The server, as it was named.
    pub(crate) server: Address,
    /// The connection.
    pub(crate) client: Client,
    /// How it was reached.
    pub(crate) options: Connection,
}

impl Session {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// There is no connection, or the server refuses it.
    pub(crate) async fn open(options: &Connection, server: &Address) -> Result<Self, Failure> {
        Self::over(options, server, connect(options, server).await)
    }

    /// Connects to a server; a lost connection is made again.
    ///
    /// # Errors
    ///
    /// There is no connection, or the server refuses it.
    pub(crate) async fn open_lasting(options: &Connection, server: &Address) -> Result<Self, Failure> {
        Self::over(options, server, Client::connect(how(options, server).reconnect(true)).await)
    }

    fn over(options: &Connection, server: &Address, client: Result<Client, Error>) -> Result<Self, Failure> {
        let client = client.map_err(|error| not_connected(options, error))?;
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

/// Connects to a server, once.
///
/// # Errors
///
/// There is no connection, or the server refuses it.
pub(crate) async fn connect(options: &Connection, server: &Address) -> Result<Client, Error> {
    Client::connect(how(options, server)).await
}

fn how(options: &Connection, server: &Address) -> ConnectOptions {
    let connect = ConnectOptions::new(server.to_string())
        .connect_timeout(options.timeout)
        .request_timeout(options.timeout)
        .reconnect(false);
    match options.bind {
        Some(address) => connect.bind(address),
        None => connect,
    }
}

/// What it means that there is no connection.
pub(crate) fn not_connected(options: &Connection, error: Error) -> Failure {
    match options.bind {
        Some(address) if matches!(error, Error::Connect { .. }) => {
            Failure::new(Exit::NoConnection, format_args!("{error}, when connecting from {address}"))
        }
        _ => failure(error),
    }
}

/// What an error of the client means for the program.
pub(crate) fn failure(error: Error) -> Failure {
    if let Some(refusal) = refusal(&error) {
        return Failure::failed(format_args!("{}: {error}", refusal.name()));
    }
    if let Error::Greeting { source, .. } = &error
        && source.kind() == ErrorKind::Protocol
    {
        return Failure::new(
            Exit::NoConnection,
            format_args!("{error}; is it a NetSwap server of this version?"),
        );
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
