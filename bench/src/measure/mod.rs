//! The measurements: one contender, one case, one round.

mod beside_download;
mod connects;
mod fan_out;
mod joiners;
mod kept;
mod steady;

use anyhow::Result;
use hdrhistogram::Histogram;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};

use crate::cases::{Case, Kind, Scale};
use crate::contenders::{Contender, Needs, Programs};
use crate::figures::{Figures, Metric};
use crate::server::Server;
use crate::speak::Work;
use crate::speak::floor::Sizes;

/// Who runs where.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    /// The server's cores, the first ones of which it gets.
    pub(crate) server: Vec<usize>,
    /// The loads', one each.
    pub(crate) load: Vec<usize>,
}

impl Cores {
    /// The server's for so many threads.
    fn of_server(&self, threads: usize) -> &[usize] {
        &self.server[..threads.min(self.server.len())]
    }

    /// The core of a load. Where there are more loads than cores, they share.
    fn of_load(&self, number: usize) -> &[usize] {
        &self.load[number % self.load.len()..][..1]
    }
}

/// What all measurements need.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// Where the programs are.
    pub(crate) programs: Programs,
    /// Who runs where.
    pub(crate) cores: Cores,
    /// How long and how large everything is.
    pub(crate) scale: Scale,
}

impl Bench {
    /// Measures a contender in a case, with a server of its own.
    pub(crate) fn measure(&self, case: &Case, contender: Contender) -> Result<Figures> {
        let speak = contender.speaks();
        match case.kind {
            Kind::Steady { work, connections, depth, threads } => {
                let largest = match work {
                    Work::Read { len } | Work::Write { len } | Work::Patch { len, .. } => len,
                    Work::Beside { large, .. } => large,
                };
                let needs = Needs { sizes: Sizes::of(work), threads, largest };
                self.with(contender, needs, |server| {
                    steady::measure(self, server, speak, steady::Plan { work, connections, depth, threads })
                })
            }
            Kind::BesideDownload { small } => {
                let work = Work::Beside { small, large: self.scale.download };
                let needs = Needs { sizes: Sizes::of(work), threads: 1, largest: self.scale.download };
                self.with(contender, needs, |server| beside_download::measure(self, server, speak, work))
            }
            Kind::FanOut { len } => {
                let needs = Needs { sizes: Sizes::of_change(len), threads: 1, largest: len };
                self.with(contender, needs, |server| fan_out::measure(self, server, speak, len))
            }
            Kind::Joiners => joiners::measure(self, contender),
            Kind::Records { len } => {
                let needs = Needs { sizes: Sizes::of(Work::Write { len }), threads: 1, largest: len };
                self.with(contender, needs, |server| kept::records(self, server, speak, len))
            }
            Kind::Idle | Kind::Connects { .. } => {
                let work = Work::Read { len: 64 };
                let needs = Needs { sizes: Sizes::of(work), threads: 1, largest: 64 };
                self.with(contender, needs, |server| match case.kind {
                    Kind::Connects { at_once } => connects::measure(self, server, speak, work, at_once),
                    _ => kept::connections(self, server, speak, work),
                })
            }
        }
    }

    /// Does something with a server. What the server has said is part of an error.
    fn with(
        &self,
        contender: Contender,
        needs: Needs,
        act: impl FnOnce(&Server) -> Result<Figures>,
    ) -> Result<Figures> {
        let cores = self.cores.of_server(needs.threads);
        let mut server = Server::start(contender, &self.programs, needs, cores, self.cores.of_load(0))?;
        act(&server).map_err(|error| error.context(format!("the server: {}", server.said())))
    }
}

/// The times in a histogram of nanoseconds.
fn latencies(latency: &Histogram<u64>) -> [(Metric, f64); 3] {
    let at = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
    [(Metric::P50, at(0.5)), (Metric::P99, at(0.99)), (Metric::P999, at(0.999))]
}

/// Waits for events, for at most a tenth of a second. Returns how many there are.
fn wait(epoll: &Epoll, events: &mut [EpollEvent]) -> Result<usize> {
    match epoll.wait(events, EpollTimeout::from(100u8)) {
        Err(Errno::EINTR) => Ok(0),
        count => Ok(count?),
    }
}
