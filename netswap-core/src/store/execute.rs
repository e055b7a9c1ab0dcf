//! What each operation does (docs/PROTOCOL.md §3).

use alloc::vec::Vec;

use super::Store;
use super::record::{Record, cost};
use super::standing::Read;
use crate::config::RECORD_OVERHEAD;
use crate::engine::{Engine, Execution, Incident, Mail, Peer};
use crate::error::Refusal;
use crate::memory::{Data, Payload};
use crate::time::Instant;
use crate::types::{Access, Owner, Pointer, Version, Xid};
use crate::wire::{Ending, Identity, Notification, Reply, Request, Stat};

pub(super) type Answer = Result<Reply<Data>, Refusal>;

impl Engine for Store {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<(), Refusal> {
        self.expire(now);
        self.trash.clear();
        self.check(peer.owner, request, |len| *len as usize)
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        let done = self.serve(peer, xid, request, now);
        self.trash.clear();
        done
    }

    fn take_mail(&mut self, peer: Peer) -> Vec<Mail> {
        Store::take_mail(self, peer.id)
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Vec<Notification<Data>>> {
        Store::take_news(self, peer.id, xid, room)
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        Store::forget(self, peer.id, xid);
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
    /// Carries out a complete request. What it made superfluous is left in the [trash](Self::take_trash), and whom it
    /// concerns besides is [told](Self::take_woken).
    pub fn serve(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        self.expire(now);
        let opcode = request.opcode();
        let done = match self.check(peer.owner, &request, Payload::len) {
            Ok(()) => self.wait_or_carry_out(peer, xid, request, now),
            Err(refusal) => Err(refusal),
        };
        done.inspect(|_| self.counters.requested(opcode)).unwrap_or_else(|refusal| {
            self.counters.refused(Some(opcode), &refusal);
            Execution::Done(Reply::Refused(refusal))
        })
    }

    fn wait_or_carry_out(
        &mut self,
        peer: Peer,
        xid: Xid,
        request: Request<Payload<'_>>,
        now: Instant,
    ) -> Result<Execution, Refusal> {
        if let Some((pointer, read)) = Read::of(&request) {
            let record = self.record(pointer)?;
            if record.is_reserved() {
                return self.wait(peer, xid, pointer, read).map(|()| Execution::Waiting);
            }
            return Ok(Execution::Done(read.answer(record)));
        }
        self.carry_out(peer, xid, request, now).map(Execution::Done)
    }

    fn carry_out(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Answer {
        let caller = peer.owner;
        match request {
            Request::CreateRecord { access, data } => self.create(caller, access, Some(data), now),
            Request::ReserveRecord { access } => self.create(caller, access, None, now),
            Request::UpdateRecordPermissions { pointer, access } => self.set_access(pointer, access),
            Request::ReplaceRecord { pointer, data } => self.replace(pointer, None, data),
            Request::CompareAndReplace { pointer, version, data } => {
                self.replace(pointer, Some(version), data)
            }
            Request::WriteRange { pointer, offset, data } => self.write_range(pointer, offset, &data),
            Request::Append { pointer, data } => self.append(pointer, &data),
            Request::FetchAdd { pointer, offset, delta } => self.fetch_add(pointer, offset, delta),
            Request::DeleteRecord { pointer } => {
                self.end(pointer, Ending::Deleted);
                self.counters.records_deleted += 1;
                Ok(Reply::Done)
            }
            Request::TakeoverRecord { pointer } => self.give(pointer, caller, now),
            Request::TransferRecord { pointer, owner } => self.give(pointer, owner, now),
            Request::SetLifetime { pointer, lifetime } => self.set_lifetime(pointer, lifetime, now),
            Request::WatchRecord { pointer, push } => {
                self.watch(peer, xid, pointer, push).map(Reply::Watching)
            }
            Request::RequestOwnership { pointer } => {
                self.announce_request(pointer, caller);
                Ok(Reply::Done)
            }
            Request::Identify => {
                let grace = self.config.times.grace;
                Ok(Reply::Identity(Identity::new(caller, self.config.limits.record, grace)))
            }
            Request::Ping { data } => Ok(Reply::Echo(data.settle(&self.budget)?)),
            Request::StatRecord { pointer } => self.stat(pointer, now),
            Request::ListRecords => Ok(Reply::Pointers(self.owners.records(caller))),
            // These read a record, and were dealt with before.
            Request::ResolvePointer { .. } | Request::ResolveIfChanged { .. } | Request::ReadRange { .. } => {
                Err(Refusal::AddressFault)
            }
        }
    }

    /// CREATE_RECORD, and without data RESERVE_RECORD.
    pub(super) fn create(
        &mut self,
        caller: Owner,
        access: Access,
        data: Option<Payload<'_>>,
        now: Instant,
    ) -> Answer {
        let version = if data.is_some() { Version::FIRST } else { Version::RESERVED };
        let cost = cost(data.as_ref().map_or(0, Payload::len));
        self.budget.charge(RECORD_OVERHEAD)?;
        let fits = data.as_ref().map_or(Ok(()), |data| data.fits_in_place_of(&Data::default(), &self.budget));
        let data = fits
            .map_err(Refusal::from)
            .and_then(|()| self.owners.allow(caller, cost, 1, &self.config.limits))
            .and_then(|()| self.settle(data))
            .inspect_err(|_| self.budget.release(RECORD_OVERHEAD))?;
        let pointer = self.pointers.draw();
        let mut record = Record::new(caller, access, version, data);
        self.owners.add(pointer, &mut record, now, self.config.times.grace, &mut self.lifetimes);
        self.records.insert(pointer, record);
        self.counters.records_created += 1;
        Ok(Reply::Created(pointer))
    }

    fn settle(&self, data: Option<Payload<'_>>) -> Result<Data, Refusal> {
        data.map_or(Ok(Data::default()), |data| data.settle(&self.budget)).map_err(Refusal::from)
    }

    /// UPDATE_RECORD_PERMISSIONS
    fn set_access(&mut self, pointer: Pointer, access: Access) -> Answer {
        let record = self.record_mut(pointer)?;
        if core::mem::replace(&mut record.access, access) != access {
            self.announce_rights(pointer, None, Some(access));
        }
        Ok(Reply::Done)
    }

    /// REPLACE_RECORD, and with an expected version COMPARE_AND_REPLACE.
    fn replace(&mut self, pointer: Pointer, expected: Option<Version>, data: Payload<'_>) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        let (before, after) = (record.cost(), cost(data.len()));
        data.fits_in_place_of(&record.data, &self.budget)?;
        self.owners.allow(record.owner, after.saturating_sub(before), 0, &self.config.limits)?;
        // The quotas come before the version, those that its last bytes passed too.
        data.bytes()?;
        if expected.is_some_and(|expected| expected != record.version) {
            return Err(Refusal::VersionMismatch { current: record.version });
        }
        let old = data.settle_into(&mut record.data, &self.budget)?;
        let version = record.version.next();
        record.version = version;
        self.owners.resize(record.owner, before, after);
        self.discard(old);
        self.announce_write(pointer, None);
        Ok(Reply::Written(version))
    }

    /// Makes somebody the owner of a record (docs/PROTOCOL.md §6.5).
    pub(super) fn give(&mut self, pointer: Pointer, to: Owner, now: Instant) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        if record.owner == to {
            return Ok(Reply::Done);
        }
        self.owners.allow(to, record.cost(), 1, &self.config.limits)?;
        self.owners.remove(pointer, record, &mut self.lifetimes);
        record.owner = to;
        record.deadline = None;
        if let Some(settings) = &mut record.settings {
            settings.heir = None;
        }
        let access = record.access.difference(Access::TAKEOVER);
        let changed = core::mem::replace(&mut record.access, access) != access;
        self.owners.add(pointer, record, now, self.config.times.grace, &mut self.lifetimes);
        self.announce_rights(pointer, Some(to), changed.then_some(access));
        Ok(Reply::Done)
    }

    fn stat(&self, pointer: Pointer, now: Instant) -> Answer {
        let record = self.record(pointer)?;
        let grace = record.deadline.or_else(|| self.owners.deadline(record.owner));
        let expires = grace.into_iter().chain(record.ttl()).min().map(|deadline| {
            let left = deadline.saturating_since(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX)
        });
        Ok(Reply::Stat(Stat {
            len: record.data.len() as u32,
            version: record.version,
            owner: record.owner,
            access: record.access,
            reserved: record.is_reserved(),
            expires,
        }))
    }
}
