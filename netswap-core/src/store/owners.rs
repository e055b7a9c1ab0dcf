//! Who owns which records, who is connected, and when an owner's records end (docs/PROTOCOL.md §6.3).

use alloc::vec::Vec;
use core::time::Duration;

use foldhash::fast::FixedState;
use hashbrown::HashSet;

use super::lifetimes::{Lifetimes, Mortal};
use super::list::List;
use super::records::Records;
use super::slab::Slot;
use super::index::less_room;
use super::table::{Named, Table};
use crate::config::Limits;
use crate::error::{Quota, Refusal};
use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// The least room that is kept for an owner's records of a kind.
const KEPT: usize = 8;

/// Everybody who owns something or is connected.
#[derive(Debug)]
pub(super) struct Owners {
    holdings: Table<Holdings>,
    hasher: FixedState,
}

#[derive(Debug)]
struct Holdings {
    owner: Owner,
    /// Open connections.
    connections: u32,
    /// Those of them that keep the records alive.
    present: u32,
    records: List,
    /// Those of the records that have a deadline of their own.
    apart: HashSet<Slot, FixedState>,
    /// Those of the records that have a grace of their own.
    own_grace: HashSet<Slot, FixedState>,
    /// What all records together count.
    bytes: u64,
    /// When the records that are not apart end.
    deadline: Option<Instant>,
}

impl Named for Holdings {
    type Name = Owner;

    fn name(&self) -> Owner {
        self.owner
    }
}

impl Owners {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { holdings: Table::new(hasher.clone()), hasher }
    }

    pub(super) fn len(&self) -> usize {
        self.holdings.len()
    }

    /// Where an owner is, if it has records or is connected.
    pub(super) fn find(&self, owner: Owner) -> Option<Slot> {
        self.holdings.find(owner)
    }

    /// Where an owner is, or is from now on. It must get a record or a connection next.
    pub(super) fn enter(&mut self, owner: Owner) -> Slot {
        self.find(owner).unwrap_or_else(|| {
            self.holdings.insert(Holdings {
                owner,
                connections: 0,
                present: 0,
                records: List::default(),
                apart: HashSet::with_hasher(self.hasher.clone()),
                own_grace: HashSet::with_hasher(self.hasher.clone()),
                bytes: 0,
                deadline: None,
            })
        })
    }

    /// Who is there.
    pub(super) fn get(&self, slot: Slot) -> Option<Owner> {
        self.holdings.get(slot).map(|holdings| holdings.owner)
    }

    /// Open connections of an owner.
    pub(super) fn connections(&self, owner: Owner) -> u32 {
        self.of(owner).map_or(0, |holdings| holdings.connections)
    }

    /// An owner's records, in no order.
    pub(super) fn records(&self, owner: Owner, records: &Records) -> Vec<Pointer> {
        let Some(holdings) = self.of(owner) else { return Vec::new() };
        let mut pointers = Vec::with_capacity(holdings.records.len());
        pointers.extend(holdings.records.iter(records).filter_map(|slot| Some(records.get(slot)?.pointer)));
        pointers
    }

    /// When an owner's records end that have no deadline of their own.
    pub(super) fn deadline(&self, slot: Slot) -> Option<Instant> {
        self.holdings.get(slot)?.deadline
    }

    /// Judges whether an owner, who may have nothing yet, may have `bytes` and `records` more.
    pub(super) fn allow(
        &self,
        slot: Option<Slot>,
        bytes: u64,
        records: u64,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let (held, count) = slot
            .and_then(|slot| self.holdings.get(slot))
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
    pub(super) fn arrive(&mut self, owner: Owner, lifetimes: &mut Lifetimes, records: &mut Records) {
        let slot = self.enter(owner);
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.connections += 1;
        holdings.present += 1;
        if let Some(deadline) = holdings.deadline.take() {
            lifetimes.clear(deadline, Mortal::Owner(owner));
        }
        for record in holdings.apart.drain() {
            clear_deadline(record, lifetimes, records);
        }
        holdings.apart.shrink_to(0);
    }

    /// A connection of an owner no longer keeps its records alive. After the last one they end with their grace.
    pub(super) fn leave(
        &mut self,
        owner: Owner,
        now: Instant,
        grace: Duration,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) {
        let slot = self.find(owner);
        let Some(holdings) = slot.and_then(|slot| self.holdings.get_mut(slot)) else { return };
        holdings.present -= 1;
        if holdings.present > 0 {
            return;
        }
        for record in &holdings.own_grace {
            holdings.apart.insert(*record);
            set_deadline(*record, now, grace, lifetimes, records);
        }
        if holdings.records.len() > holdings.apart.len() {
            holdings.deadline = Some(now + grace);
            lifetimes.set(now + grace, Mortal::Owner(owner));
        }
    }

    /// The socket of a connection that has left is closed.
    pub(super) fn close(&mut self, owner: Owner) {
        let Some(slot) = self.find(owner) else { return };
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.connections -= 1;
        if holdings.is_idle() {
            self.holdings.remove(slot);
        }
    }

    /// An owner gets a record that is nobody's. Where it has no connection, the record's grace begins.
    pub(super) fn add(
        &mut self,
        slot: Slot,
        record: Slot,
        now: Instant,
        grace: Duration,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) {
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        let Some(added) = records.get_mut(record) else { return };
        added.owner = slot;
        holdings.bytes += added.cost();
        if records.more(record).is_some_and(|more| more.settings.grace.is_some()) {
            holdings.own_grace.insert(record);
        }
        holdings.records.push(record, records);
        if holdings.present == 0 {
            holdings.apart.insert(record);
            set_deadline(record, now, grace, lifetimes, records);
        }
    }

    /// A record is no longer its owner's.
    pub(super) fn remove(&mut self, record: Slot, lifetimes: &mut Lifetimes, records: &mut Records) {
        let Some(removed) = records.get(record) else { return };
        let (slot, has_more) = (removed.owner, removed.has_more);
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.bytes -= removed.cost();
        holdings.records.remove(record, records);
        if has_more {
            for slots in [&mut holdings.own_grace, &mut holdings.apart] {
                slots.remove(&record);
                if let Some(room) = less_room(slots.len(), slots.capacity(), KEPT) {
                    slots.shrink_to(room);
                }
            }
            clear_deadline(record, lifetimes, records);
        }
        if holdings.records.len() == holdings.apart.len()
            && let Some(deadline) = holdings.deadline.take()
        {
            lifetimes.clear(deadline, Mortal::Owner(holdings.owner));
        }
        if holdings.is_idle() {
            self.holdings.remove(slot);
        }
    }

    /// A record is at another slot now.
    pub(super) fn moved(&mut self, from: Slot, to: Slot, records: &mut Records) {
        let Some(record) = records.get(to) else { return };
        let (slot, has_more) = (record.owner, record.has_more);
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.records.moved(to, records);
        if has_more {
            for slots in [&mut holdings.apart, &mut holdings.own_grace] {
                if slots.remove(&from) {
                    slots.insert(to);
                }
            }
        }
    }

    /// A record of an owner has grown or shrunk.
    pub(super) fn resize(&mut self, slot: Slot, before: u64, after: u64) {
        if let Some(holdings) = self.holdings.get_mut(slot) {
            holdings.bytes = holdings.bytes - before + after;
        }
    }

    /// An owner's deadline has come: the records that end with it.
    pub(super) fn take_estate(&mut self, owner: Owner, records: &Records) -> Vec<Slot> {
        let slot = self.find(owner);
        let Some(holdings) = slot.and_then(|slot| self.holdings.get_mut(slot)) else { return Vec::new() };
        holdings.deadline = None;
        holdings.records.iter(records).filter(|record| !holdings.apart.contains(record)).collect()
    }

    fn of(&self, owner: Owner) -> Option<&Holdings> {
        self.holdings.get(self.find(owner)?)
    }
}

impl Holdings {
    /// Whether there is nothing to be known of the owner any more.
    fn is_idle(&self) -> bool {
        self.connections == 0 && self.records.is_empty()
    }
}

/// Gives a record of an absent owner a deadline of its own.
fn set_deadline(
    record: Slot,
    now: Instant,
    grace: Duration,
    lifetimes: &mut Lifetimes,
    records: &mut Records,
) {
    records.edit(record, |record, more| {
        let deadline = now + more.settings.grace.unwrap_or(grace);
        more.deadline = Some(deadline);
        lifetimes.set(deadline, Mortal::Record(record.pointer));
    });
}

/// Takes a record's own deadline from it, where it has one.
fn clear_deadline(record: Slot, lifetimes: &mut Lifetimes, records: &mut Records) {
    records.edit_any(record, |record, more| {
        if let Some(deadline) = more.deadline.take() {
            lifetimes.clear(deadline, Mortal::Record(record.pointer));
        }
    });
}
