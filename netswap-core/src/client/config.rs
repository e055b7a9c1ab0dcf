//! What a client is told at its start, and with each request.

use core::time::Duration;

use crate::types::Xid;

/// The settings of a client's connection.
#[derive(Clone, Debug)]
pub struct Config {
    /// The most data that a reply may have to be taken whole, in bytes: 1 GiB by default. A longer one ends its transaction with
    /// [`Failure::ReplyTooLarge`](super::Failure::ReplyTooLarge); in pieces it is welcome. Memory follows the bytes
    /// that arrive in any case.
    pub max_reply: u32,
    /// How many transactions may be open at once: 1024 by default, as many unfinished requests as a server
    /// takes from one connection by default (docs/PROTOCOL.md §7.1). A server that takes fewer ends the connection when
    /// it refuses more than it takes while they are being sent (§5.1, detail 5). Watches that have got their OK do not
    /// count: those only the server limits (quota 6).
    pub max_transactions: usize,
    /// How long a transaction may go without any of its packets moving, in either direction, before it is given
    /// up: 10 s by default. Each request can have its own. A watch waits without a limit between its notifications.
    pub idle_timeout: Duration,
    /// The id of the first transaction: 1 by default, since the server refuses whole connections under
    /// id 0 (docs/PROTOCOL.md §4.2).
    pub first_xid: Xid,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_reply: 1 << 30,
            max_transactions: 1024,
            idle_timeout: Duration::from_secs(10),
            first_xid: Xid(1),
        }
    }
}

/// The settings of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// In the place of [`Config::idle_timeout`]. `Duration::MAX` is for ever.
    pub idle_timeout: Option<Duration>,
    /// In the place of the idle timeout between the moment when the request has left and the first packet of its
    /// answer: for reads of reserved records, which wait until the record has data (docs/PROTOCOL.md §3.22).
    /// `Duration::MAX` is for ever.
    pub wait: Option<Duration>,
    /// Whether the data of a RESOLVE_POINTER come in [pieces](super::Event::Piece) instead of whole.
    pub pieces: bool,
}

/// Why a request was not made. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// As many transactions are open as [`Config::max_transactions`] allows.
    #[error("too many requests at once: this client's limit is {limit}")]
    TooManyTransactions {
        /// The limit.
        limit: usize,
    },
    /// The data are longer than a message can carry.
    #[error("the data are longer than the protocol can carry, which is less than 4 GiB")]
    TooLong,
    /// The connection has ended.
    #[error("the connection is closed")]
    Closed,
}
