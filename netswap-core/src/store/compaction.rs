//! Moving what is left of many data together, so that the allocator can give back what lies between.
//!
//! An allocator serves a size class from pages of its own: where few blocks are left of many, each may hold a page. A pass
//! makes every block anew, one after the other: allocators fill the pages that they have, and pages without a block are
//! free for other sizes and for the system. Only the owner of a process can see that this is worth its time, since the store
//! does not know what the allocator holds.

use super::Store;
use super::slab::Slot;

/// Records that are looked at in one call, each part of a large record being as much as several.
const PORTION: u32 = 128;

/// What a part of a large record counts: it has as many chunks.
const PART: u32 = 16;

/// How far a pass has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pass {
    /// The slot of the record that is next.
    slot: u32,
    /// Where in that record.
    offset: usize,
}

impl Store {
    /// Begins a pass over all records in which data that nothing else holds moves to new places. It is carried on by
    /// [`compact`](Self::compact). A pass that is under way goes on.
    pub fn begin_compaction(&mut self) {
        self.compaction.get_or_insert_default();
    }

    /// Whether a pass is under way.
    #[must_use]
    pub fn is_compacting(&self) -> bool {
        self.compaction.is_some()
    }

    /// Carries a pass on for some 100 µs, at most 128 small records or 8 parts of large ones.
    pub fn compact(&mut self) {
        let Some(mut pass) = self.compaction.take() else { return };
        let mut left = PORTION;
        while left > 0 {
            if pass.slot >= self.records.slots() {
                return;
            }
            let record = self.records.get_mut(Slot::new(pass.slot));
            match record.and_then(|record| record.data.relocate(pass.offset)) {
                Some(next) => {
                    pass.offset = next;
                    left = left.saturating_sub(PART);
                }
                None => {
                    pass = Pass { slot: pass.slot + 1, offset: 0 };
                    left -= 1;
                }
            }
        }
        self.compaction = Some(pass);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use crate::config::{Config, Limits};
    use crate::identity::IdentityKey;
    use crate::memory::Payload;
    use crate::store::{Admission, Store};
    use crate::time::Instant;
    use crate::types::{Access, Pointer, Xid};
    use crate::wire::{Reply, Request};

    #[test]
    fn a_pass_moves_all_data_and_changes_none() {
        let mut config = Config::new(Limits::new(1 << 26), IdentityKey([0; 16]), [0; 32]);
        config.chunk = 100;
        let mut store = Store::new(config).unwrap();
        let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), Instant::ZERO) else { panic!() };
        let mut serve = |store: &mut Store, request: Request<Payload<'_>>| {
            store.serve(peer, Xid(1), request, Instant::ZERO).reply().unwrap()
        };
        let mut pointers: Vec<(Pointer, Vec<u8>)> = Vec::new();
        for len in [0_usize, 1, 64, 65, 200, 201, 5000, 200_000] {
            for n in 0..60 {
                let data = vec![n as u8; len];
                let create = Request::CreateRecord { access: Access::READ, data: Payload::Whole(&[]) };
                let Reply::Created(pointer) = serve(&mut store, create) else { panic!() };
                let write = Request::WriteRange { pointer, offset: 0, data: Payload::Whole(&data) };
                assert!(matches!(serve(&mut store, write), Reply::Written(_)));
                pointers.push((pointer, data));
            }
        }
        // A reader holds one of each.
        let held: Vec<_> =
            pointers.iter().step_by(60).map(|(pointer, _)| read(&mut store, &mut serve, *pointer)).collect();
        let before = store.budget().used();
        store.begin_compaction();
        let mut calls = 0;
        while store.is_compacting() {
            store.compact();
            calls += 1;
        }
        assert_eq!(store.budget().used(), before);
        assert!(calls > 60 * 200_000 / 100 / 16 / 8, "{calls}");
        for (pointer, data) in &pointers {
            assert_eq!(read(&mut store, &mut serve, *pointer).to_vec(), *data);
        }
        for (held, (_, data)) in held.iter().zip(pointers.iter().step_by(60)) {
            assert_eq!(held.to_vec(), *data);
        }
    }

    fn read(
        store: &mut Store,
        serve: &mut impl FnMut(&mut Store, Request<Payload<'_>>) -> Reply<crate::memory::Data>,
        pointer: Pointer,
    ) -> crate::memory::Data {
        match serve(store, Request::ResolvePointer { pointer }) {
            Reply::Resolved(data) => data,
            other => panic!("{other:?}"),
        }
    }
}
