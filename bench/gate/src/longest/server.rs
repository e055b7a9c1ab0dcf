//! A server as adapters drive it: the store is locked for one call, and what a call leaves is cleared up after it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result, bail, ensure};
use netswap_core::config::{Config, Limits};
use netswap_core::connection::Connection;
use netswap_core::engine::{ConnectionId, Engine, Execution, Incident, ListCursor, Peer, Post, Told};
use netswap_core::error::Refusal;
use netswap_core::identity::IdentityKey;
use netswap_core::memory::{Garbage, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Code, HEADER_LEN, Opcode, READ_AT_MOST, Request};

use super::{one_connection_turn, one_store_call};
use crate::wire::{START, ready, request};

/// The store, each call of which is counted where calls are.
pub(super) struct Locked {
    store: Store,
    /// Those who are to be called.
    woken: Vec<ConnectionId>,
    count: bool,
}

/// A store and connections.
pub(super) struct Server {
    locked: Locked,
    /// In the order of their numbers.
    connections: Vec<Connection>,
    /// Whether what is done is counted.
    pub(super) count: bool,
}

impl Locked {
    fn call<R>(&mut self, call: impl FnOnce(&mut Store) -> R) -> R {
        let done = if self.count { one_store_call(|| call(&mut self.store)) } else { call(&mut self.store) };
        if self.store.leaves_something() {
            let (garbage, woken) = (self.store.take_garbage(), self.store.take_woken());
            drop(garbage);
            self.woken.extend(woken);
        }
        done
    }
}

impl Engine for Locked {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal> {
        self.call(|store| store.judge(peer, request, now))
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        self.call(|store| store.serve(peer, xid, request, now))
    }

    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post {
        self.call(|store| Store::take_mail(store, peer.id, room))
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told> {
        self.call(|store| Store::take_news(store, peer.id, xid, room))
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        self.call(|store| Store::forget(store, peer.id, xid));
    }

    fn begin_list(&mut self, peer: Peer) -> (u64, ListCursor) {
        self.call(|store| Store::begin_list(store, peer.owner))
    }

    fn continue_list(
        &mut self,
        peer: Peer,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        self.call(|store| Store::continue_list(store, peer.owner, cursor, pointers, now))
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        self.call(|store| Store::depart(store, peer.id, now));
    }

    fn discard(&mut self, garbage: &mut Garbage) {
        self.call(|store| store.add_garbage(garbage));
    }

    fn note(&mut self, incident: Incident) {
        self.call(|store| store.note(incident));
    }
}

impl Server {
    pub(super) fn new() -> Result<Self> {
        let config = Config::new(Limits::new(4 << 30), IdentityKey([7; 16]), [7; 32]);
        let locked = Locked { store: Store::new(config)?, woken: Vec::new(), count: false };
        Ok(Self { locked, connections: Vec::new(), count: false })
    }

    pub(super) fn requests(&self, opcode: Opcode) -> u64 {
        self.locked.store.statistics().counters.requests(opcode)
    }

    fn refusals(&self) -> u64 {
        let counters = self.locked.store.statistics().counters;
        Code::ALL.into_iter().map(|code| counters.refusals(code)).sum()
    }

    /// Somebody connects from the n-th address.
    pub(super) fn connect(&mut self, address: u8) -> Result<usize> {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, address));
        let admission = self.locked.call(|store| store.connect(address, START));
        let Admission::Served(peer) = admission else { bail!("turned away") };
        let (config, budget) = (self.locked.store.config().clone(), self.locked.store.budget().clone());
        self.connections.push(Connection::new(peer, config, budget));
        Ok(self.connections.len() - 1)
    }

    /// Creates a record.
    pub(super) fn create(&mut self, client: usize, access: Access, data: &[u8]) -> Result<Pointer> {
        self.pointer_of(client, Request::CreateRecord { access, data: data.to_vec() })
    }

    /// Reserves a record that others may read.
    pub(super) fn reserve(&mut self, client: usize) -> Result<Pointer> {
        self.pointer_of(client, Request::ReserveRecord { access: Access::READ })
    }

    /// The pointer that a request is answered with.
    fn pointer_of(&mut self, client: usize, it: Request<Vec<u8>>) -> Result<Pointer> {
        let connection = &mut self.connections[client];
        connection.handle_input(&request(1, it), START, &mut self.locked);
        let reply: Vec<u8> = connection.output().slices().flatten().copied().collect();
        connection.sent(reply.len(), START, &mut self.locked);
        let pointer = reply.get(HEADER_LEN..).context("no record")?.try_into().context("no pointer")?;
        Ok(Pointer(u64::from_be_bytes(pointer)))
    }

    /// Sends requests that are not counted, none of which may be refused, and reads their answers.
    pub(super) fn ask(
        &mut self,
        client: usize,
        requests: impl IntoIterator<Item = Request<Vec<u8>>>,
    ) -> Result<()> {
        let before = self.refusals();
        let bytes: Vec<u8> = (1..).zip(requests).flat_map(|(xid, it)| request(xid, it)).collect();
        self.send(client, &bytes, true);
        ensure!(self.refusals() == before, "a request was refused");
        Ok(())
    }

    /// A client asks for a record four times and reads nothing: from then on its output is full, and what it asks for is held.
    pub(super) fn hold(&mut self, client: usize, pointer: Pointer) -> Result<()> {
        let read = || Request::ReadRange { pointer, offset: 0, len: READ_AT_MOST as u32 };
        let reads = (0..4).flat_map(|n| request(1_000_000 + n, read()));
        let bytes: Vec<u8> = reads.collect();
        self.send(client, &bytes, false);
        ensure!(ready(self.connections[client].output()) > 0, "nothing is held");
        Ok(())
    }

    /// Sends bytes, as many at a time as adapters read, and does all that follows from them.
    pub(super) fn send(&mut self, client: usize, bytes: &[u8], reads: bool) {
        for piece in bytes.chunks(READ_AT_MOST) {
            self.turn(client, |connection, locked| connection.handle_input(piece, START, locked));
            self.go_on(client, reads);
        }
    }

    fn turn(&mut self, client: usize, turn: impl FnOnce(&mut Connection, &mut Locked)) {
        let (connection, locked) = (&mut self.connections[client], &mut self.locked);
        locked.count = self.count;
        if self.count {
            one_connection_turn(|| turn(connection, locked));
        } else {
            turn(connection, locked);
        }
    }

    /// Does what is left to be done, until nothing is. Whoever is called reads what it is told.
    fn go_on(&mut self, client: usize, reads: bool) {
        let first = self.connections[0].peer().id.0;
        self.finish(client, reads);
        loop {
            // Those who are called may be late: then they find all of it at once.
            while self.locked.store.poll_timeout() == Some(START) {
                self.locked.call(|store| store.handle_timeout(START));
            }
            let woken = std::mem::take(&mut self.locked.woken);
            if woken.is_empty() {
                return;
            }
            for id in woken {
                let called = (id.0 - first) as usize;
                self.turn(called, |connection, locked| connection.handle_mail(START, locked));
                self.finish(called, reads || called != client);
            }
        }
    }

    /// Does what a connection has to do.
    fn finish(&mut self, client: usize, reads: bool) {
        loop {
            let connection = &self.connections[client];
            let ready = if reads { ready(connection.output()) } else { 0 };
            if connection.has_work() {
                self.turn(client, |connection, locked| connection.handle_work(START, locked));
            } else if ready > 0 {
                self.turn(client, |connection, locked| connection.sent(ready, START, locked));
            } else {
                return;
            }
        }
    }
}
