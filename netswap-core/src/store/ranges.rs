//! Writes to a part of a record (docs/PROTOCOL.md §3.16, §3.17, §3.19).

use super::Store;
use super::execute::Answer;
use super::record::{Record, cost};
use crate::error::Refusal;
use crate::memory::Payload;
use crate::types::{Pointer, Version};
use crate::wire::Reply;

/// Bytes of the number that FETCH_ADD adds to.
const NUMBER: u32 = 8;

impl Store {
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
        let version = record.version.next();
        record.version = version;
        self.discard(old);
        self.announce_write(pointer, Some((offset, &value.to_be_bytes())));
        Ok(Reply::Added { version, value })
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
        let version = record.version.next();
        record.version = version;
        self.owners.resize(record.owner, before, cost(len));
        self.discard(old);
        self.announce_write(pointer, Some((offset as u32, data.bytes()?)));
        Ok((version, offset))
    }
}
