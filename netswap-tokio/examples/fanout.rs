//! How fast one small change reaches many watchers: a server, a writer and as many clients as are asked for, each with a
//! watch on one record, in one process over loopback. A change is written when the last watcher has got the one before.
//! Prints changes per second, and how long they took from the write to the last watcher.
//!
//! ```text
//! cargo run --release -p netswap-tokio --example fanout -- 1000 32 2000
//! ```
//!
//! The arguments are watchers, bytes of a change, and changes. Each watcher takes two file descriptors.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use netswap_tokio::{Access, Change, Client, Error, Limits, Server, ServerOptions, Version, Watch};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of the record.
const RECORD: usize = 64 * 1024;

struct Fanout {
    watchers: usize,
    bytes: usize,
    changes: usize,
}

fn main() -> Result<(), Failure> {
    let fanout = arguments().ok_or("usage: fanout [WATCHERS [BYTES [CHANGES]]]; see the source")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // In a task of its own, that is woken without a thread to be.
    runtime.block_on(runtime.spawn(run(fanout)))?
}

fn arguments() -> Option<Fanout> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Some(default), |text| text.parse().ok());
    let fanout = Fanout { watchers: number(1000)?, bytes: number(32)?, changes: number(2000)? };
    let possible = fanout.watchers > 0 && fanout.changes > 0 && fanout.bytes <= RECORD;
    arguments.next().is_none().then_some(fanout).filter(|_| possible)
}

async fn run(fanout: Fanout) -> Result<(), Failure> {
    let server = Server::bind(ServerOptions::new("127.0.0.1:0").limits(Limits::new(1 << 30))).await?;
    let address: Arc<str> = server.local_address().to_string().into();
    tokio::spawn(server.run());
    let writer = Client::connect(&*address).await?;
    let pointer = writer.create(vec![0; RECORD], Access::READ).await?;

    let waiting = Arc::new(AtomicUsize::new(0));
    let (last, mut lasts) = mpsc::unbounded_channel();
    let mut watchers = JoinSet::new();
    for _ in 0..fanout.watchers {
        let mut watch = Client::connect(&*address).await?.watch_data(pointer).await?;
        // The record as it is.
        next(&mut watch).await?;
        let (waiting, last) = (waiting.clone(), last.clone());
        watchers.spawn(async move {
            while let Ok(version) = next(&mut watch).await {
                if waiting.fetch_sub(1, Relaxed) == 1 {
                    let _ = last.send((version, Instant::now()));
                }
            }
        });
    }

    let mut times = Vec::with_capacity(fanout.changes);
    let start = Instant::now();
    for change in 0..fanout.changes {
        let offset = change * fanout.bytes % (RECORD - fanout.bytes + 1);
        waiting.store(fanout.watchers, Relaxed);
        let begin = Instant::now();
        let version = writer.write_range(pointer, offset as u32, vec![change as u8; fanout.bytes]).await?;
        let (got, at) = lasts.recv().await.ok_or("the watchers have ended")?;
        if got != version {
            return Err(format!("version {got} arrived in the place of {version}").into());
        }
        times.push(at - begin);
    }
    report(&fanout, start.elapsed(), times);
    Ok(())
}

/// The version of the next range.
async fn next(watch: &mut Watch) -> Result<Version, Error> {
    match watch.next().await.unwrap_or(Err(Error::Closed))? {
        Change::Changed { version, .. } | Change::RangeChanged { version, .. } => Ok(version),
        _ => Err(Error::Closed),
    }
}

fn report(fanout: &Fanout, total: Duration, mut times: Vec<Duration>) {
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let rate = fanout.changes as f64 / total.as_secs_f64();
    println!(
        "{rate:.0} changes/s of {} bytes to {} watchers ({:.0} notifications/s)",
        fanout.bytes,
        fanout.watchers,
        rate * fanout.watchers as f64
    );
    println!(
        "from the write to the last watcher: median {:.2} ms, 99 % within {:.2} ms, longest {:.2} ms",
        percentile(50),
        percentile(99),
        percentile(100)
    );
}
