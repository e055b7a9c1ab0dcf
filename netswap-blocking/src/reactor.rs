//! Tells threads when their sockets are ready.
//!
//! One thread of the process waits for all sockets that somebody wants to read or write and cannot, and wakes who wants
//! it. With that a thread can wait for its socket, its wake-ups by other threads and its deadlines all in one place, where it
//! is parked, and needs no descriptor beside its socket's to be woken.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod epoll;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod poll;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "android"))]
use epoll::Poller;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use poll::Poller;
use rustix::fd::AsFd;
use tracing::error;

/// Reading, writing, both or neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directions {
    read: bool,
    write: bool,
}

impl Directions {
    pub(crate) const READ: Self = Self { read: true, write: false };
    pub(crate) const WRITE: Self = Self { read: false, write: true };
    pub(crate) const BOTH: Self = Self { read: true, write: true };
    pub(crate) const NONE: Self = Self { read: false, write: false };

    fn contains(self, other: Self) -> bool {
        (self.read || !other.read) && (self.write || !other.write)
    }

    fn with(self, other: Self) -> Self {
        Self { read: self.read || other.read, write: self.write || other.write }
    }

    fn without(self, other: Self) -> Self {
        Self { read: self.read && !other.read, write: self.write && !other.write }
    }
}

/// The reactor of the process, while there are sockets for it. It is made with the first and ends with the last.
static REACTOR: Mutex<Weak<Reactor>> = Mutex::new(Weak::new());

/// Waits for sockets on behalf of other threads.
#[derive(Debug)]
struct Reactor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    poller: Poller,
    places: Mutex<HashMap<u64, Arc<Place>>>,
    keys: AtomicU64,
    ended: AtomicBool,
}

/// What is known of one socket.
#[derive(Debug, Default)]
struct Place(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What has become ready since somebody asked.
    ready: Directions,
    /// What the reactor waits for.
    awaited: Directions,
    /// Who is to be woken.
    waker: Option<Waker>,
}

impl Reactor {
    fn of_process() -> io::Result<Arc<Self>> {
        let mut reactor = lock(&REACTOR);
        if let Some(reactor) = reactor.upgrade() {
            return Ok(reactor);
        }
        let inner = Arc::new(Inner {
            poller: Poller::new()?,
            places: Mutex::default(),
            keys: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let new = Arc::new(Self(inner.clone()));
        thread::Builder::new().name("netswap-reactor".into()).spawn(move || inner.run())?;
        *reactor = Arc::downgrade(&new);
        Ok(new)
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.0.ended.store(true, SeqCst);
        self.0.poller.wake();
    }
}

impl Inner {
    fn run(&self) {
        let mut events = Vec::new();
        while !self.ended.load(SeqCst) {
            if let Err(error) = self.poller.wait(&mut events) {
                error!(%error, "cannot wait for sockets");
                thread::sleep(Duration::from_millis(50));
            }
            for (key, ready) in events.drain(..) {
                let place = lock(&self.places).get(&key).cloned();
                if let Some(place) = place {
                    place.is_ready(ready);
                }
            }
        }
    }
}

impl Place {
    fn is_ready(&self, ready: Directions) {
        let mut state = lock(&self.0);
        state.ready = state.ready.with(ready);
        // Each event is told once.
        state.awaited = Directions::NONE;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// A socket that does not block, and can be waited for.
#[derive(Debug)]
pub(crate) struct Source<S: AsFd> {
    io: S,
    /// In which directions it is worth trying.
    ready: Directions,
    key: u64,
    place: Arc<Place>,
    reactor: Arc<Reactor>,
}

impl<S: AsFd> Source<S> {
    /// A socket that may be `ready` already.
    pub(crate) fn new(io: S, ready: Directions) -> io::Result<Self> {
        let reactor = Reactor::of_process()?;
        let key = reactor.0.keys.fetch_add(1, SeqCst);
        let place = Arc::<Place>::default();
        reactor.0.poller.add(key, io.as_fd())?;
        lock(&reactor.0.places).insert(key, place.clone());
        Ok(Self { io, ready, key, place, reactor })
    }

    pub(crate) fn get(&self) -> &S {
        &self.io
    }

    /// Does something with the socket once that does not block.
    pub(crate) fn poll_do<T>(
        &mut self,
        cx: &Context<'_>,
        direction: Directions,
        mut act: impl FnMut(&mut S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if self.poll_ready(cx, direction)?.is_pending() {
                return Poll::Pending;
            }
            match act(&mut self.io) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.exhausted(direction),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// There is no more to be had in this direction for now.
    pub(crate) fn exhausted(&mut self, direction: Directions) {
        self.ready = self.ready.without(direction);
    }

    /// Ready when it is worth trying.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>, direction: Directions) -> Poll<io::Result<()>> {
        if !self.ready.contains(direction) {
            let mut state = lock(&self.place.0);
            self.ready = self.ready.with(std::mem::take(&mut state.ready));
            if !self.ready.contains(direction) {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                if !state.awaited.contains(direction) {
                    state.awaited = state.awaited.with(direction);
                    self.reactor.0.poller.arm(self.key, self.io.as_fd(), state.awaited)?;
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsFd> Drop for Source<S> {
    fn drop(&mut self) {
        lock(&self.reactor.0.places).remove(&self.key);
        self.reactor.0.poller.remove(self.key, self.io.as_fd());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
