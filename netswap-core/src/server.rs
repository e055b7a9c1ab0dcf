//! Store and connections under one roof, for one-threaded use, tests and simulation.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::config::{Config, ConfigError};
use crate::connection::{Connection, Phase};
use crate::engine::{ConnectionId, Engine, Execution, Incident, ListCursor, Peer, Post, Told};
use crate::error::Refusal;
use crate::memory::{Budget, Garbage, Payload};
use crate::store::{Admission, Store};
use crate::time::{Instant, earlier};
use crate::types::{Pointer, Xid};
use crate::wire::{Output, Request};

/// A whole server without its sockets.
///
/// Bytes that clients send go in, bytes for them come out; the caller passes the time. The same calls with the same
/// seed give the same bytes. Calls for a connection that is gone do nothing.
#[derive(Debug)]
pub struct Server {
    store: Store,
    config: Arc<Config>,
    budget: Arc<Budget>,
    connections: HashMap<ConnectionId, Connection, FixedState>,
}

impl Server {
    /// A server with no records and no connections.
    ///
    /// # Errors
    ///
    /// The limits cannot be kept.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let store = Store::new(config)?;
        let (config, budget) = (store.config().clone(), store.budget().clone());
        Ok(Self { store, config, budget, connections: HashMap::default() })
    }

    /// The records.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Has records end in portions of another size than 128: for tests.
    #[doc(hidden)]
    pub fn set_portion(&mut self, records: u32) {
        self.store.set_portion(records);
    }

    /// A client connects from an address; `None` where so many are being turned away that it is closed at once.
    pub fn connect(&mut self, address: IpAddr, now: Instant) -> Option<Peer> {
        let (config, budget) = (self.config.clone(), self.budget.clone());
        let admission = self.store.connect(address, now);
        self.roof().deliver(now);
        let connection = match admission {
            Admission::Served(peer) => Connection::new(peer, config, budget),
            Admission::TurnedAway(peer, refusal) => {
                Connection::turned_away(peer, refusal, config, budget, now)
            }
            Admission::Dropped => return None,
        };
        let peer = connection.peer();
        self.connections.insert(peer.id, connection);
        Some(peer)
    }

    /// A connection, while its socket is open.
    #[must_use]
    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// What is to be written to a connection.
    #[must_use]
    pub fn output(&self, id: ConnectionId) -> Option<&Output> {
        self.connections.get(&id).map(Connection::output)
    }

    /// Bytes came from a connection.
    pub fn handle_input(&mut self, id: ConnectionId, input: &[u8], now: Instant) {
        self.with(id, now, |connection, roof| connection.handle_input(input, now, roof));
    }

    /// So many bytes of a connection's output were written.
    pub fn sent(&mut self, id: ConnectionId, count: usize, now: Instant) {
        self.with(id, now, |connection, roof| connection.sent(count, now, roof));
    }

    /// A connection's client has ended its side of the stream.
    pub fn handle_eof(&mut self, id: ConnectionId, now: Instant) {
        self.with(id, now, |connection, roof| connection.handle_eof(now, roof));
    }

    /// A connection's socket is closed, by either side or by a reset.
    pub fn disconnect(&mut self, id: ConnectionId, now: Instant) {
        if let Some(mut connection) = self.connections.remove(&id) {
            connection.dismantle(&mut self.store);
        }
        self.store.disconnect(id, now);
        self.roof().deliver(now);
    }

    /// The server stops: every connection ends in order (docs/PROTOCOL.md §5.3).
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.connections.values_mut().for_each(|connection| connection.handle_shutdown(now));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let timeouts = self.connections.values().filter_map(Connection::poll_timeout);
        earlier(self.store.poll_timeout(), timeouts.min())
    }

    /// Does what is due. Where [`poll_timeout`](Self::poll_timeout) has passed afterwards, more is: of records that have
    /// ended, at most 128 are removed in one call.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.store.handle_timeout(now);
        self.roof().deliver(now);
        let mut ids: Vec<_> = self.connections.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.with(id, now, |connection, roof| connection.handle_timeout(now, roof));
        }
    }

    /// The connections whose sockets are to be closed now; [`disconnect`](Self::disconnect) must follow.
    #[must_use]
    pub fn closed(&self) -> Vec<ConnectionId> {
        let closed = self.connections.iter().filter(|(_, connection)| connection.phase() == Phase::Closed);
        let mut closed: Vec<_> = closed.map(|(id, _)| *id).collect();
        closed.sort_unstable();
        closed
    }
    /// Has a connection do something under the roof that it shares with the others.
    fn with(&mut self, id: ConnectionId, now: Instant, act: impl FnOnce(&mut Connection, &mut Roof<'_>)) {
        if let Some(mut connection) = self.connections.remove(&id) {
            let mut roof = self.roof();
            act(&mut connection, &mut roof);
            roof.deliver(now);
            connection.handle_mail(now, &mut roof);
            while connection.has_work() {
                connection.handle_work(now, &mut roof);
                roof.deliver(now);
                connection.handle_mail(now, &mut roof);
            }
            self.connections.insert(id, connection);
        }
    }

    fn roof(&mut self) -> Roof<'_> {
        Roof { store: &mut self.store, connections: &mut self.connections }
    }
}

/// The store and all connections but the one that asks: what a request owes to others is delivered before the next one.
struct Roof<'a> {
    store: &'a mut Store,
    connections: &'a mut HashMap<ConnectionId, Connection, FixedState>,
}

impl Roof<'_> {
    #[inline]
    fn deliver(&mut self, now: Instant) {
        if self.store.leaves_something() {
            self.deliver_all(now);
        }
    }

    fn deliver_all(&mut self, now: Instant) {
        drop(self.store.take_garbage());
        for id in self.store.take_woken() {
            // The one that asks takes its own.
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.handle_mail(now, self.store);
                // It has nothing else to do: all was done when it was last called.
                while connection.has_work() {
                    connection.handle_work(now, self.store);
                }
            }
        }
    }
}

impl Engine for Roof<'_> {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal> {
        let judged = self.store.judge(peer, request, now);
        self.deliver(now);
        judged
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        let done = self.store.serve(peer, xid, request, now);
        self.deliver(now);
        done
    }

    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post {
        Engine::take_mail(self.store, peer, room)
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told> {
        Engine::take_news(self.store, peer, xid, room)
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        Engine::forget(self.store, peer, xid);
    }

    fn begin_list(&mut self, peer: Peer) -> (u64, ListCursor) {
        Engine::begin_list(self.store, peer)
    }

    fn continue_list(
        &mut self,
        peer: Peer,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        Engine::continue_list(self.store, peer, cursor, pointers, now)
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        Engine::depart(self.store, peer, now);
        self.deliver(now);
    }

    fn discard(&mut self, garbage: &mut Garbage) {
        Engine::discard(self.store, garbage);
    }

    fn note(&mut self, incident: Incident) {
        self.store.note(incident);
    }
}
