//! What the calls of a client and its driver share: the state machine, and who waits for what.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use event_listener::Event as Signal;
use netswap_core::client::{Client as Machine, Config, Event, Failure, Outcome};
use netswap_core::time::Instant;
use netswap_core::types::{Pointer, Xid};
use netswap_core::wire::Reply;

use super::events::{ConnectionEvent, Events, Listeners};
use super::slot::Slot;
use super::watches::{WatchId, Watches};
use super::{Disconnect, Error};
use crate::runtime::within;
use crate::{Clock, Sleep};

/// The result of a call.
pub(super) type Answer = Result<Reply<Bytes>, Error>;

/// What the calls of a client and its driver share. The lock is held for one step, never across a wait.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when there is a connection, when there is none for good, and when the client is to be closed.
    changed: Signal,
    config: Config,
    clock: Clock,
    sleep: fn(Duration) -> Option<Sleep>,
}

#[derive(Debug)]
pub(super) struct State {
    link: Link,
    /// Counts connections: an id means something on one of them only.
    generation: u64,
    /// Who waits for a transaction.
    waiters: HashMap<Xid, Waiter>,
    watches: Watches,
    /// Whether no more calls are taken.
    closing: bool,
    /// The driver, unless it has been woken.
    driver: Option<Waker>,
    listeners: Listeners,
}

/// Who waits for a transaction.
#[derive(Debug)]
struct Waiter {
    slot: Arc<Slot>,
    /// Whether it waits for something that may not come for long, which ends with the client.
    patient: bool,
}

/// Whether there is a connection.
#[derive(Debug)]
enum Link {
    Up(Box<Machine>),
    /// There will be one again.
    Down,
    Closed,
}

/// What is on its way to those who wait for it: they are woken after the lock is released.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    answers: Vec<(Arc<Slot>, Answer)>,
    readers: Vec<Waker>,
}

impl Shared {
    /// With a connection that was just made.
    pub(super) fn new(config: Config, sleep: fn(Duration) -> Option<Sleep>) -> Self {
        let state = State {
            link: Link::Up(Box::new(Machine::new(config.clone()))),
            generation: 0,
            waiters: HashMap::new(),
            watches: Watches::default(),
            closing: false,
            driver: None,
            listeners: Listeners::default(),
        };
        Self { state: Mutex::new(state), changed: Signal::new(), config, clock: Clock::start(), sleep }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// A moment of the core as one of the system; `None` when it is beyond all time.
    pub(super) fn system_time(&self, moment: Instant) -> Option<std::time::Instant> {
        self.clock.system_time(moment)
    }

    /// Has the state when there is a connection, for which it waits up to `timeout` where there will be one again.
    pub(super) async fn connected(&self, timeout: Option<Duration>) -> Result<MutexGuard<'_, State>, Error> {
        if let Some(state) = self.is_connected()? {
            return Ok(state);
        }
        let wait = async {
            loop {
                let changed = self.changed.listen();
                if let Some(state) = self.is_connected()? {
                    return Ok(state);
                }
                changed.await;
            }
        };
        let time = (self.sleep)(timeout.unwrap_or(self.config.idle_timeout));
        within(time, wait).await.unwrap_or(Err(Error::TimedOut { outcome: Outcome::NotDone }))
    }

    /// Waits, where there is a way to.
    pub(super) async fn pause(&self, time: Duration) {
        if let Some(pause) = (self.sleep)(time) {
            pause.await;
        }
    }

    fn is_connected(&self) -> Result<Option<MutexGuard<'_, State>>, Error> {
        let state = self.lock();
        match state.link {
            _ if state.closing => Err(Error::Closed),
            Link::Up(_) => Ok(Some(state)),
            Link::Down => Ok(None),
            Link::Closed => Err(Error::Closed),
        }
    }

    /// Does something with the state machine, if it is still that of the same connection, and wakes the driver.
    pub(super) fn with_machine<T>(
        &self,
        generation: u64,
        act: impl FnOnce(&mut Machine, Instant) -> T,
    ) -> Option<T> {
        let mut state = self.lock();
        let done = state.machine_of(generation).map(|machine| act(machine, self.now()));
        wake(state);
        done
    }

    /// Nobody waits for this transaction any more.
    pub(super) fn abandon(&self, generation: u64, xid: Xid) {
        let mut state = self.lock();
        let now = self.now();
        let Some(machine) = state.machine_of(generation) else { return };
        machine.abort(xid, now);
        let waiter = state.waiters.remove(&xid);
        wake(state);
        drop(waiter);
    }

    /// Nobody wants to hear of this watch any more.
    pub(super) fn unwatch(&self, id: WatchId) {
        let mut state = self.lock();
        let now = self.now();
        let Some((xid, left)) = state.watches.remove(id) else { return };
        if let (Some(xid), Some(machine)) = (xid, state.machine()) {
            machine.abort(xid, now);
        }
        wake(state);
        drop(left);
    }

    /// There is a new connection.
    pub(super) fn link_up(&self, address: SocketAddr) {
        let mut state = self.lock();
        let mut machine = Box::new(Machine::new(self.config.clone()));
        state.watches.arm_all();
        state.watches.arm(&mut machine, self.now());
        state.link = Link::Up(machine);
        state.generation += 1;
        state.listeners.tell(&ConnectionEvent::Connected { address });
        drop(state);
        self.changed.notify(usize::MAX);
    }

    /// The connection has ended: everyone who waits for an answer is told. Whether there will be another connection.
    pub(super) fn link_down(&self, cause: Disconnect, reconnect: bool) -> bool {
        let mut state = self.lock();
        let again = reconnect && !state.closing;
        let State { link, listeners, watches, .. } = &mut *state;
        let Link::Up(machine) = link else { return false };
        machine.handle_eof();
        let mut deliveries = Deliveries::default();
        listeners.tell(&ConnectionEvent::Disconnected { cause: cause.clone() });
        if !again {
            watches.expect_the_end();
        }
        state.deliver(Some(&cause), self.now(), &mut deliveries);
        if again {
            state.link = Link::Down;
        } else {
            state.close_link(cause, &mut deliveries);
        }
        drop(state);
        self.changed.notify(usize::MAX);
        deliver(&mut deliveries);
        again
    }

    /// There is no connection and will be none: whoever still waits is told.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        if let Link::Up(machine) = &mut state.link {
            machine.handle_eof();
        }
        let mut deliveries = Deliveries::default();
        state.watches.expect_the_end();
        state.deliver(None, self.now(), &mut deliveries);
        state.close_link(Disconnect::Stopped, &mut deliveries);
        drop(state);
        self.changed.notify(usize::MAX);
        deliver(&mut deliveries);
    }

    /// Takes no more calls; the driver ends when those under way have ended, of which those that may have to wait for
    /// long end now.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        let mut deliveries = Deliveries::default();
        state.end_waits(self.now(), &mut deliveries);
        wake(state);
        self.changed.notify(usize::MAX);
        deliver(&mut deliveries);
    }

    /// Waits until the client is to be closed.
    pub(super) async fn closing(&self) {
        self.wait_for(|state| state.closing).await;
    }

    /// Waits until the client is closed.
    pub(super) async fn closed(&self) {
        self.wait_for(|state| matches!(state.link, Link::Closed)).await;
    }

    async fn wait_for(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let changed = self.changed.listen();
            if condition(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn tell(&self, event: &ConnectionEvent) {
        self.lock().listeners.tell(event);
    }

    pub(super) fn listen(&self) -> Events {
        let mut state = self.lock();
        let events = state.listeners.add();
        if matches!(state.link, Link::Closed) {
            state.listeners.close();
        }
        events
    }
}

impl State {
    /// The state machine, while there is a connection.
    pub(super) fn machine(&mut self) -> Option<&mut Machine> {
        match &mut self.link {
            Link::Up(machine) => Some(machine),
            Link::Down | Link::Closed => None,
        }
    }

    fn machine_of(&mut self, generation: u64) -> Option<&mut Machine> {
        if self.generation == generation { self.machine() } else { None }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Who waits for a transaction; a `patient` one for as long as the client is not closed.
    pub(super) fn add_waiter(&mut self, xid: Xid, slot: Arc<Slot>, patient: bool) {
        self.waiters.insert(xid, Waiter { slot, patient });
    }

    /// Calls back what may have to wait for long.
    fn end_waits(&mut self, now: Instant, deliveries: &mut Deliveries) {
        let Self { link: Link::Up(machine), waiters, .. } = self else { return };
        for (xid, waiter) in waiters.extract_if(|_, waiter| waiter.patient) {
            machine.abort(xid, now);
            deliveries.answers.push((waiter.slot, Err(Error::Closed)));
        }
    }

    pub(super) fn watches(&mut self) -> &mut Watches {
        &mut self.watches
    }

    /// Begins to watch a record; with its data, where they are to be pushed.
    pub(super) fn begin_watch(
        &mut self,
        watched: (Pointer, bool),
        idle_timeout: Option<Duration>,
        now: Instant,
    ) -> Result<WatchId, Error> {
        let Link::Up(machine) = &mut self.link else { return Err(Error::Closed) };
        Ok(self.watches.begin(machine, watched, idle_timeout, now)?)
    }

    /// Whether nobody waits for an answer, and nobody will.
    pub(super) fn is_closing_and_idle(&self) -> bool {
        self.closing && self.waiters.is_empty() && !self.watches.any_begins()
    }

    /// The driver is to be woken when there is something to do.
    pub(super) fn register_driver(&mut self, waker: &Waker) {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// Passes on what has happened. `cause` is why the connection has ended, where it has.
    pub(super) fn deliver(&mut self, cause: Option<&Disconnect>, now: Instant, deliveries: &mut Deliveries) {
        let Self { link: Link::Up(machine), waiters, watches, .. } = self else { return };
        let Deliveries { answers, readers } = deliveries;
        while let Some(event) = machine.poll_event() {
            let (xid, goes_on, answer) = match event {
                Event::Replied { xid, reply: Reply::Refused(refusal) } => (xid, false, Err(refusal.into())),
                Event::Replied { xid, reply } => (xid, false, Ok(reply)),
                Event::Ended { xid, failure, outcome } => {
                    let goes_on = matches!(failure, Failure::ConnectionLost | Failure::Aborted);
                    (xid, goes_on, Err(failed(failure, outcome, cause)))
                }
                Event::Piece { xid, data, total } => {
                    readers.extend(waiters.get(&xid).and_then(|waiter| waiter.slot.put_piece((data, total))));
                    continue;
                }
                Event::Wanted { xid } => {
                    readers.extend(waiters.get(&xid).and_then(|waiter| waiter.slot.want()));
                    continue;
                }
                Event::Watching { xid, version } => {
                    readers.extend(watches.armed(xid, version));
                    continue;
                }
                Event::Notified { xid, notification } => {
                    readers.extend(watches.notified(machine, xid, notification, now));
                    continue;
                }
                _ => continue,
            };
            match answer {
                Err(error) if watches.has(xid) => readers.extend(watches.lost(xid, error, goes_on)),
                answer => answers.extend(waiters.remove(&xid).map(|waiter| (waiter.slot, answer))),
            }
        }
        watches.arm(machine, now);
    }

    /// There is no connection, and will be none.
    fn close_link(&mut self, cause: Disconnect, deliveries: &mut Deliveries) {
        let closing = self.closing;
        let error = || {
            let (cause, outcome) = (cause.clone(), Outcome::NotDone);
            if closing { Error::Closed } else { Error::ConnectionLost { cause, outcome } }
        };
        deliveries.readers.extend(self.watches.end_all(error));
        self.link = Link::Closed;
        self.listeners.close();
    }
}

/// Has the driver do what there is to do, once the lock is released.
pub(super) fn wake(mut state: MutexGuard<'_, State>) {
    let driver = state.driver.take();
    drop(state);
    if let Some(driver) = driver {
        driver.wake();
    }
}

/// Hands over answers, and wakes those who watch. To be called without the lock.
pub(super) fn deliver(deliveries: &mut Deliveries) {
    for (waiter, answer) in deliveries.answers.drain(..) {
        waiter.put_answer(answer);
    }
    deliveries.readers.drain(..).for_each(Waker::wake);
}

fn failed(failure: Failure, outcome: Outcome, cause: Option<&Disconnect>) -> Error {
    match failure {
        Failure::Aborted => Error::Aborted { outcome },
        Failure::TimedOut => Error::TimedOut { outcome },
        Failure::ReplyTooLarge { len, limit } => Error::ReplyTooLarge { len, limit },
        _ => Error::ConnectionLost { cause: cause.cloned().unwrap_or(Disconnect::Stopped), outcome },
    }
}
