//! Somebody else, who sends a PING now and then and waits for its reply.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use crate::load;
use crate::server::Server;
use crate::speak::join::Join;

/// From one PING to the next.
const EACH: Duration = Duration::from_millis(4);

/// PINGs that do not count.
const WARM_UP: usize = 20;

/// Sends PINGs until it is over. Where a reply takes longer than to the time of the next PING, those that could not be sent
/// count too, as if they had been.
pub(super) fn run(server: &Server, join: &dyn Join, over: &AtomicBool) -> Result<Histogram<u64>> {
    let mut stream = server.connect_from(Ipv4Addr::new(127, 0, 0, 9))?;
    let (ping, expected) = join.ping();
    let mut reply = vec![0; expected.len()];
    let mut waits = load::histogram()?;
    let mut next = Instant::now();
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) || sent <= WARM_UP {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let start = Instant::now();
        stream.write_all(&ping).context("cannot send a PING")?;
        stream.read_exact(&mut reply).context("no reply to a PING")?;
        let took = start.elapsed();
        ensure!(reply == expected, "a PING has a wrong reply");
        sent += 1;
        if sent > WARM_UP {
            waits.record_correct(took.as_nanos() as u64, EACH.as_nanos() as u64)?;
        }
        next = (next + EACH).max(Instant::now());
    }
    Ok(waits)
}
