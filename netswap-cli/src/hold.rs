//! `--hold`: keeps a record alive until somebody ends the program.

use std::io;
use std::time::{Duration, Instant};

use netswap_tokio::core::types::Pointer;
use netswap_tokio::core::wire::Identity;
use netswap_tokio::{ConnectionEvent, Disconnect, Error};
use tracing::{info, warn};

use crate::failure::{Exit, Failure};
use crate::session::{Session, connect, not_connected};

/// How long to wait between attempts to reach the server again while a record is held.
const RETRY: Duration = Duration::from_millis(500);

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
            let cause = lost(&session).await;
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
            match session.client.stat(pointer).await.map_err(|error| session.failure(pointer, error)) {
                Ok(stat) if stat.owner == identity.owner => {}
                Ok(stat) => {
                    return Err(Failure::failed(format_args!("{pointer} belongs to {} now", stat.owner)));
                }
                Err(failure) if failure.exit == Exit::NoConnection => {
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            }
            warn!(server = %session.server, "connected again, the record is still there");
        }
    }
}

/// Waits until the connection is lost.
async fn lost(session: &Session) -> Disconnect {
    let mut events = session.client.events();
    while let Some(event) = events.next().await {
        if let ConnectionEvent::Disconnected { cause } = event {
            return cause;
        }
    }
    Disconnect::ServerClosed
}

/// Where nothing listens any more the server has ended, and all its records with it.
fn server_is_gone(error: &Error) -> bool {
    matches!(error, Error::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused)
}
