//! A NetSwap server on tokio.

mod bell;
mod builder;
mod connection;
mod shared;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use netswap_core::config::Limits;
use netswap_core::connection::Connection;
use netswap_core::store::Admission;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use builder::{ServerBuilder, ServerError, default_total};
pub use shared::Traffic;
use shared::{Attendance, Shared};

use crate::socket;

/// How often records that have ended are removed, where nobody has asked for them before.
const SWEEP: Duration = Duration::from_millis(500);

/// How long the server waits before it accepts again, after the system had no descriptor or no memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that is bound to its address and serves as long as [`run`](Self::run) runs.
///
/// It runs on any tokio runtime. On one with a single thread, set `event_interval` to 4 or so: after as many turns of
/// connections at the latest the runtime asks the system what has arrived, and a connection's turn can take 256 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), netswap_tokio::ServerError> {
/// use netswap_tokio::Server;
///
/// let server = Server::builder().listen("127.0.0.1:0").bind().await?;
/// println!("listening on {}", server.local_address());
///
/// let handle = server.handle();
/// let serving = tokio::spawn(server.run());
/// // ... until somebody says
/// handle.shutdown();
/// serving.await.expect("the server does not panic");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_address: SocketAddr,
    handle: ServerHandle,
    shutdown_deadline: Duration,
}

/// A running server, to be looked at and stopped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
    stop: CancellationToken,
}

/// What happened so far on a server, and how things stand.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests, refusals, records and connections.
    pub store: netswap_core::store::Statistics,
    /// Bytes and panics.
    pub traffic: Traffic,
}

impl ServerHandle {
    /// Tells the server to stop in order: it accepts no more connections, answers complete requests, ends unfinished
    /// ones with ABORT, flushes and closes (docs/PROTOCOL.md §5.3).
    pub fn shutdown(&self) {
        self.shared.stop();
        self.stop.cancel();
    }

    /// The counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { store: self.shared.store().statistics(), traffic: self.shared.traffic() }
    }

    /// The limits that the server keeps.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.shared.config().limits.clone()
    }
}

impl Server {
    /// Sets up a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// The address that the server is bound to, with the port that it got.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// A handle to look at the server and to stop it.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until [`ServerHandle::shutdown`] is called, then ends all connections in order, within the shutdown deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and all connections at once.
    pub async fn run(self) {
        let Self { listener, handle: ServerHandle { shared, stop }, shutdown_deadline, .. } = self;
        let mut connections = JoinSet::new();
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => shared.connection_ended(ended),
                _ = sweep.tick() => shared.sweep(),
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => accept(stream, address, &shared, &stop, &mut connections),
                    Err(error) => pause_accepting(&error).await,
                },
            }
        }
        drop(listener);
        info!(connections = connections.len(), "stopping");
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                shared.connection_ended(ended);
            }
        };
        if tokio::time::timeout(shutdown_deadline, all_ended).await.is_err() {
            warn!(connections = connections.len(), "shutdown deadline reached, closing what is left");
            connections.shutdown().await;
        }
    }
}

fn accept(
    stream: TcpStream,
    address: SocketAddr,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
    connections: &mut JoinSet<()>,
) {
    if let Err(error) = socket::prepare(&stream) {
        debug!(%address, %error, "connection lost before it was served");
        return;
    }
    let now = shared.now();
    let (config, budget) = (shared.config().clone(), shared.budget().clone());
    let connection = match shared.connect(address.ip(), now) {
        Admission::Served(peer) => {
            debug!(%address, owner = %peer.owner, "connected");
            Connection::new(peer, config, budget)
        }
        Admission::TurnedAway(peer, refusal) => {
            debug!(%address, %refusal, "connection turned away");
            Connection::turned_away(peer, refusal, config, budget, now)
        }
        Admission::Dropped => return,
    };
    let attendance = Attendance::new(shared.clone(), connection.peer());
    connections.spawn(connection::serve(stream, connection, attendance, stop.clone()));
}

/// Out of descriptors or memory, accepting again at once would fail again at once.
async fn pause_accepting(error: &io::Error) {
    let of_one_connection = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    );
    if !of_one_connection {
        error!(%error, "cannot accept connections");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}
