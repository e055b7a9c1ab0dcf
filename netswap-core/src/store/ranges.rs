//! Writes to a part of a record (docs/PROTOCOL.md §3.16, §3.17, §3.19).

use super::Store;
use super::execute::Answer;
use super::record::{Record, cost};
use super::slab::Slot;
use crate::error::Refusal;
use crate::memory::{Data, Payload};
use crate::types::Version;
use crate::wire::Reply;

impl Store {
    /// WRITE_RANGE
    pub(super) fn write_range(&mut self, slot: Slot, offset: u32, data: &Payload<'_>) -> Answer {
        self.write(slot, |_| offset as usize, data).map(|(version, _)| Reply::Written(version))
    }

    /// APPEND
    pub(super) fn append(&mut self, slot: Slot, data: &Payload<'_>) -> Answer {
        let (version, offset) = self.write(slot, |record| record.data.len(), data)?;
        Ok(Reply::Appended { version, offset: offset as u32 })
    }

    /// FETCH_ADD: the number is signed, 8 bytes long and big-endian, and wraps.
    pub(super) fn fetch_add(&mut self, slot: Slot, offset: u32, delta: i64) -> Answer {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        record.data.allow_write(record.data.len(), &self.budget)?;
        let offset = offset as usize;
        let number = record.data.as_ref().get(offset..).and_then(|rest| rest.first_chunk());
        let value = i64::from_be_bytes(*number.ok_or(Refusal::AddressFault)?).wrapping_add(delta);
        let old = record.data.write(offset, &value.to_be_bytes(), &self.budget)?;
        let version = record.version.next();
        record.version = version;
        self.discard(old);
        self.announce_write(slot, Some((offset as u32, &value.to_be_bytes())));
        Ok(Reply::Added { version, value })
    }

    /// Writes data into a record; the new version, and where the data begin.
    fn write(
        &mut self,
        slot: Slot,
        offset: impl Fn(&Record) -> usize,
        data: &Payload<'_>,
    ) -> Result<(Version, usize), Refusal> {
        let record = self.records.get_mut(slot).ok_or(Refusal::AddressFault)?;
        let (before, offset) = (record.cost(), offset(record));
        let len = record.data.len().max(offset + data.len());
        data.check_total()?;
        // Nothing written is no reason to copy what somebody else holds.
        let changes = !data.is_empty() || len > record.data.len();
        if changes {
            record.data.allow_write(len, &self.budget)?;
        }
        self.owners.allow(Some(record.owner), cost(len).saturating_sub(before), 0, &self.config.limits)?;
        let (bytes, mut old) = (data.bytes()?, Data::default());
        if changes {
            old = record.data.write(offset, bytes, &self.budget)?;
        }
        let version = record.version.next();
        record.version = version;
        self.owners.resize(record.owner, before, cost(len));
        self.discard(old);
        self.announce_write(slot, Some((offset as u32, bytes)));
        Ok((version, offset))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::config::{Config, Limits};
    use crate::engine::{Execution, Peer};
    use crate::identity::IdentityKey;
    use crate::store::Admission;
    use crate::time::Instant;
    use crate::types::{Access, Xid};
    use crate::wire::Request;

    fn serve(store: &mut Store, peer: Peer, request: Request<&[u8]>) -> Reply<Data> {
        match store.serve(peer, Xid(1), request.map(Payload::Whole), Instant::ZERO) {
            Execution::Done(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_write_to_a_record_that_nobody_else_holds_is_done_in_place() {
        let config = Config::new(Limits::new(1 << 30), IdentityKey([0; 16]), [0; 32]);
        let mut store = Store::new(config).unwrap();
        let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), Instant::ZERO) else { panic!() };
        let create = Request::CreateRecord { access: Access::empty(), data: &*vec![1; 100_000] };
        let Reply::Created(pointer) = serve(&mut store, peer, create) else { panic!() };
        let place = |store: &Store| {
            store.record(store.records.find(pointer).unwrap()).unwrap().data.as_ref().as_ptr()
        };
        let before = place(&store);
        for offset in [0, 50_000, 99_992] {
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
