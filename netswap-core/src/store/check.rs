//! What can be judged at a request's beginning and is judged again at its end (docs/PROTOCOL.md §3.2): the record, the
//! right, the size.

use super::Store;
use super::record::Record;
use super::slab::Slot;
use crate::error::Refusal;
use crate::types::{Access, Owner, Pointer};
use crate::wire::Request;

impl Store {
    /// Judges a request of which the data, as far as they matter here, have a length. Where the record is that it is about.
    pub(super) fn check<D>(
        &self,
        caller: Owner,
        request: &Request<D>,
        len: impl Fn(&D) -> usize,
    ) -> Result<Option<Slot>, Refusal> {
        if let Request::SetLifetime { lifetime, .. } = request {
            self.check_lifetime(caller, lifetime)?;
        }
        let (mut slot, mut record) = (None, None);
        if let Some((pointer, right)) = target(request) {
            let found = self.records.find(pointer).ok_or(Refusal::AddressFault)?;
            let target = self.record(found)?;
            target.allow(self.owners.get(target.owner) == Some(caller), right)?;
            (slot, record) = (Some(found), Some(target));
        }
        let limit = self.config.limits.record;
        let len = request.data().map_or(0, len);
        if record_len(request, record, len) > u64::from(limit) {
            return Err(Refusal::RecordTooLarge { limit });
        }
        Ok(slot)
    }

    pub(super) fn record(&self, slot: Slot) -> Result<&Record, Refusal> {
        self.records.get(slot).ok_or(Refusal::AddressFault)
    }

    pub(super) fn record_mut(&mut self, slot: Slot) -> Result<&mut Record, Refusal> {
        self.records.get_mut(slot).ok_or(Refusal::AddressFault)
    }
}

/// The record that a request is about, and the right that others need; none is for the owner alone.
pub(super) fn target<D>(request: &Request<D>) -> Option<(Pointer, Access)> {
    let (pointer, right) = match *request {
        Request::ResolvePointer { pointer }
        | Request::StatRecord { pointer }
        | Request::ReadRange { pointer, .. }
        | Request::ResolveIfChanged { pointer, .. }
        | Request::WatchRecord { pointer, .. }
        | Request::RequestOwnership { pointer } => (pointer, Access::READ),
        Request::ReplaceRecord { pointer, .. }
        | Request::WriteRange { pointer, .. }
        | Request::Append { pointer, .. }
        | Request::CompareAndReplace { pointer, .. } => (pointer, Access::WRITE),
        Request::FetchAdd { pointer, .. } => (pointer, Access::READ | Access::WRITE),
        Request::TakeoverRecord { pointer } => (pointer, Access::TAKEOVER),
        Request::UpdateRecordPermissions { pointer, .. }
        | Request::DeleteRecord { pointer }
        | Request::TransferRecord { pointer, .. }
        | Request::SetLifetime { pointer, .. } => (pointer, Access::empty()),
        Request::CreateRecord { .. }
        | Request::ReserveRecord { .. }
        | Request::Ping { .. }
        | Request::Identify
        | Request::ListRecords => return None,
    };
    Some((pointer, right))
}

/// How long the request, with data of this length, would make a record.
fn record_len<D>(request: &Request<D>, record: Option<&Record>, len: usize) -> u64 {
    let before = match request {
        Request::WriteRange { offset, .. } => u64::from(*offset),
        Request::Append { .. } => record.map_or(0, |record| record.data.len() as u64),
        _ => 0,
    };
    before + len as u64
}
