//! What happens to a client's connection.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;

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

/// The events of a client's connection, from the call of [`Client::events`](super::Client::events) on, as a [`Stream`].
///
/// It ends when the client is closed. Up to 64 events wait to be taken.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<ConnectionEvent>);

impl Events {
    /// The next event; `None` when the client is closed.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = ConnectionEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionEvent>> {
        self.0.poll_recv(cx)
    }
}

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<mpsc::Sender<ConnectionEvent>>);

impl Listeners {
    pub(super) fn add(&mut self) -> Events {
        let (sender, receiver) = mpsc::channel(WAITING_AT_MOST);
        self.0.push(sender);
        Events(receiver)
    }

    pub(super) fn tell(&mut self, event: &ConnectionEvent) {
        self.0.retain(|listener| match listener.try_send(event.clone()) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }

    /// Tells of the end, and ends the streams.
    pub(super) fn close(&mut self) {
        self.tell(&ConnectionEvent::Closed);
        self.0.clear();
    }
}
