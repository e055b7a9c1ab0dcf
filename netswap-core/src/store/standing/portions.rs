//! What is told to many, or given up by one connection with much, in portions.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use hashbrown::hash_map::IntoIter;

use super::changes::Round;
use super::desk::Stand;
use super::news::Snapshot;
use super::rounds::{Ended, Key, Standing, Step};
use crate::config::Portions;
use crate::engine::{ConnectionId, Mail};
use crate::store::Store;
use crate::store::record::Record;
use crate::types::{Pointer, Xid};
use crate::wire::Ending;

/// So many bytes are copied while a watch is told.
const COPIED_OF_A_WATCH: usize = 512;

/// What is left to be told, or to be given up.
#[derive(Debug, Default)]
pub(in crate::store) struct Backlog {
    tasks: VecDeque<Task>,
    /// Records that have ended.
    ended: BTreeMap<Pointer, Box<Ended>>,
    /// Records end, many perhaps: how many were told of that at once.
    told: Option<usize>,
    /// How many changes have been told in portions, or are.
    changes: u64,
    /// Watches and waiting reads that were told, and what took as long, that no request has counted yet.
    effort: usize,
}

#[derive(Debug)]
enum Task {
    /// The watches and waiting reads of a record, which may have ended.
    Record(Pointer),
    /// Those that a connection has given up.
    Departed(ConnectionId, IntoIter<Xid, Stand>),
}

impl Backlog {
    #[inline]
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    #[cfg(test)]
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    #[cfg(test)]
    pub(super) fn left_of(&self, pointer: Pointer) -> usize {
        self.ended[&pointer].len()
    }

    /// Records begin to end, or have ended: meanwhile no more than a portion are told.
    pub(in crate::store) fn end_many(&mut self, begins: bool) {
        self.told = begins.then_some(0);
    }

    /// Bytes of a record were copied, since a reply held them, or since it grew.
    pub(in crate::store) fn count_copied(&mut self, bytes: usize) {
        self.effort += bytes / COPIED_OF_A_WATCH;
    }

    /// How many watches and waiting reads were told since this was last asked, and what else took as long.
    pub(in crate::store) fn take_effort(&mut self) -> usize {
        core::mem::take(&mut self.effort)
    }

    /// Whether some were told, or are left.
    #[inline]
    pub(in crate::store) fn has_toiled(&self) -> bool {
        self.effort > 0 || !self.is_empty()
    }

    /// Watches and waiting reads are told at once.
    pub(super) fn count_told(&mut self, count: usize) {
        self.effort += count;
        self.told = self.told.map(|told| told + count);
    }

    /// How many may be told at once: where many records end in one call, not a portion of each.
    pub(super) fn left_to_tell(&self, portions: &Portions) -> usize {
        portions.watches.saturating_sub(self.told.unwrap_or(0))
    }

    /// The number of the last change that is told in portions.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The round that tells of a change of a record that happens now, and the number of the change.
    pub(super) fn round<'a>(&mut self, pointer: Pointer, standing: &'a mut Standing) -> (&'a mut Round, u64) {
        if !standing.has_rounds() {
            self.push(pointer);
        }
        self.changes += 1;
        (standing.round(), self.changes)
    }

    /// The watches and waiting reads of a record begin to be told in portions.
    fn push(&mut self, pointer: Pointer) {
        self.tasks.push_back(Task::Record(pointer));
    }

    pub(super) fn push_departed(&mut self, id: ConnectionId, standing: IntoIter<Xid, Stand>) {
        self.tasks.push_back(Task::Departed(id, standing));
    }

    /// The watches and waiting reads of a record that ends are to be told so.
    pub(super) fn push_ended(&mut self, record: &Record, standing: Standing, ending: Ending) {
        if !standing.has_rounds() {
            self.push(record.pointer);
        }
        let ended = Ended::new(standing, ending, Snapshot::of(record));
        self.ended.insert(record.pointer, Box::new(ended));
    }

    /// A watch or a waiting read of a record that has ended is given up.
    pub(super) fn forget(&mut self, pointer: Pointer, key: &Key) {
        if let Some(ended) = self.ended.get_mut(&pointer) {
            ended.remove(key);
        }
    }
}

impl Store {
    /// Goes on with what is done in portions: one of them.
    #[inline]
    pub(in crate::store) fn tell_portion(&mut self) {
        if !self.backlog.is_empty() {
            self.tell_some();
        }
    }

    /// A record has changed, or has ended: its first portion is told at once, unless many end.
    #[inline]
    pub(super) fn tell_first(&mut self) {
        if !self.backlog.is_empty() && self.backlog.told.is_none() {
            self.tell_some();
        }
    }

    #[cold]
    fn tell_some(&mut self) {
        let mut left = self.config.portions.watches.max(1);
        while left > 0
            && let Some(mut task) = self.backlog.tasks.pop_front()
        {
            let (count, is_left) = match &mut task {
                Task::Record(pointer) => self.tell_of(*pointer, left),
                Task::Departed(id, standing) => {
                    let count = standing.len().min(left);
                    for (xid, stand) in standing.take(count) {
                        self.give_up(*id, xid, stand);
                    }
                    (count, standing.len() > 0)
                }
            };
            self.backlog.effort += count;
            left = left.saturating_sub(count.max(1));
            if is_left {
                self.backlog.tasks.push_back(task);
            }
        }
    }

    /// Tells a portion of the watches and waiting reads of a record: how many, and whether there are more.
    fn tell_of(&mut self, pointer: Pointer, most: usize) -> (usize, bool) {
        let garbage = &mut self.garbage;
        let step = match self.backlog.ended.get_mut(&pointer) {
            Some(ended) => ended.tell(most, garbage),
            None => {
                let slot = self.records.find(pointer);
                let told = slot.and_then(|slot| {
                    self.records.edit_any(slot, |_, more| more.standing.tell(most, garbage))
                });
                told.unwrap_or_default()
            }
        };
        if !step.is_left
            && let Some(ended) = self.backlog.ended.remove(&pointer)
        {
            ended.discard(garbage);
        }
        let Step { woken, last, answers, count, is_left } = step;
        woken.into_iter().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        last.into_iter().for_each(|((id, xid), told)| self.end_standing(id, pointer, Mail::Last(xid, told)));
        answers.into_iter().for_each(|((id, xid), reply)| self.answer(id, pointer, xid, reply));
        (count, is_left)
    }

    /// A connection has given up a watch or a waiting read, and has perhaps another one in its place.
    fn give_up(&mut self, id: ConnectionId, xid: Xid, stand: Stand) {
        let now = self.connections.get(&id).and_then(|it| it.desk.pointer(xid));
        if now != Some(stand.pointer) {
            self.drop_stand(id, xid, stand);
        }
    }
}
