//! What an adapter brings along: a stream, and ways to wait.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A time to wait for.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A stream of bytes in both directions, and a timer. What is pending wakes the task of `cx` when it may go on.
pub trait Transport {
    /// Reads into the buffer, and tells how many bytes; 0 is the end of the stream.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes of the slices, one after the other, and tells how many bytes it took.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Sends what a stream with buffers of its own still holds.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends what is sent. Reading goes on.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when the deadline may have come: one that has moved away may be found out when it would have been. Never
    /// ready without a deadline, or where time cannot be waited for.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()>;

    /// Has the task polled again after all others that are ready, and, where the runtime has a way to say so, after the
    /// system was asked what has arrived.
    fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// How a runtime looks up names, makes connections and waits.
pub trait Runtime: 'static {
    /// Its TCP streams.
    type Stream: Transport + Send;

    /// The addresses of "host:port".
    fn lookup(address: &str) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Connects, from a local address where one is given, and sets the socket up with
    /// [`socket::prepare_client`](crate::socket::prepare_client).
    fn connect(
        address: SocketAddr,
        bind: Option<IpAddr>,
    ) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Waits. `None` where there is no way to: outside of the runtime.
    fn sleep(duration: Duration) -> Option<Sleep>;
}

/// What a future gives, or `None` when the time is over before. Without a time it takes as long as it takes.
pub async fn within<F: Future>(time: Option<Sleep>, future: F) -> Option<F::Output> {
    let (mut time, mut future) = (time, pin!(future));
    poll_fn(|cx| match (future.as_mut().poll(cx), &mut time) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(time)) => time.as_mut().poll(cx).map(|()| None),
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}
