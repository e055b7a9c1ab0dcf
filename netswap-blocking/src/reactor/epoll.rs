//! Waiting for many sockets with epoll(7).

use std::io;
use std::mem::MaybeUninit;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{BorrowedFd, OwnedFd};

use super::Directions;

/// Sockets that are told ready at a time at most.
const EVENTS_AT_MOST: usize = 256;

/// The key of the descriptor that ends a wait.
const WAKE: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
    wake: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN)?;
        Ok(Self { epoll, wake })
    }

    /// Adds a socket, of which is told from now on whenever something happens to it.
    pub(super) fn add(&self, key: u64, socket: BorrowedFd<'_>) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(key), flags)?)
    }

    /// Somebody waits for a socket.
    pub(super) fn arm(&self, _key: u64, _directions: Directions) {}

    pub(super) fn remove(&self, _key: u64, socket: BorrowedFd<'_>) {
        // It fails for a socket that is not there any more.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Ends the wait that is under way, or the next.
    pub(super) fn wake(&self) {
        // It fails only when it has been woken more often than can be counted.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Waits until something has happened, and tells what.
    pub(super) fn wait(&self, told: &mut Vec<super::Event>) -> io::Result<()> {
        let mut events = [MaybeUninit::<Event>::uninit(); EVENTS_AT_MOST];
        let (events, _) = match epoll::wait(&self.epoll, &mut events, None) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            waited => waited?,
        };
        for event in events {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == WAKE {
                let _ = rustix::io::read(&self.wake, &mut [0; 8]);
                continue;
            }
            // What has failed or ended can be tried in either direction: that tells how.
            let over = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            let ended = over || flags.contains(EventFlags::RDHUP);
            let read = ended || flags.contains(EventFlags::IN);
            let write = over || flags.contains(EventFlags::OUT);
            told.push(super::Event { key, ready: Directions { read, write }, ended });
        }
        Ok(())
    }
}
