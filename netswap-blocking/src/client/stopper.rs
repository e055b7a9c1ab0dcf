//! Ends what another thread waits for.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Ends a [`Watch`](super::Watch) or a [`Mirror`](super::Mirror) from another thread than the one that waits for it.
/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    waker: Option<Waker>,
}

impl Stopper {
    /// Nothing more is told, whatever has happened: who waits is told that this was the end, now and in future.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What a future gives, or `None` when it is stopped before.
    pub(super) async fn unless_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let mut state = self.lock();
            if state.stopped {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            drop(state);
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
