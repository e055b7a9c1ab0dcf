//! The memory that a process has beside what its server holds, and what is to be done about it.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::resident::resident;

/// How often the memory is looked at where nothing calls for a look.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that a process may have beside what its server holds: the program, its threads, what the allocator keeps ready.
const SPARE: u64 = 8 << 20;

/// Bytes that are not worth asking for.
const LITTLE: u64 = 1 << 20;

/// Looks at a server that does nothing until its threads have given back what they will.
const QUIET: u32 = 20;

/// Bytes that are allocated or freed between two looks of serving threads.
const LOOK: usize = 2 << 20;

/// Looks after the end of a pass, before it is known what the pass has given.
const SETTLED: u32 = 3;

thread_local! {
    /// When this thread asked its allocator last.
    static ASKED: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The memory of a process at one moment, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// What the system says that the process has.
    pub(super) resident: u64,
    /// What its server holds.
    pub(super) held: u64,
    /// What its server would hold now if its total were used up.
    pub(super) most: u64,
    /// See [`Budget::turnover`](netswap_core::memory::Budget::turnover).
    pub(super) turnover: usize,
}

/// What a process has beside what its server holds, and what is done about it.
pub(super) struct Excess {
    /// Whether it is much.
    much: AtomicBool,
    /// Whether that was not [taken](Self::take_much) yet.
    is_news: AtomicBool,
    /// Asks the allocator of the thread to give memory back.
    give_back: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// What was there beside what the server held, after the last pass.
    left: AtomicU64,
    /// Looks since the last pass.
    looks: AtomicU32,
    /// Whether a pass is under way.
    is_passing: AtomicBool,
    /// The turnover at the end of the last pass.
    passed_at: AtomicUsize,
    /// The turnover at the last look of a serving thread.
    looked_at: AtomicUsize,
    /// The turnover when all connections were called last.
    called_at: AtomicUsize,
    /// What was allocated and held at the last look of the interval.
    noted: AtomicUsize,
    /// Looks since that changed.
    quiet_looks: AtomicU32,
    /// Bytes of a connection that has little to do.
    of_connection: AtomicU64,
    /// Bytes that the process had when it began to be watched.
    at_first: AtomicU64,
}

impl Memory {
    fn beside(&self) -> u64 {
        self.resident.saturating_sub(self.held)
    }
}

impl Excess {
    pub(super) const fn new() -> Self {
        Self {
            much: AtomicBool::new(false),
            is_news: AtomicBool::new(false),
            give_back: OnceLock::new(),
            left: AtomicU64::new(0),
            looks: AtomicU32::new(SETTLED),
            is_passing: AtomicBool::new(false),
            passed_at: AtomicUsize::new(0),
            looked_at: AtomicUsize::new(0),
            called_at: AtomicUsize::new(0),
            noted: AtomicUsize::new(0),
            quiet_looks: AtomicU32::new(0),
            of_connection: AtomicU64::new(4096),
            at_first: AtomicU64::new(0),
        }
    }

    /// Bytes of a connection that has little to do.
    pub(super) fn of_connection(&self) -> u64 {
        self.of_connection.load(Relaxed)
    }

    pub(super) fn set_of_connection(&self, bytes: u64) {
        self.of_connection.store(bytes, Relaxed);
    }

    /// Says how the allocator of a thread is asked to give memory back: from now on memory is watched.
    pub(super) fn watch(&self, give_back: Box<dyn Fn() + Send + Sync>) {
        self.at_first.store(resident().unwrap_or_default(), Relaxed);
        // The first time counts.
        _ = self.give_back.set(give_back);
    }

    /// Whether a pass is to begin, by a look that is taken once in an interval while none is under way. None begins only
    /// because the last one has given little.
    pub(super) fn calls_for_pass(&self, memory: &Memory) -> bool {
        let looks = self.looks.load(Relaxed).saturating_add(1);
        self.looks.store(looks, Relaxed);
        if looks < SETTLED {
            return false;
        }
        let (beside, left) = (memory.beside(), self.left.load(Relaxed));
        if looks == SETTLED || beside < left {
            self.left.store(beside, Relaxed);
            return false;
        }
        beside > memory.held / 4 + SPARE && beside > left + left / 4 + SPARE / 2
    }

    /// Whether a pass is to begin at once: the process has more than the server may hold at most, and enough was allocated
    /// or freed since the last pass to have left holes. What is free in the allocator is taken for new data before the
    /// process grows, so that it need not shrink to be out of danger.
    pub(super) fn presses(&self, memory: &Memory) -> bool {
        let turned = memory.turnover.wrapping_sub(self.passed_at.load(Relaxed)) as u64;
        memory.resident > memory.most + SPARE && turned > memory.held / 8 + SPARE / 2
    }

    pub(super) fn begin_pass(&self) {
        self.looks.store(0, Relaxed);
        self.is_passing.store(true, Relaxed);
    }

    pub(super) fn end_pass(&self, turnover: usize) {
        self.passed_at.store(turnover, Relaxed);
        self.is_passing.store(false, Relaxed);
    }

    /// Whether a pass is under way.
    #[inline]
    pub(super) fn is_passing(&self) -> bool {
        self.is_passing.load(Relaxed)
    }

    /// Whether so much was allocated or freed since the last look that it is time for another.
    #[inline]
    pub(super) fn is_look_due(&self, turnover: usize) -> bool {
        turnover.wrapping_sub(self.looked_at.load(Relaxed)) > LOOK
    }

    /// Takes a look, where memory is [watched](super::ServerHandle::watch_memory) and no other thread was faster.
    pub(super) fn look(&self, turnover: usize) -> Option<u64> {
        let last = self.looked_at.swap(turnover, Relaxed);
        let is_first = turnover.wrapping_sub(last) > LOOK;
        (is_first && self.give_back.get().is_some()).then(resident).flatten()
    }

    /// Takes note of how much memory there is beside what is held: whether that is much, and what threads give back may
    /// change it. After some looks at a server that does nothing it does not.
    pub(super) fn note(&self, memory: &Memory) -> bool {
        // The turnover alone does not change with what counts and is no data.
        let state = memory.turnover.wrapping_add(2 * memory.held as usize);
        let is_quiet = self.noted.swap(state, Relaxed) == state;
        let looks = if is_quiet { self.quiet_looks.load(Relaxed).saturating_add(1) } else { 0 };
        self.quiet_looks.store(looks, Relaxed);
        let little = self.at_first.load(Relaxed) + LITTLE;
        let much = looks < QUIET && memory.beside() > memory.held / 16 + little;
        self.much.store(much, Relaxed);
        self.is_news.store(much, Relaxed);
        much
    }

    /// Whether a look has found much since this was called last.
    pub(super) fn take_much(&self) -> bool {
        self.is_news.load(Relaxed) && self.is_news.swap(false, Relaxed)
    }

    /// Whether all connections are to be called, so that the threads of idle ones give memory back too: once after much was
    /// allocated or freed.
    pub(super) fn calls_for_all(&self, memory: &Memory) -> bool {
        let turned = memory.turnover.wrapping_sub(self.called_at.load(Relaxed)) as u64;
        let calls = turned > memory.held / 8 + SPARE;
        if calls {
            self.called_at.store(memory.turnover, Relaxed);
        }
        calls
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn beside(beside: u64) -> Memory {
        Memory { resident: 100 * MIB + beside, held: 100 * MIB, most: 1 << 40, turnover: 0 }
    }

    #[test]
    fn a_pass_begins_where_much_is_free_and_the_next_one_only_when_there_is_more() {
        let excess = Excess::new();
        let begins = |bytes: u64| {
            let begins = excess.calls_for_pass(&beside(bytes));
            if begins {
                excess.begin_pass();
            }
            begins
        };
        assert!(!begins(30 * MIB), "a third is not much");
        assert!(begins(50 * MIB));
        // Three looks later it is known what it has given, which was nothing.
        assert_eq!([(); 10].map(|()| begins(50 * MIB)), [false; 10]);
        assert!(begins(70 * MIB));
        // This one has given much.
        assert_eq!([(); 5].map(|()| begins(5 * MIB)), [false; 5]);
        assert!(begins(50 * MIB));
    }

    #[test]
    fn a_pass_begins_at_once_where_there_is_more_than_the_server_may_hold() {
        let excess = Excess::new();
        let memory = |resident, turnover| Memory { resident, held: 10 * MIB, most: 64 * MIB, turnover };
        let (much, spare) = (usize::MAX / 2, 64 * MIB + SPARE);
        assert!(!excess.presses(&memory(spare, much)) && excess.presses(&memory(spare + 1, much)));
        excess.begin_pass();
        excess.end_pass(much);
        assert!(!excess.is_passing());
        // What the pass has seen is no reason for another.
        let enough = (10 * MIB / 8 + SPARE / 2) as usize;
        assert!(!excess.presses(&memory(spare + 1, much + enough)));
        assert!(excess.presses(&memory(spare + 1, much + enough + 1)));
    }

    #[test]
    fn threads_give_back_until_the_server_has_done_nothing_for_some_looks() {
        let excess = Excess::new();
        let memory =
            |beside, turnover| Memory { resident: 16 * MIB + beside, held: 16 * MIB, most: 0, turnover };
        assert!(!excess.note(&memory(2 * MIB, 1)) && !excess.take_much());
        assert!(excess.note(&memory(2 * MIB + 1, 2)));
        assert_eq!([excess.take_much(), excess.take_much()], [true, false]);
        let looks = (0..30).take_while(|_| excess.note(&memory(3 * MIB, 2))).count();
        assert_eq!(looks, 19);
        assert!(excess.note(&memory(3 * MIB, 3)));
        // A record that goes, and nothing else, is something too.
        let looks = (0..30).take_while(|_| excess.note(&memory(3 * MIB, 3))).count();
        let less = Memory { held: 15 * MIB, ..memory(3 * MIB, 3 + (1 << 20)) };
        assert!(looks == 19 && excess.note(&less));
    }

    #[test]
    fn threads_look_again_when_enough_was_allocated() {
        let excess = Excess::new();
        assert!(!excess.is_look_due(LOOK) && excess.is_look_due(LOOK + 1));
        assert_eq!(excess.look(LOOK + 1), None, "nothing is watched");
        _ = excess.give_back.set(Box::new(|| {}));
        assert_eq!(excess.look(LOOK + 1), None, "another thread has looked");
        assert_eq!(excess.look(2 * LOOK + 2).is_some(), cfg!(target_os = "linux"));
        assert!(!excess.is_look_due(2 * LOOK + 2));
    }
}
