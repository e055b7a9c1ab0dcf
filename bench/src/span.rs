//! Spans of time on all clocks: the wall's, the load's CPU time, the server's.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cpu;
use crate::figures::{Figures, Metric};
use crate::server::Server;

/// A moment on all clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    time: Instant,
    own: Duration,
    server: Duration,
}

/// What has gone by between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Of time.
    pub(crate) length: Duration,
    /// Of this thread's CPU time.
    pub(crate) own: Duration,
    /// Of the server's CPU time.
    pub(crate) server: Duration,
}

impl Moment {
    /// Now.
    pub(crate) fn now(server: &Server) -> Result<Self> {
        Ok(Self { time: Instant::now(), own: cpu::of_this_thread()?, server: server.cpu()? })
    }

    /// What has gone by since; `None` as long as the server's clock has not moved on: it does so when the server stops
    /// running, and at each of the system's ticks.
    pub(crate) fn span(&self, server: &Server) -> Result<Option<Span>> {
        let now = Self::now(server)?;
        let span =
            Span { length: now.time - self.time, own: now.own - self.own, server: now.server - self.server };
        Ok((!span.server.is_zero()).then_some(span))
    }
}

impl Span {
    /// So many in this span are so many in a second.
    pub(crate) fn rate(&self, count: u64) -> f64 {
        count as f64 / self.length.as_secs_f64()
    }

    /// How many percent of a core the load was running.
    pub(crate) fn load_busy(&self) -> f64 {
        100.0 * self.own.as_secs_f64() / self.length.as_secs_f64()
    }

    /// Adds rate, CPU time and how busy both sides were, where so many operations were done.
    pub(crate) fn tell(&self, operations: u64, figures: &mut Figures) {
        let server = self.server.as_secs_f64();
        figures.insert(Metric::Rate, self.rate(operations));
        figures.insert(Metric::Cpu, server * 1e9 / operations as f64);
        figures.insert(Metric::ServerBusy, 100.0 * server / self.length.as_secs_f64());
        figures.insert(Metric::LoadBusy, self.load_busy());
    }
}
