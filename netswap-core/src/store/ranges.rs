//! What is done to a part of a record (docs/PROTOCOL.md §3.15 to §3.20).

use super::execute::Answer;
use super::{Record, Store, cost};
use crate::error::Refusal;
use crate::memory::Payload;
use crate::types::{Pointer, Version};
use crate::wire::Reply;

/// Bytes of the number that FETCH_ADD adds to.
const NUMBER: u32 = 8;

impl Store {
    /// READ_RANGE
    pub(super) fn read_range(&self, pointer: Pointer, offset: u32, len: u32) -> Answer {
        let record = self.record(pointer)?;
        let data = record.data.slice(offset, len);
        Ok(Reply::Range { version: record.version, record_len: record.data.len() as u32, data })
    }

    /// WRITE_RANGE
    pub(super) fn write_range(&mut self, pointer: Pointer, offset: u32, data: &Payload) -> Answer {
        self.write(pointer, |_| offset as usize, data).map(|(version, _)| Reply::Written(version))
    }

    /// APPEND
    pub(super) fn append(&mut self, pointer: Pointer, data: &Payload) -> Answer {
        let (version, offset) = self.write(pointer, |record| record.data.len(), data)?;
        Ok(Reply::Appended { version, offset: offset as u32 })
    }

    /// FETCH_ADD: the number is signed, 8 bytes long and big-endian, and wraps.
    pub(super) fn fetch_add(&mut self, pointer: Pointer, offset: u32, delta: i64) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        record.data.allow_write(record.data.len(), &self.budget)?;
        let number = record.data.slice(offset, NUMBER);
        let number: [u8; NUMBER as usize] = number.as_ref().try_into().map_err(|_| Refusal::AddressFault)?;
        let value = i64::from_be_bytes(number).wrapping_add(delta);
        let old = record.data.write(offset as usize, &value.to_be_bytes(), &self.budget)?;
        let version = record.written();
        self.discard(old);
        Ok(Reply::Added { version, value })
    }

    /// RESOLVE_IF_CHANGED
    pub(super) fn resolve_if_changed(&self, pointer: Pointer, version: Version) -> Answer {
        let record = self.record(pointer)?;
        if record.version == version {
            return Ok(Reply::NotModified);
        }
        Ok(Reply::Changed { version: record.version, data: record.data.clone() })
    }

    /// Writes data into a record; the new version, and where the data begin.
    fn write(
        &mut self,
        pointer: Pointer,
        offset: impl Fn(&Record) -> usize,
        data: &Payload,
    ) -> Result<(Version, usize), Refusal> {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        let (before, offset) = (record.cost(), offset(record));
        let len = record.data.len().max(offset + data.len());
        data.check_total()?;
        record.data.allow_write(len, &self.budget)?;
        self.owners.allow(record.owner, cost(len).saturating_sub(before), 0, &self.config.limits)?;
        let old = record.data.write(offset, data.bytes()?, &self.budget)?;
        let version = record.written();
        let owner = record.owner;
        self.owners.resize(owner, before, cost(len));
        self.discard(old);
        Ok((version, offset))
    }
}
