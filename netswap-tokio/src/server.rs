//! A NetSwap server on tokio.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netswap_adapter::server::{AcceptErrors, Shared};
pub use netswap_adapter::server::{
    ServerError, ServerHandle, ServerOptions, Statistics, Traffic, default_total,
};
use netswap_adapter::socket;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time;
use tracing::{info, warn};

use crate::runtime::Tokio;
use crate::stream::Stream;

/// A server that is bound to its address and serves as long as [`run`](Self::run) runs.
///
/// It runs on any tokio runtime, with no particular settings. A connection that has much to move gives way to all others
/// after some 256 KiB.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), netswap_tokio::ServerError> {
/// use netswap_tokio::Server;
///
/// let server = Server::bind("127.0.0.1:0").await?;
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
    shared: Arc<Shared>,
}

impl Server {
    /// Binds an address, "host:port" or what [`ServerOptions`] say. The server accepts connections from now on and
    /// answers them when it [runs](Self::run).
    ///
    /// # Errors
    ///
    /// See [`ServerError`].
    pub async fn bind(options: impl Into<ServerOptions>) -> Result<Self, ServerError> {
        let bound = options.into().bind::<Tokio>().await?;
        let address = bound.local_address;
        let listener =
            TcpListener::from_std(bound.listener).map_err(|error| ServerError::Bind { address, error })?;
        Ok(Self { listener, local_address: address, shared: bound.shared })
    }

    /// The address that the server is bound to, with the port that it got.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// A handle to look at the server and to stop it.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle::new(self.shared.clone())
    }

    /// Serves until [`ServerHandle::shutdown`] is called, then ends all connections in order, within the shutdown deadline.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and all connections at once.
    pub async fn run(self) {
        let Self { listener, shared, .. } = self;
        let mut connections = JoinSet::new();
        let mut sweep = pin!(pause(Duration::ZERO));
        let mut errors = AcceptErrors::default();
        loop {
            tokio::select! {
                biased;
                () = shared.stopped() => break,
                Some(ended) = connections.join_next() => connection_ended(&shared, ended),
                () = &mut sweep => {
                    let next = pause(shared.sweep());
                    if shared.take_excess() {
                        give_back(&shared);
                    }
                    sweep.set(next);
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, address)) => {
                        if let Some(connection) = shared.accept(prepared(stream), address) {
                            connections.spawn(connection);
                        }
                    }
                    Err(error) if socket::is_of_one_connection(&error) => {}
                    Err(error) => {
                        errors.log(&error);
                        time::sleep(Shared::ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(listener);
        info!(connections = connections.len(), "stopping");
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                connection_ended(&shared, ended);
            }
        };
        if time::timeout(shared.time_left(), all_ended).await.is_err() {
            warn!(connections = connections.len(), "shutdown deadline reached, closing what is left");
            connections.shutdown().await;
        }
    }
}

/// Has the threads of the runtime give memory back. A thread takes a while for it, so that others take the next of the tasks.
fn give_back(shared: &Arc<Shared>) {
    for _ in 0..Handle::current().metrics().num_workers() {
        let shared = shared.clone();
        tokio::spawn(async move { shared.give_back() });
    }
}

/// Waits. The runtime's timers go by milliseconds, which is too long between two turns of a sweep: there others are let go
/// first until the time has passed.
async fn pause(length: Duration) {
    const TICK: Duration = Duration::from_millis(1);
    if length >= TICK {
        return time::sleep(length).await;
    }
    let begun = Instant::now();
    while begun.elapsed() < length {
        task::yield_now().await;
    }
}

fn prepared(stream: TcpStream) -> std::io::Result<Stream<TcpStream>> {
    socket::prepare(SockRef::from(&stream))?;
    Ok(Stream::new(stream))
}

fn connection_ended(shared: &Shared, ended: Result<(), JoinError>) {
    if let Err(fault) = ended
        && fault.is_panic()
    {
        shared.connection_panicked(&fault);
    }
}
