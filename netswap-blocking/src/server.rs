//! A NetSwap server on threads.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Instant;

use netswap_adapter::server::{AcceptErrors, Connection, Shared, panic_message, release_read_buffer};
pub use netswap_adapter::server::{
    ServerError, ServerHandle, ServerOptions, Statistics, Traffic, default_total,
};
use netswap_adapter::socket;
use socket2::SockRef;
use tracing::{info, warn};

use crate::reactor::{Directions, Source};
use crate::runtime::Blocking;
use crate::stream::Stream;
use crate::threads::Threads;
use crate::timer::{poll_deadline, wait_for};
use crate::wait::wait;

/// Bytes of a connection with its thread: what is resident of its stack, and what the allocator has for each thread.
const CONNECTION: u64 = 128 << 10;

/// A server that is bound to its address and serves as long as [`run`](Self::run) runs.
///
/// Each connection has a thread of its own.
///
/// ```
/// # fn main() -> Result<(), netswap_blocking::ServerError> {
/// use netswap_blocking::Server;
///
/// let server = Server::bind("127.0.0.1:0")?;
/// println!("listening on {}", server.local_address());
///
/// let handle = server.handle();
/// let serving = std::thread::spawn(|| server.run());
/// // ... until somebody says
/// handle.shutdown();
/// serving.join().expect("the server does not panic");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    listener: Source<TcpListener>,
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
    pub fn bind(options: impl Into<ServerOptions>) -> Result<Self, ServerError> {
        let bound = wait(options.into().bind::<Blocking>())?;
        let address = bound.local_address;
        bound.shared.set_memory_of_connection(CONNECTION);
        let listener = Source::new(bound.listener, Directions::BOTH)
            .map_err(|error| ServerError::Bind { address, error })?;
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

    /// Serves until [`ServerHandle::shutdown`] is called, then ends all connections in order, within the shutdown
    /// deadline. Blocking: it returns when all of its threads have ended.
    pub fn run(self) {
        let Self { mut listener, shared, .. } = self;
        let mut connections = Threads::default();
        let mut sweep = Instant::now();
        let mut errors = AcceptErrors::default();
        loop {
            match wait(next(&shared, &mut connections, sweep, &mut listener)) {
                Next::Stop => break,
                Next::Ended(ended) => connection_ended(&shared, ended),
                Next::Sweep => sweep = Instant::now() + shared.sweep(),
                Next::Accepted(accepted) => {
                    match accepted.and_then(|accepted| serve(&shared, &mut connections, accepted)) {
                        Err(error) if !socket::is_of_one_connection(&error) => {
                            errors.log(&error);
                            thread::sleep(Shared::ACCEPT_PAUSE);
                        }
                        _ => {}
                    }
                }
            }
        }
        drop(listener);
        info!(connections = connections.len(), "stopping");
        let all_ended = async {
            while let Some(ended) = poll_fn(|cx| connections.poll_join_next(cx)).await {
                connection_ended(&shared, ended);
            }
        };
        if wait_for(shared.time_left(), all_ended).is_err() {
            warn!(connections = connections.len(), "shutdown deadline reached, closing what is left");
            connections.shutdown();
        }
    }
}

/// What a server has to do next.
enum Next {
    Stop,
    Ended(thread::Result<()>),
    Sweep,
    Accepted(io::Result<(TcpStream, SocketAddr)>),
}

async fn next(
    shared: &Shared,
    connections: &mut Threads,
    sweep: Instant,
    listener: &mut Source<TcpListener>,
) -> Next {
    let mut stopped = pin!(shared.stopped());
    poll_fn(|cx| {
        if stopped.as_mut().poll(cx).is_ready() {
            Poll::Ready(Next::Stop)
        } else if let Poll::Ready(Some(ended)) = connections.poll_join_next(cx) {
            Poll::Ready(Next::Ended(ended))
        } else if poll_deadline(Some(sweep)).is_ready() {
            Poll::Ready(Next::Sweep)
        } else {
            listener.poll_do(cx, Directions::READ, |listener| listener.accept()).map(Next::Accepted)
        }
    })
    .await
}

/// Has a thread serve a connection. It fails when there is none to be had: the connection is closed then.
fn serve(
    shared: &Arc<Shared>,
    connections: &mut Threads,
    (stream, address): (TcpStream, SocketAddr),
) -> io::Result<()> {
    match shared.accept(prepared(stream), address) {
        Some(connection) => connections.spawn("netswap-server", Served(connection)),
        None => Ok(()),
    }
}

fn prepared(stream: TcpStream) -> io::Result<Stream<TcpStream>> {
    socket::prepare(SockRef::from(&stream))?;
    Stream::new(stream)
}

/// A connection whose thread needs no buffer while it waits.
struct Served(Connection<Stream<TcpStream>>);

impl Future for Served {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let served = Pin::new(&mut self.0).poll(cx);
        release_read_buffer();
        served
    }
}

fn connection_ended(shared: &Shared, ended: thread::Result<()>) {
    if let Err(fault) = ended {
        shared.connection_panicked(&panic_message(&*fault));
    }
}
