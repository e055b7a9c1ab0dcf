//! Writes to a part of a record (docs/PROTOCOL.md §3.16, §3.17, §3.19).

use alloc::sync::Arc;

use super::Store;
use super::execute::Answer;
use super::record::{Record, cost};
use super::slab::Slot;
use crate::error::Refusal;
use crate::memory::{Budget, Data, Payload};
use crate::types::Version;
use crate::wire::Reply;

/// Changes of up to this many bytes are copied into the notification.
const COPY_AT_MOST: usize = 4096;

/// What a write has written, for those who are told of it.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    offset: u32,
    len: u32,
    /// The bytes, where they lie together.
    bytes: Option<&'a [u8]>,
}

impl Part<'_> {
    /// Where it begins, and its bytes: a copy of some, or of many what the record has there, which its next write copies.
    pub(super) fn data(self, record: &Record, budget: &Arc<Budget>) -> Option<(u32, Data)> {
        match self.bytes.filter(|bytes| bytes.len() <= COPY_AT_MOST) {
            Some(bytes) => Some((self.offset, Data::copy(bytes, budget).ok()?)),
            None => Some((self.offset, record.data.slice(self.offset, self.len))),
        }
    }
}

impl Store {
    /// WRITE_RANGE
    pub(super) fn write_range(&mut self, slot: Slot, offset: u32, data: Payload<'_>) -> Answer {
        self.write(slot, |_| offset as usize, data).map(|(version, _)| Reply::Written(version))
    }

    /// APPEND
    pub(super) fn append(&mut self, slot: Slot, data: Payload<'_>) -> Answer {
        let (version, offset) = self.write(slot, |record| record.data.len(), data)?;
        Ok(Reply::Appended { version, offset: offset as u32 })
    }

    /// FETCH_ADD: the number is signed, 8 bytes long and big-endian, and wraps.
    pub(super) fn fetch_add(&mut self, slot: Slot, offset: u32, delta: i64) -> Answer {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        let at = offset as usize;
        let number = record.data.number(at).ok_or(Refusal::AddressFault)?;
        let value = i64::from_be_bytes(number).wrapping_add(delta);
        let bytes = value.to_be_bytes();
        let allocated = self.budget.allocated();
        let old = record.data.write(at, &bytes, &self.budget)?;
        self.backlog.count_copied(self.budget.allocated().wrapping_sub(allocated));
        let version = record.version.next();
        record.version = version;
        self.discard(old);
        self.announce_write(slot, Some(Part { offset, len: 8, bytes: Some(&bytes) }));
        Ok(Reply::Added { version, value })
    }

    /// Writes data into a record; the new version, and where the data begin.
    fn write(
        &mut self,
        slot: Slot,
        offset: impl Fn(&Record) -> usize,
        data: Payload<'_>,
    ) -> Result<(Version, usize), Refusal> {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        let (before, offset) = (record.cost(), offset(record));
        let (data_len, len) = (data.len(), record.data.len().max(offset + data.len()));
        data.check_total()?;
        // Nothing written is no reason to copy what somebody else holds.
        let changes = !data.is_empty() || len > record.data.len();
        if changes {
            data.may_be_written_to(&record.data, offset, &self.budget)?;
        }
        if cost(len) > before {
            self.owners.allow(Some(record.owner), cost(len) - before, 0, &self.config.limits)?;
        }
        data.check()?;
        let Some(bytes) = data.as_slice() else {
            let old = data.write_to(&mut record.data, offset, &self.budget, &mut self.garbage)?;
            let part = Part { offset: offset as u32, len: data_len as u32, bytes: None };
            return Ok((self.written(slot, (before, len), old, part), offset));
        };
        let allocated = self.budget.allocated();
        let old = if changes { record.data.write(offset, bytes, &self.budget)? } else { Data::default() };
        self.backlog.count_copied(self.budget.allocated().wrapping_sub(allocated));
        let part = Part { offset: offset as u32, len: data_len as u32, bytes: Some(bytes) };
        Ok((self.written(slot, (before, len), old, part), offset))
    }

    /// A part of a record was written, which cost its owner something before and has a length now: its new version.
    fn written(&mut self, slot: Slot, (before, len): (u64, usize), old: Data, part: Part<'_>) -> Version {
        let Some(record) = self.records.get_mut(slot) else { return Version::FIRST };
        let version = record.version.next();
        record.version = version;
        if cost(len) != before {
            self.owners.resize(record.owner, before, cost(len));
        }
        self.discard(old);
        self.announce_write(slot, Some(part));
        version
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::config::{Config, Limits};
    use crate::engine::Peer;
    use crate::identity::IdentityKey;
    use crate::store::Admission;
    use crate::time::Instant;
    use crate::types::{Access, Xid};
    use crate::wire::Request;

    fn serve(store: &mut Store, peer: Peer, request: Request<&[u8]>) -> Reply<Data> {
        store.serve(peer, Xid(1), request.map(Payload::Whole), Instant::ZERO).reply().unwrap()
    }

    #[test]
    fn a_write_to_a_record_that_nobody_else_holds_is_done_in_place() {
        let config = Config::new(Limits::new(1 << 30), IdentityKey([0; 16]), [0; 32]);
        let mut store = Store::new(config).unwrap();
        let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), Instant::ZERO) else { panic!() };
        let create = Request::CreateRecord { access: Access::empty(), data: &*vec![1; 15_000] };
        let Reply::Created(pointer) = serve(&mut store, peer, create) else { panic!() };
        let place =
            |store: &Store| store.record(store.records.find(pointer).unwrap()).unwrap().data.flat_at();
        let before = place(&store);
        for offset in [0, 7_000, 14_992] {
            serve(&mut store, peer, Request::WriteRange { pointer, offset, data: b"12345678" });
            serve(&mut store, peer, Request::FetchAdd { pointer, offset, delta: 1 });
            let few = serve(&mut store, peer, Request::ReadRange { pointer, offset: 0, len: 64 });
            serve(&mut store, peer, Request::FetchAdd { pointer, offset, delta: 1 });
            drop(few);
            assert_eq!(place(&store), before);
        }
        // A few bytes are copied. While a reply holds the data, a write is done to a copy; the next one needs none.
        for request in [
            Request::WriteRange { pointer, offset: 9, data: &b"x"[..] },
            Request::Append { pointer, data: b"x" },
            Request::FetchAdd { pointer, offset: 9, delta: 1 },
        ] {
            let before = place(&store);
            let snapshot = serve(&mut store, peer, Request::ReadRange { pointer, offset: 0, len: 65 });
            serve(&mut store, peer, request);
            let copy = place(&store);
            assert_ne!(copy, before, "{request:?}");
            serve(&mut store, peer, Request::FetchAdd { pointer, offset: 0, delta: 1 });
            assert_eq!(place(&store), copy);
            drop(snapshot);
        }
    }
}
