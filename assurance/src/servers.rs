//! Servers of every adapter, in this process.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netswap_adapter::server::{ServerHandle, ServerOptions};

use crate::scale::raise_descriptors;

/// The crates that serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// netswap-tokio.
    Tokio,
    /// netswap-smol.
    Smol,
    /// netswap-blocking.
    Blocking,
}

/// Threads of a server that does not have one for each connection: more than one, so that requests really meet.
const THREADS: usize = 2;

impl Adapter {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Tokio, Self::Smol, Self::Blocking];

    /// What `netswap serve --runtime` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::Blocking => "blocking",
        }
    }

    /// The adapter of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Starts a server on a port of its own.
    #[must_use]
    pub fn start(self, options: ServerOptions) -> Running {
        self.start_on(THREADS, options)
    }

    /// Starts a server with this number of threads on a port of its own. netswap-blocking always has one for each
    /// connection.
    #[must_use]
    pub fn start_on(self, threads: usize, options: ServerOptions) -> Running {
        raise_descriptors();
        let options = options.listen("127.0.0.1:0");
        match self {
            Self::Tokio => tokio(threads, options),
            Self::Smol => smol(threads, options),
            Self::Blocking => {
                let server = netswap_blocking::Server::bind(options).unwrap();
                let (address, handle) = (server.local_address(), server.handle());
                Running { address, handle, threads: vec![thread::spawn(|| server.run())] }
            }
        }
    }
}

fn tokio(threads: usize, options: ServerOptions) -> Running {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build().unwrap();
    let server = runtime.block_on(netswap_tokio::Server::bind(options)).unwrap();
    let (address, handle) = (server.local_address(), server.handle());
    Running { address, handle, threads: vec![thread::spawn(move || runtime.block_on(server.run()))] }
}

fn smol(threads: usize, options: ServerOptions) -> Running {
    let server = async_io::block_on(netswap_smol::Server::bind(options)).unwrap();
    let (address, handle) = (server.local_address(), server.handle());
    let run = |server: netswap_smol::Server| thread::spawn(|| async_io::block_on(server.run()));
    let threads = (0..threads).map(|_| run(server.clone())).collect();
    Running { address, handle, threads }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// To look at it.
    pub handle: ServerHandle,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Stops it in order, and waits until it has.
    pub fn stop(&mut self) {
        self.handle.shutdown();
        for thread in self.threads.drain(..) {
            thread.join().expect("the server does not panic");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Waits until something holds.
///
/// # Panics
///
/// It does not hold in time.
pub fn within(time: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come about within {time:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Tests of the same names for every adapter, in modules of the adapters' names.
#[macro_export]
macro_rules! on_every_adapter {
    ($($test:ident),+ $(,)?) => {
        $crate::on_every_adapter! { @ tokio Tokio $($test)+ }
        $crate::on_every_adapter! { @ smol Smol $($test)+ }
        $crate::on_every_adapter! { @ blocking Blocking $($test)+ }
    };
    (@ $module:ident $adapter:ident $($test:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test($crate::servers::Adapter::$adapter);
                }
            )+
        }
    };
}
