//! Moves the bytes of one connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use netswap_core::connection::{Connection, Phase};
use netswap_core::wire::READ_AT_MOST;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::shared::Attendance;
use crate::timer::Timer;

/// Slices written at a time: more than the output's window has.
const SLICES_AT_MOST: usize = 128;

/// After so many steps other connections of the thread have their turn, and the system is asked what has arrived.
const STEPS_AT_A_TIME: usize = 4;

/// How often a connection is read once more after the server was told to stop, for requests that had arrived by then.
const LAST_READS: u32 = 16;

thread_local! {
    /// What is read goes through here: one buffer for all connections of a thread, so that idle ones need none.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_AT_MOST]);
}

/// Serves one connection until it is closed.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    machine: Connection,
    attendance: Attendance,
    stop: CancellationToken,
) {
    let mut socket = Socket { stream, machine, attendance, timer: Timer::default(), shut_down: false };
    let mut stop = pin!(stop.cancelled());
    // The task's waker stays the same: polled once, the stop signal will wake it.
    let mut waits_for_stop = false;
    let mut last_reads = LAST_READS;
    let closed = poll_fn(|cx| {
        socket.attendance.bell.register(cx.waker());
        for _ in 0..STEPS_AT_A_TIME {
            let moved = match socket.step(cx) {
                Ok(moved) => moved,
                Err(error) => return Poll::Ready(Err(error)),
            };
            if socket.machine.phase() == Phase::Closed {
                return Poll::Ready(Ok(()));
            }
            if socket.attendance.shared.is_stopping() && last_reads > 0 {
                last_reads = if moved { last_reads - 1 } else { 0 };
                if last_reads == 0 {
                    let now = socket.attendance.shared.now();
                    socket.machine.handle_shutdown(now);
                }
                continue;
            }
            if !moved {
                if !std::mem::replace(&mut waits_for_stop, true) && stop.as_mut().poll(cx).is_ready() {
                    continue;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    if let Err(error) = closed {
        debug!(owner = %socket.machine.peer().owner, %error, "connection lost");
    }
}

struct Socket<S> {
    stream: S,
    machine: Connection,
    attendance: Attendance,
    timer: Timer,
    shut_down: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Does what can be done without waiting, reading and writing alike; whether there was anything.
    fn step(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        if self.attendance.bell.has_rung() {
            let shared = &self.attendance.shared;
            self.machine.handle_mail(shared.now(), &mut &**shared);
            moved = true;
        }
        if self.machine.output().has_remaining()
            && let Poll::Ready(written) = self.poll_write(cx)
        {
            written?;
            moved = true;
        }
        if self.machine.phase() == Phase::Draining
            && !self.shut_down
            && let Poll::Ready(shut_down) = Pin::new(&mut self.stream).poll_shutdown(cx)
        {
            shut_down?;
            self.shut_down = true;
        }
        if self.machine.wants_read()
            && let Poll::Ready(read) = self.poll_read(cx)
        {
            read?;
            moved = true;
        }
        let shared = &self.attendance.shared;
        let deadline = || self.machine.poll_timeout().map(|at| shared.system_time(at));
        if !moved && self.timer.poll(cx, deadline()).is_ready() {
            self.machine.handle_timeout(shared.now(), &mut &**shared);
            moved = true;
        }
        Ok(moved)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); SLICES_AT_MOST];
        let mut filled = 0;
        for (slot, bytes) in slices.iter_mut().zip(self.machine.output().slices()) {
            *slot = IoSlice::new(bytes);
            filled += 1;
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices[..filled]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let shared = &self.attendance.shared;
        shared.count_sent(written);
        self.machine.sent(written, shared.now(), &mut &**shared);
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let shared = &self.attendance.shared;
            let (now, engine) = (shared.now(), &mut &**shared);
            let input = buffer.filled();
            shared.count_received(input.len());
            if input.is_empty() {
                self.machine.handle_eof(now, engine);
            } else {
                self.machine.handle_input(input, now, engine);
            }
            Poll::Ready(Ok(()))
        })
    }
}
