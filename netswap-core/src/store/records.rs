//! All records, and what there is to know of few of them.

use alloc::boxed::Box;
use core::ops::Deref;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use super::record::{More, Record};
use super::slab::Slot;
use super::table::{Named, Table};
use crate::types::Pointer;

/// The most records: their slots are 32 bits wide, and so are those of owners, of which not every one has a record.
const MOST: usize = 1 << 31;

/// The room that is kept when nothing is left of what few records have.
const KEPT: usize = 64;

/// The records. What most of them do not have takes no room in them.
#[derive(Debug)]
pub(super) struct Records {
    table: Table<Record>,
    more: HashMap<Slot, Box<More>, FixedState>,
    /// How many there may be.
    pub(super) most: usize,
}

impl Named for Record {
    type Name = Pointer;

    fn name(&self) -> Pointer {
        self.pointer
    }
}

impl Records {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { table: Table::new(hasher.clone()), more: HashMap::with_hasher(hasher), most: MOST }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.most
    }

    pub(super) fn find(&self, pointer: Pointer) -> Option<Slot> {
        self.table.find(pointer)
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        self.table.get(slot)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        self.table.get_mut(slot)
    }

    /// Adds a record with a pointer that no record has.
    pub(super) fn insert(&mut self, record: Record) -> Slot {
        self.table.insert(record)
    }

    /// Removes a record with all that is known of it.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<(Record, More)> {
        let more = self.edit_any(slot, |_, more| core::mem::take(more));
        Some((self.table.remove(slot)?, more.unwrap_or_default()))
    }

    /// What more there is to know of a record.
    pub(super) fn more(&self, slot: Slot) -> Option<&More> {
        self.get(slot).filter(|record| record.has_more)?;
        self.more.get(&slot).map(Deref::deref)
    }

    /// Changes a record and what more there is to know of it. There need be nothing, before or after.
    pub(super) fn edit<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Record, &mut More) -> R,
    ) -> Option<R> {
        let record = self.table.get_mut(slot)?;
        let mut more = match self.more.entry(slot) {
            Entry::Occupied(more) => more,
            Entry::Vacant(nothing) => nothing.insert_entry(Box::default()),
        };
        let done = change(record, more.get_mut());
        record.has_more = !more.get().is_empty();
        if !record.has_more {
            more.remove();
            if self.more.is_empty() {
                self.more.shrink_to(KEPT);
            }
        }
        Some(done)
    }

    /// [Changes](Self::edit) a record if there is more to know of it.
    pub(super) fn edit_any<R>(
        &mut self,
        slot: Slot,
        change: impl FnOnce(&mut Record, &mut More) -> R,
    ) -> Option<R> {
        self.get(slot).filter(|record| record.has_more)?;
        self.edit(slot, change)
    }
}
