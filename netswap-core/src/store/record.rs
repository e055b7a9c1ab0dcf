//! One record.

use core::time::Duration;

use super::list::Links;
use super::slab::Slot;
use super::standing::Standing;
use crate::config::RECORD_OVERHEAD;
use crate::error::Refusal;
use crate::memory::{Charge, Kept};
use crate::time::Instant;
use crate::types::{Access, Owner, Pointer, Version};

/// What every record has. It is small, for there are many.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) pointer: Pointer,
    /// 0 while the record is reserved and has no data.
    pub(super) version: Version,
    pub(super) data: Kept,
    /// Where its owner is.
    pub(super) owner: Slot,
    /// Its neighbours among its owner's records.
    pub(super) links: Links,
    pub(super) access: Access,
    /// Whether there is [`More`].
    pub(super) has_more: bool,
}

/// What few records have.
#[derive(Debug, Default)]
pub(super) struct More {
    /// When its grace ends, where that is not when its owner's other records end.
    pub(super) deadline: Option<Instant>,
    pub(super) settings: Settings,
    pub(super) standing: Standing,
    /// What a deadline and settings count.
    pub(super) charge: Option<Charge>,
}

/// How a record lives, other than records do by default (docs/PROTOCOL.md §6.4).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// Its own grace.
    pub(super) grace: Option<Duration>,
    /// When it ends, whoever is connected.
    pub(super) ttl: Option<Instant>,
    /// Who becomes its owner when the grace ends.
    pub(super) heir: Option<Owner>,
}

impl Record {
    pub(super) fn new(pointer: Pointer, owner: Slot, access: Access, version: Version, data: Kept) -> Self {
        Self { pointer, version, data, owner, links: Links::default(), access, has_more: false }
    }

    /// Whether the record has no data yet (docs/PROTOCOL.md §3.22).
    pub(super) fn is_reserved(&self) -> bool {
        self.version == Version::RESERVED
    }

    /// What the record counts against the quotas of its owner.
    pub(super) fn cost(&self) -> u64 {
        cost(self.data.len())
    }

    /// Judges what somebody may do: the owner everything, others what the access bits say.
    pub(super) fn allow(&self, is_owner: bool, right: Access) -> Result<(), Refusal> {
        let allowed = is_owner || (!right.is_empty() && self.access.contains(right));
        if allowed { Ok(()) } else { Err(Refusal::AccessViolation) }
    }
}

impl More {
    /// Whether it counts in the server's memory. A watch or a waiting read does by its places.
    pub(super) fn counts(&self) -> bool {
        self.deadline.is_some() || self.settings != Settings::default()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.counts() && self.standing.is_empty()
    }
}

/// What a record with data of this length counts against quotas.
pub(super) fn cost(len: usize) -> u64 {
    (len + RECORD_OVERHEAD) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_record_takes_48_bytes() {
        assert_eq!((size_of::<Record>(), size_of::<Kept>()), (48, 16));
    }
}
