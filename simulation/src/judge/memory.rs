//! What counts in the server's memory (docs/PROTOCOL.md §7.2).

use netswap_core::config::{OWNER_COST, RECORD_OVERHEAD, SETTINGS_COST};
use netswap_core::wire::Request;

use super::Judge;
use super::records::Record;

impl Record {
    /// What it counts, at least and at most. Chunks may be partly holes, which count nothing. A server that was late may
    /// have found out about the absences of an owner one by one, so that any of them gave it a deadline of its own.
    fn held(&self, chunk: usize) -> (u64, u64) {
        let len = self.data.len();
        let is_flat = len <= (2 * chunk).max(64);
        let (least, most) = if is_flat { (class(len), class(len)) } else { (0, chunks(len, chunk)) };
        let is_set = self.grace.is_some() || self.ttl.is_some() || self.heir.is_some();
        let cost = |counts: bool| if counts { SETTINGS_COST } else { 0 };
        let least = RECORD_OVERHEAD + least + cost(is_set);
        (least as u64, (RECORD_OVERHEAD + most + cost(is_set || self.was_left)) as u64)
    }
}

impl Judge {
    /// What all records and the owners without a connection count, at least and at most.
    pub(super) fn stored(&self, absent_owners: usize) -> (u64, u64) {
        let owners = (absent_owners * OWNER_COST) as u64;
        let held = self.records.values().map(|record| record.held(self.config.chunk));
        held.fold((owners, owners), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    }

    /// Whether a request may be refused for want of memory: whether it may make the total grow.
    pub(super) fn may_need_memory<D>(&self, request: &Request<D>) -> bool {
        match request {
            Request::CreateRecord { .. }
            | Request::ReserveRecord { .. }
            | Request::Ping { .. }
            | Request::ListRecords
            | Request::ReplaceRecord { .. }
            | Request::WriteRange { .. }
            | Request::Append { .. }
            | Request::CompareAndReplace { .. }
            | Request::FetchAdd { .. } => true,
            Request::SetLifetime { lifetime, .. } => {
                lifetime.grace.is_some() || lifetime.ttl.is_some() || lifetime.heir.is_some()
            }
            Request::TransferRecord { owner, .. } => !self.is_present(*owner),
            _ => false,
        }
    }
}

/// How far the server may be beyond its total: deadlines and absent owners count though nobody can be refused for them.
pub(super) fn beyond_total(records: u64, owners: u64) -> u64 {
    records * SETTINGS_COST as u64 + owners * OWNER_COST as u64
}

/// What data in chunks count at most: each chunk its block and 64 bytes, each table of 16 chunks or tables 320.
fn chunks(len: usize, size: usize) -> usize {
    let chunk = |len: usize| if len == 0 { 0 } else { class(len) + 64 };
    let (mut parts, mut tables) = (len.div_ceil(size), 0);
    while parts > 1 {
        parts = parts.div_ceil(16);
        tables += parts;
    }
    len / size * chunk(size) + chunk(len % size) + 320 * tables
}

/// The size class of a block: up to 64 bytes the next multiple of 16, then the next of four for each power of two.
fn class(len: usize) -> usize {
    if len <= 64 { len.next_multiple_of(16) } else { len.next_multiple_of(len.next_power_of_two() / 8) }
}
