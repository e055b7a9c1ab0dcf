//! How a client connects.

use std::net::IpAddr;
use std::time::Duration;

use netswap_core::client::Config;

/// Where a client connects, and what it allows. Every setting has a sane default: see each. An address alone is all that
/// `Client::connect` needs.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConnectOptions {
    pub(super) addresses: Vec<String>,
    pub(super) bind: Option<IpAddr>,
    pub(super) connect_timeout: Duration,
    pub(super) reconnect: bool,
    pub(super) reconnect_delays: (Duration, Duration),
    pub(super) machine: Config,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new("127.0.0.1")
    }
}

impl<A: ToString> From<A> for ConnectOptions {
    fn from(address: A) -> Self {
        Self::new(address.to_string())
    }
}

impl ConnectOptions {
    /// The server at `address`, "host:port". The port is 7420 where none is named; an IPv6 address with a port stands
    /// in brackets.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            addresses: vec![address.into()],
            bind: None,
            connect_timeout: Duration::from_secs(5),
            reconnect: true,
            reconnect_delays: (Duration::from_millis(100), Duration::from_secs(10)),
            machine: Config::default(),
        }
    }

    /// One more address of the same server, to be tried when those before it do not answer.
    pub fn or(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// The local address to connect from; the system's choice by default. It is the client's identity for the server
    /// (docs/PROTOCOL.md §6.1).
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// How long connecting to one address may take, its greeting included; 5 s by default.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may go without any of its bytes moving, in either direction, before it fails with
    /// [`Error::TimedOut`](super::Error); 10 s by default. `Client::with_timeout` has another for some requests.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.machine.idle_timeout = timeout;
        self
    }

    /// Whether a lost connection is made again; on by default. What was under way fails in any case, since a request
    /// is never sent twice. Requests made meanwhile wait, up to their timeout.
    pub fn reconnect(mut self, reconnect: bool) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How long to wait before the first and at most before later attempts to connect again; 100 ms and 10 s by
    /// default. The wait doubles from attempt to attempt, and a random part of up to as much again is added to it.
    pub fn reconnect_delays(mut self, first: Duration, most: Duration) -> Self {
        self.reconnect_delays = (first, most.max(first));
        self
    }

    /// The longest record, part of a record or list that is read whole, in bytes; 1 GiB by default. A longer one is
    /// [`Error::ReplyTooLarge`](super::Error). Records read with `Client::resolve_into` have no limit.
    pub fn max_reply(mut self, bytes: u32) -> Self {
        self.machine.max_reply = bytes;
        self
    }

    /// How many requests may be under way at once; 1024 by default, as servers allow by default. One more is
    /// [`Error::TooManyRequests`](super::Error). Allow fewer where the server does (docs/PROTOCOL.md §7.1). Watches do not count.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.machine.max_transactions = requests;
        self
    }
}
