//! Ends what another thread waits for.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;

use event_listener::Event;

/// Ends a [`Watch`](super::Watch), a [`Mirror`](super::Mirror) or the calls of a
/// [stoppable client](super::Client::stoppable) from another thread than the one that waits. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stopper(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stopped: AtomicBool,
    told: Event,
}

impl Stopper {
    /// Whoever waits is told that this was the end, now and in future.
    pub fn stop(&self) {
        self.0.stopped.store(true, SeqCst);
        self.0.told.notify(usize::MAX);
    }

    /// What a future gives, or `None` when it is stopped before.
    pub(super) async fn unless_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        let told = self.0.told.listen();
        if self.0.stopped.load(SeqCst) {
            return None;
        }
        let (mut told, mut future) = (pin!(told), pin!(future));
        std::future::poll_fn(|cx| match told.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(cx).map(Some),
        })
        .await
    }
}
