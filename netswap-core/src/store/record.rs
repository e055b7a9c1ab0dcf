//! One record.

use alloc::boxed::Box;
use core::time::Duration;

use super::standing::Standing;
use crate::config::RECORD_OVERHEAD;
use crate::error::Refusal;
use crate::memory::Data;
use crate::time::Instant;
use crate::types::{Access, Owner, Version};

#[derive(Debug)]
pub(super) struct Record {
    pub(super) owner: Owner,
    pub(super) access: Access,
    /// 0 while the record is reserved and has no data.
    pub(super) version: Version,
    pub(super) data: Data,
    /// When its grace ends, where that is not when its owner's other records end.
    pub(super) deadline: Option<Instant>,
    /// What its owner said of its life, of the few records of which one did.
    pub(super) settings: Option<Box<Settings>>,
    /// Who watches it or waits for it, of the few records for which somebody does.
    pub(super) standing: Option<Box<Standing>>,
}

/// How a record lives, other than records do by default (docs/PROTOCOL.md §6.4).
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Its own grace.
    pub(super) grace: Option<Duration>,
    /// When it ends, whoever is connected.
    pub(super) ttl: Option<Instant>,
    /// Who becomes its owner when the grace ends.
    pub(super) heir: Option<Owner>,
}

impl Record {
    pub(super) fn new(owner: Owner, access: Access, version: Version, data: Data) -> Self {
        Self { owner, access, version, data, deadline: None, settings: None, standing: None }
    }

    /// Whether the record has no data yet (docs/PROTOCOL.md §3.22).
    pub(super) fn is_reserved(&self) -> bool {
        self.version == Version::RESERVED
    }

    /// What the record counts against the quotas of its owner.
    pub(super) fn cost(&self) -> u64 {
        cost(self.data.len())
    }

    /// Its own grace, where it has one.
    pub(super) fn grace(&self) -> Option<Duration> {
        self.settings.as_ref()?.grace
    }

    pub(super) fn ttl(&self) -> Option<Instant> {
        self.settings.as_ref()?.ttl
    }

    pub(super) fn heir(&self) -> Option<Owner> {
        self.settings.as_ref()?.heir
    }

    /// Whether somebody may read it.
    pub(super) fn is_readable_by(&self, caller: Owner) -> bool {
        self.allow(caller, Access::READ).is_ok()
    }

    /// Judges what somebody may do: the owner everything, others what the access bits say.
    pub(super) fn allow(&self, caller: Owner, right: Access) -> Result<(), Refusal> {
        let allowed = self.owner == caller || (!right.is_empty() && self.access.contains(right));
        if allowed { Ok(()) } else { Err(Refusal::AccessViolation) }
    }
}

/// What a record with data of this length counts against quotas.
pub(super) fn cost(len: usize) -> u64 {
    (len + RECORD_OVERHEAD) as u64
}
