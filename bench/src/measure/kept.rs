//! What a server keeps, and the memory that it takes for it.

use anyhow::{Context, Result};

use super::Bench;
use crate::figures::{Figures, Metric};
use crate::server::Server;
use crate::speak::{Speak, Work};

/// Records that are made with one write.
const BATCH: u64 = 500;

/// Makes many records.
pub(super) fn records(bench: &Bench, server: &Server, speak: &dyn Speak, len: usize) -> Result<Figures> {
    let mut stream = server.connect()?;
    // What the first ones take once is not theirs.
    speak.fill(&mut stream, 0, BATCH, len)?;
    let before = server.settled_memory()?;
    let count = bench.scale.records;
    let mut made = 0;
    while made < count {
        let batch = BATCH.min(count - made);
        speak.fill(&mut stream, BATCH + made, batch, len)?;
        made += batch;
    }
    Ok(memory(before, server.settled_memory()?, count))
}

/// Makes many connections, each of which asks for something once.
pub(super) fn connections(bench: &Bench, server: &Server, speak: &dyn Speak, work: Work) -> Result<Figures> {
    let mut owner = server.connect()?;
    let mut exchange = speak.prepare(&mut owner, work, 1, 0)?.exchange;
    exchange.once(&mut owner)?;
    let before = server.settled_memory()?;
    let count = bench.scale.idle;
    let mut kept = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = server.connect().with_context(|| format!("connection {number}"))?;
        exchange.once(&mut stream)?;
        kept.push(stream);
    }
    Ok(memory(before, server.settled_memory()?, count as u64))
}

fn memory(before: u64, after: u64, count: u64) -> Figures {
    Figures::from([(Metric::Memory, after.saturating_sub(before) as f64 / count as f64)])
}
