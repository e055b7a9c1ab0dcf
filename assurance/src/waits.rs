//! How long another client waits: a PING each 4 ms, from an address of its own.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use netswap_core::wire::Request;

use crate::raw::{Raw, packets};

/// From one PING to the next.
const EACH: Duration = Duration::from_millis(4);

/// PINGs that do not count.
const WARM_UP: usize = 20;

/// How long a PING may take at all. What takes longer is as bad as no reply.
const LONGEST: Duration = Duration::from_secs(120);

/// Where the other client is: no test uses this address for something else.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));

/// How long PINGs took.
#[derive(Clone, Debug)]
pub struct Waits {
    sorted: Vec<Duration>,
}

impl Waits {
    /// The round trip that `permille` of 1000 PINGs did not exceed.
    #[must_use]
    pub fn permille(&self, permille: usize) -> Duration {
        self.sorted[(self.sorted.len() - 1) * permille / 1000]
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.permille(1000)
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_ms = |permille| self.permille(permille).as_secs_f64() * 1000.0;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.1} ms", in_ms(500), in_ms(990), in_ms(1000))
    }
}

/// Another client, which has a thread of its own.
#[derive(Debug)]
pub struct Other {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Other {
    /// Connects, and returns when some PINGs have been answered.
    ///
    /// # Panics
    ///
    /// They have not.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        let mut raw = Raw::connect(ADDRESS, server).unwrap();
        raw.0.set_read_timeout(Some(LONGEST)).unwrap();
        raw.0.set_write_timeout(Some(LONGEST)).unwrap();
        for _ in 0..WARM_UP {
            ping(&mut raw);
        }
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        let thread = thread::spawn(move || {
            let (mut waits, mut next) = (Vec::new(), Instant::now());
            while !is_over.load(Ordering::Relaxed) || waits.is_empty() {
                thread::sleep(next.saturating_duration_since(Instant::now()));
                let mut took = ping(&mut raw);
                waits.push(took);
                // Those that could not be sent meanwhile would have waited too.
                while took > 2 * EACH {
                    took -= EACH;
                    waits.push(took);
                }
                next = (next + EACH).max(Instant::now());
            }
            waits
        });
        Self { over, thread }
    }

    /// Waits for the last PING.
    ///
    /// # Panics
    ///
    /// A PING was not answered, or not with what it sent.
    #[must_use]
    pub fn stop(self) -> Waits {
        self.over.store(true, Ordering::Relaxed);
        let mut sorted = self.thread.join().expect("all PINGs are answered");
        sorted.sort_unstable();
        Waits { sorted }
    }
}

/// How long a PING takes.
fn ping(raw: &mut Raw) -> Duration {
    use std::io::Write;
    let request = packets(1, Request::Ping { data: b"still there?".to_vec() });
    let start = Instant::now();
    raw.0.write_all(&request).unwrap();
    let answer = raw.answer().unwrap();
    let took = start.elapsed();
    assert_eq!((answer.code, &answer.payload[..]), (0, &b"still there?"[..]));
    took
}
