//! What each operation does, once more (docs/PROTOCOL.md §3).

use bytes::{Bytes, BytesMut};
use netswap_core::config::RECORD_OVERHEAD;
use netswap_core::error::{Invalid, Quota, Refusal};
use netswap_core::types::{Access, Owner, Pointer, Version};
use netswap_core::wire::{Ending, Identity, Lifetime, Reply, Request, Stat};

use super::records::Record;
use super::standing::{Read, Wait};
use super::{ConnectionNumber, Expected, Judge, Message, Payload};
use crate::failure::{Failure, Invariant};

/// What becomes of a request.
pub(super) enum Answer {
    Reply(Reply<Payload>),
    Waits(Wait),
    /// The OK of a watch, then what it is told.
    Watches(u64, bool),
}

/// What is known of a request beside its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    /// Whether the server has refused it for want of memory, which only the server knows.
    pub(super) no_memory: bool,
    /// The limit of unfinished bytes that its last packet passed.
    pub(super) unfinished: Option<u64>,
}

impl Judge {
    /// What can be judged with the first packet: checks 2 to 5 (docs/PROTOCOL.md §3.2).
    pub(super) fn check_beginning(&self, caller: Owner, request: &Request<u32>) -> Result<(), Refusal> {
        if let Request::SetLifetime { lifetime, .. } = request {
            let longest = self.config.times.longest.as_secs();
            let long = |seconds: Option<u32>| seconds.is_some_and(|it| u64::from(it) > longest);
            let ttl = lifetime.ttl.map(std::num::NonZeroU32::get);
            if long(lifetime.grace) || long(ttl) || lifetime.heir == Some(caller) {
                return Err(Refusal::InvalidRequest(Invalid::OperandValue));
            }
        }
        let mut before = 0;
        if let Some((pointer, right)) = right(request) {
            let record = self.records.get(&pointer.0).ok_or(Refusal::AddressFault)?;
            if !record.allows(caller, right) {
                return Err(Refusal::AccessViolation);
            }
            before = match request {
                Request::WriteRange { offset, .. } => u64::from(*offset),
                Request::Append { .. } => record.data.len() as u64,
                _ => 0,
            };
        }
        let limit = self.config.limits.record;
        let len = before + request.data().map_or(0, |len| u64::from(*len));
        if len > u64::from(limit) { Err(Refusal::RecordTooLarge { limit }) } else { Ok(()) }
    }

    /// Carries out a request.
    pub(super) fn execute(
        &mut self,
        number: ConnectionNumber,
        xid: u32,
        request: Request<Bytes>,
        circumstances: Circumstances,
    ) -> Result<(), Failure> {
        self.expire()?;
        let Some(connection) = self.connections.get(&number) else { return Ok(()) };
        let caller = connection.owner;
        let writes = !request.opcode().only_reads();
        let lengths = request.clone().map(|data| data.len() as u32);
        let answer = match self.check_beginning(caller, &lengths) {
            Ok(()) => self.carry_out(number, xid, caller, request, circumstances)?,
            Err(refusal) => Err(refusal),
        };
        let waits = matches!(answer, Ok(Answer::Waits(_)));
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        if circumstances.no_memory
            && !matches!(&answer, Err(Refusal::QuotaExceeded { quota: Quota::ServerMemory, .. }))
        {
            let what = format!("request {xid} is refused for want of memory, which it does not need");
            return Err(Failure::of(Invariant::Limits, number, what));
        }
        if writes && answer.is_ok() && !waits {
            self.effective.insert((number, xid));
        }
        match answer {
            Err(refusal) => connection.expect(xid, Expected::Reply(Message::of(Reply::Refused(refusal)))),
            Ok(Answer::Reply(reply)) => {
                // Before what it causes on the connection itself: that is told under other XIDs.
                connection.expect(xid, Expected::Reply(Message::of(reply)));
            }
            Ok(Answer::Waits(wait)) => {
                connection.standing.insert(xid);
                connection.desk.insert(xid);
                connection.expect(xid, Expected::Waiting);
                self.waits.push(wait);
            }
            Ok(Answer::Watches(pointer, push)) => {
                let version = self.records.get(&pointer).map_or(0, |it| it.version);
                let reply = Reply::Watching(Version(version));
                connection.expect(xid, Expected::Reply(Message::of(reply)));
                self.watch(number, xid, pointer, push);
            }
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        number: ConnectionNumber,
        xid: u32,
        caller: Owner,
        request: Request<Bytes>,
        circumstances: Circumstances,
    ) -> Result<Result<Answer, Refusal>, Failure> {
        let total = self.config.limits.total;
        let memory = || Refusal::QuotaExceeded { quota: Quota::ServerMemory, limit: total };
        if circumstances.no_memory && self.may_need_memory(&request) && !self.ample {
            return Ok(Err(memory()));
        }
        let limit = u64::from(self.config.limits.watches);
        let over = Refusal::QuotaExceeded { quota: Quota::Watches, limit };
        let stands = self.connections.get(&number).map_or(0, |it| it.desk.len()) as u64;
        let done = |result: Result<Reply<Payload>, Refusal>| Ok(result.map(Answer::Reply));
        match request {
            Request::CreateRecord { access, data } => {
                let spent = circumstances.unfinished;
                let created = self.create(caller, access, Some(data), spent)?;
                done(created)
            }
            Request::ReserveRecord { access } => {
                let created = self.create(caller, access, None, None)?;
                done(created)
            }
            Request::UpdateRecordPermissions { pointer, access } => {
                let Some(record) = self.records.get_mut(&pointer.0) else {
                    return done(Err(Refusal::AddressFault));
                };
                if std::mem::replace(&mut record.access, access) != access {
                    self.rights_changed(pointer.0, None, Some(access));
                }
                done(Ok(Reply::Done))
            }
            Request::DeleteRecord { pointer } => {
                self.end(pointer.0, Ending::Deleted);
                done(Ok(Reply::Done))
            }
            Request::TakeoverRecord { pointer } => {
                done(self.give(pointer.0, caller, self.now).map(|()| Reply::Done))
            }
            Request::TransferRecord { pointer, owner } => {
                done(self.give(pointer.0, owner, self.now).map(|()| Reply::Done))
            }
            Request::SetLifetime { pointer, lifetime } => {
                self.set_lifetime(pointer.0, lifetime);
                done(Ok(Reply::Done))
            }
            Request::RequestOwnership { pointer } => {
                if let (Some(record), Some(history)) =
                    (self.records.get(&pointer.0), self.histories.get_mut(&pointer.0))
                {
                    history.requests.push((caller, record.owner));
                }
                done(Ok(Reply::Done))
            }
            Request::Identify => {
                let (record, grace) = (self.config.limits.record, self.config.times.grace);
                done(Ok(Reply::Identity(Identity::new(caller, record, grace))))
            }
            Request::Ping { data } => done(circumstances.spent().map(|()| Reply::Echo(Payload(data)))),
            Request::StatRecord { pointer } => done(self.stat(pointer.0)),
            Request::ListRecords => {
                let own = self.records.iter().filter(|(_, record)| record.owner == caller);
                done(Ok(Reply::Pointers(own.map(|(pointer, _)| Pointer(*pointer)).collect())))
            }
            Request::WatchRecord { .. } if stands >= limit => Ok(Err(over)),
            Request::WatchRecord { pointer, push } => Ok(Ok(Answer::Watches(pointer.0, push))),
            Request::ResolvePointer { pointer } => Ok(self.read(number, xid, pointer.0, Read::Whole, over)),
            Request::ResolveIfChanged { pointer, version } => {
                Ok(self.read(number, xid, pointer.0, Read::IfNot(version.0), over))
            }
            Request::ReadRange { pointer, offset, len } => {
                Ok(self.read(number, xid, pointer.0, Read::Range { offset, len }, over))
            }
            Request::ReplaceRecord { pointer, data } => done(
                self.write(pointer.0, circumstances, |_| Ok(data))
                    .map(|(version, _)| Reply::Written(version)),
            ),
            Request::CompareAndReplace { pointer, version, data } => done(
                self.write(pointer.0, circumstances, |record| match record.version == version.0 {
                    true => Ok(data.clone()),
                    false => Err((data.len(), Refusal::VersionMismatch { current: Version(record.version) })),
                })
                .map(|(version, _)| Reply::Written(version)),
            ),
            Request::WriteRange { pointer, offset, data } => {
                let write = |record: &Record| Ok(overwrite(&record.data, offset as usize, &data));
                done(self.write(pointer.0, circumstances, write).map(|(version, _)| Reply::Written(version)))
            }
            Request::Append { pointer, data } => {
                let write = |record: &Record| Ok(overwrite(&record.data, record.data.len(), &data));
                done(
                    self.write(pointer.0, circumstances, write)
                        .map(|(version, offset)| Reply::Appended { version, offset }),
                )
            }
            Request::FetchAdd { pointer, offset, delta } => {
                let mut value = 0;
                let write = |record: &Record| {
                    let number = record.data.get(offset as usize..).and_then(|rest| rest.first_chunk());
                    let number = number.ok_or((record.data.len(), Refusal::AddressFault))?;
                    value = i64::from_be_bytes(*number).wrapping_add(delta);
                    Ok(overwrite(&record.data, offset as usize, &value.to_be_bytes()))
                };
                let written = self.write(pointer.0, circumstances, write);
                done(written.map(|(version, _)| Reply::Added { version, value }))
            }
        }
    }

    fn create(
        &mut self,
        owner: Owner,
        access: Access,
        data: Option<Bytes>,
        unfinished: Option<u64>,
    ) -> Result<Result<Reply<Payload>, Refusal>, Failure> {
        let cost = (data.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD) as u64;
        let circumstances = Circumstances { no_memory: false, unfinished };
        if let Err(refusal) = self.allow(owner, cost, 1).and_then(|()| circumstances.spent()) {
            return Ok(Err(refusal));
        }
        let version = u64::from(data.is_some());
        let alone_since = (!self.is_present(owner)).then_some(self.now);
        let (grace, ttl, heir, was_left) = (None, None, None, alone_since.is_some());
        let data = data.unwrap_or_default();
        let record = Record { owner, access, version, data, grace, ttl, heir, alone_since, was_left };
        let pointer = self.add(record)?;
        Ok(Ok(Reply::Created(Pointer(pointer))))
    }

    /// A write to a record that exists; its new version, and how long it was.
    fn write(
        &mut self,
        pointer: u64,
        circumstances: Circumstances,
        data: impl FnOnce(&Record) -> Result<Bytes, (usize, Refusal)>,
    ) -> Result<(Version, u32), Refusal> {
        let record = self.records.get(&pointer).ok_or(Refusal::AddressFault)?;
        let before = record.data.len();
        let data = data(record);
        let len = data.as_ref().map_or_else(|(len, _)| *len, Bytes::len);
        self.allow(record.owner, len.saturating_sub(before) as u64, 0)?;
        circumstances.spent()?;
        let data = data.map_err(|(_, refusal)| refusal)?;
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        record.data = data;
        record.version += 1;
        let version = Version(record.version);
        self.written(pointer);
        Ok((version, before as u32))
    }

    fn read(
        &self,
        connection: ConnectionNumber,
        xid: u32,
        pointer: u64,
        read: Read,
        over: Refusal,
    ) -> Result<Answer, Refusal> {
        let record = self.records.get(&pointer).ok_or(Refusal::AddressFault)?;
        if record.version > 0 {
            return Ok(Answer::Reply(read.answer(record)));
        }
        let Some(reader) = self.connections.get(&connection) else { return Err(over) };
        if reader.desk.len() >= self.config.limits.watches as usize {
            return Err(over);
        }
        Ok(Answer::Waits(Wait { connection, xid, pointer, reader: reader.owner, read }))
    }

    fn set_lifetime(&mut self, pointer: u64, lifetime: Lifetime) {
        let (now, seconds) = (self.now, |seconds: u32| u64::from(seconds) * 1000);
        let Some(owner) = self.records.get(&pointer).map(|it| it.owner) else { return };
        let present = self.is_present(owner);
        if let Some(record) = self.records.get_mut(&pointer) {
            record.grace = lifetime.grace.map(seconds);
            record.ttl = lifetime.ttl.map(|ttl| now + seconds(ttl.get()));
            record.heir = lifetime.heir;
            (record.alone_since, record.was_left) = ((!present).then_some(now), !present);
        }
    }

    fn stat(&self, pointer: u64) -> Result<Reply<Payload>, Refusal> {
        let record = self.records.get(&pointer).ok_or(Refusal::AddressFault)?;
        let grace = record.grace.unwrap_or(self.config.times.grace.as_millis() as u64);
        let end = record.alone_since.map(|since| since + grace).into_iter().chain(record.ttl).min();
        Ok(Reply::Stat(Stat {
            len: record.data.len() as u32,
            version: Version(record.version),
            owner: record.owner,
            access: record.access,
            reserved: record.version == 0,
            expires: end.map(|end| end.saturating_sub(self.now).div_ceil(1000) as u32),
        }))
    }
}

impl Circumstances {
    fn spent(self) -> Result<(), Refusal> {
        match self.unfinished {
            Some(limit) => Err(Refusal::QuotaExceeded { quota: Quota::UnfinishedBytes, limit }),
            None => Ok(()),
        }
    }
}

fn overwrite(data: &Bytes, offset: usize, bytes: &[u8]) -> Bytes {
    let mut copy = BytesMut::from(&data[..]);
    copy.resize(data.len().max(offset + bytes.len()), 0);
    copy[offset..offset + bytes.len()].copy_from_slice(bytes);
    copy.freeze()
}

/// The record that a request is about, and what others need; nothing is for the owner alone (docs/PROTOCOL.md §3.1).
fn right<D>(request: &Request<D>) -> Option<(Pointer, Access)> {
    match *request {
        Request::ResolvePointer { pointer }
        | Request::StatRecord { pointer }
        | Request::ReadRange { pointer, .. }
        | Request::ResolveIfChanged { pointer, .. }
        | Request::WatchRecord { pointer, .. }
        | Request::RequestOwnership { pointer } => Some((pointer, Access::READ)),
        Request::ReplaceRecord { pointer, .. }
        | Request::WriteRange { pointer, .. }
        | Request::Append { pointer, .. }
        | Request::CompareAndReplace { pointer, .. } => Some((pointer, Access::WRITE)),
        Request::FetchAdd { pointer, .. } => Some((pointer, Access::READ | Access::WRITE)),
        Request::TakeoverRecord { pointer } => Some((pointer, Access::TAKEOVER)),
        Request::UpdateRecordPermissions { pointer, .. }
        | Request::DeleteRecord { pointer }
        | Request::TransferRecord { pointer, .. }
        | Request::SetLifetime { pointer, .. } => Some((pointer, Access::empty())),
        Request::CreateRecord { .. }
        | Request::ReserveRecord { .. }
        | Request::Ping { .. }
        | Request::Identify
        | Request::ListRecords => None,
    }
}
