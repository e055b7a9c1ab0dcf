//! One connection of a load.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::speak::Exchange;

/// One connection of a load: it sends one request of every slot in one write, and the next ones when all are answered.
pub(crate) struct Link {
    stream: TcpStream,
    exchange: Exchange,
    batch: Vec<u8>,
    /// Bytes of the batch that were written.
    written: usize,
    /// Whether epoll says when there is room for more.
    awaits_room: bool,
    unanswered: usize,
    asked_at: Instant,
}

impl Link {
    /// A connection that is ready for its exchange.
    pub(crate) fn new(stream: TcpStream, exchange: Exchange) -> Result<Self> {
        stream.set_nonblocking(true)?;
        let batch = exchange.batch();
        let (written, asked_at) = (batch.len(), Instant::now());
        Ok(Self { stream, exchange, batch, written, awaits_room: false, unanswered: 0, asked_at })
    }

    /// Its socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The socket, for calls that block.
    pub(crate) fn into_stream(self) -> Result<TcpStream> {
        self.stream.set_nonblocking(false)?;
        Ok(self.stream)
    }

    /// How many requests are under way at once.
    pub(crate) fn depth(&self) -> usize {
        self.exchange.requests.len()
    }

    /// When the batch that is under way was begun.
    pub(crate) fn asked_at(&self) -> Instant {
        self.asked_at
    }

    /// Whether all is answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.unanswered == 0
    }

    /// Begins the next batch.
    pub(crate) fn ask(&mut self, now: Instant) {
        self.unanswered = self.exchange.requests.len();
        (0..self.unanswered).for_each(|slot| self.exchange.replies.expect(slot));
        (self.written, self.asked_at) = (0, now);
    }

    /// Writes what can be written of the batch; epoll says under this number when there is room for the rest.
    pub(crate) fn go_on_writing(&mut self, epoll: &Epoll, number: u64) -> Result<()> {
        while self.written < self.batch.len() {
            match self.stream.write(&self.batch[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("cannot send"),
            }
        }
        let waits = self.written < self.batch.len();
        if waits != self.awaits_room {
            let room = if waits { EpollFlags::EPOLLOUT } else { EpollFlags::empty() };
            epoll.modify(&self.stream, &mut EpollEvent::new(EpollFlags::EPOLLIN | room, number))?;
            self.awaits_room = waits;
        }
        Ok(())
    }

    /// Reads once, and adds the slots that are answered with it.
    pub(crate) fn read(&mut self, buffer: &mut [u8], done: &mut Vec<usize>) -> Result<()> {
        let count = match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            count => count.context("the connection is lost")?,
        };
        ensure!(count > 0, "the server has closed the connection");
        self.exchange.replies.take(&buffer[..count], done)?;
        ensure!(done.len() <= self.unanswered, "more replies than requests");
        self.unanswered -= done.len();
        Ok(())
    }
}
