//! Streams of futures-io's, for the state machines.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Instant;

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::task::AtomicWaker;
use netswap_adapter::Transport;

use crate::timer::Timer;

/// A socket that the system is not asked twice for what it has given.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Arc<Async<TcpStream>>,
    /// Whether all that had arrived was read: there is no need to ask for more before the system says that there is.
    drained: bool,
    readable: Arc<Readable>,
    /// Wakes `readable`.
    waker: Waker,
}

/// Whether the reactor has called because of input.
///
/// Where another thread waits for events at the same time, the reactor wakes the task, but `poll_readable` takes the event
/// for an older one, registers the task again, and that may happen again with every event, for seconds.
#[derive(Debug, Default)]
struct Readable {
    called: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Readable {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Socket {
    pub(crate) fn new(stream: impl Into<Arc<Async<TcpStream>>>) -> Self {
        let readable = Arc::<Readable>::default();
        let waker = readable.clone().into();
        Self { stream: stream.into(), drained: false, readable, waker }
    }

    /// Ready when it is worth trying to read.
    fn poll_readable(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.readable.task.register(cx.waker());
        let called = self.readable.called.swap(false, Ordering::Acquire);
        match self.stream.poll_readable(&mut Context::from_waker(&self.waker)) {
            Poll::Pending if called => Poll::Ready(Ok(())),
            readable => readable,
        }
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match send(self.stream.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.stream.poll_writable(cx))?;
                }
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.poll_readable(cx))?;
            }
            let read = self.stream.get_ref().read(buffer);
            self.drained = match &read {
                Ok(read) => (1..buffer.len()).contains(read),
                Err(error) => error.kind() == io::ErrorKind::WouldBlock,
            };
            if read.is_ok() || !self.drained {
                return Poll::Ready(read);
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |mut stream| stream.write_vectored(slices))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

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
        Pin::new(&mut self.stream).poll_read(cx, buffer)
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
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        self.timer.poll(cx, deadline)
    }
}
