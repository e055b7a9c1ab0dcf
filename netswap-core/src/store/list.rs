//! The records of one owner, in a list that goes through them.

use super::records::Records;
use super::slab::Slot;

/// The ends of a list of records. A record is in one list at most.
#[derive(Debug, Default)]
pub(super) struct List {
    first: Option<Slot>,
    last: Option<Slot>,
    len: u32,
}

/// A record's neighbours in its list.
#[derive(Debug, Default)]
pub(super) struct Links {
    previous: Option<Slot>,
    next: Option<Slot>,
}

impl List {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slots in the list, in the order in which they were pushed.
    pub(super) fn iter(&self, records: &Records) -> impl Iterator<Item = Slot> {
        core::iter::successors(self.first, |slot| records.get(*slot)?.links.next)
    }

    /// Adds a record, which must be in no list, at the end.
    pub(super) fn push(&mut self, slot: Slot, records: &mut Records) {
        let previous = self.last.replace(slot);
        if let Some(record) = records.get_mut(slot) {
            record.links = Links { previous, next: None };
        }
        *self.after(previous, records) = Some(slot);
        self.len += 1;
    }

    /// Takes out a record, which must be in this list.
    pub(super) fn remove(&mut self, slot: Slot, records: &mut Records) {
        let Some(record) = records.get_mut(slot) else { return };
        let Links { previous, next } = core::mem::take(&mut record.links);
        *self.after(previous, records) = next;
        *self.before(next, records) = previous;
        self.len -= 1;
    }

    /// What says what comes after a record, or comes first.
    fn after<'a>(&'a mut self, previous: Option<Slot>, records: &'a mut Records) -> &'a mut Option<Slot> {
        match previous.and_then(|slot| records.get_mut(slot)) {
            Some(record) => &mut record.links.next,
            None => &mut self.first,
        }
    }

    /// What says what comes before a record, or comes last.
    fn before<'a>(&'a mut self, next: Option<Slot>, records: &'a mut Records) -> &'a mut Option<Slot> {
        match next.and_then(|slot| records.get_mut(slot)) {
            Some(record) => &mut record.links.previous,
            None => &mut self.last,
        }
    }
}
