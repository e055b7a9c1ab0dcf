//! What records and those who watch them should see: a model of docs/PROTOCOL.md §3.21 to §3.24, §4.3 and §6.3 to §6.5,
//! written from the document alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support::wire::{
    self, ACCESS_LOST, DELETED, EXPIRED, Message, access_violation, add, added, address_fault, append,
    appended, invalid, ok, op, resolved, version, write_range,
};
use crate::support::{OVERHEAD, SETTINGS_COST, flat, held};

/// The default grace, in seconds.
const GRACE: u64 = 300;

/// SET_LIFETIME's grace that stands for the default.
pub(crate) const DEFAULT: u32 = u32::MAX;

pub(crate) struct Record {
    pub(crate) pointer: u64,
    pub(crate) owner: u64,
    pub(crate) access: u8,
    /// Its data in every version; in version 0 it was reserved.
    pub(crate) states: Vec<Vec<u8>>,
    grace: u64,
    ttl: Option<u64>,
    heir: u64,
    deadline: Option<u64>,
    /// Whether SET_LIFETIME gave it a grace.
    has_grace: bool,
    /// How it ended.
    pub(crate) gone: Option<u8>,
}

/// What somebody does with a record.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Replace(Vec<u8>),
    WriteRange(u32, Vec<u8>),
    Append(Vec<u8>),
    Add(u32, i64),
    Permit(u8),
    Takeover,
    Transfer(u64),
    Lifetime(u32, u32, u64),
    Ask,
    Delete,
}

impl Record {
    pub(crate) fn new(pointer: u64, owner: u64, access: u8, data: Option<Vec<u8>>) -> Self {
        let states = [Some(Vec::new()), data].into_iter().flatten().collect();
        let (grace, ttl, heir, deadline, gone) = (GRACE, None, 0, None, None);
        Self { pointer, owner, access, states, grace, ttl, heir, deadline, has_grace: false, gone }
    }

    pub(crate) fn version(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    pub(crate) fn data(&self) -> &[u8] {
        self.states.last().unwrap()
    }

    /// What it counts, at least and at most: in chunks it may have holes (docs/PROTOCOL.md §7.2).
    pub(crate) fn held(&self) -> (u64, u64) {
        let len = self.data().len() as u64;
        let is_set = self.has_grace || self.ttl.is_some() || self.heir != 0 || self.deadline.is_some();
        let beside = OVERHEAD + if is_set { SETTINGS_COST } else { 0 };
        (beside + if len > flat() { len } else { held(len) }, beside + held(len))
    }

    pub(crate) fn refusal(&self, xid: u32, who: u64, right: u8) -> Option<Message> {
        if self.gone.is_some() {
            return Some(address_fault(xid));
        }
        let allowed = self.owner == who || (right != 0 && self.access & right == right);
        (!allowed).then(|| access_violation(xid))
    }

    /// The answer to a read, where it need not wait.
    pub(crate) fn read(&self, xid: u32, who: u64) -> Option<Message> {
        let refusal = self.refusal(xid, who, 1);
        refusal.or_else(|| (self.version() > 0).then(|| resolved(xid, self.data())))
    }

    /// When something happens to it by itself: first its ttl.
    pub(crate) fn due(&self) -> Option<u64> {
        self.ttl.into_iter().chain(self.deadline).min().filter(|_| self.gone.is_none())
    }

    /// It is that time.
    pub(crate) fn expire(&mut self, now: u64, absent: u64) {
        if self.ttl == Some(now) || self.heir == 0 {
            self.gone = Some(EXPIRED);
        } else {
            self.give(self.heir, now, absent);
        }
    }

    fn give(&mut self, to: u64, now: u64, absent: u64) {
        if to != self.owner {
            self.owner = to;
            self.access &= !4;
            self.heir = 0;
            self.deadline = (to == absent).then_some(now + self.grace);
        }
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let mut data = self.data().to_vec();
        data.resize(data.len().max(offset + bytes.len()), 0);
        data[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.states.push(data);
    }

    /// Somebody does something: the request, and the answer.
    pub(crate) fn act(
        &mut self,
        xid: u32,
        who: u64,
        action: Action,
        now: u64,
        absent: u64,
    ) -> (Vec<u8>, Message) {
        let pointer = self.pointer;
        let (sent, right) = match &action {
            Action::Replace(data) => (wire::about(xid, op::REPLACE, pointer, data), 2),
            Action::WriteRange(offset, data) => (write_range(xid, pointer, *offset, data), 2),
            Action::Append(data) => (append(xid, pointer, data), 2),
            Action::Add(offset, delta) => (add(xid, pointer, *offset, *delta), 3),
            Action::Permit(access) => (wire::permit(xid, pointer, *access), 0),
            Action::Takeover => (wire::about(xid, op::TAKEOVER, pointer, []), 4),
            Action::Transfer(to) => (wire::transfer(xid, pointer, *to), 0),
            Action::Lifetime(grace, ttl, heir) => (wire::lifetime(xid, pointer, *grace, *ttl, *heir), 0),
            Action::Ask => (wire::about(xid, op::REQUEST_OWNERSHIP, pointer, []), 1),
            Action::Delete => (wire::about(xid, op::DELETE, pointer, []), 0),
        };
        let own_heir = matches!(action, Action::Lifetime(_, _, heir) if heir == who).then(|| invalid(xid, 3));
        let answer = own_heir.or_else(|| self.refusal(xid, who, right));
        let answer = answer.unwrap_or_else(|| self.carry_out(xid, who, action, now, absent));
        (sent, answer)
    }

    fn carry_out(&mut self, xid: u32, who: u64, action: Action, now: u64, absent: u64) -> Message {
        match action {
            Action::Replace(data) => {
                self.states.push(data);
                return version(xid, self.version());
            }
            Action::WriteRange(offset, data) => {
                self.write(offset as usize, &data);
                return version(xid, self.version());
            }
            Action::Append(data) => {
                let offset = self.data().len();
                self.write(offset, &data);
                return appended(xid, self.version(), offset as u32);
            }
            Action::Add(offset, delta) => {
                let offset = offset as usize;
                let Some(number) = self.data().get(offset..).and_then(|rest| rest.first_chunk()) else {
                    return address_fault(xid);
                };
                let value = i64::from_be_bytes(*number).wrapping_add(delta);
                self.write(offset, &value.to_be_bytes());
                return added(xid, self.version(), value);
            }
            Action::Permit(access) => self.access = access,
            Action::Takeover => self.give(who, now, absent),
            Action::Transfer(to) => self.give(to, now, absent),
            Action::Lifetime(grace, ttl, heir) => {
                self.has_grace = grace != DEFAULT;
                self.grace = if self.has_grace { grace.into() } else { GRACE };
                self.ttl = (ttl > 0).then(|| now + u64::from(ttl));
                self.heir = heir;
            }
            Action::Ask => {}
            Action::Delete => self.gone = Some(DELETED),
        }
        ok(xid, [])
    }
}

/// What a client knows of a record that it watches, and what it should come to know.
pub(crate) struct Watch {
    pub(crate) record: usize,
    who: u64,
    push: bool,
    /// Whether its OK has come, with this version.
    begun: bool,
    since: u64,
    copy: Option<Vec<u8>>,
    told: Option<u64>,
    owner: u64,
    access: u8,
    /// Owner, rights and version as they are, until the watch has ended.
    true_owner: u64,
    true_access: u8,
    true_version: u64,
    /// With which final notification it ends.
    end: Option<u8>,
    pub(crate) aborted: bool,
}

impl Watch {
    pub(crate) fn new(at: usize, record: &Record, who: u64, push: bool) -> Self {
        let Record { owner, access, .. } = *record;
        let since = record.version();
        Self {
            record: at,
            who,
            push,
            begun: false,
            since,
            copy: None,
            told: None,
            owner,
            access,
            true_owner: owner,
            true_access: access,
            true_version: since,
            end: None,
            aborted: false,
        }
    }

    /// Something may have happened to the record.
    pub(crate) fn look(&mut self, record: &Record) {
        if self.aborted || self.end.is_some() {
            return;
        }
        let lost = record.refusal(0, self.who, 1).map(|_| ACCESS_LOST);
        self.end = record.gone.or(lost);
        if self.end.is_none() {
            (self.true_owner, self.true_access) = (record.owner, record.access);
        }
        self.true_version = record.version();
    }

    /// The client gets a message; whether it is the terminal.
    #[track_caller]
    pub(crate) fn receive(&mut self, message: &Message, record: &Record) -> bool {
        match (message.code, message.access) {
            (0, 0) => {
                assert!(!self.begun, "a second OK");
                self.begun = true;
                assert_eq!(*message, version(message.xid, self.since));
            }
            (255, 0) => {
                assert!(self.aborted, "ABORT of a watch that nobody ended");
                return true;
            }
            (11, kind) => {
                assert!(self.begun, "{message:?} before the OK");
                return self.notified(kind, &message.payload, record);
            }
            _ => panic!("{message:?}"),
        }
        false
    }

    #[track_caller]
    fn notified(&mut self, kind: u8, payload: &[u8], record: &Record) -> bool {
        let number = || u64::from_be_bytes(*payload.first_chunk().unwrap());
        match kind {
            1 | 2 => {
                let version = number();
                assert!(self.told.is_none_or(|told| version > told), "{version} after {:?}", self.told);
                assert!(version > self.since || (self.push && version == self.since && self.told.is_none()));
                if kind == 2 {
                    assert!(
                        self.push && self.told == Some(version - 1),
                        "a part of {version} after {:?}",
                        self.told
                    );
                    let (offset, bytes) = payload[8..].split_at(4);
                    let offset = u32::from_be_bytes(offset.try_into().unwrap()) as usize;
                    let copy = self.copy.as_mut().unwrap();
                    copy.resize(copy.len().max(offset + bytes.len()), 0);
                    copy[offset..offset + bytes.len()].copy_from_slice(bytes);
                } else if self.push {
                    self.copy = Some(payload[8..].to_vec());
                } else {
                    assert_eq!(payload.len(), 8);
                }
                assert!(
                    self.copy.as_ref().is_none_or(|copy| *copy == record.states[version as usize]),
                    "{version}"
                );
                self.told = Some(version);
            }
            3 => self.access = payload[0],
            4 => self.owner = number(),
            5 => assert!(self.owner == self.who && number() != self.who, "asked for what is not ours"),
            kind => {
                assert_eq!((Some(kind), payload.len()), (self.end, 0));
                self.assert_up_to_date();
                return true;
            }
        }
        false
    }

    /// It knows all that it should.
    #[track_caller]
    pub(crate) fn assert_up_to_date(&self) {
        assert!(self.begun);
        let first = self.told.is_none() && !(self.push && self.since > 0);
        let known = if first { self.since } else { self.told.expect("the first state") };
        assert_eq!((known, self.owner, self.access), (self.true_version, self.true_owner, self.true_access));
    }

    /// All that can come has come.
    #[track_caller]
    pub(crate) fn assert_settled(&self) {
        assert!(self.end.is_none() && !self.aborted, "its terminal is missing");
        self.assert_up_to_date();
    }
}
