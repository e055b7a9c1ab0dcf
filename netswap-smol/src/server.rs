//! A NetSwap server on async-io.

use std::any::Any;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_io::{Async, Timer};
use async_net::{TcpListener, TcpStream};
use futures_lite::{FutureExt, StreamExt};
use futures_util::stream::FuturesUnordered;
use netswap_adapter::server::{AcceptErrors, Shared, panic_message};
pub use netswap_adapter::server::{
    ServerError, ServerHandle, ServerOptions, Statistics, Traffic, default_total,
};
use netswap_adapter::socket;
use socket2::SockRef;
use tracing::{info, warn};

use crate::runtime::Smol;
use crate::stream::{Socket, Stream};

/// A server that is bound to its address and serves as long as [`run`](Self::run) runs.
///
/// It runs on any executor, and best in [`async_io::block_on`] on a thread of its own, which asks the system what has
/// arrived after each few turns of busy connections. For more than one thread, run a clone on each: it serves the
/// connections that it accepts.
///
/// ```
/// # fn main() -> Result<(), netswap_smol::ServerError> { async_io::block_on(async {
/// use netswap_smol::Server;
///
/// let server = Server::bind("127.0.0.1:0").await?;
/// println!("listening on {}", server.local_address());
///
/// let handle = server.handle();
/// let serving = std::thread::spawn(|| async_io::block_on(server.run()));
/// // ... until somebody says
/// handle.shutdown();
/// serving.join().expect("the server does not panic");
/// # Ok(()) }) }
/// ```
#[derive(Clone, Debug)]
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
        let bound = options.into().bind::<Smol>().await?;
        let address = bound.local_address;
        let listener =
            Async::new_nonblocking(bound.listener).map_err(|error| ServerError::Bind { address, error })?;
        Ok(Self { listener: listener.into(), local_address: address, shared: bound.shared })
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
    /// The address is free again when all clones of the server have run or are dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and all connections at once: where clones run, its own connections, and
    /// with the last of them the listener.
    pub async fn run(self) {
        let Self { listener, shared, .. } = self;
        // Connections are futures in this one, not tasks of an executor: nothing is spawned, and a set of futures gives up
        // its turn as soon as two of them have more to do. The system is then asked what has arrived, where an executor
        // takes hundreds of turns first.
        let mut connections = FuturesUnordered::new();
        let mut stopped = pin!(shared.stopped());
        let mut sweep = Timer::after(Duration::ZERO);
        let mut pause = None;
        let mut errors = AcceptErrors::default();
        loop {
            let next = async {
                stopped.as_mut().await;
                Next::Stop
            }
            .or(async { Next::Ended(next_ended(&mut connections).await) })
            .or(async {
                (&mut sweep).await;
                Next::Sweep
            })
            .or(async { Next::Accepted(accept(&listener, &mut pause).await) });
            match next.await {
                Next::Stop => break,
                Next::Ended(ended) => connection_ended(&shared, ended),
                Next::Sweep => sweep = Timer::after(shared.sweep()),
                Next::Accepted(Ok((stream, address))) => {
                    if let Some(connection) = shared.accept(prepared(stream), address) {
                        connections.push(guarded(connection));
                    }
                }
                Next::Accepted(Err(error)) if socket::is_of_one_connection(&error) => {}
                Next::Accepted(Err(error)) => {
                    errors.log(&error);
                    pause = Some(Timer::after(Shared::ACCEPT_PAUSE));
                }
            }
        }
        drop(listener);
        info!(connections = connections.len(), "stopping");
        let all_ended = async {
            while let Some(ended) = connections.next().await {
                connection_ended(&shared, ended);
            }
            true
        };
        let late = async {
            Timer::after(shared.time_left()).await;
            false
        };
        if !all_ended.or(late).await {
            warn!(connections = connections.len(), "shutdown deadline reached, closing what is left");
        }
    }
}

/// What happens next.
enum Next {
    Stop,
    Ended(Ended),
    Sweep,
    Accepted(io::Result<(TcpStream, SocketAddr)>),
}

/// How a connection has ended: with what it panicked with, where it did.
type Ended = Result<(), Box<dyn Any + Send>>;

/// A connection whose panic is its own end and nobody else's.
fn guarded(connection: impl Future<Output = ()>) -> impl Future<Output = Ended> {
    AssertUnwindSafe(connection).catch_unwind()
}

/// How the next connection ends that does.
async fn next_ended(connections: &mut FuturesUnordered<impl Future<Output = Ended>>) -> Ended {
    match connections.next().await {
        Some(ended) => ended,
        None => pending().await,
    }
}

/// Accepts a connection, after a pause where one is due.
async fn accept(listener: &TcpListener, pause: &mut Option<Timer>) -> io::Result<(TcpStream, SocketAddr)> {
    if let Some(timer) = pause {
        timer.await;
        *pause = None;
    }
    listener.accept().await
}

fn prepared(stream: TcpStream) -> io::Result<Stream<Socket>> {
    socket::prepare(SockRef::from(&stream))?;
    Ok(Stream::new(Socket::new(stream)))
}

fn connection_ended(shared: &Shared, ended: Ended) {
    if let Err(fault) = ended {
        shared.connection_panicked(&panic_message(&*fault));
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;
    use std::task::{Context, Poll};
    use std::time::Instant;

    use futures_lite::future::block_on;
    use netswap_adapter::Transport;

    use super::*;

    /// A stream that is a fault of ours.
    struct Faulty;

    impl Transport for Faulty {
        fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            panic!("a fault")
        }

        fn poll_write(&mut self, _: &mut Context<'_>, _: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_deadline(&mut self, _: &mut Context<'_>, _: Option<Instant>) -> Poll<()> {
            Poll::Pending
        }
    }

    #[test]
    fn a_panic_ends_one_connection_and_is_counted() {
        let server = block_on(Server::bind("127.0.0.1:0")).unwrap();
        let shared = &server.shared;
        let connection = shared.accept(Ok(Faulty), server.local_address()).unwrap();
        assert_eq!(server.handle().statistics().store.connections, 1);
        let mut connections = FuturesUnordered::new();
        connections.push(guarded(connection));
        connection_ended(shared, block_on(next_ended(&mut connections)));
        let statistics = server.handle().statistics();
        assert_eq!((statistics.traffic.panics, statistics.store.connections), (1, 0));
    }
}
