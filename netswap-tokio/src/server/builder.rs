//! Setting up a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use netswap_core::config::{Config, ConfigError, Limits, Times};
use netswap_core::identity::IdentityKey;
use tokio::net::{ToSocketAddrs, lookup_host};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::{Server, ServerHandle};
use crate::socket;

/// The total of a server on a machine that does not tell how much memory it has.
const FALLBACK_TOTAL: u64 = 1 << 30;

/// Sets up a [`Server`]. Every setting has a sane default: see each.
#[derive(Debug)]
#[must_use]
pub struct ServerBuilder<A = (&'static str, u16)> {
    address: A,
    limits: Option<Limits>,
    times: Times,
    identity_key: Option<IdentityKey>,
    seed: Option<[u8; 32]>,
    shutdown_deadline: Duration,
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

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            address: ("127.0.0.1", 7420),
            limits: None,
            times: Times::default(),
            identity_key: None,
            seed: None,
            shutdown_deadline: Duration::from_secs(4),
        }
    }
}

impl<A: ToSocketAddrs> ServerBuilder<A> {
    /// Where to listen; 127.0.0.1:7420 by default. Port 0 gets a free one. `[::]` listens on IPv6 and IPv4 alike.
    pub fn listen<B: ToSocketAddrs>(self, address: B) -> ServerBuilder<B> {
        let Self { limits, times, identity_key, seed, shutdown_deadline, .. } = self;
        ServerBuilder { address, limits, times, identity_key, seed, shutdown_deadline }
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

    /// Binds the address. The server accepts connections from now on and answers them when it [runs](Server::run).
    ///
    /// # Errors
    ///
    /// See [`ServerError`].
    pub async fn bind(self) -> Result<Server, ServerError> {
        let identity_key = match self.identity_key {
            Some(key) => key,
            None => IdentityKey(random()?),
        };
        let seed = self.seed.map_or_else(random, Ok)?;
        let limits = self.limits.unwrap_or_else(|| Limits::new(default_total()));
        let config = Config { limits, times: self.times, identity_key, seed };
        let shared = Arc::new(Shared::new(config)?);

        let mut addresses = lookup_host(self.address).await.map_err(ServerError::Address)?;
        let address = addresses.next().ok_or_else(|| ServerError::Address(io::ErrorKind::NotFound.into()))?;
        let bind_error = |error| ServerError::Bind { address, error };
        let listener = socket::listen(address).map_err(bind_error)?;
        let local_address = listener.local_addr().map_err(bind_error)?;
        let handle = ServerHandle { shared, stop: CancellationToken::new() };
        Ok(Server { listener, local_address, handle, shutdown_deadline: self.shutdown_deadline })
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
