//! The records: who owns them, what others may do with them, what they cost, when they end.
//!
//! The store knows neither bytes on a wire nor sockets: it takes requests and gives replies.

mod absences;
mod check;
mod compaction;
mod counters;
mod execute;
mod fetching;
mod index;
mod lifetimes;
mod list;
mod listing;
mod owners;
mod pointers;
mod ranges;
mod record;
mod records;
mod settings;
mod slab;
mod standing;
mod table;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use compaction::Pass;
pub use counters::{Counters, Statistics};
use lifetimes::{Lifetimes, Mortal};
use owners::Owners;
use pointers::Pointers;
use records::Records;
use slab::Slot;
#[cfg(test)]
pub(crate) use standing::LAST_AT_MOST;
use standing::{Backlog, Desk};

use crate::config::{Config, ConfigError, MOST_TURNED_AWAY, RECORD_OVERHEAD};
use crate::engine::{ConnectionId, Peer};
use crate::error::{Quota, Refusal};
use crate::memory::{Budget, Data, Garbage, Portion};
use crate::time::Instant;
use crate::types::Owner;
use crate::wire::{Ending, Request};

/// What is due ends in portions of this many records, so that no call takes long.
const PORTION: u32 = 128;

/// Chunks of data that are dropped at a time.
const GARBAGE_PORTION: usize = 256;

/// All records of a server and all that is known of their owners.
///
/// Every call takes the time. A record that has ended by then is there for no request, but at most 128 records are removed,
/// or given to their heirs, in one call, and about 1024 watches are notified: while there is more to do,
/// [`poll_timeout`](Self::poll_timeout) is a moment that has passed. With the same seed the same calls give the same answers.
///
/// As an [`Engine`](crate::engine::Engine) it frees at once what a request made superfluous. Giving back a large block takes the system
/// milliseconds, so behind a lock use [`serve`](Self::serve), and drop [`take_garbage`](Self::take_garbage) after unlocking.
#[derive(Debug)]
pub struct Store {
    config: Arc<Config>,
    budget: Arc<Budget>,
    records: Records,
    owners: Owners,
    connections: HashMap<ConnectionId, Attendance, FixedState>,
    last_connection: u64,
    turned_away: u32,
    lifetimes: Lifetimes,
    /// Records that end in one call.
    portion: u32,
    pointers: Pointers,
    counters: Counters,
    /// Large data that no record and no connection holds any more.
    garbage: Garbage,
    compaction: Option<Pass>,
    /// Connections for which there is mail.
    woken: Vec<ConnectionId>,
    /// What is left to be told to many watches.
    backlog: Backlog,
    /// Whether the request that is being carried out is told how long it took.
    is_counting: bool,
}

#[derive(Debug)]
struct Attendance {
    owner: Owner,
    /// Whether the connection keeps its owner's records alive.
    present: bool,
    turned_away: bool,
    desk: Desk,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served.
    Served(Peer),
    /// It is over a limit, is told so and closed (docs/PROTOCOL.md §4.2).
    TurnedAway(Peer, Refusal),
    /// It is over a limit, and so many are being told so that it is closed at once. There is nothing to disconnect.
    Dropped,
}

impl Store {
    /// An empty store.
    ///
    /// # Errors
    ///
    /// The limits cannot be kept.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.limits.check()?;
        let pointers = Pointers::new(config.seed);
        let hasher = FixedState::with_seed(pointers.hash_seed());
        let limits = &config.limits;
        let budget = Budget::new(limits.total, limits.unfinished, limits.places).with_chunk(config.chunk);
        let budget = Arc::new(budget);
        Ok(Self {
            records: Records::new(hasher.clone(), budget.clone()),
            owners: Owners::new(hasher.clone(), config.times.grace, budget.clone()),
            budget,
            connections: HashMap::with_hasher(hasher),
            last_connection: 0,
            turned_away: 0,
            lifetimes: Lifetimes::default(),
            portion: PORTION,
            pointers,
            counters: Counters::default(),
            garbage: Garbage::new(),
            compaction: None,
            woken: Vec::new(),
            backlog: Backlog::default(),
            is_counting: false,
            config: Arc::new(config),
        })
    }

    /// What the store was told.
    #[must_use]
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The bytes that the store and the requests on their way to it may hold.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.len() as u64
    }

    /// What happened so far, and how things stand.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics {
            counters: self.counters.clone(),
            records: self.records.len() as u64,
            owners: self.owners.len() as u64,
            connections: self.connections.len() as u64,
            bytes: self.budget.used(),
            unfinished_bytes: self.budget.unfinished(),
            places: self.budget.places(),
        }
    }

    /// A client connects from an address (docs/PROTOCOL.md §6.3).
    ///
    /// Unless it is dropped, [`disconnect`](Self::disconnect) must follow when its socket is closed.
    pub fn connect(&mut self, address: IpAddr, now: Instant) -> Admission {
        self.expire(now);
        let owner = self.config.identity_key.owner(address);
        let refusal = self.refuse_connection(owner);
        if refusal.is_some() {
            self.counters.connections_refused += 1;
            if self.turned_away >= MOST_TURNED_AWAY {
                return Admission::Dropped;
            }
            self.turned_away += 1;
        } else {
            self.counters.connections += 1;
            self.end_own(owner, now);
            self.owners.arrive(owner, now, &mut self.lifetimes, &mut self.records);
        }
        self.last_connection += 1;
        let peer = Peer { id: ConnectionId(self.last_connection), owner };
        let (present, turned_away) = (refusal.is_none(), refusal.is_some());
        let desk = Desk::new(self.connections.hasher().clone());
        let attendance = Attendance { owner, present, turned_away, desk };
        self.connections.insert(peer.id, attendance);
        match refusal {
            None => Admission::Served(peer),
            Some(refusal) => {
                self.counters.refused(None, &refusal);
                Admission::TurnedAway(peer, refusal)
            }
        }
    }

    /// A connection no longer keeps its owner's records alive, though its socket may still be open.
    pub fn depart(&mut self, id: ConnectionId, now: Instant) {
        self.expire(now);
        if let Some(attendance) = self.connections.get_mut(&id)
            && core::mem::take(&mut attendance.present)
        {
            let owner = attendance.owner;
            self.owners.leave(owner, now, &mut self.lifetimes);
            self.forget_all(id);
        }
        self.tell_portion();
    }

    /// A connection's socket is closed.
    pub fn disconnect(&mut self, id: ConnectionId, now: Instant) {
        self.depart(id, now);
        self.forget_all(id);
        if let Some(attendance) = self.connections.remove(&id) {
            if attendance.turned_away {
                self.turned_away -= 1;
            } else {
                self.owners.close(attendance.owner, &mut self.lifetimes);
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called: when something ends next, or a moment that has passed
    /// while more has ended than one call removes, or more watches are to be notified than one call does (docs/PROTOCOL.md §4.3).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let work = !self.garbage.is_empty()
            || !self.backlog.is_empty()
            || self.records.has_spare()
            || self.owners.has_spare();
        if work { Some(Instant::ZERO) } else { self.lifetimes.next() }
    }

    /// Removes records that have ended by now, and gives those to their heirs that have one: at most 128. Notifies 1024 more
    /// of many watches. Where
    /// [`poll_timeout`](Self::poll_timeout) has passed afterwards, it is to be called again, when others that wait for
    /// the store have had their turn.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
        self.tell_portion();
        // No request has done this.
        self.backlog.take_effort();
        self.records.free_some();
        self.owners.free_some();
    }

    /// Whether there is [garbage](Self::take_garbage), or [somebody to be called](Self::take_woken).
    #[must_use]
    pub fn leaves_something(&self) -> bool {
        !self.garbage.is_empty() || !self.woken.is_empty()
    }

    /// Whether there is large data to be dropped.
    #[must_use]
    pub fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    /// A portion of the large data that nothing holds any more, to be dropped where nobody waits for it. They count until
    /// then.
    #[cold]
    #[must_use]
    pub fn take_garbage(&mut self) -> Portion {
        self.garbage.take(GARBAGE_PORTION)
    }

    /// A connection hands over what it has to drop.
    pub fn add_garbage(&mut self, garbage: &mut Garbage) {
        self.garbage.append(garbage);
    }

    #[inline]
    fn drop_garbage(&mut self) {
        if !self.garbage.is_empty() {
            drop(self.take_garbage());
        }
    }

    #[inline]
    fn discard(&mut self, data: Data) {
        self.garbage.discard(data);
    }

    fn refuse_connection(&self, owner: Owner) -> Option<Refusal> {
        let limits = &self.config.limits;
        let over = |quota, limit: u32| Refusal::QuotaExceeded { quota, limit: u64::from(limit) };
        let served = self.connections.len() as u64 - u64::from(self.turned_away);
        if served >= u64::from(limits.connections) {
            return Some(over(Quota::Connections, limits.connections));
        }
        let limit = limits.connections_per_address?;
        (self.owners.connections(owner) >= limit).then(|| over(Quota::ConnectionsOfAddress, limit))
    }

    /// Has records end in portions of another size than 128: for tests.
    #[doc(hidden)]
    pub fn set_portion(&mut self, records: u32) {
        self.portion = records.max(1);
    }

    #[inline]
    fn expire(&mut self, now: Instant) {
        if self.lifetimes.is_due(now) {
            self.end_portion(now);
        }
    }

    /// Ends a portion of what has to end by now, and the record that a request is about, where it has to.
    #[inline]
    fn expire_for<D>(&mut self, request: &Request<D>, now: Instant) {
        if self.lifetimes.is_due(now) {
            self.end_portion(now);
            self.end_target(request, now);
        }
    }

    #[cold]
    fn end_target<D>(&mut self, request: &Request<D>, now: Instant) {
        let target = check::target(request).filter(|_| self.lifetimes.is_due(now));
        if let Some(slot) = target.and_then(|(pointer, _)| self.records.find(pointer)) {
            self.settle(slot, now);
            self.tidy();
        }
    }

    /// Ends a portion of an owner's records that are due, before others. Mostly nothing is left then that its arrival
    /// must not let live again.
    fn end_own(&mut self, owner: Owner, now: Instant) {
        if !self.lifetimes.is_due(now) || !self.owners.is_behind(owner, now) {
            return;
        }
        self.backlog.end_many(true);
        for _ in 0..self.portion {
            let next = self.owners.next_to_end(owner, now, &mut self.lifetimes, &self.records);
            let Some(slot) = next else { break };
            self.settle(slot, now);
        }
        for slot in self.owners.take_late(owner, self.portion, &self.records) {
            self.settle(slot, now);
        }
        self.backlog.end_many(false);
        self.tidy();
    }

    /// Ends records that are due, in the order of their deadlines, at most a portion of them.
    #[cold]
    fn end_portion(&mut self, now: Instant) {
        self.fetch_due(now);
        self.backlog.end_many(true);
        for _ in 0..self.portion {
            let Some((then, mortal)) = self.lifetimes.first_due(now) else { break };
            match mortal {
                Mortal::Ttl(pointer) | Mortal::Record(pointer) => match self.records.find(pointer) {
                    Some(slot) => {
                        let is_left = self.settle(slot, then);
                        let deadline = self.records.more(slot).and_then(|more| more.deadline);
                        if is_left && deadline == Some(then) {
                            self.owners.keep(slot, &mut self.lifetimes, &mut self.records);
                        }
                    }
                    None => self.lifetimes.clear(then, mortal),
                },
                Mortal::Owner(owner) => {
                    let next = self.owners.next_to_end(owner, then, &mut self.lifetimes, &self.records);
                    if let Some(slot) = next {
                        self.settle(slot, then);
                    }
                }
                Mortal::Estate { slot: estate, .. } => match self.owners.next_of_estate(estate) {
                    Some((slot, until)) => {
                        let is_left = self.settle(slot, until);
                        if is_left && self.records.get(slot).is_some_and(|record| record.owner == estate) {
                            self.owners.keep(slot, &mut self.lifetimes, &mut self.records);
                        }
                    }
                    None => self.lifetimes.clear(then, mortal),
                },
            }
        }
        self.backlog.end_many(false);
        self.tidy();
        // What they had is to be free for the request that follows.
        self.drop_garbage();
    }

    /// Has a record end, or go to its heir, where it had to by a moment. Whether it is still there.
    fn settle(&mut self, slot: Slot, by: Instant) -> bool {
        loop {
            let Some(record) = self.records.get(slot) else { return false };
            let more = self.records.more(slot);
            let ttl = more.and_then(|more| more.settings.ttl).filter(|ttl| *ttl <= by);
            let grace = self.owners.deadline(record, more).filter(|deadline| *deadline <= by);
            let inherits = match (ttl, grace) {
                (None, None) => return true,
                (Some(ttl), Some(then)) if ttl <= then => false,
                (_, Some(then)) => self.inherit(slot, then),
                (Some(_), None) => false,
            };
            if !inherits {
                self.end(slot, Ending::Expired);
                self.counters.records_expired += 1;
                return false;
            }
        }
    }

    /// Gives room back where few records are left of many. Their slots change, so nobody may hold one meanwhile.
    fn tidy(&mut self) {
        self.records.fetch_last();
        while self.records.is_sparse() {
            if let Some((from, to)) = self.records.shrink() {
                self.owners.moved(from, to, &mut self.records);
            }
        }
    }

    /// Removes a record and all that is known of it, and tells whoever is concerned.
    fn end(&mut self, slot: Slot, ending: Ending) {
        self.owners.remove(slot, &mut self.lifetimes, &mut self.records);
        if let Some((record, more)) = self.records.remove(slot) {
            self.budget.release(RECORD_OVERHEAD);
            if let Some(more) = more {
                if let Some(ttl) = more.settings.ttl {
                    self.lifetimes.clear_first(ttl, Mortal::Ttl(record.pointer));
                }
                self.announce_end(&record, more.standing, ending);
            }
            let data = record.data.let_go(&self.budget);
            self.discard(data);
        }
    }
}
