//! The load of one thread: connections that ask, wait until all is answered, and ask again.

mod link;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::server::Server;
use crate::span::{Moment, Span};

pub(crate) use link::Link;

/// What is read at once.
const BUFFER: usize = 256 * 1024;

/// How long nothing may come while something is asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// When a load counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    /// From here on.
    pub(crate) from: Instant,
    /// Up to here.
    pub(crate) to: Instant,
}

impl Timetable {
    /// Counts for `length` after `warm_up`, from now on.
    pub(crate) fn new(warm_up: Duration, length: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self { from, to: from + length }
    }
}

/// What a load has counted.
pub(crate) struct Tally {
    /// Operations that were answered.
    pub(crate) operations: u64,
    /// Nanoseconds from the sending of a batch to each of its replies.
    pub(crate) latency: Histogram<u64>,
    /// In which time.
    pub(crate) span: Span,
}

/// Nanoseconds up to a minute, in three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// Runs a load until its time is over, or longer where hardly anything has been answered by then, and all that was asked
/// is answered.
pub(crate) fn run(links: &mut [Link], times: Timetable, server: &Server) -> Result<Tally> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (link, number) in links.iter().zip(0..) {
        epoll.add(link.stream(), EpollEvent::new(EpollFlags::EPOLLIN, number))?;
    }
    let mut load = Load {
        epoll,
        buffer: vec![0; BUFFER],
        done: Vec::with_capacity(1024),
        latency: histogram()?,
        operations: 0,
        counts: false,
    };
    let mut from: Option<Moment> = None;
    let mut span = None;
    let mut busy = links.len();
    // However slow the machine: all that was under way when the counting began, and more.
    let at_least = links.iter().map(Link::depth).sum::<usize>() as u64 + 1;
    let mut last_progress = Instant::now();
    for (link, number) in links.iter_mut().zip(0..) {
        link.ask(last_progress);
        link.go_on_writing(&load.epoll, number)?;
    }
    let mut events = vec![EpollEvent::empty(); 1024];
    while busy > 0 {
        let now = Instant::now();
        if from.is_none() && now >= times.from {
            from = Some(Moment::now(server)?);
            load.counts = true;
        }
        if let Some(from) = &from
            && load.counts
            && now >= times.to
            && load.operations >= at_least
        {
            span = from.span(server)?;
            load.counts = span.is_none();
        }
        let count = match load.epoll.wait(&mut events, EpollTimeout::from(100u8)) {
            Err(Errno::EINTR) => continue,
            count => count?,
        };
        if count > 0 {
            last_progress = now;
        }
        ensure!(now - last_progress < PATIENCE, "nothing has come for {} s", PATIENCE.as_secs());
        for event in &events[..count] {
            let link = &mut links[event.data() as usize];
            load.serve(link, event, span.is_none(), &mut busy)?;
        }
    }
    let span = span.context("the load had no time to be counted")?;
    Ok(Tally { operations: load.operations, latency: load.latency, span })
}

struct Load {
    epoll: Epoll,
    buffer: Vec<u8>,
    /// The slots that have just been answered.
    done: Vec<usize>,
    latency: Histogram<u64>,
    operations: u64,
    counts: bool,
}

impl Load {
    /// Does what a connection is ready for, and asks again where `again` and all is answered.
    fn serve(&mut self, link: &mut Link, event: &EpollEvent, again: bool, busy: &mut usize) -> Result<()> {
        let number = event.data();
        if event.events().contains(EpollFlags::EPOLLOUT) {
            link.go_on_writing(&self.epoll, number)?;
        }
        if !event.events().intersects(!EpollFlags::EPOLLOUT) {
            return Ok(());
        }
        self.done.clear();
        link.read(&mut self.buffer, &mut self.done)?;
        if self.done.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        if self.counts {
            let latency = (now - link.asked_at()).as_nanos() as u64;
            self.latency.saturating_record_n(latency, self.done.len() as u64);
            self.operations += self.done.len() as u64;
        }
        if link.is_answered() {
            if again {
                link.ask(now);
                link.go_on_writing(&self.epoll, number)?;
            } else {
                *busy -= 1;
            }
        }
        Ok(())
    }
}
