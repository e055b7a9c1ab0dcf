//! Connections are made, ask for something once, and are closed.

use std::net::Ipv4Addr;
use std::time::Instant;

use anyhow::{Result, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{Bench, latencies, wait};
use crate::figures::Figures;
use crate::load::{self, Link, Timetable};
use crate::server::Server;
use crate::span::Moment;
use crate::speak::{Exchange, Speak, Work};

/// From so many addresses: one does not have enough ports for a load, since each rests for a while when it was used.
const ADDRESSES: u64 = 250;

pub(super) fn measure(
    bench: &Bench,
    server: &Server,
    speak: &dyn Speak,
    work: Work,
    at_once: usize,
) -> Result<Figures> {
    let mut owner = server.connect()?;
    let mut exchange = speak.prepare(&mut owner, work, 1, 0)?.exchange;
    exchange.once(&mut owner)?;
    let mut callers = Callers { epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?, exchange, made: 0 };
    let times = Timetable::new(bench.scale.warm_up, bench.scale.length);
    let mut links = Vec::new();
    for number in 0..at_once {
        links.push(Some(callers.call(server, number)?));
    }
    let mut latency = load::histogram()?;
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut buffer = vec![0; 4096];
    let mut done = Vec::new();
    let mut from: Option<Moment> = None;
    let mut last_progress = Instant::now();
    let span = loop {
        // However slow the machine: all that were under way when the counting began, and more.
        if let Some(from) = &from
            && Instant::now() >= times.to
            && latency.len() > at_once as u64
            && let Some(span) = from.span(server)?
        {
            break span;
        }
        if from.is_none() && Instant::now() >= times.from {
            from = Some(Moment::now(server)?);
        }
        let count = wait(&callers.epoll, &mut events)?;
        for event in &events[..count] {
            let number = event.data() as usize;
            let Some(link) = &mut links[number] else { continue };
            done.clear();
            link.read(&mut buffer, &mut done)?;
            if link.is_answered() {
                last_progress = Instant::now();
                if from.is_some() {
                    latency.saturating_record(link.asked_at().elapsed().as_nanos() as u64);
                }
                // Closed before the next one is made.
                links[number] = None;
                links[number] = Some(callers.call(server, number)?);
            }
        }
        ensure!(last_progress.elapsed().as_secs() < 20, "no connection was answered for 20 s");
    };
    let mut figures = Figures::from(latencies(&latency));
    span.tell(latency.len(), &mut figures);
    Ok(figures)
}

struct Callers {
    epoll: Epoll,
    exchange: Exchange,
    made: u64,
}

impl Callers {
    /// Connects and asks.
    fn call(&mut self, server: &Server, number: usize) -> Result<Link> {
        let start = Instant::now();
        let address = Ipv4Addr::new(127, 0, 1, 1 + (self.made % ADDRESSES) as u8);
        self.made += 1;
        let mut link = Link::new(server.connect_from(address)?, self.exchange.clone())?;
        self.epoll.add(link.stream(), EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        link.ask(start);
        link.go_on_writing(&self.epoll, number as u64)?;
        Ok(link)
    }
}
