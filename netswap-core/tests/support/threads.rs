//! A store and connections as an adapter with threads has them: a connection is called for its mail some time after
//! another one's request has left it there, and does other things before.
#![allow(dead_code)] // Every test file uses its part of this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Buf;
use netswap_core::connection::Connection;
use netswap_core::engine::{ConnectionId, Peer};
use netswap_core::store::{Admission, Counters, Store};
use netswap_core::time::Instant;

use crate::support::wire::{Assembler, Message};

pub(crate) struct Threads {
    store: Store,
    now: Instant,
    connections: BTreeMap<ConnectionId, (Connection, Assembler)>,
    /// Those that are to be called.
    rung: BTreeSet<ConnectionId>,
}

impl Threads {
    pub(crate) fn new() -> Self {
        let store = Store::new(crate::support::config()).unwrap();
        Self { store, now: Instant::ZERO, connections: BTreeMap::new(), rung: BTreeSet::new() }
    }

    pub(crate) fn connect(&mut self, address: &str) -> Peer {
        let admission = self.store.connect(address.parse().unwrap(), self.now);
        let Admission::Served(peer) = admission else { panic!("{admission:?}") };
        let (config, budget) = (self.store.config().clone(), self.store.budget().clone());
        self.connections.insert(peer.id, (Connection::new(peer, config, budget), Assembler::default()));
        self.ring();
        peer
    }

    pub(crate) fn reset(&mut self, peer: Peer) {
        self.connections.remove(&peer.id);
        self.store.disconnect(peer.id, self.now);
        self.ring();
    }

    pub(crate) fn send(&mut self, peer: Peer, bytes: impl AsRef<[u8]>) {
        let (connection, _) = self.connections.get_mut(&peer.id).unwrap();
        connection.handle_input(bytes.as_ref(), self.now, &mut self.store);
        while connection.has_work() {
            connection.handle_work(self.now, &mut self.store);
        }
        self.ring();
    }

    /// A client ends its side of the stream.
    pub(crate) fn end(&mut self, peer: Peer) {
        let (connection, _) = self.connections.get_mut(&peer.id).unwrap();
        connection.handle_eof(self.now, &mut self.store);
        self.ring();
    }

    /// The messages that are complete once a client has read at most so many bytes more.
    pub(crate) fn take(&mut self, peer: Peer, count: usize) -> Vec<Message> {
        let (connection, assembler) = self.connections.get_mut(&peer.id).unwrap();
        let mut messages = Vec::new();
        let mut left = count;
        while left > 0 && connection.output().has_remaining() {
            let chunk = connection.output().chunk();
            let piece = chunk[..chunk.len().min(left)].to_vec();
            left -= piece.len();
            connection.sent(piece.len(), self.now, &mut self.store);
            messages.extend(assembler.feed(&piece));
        }
        messages
    }

    /// Calls a connection, where there is mail for it.
    pub(crate) fn call(&mut self, peer: Peer) {
        if self.rung.remove(&peer.id)
            && let Some((connection, _)) = self.connections.get_mut(&peer.id)
        {
            connection.handle_mail(self.now, &mut self.store);
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.store.handle_timeout(self.now);
        self.ring();
    }

    /// Bytes that count against the total.
    pub(crate) fn bytes(&self) -> u64 {
        self.store.statistics().bytes
    }

    pub(crate) fn counters(&self) -> Counters {
        self.store.statistics().counters
    }

    fn ring(&mut self) {
        drop(self.store.take_garbage());
        self.rung.extend(self.store.take_woken());
    }
}
