//! Watches and waiting reads: what a record owes to whom (docs/PROTOCOL.md §3.21, §3.22, §4.3).
//!
//! A watch has no queue. What happens is marked on it, newer news in the place of older ones, and turned into
//! notifications when its connection asks for them: a slow watcher costs no memory and gets the newest state. Many watches
//! are told in portions, so that no call takes long.

mod changes;
mod desk;
mod news;
mod portions;
mod rounds;

use alloc::boxed::Box;
use alloc::vec::Vec;

pub(super) use desk::Desk;
#[cfg(test)]
pub(crate) use news::LAST_AT_MOST;
use news::{News, Snapshot, State, Watch, Written};
pub(super) use portions::Backlog;
pub(super) use rounds::Standing;
use rounds::Wait;

use super::Store;
use super::ranges::Part;
use super::record::{More, Record};
use super::slab::Slot;
use crate::engine::{Mail, Peer};
use crate::error::Refusal;
use crate::memory::Data;
use crate::types::{Access, Owner, Version, Xid};
use crate::wire::{Ending, Reply, Request};

#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Whole,
    IfNot(Version),
    Range { offset: u32, len: u32 },
}

impl Read {
    /// What a request reads that waits on a reserved record.
    pub(super) fn of<D>(request: &Request<D>) -> Option<Self> {
        match *request {
            Request::ResolvePointer { .. } => Some(Self::Whole),
            Request::ResolveIfChanged { version, .. } => Some(Self::IfNot(version)),
            Request::ReadRange { offset, len, .. } => Some(Self::Range { offset, len }),
            _ => None,
        }
    }

    /// The answer, of a record that has data.
    pub(super) fn answer(self, state: &impl State) -> Reply<Data> {
        let version = state.version();
        match self {
            Self::Whole => Reply::Resolved(state.slice(0, u32::MAX)),
            Self::IfNot(known) if known == version => Reply::NotModified,
            Self::IfNot(_) => Reply::Changed { version, data: state.slice(0, u32::MAX) },
            Self::Range { offset, len } => {
                Reply::Range { version, record_len: state.len() as u32, data: state.slice(offset, len) }
            }
        }
    }
}

impl Store {
    /// Watches a record: it tells of its present state at once where the watch pushes data.
    pub(super) fn watch(&mut self, peer: Peer, xid: Xid, slot: Slot, push: bool) -> Result<Version, Refusal> {
        let record = self.record(slot)?;
        let version = record.version;
        let mut news = News::default();
        let tell = push && !record.is_reserved();
        news.written = tell.then_some(Written::Newest);
        self.stand(peer.id, xid, record.pointer)?;
        let since = self.backlog.changes();
        self.records.edit(slot, |_, More { standing, .. }| {
            let key = (peer.id, xid);
            // One that the connection has given up may still be there.
            standing.remove(&key);
            standing.watches.insert(key, Watch { watcher: peer.owner, push, news, since });
        });
        if tell {
            self.post(peer.id, Mail::News(xid));
        }
        Ok(version)
    }

    /// Has a read wait until a reserved record has data.
    pub(super) fn wait(&mut self, peer: Peer, xid: Xid, slot: Slot, read: Read) -> Result<(), Refusal> {
        self.stand(peer.id, xid, self.record(slot)?.pointer)?;
        let since = self.backlog.changes();
        self.records.edit(slot, |_, More { standing, .. }| {
            let key = (peer.id, xid);
            standing.remove(&key);
            standing.waiting.insert(key, Wait { reader: peer.owner, read, since });
        });
        Ok(())
    }

    /// The data of a record were written, a part of them or all. Whoever waits for them gets them.
    pub(super) fn announce_write(&mut self, slot: Slot, part: Option<Part<'_>>) {
        let (budget, backlog) = (&self.budget, &mut self.backlog);
        let most = backlog.left_to_tell(&self.config.portions);
        let told = self.records.edit_any(slot, |record, More { standing, .. }| {
            let version = record.version;
            // The first data of a reserved record are all of it.
            let part = part.filter(|_| version != Version::FIRST);
            if standing.is_told_in_portions(most) {
                let (round, at) = backlog.round(record.pointer, standing);
                round.write(at, version, part.and_then(|part| part.data(record, budget)));
                standing.answer_waiting(|| Snapshot::of(record));
                return (record.pointer, Vec::new(), Vec::new());
            }
            backlog.count_told(standing.len());
            let Standing { watches, waiting, .. } = standing;
            let part = part.filter(|_| watches.values().any(|it| it.push && it.news.written.is_none()));
            let part = part.and_then(|part| part.data(record, budget));
            let answers: Vec<_> = core::mem::take(waiting)
                .into_iter()
                .map(|((id, xid), wait)| (id, xid, wait.read.answer(record)))
                .collect();
            let mut woken = Vec::new();
            for ((id, xid), watch) in watches {
                if watch.news.is_empty() {
                    woken.push((*id, *xid));
                }
                watch.news.written = Some(match (&watch.news.written, &part) {
                    (None, Some((offset, data))) if watch.push => {
                        Written::Range { version, offset: *offset, data: Box::new(data.clone()) }
                    }
                    _ => Written::Newest,
                });
            }
            (record.pointer, woken, answers)
        });
        let Some((pointer, woken, answers)) = told else { return };
        self.tell_first();
        woken.into_iter().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        for (id, xid, reply) in answers {
            self.answer(id, pointer, xid, reply);
        }
    }

    /// The rights or the owner of a record changed. Who may not read it any more is told that alone.
    pub(super) fn announce_rights(&mut self, slot: Slot, owner: Option<Owner>, access: Option<Access>) {
        let (owners, backlog) = (&self.owners, &mut self.backlog);
        let most = backlog.left_to_tell(&self.config.portions);
        let told = self.records.edit_any(slot, |record, More { standing, .. }| {
            let now = owners.get(record.owner);
            if standing.is_told_in_portions(most) {
                let (round, at) = backlog.round(record.pointer, standing);
                let reader = now.filter(|_| record.allow(false, Access::READ).is_err());
                round.change_rights(at, owner, access, reader, || Snapshot::of(record));
                return (record.pointer, Vec::new(), Vec::new(), Vec::new());
            }
            backlog.count_told(standing.len());
            let is_readable_by = |who: Owner| record.allow(now == Some(who), Access::READ).is_ok();
            let (mut woken, mut last, mut refused) = (Vec::new(), Vec::new(), Vec::new());
            standing.watches.retain(|(id, xid), watch| {
                if !is_readable_by(watch.watcher) {
                    last.push((*id, *xid, watch.end(Ending::AccessLost, record)));
                    return false;
                }
                if watch.news.is_empty() {
                    woken.push((*id, *xid));
                }
                watch.news.changed_hands(owner);
                watch.news.access = access.or(watch.news.access);
                true
            });
            standing.waiting.retain(|(id, xid), wait| {
                let readable = is_readable_by(wait.reader);
                if !readable {
                    refused.push((*id, *xid));
                }
                readable
            });
            (record.pointer, woken, last, refused)
        });
        let Some((pointer, woken, last, refused)) = told else { return };
        self.tell_first();
        woken.into_iter().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        last.into_iter().for_each(|(id, xid, told)| self.end_standing(id, pointer, Mail::Last(xid, told)));
        for (id, xid) in refused {
            self.answer(id, pointer, xid, Reply::Refused(Refusal::AccessViolation));
        }
    }

    /// Somebody asks the owner of a record for it.
    pub(super) fn announce_request(&mut self, slot: Slot, requester: Owner) {
        let (owners, backlog) = (&self.owners, &mut self.backlog);
        let most = backlog.left_to_tell(&self.config.portions);
        let woken = self.records.edit_any(slot, |record, More { standing, .. }| {
            let owner = owners.get(record.owner).filter(|owner| *owner != requester)?;
            if standing.is_told_in_portions(most) {
                let (round, at) = backlog.round(record.pointer, standing);
                round.request(at, owner, requester);
                return None;
            }
            backlog.count_told(standing.len());
            let mut woken = Vec::new();
            for ((id, xid), watch) in standing.watches.iter_mut().filter(|(_, watch)| watch.watcher == owner)
            {
                if watch.news.is_empty() {
                    woken.push((*id, *xid));
                }
                watch.news.requested(requester);
            }
            Some(woken)
        });
        woken.flatten().into_iter().flatten().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        self.tell_first();
    }

    /// A record is no more.
    pub(super) fn announce_end(&mut self, record: &Record, standing: Standing, ending: Ending) {
        if standing.is_empty() {
            return;
        }
        if standing.is_told_in_portions(self.backlog.left_to_tell(&self.config.portions)) {
            self.backlog.push_ended(record, standing, ending);
            return self.tell_first();
        }
        self.backlog.count_told(standing.len());
        let Standing { watches, waiting, .. } = standing;
        for ((id, xid), mut watch) in watches {
            self.end_standing(id, record.pointer, Mail::Last(xid, watch.end(ending, record)));
        }
        for (id, xid) in waiting.into_keys() {
            self.answer(id, record.pointer, xid, Reply::Refused(Refusal::AddressFault));
        }
    }
}

#[cfg(test)]
mod tests;
