//! The memory of the process, as the server that has most of it looks after it.

use std::{io, thread};

use netswap_core::store::Store;

use super::ServerHandle;
use super::excess::{INTERVAL, Memory};
use super::resident::resident;
use super::shared::Shared;

/// Input that pays for a pass over all data, while one is under way. A call of one small request does not.
const PAYS: usize = 1024;

/// Bytes of input that pay for a portion of the pass.
const PAYS_A_PORTION: usize = 16 << 10;

/// The most portions at a time: some 400 µs.
const PORTIONS: usize = 4;

impl Shared {
    /// See [`ServerHandle::note_resident`](super::ServerHandle::note_resident).
    pub(super) fn note_resident(&self, resident: u64) -> bool {
        let mut store = self.store();
        let memory = self.memory(&store, resident);
        if !store.is_compacting() && self.excess().calls_for_pass(&memory) {
            self.begin_pass(&mut store);
        }
        drop(store);
        let much = self.excess().note(&memory);
        if much && self.excess().calls_for_all(&memory) {
            // Threads give back what their heaps keep when they have a turn.
            self.bells().ring_all();
        }
        much
    }

    /// Says how many bytes a connection of this runtime takes that has little to do, a thread of its own perhaps included: 4
    /// KiB unless it is said.
    pub fn set_memory_of_connection(&self, bytes: u64) {
        self.excess().set_of_connection(bytes);
    }

    /// Whether the process was found to have much memory that the server does not hold, so that every thread that serves is to
    /// [give some back](Self::give_back). It is said once for each look, which is one a second.
    pub fn take_excess(&self) -> bool {
        self.excess().take_much()
    }

    /// Has the allocator of this thread give memory back, where the process has much of it; at most once a second.
    pub fn give_back(&self) {
        self.excess().give_back();
    }

    /// Has a look at the memory of the process where much was allocated or freed since the last one, and has what came in
    /// pay for a pass that is under way: called after a connection has handled `read` bytes of input.
    #[inline]
    pub(super) fn look_after_memory(&self, read: usize) {
        if self.excess().is_look_due(self.budget().turnover()) {
            self.look();
        }
        if self.excess().is_passing() && read >= PAYS {
            self.pay(read);
        }
    }

    #[cold]
    fn look(&self) {
        let Some(resident) = self.excess().look(self.budget().turnover()) else { return };
        let mut store = self.store();
        if !store.is_compacting() && self.excess().presses(&self.memory(&store, resident)) {
            self.begin_pass(&mut store);
        }
    }

    #[cold]
    fn pay(&self, read: usize) {
        for _ in 0..read.div_ceil(PAYS_A_PORTION).min(PORTIONS) {
            let mut store = self.store();
            store.compact();
            self.note_end_of_pass(&store);
        }
    }

    fn begin_pass(&self, store: &mut Store) {
        store.begin_compaction();
        self.excess().begin_pass();
    }

    pub(super) fn note_end_of_pass(&self, store: &Store) {
        if self.excess().is_passing() && !store.is_compacting() {
            self.excess().end_pass(self.budget().turnover());
        }
    }

    fn memory(&self, store: &Store, resident: u64) -> Memory {
        let limits = &self.config().limits;
        let beside =
            limits.places_held(self.budget().places()) + store.connections() * self.excess().of_connection();
        let held = self.budget().used() + beside;
        Memory { resident, held, most: limits.total + beside, turnover: self.budget().turnover() }
    }
}

impl ServerHandle {
    /// Watches the memory of the process, where nothing else in the process has much: from a thread of its own, as long as
    /// the process runs, and from threads that serve while they allocate or free much. Each second it is [told to the
    /// server](Self::note_resident), and `give_back` is called, there and on threads that serve, while the process has much
    /// more than the server holds. What that does is the allocator's business; it may do nothing. Where the system does not
    /// tell how much memory a process has, nothing is watched. To be called once.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn watch_memory(&self, give_back: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        let server = self.clone();
        self.excess().watch(Box::new(give_back));
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
