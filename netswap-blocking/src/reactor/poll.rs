//! Waiting for many sockets with poll(2), for systems that have nothing better in common.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{BorrowedFd, OwnedFd};

use super::{Directions, Event};

/// Waits for sockets, of each of which it has a duplicate: none is closed while it is waited for.
#[derive(Debug)]
pub(super) struct Poller {
    sockets: Mutex<HashMap<u64, Socket>>,
    /// Sends to itself what is to end a wait.
    wake: UdpSocket,
}

#[derive(Debug)]
struct Socket {
    duplicate: Arc<OwnedFd>,
    awaited: Directions,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let wake = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        wake.connect(wake.local_addr()?)?;
        wake.set_nonblocking(true)?;
        Ok(Self { sockets: Mutex::default(), wake })
    }

    /// Adds a socket, for which nobody waits yet.
    pub(super) fn add(&self, key: u64, socket: BorrowedFd<'_>) -> io::Result<()> {
        let duplicate = Arc::new(socket.try_clone_to_owned()?);
        self.lock().insert(key, Socket { duplicate, awaited: Directions::NONE });
        Ok(())
    }

    /// Somebody waits for a socket: what happens to it is told once, for all who do.
    pub(super) fn arm(&self, key: u64, directions: Directions) {
        let mut sockets = self.lock();
        let Some(socket) = sockets.get_mut(&key).filter(|it| !it.awaited.contains(directions)) else {
            return;
        };
        socket.awaited = socket.awaited.with(directions);
        drop(sockets);
        self.wake();
    }

    pub(super) fn remove(&self, key: u64, _socket: BorrowedFd<'_>) {
        self.lock().remove(&key);
        // Its duplicate may be waited for.
        self.wake();
    }

    /// Ends the wait that is under way, or the next.
    pub(super) fn wake(&self) {
        // When there is no room for one more wake-up, there are enough.
        let _ = self.wake.send(&[1]);
    }

    /// Waits until something has happened that somebody waits for, and tells what.
    pub(super) fn wait(&self, told: &mut Vec<Event>) -> io::Result<()> {
        let awaited: Vec<_> = self
            .lock()
            .iter()
            .filter(|(_, socket)| socket.awaited != Directions::NONE)
            .map(|(key, socket)| (*key, socket.duplicate.clone(), socket.awaited))
            .collect();
        let mut polled = vec![PollFd::new(&self.wake, PollFlags::IN)];
        polled.extend(awaited.iter().map(|(_, socket, directions)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, directions.read);
            flags.set(PollFlags::OUT, directions.write);
            PollFd::new(socket, flags)
        }));
        match rustix::event::poll(&mut polled, None) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            waited => waited?,
        };
        let mut results = polled.iter().map(PollFd::revents);
        if results.next().is_some_and(|woken| !woken.is_empty()) {
            let mut byte = [0];
            while self.wake.recv(&mut byte).is_ok() {}
        }
        let mut sockets = self.lock();
        for ((key, ..), flags) in awaited.iter().zip(results).filter(|(_, flags)| !flags.is_empty()) {
            // What has failed or ended can be tried in either direction: that tells how.
            let ended = flags.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
            let read = ended || flags.contains(PollFlags::IN);
            let write = ended || flags.contains(PollFlags::OUT);
            told.push(Event { key: *key, ready: Directions { read, write }, ended });
            if let Some(socket) = sockets.get_mut(key) {
                socket.awaited = Directions::NONE;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Socket>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
