//! Watches and waiting reads: what a record owes to whom (docs/PROTOCOL.md §3.21, §3.22, §4.3).
//!
//! A watch has no queue. What happens is marked on it, newer news in the place of older ones, and turned into
//! notifications when its connection asks for them: a slow watcher costs no memory and gets the newest state.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::ranges::Part;
use super::record::Record;
use super::records::Records;
use super::slab::Slot;
use super::{Attendance, Store};
use crate::config::STANDING;
use crate::engine::{ConnectionId, Mail, Peer, Post, Told};
use crate::error::{Quota, Refusal};
use crate::memory::Data;
use crate::types::{Access, Owner, Pointer, Version, Xid};
use crate::wire::{Ending, Notification, Reply, Request};

/// Who watches a record or waits for its data.
#[derive(Debug, Default)]
pub(super) struct Standing {
    watches: BTreeMap<(ConnectionId, Xid), Watch>,
    waiting: BTreeMap<(ConnectionId, Xid), Wait>,
}

#[derive(Debug)]
struct Watch {
    watcher: Owner,
    push: bool,
    news: News,
}

/// A read that waits until the record has data.
#[derive(Debug)]
struct Wait {
    reader: Owner,
    read: Read,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Whole,
    IfNot(Version),
    Range { offset: u32, len: u32 },
}

/// What a watch has not been told.
#[derive(Debug, Default)]
struct News {
    written: Option<Written>,
    /// Who asked for the record before its owner changed.
    asked_before: Option<Owner>,
    owner: Option<Owner>,
    access: Option<Access>,
    asked: Option<Owner>,
}

#[derive(Debug)]
enum Written {
    /// One write to a part. The watch was told every version before.
    Range { version: Version, offset: u32, data: Box<Data> },
    /// The newest state is to be told, whatever it will be.
    Newest,
}

/// The most notifications that a watch leaves at its end.
#[cfg(test)]
pub(crate) const LAST_AT_MOST: usize = 6;

/// What a connection stands for, and what there is for it.
#[derive(Debug)]
pub(super) struct Desk {
    standing: HashMap<Xid, Stand, FixedState>,
    /// How many of those have not ended.
    open: usize,
    mail: Vec<Mail>,
}

/// A watch or a waiting read of a connection.
#[derive(Clone, Copy, Debug)]
struct Stand {
    pointer: Pointer,
    /// Where in the mail its end is, until the connection has taken it.
    end: Option<u32>,
}

impl Desk {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { standing: HashMap::with_hasher(hasher), open: 0, mail: Vec::new() }
    }

    /// The record of a watch or a waiting read that has not ended.
    fn pointer(&self, xid: Xid) -> Option<Pointer> {
        self.standing.get(&xid).filter(|stand| stand.end.is_none()).map(|stand| stand.pointer)
    }
}

impl News {
    fn is_empty(&self) -> bool {
        matches!(self, Self { written: None, asked_before: None, owner: None, access: None, asked: None })
    }

    /// Bytes of data in what is told.
    fn len(&self, push: bool, record: &Record) -> usize {
        match &self.written {
            Some(Written::Range { data, .. }) => data.len(),
            Some(Written::Newest) if push => record.data.len(),
            _ => 0,
        }
    }

    /// The record has another owner. It was the former one who was asked for the record until now.
    fn changed_hands(&mut self, owner: Option<Owner>) {
        if owner.is_some() {
            let asked = self.asked.take();
            // Who was the owner in between and is not told of it is not told of this either.
            if self.owner.is_none() {
                self.asked_before = asked;
            }
            self.owner = owner;
        }
    }

    /// As notifications, in the order in which they are told.
    fn tell(&mut self, push: bool, record: &Record) -> Told {
        let Self { written, asked_before, owner, access, asked } = core::mem::take(self);
        let written = written.map(|written| match written {
            Written::Range { version, offset, data } => {
                Notification::RangeChanged { version, offset, data: *data }
            }
            Written::Newest => {
                Notification::Changed { version: record.version, data: push.then(|| record.data.snapshot()) }
            }
        });
        let mut told = Told::default();
        told.extend(written);
        told.extend(asked_before.map(Notification::OwnershipRequested));
        told.extend(owner.map(Notification::OwnerChanged));
        told.extend(access.map(Notification::AccessChanged));
        told.extend(asked.map(Notification::OwnershipRequested));
        told
    }
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
    pub(super) fn answer(self, record: &Record) -> Reply<Data> {
        let Record { version, ref data, .. } = *record;
        match self {
            Self::Whole => Reply::Resolved(data.snapshot()),
            Self::IfNot(known) if known == version => Reply::NotModified,
            Self::IfNot(_) => Reply::Changed { version, data: data.snapshot() },
            Self::Range { offset, len } => {
                Reply::Range { version, record_len: data.len() as u32, data: data.slice(offset, len) }
            }
        }
    }
}

impl Store {
    /// The connections for which there is mail since this was last asked.
    #[must_use]
    pub fn take_woken(&mut self) -> Vec<ConnectionId> {
        core::mem::take(&mut self.woken)
    }

    /// What there is for a connection: answers it waited for, ends of its watches, and which watches have news. With
    /// `room` for them, news of one watch that are all that there is are taken at once.
    pub fn take_mail(&mut self, id: ConnectionId, room: Option<u64>) -> Post {
        let Some(attendance) = self.connections.get_mut(&id) else { return Post::Mail(Vec::new()) };
        let desk = &mut attendance.desk;
        if let [Mail::News(xid)] = desk.mail[..]
            && let Some(room) = room
            && let Some(told) = tell(&mut self.records, desk.pointer(xid), (id, xid), room)
        {
            desk.mail.clear();
            desk.mail.shrink_to(1);
            return Post::News(xid, told);
        }
        let mail = core::mem::take(&mut desk.mail);
        for mail in &mail {
            if let Mail::Answer(xid, _) | Mail::Last(xid, _) = mail {
                desk.standing.remove(xid);
            }
        }
        Post::Mail(mail)
    }

    /// What a watch has not been told; from now on it has been. `None`, and it has not, when that has more than `room`
    /// bytes of data.
    pub fn take_news(&mut self, id: ConnectionId, xid: Xid, room: u64) -> Option<Told> {
        let pointer = self.connections.get(&id).and_then(|it| it.desk.pointer(xid));
        tell(&mut self.records, pointer, (id, xid), room)
    }

    /// A connection gives up a watch or a waiting read. What there is for it is dropped, taken or not: the next
    /// transaction with its XID must not get it.
    pub fn forget(&mut self, id: ConnectionId, xid: Xid) {
        let Some(Attendance { desk, .. }) = self.connections.get_mut(&id) else { return };
        let Some(stand) = desk.standing.remove(&xid) else { return };
        match stand.end {
            // News that are not there any more can wait to be taken, but data cannot.
            Some(at) => desk.mail[at as usize] = Mail::News(xid),
            None => desk.open -= 1,
        }
        if desk.standing.is_empty() {
            desk.mail = Vec::new();
        }
        if stand.end.is_none() {
            self.drop_standing(stand.pointer, id, xid);
        }
    }

    /// A connection gives up all its watches and waiting reads.
    pub(super) fn forget_all(&mut self, id: ConnectionId) {
        let Some(Attendance { desk, .. }) = self.connections.get_mut(&id) else { return };
        let nothing = Desk::new(desk.standing.hasher().clone());
        for (xid, stand) in core::mem::replace(desk, nothing).standing {
            if stand.end.is_none() {
                self.drop_standing(stand.pointer, id, xid);
            }
        }
    }

    /// Watches a record: it tells of its present state at once where the watch pushes data.
    pub(super) fn watch(&mut self, peer: Peer, xid: Xid, slot: Slot, push: bool) -> Result<Version, Refusal> {
        let record = self.record(slot)?;
        let version = record.version;
        let mut news = News::default();
        let tell = push && !record.is_reserved();
        news.written = tell.then_some(Written::Newest);
        let watch = Watch { watcher: peer.owner, push, news };
        self.stand(peer.id, xid, record.pointer)?;
        self.records.edit(slot, |_, more| more.standing.watches.insert((peer.id, xid), watch));
        if tell {
            self.post(peer.id, Mail::News(xid));
        }
        Ok(version)
    }

    /// Has a read wait until a reserved record has data.
    pub(super) fn wait(&mut self, peer: Peer, xid: Xid, slot: Slot, read: Read) -> Result<(), Refusal> {
        self.stand(peer.id, xid, self.record(slot)?.pointer)?;
        let wait = Wait { reader: peer.owner, read };
        self.records.edit(slot, |_, more| more.standing.waiting.insert((peer.id, xid), wait));
        Ok(())
    }

    /// The data of a record were written, a part of them or all. Whoever waits for them gets them.
    pub(super) fn announce_write(&mut self, slot: Slot, part: Option<Part<'_>>) {
        let budget = &self.budget;
        let told = self.records.edit_any(slot, |record, more| {
            let Standing { watches, waiting } = &mut more.standing;
            let version = record.version;
            // The first data of a reserved record are all of it.
            let part = part.filter(|_| version != Version::FIRST);
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
            (woken, answers)
        });
        let Some((woken, answers)) = told else { return };
        woken.into_iter().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        for (id, xid, reply) in answers {
            self.answer(id, xid, reply);
        }
    }

    /// The rights or the owner of a record changed. Who may not read it any more is told that alone.
    pub(super) fn announce_rights(&mut self, slot: Slot, owner: Option<Owner>, access: Option<Access>) {
        let owners = &self.owners;
        let told = self.records.edit_any(slot, |record, more| {
            let now = owners.get(record.owner);
            let is_readable_by = |who: Owner| record.allow(now == Some(who), Access::READ).is_ok();
            let (mut woken, mut last, mut refused) = (Vec::new(), Vec::new(), Vec::new());
            more.standing.watches.retain(|(id, xid), watch| {
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
            more.standing.waiting.retain(|(id, xid), wait| {
                let readable = is_readable_by(wait.reader);
                if !readable {
                    refused.push((*id, *xid));
                }
                readable
            });
            (woken, last, refused)
        });
        let Some((woken, last, refused)) = told else { return };
        woken.into_iter().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
        last.into_iter().for_each(|(id, xid, told)| self.end_standing(id, Mail::Last(xid, told), xid));
        for (id, xid) in refused {
            self.answer(id, xid, Reply::Refused(Refusal::AccessViolation));
        }
    }

    /// Somebody asks the owner of a record for it.
    pub(super) fn announce_request(&mut self, slot: Slot, requester: Owner) {
        let owners = &self.owners;
        let woken = self.records.edit_any(slot, |record, more| {
            let Some(owner) = owners.get(record.owner).filter(|owner| *owner != requester) else {
                return Vec::new();
            };
            let mut woken = Vec::new();
            let watches = more.standing.watches.iter_mut();
            for ((id, xid), watch) in watches.filter(|(_, watch)| watch.watcher == owner) {
                if watch.news.is_empty() {
                    woken.push((*id, *xid));
                }
                watch.news.asked = Some(requester);
                watch.news.asked_before = None;
            }
            woken
        });
        woken.into_iter().flatten().for_each(|(id, xid)| self.post(id, Mail::News(xid)));
    }

    /// A record is no more.
    pub(super) fn announce_end(&mut self, record: &Record, standing: Standing, ending: Ending) {
        for ((id, xid), mut watch) in standing.watches {
            self.end_standing(id, Mail::Last(xid, watch.end(ending, record)), xid);
        }
        for (id, xid) in standing.waiting.into_keys() {
            self.answer(id, xid, Reply::Refused(Refusal::AddressFault));
        }
    }

    fn answer(&mut self, id: ConnectionId, xid: Xid, reply: Reply<Data>) {
        if let Reply::Refused(refusal) = &reply {
            self.counters.refused(None, refusal);
        }
        self.end_standing(id, Mail::Answer(xid, Box::new(reply)), xid);
    }

    fn end_standing(&mut self, id: ConnectionId, mail: Mail, xid: Xid) {
        if let Some(Attendance { desk, .. }) = self.connections.get_mut(&id)
            && let Some(stand) = desk.standing.get_mut(&xid)
        {
            stand.end = Some(desk.mail.len() as u32);
            desk.open -= 1;
        }
        self.post(id, mail);
    }

    fn post(&mut self, id: ConnectionId, mail: Mail) {
        let Some(attendance) = self.connections.get_mut(&id) else { return };
        let all = &mut attendance.desk.mail;
        if all.is_empty() {
            self.woken.push(id);
            // Mostly it stays the only one.
            all.reserve_exact(1);
        }
        all.push(mail);
    }

    /// Counts one more watch or waiting read of a connection.
    fn stand(&mut self, id: ConnectionId, xid: Xid, pointer: Pointer) -> Result<(), Refusal> {
        let limit = self.config.limits.watches;
        let over = Refusal::QuotaExceeded { quota: Quota::Watches, limit: u64::from(limit) };
        let attendance = self.connections.get_mut(&id).ok_or(over)?;
        if attendance.desk.open >= limit as usize {
            return Err(over);
        }
        if !self.budget.has_places(STANDING) {
            let limit = self.config.limits.places / STANDING as u64;
            return Err(Refusal::QuotaExceeded { quota: Quota::Watches, limit });
        }
        attendance.desk.standing.insert(xid, Stand { pointer, end: None });
        attendance.desk.open += 1;
        Ok(())
    }

    fn drop_standing(&mut self, pointer: Pointer, id: ConnectionId, xid: Xid) {
        let Some(slot) = self.records.find(pointer) else { return };
        self.records.edit_any(slot, |_, more| {
            more.standing.watches.remove(&(id, xid));
            more.standing.waiting.remove(&(id, xid));
        });
    }
}

/// Takes the news of a watch of the record with this pointer, if there are any; `None` when they need more room.
fn tell(
    records: &mut Records,
    pointer: Option<Pointer>,
    watch: (ConnectionId, Xid),
    room: u64,
) -> Option<Told> {
    let slot = pointer.and_then(|pointer| records.find(pointer));
    let Some((record, more)) = slot.and_then(|slot| records.more_mut(slot)) else {
        return Some(Told::default());
    };
    match more.standing.watches.get_mut(&watch) {
        Some(watch) if watch.news.len(watch.push, record) as u64 > room => None,
        Some(watch) => Some(watch.news.tell(watch.push, record)),
        None => Some(Told::default()),
    }
}

impl Watch {
    /// Its last notifications: what it has not been told, as things stood, and why it ends.
    fn end(&mut self, ending: Ending, record: &Record) -> Vec<Notification<Data>> {
        self.news.tell(self.push, record).into_iter().chain([Notification::Ended(ending)]).collect()
    }
}

impl Standing {
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests;
