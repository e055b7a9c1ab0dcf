//! Records on plain maps: who owns them, and when they end (docs/PROTOCOL.md §6).

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use netswap_core::config::{Config, RECORD_OVERHEAD};
use netswap_core::engine::Peer;
use netswap_core::error::{Quota, Refusal};
use netswap_core::server::Server;
use netswap_core::time::Instant;
use netswap_core::types::{Access, Owner};
use netswap_core::wire::Ending;

use super::{ConnectionNumber, Judge};
use crate::failure::{Failure, Invariant};

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) owner: Owner,
    pub(super) access: Access,
    pub(super) version: u64,
    pub(super) data: Bytes,
    /// Its own grace, in milliseconds.
    pub(super) grace: Option<u64>,
    pub(super) ttl: Option<u64>,
    pub(super) heir: Option<Owner>,
    /// Since when its owner is gone.
    pub(super) alone_since: Option<u64>,
    /// Whether its owner has been gone since it got it.
    pub(super) was_left: bool,
}

impl Record {
    pub(super) fn allows(&self, caller: Owner, right: Access) -> bool {
        caller == self.owner || (!right.is_empty() && self.access.contains(right))
    }

    fn cost(&self) -> u64 {
        (self.data.len() + RECORD_OVERHEAD) as u64
    }
}

/// All states that a record has had.
#[derive(Debug, Default)]
pub(super) struct History {
    /// A hash of the data of every version, from the first on.
    pub(super) versions: Vec<u64>,
    pub(super) access: Vec<Access>,
    pub(super) owners: Vec<Owner>,
    /// Who asked whom for it.
    pub(super) requests: Vec<(Owner, Owner)>,
}

pub(super) fn hash(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

/// The pointers that a server with the same seed gives out.
pub(super) struct Pointers {
    server: Option<(Server, Peer)>,
    count: u32,
}

impl Pointers {
    pub(super) fn new(config: &Config) -> Self {
        let server = Server::new(config.clone()).ok().and_then(|mut server| {
            let peer = server.connect([127, 0, 0, 1].into(), Instant::ZERO)?;
            Some((server, peer))
        });
        Self { server, count: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        let Some((server, peer)) = &mut self.server else { return 0 };
        self.count += 1;
        let mut ask = |bytes: &[u8]| {
            server.handle_input(peer.id, bytes, Instant::ZERO);
            let reply: Vec<u8> =
                server.output(peer.id).into_iter().flat_map(|it| it.slices()).flatten().copied().collect();
            server.sent(peer.id, reply.len(), Instant::ZERO);
            reply
        };
        let reply = ask(&[0, 0, 0, 1, 0, 0, 0, 0, 18, 0]);
        let pointer = reply.get(10..).and_then(|it| it.first_chunk()).map_or(0, |it| u64::from_be_bytes(*it));
        let mut delete = vec![0, 0, 0, 1, 0, 0, 0, 8, 4, 0];
        delete.extend(pointer.to_be_bytes());
        ask(&delete);
        pointer
    }
}

impl Judge {
    /// What an owner's records count, and how many they are.
    pub(super) fn holdings(&self, owner: Owner) -> (u64, u64) {
        let records = self.records.values().filter(|it| it.owner == owner);
        records.fold((0, 0), |(bytes, count), record| (bytes + record.cost(), count + 1))
    }

    /// Judges whether an owner may have more (docs/PROTOCOL.md §7.1).
    pub(super) fn allow(&self, owner: Owner, bytes: u64, records: u64) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        if limits.owner_bytes.is_none() && limits.owner_records.is_none() {
            return Ok(());
        }
        let (held, count) = self.holdings(owner);
        let over = |limit: Option<u64>, wanted| limit.filter(|limit| wanted > *limit);
        if let Some(limit) = over(limits.owner_bytes, held + bytes) {
            return Err(Refusal::QuotaExceeded { quota: Quota::OwnerBytes, limit });
        }
        match over(limits.owner_records, count + records) {
            Some(limit) => Err(Refusal::QuotaExceeded { quota: Quota::OwnerRecords, limit }),
            None => Ok(()),
        }
    }

    pub(super) fn is_present(&self, owner: Owner) -> bool {
        self.present.get(&owner).is_some_and(|count| *count > 0)
    }

    pub(super) fn arrive(&mut self, owner: Owner) {
        *self.present.entry(owner).or_default() += 1;
        self.records.values_mut().filter(|it| it.owner == owner).for_each(|it| it.alone_since = None);
    }

    /// A connection no longer keeps its owner's records alive, and is told no more of what it watches.
    pub(super) fn depart(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        // Of what the server finds out only now it tells this connection nothing.
        self.watches.values_mut().filter(|it| it.connection == number).for_each(|it| it.silent = true);
        self.expire()?;
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        connection.desk.clear();
        if !std::mem::take(&mut connection.present) {
            return Ok(());
        }
        let owner = connection.owner;
        if let Some(count) = self.present.get_mut(&owner) {
            *count -= 1;
        }
        if !self.is_present(owner) {
            let now = self.now;
            self.records
                .values_mut()
                .filter(|it| it.owner == owner)
                .for_each(|it| (it.alone_since, it.was_left) = (Some(now), true));
        }
        Ok(())
    }

    /// What ends next: when, in which order of what ends at once, and which record.
    pub(super) fn next_end(&self) -> Option<(u64, bool, u64)> {
        let grace = self.config.times.grace.as_millis() as u64;
        let ends = self.records.iter().flat_map(|(pointer, record)| {
            let ttl = record.ttl.map(|at| (at, false, *pointer));
            let alone = record.alone_since.map(|at| (at + record.grace.unwrap_or(grace), true, *pointer));
            ttl.into_iter().chain(alone)
        });
        ends.min()
    }

    /// Ends what has to end by now.
    pub(super) fn expire(&mut self) -> Result<(), Failure> {
        while let Some((at, may_inherit, pointer)) = self.next_end().filter(|(at, ..)| *at <= self.now) {
            let heir = self.records.get(&pointer).and_then(|it| it.heir).filter(|_| may_inherit);
            if heir.is_some_and(|heir| self.give(pointer, heir, at).is_ok()) {
                continue;
            }
            self.end(pointer, Ending::Expired);
        }
        Ok(())
    }

    /// Makes somebody the owner of a record (docs/PROTOCOL.md §6.5).
    pub(super) fn give(&mut self, pointer: u64, to: Owner, at: u64) -> Result<(), Refusal> {
        let record = self.records.get(&pointer).ok_or(Refusal::AddressFault)?;
        if record.owner == to {
            return Ok(());
        }
        self.allow(to, record.cost(), 1)?;
        let alone_since = (!self.is_present(to)).then_some(at);
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        (record.owner, record.heir, record.alone_since) = (to, None, alone_since);
        record.was_left = alone_since.is_some();
        let access = record.access.difference(Access::TAKEOVER);
        let changed = std::mem::replace(&mut record.access, access) != access;
        self.rights_changed(pointer, Some(to), changed.then_some(access));
        Ok(())
    }

    /// A record is no more.
    pub(super) fn end(&mut self, pointer: u64, ending: Ending) {
        if self.records.remove(&pointer).is_some() {
            self.ended(pointer, ending);
        }
    }

    /// A new record; its pointer must never have been given out.
    pub(super) fn add(&mut self, record: Record) -> Result<u64, Failure> {
        let pointer = self.pointers.next();
        let mut history =
            History { access: vec![record.access], owners: vec![record.owner], ..History::default() };
        if record.version > 0 {
            history.versions.push(hash(&record.data));
        }
        if pointer == 0 || self.histories.insert(pointer, history).is_some() {
            let what = format!("pointer {pointer:016x} is given out again");
            return Err(Failure::everywhere(Invariant::OneOrder, what));
        }
        self.records.insert(pointer, record);
        Ok(pointer)
    }
}
