//! Watches and waiting reads: what they must be told (docs/PROTOCOL.md §3.21, §3.22, §4.3).

use bytes::Bytes;
use netswap_core::client::Replica;
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Owner, Version};
use netswap_core::wire::{Ending, Notification, Reply};

use super::records::{History, Record, hash};
use super::{ConnectionNumber, Expected, Judge, Message, Payload};
use crate::failure::{Failure, Invariant};

/// A watch, from its OK to its end.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) connection: ConnectionNumber,
    pub(super) xid: u32,
    pub(super) pointer: u64,
    watcher: Owner,
    push: bool,
    /// What it knows.
    version: u64,
    copy: Option<Replica>,
    access: usize,
    owner: usize,
    /// How it has ended, and what it must know by then.
    ended: Option<(Ending, Newest)>,
    /// Whether nobody owes it anything any more.
    pub(super) silent: bool,
}

/// How things stand with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Newest {
    version: u64,
    access: Option<Access>,
    owner: Option<Owner>,
}

/// A read of a reserved record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) connection: ConnectionNumber,
    pub(super) xid: u32,
    pub(super) pointer: u64,
    pub(super) reader: Owner,
    pub(super) read: Read,
}

/// What a read that may wait asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Whole,
    IfNot(u64),
    Range { offset: u32, len: u32 },
}

impl Read {
    /// Its answer (docs/PROTOCOL.md §3.6, §3.15, §3.20).
    pub(super) fn answer(self, record: &Record) -> Reply<Payload> {
        let (version, data) = (Version(record.version), record.data.clone());
        match self {
            Self::Whole => Reply::Resolved(Payload(data)),
            Self::IfNot(known) if known == record.version => Reply::NotModified,
            Self::IfNot(_) => Reply::Changed { version, data: Payload(data) },
            Self::Range { offset, len } => {
                let begin = (offset as usize).min(data.len());
                let end = begin + (len as usize).min(data.len() - begin);
                let record_len = data.len() as u32;
                Reply::Range { version, record_len, data: Payload(data.slice(begin..end)) }
            }
        }
    }
}

impl History {
    fn newest(&self) -> Newest {
        let version = self.versions.len() as u64;
        Newest { version, access: self.access.last().copied(), owner: self.owners.last().copied() }
    }
}

impl Judge {
    pub(super) fn watch(&mut self, number: ConnectionNumber, xid: u32, pointer: u64, push: bool) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let Some(history) = self.histories.get(&pointer) else { return };
        self.next_watch += 1;
        let watch = Watch {
            connection: number,
            xid,
            pointer,
            watcher: connection.owner,
            push,
            version: history.versions.len() as u64,
            copy: None,
            access: history.access.len() - 1,
            owner: history.owners.len() - 1,
            ended: None,
            silent: !connection.present,
        };
        connection.standing.insert(xid);
        connection.desk.insert(xid);
        connection.expect(xid, Expected::Watch(self.next_watch));
        self.watches.insert(self.next_watch, watch);
    }

    /// A record has other data: whoever waits for its first gets it.
    pub(super) fn written(&mut self, pointer: u64) {
        let Some(record) = self.records.get(&pointer) else { return };
        if let Some(history) = self.histories.get_mut(&pointer) {
            history.versions.push(hash(&record.data));
        }
        let record = record.clone();
        for wait in self.take_waits(|wait| wait.pointer == pointer) {
            self.answer_wait(wait, wait.read.answer(&record));
        }
    }

    pub(super) fn rights_changed(&mut self, pointer: u64, owner: Option<Owner>, access: Option<Access>) {
        let Some(record) = self.records.get(&pointer).cloned() else { return };
        let Some(history) = self.histories.get_mut(&pointer) else { return };
        let before = history.newest();
        history.owners.extend(owner);
        history.access.extend(access);
        let lost =
            |watch: &&mut Watch| watch.pointer == pointer && !record.allows(watch.watcher, Access::READ);
        let mut ended = Vec::new();
        for watch in self.watches.values_mut().filter(|it| it.ended.is_none()).filter(lost) {
            watch.ended = Some((Ending::AccessLost, before));
            ended.push((watch.connection, watch.xid, watch.silent));
        }
        self.free(ended);
        let refused =
            self.take_waits(|wait| wait.pointer == pointer && !record.allows(wait.reader, Access::READ));
        for wait in refused {
            self.answer_wait(wait, Reply::Refused(Refusal::AccessViolation));
        }
    }

    pub(super) fn ended(&mut self, pointer: u64, ending: Ending) {
        let Some(history) = self.histories.get(&pointer) else { return };
        let newest = history.newest();
        let mut ended = Vec::new();
        let watches = self.watches.values_mut().filter(|it| it.ended.is_none() && it.pointer == pointer);
        for watch in watches {
            watch.ended = Some((ending, newest));
            ended.push((watch.connection, watch.xid, watch.silent));
        }
        self.free(ended);
        for wait in self.take_waits(|wait| wait.pointer == pointer) {
            self.answer_wait(wait, Reply::Refused(Refusal::AddressFault));
        }
    }

    /// These transactions stand no more. Of those that nobody owes anything the connection does not know it.
    fn free(&mut self, ended: Vec<(ConnectionNumber, u32, bool)>) {
        for (number, xid, silent) in ended {
            if let Some(connection) = self.connections.get_mut(&number).filter(|_| !silent) {
                connection.standing.remove(&xid);
                connection.desk.remove(&xid);
            }
        }
    }

    fn take_waits(&mut self, which: impl Fn(&Wait) -> bool) -> Vec<Wait> {
        let (taken, left) = std::mem::take(&mut self.waits).into_iter().partition(which);
        self.waits = left;
        taken
    }

    fn answer_wait(&mut self, wait: Wait, reply: Reply<Payload>) {
        let Some(connection) = self.connections.get_mut(&wait.connection) else { return };
        connection.standing.remove(&wait.xid);
        connection.desk.remove(&wait.xid);
        let expected = connection.expected.get_mut(&wait.xid);
        if let Some(waiting) =
            expected.and_then(|it| it.iter_mut().find(|it| matches!(it, Expected::Waiting)))
        {
            *waiting = Expected::Reply(Message::of(reply));
        }
    }

    /// The client gives up what stands under an XID.
    pub(super) fn give_up(&mut self, number: ConnectionNumber, xid: u32) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return false };
        connection.desk.remove(&xid);
        let stood = connection.standing.remove(&xid);
        if stood {
            self.waits.retain(|wait| (wait.connection, wait.xid) != (number, xid));
            let watches = self.watches.values_mut();
            watches.filter(|it| (it.connection, it.xid) == (number, xid)).for_each(|it| it.silent = true);
        }
        stood
    }

    /// Judges what a watch is told.
    pub(super) fn notified(&mut self, id: u64, kind: u8, payload: Vec<u8>) -> Result<bool, Failure> {
        let Some(watch) = self.watches.get_mut(&id) else { return Ok(false) };
        let Some(history) = self.histories.get(&watch.pointer) else { return Ok(false) };
        let (number, xid, pointer) = (watch.connection, watch.xid, watch.pointer);
        let fail = |what: String| {
            let what = format!("watch {xid} of {pointer:016x} is told {what}");
            Err(Failure::of(Invariant::Watches, number, what))
        };
        let Ok(notification) = Notification::decode(kind, Bytes::from(payload), watch.push) else {
            return fail(format!("something that is no notification, kind {kind}"));
        };
        let is_newer = |version: u64| history.versions.get((version as usize).wrapping_sub(1)).copied();
        match &notification {
            Notification::Changed { version: Version(version), data } => {
                let first = watch.push && watch.copy.is_none();
                let Some(right) = is_newer(*version)
                    .filter(|_| *version > watch.version - u64::from(first && watch.version > 0))
                else {
                    return fail(format!("of version {version} after {}", watch.version));
                };
                if data.as_ref().is_some_and(|data| hash(data) != right) {
                    return fail(format!("wrong data of version {version}"));
                }
                watch.version = *version;
                if let Some(data) = data {
                    watch.copy = Some(Replica::new(Version(*version), data.clone()));
                }
            }
            Notification::RangeChanged { version: Version(version), .. } => {
                let Some(right) = is_newer(*version).filter(|_| *version == watch.version + 1) else {
                    return fail(format!("of a range in version {version} after {}", watch.version));
                };
                let Some(copy) = &mut watch.copy else {
                    return fail("of a range before it was given the whole".into());
                };
                copy.apply(&notification);
                watch.version = *version;
                if hash(copy.data()) != right {
                    return fail(format!("a range that does not make version {version}"));
                }
            }
            Notification::AccessChanged(access) => {
                let later = history.access.iter().skip(watch.access + 1).position(|it| it == access);
                let Some(at) = later else { return fail(format!("access {access}, which is not new")) };
                watch.access += 1 + at;
            }
            Notification::OwnerChanged(owner) => {
                let later = history.owners.iter().skip(watch.owner + 1).position(|it| it == owner);
                let Some(at) = later else { return fail(format!("owner {owner}, who is not new")) };
                watch.owner += 1 + at;
            }
            Notification::OwnershipRequested(requester) => {
                if !history.requests.contains(&(*requester, watch.watcher)) {
                    return fail(format!("that {requester} asks for the record"));
                }
            }
            Notification::Ended(ending) => {
                match watch.ended {
                    Some((right, newest)) if right == *ending => {
                        if let Err(what) = watch.knows(history, newest) {
                            return fail(format!("that it ends: {ending}, but not before {what}"));
                        }
                    }
                    other => return fail(format!("that it ends: {ending}, but expected is {other:?}")),
                }
                self.watches.remove(&id);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A watch that stands must know the newest state by now.
    pub(super) fn check_told(&self, number: ConnectionNumber, id: u64) -> Result<(), Failure> {
        let Some(watch) = self.watches.get(&id) else { return Ok(()) };
        let Some(history) = self.histories.get(&watch.pointer) else { return Ok(()) };
        if watch.silent {
            return Ok(());
        }
        let (xid, pointer) = (watch.xid, watch.pointer);
        let what = match &watch.ended {
            Some((ending, _)) => format!("its end: {ending}"),
            None => match watch.knows(history, history.newest()) {
                Ok(()) => return Ok(()),
                Err(what) => what,
            },
        };
        let what = format!("watch {xid} of {pointer:016x} is not told {what}");
        Err(Failure::of(Invariant::Watches, number, what))
    }
}

impl Watch {
    /// Whether it knows how things stand; otherwise what it does not know.
    fn knows(&self, history: &History, newest: Newest) -> Result<(), String> {
        let given = !self.push || self.copy.is_some() || newest.version == 0;
        if self.version != newest.version || !given {
            return Err(format!("version {} after {}", newest.version, self.version));
        }
        if history.access.get(self.access).copied() != newest.access {
            return Err(format!("access {:?}", newest.access));
        }
        if history.owners.get(self.owner).copied() != newest.owner {
            return Err(format!("owner {:?}", newest.owner));
        }
        Ok(())
    }
}
