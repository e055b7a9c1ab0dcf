//! Whose records are, and how long they live: docs/PROTOCOL.md §6.3 to §6.5, and quotas 2 and 3.

use crate::naive::Store;
use crate::support::wire::{EXPIRED, Message, quota};
use crate::terms::{Record, Rules, Time};

impl Record {
    /// Its owner is gone: from now on, or when it comes to it, so that it has a deadline of its own.
    pub(crate) fn is_left(&mut self, then: Time, late: bool) {
        self.deadline = Some(then + self.grace);
        self.own_deadline = if late { self.deadline } else { self.own_deadline };
        self.was_left = true;
    }
}

impl Store {
    /// A change of owner (§6.5).
    pub(crate) fn give(&mut self, xid: u32, pointer: u64, to: u64, now: Time) -> Result<(), Message> {
        if self.records[&pointer].owner == to {
            return Ok(());
        }
        self.owner_quotas(xid, to, self.records[&pointer].cost(), 1)?;
        let absent = !self.is_present(to);
        let record = self.records.get_mut(&pointer).unwrap();
        (record.owner, record.heir) = (to, 0);
        record.access &= !4;
        (record.deadline, record.own_deadline, record.was_left) = (None, None, false);
        if absent {
            record.is_left(now, true);
        }
        self.touch(pointer);
        Ok(())
    }

    fn holdings(&self, owner: u64) -> (u64, u64) {
        let own = self.records.values().filter(|it| it.owner == owner);
        own.fold((0, 0), |(bytes, records), it| (bytes + it.cost(), records + 1))
    }

    pub(crate) fn owner_quotas(&self, xid: u32, owner: u64, bytes: u64, records: u64) -> Result<(), Message> {
        let held = self.holdings(owner);
        match self.rules {
            Rules { owner_bytes: Some(limit), .. } if held.0 + bytes > limit => Err(quota(xid, 2, limit)),
            Rules { owner_records: Some(limit), .. } if held.1 + records > limit => Err(quota(xid, 3, limit)),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_present(&self, owner: u64) -> bool {
        self.present.get(&owner).is_some_and(|connections| *connections > 0)
    }

    /// A connection of an owner begins (§6.3).
    pub(crate) fn arrive(&mut self, owner: u64) {
        self.counts.connections += 1;
        *self.present.entry(owner).or_default() += 1;
        self.records.values_mut().filter(|it| it.owner == owner).for_each(|it| it.deadline = None);
    }

    /// A connection of an owner counts as closed (§6.3).
    pub(crate) fn leave(&mut self, owner: u64, now: Time) {
        *self.present.get_mut(&owner).unwrap() -= 1;
        if !self.is_present(owner) {
            let own = self.records.values_mut().filter(|it| it.owner == owner);
            own.for_each(|it| it.is_left(now, false));
        }
    }

    /// When the next record ends or changes hands, and whether by its ttl, which comes first.
    pub(crate) fn next_end(&self) -> Option<(Time, bool, u64)> {
        let ends = self.records.iter().flat_map(|(pointer, it)| {
            let ttl = it.ttl.map(|end| (end, false, *pointer));
            ttl.into_iter().chain(it.deadline.map(|end| (end, true, *pointer)))
        });
        ends.min().map(|(end, by_grace, pointer)| (end, !by_grace, pointer))
    }

    /// What ends by now has ended.
    pub(crate) fn expire(&mut self, now: Time) {
        let mut moment = None;
        while let Some((then, by_ttl, pointer)) = self.next_end().filter(|(end, ..)| *end <= now) {
            if moment.replace(then) != Some(then) {
                // Before anything of this moment has ended: what ends first may be what makes room for the others.
                let mut heirs = self.records.values().filter(|it| it.deadline == Some(then) && it.heir != 0);
                self.undecided |= heirs.any(|it| self.depends_on_order(it.heir, then));
            }
            let heir = self.records[&pointer].heir;
            if by_ttl || heir == 0 || self.give(0, pointer, heir, then).is_err() {
                self.counts.expired += 1;
                self.remove(pointer, EXPIRED);
            }
        }
        let passed = |it: &&mut Record| it.own_deadline.is_some_and(|deadline| deadline <= now);
        self.records.values_mut().filter(passed).for_each(|it| it.own_deadline = None);
    }

    /// Whether an heir's quotas leave it open what it gets at a moment, because more ends at the same one.
    fn depends_on_order(&self, heir: u64, then: Time) -> bool {
        let ends = |it: &Record| it.ttl == Some(then) || it.deadline == Some(then);
        let moving = self.records.values().filter(|it| ends(it) && (it.owner == heir || it.heir == heir));
        let limited = self.rules.owner_bytes.is_some() || self.rules.owner_records.is_some();
        limited && moving.count() > 1
    }
}
