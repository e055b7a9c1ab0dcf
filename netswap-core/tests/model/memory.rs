//! What counts in the server's memory (docs/PROTOCOL.md §7.2).

use std::collections::BTreeSet;

use crate::naive::Store;
use crate::support::wire::{Message, quota};
use crate::support::{OWNER_COST, SETTINGS_COST, flat, held};
use crate::terms::Record;

/// What is known of the server's memory while it carries out a request: how much is used, what the request has counted
/// so far, whether it was refused for it, whether nothing waits to be sent to anybody.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    pub(crate) counted: u64,
    pub(crate) refused: bool,
    pub(crate) quiet: bool,
}

impl Record {
    /// The least that its data count: holes count nothing.
    pub(crate) fn least_held(&self) -> u64 {
        let len = self.data().len() as u64;
        if self.extended && len > flat() { 0 } else { held(len) }
    }

    /// What its settings and a deadline of its own count, at least and at most. A server that was late may have found out
    /// about the absences of an owner one by one, so that any of them gave the record a deadline of its own, or none. When
    /// the owner has come, it may keep the entry of a deadline until that has passed.
    pub(crate) fn settings_held(&self, punctual: bool) -> (u64, u64) {
        let is_set = self.has_grace || self.ttl.is_some() || self.heir != 0;
        let is_late = self.own_deadline.is_some();
        let cost = |counts: bool| if counts { SETTINGS_COST } else { 0 };
        let is_ending = self.deadline.is_some();
        (
            cost(is_set || (is_late && is_ending && punctual)),
            cost(is_set || is_late || (self.was_left && !punctual)),
        )
    }
}

impl Store {
    /// Quota 1. What the server holds for replies is not known here, so only what must and what may be refused.
    pub(crate) fn memory(&self, xid: u32, memory: Memory, least: u64, most: u64) -> Result<(), Message> {
        let (used, total) = (memory.used, self.rules.total);
        if memory.refused {
            assert!(used + most > total, "refused for memory: {memory:?} + {most}");
            return Err(quota(xid, 1, total));
        }
        assert!(least == 0 || used + least <= total, "not refused for memory: {memory:?} + {least}");
        Ok(())
    }

    /// What owners count that have records and no connection.
    pub(crate) fn absent_owners_held(&self) -> u64 {
        let owners: BTreeSet<u64> = self.records.values().map(|it| it.owner).collect();
        owners.difference(&self.connected).count() as u64 * OWNER_COST
    }

    /// What counts more, at least and at most, when a record is given to somebody else.
    pub(crate) fn cost_of_giving(&self, pointer: u64, to: u64) -> (u64, u64) {
        if self.is_present(to) {
            return (0, 0);
        }
        let is_known = self.connected.contains(&to) || self.records.values().any(|it| it.owner == to);
        let cost = SETTINGS_COST + if is_known { 0 } else { OWNER_COST };
        let (least, most) = self.records[&pointer].settings_held(self.punctual);
        (cost - most, cost - least)
    }
}
