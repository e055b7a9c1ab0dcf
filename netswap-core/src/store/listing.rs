//! LIST_RECORDS of an owner who has many, in portions (docs/PROTOCOL.md §3.14).

use alloc::vec::Vec;

use super::Store;
use super::slab::Slot;
use crate::engine::ListCursor;
use crate::time::Instant;
use crate::types::{Owner, Pointer};

/// Slots of any records that are looked at for each that a portion may have.
const LOOKS: usize = 8;

impl Store {
    /// LIST_RECORDS: the records where they are one portion, and none where they are to be taken in
    /// [portions](Self::begin_list).
    #[cold]
    #[inline(never)]
    pub(super) fn list(&mut self, caller: Owner, now: Instant) -> Vec<Pointer> {
        if self.owners.count_of(caller) > self.config.portions.records {
            return Vec::new();
        }
        let due_by = self.lifetimes.is_due(now).then_some(now);
        self.owners.records(caller, &self.records, due_by)
    }

    /// Begins to list the records of an owner: how many they are now, and where to begin.
    #[must_use]
    pub fn begin_list(&self, owner: Owner) -> (u64, ListCursor) {
        (self.owners.count_of(owner) as u64, ListCursor(self.records.slots()))
    }

    /// Adds the next of an owner's records, in no order; where to go on, if there may be more.
    ///
    /// It goes through the slots of all records, from the last to the first. A record changes its slot only to an earlier one, so
    /// that none is left out which is there all the time, whatever becomes of others; but it may come twice.
    pub fn continue_list(
        &self,
        owner: Owner,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        let most = self.config.portions.records;
        let is_due = self.lifetimes.is_due(now);
        let mut at = cursor.0.min(self.records.slots());
        for _ in 0..most * LOOKS {
            if at == 0 || pointers.len() >= most {
                break;
            }
            at -= 1;
            let slot = Slot::new(at);
            if let Some(record) = self.records.get(slot)
                && self.owners.get(record.owner) == Some(owner)
                && !(is_due && self.owners.has_ended(slot, &self.records, now))
            {
                pointers.push(record.pointer);
            }
        }
        (at > 0).then_some(ListCursor(at))
    }
}
