//! What `serve` takes.

use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use netswap_tokio::core::identity::IdentityKey;

use crate::target::Address;
use crate::values::{self, Secret};

/// What `serve` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
When the server is ready it prints one line to stdout, `netswap listening on ADDRESS`, with the port that it got. \
Logs go to stderr. When nobody reads them, lines are dropped and counted; the server never waits for its log.

SIGTERM or SIGINT stops it in order within 5 seconds: complete requests are answered, nothing unfinished takes effect. \
What is not sent by then is lost. A second signal stops it at once, with the exit code of a signal. SIGHUP is \
ignored: there is no configuration to load again, and a terminal that closes does not end the server. Records live in \
memory: they end with the server.

Clients are known by their address alone and nothing is encrypted: on another address than loopback, see who can \
reach it.

Sizes are numbers of bytes or have a unit: 64KiB, 1.5GiB, 2GB. Durations have units: 30s, 5m, 1h 30m.

Examples:
  netswap serve                                 for this machine
  netswap serve --listen 127.0.0.1:0            on a free port, which it prints
  netswap serve --listen [::]:7420 --max-memory 4GiB --max-connections-per-address 8
  NETSWAP_GRACE=30s netswap serve               every flag has its variable")]
pub(crate) struct Serve {
    /// The address to listen on. Port 0 gets a free one; `[::]` listens on IPv6 and IPv4.
    #[arg(long, env = "NETSWAP_LISTEN", value_name = "HOST:PORT", default_value = "127.0.0.1:7420")]
    pub(crate) listen: Address,
    /// How long records outlive their owner's last connection.
    #[arg(long, env = "NETSWAP_GRACE", value_name = "DURATION", default_value = "5m", value_parser = values::duration)]
    pub(crate) grace: Duration,
    /// The longest grace and time to live that a client may set for its records.
    #[arg(long, env = "NETSWAP_MAX_LIFETIME", value_name = "DURATION", default_value = "24h", value_parser = values::duration)]
    pub(crate) max_lifetime: Duration,
    /// The limits.
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// The key under which addresses become owner hashes, 32 hex digits. Keep it to keep the hashes over a restart,
    /// and keep it secret; the variable keeps it out of the list of processes [default: random].
    #[arg(long, env = "NETSWAP_IDENTITY_KEY", value_name = "HEX", hide_env_values = true,
          value_parser = values::identity_key, help_heading = "Secrets")]
    pub(crate) identity_key: Option<Secret<IdentityKey>>,
    /// The seed of all pointers, 64 hex digits. The same seed gives the same pointers, which everybody who knows it can
    /// guess: for tests only [default: random].
    #[arg(long, env = "NETSWAP_SEED", value_name = "HEX", hide_env_values = true,
          value_parser = values::seed, help_heading = "Secrets")]
    pub(crate) seed: Option<Secret<[u8; 32]>>,
    /// What drives the connections.
    #[arg(
        long,
        env = "NETSWAP_RUNTIME",
        value_name = "RUNTIME",
        default_value = "tokio",
        help_heading = "Threads"
    )]
    pub(crate) runtime: Runtime,
    /// Worker threads of tokio and smol; 1 does everything in the main thread [default: one for each core].
    #[arg(long, env = "NETSWAP_THREADS", value_name = "N", help_heading = "Threads",
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,
}

/// What drives the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Runtime {
    /// The tokio runtime.
    Tokio,
    /// The parts of the smol runtime.
    Smol,
    /// Blocking threads: one for each connection.
    Blocking,
}

/// The limits of a server. What is over a limit is refused with the limit's name and value.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// The longest record [default: 256MiB, or --max-memory where that is less].
    #[arg(long, env = "NETSWAP_MAX_RECORD", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_record: Option<ByteSize>,
    /// What all records, unfinished requests and replies under way may count together: a record counts 128
    /// bytes and its data, rounded up by at most a quarter beyond 64 bytes (PROTOCOL §7.2) [default: half of the machine's memory].
    #[arg(long, env = "NETSWAP_MAX_MEMORY", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_memory: Option<ByteSize>,
    /// Connections [default: 10000].
    #[arg(long, env = "NETSWAP_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<u32>,
    /// Connections from one address [default: as many as there can be].
    #[arg(long, env = "NETSWAP_MAX_CONNECTIONS_PER_ADDRESS", value_name = "N")]
    pub(crate) max_connections_per_address: Option<u32>,
    /// The records of one owner, each with 128 bytes beyond its data [default: --max-memory alone counts].
    #[arg(long, env = "NETSWAP_MAX_OWNER_BYTES", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_owner_bytes: Option<ByteSize>,
    /// How many records one owner may have [default: as many as there can be].
    #[arg(long, env = "NETSWAP_MAX_OWNER_RECORDS", value_name = "N")]
    pub(crate) max_owner_records: Option<u64>,
    /// Unfinished requests of one connection [default: 1024].
    #[arg(long, env = "NETSWAP_MAX_UNFINISHED_REQUESTS", value_name = "N")]
    pub(crate) max_unfinished_requests: Option<u32>,
    /// Unfinished requests of one connection, in bytes [default: 512MiB, or --max-record where that is more].
    #[arg(long, env = "NETSWAP_MAX_CONNECTION_UNFINISHED", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_connection_unfinished: Option<ByteSize>,
    /// Unfinished requests of all connections, in bytes [default: a quarter of --max-memory, or --max-record where that
    /// is more].
    #[arg(long, env = "NETSWAP_MAX_UNFINISHED", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_unfinished: Option<ByteSize>,
    /// Places of all connections, of 1024 bytes each: a watch or a waiting read takes 3; a queued reply beyond a
    /// connection's 64th, and an unfinished or refused request that is still arriving beyond its 16th, 1
    /// [default: one for each 4KiB of --max-memory, at least 131072].
    #[arg(long, env = "NETSWAP_MAX_PLACES", value_name = "N")]
    pub(crate) max_places: Option<u64>,
    /// Watches and waiting reads of one connection [default: 4096].
    #[arg(long, env = "NETSWAP_MAX_WATCHES", value_name = "N")]
    pub(crate) max_watches: Option<u32>,
    /// Replies of one connection that wait to be taken; beyond, the server reads no more from it [default: 1024].
    #[arg(long, env = "NETSWAP_MAX_QUEUED_REPLIES", value_name = "N")]
    pub(crate) max_queued_replies: Option<u32>,
    /// Replies of one connection that wait to be taken, in bytes [default: --max-record and 4MiB].
    #[arg(long, env = "NETSWAP_MAX_QUEUED_BYTES", value_name = "SIZE", value_parser = values::size)]
    pub(crate) max_queued_bytes: Option<ByteSize>,
}
