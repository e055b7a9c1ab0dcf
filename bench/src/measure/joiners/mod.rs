//! A large record is patched while many download it, each at a steady pace.
//!
//! Three threads share the load's core: one reads for all joiners, one patches, one sends the PINGs of somebody else. What
//! is measured of the same joiners on a record that nobody patches is measured first, with a server of its own.

mod other;
mod readers;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use hdrhistogram::Histogram;

use super::Bench;
use crate::contenders::{Contender, Needs};
use crate::figures::{Figures, Metric};
use crate::patches::History;
use crate::server::Server;
use crate::span::Span;
use crate::speak::floor::Sizes;
use crate::speak::join::Join;

/// What goes before the first joiner and behind the last.
const MARGIN: Duration = Duration::from_millis(200);

/// What one run has measured.
struct Run {
    /// Nanoseconds from the sending of a tick to the reply of each of its patches.
    patches: Histogram<u64>,
    /// Nanoseconds from a PING of somebody else to its reply.
    pings: Histogram<u64>,
    /// From before the first joiner to behind the last.
    span: Span,
    /// Bytes in a second of the mean joiner.
    pace: f64,
    /// Bytes of the server's memory at its highest, above the empty server's and the record.
    above: u64,
    /// The same above what there was before the first joiner.
    grown: u64,
}

/// Measures a contender, with two servers.
pub(super) fn measure(bench: &Bench, contender: Contender) -> Result<Figures> {
    let join = contender.speaks().join().context("a part of a record cannot be written")?;
    let len = bench.scale.joiners.len;
    let needs = Needs { sizes: Sizes { request: 1, reply: 1, told: 0 }, threads: 1, largest: len };
    let run = |patched| {
        let mut measured = None;
        bench.with(contender, needs, |server| {
            measured = Some(run(bench, server, join, patched)?);
            Ok(Figures::new())
        })?;
        measured.context("nothing was measured")
    };
    let quiet = run(false)?;
    let patched = run(true)?;
    Ok(figures(bench.scale.joiners.count, &quiet, &patched))
}

fn figures(joiners: usize, quiet: &Run, patched: &Run) -> Figures {
    let at = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    let max = |histogram: &Histogram<u64>| histogram.max() as f64 / 1000.0;
    let cpu = |run: &Run| run.span.server.as_secs_f64() * 1000.0 / joiners as f64;
    Figures::from([
        (Metric::Above, patched.above as f64 / 1e6),
        (Metric::Grown, patched.grown as f64 / 1e6),
        (Metric::PatchP50, at(&patched.patches, 0.5)),
        (Metric::PatchP99, at(&patched.patches, 0.99)),
        (Metric::PatchMax, max(&patched.patches)),
        (Metric::PingP99, at(&patched.pings, 0.99)),
        (Metric::PingMax, max(&patched.pings)),
        (Metric::QuietP99, at(&quiet.pings, 0.99)),
        (Metric::QuietMax, max(&quiet.pings)),
        (Metric::JoinerCpu, cpu(patched)),
        (Metric::JoinerRatio, cpu(patched) / cpu(quiet)),
        (Metric::Download, patched.pace / 1e6),
        (Metric::ServerBusy, 100.0 * patched.span.server.as_secs_f64() / patched.span.length.as_secs_f64()),
        (Metric::LoadBusy, patched.span.load_busy()),
    ])
}

fn run(bench: &Bench, server: &Server, join: &dyn Join, patched: bool) -> Result<Run> {
    let empty = server.settled_memory()?;
    let plan = bench.scale.joiners;
    let history = History::new(plan.len);
    let mut owner = server.connect()?;
    let record = join.make(&mut owner, &history.first_state())?;
    let before = server.settled_memory()?;
    server.reset_peak_memory()?;

    let over = AtomicBool::new(false);
    let (history, over) = (&history, &over);
    let (patches, pings, read) = thread::scope(|scope| {
        let writer = scope.spawn(move || match patched {
            true => writer::run(&mut owner, join, record, history, over),
            false => Ok(crate::load::histogram()?),
        });
        let other = scope.spawn(move || other::run(server, join, over));
        thread::sleep(MARGIN);
        let read = readers::run(server, join, record, history, plan);
        thread::sleep(MARGIN);
        over.store(true, Ordering::Relaxed);
        let panicked = |_| anyhow!("a part of the load has panicked");
        anyhow::Ok((writer.join().map_err(panicked)??, other.join().map_err(panicked)??, read?))
    })?;
    let peak = server.peak_memory()?;
    Ok(Run {
        patches,
        pings,
        span: read.span,
        pace: read.pace,
        above: peak.saturating_sub(empty + plan.len as u64),
        grown: peak.saturating_sub(before),
    })
}
