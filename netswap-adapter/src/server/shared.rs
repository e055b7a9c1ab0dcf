//! What all connections of a server share: the store behind its lock, the clock, the counters of bytes.

use std::any::Any;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant as Moment};

use event_listener::Event;
use netswap_core::config::{Config, ConfigError};
use netswap_core::connection::Connection as Machine;
use netswap_core::engine::{Engine, Execution, Incident, ListCursor, Peer, Post, Told};
use netswap_core::error::Refusal;
use netswap_core::memory::{Budget, Garbage, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Pointer, Xid};
use netswap_core::wire::Request;
use tracing::{debug, error};

use super::Connection;
use super::bell::{Bell, Bells};
use super::excess::Excess;
use super::fair_mutex::FairMutex;
use crate::{Clock, Transport};

/// What all connections of a server share.
#[derive(Debug)]
pub struct Shared {
    store: FairMutex<Store>,
    bells: Bells,
    config: Arc<Config>,
    budget: Arc<Budget>,
    clock: Clock,
    excess: Excess,
    /// Until when nobody sweeps, so that others get the store.
    rest: Mutex<Moment>,
    stopping: AtomicBool,
    shutdown_deadline: Duration,
    /// When the server was told to stop.
    stopped_at: OnceLock<Moment>,
    /// Told when the server is to stop.
    stopped: Event,
    received: AtomicU64,
    sent: AtomicU64,
    panics: AtomicU64,
}

/// What went over a server's sockets, and what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Connections that ended because handling them panicked: faults of the server.
    pub panics: u64,
}

impl Shared {
    /// The longest time between two [sweeps](Self::sweep).
    pub const SWEEP: Duration = Duration::from_millis(500);

    /// The shortest time between two sweeps, where nothing is due after the first.
    const SWEEP_PAUSE: Duration = Duration::from_millis(5);

    /// About the longest time that a sweep takes, however much is due.
    const SWEEP_TURN: Duration = Duration::from_micros(400);

    /// How long a server waits before it accepts again, after the system had no descriptor or no memory for a
    /// connection.
    pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

    /// The last quarter of the time that connections have to end after a shutdown is for sending: no more requests are
    /// carried out.
    const SENDING: u32 = 4;

    pub(super) fn new(config: Config, shutdown_deadline: Duration) -> Result<Self, ConfigError> {
        let store = Store::new(config)?;
        Ok(Self {
            config: store.config().clone(),
            budget: store.budget().clone(),
            store: FairMutex::new(store),
            bells: Bells::default(),
            clock: Clock::start(),
            excess: Excess::new(),
            rest: Mutex::new(Moment::now()),
            stopping: AtomicBool::new(false),
            shutdown_deadline,
            stopped_at: OnceLock::new(),
            stopped: Event::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whether the server was told to stop. Connections look here often, so it is no more than one load.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// How much time connections still have to end, after the server was told to stop.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let passed = self.stopped_at.get().map_or(Duration::ZERO, Moment::elapsed);
        self.shutdown_deadline.saturating_sub(passed)
    }

    /// Whether requests are carried out: always, until the server stops and the end of its time is near
    /// (docs/PROTOCOL.md §5.3).
    pub(super) fn executes(&self) -> bool {
        !self.is_stopping() || self.time_left() > self.shutdown_deadline / Self::SENDING
    }

    /// Tells the server and all of its connections to stop. The first time counts.
    pub(super) fn stop(&self) {
        self.stopped_at.get_or_init(Moment::now);
        self.stopping.store(true, SeqCst);
        self.stopped.notify(usize::MAX);
        self.bells.ring_all();
    }

    /// Waits until the server is told to stop.
    pub async fn stopped(&self) {
        while !self.is_stopping() {
            let told = self.stopped.listen();
            if !self.is_stopping() {
                told.await;
            }
        }
    }

    /// A connection that was accepted, set up and told of its fate: the task that serves it, unless there is not even
    /// room to refuse it.
    pub fn accept<T: Transport>(
        self: &Arc<Self>,
        stream: io::Result<T>,
        address: SocketAddr,
    ) -> Option<Connection<T>> {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => {
                debug!(%address, %error, "connection lost before it was served");
                return None;
            }
        };
        let now = self.now();
        let (config, budget) = (self.config.clone(), self.budget.clone());
        let machine = match self.connect(address, now) {
            Admission::Served(peer) => {
                debug!(%address, owner = %peer.owner, "connected");
                Machine::new(peer, config, budget)
            }
            Admission::TurnedAway(peer, refusal) => {
                debug!(%address, %refusal, "connection turned away");
                Machine::turned_away(peer, refusal, config, budget, now)
            }
            Admission::Dropped => return None,
        };
        let attendance = Attendance::new(self.clone(), machine.peer());
        Some(Connection::new(stream, machine, attendance))
    }

    /// A connection's task has panicked, which is a fault of the server and ends that connection only.
    pub fn connection_panicked(&self, fault: &dyn std::fmt::Display) {
        self.panics.fetch_add(1, Relaxed);
        error!(%fault, "handling a connection panicked; that connection is closed");
    }

    /// The store, for one call. A panic in one connection's call does not take it from the others.
    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock()
    }

    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            received: self.received.load(Relaxed),
            sent: self.sent.load(Relaxed),
            panics: self.panics.load(Relaxed),
        }
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    /// Removes records that have ended (docs/PROTOCOL.md §6.3), and notifies many watches (§4.3): when it is to be called
    /// again, from now on.
    ///
    /// It takes about half a millisecond at most, and unlocks the store after each 128 records or 1024 watches. While there
    /// is more to do, it is to be called again after as much time as it took, which is left to others; where several threads
    /// sweep, all of them leave that time.
    pub fn sweep(&self) -> Duration {
        self.excess.give_back();
        let mut rest = match self.rest.try_lock() {
            Ok(rest) => rest,
            Err(TryLockError::Poisoned(rest)) => rest.into_inner(),
            Err(TryLockError::WouldBlock) => return Self::SWEEP_PAUSE,
        };
        let begun = Moment::now();
        if let Some(left) = rest.checked_duration_since(begun).filter(|left| !left.is_zero()) {
            return left;
        }
        loop {
            let now = self.now();
            let mut store = self.store();
            store.handle_timeout(now);
            store.compact();
            let next = match store.is_compacting() {
                true => Some(Duration::ZERO),
                false => store.poll_timeout().map(|next| next.saturating_since(now)),
            };
            self.note_end_of_pass(&store);
            self.release(store);
            match next {
                Some(Duration::ZERO) => {}
                next => return next.unwrap_or(Self::SWEEP).clamp(Self::SWEEP_PAUSE, Self::SWEEP),
            }
            let took = begun.elapsed();
            if took >= Self::SWEEP_TURN {
                *rest = Moment::now() + took;
                return took;
            }
        }
    }

    pub(super) fn excess(&self) -> &Excess {
        &self.excess
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    fn connect(&self, address: SocketAddr, now: Instant) -> Admission {
        let mut store = self.store();
        let admission = store.connect(address.ip(), now);
        self.release(store);
        admission
    }

    /// Unlocks the store, then frees what a call made superfluous and calls the connections for which it left mail.
    #[inline]
    fn release(&self, store: MutexGuard<'_, Store>) {
        if store.leaves_something() {
            self.clear_up(store);
        }
    }

    fn clear_up(&self, mut store: MutexGuard<'_, Store>) {
        let (garbage, woken) = (store.take_garbage(), store.take_woken());
        drop(store);
        drop(garbage);
        if !woken.is_empty() {
            self.bells.ring(&woken);
        }
    }

    /// The bells by which connections are called.
    pub(super) fn bells(&self) -> &Bells {
        &self.bells
    }
}

/// What a panic that was caught says.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref().map(String::as_str)).unwrap_or("a panic without a message")
}

/// The store as the engine of a connection: the lock is held for one call, and never across a wait.
impl Engine for &Shared {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal> {
        let mut store = self.store();
        let judged = store.judge(peer, request, now);
        self.release(store);
        judged
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        if !self.executes() {
            // It has no effect, and no answer before the connection is closed.
            return Execution::Later;
        }
        let mut store = self.store();
        let done = store.serve(peer, xid, request, now);
        self.release(store);
        done
    }

    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post {
        self.store().take_mail(peer.id, room)
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told> {
        self.store().take_news(peer.id, xid, room)
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        self.store().forget(peer.id, xid);
    }

    fn begin_list(&mut self, peer: Peer) -> (u64, ListCursor) {
        self.store().begin_list(peer.owner)
    }

    fn continue_list(
        &mut self,
        peer: Peer,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        self.store().continue_list(peer.owner, cursor, pointers, now)
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        let mut store = self.store();
        store.depart(peer.id, now);
        self.release(store);
    }

    fn discard(&mut self, garbage: &mut Garbage) {
        let mut store = self.store();
        store.add_garbage(garbage);
        self.release(store);
    }

    fn note(&mut self, incident: Incident) {
        self.store().note(incident);
    }
}

/// A connection's place in the store, given back however the connection ends.
#[derive(Debug)]
pub(super) struct Attendance {
    pub(super) shared: Arc<Shared>,
    /// Rings when there is mail for the connection.
    pub(super) bell: Arc<Bell>,
    peer: Peer,
}

impl Attendance {
    pub(super) fn new(shared: Arc<Shared>, peer: Peer) -> Self {
        let bell = shared.bells().hang(peer.id);
        Self { shared, bell, peer }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.shared.bells().remove(self.peer.id);
        let now = self.shared.now();
        let mut store = self.shared.store();
        store.disconnect(self.peer.id, now);
        self.shared.release(store);
    }
}

#[cfg(test)]
mod tests {
    use netswap_core::config::Limits;
    use netswap_core::identity::IdentityKey;
    use netswap_core::types::Access;

    use super::*;

    #[test]
    fn a_panic_with_the_store_locked_takes_it_from_nobody() {
        let config = Config::new(Limits::new(1 << 20), IdentityKey([1; 16]), [2; 32]);
        let shared = Arc::new(Shared::new(config, Duration::from_secs(4)).unwrap());
        let faulty = shared.clone();
        let panicked = std::thread::spawn(move || {
            let _store = faulty.store();
            panic!("a fault with the lock held");
        });
        assert!(panicked.join().is_err());
        let address = "127.0.0.1:1".parse().unwrap();
        assert!(matches!(shared.connect(address, shared.now()), Admission::Served(_)));
        shared.sweep();
        assert_eq!(shared.store().statistics().connections, 1);
    }

    #[test]
    fn a_sweep_ends_after_its_turn_and_the_next_one_goes_on() {
        let mut config = Config::new(Limits::new(1 << 30), IdentityKey([1; 16]), [2; 32]);
        config.times.grace = Duration::ZERO;
        let shared = Arc::new(Shared::new(config, Duration::from_secs(4)).unwrap());
        let records = || shared.store().statistics().records;
        let Admission::Served(peer) = shared.connect("127.0.0.1:1".parse().unwrap(), shared.now()) else {
            panic!("it is turned away")
        };
        for _ in 0..20_000 {
            let request = Request::ReserveRecord { access: Access::empty() };
            (&*shared).execute(peer, Xid(1), request, shared.now());
        }
        assert_eq!((records(), shared.sweep()), (20_000, Shared::SWEEP));
        shared.store().disconnect(peer.id, shared.now());
        let (mut turns, mut rests) = (0, 0);
        while records() > 0 {
            let (before, begun) = (records(), Moment::now());
            let pause = shared.sweep();
            if records() == before {
                // It is called too early: the time that the turn before took is left to others.
                assert!(pause <= Shared::SWEEP_PAUSE.max(begun.elapsed()));
                rests += 1;
            } else {
                turns += 1;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        assert!(turns > 1 && rests > 0, "{turns} turns, {rests} rests");
        std::thread::sleep(Shared::SWEEP_PAUSE);
        assert_eq!(shared.sweep(), Shared::SWEEP);
    }
}
