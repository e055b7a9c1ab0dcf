//! What each operation does (docs/PROTOCOL.md §3).

use super::{Record, Store, cost};
use crate::config::RECORD_OVERHEAD;
use crate::engine::{Engine, Incident, Peer};
use crate::error::Refusal;
use crate::memory::{Data, Payload};
use crate::time::Instant;
use crate::types::{Access, Owner, Pointer, Version, Xid};
use crate::wire::{Identity, Reply, Request, Stat};

pub(super) type Answer = Result<Reply<Data>, Refusal>;

impl Engine for Store {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<(), Refusal> {
        self.expire(now);
        self.trash.clear();
        self.check(peer.owner, request, |len| *len as usize)
    }

    fn execute(
        &mut self,
        peer: Peer,
        xid: Xid,
        request: Request<Payload>,
        now: Instant,
    ) -> Option<Reply<Data>> {
        let reply = self.serve(peer, xid, request, now);
        self.trash.clear();
        reply
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        Store::depart(self, peer.id, now);
        self.trash.clear();
    }

    fn note(&mut self, incident: Incident) {
        self.counters.note(incident);
    }
}

impl Store {
    /// Carries out a complete request; `None` when the answer comes later. What it made superfluous is left in the
    /// [trash](Self::take_trash).
    pub fn serve(
        &mut self,
        peer: Peer,
        _xid: Xid,
        request: Request<Payload>,
        now: Instant,
    ) -> Option<Reply<Data>> {
        self.expire(now);
        let opcode = request.opcode();
        let answer = match self.check(peer.owner, &request, Payload::len) {
            Ok(()) => self.carry_out(peer.owner, request, now),
            Err(refusal) => Err(refusal),
        };
        Some(match answer {
            Ok(reply) => {
                self.counters.requested(opcode);
                reply
            }
            Err(refusal) => {
                self.counters.refused(Some(opcode), &refusal);
                Reply::Refused(refusal)
            }
        })
    }

    fn carry_out(&mut self, caller: Owner, request: Request<Payload>, now: Instant) -> Answer {
        match request {
            Request::CreateRecord { access, data } => self.create(caller, access, data, now),
            Request::UpdateRecordPermissions { pointer, access } => {
                self.record_mut(pointer)?.access = access;
                Ok(Reply::Done)
            }
            Request::ResolvePointer { pointer } => Ok(Reply::Resolved(self.record(pointer)?.data.clone())),
            Request::ReplaceRecord { pointer, data } => self.replace(pointer, None, data),
            Request::DeleteRecord { pointer } => {
                self.remove(pointer);
                self.counters.records_deleted += 1;
                Ok(Reply::Done)
            }
            Request::TakeoverRecord { pointer } => self.give(pointer, caller, now),
            Request::TransferRecord { pointer, owner } => self.give(pointer, owner, now),
            Request::Identify => {
                let grace = self.config.times.grace;
                Ok(Reply::Identity(Identity::new(caller, self.config.limits.record, grace)))
            }
            Request::Ping { data } => Ok(Reply::Echo(data.settle()?)),
            Request::StatRecord { pointer } => self.stat(pointer, now),
            Request::ListRecords => Ok(Reply::Pointers(self.owners.records(caller))),
            Request::ReadRange { pointer, offset, len } => self.read_range(pointer, offset, len),
            Request::WriteRange { pointer, offset, data } => self.write_range(pointer, offset, &data),
            Request::Append { pointer, data } => self.append(pointer, &data),
            Request::CompareAndReplace { pointer, version, data } => {
                self.replace(pointer, Some(version), data)
            }
            Request::FetchAdd { pointer, offset, delta } => self.fetch_add(pointer, offset, delta),
            Request::ResolveIfChanged { pointer, version } => self.resolve_if_changed(pointer, version),
        }
    }

    fn create(&mut self, caller: Owner, access: Access, data: Payload, now: Instant) -> Answer {
        let cost = cost(data.len());
        self.budget.charge(RECORD_OVERHEAD)?;
        let data = data
            .fits_in_place_of(&Data::default())
            .map_err(Refusal::from)
            .and_then(|()| self.owners.allow(caller, cost, 1, &self.config.limits))
            .and_then(|()| data.settle().map_err(Refusal::from))
            .inspect_err(|_| self.budget.release(RECORD_OVERHEAD))?;
        let pointer = self.pointers.draw();
        let mut record = Record { owner: caller, access, version: Version::FIRST, data, deadline: None };
        self.owners.add(pointer, &mut record, now + self.config.times.grace, &mut self.lifetimes);
        self.records.insert(pointer, record);
        self.counters.records_created += 1;
        Ok(Reply::Created(pointer))
    }

    /// REPLACE_RECORD, and with an expected version COMPARE_AND_REPLACE.
    fn replace(&mut self, pointer: Pointer, expected: Option<Version>, data: Payload) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        let (before, after) = (record.cost(), cost(data.len()));
        data.fits_in_place_of(&record.data)?;
        self.owners.allow(record.owner, after.saturating_sub(before), 0, &self.config.limits)?;
        // The quotas come before the version, those that its last bytes passed too.
        data.bytes()?;
        if expected.is_some_and(|expected| expected != record.version) {
            return Err(Refusal::VersionMismatch { current: record.version });
        }
        let old = data.settle_into(&mut record.data)?;
        let version = record.written();
        self.owners.resize(record.owner, before, after);
        self.discard(old);
        Ok(Reply::Written(version))
    }

    /// Makes somebody the owner of a record (docs/PROTOCOL.md §6.5).
    fn give(&mut self, pointer: Pointer, to: Owner, now: Instant) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        if record.owner == to {
            return Ok(Reply::Done);
        }
        self.owners.allow(to, record.cost(), 1, &self.config.limits)?;
        self.owners.remove(pointer, record, &mut self.lifetimes);
        record.owner = to;
        record.deadline = None;
        record.access.remove(Access::TAKEOVER);
        self.owners.add(pointer, record, now + self.config.times.grace, &mut self.lifetimes);
        Ok(Reply::Done)
    }

    fn stat(&self, pointer: Pointer, now: Instant) -> Answer {
        let record = self.record(pointer)?;
        let deadline = record.deadline.or_else(|| self.owners.deadline(record.owner));
        let expires = deadline.map(|deadline| {
            let left = deadline.saturating_since(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX)
        });
        Ok(Reply::Stat(Stat {
            len: record.data.len() as u32,
            version: record.version,
            owner: record.owner,
            access: record.access,
            reserved: false,
            expires,
        }))
    }
}
