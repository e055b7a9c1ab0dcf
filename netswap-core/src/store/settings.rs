//! How long a record lives and who has it then (docs/PROTOCOL.md §6.4).

use core::num::NonZeroU32;
use core::time::Duration;

use super::Store;
use super::execute::Answer;
use super::lifetimes::Mortal;
use crate::error::{Invalid, Refusal};
use crate::time::Instant;
use crate::types::{Owner, Pointer};
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
    pub(super) fn set_lifetime(&mut self, pointer: Pointer, lifetime: Lifetime, now: Instant) -> Answer {
        let record = self.records.get_mut(&pointer).ok_or(Refusal::AddressFault)?;
        // Out of its owner's records and in again, so that its grace is what it would be from the beginning.
        self.owners.remove(pointer, record, &mut self.lifetimes);
        if let Some(ttl) = record.ttl() {
            self.lifetimes.clear(ttl, Mortal::Ttl(pointer));
        }
        let Lifetime { grace, ttl, heir } = lifetime;
        let settings = record.settings.get_or_insert_default();
        settings.grace = grace.map(|seconds| Duration::from_secs(seconds.into()));
        settings.ttl = ttl.map(|seconds| now + Duration::from_secs(seconds.get().into()));
        settings.heir = heir;
        if let Some(ttl) = settings.ttl {
            self.lifetimes.set(ttl, Mortal::Ttl(pointer));
        }
        record.settings.take_if(|it| it.grace.is_none() && it.ttl.is_none() && it.heir.is_none());
        record.deadline = None;
        self.owners.add(pointer, record, now, self.config.times.grace, &mut self.lifetimes);
        Ok(Reply::Done)
    }

    /// Makes a record's heir its owner, at the moment at which its grace ended. Whether it has one and that one may.
    pub(super) fn inherit(&mut self, pointer: Pointer, then: Instant) -> bool {
        let heir = self.records.get(&pointer).and_then(|record| record.heir());
        heir.is_some_and(|heir| self.give(pointer, heir, then).is_ok())
    }
}
