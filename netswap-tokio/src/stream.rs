//! Streams of tokio's, for the state machines.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use netswap_adapter::Transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::timer::Timer;

/// A stream and its timer.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    stream: S,
    timer: Timer,
}

impl<S> Stream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, timer: Timer::default() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match slices {
            [one] => Pin::new(&mut self.stream).poll_write(cx, one),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }

    fn yield_now(&mut self, cx: &mut Context<'_>) {
        // Its waker is called when the runtime has looked for new input, whether or not this is polled once more.
        let _ = pin!(tokio::task::yield_now()).poll(cx);
    }
}
