//! The records: who owns them, what others may do with them, what they cost, when they end.
//!
//! The store knows neither bytes on a wire nor sockets: it takes requests and gives replies.

mod check;
mod counters;
mod execute;
mod index;
mod lifetimes;
mod list;
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

pub use counters::{Counters, Statistics};
use lifetimes::{Lifetimes, Mortal};
use owners::Owners;
use pointers::Pointers;
use records::Records;
use slab::Slot;
use standing::Desk;
#[cfg(test)]
pub(crate) use standing::LAST_AT_MOST;

use crate::config::{Config, ConfigError, MOST_TURNED_AWAY, RECORD_OVERHEAD};
use crate::engine::{ConnectionId, Peer};
use crate::error::{Quota, Refusal};
use crate::memory::{Budget, Data};
use crate::time::Instant;
use crate::types::Owner;
use crate::wire::Ending;

/// Data from this many bytes on are worth dropping outside a lock.
const TRASH_FROM: usize = 64 * 1024;

/// All records of a server and all that is known of their owners.
///
/// Every call takes the time, and everything that ended by then has ended before the call is carried out. With the same
/// seed the same calls give the same answers.
///
/// As an [`Engine`](crate::engine::Engine) it frees at once what a request made superfluous. Giving back a large block takes the system
/// milliseconds, so behind a lock use [`serve`](Self::serve), and drop [`take_trash`](Self::take_trash) after unlocking.
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
    pointers: Pointers,
    counters: Counters,
    /// Large data that no record holds any more.
    trash: Vec<Data>,
    /// Connections for which there is mail.
    woken: Vec<ConnectionId>,
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
        Ok(Self {
            budget: Arc::new(Budget::new(
                config.limits.total,
                config.limits.unfinished,
                config.limits.places,
            )),
            records: Records::new(hasher.clone()),
            owners: Owners::new(hasher.clone()),
            connections: HashMap::with_hasher(hasher),
            last_connection: 0,
            turned_away: 0,
            lifetimes: Lifetimes::default(),
            pointers,
            counters: Counters::default(),
            trash: Vec::new(),
            woken: Vec::new(),
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
            self.owners.arrive(owner, &mut self.lifetimes, &mut self.records);
        }
        self.last_connection += 1;
        let peer = Peer { id: ConnectionId(self.last_connection), owner };
        let (present, turned_away) = (refusal.is_none(), refusal.is_some());
        let attendance = Attendance { owner, present, turned_away, desk: Desk::default() };
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
            let grace = self.config.times.grace;
            self.owners.leave(owner, now, grace, &mut self.lifetimes, &mut self.records);
            self.forget_all(id);
        }
    }

    /// A connection's socket is closed.
    pub fn disconnect(&mut self, id: ConnectionId, now: Instant) {
        self.depart(id, now);
        self.forget_all(id);
        if let Some(attendance) = self.connections.remove(&id) {
            if attendance.turned_away {
                self.turned_away -= 1;
            } else {
                self.owners.close(attendance.owner);
            }
        }
    }

    /// When something ends next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lifetimes.next()
    }

    /// Ends what has to end by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire(now);
    }

    /// Whether there is [trash](Self::take_trash), or [somebody to be called](Self::take_woken).
    #[must_use]
    pub fn leaves_something(&self) -> bool {
        !self.trash.is_empty() || !self.woken.is_empty()
    }

    /// Large data that no record holds any more, to be dropped where nobody waits for it. They no longer count, unless
    /// replies hold them still.
    #[must_use]
    pub fn take_trash(&mut self) -> Vec<Data> {
        core::mem::take(&mut self.trash)
    }

    fn discard(&mut self, data: Data) {
        if data.len() >= TRASH_FROM {
            self.trash.push(data);
        }
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

    #[inline]
    fn expire(&mut self, now: Instant) {
        if self.lifetimes.next().is_some_and(|due| due <= now) {
            self.end_all_due(now);
        }
    }

    fn end_all_due(&mut self, now: Instant) {
        while let Some((then, mortal)) = self.lifetimes.pop_due(now) {
            let may_inherit = !matches!(mortal, Mortal::Ttl(_));
            let ended: Vec<Slot> = match mortal {
                Mortal::Ttl(pointer) | Mortal::Record(pointer) => {
                    self.records.find(pointer).into_iter().collect()
                }
                Mortal::Owner(owner) => self.owners.take_estate(owner, &self.records),
            };
            for slot in ended {
                if !(may_inherit && self.inherit(slot, then)) {
                    self.end(slot, Ending::Expired);
                    self.counters.records_expired += 1;
                }
            }
            self.tidy();
        }
    }

    /// Gives room back where few records are left of many. Their slots change, so nobody may hold one meanwhile.
    fn tidy(&mut self) {
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
                    self.lifetimes.clear(ttl, Mortal::Ttl(record.pointer));
                }
                self.announce_end(&record, more.standing, ending);
            }
            let data = record.data.let_go(&self.budget);
            self.discard(data);
        }
    }
}
