//! All joiners, in one thread: each reads no faster than its pace, and all that they get is compared with what it must be.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cases::Joiners;
use crate::patches::{BLOCK, History, Patch};
use crate::server::Server;
use crate::span::{Moment, Span};
use crate::speak::join::{Download, Join};

/// From one look at the joiners to the next.
const TICK: Duration = Duration::from_millis(1);

/// One joiner of so many reads in a tick: each reads every 10 ms, so that reads are large and ticks are short.
const TURNS: usize = 10;

/// What the system keeps for a joiner that does not read.
const RECEIVE: usize = 64 * 1024;

/// The most that a joiner reads at once to make up for what did not come in time.
const CATCH_UP: usize = 64 * 1024;

/// No run takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the joiners have measured.
pub(super) struct Done {
    pub(super) span: Span,
    /// Bytes in a second of the mean joiner.
    pub(super) pace: f64,
}

/// Has all joiners download the record.
pub(super) fn run(
    server: &Server,
    join: &dyn Join,
    record: u64,
    history: &History,
    plan: Joiners,
) -> Result<Done> {
    let mut random = fastrand::Rng::with_seed(15);
    let begins = |random: &mut fastrand::Rng| plan.spread.mul_f64(random.f64());
    let mut joiners: Vec<_> = (0..plan.count).map(|_| Joiner::Waiting(begins(&mut random))).collect();
    let mut buffer = vec![0; CATCH_UP];
    let from = Moment::now(server)?;
    let start = Instant::now();
    let mut next = start;
    for turn in 0.. {
        for (number, joiner) in joiners.iter_mut().enumerate().skip(turn % TURNS).step_by(TURNS) {
            joiner
                .go_on(server, join, record, history, plan, (number, start), &mut buffer)
                .with_context(|| format!("joiner {number}"))?;
        }
        if joiners.iter().all(|joiner| matches!(joiner, Joiner::Done(_))) {
            break;
        }
        ensure!(start.elapsed() < PATIENCE, "the joiners have taken {} s", PATIENCE.as_secs());
        next = (next + TICK).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let span = loop {
        if let Some(span) = from.span(server)? {
            break span;
        }
    };
    let took = joiners.iter().map(|joiner| match joiner {
        Joiner::Done(took) => took.as_secs_f64(),
        _ => f64::NAN,
    });
    Ok(Done { span, pace: plan.len as f64 * plan.count as f64 / took.sum::<f64>() })
}

enum Joiner {
    /// Begins at this time.
    Waiting(Duration),
    Reading(Box<Reading>),
    /// It has taken so long.
    Done(Duration),
}

struct Reading {
    stream: TcpStream,
    download: Box<dyn Download>,
    begun: Instant,
    /// When it last had its turn.
    turn: Instant,
    /// Bytes that it may read now.
    may_read: usize,
    received: Received,
}

impl Joiner {
    #[allow(clippy::too_many_arguments)] // All of one place, which calls it once.
    fn go_on(
        &mut self,
        server: &Server,
        join: &dyn Join,
        record: u64,
        history: &History,
        plan: Joiners,
        (number, start): (usize, Instant),
        buffer: &mut [u8],
    ) -> Result<()> {
        match self {
            Self::Waiting(begins) if start.elapsed() >= *begins => {
                let address = Ipv4Addr::new(127, 0, 2, 1 + (number % 250) as u8);
                let stream = server.connect_with(address, Some(RECEIVE))?;
                stream.set_nonblocking(true)?;
                let now = Instant::now();
                let mut reading = Reading {
                    stream,
                    download: join.download(record, plan.len),
                    begun: now,
                    turn: now,
                    may_read: 0,
                    received: Received { at: 0, block: [0; BLOCK] },
                };
                reading.ask()?;
                *self = Self::Reading(Box::new(reading));
            }
            Self::Reading(reading) => {
                let done = reading.read(history, plan, buffer)?.then(|| reading.begun.elapsed());
                if let Some(took) = done {
                    *self = Self::Done(took);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Reading {
    fn ask(&mut self) -> Result<()> {
        if let Some(request) = self.download.request() {
            self.stream.write_all(&request).context("cannot ask for the record")?;
        }
        Ok(())
    }

    /// Reads what its pace allows. Returns whether it has all.
    fn read(&mut self, history: &History, plan: Joiners, buffer: &mut [u8]) -> Result<bool> {
        let now = Instant::now();
        let more = plan.pace as f64 * (now - self.turn).as_secs_f64();
        self.turn = now;
        self.may_read = (self.may_read + more as usize).min(CATCH_UP);
        while self.may_read > 0 {
            let count = match self.stream.read(&mut buffer[..self.may_read]) {
                Ok(0) => bail!("the server has closed the connection at byte {}", self.received.at),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot read"),
            };
            self.may_read -= count;
            let received = &mut self.received;
            self.download
                .take(&buffer[..count], &mut |patches, part| received.take(history, patches, part))?;
            self.ask()?;
            if self.download.is_complete() {
                self.received.end(history, plan.len)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What has come of the record, block by block.
struct Received {
    at: usize,
    block: [u8; BLOCK],
}

impl Received {
    fn take(&mut self, history: &History, patches: Option<u64>, mut part: &[u8]) -> Result<()> {
        while !part.is_empty() {
            let at = self.at % BLOCK;
            let (now, rest) = part.split_at(part.len().min(BLOCK - at));
            self.block[at..][..now.len()].copy_from_slice(now);
            (self.at, part) = (self.at + now.len(), rest);
            if self.at.is_multiple_of(BLOCK) {
                check(history, patches, self.at / BLOCK - 1, &self.block)?;
            }
        }
        Ok(())
    }

    /// The last block need not be whole.
    fn end(&self, history: &History, len: usize) -> Result<()> {
        ensure!(self.at == len, "{} bytes have come and not {len}", self.at);
        match len % BLOCK {
            0 => Ok(()),
            rest => check(history, None, len / BLOCK, &self.block[..rest]),
        }
    }
}

/// A block must hold the patch that its version has.
fn check(history: &History, patches: Option<u64>, block: usize, bytes: &[u8]) -> Result<()> {
    let patch = Patch::of(block, bytes).with_context(|| format!("block {block} is torn"))?;
    let right = history.has(patch, patches);
    ensure!(right, "block {block} has patch {} after {patches:?} patches", patch.number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_two_states_is_seen() {
        let history = History::new(3 * BLOCK + 40);
        let mut data = history.first_state();
        for number in 1..=2 {
            history.add(Patch { number, block: number as usize });
        }
        let receive = |data: &[u8], patches| {
            let mut received = Received { at: 0, block: [0; BLOCK] };
            data.chunks(700).try_for_each(|part| received.take(&history, patches, part))?;
            received.end(&history, 3 * BLOCK + 40)
        };
        receive(&data, Some(0)).unwrap();
        // The second patch without the first.
        data[2 * BLOCK..3 * BLOCK].copy_from_slice(&Patch { number: 2, block: 2 }.bytes());
        for patches in 0..=2 {
            assert!(receive(&data, Some(patches)).is_err());
        }
        receive(&data, None).unwrap();
        data[BLOCK..2 * BLOCK].copy_from_slice(&Patch { number: 1, block: 1 }.bytes());
        receive(&data, Some(2)).unwrap();
        data.truncate(1200);
        assert!(receive(&data, Some(2)).is_err());
    }
}
