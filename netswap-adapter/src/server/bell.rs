//! How a connection's task is called when another one's request, or time, has left mail for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use foldhash::fast::FixedState;
use netswap_core::engine::ConnectionId;

/// The bell of one connection.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    /// The task that is to be woken.
    pub(super) fn register(&self, waker: &Waker) {
        let mut registered = lock(&self.waker);
        if !registered.as_ref().is_some_and(|it| it.will_wake(waker)) {
            *registered = Some(waker.clone());
        }
    }

    /// Whether it has been rung since this was last asked.
    pub(super) fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed) && self.rung.swap(false, Ordering::Acquire)
    }

    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        if let Some(waker) = &*lock(&self.waker) {
            waker.wake_by_ref();
        }
    }
}

/// The bells of all connections. Their numbers are the server's own: nobody can choose them to collide.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<HashMap<ConnectionId, Arc<Bell>, FixedState>>);

impl Bells {
    /// A bell for a new connection.
    pub(super) fn hang(&self, id: ConnectionId) -> Arc<Bell> {
        let bell = Arc::<Bell>::default();
        lock(&self.0).insert(id, bell.clone());
        bell
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        lock(&self.0).remove(&id);
    }

    pub(super) fn ring_all(&self) {
        lock(&self.0).values().for_each(|bell| bell.ring());
    }

    pub(super) fn ring(&self, ids: &[ConnectionId]) {
        let bells = lock(&self.0);
        ids.iter().filter_map(|id| bells.get(id)).for_each(|bell| bell.ring());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_task_that_registered_last_is_woken() {
        let bells = Bells::default();
        let bell = bells.hang(ConnectionId(1));
        let tasks = [Arc::new(Woken::default()), Arc::new(Woken::default())];
        // Nobody has registered, and it has rung all the same.
        bells.ring(&[ConnectionId(1), ConnectionId(2)]);
        assert!(bell.has_rung() && !bell.has_rung());
        for (task, others) in [(0, 1), (0, 1), (1, 0), (0, 1)] {
            let before = tasks[others].0.load(Ordering::Relaxed);
            let woken = tasks[task].0.load(Ordering::Relaxed);
            bell.register(&Waker::from(tasks[task].clone()));
            bells.ring(&[ConnectionId(1)]);
            assert!(bell.has_rung());
            let woken_now = [task, others].map(|it| tasks[it].0.load(Ordering::Relaxed));
            assert_eq!(woken_now, [woken + 1, before]);
        }
        bells.remove(ConnectionId(1));
        bells.ring_all();
        assert!(!bell.has_rung());
    }
}
