//! Tells threads when their sockets are ready.
//!
//! One thread of the process waits for all sockets, and wakes who wants to read or write one and could not. With that a
//! thread waits for its socket, its wake-ups by other threads and its deadlines all in one place, where it is parked, and
//! needs no descriptor beside its socket's to be woken.

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
    /// What has become ready since somebody looked.
    ready: Directions,
    /// Whether the other side sends no more, or something is wrong: reading tells, whenever it is tried.
    ended: bool,
    /// Who is to be woken.
    waker: Option<Waker>,
}

/// What a poller tells of a socket.
#[derive(Clone, Copy, Debug)]
struct Event {
    key: u64,
    ready: Directions,
    ended: bool,
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
            for event in events.drain(..) {
                let place = lock(&self.places).get(&event.key).cloned();
                if let Some(place) = place {
                    place.tell(event);
                }
            }
        }
    }
}

impl Place {
    fn tell(&self, event: Event) {
        let mut state = lock(&self.0);
        state.ready = state.ready.with(event.ready);
        state.ended |= event.ended;
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
        // From the moment that the poller knows it, it is told of.
        lock(&reactor.0.places).insert(key, place.clone());
        let source = Self { io, ready, key, place, reactor };
        source.reactor.0.poller.add(key, source.io.as_fd())?;
        Ok(source)
    }

    pub(crate) fn get(&self) -> &S {
        &self.io
    }

    /// Does something with the socket when that does not block.
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
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready = self.ready.without(direction);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Less was done than could have been: it is not worth trying again before the system says so, which it does when
    /// something happens after that.
    pub(crate) fn exhausted(&mut self, direction: Directions) {
        if !(direction.read && lock(&self.place.0).ended) {
            self.ready = self.ready.without(direction);
        }
    }

    /// Ready when it is worth trying.
    pub(crate) fn poll_ready(&mut self, cx: &Context<'_>, direction: Directions) -> Poll<io::Result<()>> {
        if !self.ready.contains(direction) {
            let mut state = lock(&self.place.0);
            // What is told from here on is told of later.
            self.ready = self.ready.with(std::mem::take(&mut state.ready));
            if !self.ready.contains(direction) {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                self.reactor.0.poller.arm(self.key, direction);
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    /// Both pollers keep the same contract, which this module relies on.
    macro_rules! contract {
        ($name:ident, $poller:path) => {
            #[test]
            fn $name() {
                let poller = <$poller>::new().unwrap();
                let (near, mut far) = pair();
                let next = || {
                    let mut told = Vec::new();
                    while told.is_empty() {
                        poller.wait(&mut told).unwrap();
                    }
                    assert!(told.len() == 1 && told[0].key == 7, "{told:?}");
                    (told[0].ready, told[0].ended)
                };
                poller.add(7, near.as_fd()).unwrap();
                poller.arm(7, Directions::WRITE);
                assert_eq!(next(), (Directions::WRITE, false));
                poller.arm(7, Directions::READ);
                far.write_all(b"?").unwrap();
                assert!(next().0.contains(Directions::READ));
                // More is told of, though what was there was not read.
                far.write_all(b"!").unwrap();
                poller.arm(7, Directions::READ);
                assert!(next().0.contains(Directions::READ));
                far.shutdown(std::net::Shutdown::Write).unwrap();
                poller.arm(7, Directions::READ);
                assert!(next().0.contains(Directions::READ));
                near.shutdown(std::net::Shutdown::Write).unwrap();
                poller.arm(7, Directions::READ);
                assert_eq!(next(), (Directions::BOTH, true));
                // A wait that has nothing to tell can be ended, once.
                let (other, _far) = pair();
                poller.remove(7, near.as_fd());
                poller.add(7, other.as_fd()).unwrap();
                poller.wake();
                let mut told = Vec::new();
                poller.wait(&mut told).unwrap();
                drop(other);
            }
        };
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    contract!(epoll_keeps_its_contract, epoll::Poller);
    contract!(poll_keeps_its_contract, poll::Poller);

    #[test]
    fn the_reactor_ends_with_its_last_socket() {
        let (one, other) = pair();
        let (one, other) =
            (Source::new(one, Directions::NONE).unwrap(), Source::new(other, Directions::NONE).unwrap());
        let reactor = Arc::downgrade(&one.reactor);
        assert!(std::ptr::eq(&*one.reactor, &*other.reactor));
        drop((one, other));
        assert!(reactor.upgrade().is_none());
    }
}
