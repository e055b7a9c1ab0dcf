//! The memory that a process has, beside what its server holds.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{fmt, fs, io, thread};

use super::ServerHandle;

/// How often the memory is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that a process may have beside what its server holds: the program, its threads, what the allocator keeps ready.
const SPARE: u64 = 8 << 20;

/// Looks after the end of a pass, before it is known what the pass has given.
const SETTLED: u32 = 3;

thread_local! {
    /// When this thread asked its allocator last.
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What a process has beside what its server holds, and what is done about it.
pub(super) struct Excess {
    /// Whether it is much.
    much: AtomicBool,
    /// Asks the allocator of the thread to give memory back.
    give_back: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// What was there beside what the server held, after the last pass.
    left: AtomicU64,
    /// Looks since the last pass.
    looks: AtomicU32,
}

impl Excess {
    pub(super) const fn new() -> Self {
        Self {
            much: AtomicBool::new(false),
            give_back: OnceLock::new(),
            left: AtomicU64::new(0),
            looks: AtomicU32::new(SETTLED),
        }
    }

    /// Takes note of how much memory is held, and how much there is beside that, while no pass is under way: whether one is to
    /// begin. None begins only because the last one has given little.
    pub(super) fn calls_for_pass(&self, held: u64, beside: u64) -> bool {
        let looks = self.looks.load(Relaxed).saturating_add(1);
        self.looks.store(looks, Relaxed);
        if looks < SETTLED {
            return false;
        }
        let left = self.left.load(Relaxed);
        if looks == SETTLED || beside < left {
            self.left.store(beside, Relaxed);
            return false;
        }
        let begins = beside > held / 4 + SPARE && beside > left + left / 4 + SPARE / 2;
        if begins {
            self.looks.store(0, Relaxed);
        }
        begins
    }

    /// Takes note of how much memory is held, and how much there is beside that: whether that is much.
    pub(super) fn note(&self, held: u64, beside: u64) -> bool {
        let much = beside > held / 16 + SPARE;
        self.much.store(much, Relaxed);
        much
    }

    /// Has the allocator of this thread give memory back where there is much, at most once in an interval. An allocator has a
    /// heap for each thread, which no other thread can look after.
    #[inline]
    pub(super) fn give_back(&self) {
        if self.much.load(Relaxed)
            && let Some(give_back) = self.give_back.get()
            && ASKED.get().is_none_or(|asked| asked.elapsed() >= INTERVAL)
        {
            ASKED.set(Some(Instant::now()));
            give_back();
        }
    }
}

impl fmt::Debug for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Excess").field("much", &self.much).field("left", &self.left).finish_non_exhaustive()
    }
}

impl ServerHandle {
    /// Watches the memory of the process from a thread of its own, as long as the process runs: each second it is [told to
    /// the server](Self::note_resident), and `give_back` is called, there and on threads that serve, while the process has much
    /// more than the server holds. What that does is the allocator's business; it may do nothing. Where the system does not
    /// tell how much memory a process has, nothing is watched. To be called once.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn watch_memory(&self, give_back: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        let server = self.clone();
        let excess = self.excess();
        _ = excess.give_back.set(Box::new(give_back));
        let watch = move || {
            while let Some(resident) = resident() {
                if server.note_resident(resident) {
                    server.excess().give_back();
                }
                thread::sleep(INTERVAL);
            }
        };
        thread::Builder::new().name("memory".to_owned()).spawn(watch).map(drop)
    }
}

/// Bytes of memory that the process has, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_what_the_process_has() {
        let before = resident().unwrap();
        let block = black_box(vec![1_u8; 64 << 20]);
        assert!(resident().unwrap() >= before + (60 << 20));
        drop(block);
    }

    #[test]
    fn a_pass_begins_where_much_is_free_and_the_next_one_only_when_there_is_more() {
        let excess = Excess::new();
        assert!(!excess.calls_for_pass(100 << 20, 30 << 20), "a third is not much");
        assert!(excess.calls_for_pass(100 << 20, 50 << 20));
        // Three looks later it is known what it has given, which was nothing.
        let looks = [(); 10].map(|()| excess.calls_for_pass(100 << 20, 50 << 20));
        assert_eq!(looks, [false; 10]);
        assert!(excess.calls_for_pass(100 << 20, 70 << 20));
        // This one has given much.
        let looks = [(); 5].map(|()| excess.calls_for_pass(100 << 20, 5 << 20));
        assert_eq!(looks, [false; 5]);
        assert!(excess.calls_for_pass(100 << 20, 50 << 20));
    }
}
