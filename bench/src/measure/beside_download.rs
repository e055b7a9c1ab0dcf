//! Small reads on a connection on which a download is under way at all times.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Bench, latencies};
use crate::figures::{Figures, Metric};
use crate::load::{self, Timetable};
use crate::server::Server;
use crate::span::Moment;
use crate::speak::{Speak, Work};

/// The slot of the small read; that of the download is the other.
const SMALL: usize = 0;
const LARGE: usize = 1;

/// How many small reads there must be, however long they take, and downloads.
const AT_LEAST: u64 = 3;

/// How long that may take at most.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &Bench, server: &Server, speak: &dyn Speak, work: Work) -> Result<Figures> {
    let Work::Beside { large, .. } = work else { anyhow::bail!("there is no download in {work:?}") };
    let mut stream = server.connect()?;
    let mut exchange = speak.prepare(&mut stream, work, 1, 0)?.exchange;
    let mut buffer = vec![0; 256 * 1024];
    let mut done = Vec::new();
    let mut latency = load::histogram()?;
    let mut downloads = 0;
    let mut asked_at = Instant::now();
    // The download goes first: the small read that follows has it before itself.
    done.extend([LARGE, SMALL]);
    let times = Timetable::new(Duration::ZERO, bench.scale.length);
    let from = Moment::now(server)?;
    let span = loop {
        if Instant::now() >= times.to
            && latency.len() >= AT_LEAST
            && downloads >= AT_LEAST
            && let Some(span) = from.span(server)?
        {
            break span;
        }
        ensure!(times.from.elapsed() < PATIENCE, "too slow to be measured");
        for slot in done.drain(..) {
            exchange.replies.expect(slot);
            stream.write_all(&exchange.requests[slot]).context("cannot send")?;
            if slot == SMALL {
                asked_at = Instant::now();
            }
        }
        let count = stream.read(&mut buffer).context("no reply")?;
        ensure!(count > 0, "the server has closed the connection");
        exchange.replies.take(&buffer[..count], &mut done)?;
        // Of both at once, the small read is asked for behind the download again.
        done.sort_unstable_by(|a, b| b.cmp(a));
        for slot in &done {
            match *slot {
                SMALL => latency.saturating_record(asked_at.elapsed().as_nanos() as u64),
                _ => downloads += 1,
            }
        }
    };
    let mut figures = Figures::from(latencies(&latency));
    span.tell(latency.len(), &mut figures);
    // Nearly all of it goes to the download.
    figures.remove(&Metric::Cpu);
    figures.insert(Metric::Download, span.rate(downloads) * large as f64 / 1e6);
    Ok(figures)
}
