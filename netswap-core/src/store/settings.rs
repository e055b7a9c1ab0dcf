//! How long a record lives and who has it then (docs/PROTOCOL.md §6.4).

use core::num::NonZeroU32;
use core::time::Duration;

use super::Store;
use super::execute::Answer;
use super::lifetimes::Mortal;
use super::record::{More, Settings};
use super::slab::Slot;
use crate::config::SETTINGS_COST;
use crate::error::{Invalid, Refusal};
use crate::time::Instant;
use crate::types::Owner;
use crate::wire::{Lifetime, Reply};

impl Store {
    /// Judges the values of SET_LIFETIME, which depend on the server and on the caller.
    pub(super) fn check_lifetime(&self, caller: Owner, lifetime: &Lifetime) -> Result<(), Refusal> {
        let longest = self.config.times.longest;
        let too_long =
            |seconds: Option<u32>| seconds.is_some_and(|it| Duration::from_secs(it.into()) > longest);
        let wrong = too_long(lifetime.grace)
            || too_long(lifetime.ttl.map(NonZeroU32::get))
            || lifetime.heir == Some(caller);
        if wrong { Err(Refusal::InvalidRequest(Invalid::OperandValue)) } else { Ok(()) }
    }

    /// SET_LIFETIME
    pub(super) fn set_lifetime(&mut self, slot: Slot, lifetime: Lifetime, now: Instant) -> Answer {
        let record = self.record(slot)?;
        let owner = self.owners.get(record.owner).ok_or(Refusal::AddressFault)?;
        let Lifetime { grace, ttl, heir } = lifetime;
        let settings = Settings {
            grace: grace.map(|seconds| Duration::from_secs(seconds.into())),
            ttl: ttl.map(|seconds| now + Duration::from_secs(seconds.get().into())),
            heir,
        };
        let counts = self.records.more(slot).is_some_and(More::counts);
        if !counts && settings != Settings::default() {
            self.budget.allow(SETTINGS_COST)?;
        }
        // Out of its owner's records and in again, so that its grace is what it would be from the beginning.
        self.owners.remove(slot, &mut self.lifetimes, &mut self.records);
        let lifetimes = &mut self.lifetimes;
        self.records.edit(slot, |record, more| {
            if let Some(ttl) = more.settings.ttl {
                lifetimes.clear(ttl, Mortal::Ttl(record.pointer));
            }
            if let Some(ttl) = settings.ttl {
                lifetimes.set(ttl, Mortal::Ttl(record.pointer));
            }
            more.settings = settings;
        });
        let owner = self.owners.enter(owner);
        self.put(slot, owner, now);
        Ok(Reply::Done)
    }

    /// Makes a record's heir its owner, as of the moment at which its grace ended. Whether it has one and that one may, and
    /// the record is still there at what became known of the heir since.
    pub(super) fn inherit(&mut self, slot: Slot, then: Instant) -> bool {
        let heir = self.records.more(slot).and_then(|more| more.settings.heir);
        heir.is_some_and(|heir| self.give(slot, heir, then).is_ok())
            && self
                .records
                .get(slot)
                .is_some_and(|record| !self.owners.came_too_late(record, self.records.more(slot), then))
    }
}
