//! The naive store: docs/PROTOCOL.md §3 and §6 as literally as can be. Maps that are searched from end to end, whole
//! copies of data, one thing after another. It shares no code with the store that it is held against.

use std::collections::{BTreeMap, BTreeSet};

use crate::counts::Counts;
use crate::memory::Memory;
use crate::support::wire::{
    ACCESS_LOST, DELETED, Message, access_violation, added, address_fault, appended, changed, invalid,
    mismatch, not_modified, ok, op, quota, range, resolved, too_large, version,
};
use crate::support::{SETTINGS_COST, flat, held, sent};
use crate::terms::{
    Caller, Event, OVERHEAD, Record, Rules, SECOND, Standing, Time, Truth, What, shape, u32_at, u64_at,
};

pub(crate) struct Store {
    pub(crate) rules: Rules,
    pub(crate) records: BTreeMap<u64, Record>,
    /// Data of records that are no more, for those who are still told of them.
    pub(crate) past: BTreeMap<u64, Vec<Vec<u8>>>,
    /// How many connections of an owner keep its records alive.
    pub(crate) present: BTreeMap<u64, usize>,
    /// Owners with a connection that is not closed.
    pub(crate) connected: BTreeSet<u64>,
    /// The server never was late.
    pub(crate) punctual: bool,
    pub(crate) standing: BTreeMap<(usize, u32), Standing>,
    pub(crate) events: Vec<Event>,
    /// The pointers that this server will give, the next one last.
    pub(crate) pointers: Vec<u64>,
    pub(crate) counts: Counts,
    /// Operations that were answered, with the codes.
    pub(crate) answered: BTreeSet<(u8, u8)>,
    /// Things came together of which the protocol does not say which is first.
    pub(crate) undecided: bool,
}

impl Store {
    /// Checks 3 to 5 (§3.2), after those values of SET_LIFETIME that depend on the server.
    pub(crate) fn check(
        &self,
        caller: Caller,
        op: u8,
        operands: &[u8],
        data_len: u64,
    ) -> Result<(), Message> {
        let Caller { who, xid, .. } = caller;
        if op == op::SET_LIFETIME {
            let (grace, ttl, heir) = (u32_at(operands, 8), u32_at(operands, 12), u64_at(operands, 16));
            let too_long = |seconds: u32| Time::from(seconds) * SECOND > self.rules.longest;
            if (grace != u32::MAX && too_long(grace)) || too_long(ttl) || heir == who {
                return Err(invalid(xid, 3));
            }
        }
        let mut before = 0;
        if !matches!(op, op::CREATE | op::IDENTIFY | op::PING | op::LIST | op::RESERVE) {
            let record = self.records.get(&u64_at(operands, 0)).ok_or(address_fault(xid))?;
            let right = match op {
                op::RESOLVE
                | op::STAT
                | op::READ_RANGE
                | op::IF_CHANGED
                | op::WATCH
                | op::REQUEST_OWNERSHIP => 1,
                op::REPLACE | op::WRITE_RANGE | op::APPEND | op::COMPARE => 2,
                op::ADD => 3,
                op::TAKEOVER => 4,
                _ => 8, // for the owner only: nobody else ever has this one
            };
            if record.owner != who && record.access & right != right {
                return Err(access_violation(xid));
            }
            before = match op {
                op::WRITE_RANGE => u64::from(u32_at(operands, 8)),
                op::APPEND => record.data().len() as u64,
                _ => 0,
            };
        }
        let limit = self.rules.record;
        if before + data_len > limit { Err(too_large(xid, limit as u32)) } else { Ok(()) }
    }

    /// Carries out a complete request. `over` is what its last bytes passed, of quota 5.
    pub(crate) fn execute(
        &mut self,
        caller: Caller,
        (op, access): (u8, u8),
        payload: &[u8],
        memory: Memory,
        over: Option<Message>,
        now: Time,
    ) {
        self.expire(now);
        self.counts.request(op);
        let (operands, data) = payload.split_at(shape(op).0);
        let checked = self.check(caller, op, operands, data.len() as u64);
        let begun = self.events.len();
        let answer = checked
            .and_then(|()| self.carry_out(caller, (op, access), operands, data, (memory, over), now))
            .unwrap_or_else(Some);
        // Its own reply is first (§3.3). A watch has had its OK, and a waiting read gets none.
        if let Some(message) = answer {
            self.answered.insert((op, message.code));
            self.events.insert(begun, Event::Reply(caller.at, message));
        }
    }

    fn carry_out(
        &mut self,
        caller: Caller,
        (op, access): (u8, u8),
        operands: &[u8],
        data: &[u8],
        (memory, over): (Memory, Option<Message>),
        now: Time,
    ) -> Result<Option<Message>, Message> {
        let Caller { at, who, xid } = caller;
        let len = data.len() as u64;
        let pointer = if operands.len() >= 8 { u64_at(operands, 0) } else { 0 };
        let old = self.records.get(&pointer).map_or(Vec::new(), |record| record.data().to_vec());
        let was = old.len() as u64;
        let over = || over.clone().map_or(Ok(()), Err);
        // What its old data may give back: nothing where a reply may hold them.
        let given_back = if memory.quiet { (was, held(was)) } else { (0, held(was)) };
        // What data of a length count beyond what was counted as they came. Chunks are never refused in the end.
        let growth = |len: u64, counted: u64| {
            let most = held(len).saturating_sub(counted);
            if len > flat() { (0, most) } else { (most, most) }
        };
        Ok(Some(match op {
            op::CREATE | op::RESERVE => {
                let (least, most) = growth(len, memory.counted);
                self.memory(xid, memory, OVERHEAD + least, OVERHEAD + most)?;
                self.owner_quotas(xid, who, len + OVERHEAD, 1)?;
                over()?;
                ok(xid, self.create(who, access, (op == op::CREATE).then_some(data), now).to_be_bytes())
            }
            op::PERMIT => {
                self.records.get_mut(&pointer).unwrap().access = access;
                self.touch(pointer);
                ok(xid, [])
            }
            op::RESOLVE | op::READ_RANGE | op::IF_CHANGED => {
                if self.records[&pointer].version() == 0 {
                    self.stand(caller, pointer, What::Read { op, payload: operands.to_vec() })?;
                    return Ok(None);
                }
                self.read(xid, pointer, op, operands)
            }
            op::REPLACE | op::COMPARE => {
                let (least, most) = given_back;
                let (grown, grown_at_most) = growth(len, memory.counted);
                let (most, least) = (grown_at_most.saturating_sub(least), grown.saturating_sub(most));
                self.memory(xid, memory, least, most)?;
                self.owner_quotas(xid, self.records[&pointer].owner, len.saturating_sub(was), 0)?;
                over()?;
                let current = self.records[&pointer].version();
                if op == op::COMPARE && u64_at(operands, 8) != current {
                    return Err(mismatch(xid, current));
                }
                version(xid, self.write(pointer, data.to_vec(), false))
            }
            op::WRITE_RANGE | op::APPEND => {
                let offset = if op == op::WRITE_RANGE { u32_at(operands, 8) as usize } else { old.len() };
                let mut new = old.clone();
                new.resize(new.len().max(offset + data.len()), 0);
                new[offset..offset + data.len()].copy_from_slice(data);
                if !data.is_empty() || new.len() > old.len() {
                    let (least, most) = given_back;
                    let (needed, needed_at_most) = growth(new.len() as u64, 0);
                    let (most, least) = (needed_at_most.saturating_sub(least), needed.saturating_sub(most));
                    self.memory(xid, memory, least, most)?;
                } else {
                    assert!(!memory.refused, "nothing grows");
                }
                self.owner_quotas(xid, self.records[&pointer].owner, new.len() as u64 - was, 0)?;
                over()?;
                let extended = new.len() > old.len() || self.records[&pointer].extended;
                let written = self.write(pointer, new, extended);
                if op == op::WRITE_RANGE {
                    version(xid, written)
                } else {
                    appended(xid, written, offset as u32)
                }
            }
            op::ADD => {
                self.memory(xid, memory, 0, if memory.quiet { 0 } else { held(was) })?;
                let (offset, delta) = (u32_at(operands, 8) as usize, u64_at(operands, 12) as i64);
                if offset + 8 > old.len() {
                    return Err(address_fault(xid));
                }
                let value = (u64_at(&old, offset) as i64).wrapping_add(delta);
                let mut new = old.clone();
                new[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
                added(xid, self.write(pointer, new, self.records[&pointer].extended), value)
            }
            op::DELETE => {
                self.counts.deleted += 1;
                self.remove(pointer, DELETED);
                ok(xid, [])
            }
            op::TAKEOVER | op::TRANSFER => {
                let to = if op == op::TAKEOVER { who } else { u64_at(operands, 8) };
                if op == op::TRANSFER && to != self.records[&pointer].owner {
                    let (least, most) = self.cost_of_giving(pointer, to);
                    self.memory(xid, memory, least, most)?;
                }
                self.give(xid, pointer, to, now)?;
                ok(xid, [])
            }
            op::IDENTIFY => {
                let seconds = self.rules.grace.div_ceil(SECOND) as u32;
                let limit = self.rules.record as u32;
                let fixed = [[0, 1], 1390_u16.to_be_bytes()].concat();
                ok(
                    xid,
                    [&who.to_be_bytes()[..], &fixed, &limit.to_be_bytes(), &seconds.to_be_bytes()].concat(),
                )
            }
            op::PING => {
                let growth = sent(len).saturating_sub(memory.counted);
                self.memory(xid, memory, growth, growth)?;
                over()?;
                ok(xid, data)
            }
            op::STAT => ok(xid, self.stat(pointer, now)),
            op::WATCH => {
                let push = access & 1 == 1;
                let Record { owner, access, .. } = self.records[&pointer];
                let version_now = self.records[&pointer].version();
                let truth = Truth { version: version_now, owner, access, asked: None, changes: (0, 0) };
                self.stand(caller, pointer, What::Watch(truth))?;
                let ok = version(xid, version_now);
                self.answered.insert((op, 0));
                self.events.push(Event::Watching { at, ok, pointer, who, push, truth });
                return Ok(None);
            }
            op::LIST => {
                let own: Vec<u64> = self
                    .records
                    .iter()
                    .filter(|(_, it)| it.owner == who)
                    .map(|(pointer, _)| *pointer)
                    .collect();
                let growth = sent(8 * own.len() as u64);
                self.memory(xid, memory, growth, growth)?;
                ok(xid, own.iter().flat_map(|pointer| pointer.to_be_bytes()).collect::<Vec<u8>>())
            }
            op::SET_LIFETIME => {
                let (grace, ttl, heir) = (u32_at(operands, 8), u32_at(operands, 12), u64_at(operands, 16));
                if grace != u32::MAX || ttl > 0 || heir != 0 {
                    let (least, most) = self.records[&pointer].settings_held(self.punctual);
                    self.memory(xid, memory, SETTINGS_COST - most, SETTINGS_COST - least)?;
                }
                let absent = !self.is_present(who);
                let default = self.rules.grace;
                let record = self.records.get_mut(&pointer).unwrap();
                record.has_grace = grace != u32::MAX;
                record.grace = if record.has_grace { Time::from(grace) * SECOND } else { default };
                record.ttl = (ttl > 0).then(|| now + Time::from(ttl) * SECOND);
                record.heir = heir;
                (record.deadline, record.own_deadline, record.was_left) = (None, None, false);
                if absent {
                    record.is_left(now, true);
                }
                ok(xid, [])
            }
            op::REQUEST_OWNERSHIP => {
                let owner = self.records[&pointer].owner;
                for standing in self.standing.values_mut() {
                    if let What::Watch(truth) = &mut standing.what
                        && (standing.pointer, standing.who) == (pointer, owner)
                        && owner != who
                    {
                        truth.asked = Some(who);
                    }
                }
                ok(xid, [])
            }
            _ => unreachable!("opcode {op} is not executed"),
        }))
    }

    fn create(&mut self, owner: u64, access: u8, data: Option<&[u8]>, now: Time) -> u64 {
        self.counts.created += 1;
        let pointer = self.pointers.pop().expect("more pointers");
        let states = [Some(Vec::new()), data.map(<[u8]>::to_vec)].into_iter().flatten().collect();
        let grace = self.rules.grace;
        let mut record = Record {
            owner,
            access,
            states,
            grace,
            ttl: None,
            heir: 0,
            deadline: None,
            has_grace: false,
            own_deadline: None,
            was_left: false,
            extended: false,
        };
        if !self.is_present(owner) {
            record.is_left(now, true);
        }
        self.records.insert(pointer, record);
        pointer
    }

    /// The answer of a read (§3.6, §3.15, §3.20), of a record with data.
    fn read(&self, xid: u32, pointer: u64, op: u8, operands: &[u8]) -> Message {
        let record = &self.records[&pointer];
        let (now, data) = (record.version(), record.data());
        match op {
            op::RESOLVE => resolved(xid, data),
            op::IF_CHANGED if u64_at(operands, 8) == now => not_modified(xid),
            op::IF_CHANGED => changed(xid, now, data),
            _ => {
                let from = (u32_at(operands, 8) as usize).min(data.len());
                let to = (from + u32_at(operands, 12) as usize).min(data.len());
                range(xid, now, data.len() as u32, &data[from..to])
            }
        }
    }

    fn stat(&self, pointer: u64, now: Time) -> Vec<u8> {
        let record = &self.records[&pointer];
        let end = [record.ttl, record.deadline].into_iter().flatten().min();
        let expires = end.map_or(u32::MAX, |end| (end - now).div_ceil(SECOND).min(0xffff_fffe) as u32);
        let (len, reserved) = (record.data().len() as u32, u8::from(record.version() == 0));
        let numbers = [&len.to_be_bytes()[..], &record.version().to_be_bytes(), &record.owner.to_be_bytes()];
        [&numbers.concat()[..], &[record.access, reserved], &expires.to_be_bytes()].concat()
    }

    /// A write of data; the new version. The first one answers the reads that wait (§3.22).
    fn write(&mut self, pointer: u64, data: Vec<u8>, extended: bool) -> u64 {
        let record = self.records.get_mut(&pointer).unwrap();
        record.states.push(data);
        record.extended = extended;
        let version = record.version();
        for ((at, xid), standing) in self
            .take_standing(|it| it.pointer == pointer && matches!(it.what, What::Read { .. }) && version == 1)
        {
            let What::Read { op, payload } = standing.what else { unreachable!() };
            let message = self.read(xid, pointer, op, &payload);
            self.events.push(Event::Reply(at, message));
        }
        self.touch(pointer);
        version
    }

    /// A record has changed: who may no longer read it is told so, who watches it must come to know.
    pub(crate) fn touch(&mut self, pointer: u64) {
        let record = &self.records[&pointer];
        let (version, owner, access) = (record.version(), record.owner, record.access);
        let shut_out = |it: &Standing| it.pointer == pointer && it.who != owner && access & 1 == 0;
        for ((at, xid), standing) in self.take_standing(shut_out) {
            self.events.push(match standing.what {
                What::Watch(truth) => Event::Ended(at, xid, ACCESS_LOST, truth),
                What::Read { .. } => Event::Reply(at, access_violation(xid)),
            });
        }
        for standing in self.standing.values_mut().filter(|it| it.pointer == pointer) {
            if let What::Watch(truth) = &mut standing.what {
                let asked = truth.asked.filter(|_| truth.owner == owner);
                let owners = truth.changes.0 + u32::from(truth.owner != owner);
                let changes = (owners, truth.changes.1 + u32::from(truth.access != access));
                *truth = Truth { version, owner, access, asked, changes };
            }
        }
    }

    fn take_standing(&mut self, which: impl Fn(&Standing) -> bool) -> Vec<((usize, u32), Standing)> {
        let keys: Vec<_> = self.standing.iter().filter(|(_, it)| which(it)).map(|(key, _)| *key).collect();
        keys.into_iter().map(|key| (key, self.standing.remove(&key).unwrap())).collect()
    }

    fn stand(&mut self, caller: Caller, pointer: u64, what: What) -> Result<(), Message> {
        let Caller { at, who, xid } = caller;
        let standing = self.standing.keys().filter(|(it, _)| *it == at).count();
        if standing >= self.rules.watches {
            return Err(quota(xid, 6, self.rules.watches as u64));
        }
        self.standing.insert((at, xid), Standing { pointer, who, what });
        Ok(())
    }

    pub(crate) fn remove(&mut self, pointer: u64, kind: u8) {
        let record = self.records.remove(&pointer).unwrap();
        self.past.insert(pointer, record.states);
        for ((at, xid), standing) in self.take_standing(|it| it.pointer == pointer) {
            self.events.push(match standing.what {
                What::Watch(truth) => Event::Ended(at, xid, kind, truth),
                What::Read { .. } => Event::Reply(at, address_fault(xid)),
            });
        }
    }
}
