//! What happens to a client's connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::Disconnect;

/// Events that wait for a listener at most; a listener that lets more gather misses the newest.
const WAITING_AT_MOST: usize = 64;

/// Something happened to a client's connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionEvent {
    /// There is a connection again.
    Connected {
        /// The server's address.
        address: SocketAddr,
    },
    /// The connection ended. What was under way has failed.
    Disconnected {
        /// Why.
        cause: Disconnect,
    },
    /// The client is about to connect again.
    Reconnecting {
        /// How many times it has tried since the connection ended, this time included.
        attempt: u32,
        /// After this time.
        delay: Duration,
    },
    /// The client is closed for good: it was told so, or does not connect again. The last event.
    Closed,
}

/// The events of a client's connection, from the call of `Client::events` on, as a [`Stream`].
///
/// It ends when the client is closed. Up to 64 events wait to be taken.
#[derive(Debug)]
pub struct Events(Arc<Queue>);

impl Events {
    /// The next event; `None` when the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        poll_fn(|cx| self.0.poll(cx)).await
    }
}

impl Stream for Events {
    type Item = ConnectionEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        self.0.poll(cx)
    }
}

/// The events that wait for one listener.
#[derive(Debug, Default)]
struct Queue(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<ConnectionEvent>,
    ended: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn poll(&self, cx: &Context<'_>) -> Poll<Option<ConnectionEvent>> {
        let mut waiting = self.lock();
        if let Some(event) = waiting.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if waiting.ended {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Weak<Queue>>);

impl Listeners {
    pub(super) fn add(&mut self) -> Events {
        let queue = Arc::<Queue>::default();
        self.0.push(Arc::downgrade(&queue));
        Events(queue)
    }

    pub(super) fn tell(&mut self, event: &ConnectionEvent) {
        self.0.retain(|listener| {
            let Some(queue) = listener.upgrade() else { return false };
            let mut waiting = queue.lock();
            if waiting.events.len() < WAITING_AT_MOST {
                waiting.events.push_back(event.clone());
            }
            let waker = waiting.waker.take();
            drop(waiting);
            if let Some(waker) = waker {
                waker.wake();
            }
            true
        });
    }

    /// Tells of the end, and ends the streams.
    pub(super) fn close(&mut self) {
        for queue in self.0.iter().filter_map(Weak::upgrade) {
            queue.lock().ended = true;
        }
        self.tell(&ConnectionEvent::Closed);
        self.0.clear();
    }
}
