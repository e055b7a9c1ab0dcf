//! A record changes, and all who watch it are told.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use super::{Bench, latencies, wait};
use crate::figures::Figures;
use crate::load::{self, Timetable};
use crate::server::Server;
use crate::span::Moment;
use crate::speak::{Change, Speak};

/// How long a change may take until all have been told.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, and how much has come of what must come on it.
struct Reader {
    stream: TcpStream,
    at: usize,
}

impl Reader {
    fn new(stream: TcpStream) -> Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, at: 0 })
    }

    /// Reads what there is of `expected`. Returns whether that is now complete.
    fn read(&mut self, expected: &[u8], buffer: &mut [u8]) -> Result<bool> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            count => count.context("a watcher's connection is lost")?,
        };
        ensure!(count > 0, "the server has closed a connection");
        let right = expected[self.at..].starts_with(&buffer[..count]);
        ensure!(right, "wrong bytes: {}", crate::speak::script::excerpt(&buffer[..count]));
        self.at += count;
        if self.at == expected.len() {
            self.at = 0;
            return Ok(true);
        }
        Ok(false)
    }
}

pub(super) fn measure(bench: &Bench, server: &Server, speak: &dyn Speak, len: usize) -> Result<Figures> {
    let fan_out = speak.fan_out().context("nobody is told of changes")?;
    let topic = fan_out.topic(&mut server.connect()?, len)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut readers = Vec::new();
    for _ in 0..bench.scale.watchers {
        let mut stream = server.connect()?;
        fan_out.watch(&mut stream, topic, len)?;
        readers.push(Reader::new(stream)?);
    }
    // The writer comes last, so that a server that has accepted it has accepted all others.
    readers.push(Reader::new(server.connect()?)?);
    for (reader, number) in readers.iter().zip(0..) {
        epoll.add(&reader.stream, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
    }

    let mut watched =
        Watched { epoll, readers, buffer: vec![0; 64 * 1024], events: vec![EpollEvent::empty(); 1024] };
    let mut latency = load::histogram()?;
    let times = Timetable::new(bench.scale.warm_up, bench.scale.length);
    let mut from: Option<Moment> = None;
    let mut number = 0;
    let span = loop {
        if let Some(from) = &from
            && Instant::now() >= times.to
            && !latency.is_empty()
            && let Some(span) = from.span(server)?
        {
            break span;
        }
        if from.is_none() && Instant::now() >= times.from {
            from = Some(Moment::now(server)?);
        }
        number += 1;
        let took = watched.change(&fan_out.change(topic, number, len, bench.scale.watchers))?;
        if from.is_some() {
            latency.saturating_record(took.as_nanos() as u64);
        }
    };
    let mut figures = Figures::from(latencies(&latency));
    span.tell(latency.len() * bench.scale.watchers as u64, &mut figures);
    Ok(figures)
}

struct Watched {
    epoll: Epoll,
    /// The watchers, and the writer last.
    readers: Vec<Reader>,
    buffer: Vec<u8>,
    events: Vec<EpollEvent>,
}

impl Watched {
    /// Makes a change and waits until the writer has its answer and all others have been told. Returns how long it took.
    fn change(&mut self, change: &Change) -> Result<Duration> {
        let writer = self.readers.len() - 1;
        let start = Instant::now();
        self.readers[writer].stream.write_all(&change.request).context("cannot send")?;
        let mut missing = self.readers.len();
        while missing > 0 {
            ensure!(start.elapsed() < PATIENCE, "{missing} were not told in {} s", PATIENCE.as_secs());
            let count = wait(&self.epoll, &mut self.events)?;
            for event in &self.events[..count] {
                let number = event.data() as usize;
                let expected = if number == writer { &change.reply } else { &change.told };
                missing -= usize::from(self.readers[number].read(expected, &mut self.buffer)?);
            }
        }
        Ok(start.elapsed())
    }
}
