//! The one that patches: a tick of patches at a time, in one write.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use crate::load;
use crate::patches::{History, Patch};
use crate::speak::join::Join;
use crate::speak::script::excerpt;

/// From one tick to the next.
const TICK: Duration = Duration::from_millis(100);

/// Patches of a tick.
const PATCHES: u64 = 16;

/// Patches until it is over. Returns how long each patch took, from the sending of its tick to its reply.
pub(super) fn run(
    stream: &mut TcpStream,
    join: &dyn Join,
    record: u64,
    history: &History,
    over: &AtomicBool,
) -> Result<Histogram<u64>> {
    let len = history.first_state().len();
    let mut random = fastrand::Rng::with_seed(15);
    let mut latency = load::histogram()?;
    let (mut number, mut next) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for _ in 0..PATCHES {
            number += 1;
            let patch = Patch { number, block: random.usize(..history.blocks()) };
            history.add(patch);
            let (request, reply) = join.patch(record, patch, len);
            requests.extend(request);
            replies.push(reply);
        }
        let start = Instant::now();
        stream.write_all(&requests).context("cannot send patches")?;
        for expected in replies {
            let mut reply = vec![0; expected.len()];
            stream.read_exact(&mut reply).context("no reply to a patch")?;
            latency.record(start.elapsed().as_nanos() as u64)?;
            ensure!(
                reply == expected,
                "a patch has the reply {} and not {}",
                excerpt(&reply),
                excerpt(&expected)
            );
        }
        next = (next + TICK).max(Instant::now());
    }
    Ok(latency)
}
