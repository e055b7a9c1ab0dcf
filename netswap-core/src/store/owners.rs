//! Who owns which records, who is connected, and when an owner's records end (docs/PROTOCOL.md §6.3).

use alloc::vec::Vec;
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::lifetimes::{Lifetimes, Mortal};
use super::record::Record;
use crate::config::Limits;
use crate::error::{Quota, Refusal};
use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// Everybody who owns something or is connected.
#[derive(Debug)]
pub(super) struct Owners {
    holdings: HashMap<Owner, Holdings, FixedState>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Holdings {
    /// Open connections.
    connections: u32,
    /// Those of them that keep the records alive.
    present: u32,
    records: HashSet<Pointer, FixedState>,
    /// Those of the records that have a deadline of their own.
    apart: HashSet<Pointer, FixedState>,
    /// Those of the records that have a grace of their own.
    own_grace: HashSet<Pointer, FixedState>,
    /// What all records together count.
    bytes: u64,
    /// When the records that are not apart end.
    deadline: Option<Instant>,
}

impl Owners {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { holdings: HashMap::with_hasher(hasher.clone()), hasher }
    }

    pub(super) fn len(&self) -> usize {
        self.holdings.len()
    }

    /// Open connections of an owner.
    pub(super) fn connections(&self, owner: Owner) -> u32 {
        self.holdings.get(&owner).map_or(0, |holdings| holdings.connections)
    }

    /// An owner's records, in no order.
    pub(super) fn records(&self, owner: Owner) -> Vec<Pointer> {
        self.holdings.get(&owner).map_or_else(Vec::new, |holdings| holdings.records.iter().copied().collect())
    }

    /// When an owner's records end that have no deadline of their own.
    pub(super) fn deadline(&self, owner: Owner) -> Option<Instant> {
        self.holdings.get(&owner)?.deadline
    }

    /// Judges whether an owner may have `bytes` and `records` more.
    pub(super) fn allow(
        &self,
        owner: Owner,
        bytes: u64,
        records: u64,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let (held, count) = self
            .holdings
            .get(&owner)
            .map_or((0, 0), |holdings| (holdings.bytes, holdings.records.len() as u64));
        let over = |limit: Option<u64>, wanted: u64| limit.filter(|limit| wanted > *limit);
        if let Some(limit) = over(limits.owner_bytes, held.saturating_add(bytes)) {
            return Err(Refusal::QuotaExceeded { quota: Quota::OwnerBytes, limit });
        }
        match over(limits.owner_records, count + records) {
            Some(limit) => Err(Refusal::QuotaExceeded { quota: Quota::OwnerRecords, limit }),
            None => Ok(()),
        }
    }

    /// A connection of an owner begins: its records have no end in sight any more.
    pub(super) fn arrive(
        &mut self,
        owner: Owner,
        lifetimes: &mut Lifetimes,
        records: &mut HashMap<Pointer, Record, FixedState>,
    ) {
        let holdings = self.entry(owner);
        holdings.connections += 1;
        holdings.present += 1;
        if let Some(deadline) = holdings.deadline.take() {
            lifetimes.clear(deadline, Mortal::Owner(owner));
        }
        for pointer in holdings.apart.drain() {
            if let Some(deadline) = records.get_mut(&pointer).and_then(|record| record.deadline.take()) {
                lifetimes.clear(deadline, Mortal::Record(pointer));
            }
        }
    }

    /// A connection of an owner no longer keeps its records alive. After the last one they end with their grace.
    pub(super) fn leave(
        &mut self,
        owner: Owner,
        now: Instant,
        grace: Duration,
        lifetimes: &mut Lifetimes,
        records: &mut HashMap<Pointer, Record, FixedState>,
    ) {
        let Some(holdings) = self.holdings.get_mut(&owner) else { return };
        holdings.present -= 1;
        if holdings.present > 0 {
            return;
        }
        for pointer in &holdings.own_grace {
            if let Some(record) = records.get_mut(pointer) {
                holdings.apart.insert(*pointer);
                set_apart(*pointer, record, now, grace, lifetimes);
            }
        }
        if holdings.records.len() > holdings.apart.len() {
            holdings.deadline = Some(now + grace);
            lifetimes.set(now + grace, Mortal::Owner(owner));
        }
    }

    /// The socket of a connection that has left is closed.
    pub(super) fn close(&mut self, owner: Owner) {
        if let Some(holdings) = self.holdings.get_mut(&owner) {
            holdings.connections -= 1;
        }
        self.forget_idle(owner);
    }

    /// An owner gets a record. Where it has no connection, the record's grace begins.
    pub(super) fn add(
        &mut self,
        pointer: Pointer,
        record: &mut Record,
        now: Instant,
        grace: Duration,
        lifetimes: &mut Lifetimes,
    ) {
        let holdings = self.entry(record.owner);
        holdings.records.insert(pointer);
        holdings.bytes += record.cost();
        if record.grace().is_some() {
            holdings.own_grace.insert(pointer);
        }
        if holdings.present == 0 {
            holdings.apart.insert(pointer);
            set_apart(pointer, record, now, grace, lifetimes);
        }
    }

    /// A record is no longer its owner's.
    pub(super) fn remove(&mut self, pointer: Pointer, record: &Record, lifetimes: &mut Lifetimes) {
        let Some(holdings) = self.holdings.get_mut(&record.owner) else { return };
        holdings.records.remove(&pointer);
        holdings.own_grace.remove(&pointer);
        holdings.bytes -= record.cost();
        if let Some(deadline) = record.deadline {
            holdings.apart.remove(&pointer);
            lifetimes.clear(deadline, Mortal::Record(pointer));
        }
        if holdings.records.len() == holdings.apart.len()
            && let Some(deadline) = holdings.deadline.take()
        {
            lifetimes.clear(deadline, Mortal::Owner(record.owner));
        }
        self.forget_idle(record.owner);
    }

    /// A record of an owner has grown or shrunk.
    pub(super) fn resize(&mut self, owner: Owner, before: u64, after: u64) {
        if let Some(holdings) = self.holdings.get_mut(&owner) {
            holdings.bytes = holdings.bytes - before + after;
        }
    }

    /// An owner's deadline has come: the records that end with it.
    pub(super) fn take_estate(&mut self, owner: Owner) -> Vec<Pointer> {
        let Some(holdings) = self.holdings.get_mut(&owner) else { return Vec::new() };
        holdings.deadline = None;
        holdings.records.difference(&holdings.apart).copied().collect()
    }

    fn entry(&mut self, owner: Owner) -> &mut Holdings {
        let hasher = &self.hasher;
        self.holdings.entry(owner).or_insert_with(|| Holdings {
            connections: 0,
            present: 0,
            records: HashSet::with_hasher(hasher.clone()),
            apart: HashSet::with_hasher(hasher.clone()),
            own_grace: HashSet::with_hasher(hasher.clone()),
            bytes: 0,
            deadline: None,
        })
    }

    fn forget_idle(&mut self, owner: Owner) {
        if self.holdings.get(&owner).is_some_and(|it| it.connections == 0 && it.records.is_empty()) {
            self.holdings.remove(&owner);
        }
    }
}

/// Gives a record of an absent owner a deadline of its own.
fn set_apart(
    pointer: Pointer,
    record: &mut Record,
    now: Instant,
    grace: Duration,
    lifetimes: &mut Lifetimes,
) {
    let deadline = now + record.grace().unwrap_or(grace);
    record.deadline = Some(deadline);
    lifetimes.set(deadline, Mortal::Record(pointer));
}
