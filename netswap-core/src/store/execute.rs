//! What each operation does (docs/PROTOCOL.md §3).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::record::{More, Record, cost};
use super::slab::Slot;
use super::standing::Read;
use super::{GARBAGE_PORTION, Store};
use crate::config::{RECORD_OVERHEAD, SETTINGS_COST};
use crate::engine::{Engine, Execution, Incident, ListCursor, Peer, Post, Told};
use crate::error::Refusal;
use crate::memory::{Data, Garbage, Kept, Overrun, Payload};
use crate::time::Instant;
use crate::types::{Access, Owner, Pointer, Version, Xid};
use crate::wire::{Ending, Identity, Reply, Request, Stat};

/// So many watches that are told, or chunks that are dropped, take as long as a small packet.
const EFFORT_OF_A_PACKET: usize = 4;

pub(super) type Answer = Result<Reply<Data>, Refusal>;

impl Engine for Store {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal> {
        self.expire_for(request, now);
        self.drop_garbage();
        let slot = self.check(peer.owner, request, |len| *len as usize)?;
        Ok(match request {
            Request::WriteRange { offset, .. } => *offset,
            Request::Append { .. } => self.record(slot.ok_or(Refusal::AddressFault)?)?.data.len() as u32,
            _ => 0,
        })
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        // What the requests before have left goes first: the answer need not be kept meanwhile.
        self.drop_garbage();
        self.serve(peer, xid, request, now)
    }

    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post {
        Store::take_mail(self, peer.id, room)
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told> {
        Store::take_news(self, peer.id, xid, room)
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        Store::forget(self, peer.id, xid);
    }

    fn begin_list(&mut self, peer: Peer) -> (u64, ListCursor) {
        Store::begin_list(self, peer.owner)
    }

    fn continue_list(
        &mut self,
        peer: Peer,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        Store::continue_list(self, peer.owner, cursor, pointers, now)
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        Store::depart(self, peer.id, now);
        self.drop_garbage();
    }

    fn discard(&mut self, garbage: &mut Garbage) {
        self.add_garbage(garbage);
        self.drop_garbage();
    }

    fn note(&mut self, incident: Incident) {
        self.counters.note(incident);
    }
}

impl Store {
    /// Carries out a complete request. What it made superfluous is left in the [garbage](Self::take_garbage), and whom it
    /// concerns besides is [told](Self::take_woken).
    pub fn serve(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        if self.has_toiled() && !self.is_counting {
            return self.serve_and_count(peer, xid, request, now);
        }
        self.expire_for(&request, now);
        let opcode = request.opcode();
        let done = match self.check(peer.owner, &request, Payload::len) {
            Ok(slot) => self.wait_or_carry_out(peer, xid, request, slot, now),
            Err(refusal) => Err(self.refuse_request(request, refusal)),
        };
        done.inspect(|_| self.counters.requested(opcode)).unwrap_or_else(|refusal| {
            self.counters.refused(Some(opcode), &refusal);
            Execution::Done(Reply::Refused(refusal))
        })
    }

    /// Whether something beside requests was done, or is left to be done, of which a portion comes with each request.
    #[inline]
    fn has_toiled(&self) -> bool {
        self.backlog.has_toiled() || !self.garbage.is_empty()
    }

    /// Carries out a request, and says what that took with a portion of what is left, and with what the request before it
    /// took: one that is the first to take long is not known to until it has.
    #[cold]
    #[inline(never)]
    fn serve_and_count(
        &mut self,
        peer: Peer,
        xid: Xid,
        request: Request<Payload<'_>>,
        now: Instant,
    ) -> Execution {
        self.tell_portion();
        self.is_counting = true;
        let done = self.serve(peer, xid, request, now);
        self.is_counting = false;
        // A portion is dropped before the next request.
        let chunks = if self.garbage.is_empty() { 0 } else { GARBAGE_PORTION };
        let packets = (self.backlog.take_effort() + chunks) / EFFORT_OF_A_PACKET;
        match done {
            Execution::Done(reply) if packets > 0 => {
                Execution::Long(Box::new((reply, u32::try_from(packets).unwrap_or(u32::MAX))))
            }
            done => done,
        }
    }

    #[inline(always)] // A part of `serve`, which the compiler sees so only while little else calls what it calls.
    fn wait_or_carry_out(
        &mut self,
        peer: Peer,
        xid: Xid,
        request: Request<Payload<'_>>,
        slot: Option<Slot>,
        now: Instant,
    ) -> Result<Execution, Refusal> {
        if let Some(read) = Read::of(&request)
            && let Some(slot) = slot
        {
            let record = self.record(slot)?;
            if record.is_reserved() {
                return self.wait(peer, xid, slot, read).map(|()| Execution::Waiting);
            }
            return Ok(Execution::Done(read.answer(record)));
        }
        self.carry_out(peer, xid, request, slot.ok_or(Refusal::AddressFault), now).map(Execution::Done)
    }

    fn carry_out(
        &mut self,
        peer: Peer,
        xid: Xid,
        request: Request<Payload<'_>>,
        slot: Result<Slot, Refusal>,
        now: Instant,
    ) -> Answer {
        let caller = peer.owner;
        match request {
            Request::CreateRecord { access, data } => self.create(caller, access, Some(data), now),
            Request::ReserveRecord { access } => self.create(caller, access, None, now),
            Request::UpdateRecordPermissions { access, .. } => self.set_access(slot?, access),
            Request::ReplaceRecord { data, .. } => self.replace(slot?, None, data),
            Request::CompareAndReplace { version, data, .. } => self.replace(slot?, Some(version), data),
            Request::WriteRange { offset, data, .. } => self.write_range(slot?, offset, data),
            Request::Append { data, .. } => self.append(slot?, data),
            Request::FetchAdd { offset, delta, .. } => self.fetch_add(slot?, offset, delta),
            Request::DeleteRecord { .. } => {
                self.end(slot?, Ending::Deleted);
                self.tidy();
                self.counters.records_deleted += 1;
                Ok(Reply::Done)
            }
            Request::TakeoverRecord { .. } => self.give(slot?, caller, now),
            Request::TransferRecord { owner, .. } => self.transfer(slot?, owner, now),
            Request::SetLifetime { lifetime, .. } => self.set_lifetime(slot?, lifetime, now),
            Request::WatchRecord { push, .. } => self.watch(peer, xid, slot?, push).map(Reply::Watching),
            Request::RequestOwnership { .. } => {
                self.announce_request(slot?, caller);
                Ok(Reply::Done)
            }
            Request::Identify => {
                let grace = self.config.times.grace;
                Ok(Reply::Identity(Identity::new(caller, self.config.limits.record, grace)))
            }
            Request::Ping { data } => Ok(Reply::Echo(data.settle(&self.budget)?)),
            Request::StatRecord { .. } => self.stat(slot?, now),
            Request::ListRecords => Ok(Reply::Pointers(self.list(caller, now))),
            // These read a record, and were dealt with before.
            Request::ResolvePointer { .. } | Request::ResolveIfChanged { .. } | Request::ReadRange { .. } => {
                Err(Refusal::AddressFault)
            }
        }
    }

    /// Refuses a request before anything is done of it.
    #[cold]
    fn refuse_request(&mut self, request: Request<Payload<'_>>, refusal: Refusal) -> Refusal {
        request.map(|data| data.discard(&mut self.garbage));
        refusal
    }

    /// Refuses a request, the data of which are dropped in portions.
    #[cold]
    fn refuse(&mut self, data: Payload<'_>, refusal: Refusal) -> Refusal {
        data.discard(&mut self.garbage);
        refusal
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
        if self.records.is_full() {
            return Err(Overrun::Total(self.config.limits.total).into());
        }
        self.budget.charge(RECORD_OVERHEAD)?;
        let owner = self.owners.find(caller);
        let fits = data.as_ref().map_or(Ok(()), |data| data.fits_in_place_of(&Kept::default(), &self.budget));
        let data = fits
            .map_err(Refusal::from)
            .and_then(|()| self.owners.allow(owner, cost, 1, &self.config.limits))
            .and_then(|()| self.keep(data))
            .inspect_err(|_| self.budget.release(RECORD_OVERHEAD))?;
        let pointer = self.pointers.draw();
        let owner = owner.unwrap_or_else(|| self.owners.enter(caller));
        let slot = self.records.insert(Record::new(pointer, owner, access, version, data));
        self.put(slot, owner, now);
        self.counters.records_created += 1;
        Ok(Reply::Created(pointer))
    }

    fn keep(&self, data: Option<Payload<'_>>) -> Result<Kept, Refusal> {
        let mut kept = Kept::default();
        if let Some(data) = data {
            data.settle_into(&mut kept, &self.budget)?;
        }
        Ok(kept)
    }

    /// UPDATE_RECORD_PERMISSIONS
    fn set_access(&mut self, slot: Slot, access: Access) -> Answer {
        let record = self.record_mut(slot)?;
        if core::mem::replace(&mut record.access, access) != access {
            self.announce_rights(slot, None, Some(access));
        }
        Ok(Reply::Done)
    }

    /// REPLACE_RECORD, and with an expected version COMPARE_AND_REPLACE.
    fn replace(&mut self, slot: Slot, expected: Option<Version>, data: Payload<'_>) -> Answer {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        let (before, after) = (record.cost(), cost(data.len()));
        data.fits_in_place_of(&record.data, &self.budget)?;
        if after > before {
            self.owners.allow(Some(record.owner), after - before, 0, &self.config.limits)?;
        }
        // The quotas come before the version, those that its last bytes passed too.
        data.check()?;
        if expected.is_some_and(|expected| expected != record.version) {
            let refusal = Refusal::VersionMismatch { current: record.version };
            return Err(self.refuse(data, refusal));
        }
        let old = data.settle_into(&mut record.data, &self.budget)?;
        let version = record.version.next();
        record.version = version;
        if after != before {
            self.owners.resize(record.owner, before, after);
        }
        self.discard(old);
        self.announce_write(slot, None);
        Ok(Reply::Written(version))
    }

    /// TRANSFER_RECORD
    fn transfer(&mut self, slot: Slot, to: Owner, now: Instant) -> Answer {
        let owner = self.record(slot)?.owner;
        if self.owners.get(owner) != Some(to) {
            let counts = self.records.more(slot).is_some_and(More::counts);
            let cost = self.owners.cost_of_coming(to);
            self.budget.allow(cost.saturating_sub(if counts { SETTINGS_COST } else { 0 }))?;
        }
        self.give(slot, to, now)
    }

    /// Makes somebody the owner of a record (docs/PROTOCOL.md §6.5).
    pub(super) fn give(&mut self, slot: Slot, to: Owner, now: Instant) -> Answer {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        if self.owners.get(record.owner) == Some(to) {
            return Ok(Reply::Done);
        }
        self.owners.allow(self.owners.find(to), record.cost(), 1, &self.config.limits)?;
        let access = record.access.difference(Access::TAKEOVER);
        let changed = core::mem::replace(&mut record.access, access) != access;
        self.owners.remove(slot, &mut self.lifetimes, &mut self.records);
        self.records.edit_any(slot, |_, more| more.settings.heir = None);
        let owner = self.owners.enter(to);
        self.put(slot, owner, now);
        self.announce_rights(slot, Some(to), changed.then_some(access));
        Ok(Reply::Done)
    }

    /// Puts a record that is nobody's among those of an owner.
    pub(super) fn put(&mut self, slot: Slot, owner: Slot, now: Instant) {
        self.owners.add(owner, slot, now, &mut self.lifetimes, &mut self.records);
    }

    fn stat(&self, slot: Slot, now: Instant) -> Answer {
        let record = self.record(slot)?;
        let more = self.records.more(slot);
        let grace = self.owners.deadline(record, more);
        let ttl = more.and_then(|more| more.settings.ttl);
        let expires = grace.into_iter().chain(ttl).min().map(|deadline| {
            let left = deadline.saturating_since(now);
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            u32::try_from(seconds).unwrap_or(u32::MAX)
        });
        Ok(Reply::Stat(Stat {
            len: record.data.len() as u32,
            version: record.version,
            owner: self.owners.get(record.owner).ok_or(Refusal::AddressFault)?,
            access: record.access,
            reserved: record.is_reserved(),
            expires,
        }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;
    use core::time::Duration;

    use super::*;
    use crate::config::{Config, Limits};
    use crate::error::Quota;
    use crate::identity::IdentityKey;
    use crate::memory::CHUNK;
    use crate::store::Admission;
    use crate::store::slab::Slot;
    use crate::types::Pointer;
    use crate::wire::Lifetime;

    fn store() -> (Store, Peer) {
        let config = Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), [0; 32]);
        let mut store = Store::new(config).unwrap();
        let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), Instant::ZERO) else { panic!() };
        (store, peer)
    }

    #[test]
    fn slots_that_are_used_up_are_memory_that_is_used_up() {
        let (mut store, peer) = store();
        store.records.most = 1;
        let create = |store: &mut Store| store.create(peer.owner, Access::READ, None, Instant::ZERO);
        assert!(create(&mut store).is_ok());
        let full = Refusal::QuotaExceeded { quota: Quota::ServerMemory, limit: 1 << 20 };
        assert_eq!(create(&mut store).unwrap_err(), full);
        assert_eq!((store.budget.used(), store.records.len()), (RECORD_OVERHEAD as u64, 1));
    }

    #[test]
    fn room_goes_back_with_most_of_the_records_whether_they_are_deleted_or_end() {
        let (mut store, peer) = store();
        let reader = Peer { owner: Owner::new(7).unwrap(), ..peer };
        let mut create = |owner| {
            let created = store.create(owner, Access::READ, None, Instant::ZERO).unwrap();
            let Reply::Created(pointer) = created else { panic!("{created:?}") };
            pointer
        };
        let kept: Vec<Pointer> = (0..40).map(|_| create(peer.owner)).collect();
        let ended: Vec<Pointer> = (0..100).map(|_| create(reader.owner)).collect();
        // Their owner was never connected.
        store.handle_timeout(store.poll_timeout().unwrap());
        assert!(!store.records.is_sparse() && store.records.len() == 40);
        assert!(ended.iter().all(|pointer| store.records.find(*pointer).is_none()));
        for pointer in &kept[..30] {
            let done = store.serve(peer, Xid(1), Request::DeleteRecord { pointer: *pointer }, Instant::ZERO);
            assert!(matches!(done, Execution::Done(Reply::Done)), "{done:?}");
        }
        assert!(!store.records.is_sparse() && store.records.len() == 10);
        let first: Vec<Slot> = (0..=20).map(Slot::new).collect();
        assert!(kept[30..].iter().all(|pointer| first.contains(&store.records.find(*pointer).unwrap())));
    }

    #[test]
    fn large_data_is_dropped_after_the_call_and_watchers_are_woken() {
        let (mut store, peer) = store();
        for (len, left) in [(2 * CHUNK, 0), (2 * CHUNK + 1, 2 * CHUNK)] {
            let mut serve =
                |xid, request| store.serve(peer, Xid(xid), request, Instant::ZERO).reply().unwrap();
            let create = Request::CreateRecord { access: Access::READ, data: Payload::Whole(b"") };
            let Reply::Created(pointer) = serve(1, create) else { panic!("it is not created") };
            let data = vec![7; len];
            serve(2, Request::WriteRange { pointer, offset: 0, data: Payload::Whole(&data) });
            serve(3, Request::WatchRecord { pointer, push: false });
            assert!(!store.leaves_something());
            store.serve(peer, Xid(4), Request::DeleteRecord { pointer }, Instant::ZERO);
            assert!(store.leaves_something());
            assert_eq!(store.take_woken(), [peer.id]);
            assert_eq!((store.leaves_something(), store.has_garbage()), (left > 0, left > 0));
            assert_eq!(store.poll_timeout(), (left > 0).then_some(Instant::ZERO));
            assert!(store.budget.used() >= left as u64);
            drop(store.take_garbage());
            assert!(!store.leaves_something() && store.budget.used() == 0);
            store.take_mail(peer.id, None);
        }
    }

    #[test]
    fn an_owner_that_is_gone_keeps_its_only_record_when_its_lifetime_is_set() {
        let (mut store, peer) = store();
        let created = store.create(peer.owner, Access::READ, None, Instant::ZERO).unwrap();
        let Reply::Created(pointer) = created else { panic!("{created:?}") };
        store.disconnect(peer.id, Instant::ZERO);
        let mut serve = |request| store.serve(peer, Xid(1), request, Instant::ZERO);
        // It was read before the connection ended.
        let lifetime = Lifetime { grace: Some(7), ttl: None, heir: None };
        let done = serve(Request::SetLifetime { pointer, lifetime });
        assert!(matches!(done, Execution::Done(Reply::Done)), "{done:?}");
        let listed = serve(Request::ListRecords);
        let Execution::Done(Reply::Pointers(pointers)) = listed else { panic!("{listed:?}") };
        assert_eq!(pointers, [pointer]);
        let end = Instant::after_start(Duration::from_secs(7));
        assert_eq!(store.poll_timeout(), Some(end));
        store.handle_timeout(end);
        let left = store.statistics();
        assert_eq!((left.records, left.owners, left.bytes, store.poll_timeout()), (0, 0, 0, None));
    }
}
