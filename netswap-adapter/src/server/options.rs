//! Setting up a server.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use netswap_core::config::{Config, ConfigError, Limits, Times};
use netswap_core::identity::IdentityKey;

use super::Shared;
use crate::address::with_port;
use crate::{Runtime, socket};

/// The total of a server on a machine that does not tell how much memory it has.
const FALLBACK_TOTAL: u64 = 1 << 30;

/// Where a server listens, and what it allows. Every setting has a sane default: see each. An address alone is all that
/// `Server::bind` needs.
#[derive(Clone, Debug)]
#[must_use]
pub struct ServerOptions {
    address: String,
    limits: Option<Limits>,
    times: Times,
    identity_key: Option<IdentityKey>,
    seed: Option<[u8; 32]>,
    shutdown_deadline: Duration,
}

/// A server that has its address, for an adapter to run.
#[derive(Debug)]
pub struct Bound {
    /// The socket, which does not block.
    pub listener: TcpListener,
    /// The address, with the port that it got.
    pub local_address: SocketAddr,
    /// What its connections share.
    pub shared: Arc<Shared>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The address is not one, or its name is not known.
    #[error("cannot find the address to listen on: {0}")]
    Address(io::Error),
    /// The limits cannot be kept.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gives no random numbers for the identity key or the seed.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new("127.0.0.1")
    }
}

impl<A: ToString> From<A> for ServerOptions {
    fn from(address: A) -> Self {
        Self::new(address.to_string())
    }
}

impl ServerOptions {
    /// A server at `address`, "host:port". The port is 7420 where none is named, and port 0 gets a free one; an IPv6
    /// address with a port stands in brackets. `[::]` listens on IPv6 and IPv4 alike.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            limits: None,
            times: Times::default(),
            identity_key: None,
            seed: None,
            shutdown_deadline: Duration::from_secs(4),
        }
    }

    /// Listens at another address.
    pub fn listen(mut self, address: impl ToString) -> Self {
        self.address = address.to_string();
        self
    }

    /// The limits; by default those of [`Limits::new`] with half of the machine's memory as the total.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The grace and the other times; [`Times::default`] by default.
    pub fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// How long records outlive their owner's last connection; 300 s by default.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.times.grace = grace;
        self
    }

    /// The secret key of owner hashes; random by default, so that hashes do not outlive the server.
    pub fn identity_key(mut self, key: IdentityKey) -> Self {
        self.identity_key = Some(key);
        self
    }

    /// The secret seed of pointers; random by default. The same seed gives the same pointers: for tests only.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How long connections may take to end after a shutdown; 4 s by default.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.shutdown_deadline = deadline;
        self
    }

    /// Binds the address: what `Server::bind` of every adapter does.
    ///
    /// # Errors
    ///
    /// See [`ServerError`].
    pub async fn bind<R: Runtime>(self) -> Result<Bound, ServerError> {
        let identity_key = match self.identity_key {
            Some(key) => key,
            None => IdentityKey(random()?),
        };
        let seed = self.seed.map_or_else(random, Ok)?;
        let limits = self.limits.unwrap_or_else(|| Limits::new(default_total()));
        let config = Config { times: self.times, ..Config::new(limits, identity_key, seed) };
        let shared = Arc::new(Shared::new(config, self.shutdown_deadline)?);

        let addresses = R::lookup(&with_port(&self.address)).await.map_err(ServerError::Address)?;
        let address =
            *addresses.first().ok_or_else(|| ServerError::Address(io::ErrorKind::NotFound.into()))?;
        let bind_error = |error| ServerError::Bind { address, error };
        let listener = socket::listen(address).map_err(bind_error)?;
        let local_address = listener.local_addr().map_err(bind_error)?;
        Ok(Bound { listener, local_address, shared })
    }
}

fn random<const N: usize>() -> Result<[u8; N], ServerError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(ServerError::Random)?;
    Ok(bytes)
}

/// The bytes that a server may hold where nothing else is said: half of what the machine has, or of what its control
/// group may use where that is less.
#[must_use]
pub fn default_total() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    let group = system.cgroup_limits().map_or(machine, |limits| limits.total_memory);
    match machine.min(group) {
        0 => FALLBACK_TOTAL,
        memory => memory / 2,
    }
}
