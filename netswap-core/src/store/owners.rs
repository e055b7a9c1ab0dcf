//! Who owns which records, who is connected, and when an owner's records end (docs/PROTOCOL.md §6.3).
//!
//! Nothing here takes longer for an owner of many records than for one of few, its list apart. An owner that is gone has
//! one entry in the queue of deadlines, for when the first of its records ends; the others follow from when it left.
//! Records end one at a time, and there may be more of them that are due than have been ended. When their owner comes
//! back then, they must not live again: all of its records stay behind in an *estate* that nobody finds by the owner's
//! name, and of which the owner gets those that are still alive, one at a time.

mod estates;
mod holdings;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};
use core::time::Duration;

use foldhash::fast::FixedState;

use holdings::{Holdings, Kind, unqueue};

use super::absences::Absences;
use super::lifetimes::{Lifetimes, Mortal};
use super::record::{More, Record};
use super::records::Records;
use super::slab::Slot;
use super::table::Table;
use crate::config::{Limits, OWNER_COST, SETTINGS_COST};
use crate::error::{Quota, Refusal};
use crate::memory::Budget;
use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// A record with a grace of its own: when it ends, its grace in seconds, its pointer.
type NextGrace = (Instant, u32, Pointer);

/// Everybody who owns something or is connected.
#[derive(Debug)]
pub(super) struct Owners {
    holdings: Table<Holdings>,
    /// The records that have a grace of their own, by their owners and it.
    own_grace: BTreeSet<(Slot, u32, Pointer)>,
    /// The grace of all others.
    grace: Duration,
    absences: Absences,
    /// Estates, and the number of the latest.
    estates: usize,
    last_estate: u32,
    budget: Arc<Budget>,
}

impl Owners {
    pub(super) fn new(hasher: FixedState, grace: Duration, budget: Arc<Budget>) -> Self {
        Self {
            budget,
            holdings: Table::new(hasher),
            own_grace: BTreeSet::new(),
            grace,
            absences: Absences::default(),
            estates: 0,
            last_estate: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.holdings.len() - self.estates
    }

    /// Whether [`free_some`](Self::free_some) is due.
    pub(super) fn has_spare(&self) -> bool {
        self.holdings.has_spare()
    }

    /// Frees some room that owners have left.
    pub(super) fn free_some(&mut self) {
        self.holdings.free_some();
    }

    /// Where an owner is, if it has records or is connected.
    #[inline(always)]
    pub(super) fn find(&self, owner: Owner) -> Option<Slot> {
        self.holdings.find(owner)
    }

    /// Where an owner is, or is from now on. It must get a record or a connection next.
    pub(super) fn enter(&mut self, owner: Owner) -> Slot {
        self.find(owner).unwrap_or_else(|| self.holdings.insert(Holdings::new(owner)))
    }

    /// Who is there.
    pub(super) fn get(&self, slot: Slot) -> Option<Owner> {
        self.holdings.get(slot).map(|holdings| holdings.owner)
    }

    /// Open connections of an owner.
    pub(super) fn connections(&self, owner: Owner) -> u32 {
        self.find(owner).and_then(|slot| self.holdings.get(slot)).map_or(0, |holdings| holdings.connections)
    }

    /// How many records an owner has, those that are due included.
    pub(super) fn count_of(&self, owner: Owner) -> usize {
        self.find(owner).and_then(|slot| self.holdings.get(slot)).map_or(0, |it| it.records as usize)
    }

    /// An owner's records, in no order; where some may be due by a moment, only those that are not.
    pub(super) fn records(&self, owner: Owner, records: &Records, due_by: Option<Instant>) -> Vec<Pointer> {
        let mut at = self.find(owner);
        let count = at.and_then(|at| self.holdings.get(at)).map_or(0, |holdings| holdings.records);
        let mut pointers = Vec::with_capacity(count as usize);
        while let Some(holdings) = at.and_then(|at| self.holdings.get(at)) {
            let all = holdings.lists.iter().flat_map(|list| list.iter(records));
            let left = all.filter(|slot| due_by.is_none_or(|now| !self.has_ended(*slot, records, now)));
            pointers.extend(left.filter_map(|slot| Some(records.get(slot)?.pointer)));
            at = holdings.predecessor;
        }
        pointers
    }

    /// Whether a record has ended by a moment, though it is still there.
    pub(super) fn has_ended(&self, slot: Slot, records: &Records, now: Instant) -> bool {
        let more = records.more(slot);
        let grace = records.get(slot).and_then(|record| self.deadline(record, more));
        let ttl = more.and_then(|more| more.settings.ttl);
        grace.into_iter().chain(ttl).any(|end| end <= now)
    }

    /// When a record's grace ends, as things stand.
    pub(super) fn deadline(&self, record: &Record, more: Option<&More>) -> Option<Instant> {
        // An entry of its own that is left from an earlier absence of the owner is before this.
        let own = more.and_then(|more| more.deadline).unwrap_or(Instant::ZERO);
        let grace = self.grace_of(more);
        let mut at = record.owner;
        loop {
            let holdings = self.holdings.get(at)?;
            if holdings.present > 0 {
                return None;
            }
            let deadline = own.max(holdings.left + grace);
            match holdings.successor {
                Some(successor) if deadline > holdings.came => at = successor,
                _ => return Some(deadline),
            }
        }
    }

    /// What the server's memory counts more with a record that comes to an owner, beside the record itself.
    pub(super) fn cost_of_coming(&self, owner: Owner) -> usize {
        match self.find(owner).and_then(|slot| self.holdings.get(slot)) {
            Some(holdings) if holdings.present > 0 => 0,
            Some(_) => SETTINGS_COST,
            None => SETTINGS_COST + OWNER_COST,
        }
    }

    /// Judges whether an owner, who may have nothing yet, may have `bytes` and `records` more.
    pub(super) fn allow(
        &self,
        slot: Option<Slot>,
        bytes: u64,
        records: u64,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let mut slot = slot;
        let mut held = (0, 0);
        while let Some(holdings) = slot.and_then(|slot| self.holdings.get(slot)) {
            held = (holdings.bytes, u64::from(holdings.records));
            slot = holdings.successor;
        }
        let over = |limit: Option<u64>, wanted: u64| limit.filter(|limit| wanted > *limit);
        if let Some(limit) = over(limits.owner_bytes, held.0.saturating_add(bytes)) {
            return Err(Refusal::QuotaExceeded { quota: Quota::OwnerBytes, limit });
        }
        match over(limits.owner_records, held.1 + records) {
            Some(limit) => Err(Refusal::QuotaExceeded { quota: Quota::OwnerRecords, limit }),
            None => Ok(()),
        }
    }

    /// A connection of an owner begins: its records have no end in sight any more, but those that have ended by now.
    pub(super) fn arrive(
        &mut self,
        owner: Owner,
        now: Instant,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) {
        let mut slot = self.enter(owner);
        let shortest = self.shortest_grace();
        if self.holdings.get(slot).is_some_and(|it| it.is_behind(now) || it.outlasts(shortest, now)) {
            slot = self.leave_behind(slot, now, lifetimes);
        }
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.connections += 1;
        holdings.charge = None;
        holdings.present += 1;
        if holdings.present > 1 {
            return;
        }
        unqueue(holdings, lifetimes);
        let absence = (now, holdings.left);
        let late = core::mem::take(holdings.list(Kind::Late));
        holdings.list(Kind::Ordinary).append(late, records);
        if lifetimes.is_due(now) {
            self.absences.note(owner, absence, shortest);
        } else {
            self.absences.forget_some();
        }
    }

    /// A connection of an owner no longer keeps its records alive. After the last one they end with their grace.
    pub(super) fn leave(&mut self, owner: Owner, now: Instant, lifetimes: &mut Lifetimes) {
        let Some(slot) = self.find(owner) else { return };
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.present -= 1;
        if holdings.present == 0 {
            holdings.left = now;
            holdings.passed = (0, Pointer(0));
            (holdings.late_from, holdings.late) = (Instant::NEVER, 0);
            self.queue(slot, lifetimes);
        }
    }

    /// The socket of a connection that has left is closed.
    pub(super) fn close(&mut self, owner: Owner, lifetimes: &mut Lifetimes) {
        let Some(slot) = self.find(owner) else { return };
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.connections -= 1;
        holdings.count_absent(&self.budget);
        self.drop_idle(slot, lifetimes);
    }

    /// An owner gets a record that is nobody's, as of a moment that may be past. Where it has no connection, the record's
    /// grace begins.
    pub(super) fn add(
        &mut self,
        slot: Slot,
        record: Slot,
        then: Instant,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) {
        let Some(added) = records.get_mut(record) else { return };
        added.owner = slot;
        let (pointer, cost, has_more) = (added.pointer, added.cost(), added.has_more);
        let own_grace = if has_more { records.more(record).and_then(own_grace) } else { None };
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        holdings.bytes += cost;
        holdings.records += 1;
        holdings.count_absent(&self.budget);
        let (is_late, successor) = (holdings.present == 0, holdings.successor);
        let kind = match own_grace {
            Some(grace) => {
                self.own_grace.insert((slot, grace, pointer));
                Kind::OwnGrace
            }
            None if is_late => Kind::Late,
            None => Kind::Ordinary,
        };
        holdings.list(kind).push(record, records);
        if is_late {
            self.set_deadline(slot, record, then, lifetimes, records);
        }
        if let Some(successor) = successor {
            self.count(successor, |holdings| {
                holdings.bytes += cost;
                holdings.records += 1;
            });
        }
    }

    /// The grace of a record of an owner that is gone begins, for it alone.
    #[inline(never)]
    fn set_deadline(
        &mut self,
        slot: Slot,
        record: Slot,
        then: Instant,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) {
        let grace = self.grace_of(records.more(record));
        let Some(holdings) = self.holdings.get_mut(slot) else { return };
        let deadline = then.max(holdings.left) + grace;
        holdings.late_from = holdings.late_from.min(deadline);
        holdings.late = holdings.late.saturating_add(1);
        records.edit(record, |record, more| {
            more.deadline = Some(deadline);
            lifetimes.set(deadline, Mortal::Record(record.pointer));
        });
    }

    /// A record is no longer its owner's.
    pub(super) fn remove(&mut self, record: Slot, lifetimes: &mut Lifetimes, records: &mut Records) {
        if let Some((slot, true)) = self.take_out(record, lifetimes, records) {
            self.lose(slot, lifetimes);
        }
    }

    /// An owner has lost a record: it may have nothing left that ends with its absence, or nothing at all.
    #[inline(never)]
    fn lose(&mut self, slot: Slot, lifetimes: &mut Lifetimes) {
        if let Some(holdings) = self.holdings.get(slot)
            && holdings.queued != Instant::NEVER
            && holdings.lists[Kind::Ordinary as usize].first().is_none()
            && self.ends(slot).is_some_and(|(_, own_grace)| own_grace.is_none())
            && let Some(holdings) = self.holdings.get_mut(slot)
        {
            unqueue(holdings, lifetimes);
        }
        self.drop_idle(slot, lifetimes);
    }

    /// Takes a record from its owner, of whom all is known still: where that is, and whether it may be known that nothing is
    /// left there.
    fn take_out(
        &mut self,
        record: Slot,
        lifetimes: &mut Lifetimes,
        records: &mut Records,
    ) -> Option<(Slot, bool)> {
        let removed = records.get(record)?;
        let (slot, cost, pointer, has_more) =
            (removed.owner, removed.cost(), removed.pointer, removed.has_more);
        let holdings = self.holdings.get_mut(slot)?;
        holdings.bytes -= cost;
        holdings.records -= 1;
        holdings.list_of(record).remove(record, records);
        let successor = holdings.successor;
        let may_be_last = holdings.queued != Instant::NEVER || successor.is_some() || holdings.is_idle();
        if has_more && let Some(more) = records.more(record) {
            let has_deadline = more.deadline.is_some();
            if let Some(grace) = own_grace(more) {
                self.own_grace.remove(&(slot, grace, pointer));
            }
            if has_deadline {
                clear_deadline(record, lifetimes, records);
            }
        }
        if let Some(successor) = successor {
            self.count(successor, |holdings| {
                holdings.bytes -= cost;
                holdings.records -= 1;
            });
        }
        Some((slot, may_be_last))
    }

    /// A record is at another slot now.
    pub(super) fn moved(&mut self, from: Slot, to: Slot, records: &mut Records) {
        let Some(record) = records.get(to) else { return };
        if let Some(holdings) = self.holdings.get_mut(record.owner) {
            holdings.list_of(from).moved(to, records);
        }
    }

    /// A record of an owner has grown or shrunk.
    pub(super) fn resize(&mut self, slot: Slot, before: u64, after: u64) {
        self.count(slot, |holdings| holdings.bytes = holdings.bytes - before + after);
    }

    /// The next record of an owner that is gone of which the grace ends by a moment, once; or when that will be.
    pub(super) fn next_to_end(
        &mut self,
        owner: Owner,
        then: Instant,
        lifetimes: &mut Lifetimes,
        records: &Records,
    ) -> Option<Slot> {
        let slot = self.find(owner)?;
        let (ordinary, own_grace) = self.ends(slot)?;
        let holdings = self.holdings.get_mut(slot)?;
        if ordinary <= then {
            return holdings.list(Kind::Ordinary).first();
        }
        if let Some((deadline, grace, pointer)) = own_grace
            && deadline <= then
        {
            holdings.passed = (grace, pointer);
            return records.find(pointer);
        }
        unqueue(holdings, lifetimes);
        self.queue(slot, lifetimes);
        self.drop_idle(slot, lifetimes);
        None
    }

    /// The records with a grace of their own of an owner that is gone, in the order in which they end: for looking at them.
    pub(super) fn own_grace_of(&self, owner: Owner) -> impl Iterator<Item = Pointer> {
        let slot = self.find(owner);
        let passed = slot.and_then(|slot| self.holdings.get(slot)).map(|holdings| holdings.passed);
        let from = slot.zip(passed).map(|(slot, (grace, pointer))| (slot, grace, pointer));
        from.into_iter().flat_map(|from| {
            // Another sort of range than in `ends`, so that the compiler leaves the search there in one piece.
            let rest = self.own_grace.range(from..);
            rest.take_while(move |(slot, ..)| *slot == from.0).map(|(.., pointer)| *pointer)
        })
    }

    /// Whether a record that an owner got at a past moment has ended before the owner came.
    pub(super) fn came_too_late(&self, record: &Record, more: Option<&More>, then: Instant) -> bool {
        self.get(record.owner).is_some_and(|owner| self.absences.outlast(owner, then, self.grace_of(more)))
    }

    /// How long a record outlives its owner's last connection.
    fn grace_of(&self, more: Option<&More>) -> Duration {
        more.and_then(|more| more.settings.grace).unwrap_or(self.grace)
    }

    /// When the ordinary records of an owner that is gone end, and the next one with a grace of its own.
    fn ends(&self, slot: Slot) -> Option<(Instant, Option<NextGrace>)> {
        let holdings = self.holdings.get(slot)?;
        let ordinary = holdings.lists[Kind::Ordinary as usize].first();
        let ordinary = ordinary.map_or(Instant::NEVER, |_| holdings.left + self.grace);
        let (grace, pointer) = holdings.passed;
        let mut rest = self.own_grace.range((Excluded((slot, grace, pointer)), Unbounded));
        let own_grace = rest.next().filter(|(owner, ..)| *owner == slot).map(|(_, grace, pointer)| {
            (holdings.left + Duration::from_secs(u64::from(*grace)), *grace, *pointer)
        });
        Some((ordinary, own_grace))
    }

    /// Puts an owner that is gone into the queue.
    fn queue(&mut self, slot: Slot, lifetimes: &mut Lifetimes) {
        let Some((ordinary, own_grace)) = self.ends(slot) else { return };
        let next = own_grace.map_or(ordinary, |(deadline, ..)| deadline.min(ordinary));
        if let Some(holdings) = self.holdings.get_mut(slot)
            && next != Instant::NEVER
        {
            holdings.queued = next;
            lifetimes.set(next, Mortal::Owner(holdings.owner));
        }
    }

    /// Changes what an owner's records count, where they are and wherever they may go.
    #[cold]
    fn count(&mut self, slot: Slot, change: impl Fn(&mut Holdings)) {
        let mut at = Some(slot);
        while let Some(holdings) = at.and_then(|at| self.holdings.get_mut(at)) {
            change(holdings);
            at = holdings.successor;
        }
    }

    /// Forgets an owner of whom there is nothing to be known any more. While something is due from before it left, of which
    /// it may be the heir, it must be known that it was there then.
    fn drop_idle(&mut self, mut slot: Slot, lifetimes: &mut Lifetimes) {
        while let Some(successor) = self.holdings.get(slot).and_then(|holdings| holdings.successor) {
            slot = successor;
        }
        let Some(holdings) = self.holdings.get_mut(slot).filter(|holdings| holdings.is_idle()) else {
            return;
        };
        unqueue(holdings, lifetimes);
        if lifetimes.next().is_some_and(|next| next < holdings.left) {
            holdings.queued = holdings.left;
            lifetimes.set(holdings.left, Mortal::Owner(holdings.owner));
        } else {
            self.holdings.remove(slot);
        }
    }

    /// The shortest grace above nothing: that of SET_LIFETIME is in seconds.
    fn shortest_grace(&self) -> Duration {
        const SECOND: Duration = Duration::from_secs(1);
        if self.grace.is_zero() { SECOND } else { self.grace.min(SECOND) }
    }
}

/// A record's own grace, in seconds: SET_LIFETIME has no other.
fn own_grace(more: &More) -> Option<u32> {
    more.settings.grace.map(|grace| u32::try_from(grace.as_secs()).unwrap_or(u32::MAX))
}

/// Takes a record's own deadline from it, where it has one.
fn clear_deadline(record: Slot, lifetimes: &mut Lifetimes, records: &mut Records) {
    records.edit_any(record, |record, more| {
        if let Some(deadline) = more.deadline.take() {
            lifetimes.clear_first(deadline, Mortal::Record(record.pointer));
        }
    });
}

#[cfg(test)]
mod tests;
