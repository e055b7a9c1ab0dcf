//! A server in simulated time, and clients that send bytes to it and read what comes back.
//!
//! Requests are put into bytes and replies read here, independently of the code under test.
#![allow(dead_code)] // Every test file uses its part of this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod wire;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Buf;
use netswap_core::config::{Config, Limits};
use netswap_core::connection::Phase;
use netswap_core::engine::{ConnectionId, Peer};
use netswap_core::identity::IdentityKey;
use netswap_core::server::Server;
use netswap_core::store::Statistics;
use netswap_core::time::Instant;
use netswap_core::wire::Output;

use wire::{Assembler, Message, op};

/// A nanosecond: the smallest time.
pub(crate) const NS: Duration = Duration::from_nanos(1);

/// The default grace.
pub(crate) const GRACE: Duration = Duration::from_secs(300);

/// The time after which a connection is too slow.
pub(crate) const SLOW: Duration = Duration::from_secs(30);

/// The bytes that every record counts beyond its data.
pub(crate) const OVERHEAD: u64 = 128;

/// What a record counts more that has settings, or a deadline of its own (docs/PROTOCOL.md §7.2).
pub(crate) const SETTINGS_COST: u64 = 384;

/// What an owner counts that has records and no connection.
pub(crate) const OWNER_COST: u64 = 256;

thread_local! {
    /// Bytes of a chunk in the servers of this test.
    static CHUNK: std::cell::Cell<u64> = const { std::cell::Cell::new(9730) };
}

/// From now on servers of this thread have chunks of other sizes than usual.
pub(crate) fn set_chunk(bytes: usize) {
    CHUNK.set(bytes as u64);
}

/// Bytes of a chunk.
pub(crate) fn chunk() -> u64 {
    CHUNK.get()
}

/// Data of up to this many bytes lie in one block, and count its size class.
pub(crate) fn flat() -> u64 {
    (2 * chunk()).max(64)
}

/// What an unfinished request counts at most of which so many bytes have come: its chunks' blocks and tables too, a packet
/// that a full chunk has before it is complete, and zeros before what begins within a chunk. Its payload has `declared` bytes.
pub(crate) fn held_unfinished(came: u64, declared: u64) -> u64 {
    if declared <= flat() || came + 1390 <= chunk() {
        return came;
    }
    let each = class(chunk()) + 64 - chunk() + 40;
    came + 1390 + ((came + 1390) / chunk() + 2) * each + 2 * (class(chunk()) + 64)
}

/// The size class of a block: up to 64 bytes the next multiple of 16, beyond it the next of four steps for each power of two.
pub(crate) fn class(len: u64) -> u64 {
    if len <= 64 { len.next_multiple_of(16) } else { len.next_multiple_of(len.next_power_of_two() / 8) }
}

/// What bytes count that only replies hold, in one block: few are copied.
pub(crate) fn sent(len: u64) -> u64 {
    if len <= 64 { 0 } else { class(len) + 64 }
}

/// What the data of a record count that came in one request (docs/PROTOCOL.md §7.2).
pub(crate) fn held(len: u64) -> u64 {
    if len <= flat() {
        return class(len);
    }
    let chunk = chunk();
    let last = if len.is_multiple_of(chunk) { 0 } else { class(len % chunk) + 64 };
    let mut parts = len.div_ceil(chunk);
    let mut tables = 0;
    while parts > 1 {
        parts = parts.div_ceil(16);
        tables += parts;
    }
    len / chunk * (class(chunk) + 64) + last + 320 * tables
}

/// The configuration under which the examples of docs/PROTOCOL.md run (§1.6).
pub(crate) fn config() -> Config {
    let key = IdentityKey(std::array::from_fn(|i| i as u8));
    Config::new(Limits::new(1 << 30), key, std::array::from_fn(|i| i as u8))
}

/// A server, its clients, and the time.
pub(crate) struct World {
    server: Server,
    pub(crate) now: Instant,
    clients: BTreeMap<ConnectionId, Assembler>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server with a configuration of its own.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config();
        change(&mut config);
        let server = Server::new(config).expect("limits that can be kept");
        Self { server, now: Instant::ZERO, clients: BTreeMap::new() }
    }

    /// Has records end in portions of another size.
    pub(crate) fn set_portion(&mut self, records: u32) {
        self.server.set_portion(records);
    }

    pub(crate) fn connect(&mut self, address: &str) -> Peer {
        self.try_connect(address).expect("the connection was dropped")
    }

    /// `None` where the connection is dropped at once.
    pub(crate) fn try_connect(&mut self, address: &str) -> Option<Peer> {
        let peer = self.server.connect(address.parse().unwrap(), self.now)?;
        self.clients.insert(peer.id, Assembler::default());
        Some(peer)
    }

    pub(crate) fn send(&mut self, peer: Peer, bytes: impl AsRef<[u8]>) {
        self.server.handle_input(peer.id, bytes.as_ref(), self.now);
        self.reap(peer);
    }

    pub(crate) fn output(&self, peer: Peer) -> &Output {
        self.server.output(peer.id).expect("the connection is gone")
    }

    /// At most so many bytes of what waits for a client; it has read them then.
    pub(crate) fn take(&mut self, peer: Peer, count: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < count
            && let Some(output) = self.server.output(peer.id)
            && output.has_remaining()
        {
            let chunk = output.chunk();
            let piece = chunk[..chunk.len().min(count - taken.len())].to_vec();
            self.server.sent(peer.id, piece.len(), self.now);
            taken.extend(piece);
        }
        self.reap(peer);
        taken
    }

    /// All bytes that wait for a client.
    pub(crate) fn receive(&mut self, peer: Peer) -> Vec<u8> {
        self.take(peer, usize::MAX)
    }

    /// The messages that are complete once a client has read at most so many bytes more.
    pub(crate) fn take_replies(&mut self, peer: Peer, count: usize) -> Vec<Message> {
        let bytes = self.take(peer, count);
        self.clients.get_mut(&peer.id).unwrap().feed(&bytes)
    }

    /// All messages that wait for a client.
    pub(crate) fn replies(&mut self, peer: Peer) -> Vec<Message> {
        self.take_replies(peer, usize::MAX)
    }

    /// Sends bytes and reads the replies to them; nobody else is told anything.
    #[track_caller]
    pub(crate) fn exchange(&mut self, peer: Peer, bytes: impl AsRef<[u8]>) -> Vec<Message> {
        self.send(peer, bytes);
        let replies = self.replies(peer);
        self.assert_silence();
        replies
    }

    /// Sends bytes and reads the one reply to them; nobody else is told anything.
    #[track_caller]
    pub(crate) fn ask(&mut self, peer: Peer, bytes: impl AsRef<[u8]>) -> Message {
        let mut replies = self.exchange(peer, bytes);
        assert_eq!(replies.len(), 1, "one reply: {replies:?}");
        replies.remove(0)
    }

    /// Nothing waits for anybody, and nobody has half a packet or half a reply.
    #[track_caller]
    pub(crate) fn assert_silence(&self) {
        for (id, client) in &self.clients {
            let waiting = self.server.output(*id).map_or(0, Output::len);
            assert!(waiting == 0, "{waiting} bytes wait for {id:?}");
            assert!(client.is_idle(), "{id:?} has half a reply: {client:?}");
        }
    }

    /// Creates a record: its pointer.
    #[track_caller]
    pub(crate) fn create(&mut self, peer: Peer, access: u8, data: impl AsRef<[u8]>) -> u64 {
        let reply = self.ask(peer, wire::request(1, op::CREATE, access, data));
        assert_eq!((reply.xid, reply.code, reply.access, reply.payload.len()), (1, 0, 0, 8), "{reply:?}");
        u64::from_be_bytes(reply.payload.try_into().unwrap())
    }

    /// Creates records of at most so many bytes, until exactly this number of bytes counts.
    #[track_caller]
    pub(crate) fn fill(&mut self, peer: Peer, until: u64, longest: u64) {
        while let Some(room) = until.checked_sub(self.bytes() + OVERHEAD) {
            let comes_out_even = |len: &u64| matches!(room - len, 0 | OVERHEAD..) && class(*len) == *len;
            let len = (0..=room.min(longest)).rev().find(comes_out_even).expect("a length that fits");
            self.create(peer, 7, wire::pattern(len as usize));
        }
        assert_eq!(self.bytes(), until);
    }

    /// Lets time pass, and does what becomes due when it becomes due.
    #[track_caller]
    pub(crate) fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        let mut last = None;
        let (mut times, mut most) = (0, 0);
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= until) {
            // What ends at an instant may let something else end at the same, such as the records of a grace of nothing; and
            // no more than 128 records end in one call.
            (times, most) = if last == Some(due) { (times + 1, most) } else { (0, 3 + self.records() / 64) };
            assert!(times < most, "what is due at {due:?} is due again");
            last = Some(due);
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.reap_all();
        }
        self.now = until;
    }

    fn records(&self) -> u64 {
        self.statistics().records
    }

    /// Does what is due now.
    pub(crate) fn wake(&mut self) {
        self.server.handle_timeout(self.now);
        self.reap_all();
    }

    /// Does what is left to be done now, in as many calls as it takes.
    #[track_caller]
    pub(crate) fn catch_up(&mut self) {
        let mut calls = 0;
        while self.next_due() == Some(Duration::ZERO) {
            self.wake();
            calls += 1;
            assert!(calls < 100_000, "something is due over and over");
        }
    }

    /// Lets time pass without doing what becomes due, as a timer does that comes late.
    pub(crate) fn skip(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// How long it is until something is due.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        Some(self.server.poll_timeout()?.saturating_since(self.now))
    }

    /// A client ends its side of the stream.
    pub(crate) fn end(&mut self, peer: Peer) {
        self.server.handle_eof(peer.id, self.now);
        self.reap(peer);
    }

    /// A connection is reset.
    pub(crate) fn reset(&mut self, peer: Peer) {
        self.server.disconnect(peer.id, self.now);
        self.clients.remove(&peer.id);
    }

    pub(crate) fn shut_down(&mut self) {
        self.server.handle_shutdown(self.now);
        self.reap_all();
    }

    /// What the server does with a client's socket.
    pub(crate) fn phase(&self, peer: Peer) -> Phase {
        self.server.connection(peer.id).map_or(Phase::Closed, |connection| connection.phase())
    }

    pub(crate) fn wants_read(&self, peer: Peer) -> bool {
        self.server.connection(peer.id).is_some_and(|connection| connection.wants_read())
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.server.store().statistics()
    }

    /// Bytes that count against the total.
    pub(crate) fn bytes(&self) -> u64 {
        self.statistics().bytes
    }

    /// Closes the socket of a client, where the server is done with it.
    fn reap(&mut self, peer: Peer) {
        if self.phase(peer) == Phase::Closed {
            self.server.disconnect(peer.id, self.now);
        }
    }

    /// Closes all sockets that the server is done with.
    fn reap_all(&mut self) {
        for id in self.server.closed() {
            self.server.disconnect(id, self.now);
        }
    }
}
