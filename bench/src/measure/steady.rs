//! The same work on many connections, as fast as it goes.

use std::thread;

use anyhow::{Context, Result, anyhow};

use super::{Bench, latencies};
use crate::cpu;
use crate::figures::{Figures, Metric};
use crate::load::{self, Link, Tally, Timetable};
use crate::server::Server;
use crate::speak::{Exchange, Speak, Work};

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) work: Work,
    /// Connections of each load.
    pub(super) connections: usize,
    pub(super) depth: usize,
    /// Loads, each in a thread on a core of its own.
    pub(super) threads: usize,
}

pub(super) fn measure(bench: &Bench, server: &Server, speak: &dyn Speak, plan: Plan) -> Result<Figures> {
    let mut loads = Vec::new();
    let mut checks = Vec::new();
    for load in 0..plan.threads {
        let mut links = Vec::new();
        for number in 0..plan.connections {
            let mut stream = server.connect()?;
            let index = load * plan.connections + number;
            let prepared = speak.prepare(&mut stream, plan.work, plan.depth, index)?;
            links.push(Link::new(stream, prepared.exchange)?);
            checks.push(prepared.afterwards);
        }
        loads.push(links);
    }

    let times = Timetable::new(bench.scale.warm_up, bench.scale.length);
    let mut tallies: Vec<Tally> = Vec::new();
    thread::scope(|scope| {
        let running: Vec<_> = loads
            .iter_mut()
            .enumerate()
            .map(|(number, links)| {
                scope.spawn(move || {
                    cpu::pin(bench.cores.of_load(number))?;
                    load::run(links, times, server)
                })
            })
            .collect();
        for load in running {
            tallies.push(load.join().map_err(|_| anyhow!("a load has panicked"))??);
        }
        anyhow::Ok(())
    })?;
    check(loads.into_iter().flatten(), checks)?;
    figures(&tallies)
}

/// Sees that what was written is there.
fn check(links: impl Iterator<Item = Link>, checks: Vec<Option<Exchange>>) -> Result<()> {
    for (link, check) in links.zip(checks) {
        if let Some(mut check) = check {
            check.once(&mut link.into_stream()?).context("what was written is not what is read")?;
        }
    }
    Ok(())
}

fn figures(tallies: &[Tally]) -> Result<Figures> {
    let first = tallies.first().context("there was no load")?;
    let operations: u64 = tallies.iter().map(|tally| tally.operations).sum();
    let mut latency = load::histogram()?;
    for tally in tallies {
        latency.add(&tally.latency)?;
    }
    let mut figures = Figures::from(latencies(&latency));
    first.span.tell(operations, &mut figures);
    // Every load by its own clock.
    figures.insert(Metric::Rate, tallies.iter().map(|tally| tally.span.rate(tally.operations)).sum());
    figures.insert(Metric::LoadBusy, tallies.iter().map(|tally| tally.span.load_busy()).fold(0.0, f64::max));
    Ok(figures)
}
