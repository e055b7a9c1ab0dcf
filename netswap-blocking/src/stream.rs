//! Sockets of std's, for the state machines.

use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll};
use std::time::Instant;

use netswap_adapter::Transport;
use rustix::fd::AsFd;
use rustix::net::Shutdown;

use crate::reactor::{Directions, Source};
use crate::timer::poll_deadline;

/// A stream that does not block.
#[derive(Debug)]
pub(crate) struct Stream<S: AsFd> {
    source: Source<S>,
}

impl<S: AsFd> Stream<S> {
    pub(crate) fn new(stream: S) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(stream.as_fd(), true)?;
        Ok(Self { source: Source::new(stream, Directions::BOTH)? })
    }

    /// A stream that does not block, and is about to be connected: it is when it can be written.
    pub(crate) fn connecting(stream: S) -> io::Result<Self> {
        Ok(Self { source: Source::new(stream, Directions::NONE)? })
    }

    pub(crate) fn poll_connected(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.source.poll_ready(cx, Directions::WRITE)
    }

    pub(crate) fn get(&self) -> &S {
        self.source.get()
    }
}

impl<S: Read + Write + AsFd> Transport for Stream<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.source.poll_do(cx, Directions::READ, |stream| stream.read(buffer));
        if matches!(read, Poll::Ready(Ok(read)) if read < buffer.len()) {
            // That was all: there is no need to ask the system for more before it says that there is.
            self.source.exhausted(Directions::READ);
        }
        read
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = self.source.poll_do(cx, Directions::WRITE, |stream| match slices {
            [one] => stream.write(one),
            _ => stream.write_vectored(slices),
        });
        let wanted = || slices.iter().map(|slice| slice.len()).sum();
        if matches!(written, Poll::Ready(Ok(written)) if written < wanted()) {
            self.source.exhausted(Directions::WRITE);
        }
        written
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.source.poll_do(cx, Directions::WRITE, S::flush)
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(rustix::net::shutdown(self.source.get().as_fd(), Shutdown::Write)?))
    }

    fn poll_deadline(&mut self, _: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        poll_deadline(deadline)
    }
}
