//! Moves the bytes of one connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use netswap_core::connection::{Connection as Machine, Phase};
use netswap_core::wire::READ_AT_MOST;
use tracing::debug;

use super::shared::Attendance;
use crate::{Transport, writing};

/// After so many bytes other connections of the thread have their turn, and the system is asked what has arrived.
const TURN: usize = 192 * 1024;

/// Every step of a turn counts as so many bytes at least.
const STEP: usize = 64 * 1024;

/// How often a connection is read once more after the server was told to stop, for requests that had arrived by then.
const LAST_READS: u32 = 16;

thread_local! {
    /// What is read goes through here: one buffer for all connections of a thread, so that idle ones need none.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Buffers that threads have released, for those that need one.
static SPARE_BUFFERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// More are not kept.
const SPARE_AT_MOST: usize = 16;

/// Releases the buffer of this thread, of which there are as many as connections, so that idle ones need none there
/// either.
pub fn release_read_buffer() {
    let buffer = READ_BUFFER.take();
    let mut spare = SPARE_BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    if !buffer.is_empty() && spare.len() < SPARE_AT_MOST {
        spare.push(buffer);
    }
}

fn read_buffer() -> Vec<u8> {
    let spare = SPARE_BUFFERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    spare.unwrap_or_else(|| vec![0; READ_AT_MOST])
}

/// The task that serves one connection until it is closed.
#[derive(Debug)]
#[must_use = "a connection that is not polled is not served"]
pub struct Connection<T> {
    stream: T,
    machine: Machine,
    attendance: Attendance,
    shut_down: bool,
    last_reads: u32,
}

impl<T: Transport + Unpin> Future for Connection<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Err(error) = ready!(self.poll_serve(cx)) else { return Poll::Ready(()) };
        debug!(owner = %self.machine.peer().owner, %error, "connection lost");
        Poll::Ready(())
    }
}

/// What is large is dropped in portions, not with the connection.
impl<T> Drop for Connection<T> {
    fn drop(&mut self) {
        self.machine.dismantle(&mut &*self.attendance.shared);
    }
}

impl<T: Transport> Connection<T> {
    pub(super) fn new(stream: T, machine: Machine, attendance: Attendance) -> Self {
        Self { stream, machine, attendance, shut_down: false, last_reads: LAST_READS }
    }

    fn poll_serve(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Mail, and the server's end, ring the bell.
        self.attendance.bell.register(cx.waker());
        self.attendance.shared.excess().give_back();
        let mut turn = TURN;
        while turn > 0 {
            let moved = self.step(cx)?;
            turn = turn.saturating_sub(moved.unwrap_or_default().max(STEP));
            if self.machine.phase() == Phase::Closed {
                return Poll::Ready(Ok(()));
            }
            if self.machine.has_work() {
                // For its next turn.
                break;
            }
            if self.attendance.shared.is_stopping() && self.last_reads > 0 {
                let reads_on = moved.is_some() && self.attendance.shared.executes();
                self.last_reads = if reads_on { self.last_reads - 1 } else { 0 };
                if self.last_reads == 0 {
                    self.machine.handle_shutdown(self.attendance.shared.now());
                }
            } else if moved.is_none() {
                return Poll::Pending;
            }
        }
        self.stream.yield_now(cx);
        Poll::Pending
    }

    /// Does what can be done without waiting, reading and writing alike: how many bytes it moved, or `None` once there is
    /// nothing but to wait, for what then calls the task.
    fn step(&mut self, cx: &mut Context<'_>) -> io::Result<Option<usize>> {
        let (mut goes_on, mut moved) = (false, 0);
        if self.attendance.bell.has_rung() {
            let shared = &self.attendance.shared;
            self.machine.handle_mail(shared.now(), &mut &**shared);
        }
        if self.machine.has_work() {
            let shared = &self.attendance.shared;
            self.machine.handle_work(shared.now(), &mut &**shared);
            goes_on = true;
        }
        let reads = self.machine.wants_read();
        if reads && let Poll::Ready(read) = self.poll_read(cx) {
            moved += read?;
            goes_on = true;
        }
        if self.machine.output().has_remaining()
            && let Poll::Ready(written) = self.poll_write(cx)
        {
            moved += written?;
            // What is left is to be waited for with another write, and so is input that was not wanted before.
            goes_on |= self.machine.output().has_remaining() || (!reads && self.machine.wants_read());
        }
        goes_on |= self.machine.has_work();
        if self.machine.phase() == Phase::Draining
            && !self.shut_down
            && let Poll::Ready(shut_down) = self.stream.poll_shutdown(cx)
        {
            shut_down?;
            self.shut_down = true;
        }
        let shared = &self.attendance.shared;
        let deadline = || self.machine.poll_timeout().and_then(|at| shared.clock().system_time(at));
        if !goes_on && self.stream.poll_deadline(cx, deadline()).is_ready() {
            self.machine.handle_timeout(shared.now(), &mut &**shared);
            goes_on = true;
        }
        Ok(goes_on.then_some(moved))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let written = ready!(writing::poll_write(&mut self.stream, cx, self.machine.output()))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let shared = &self.attendance.shared;
        shared.count_sent(written);
        self.machine.sent(written, shared.now(), &mut &**shared);
        Poll::Ready(Ok(written))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            if buffer.is_empty() {
                *buffer = read_buffer();
            }
            let read = ready!(self.stream.poll_read(cx, buffer))?;
            let shared = &self.attendance.shared;
            let (now, engine) = (shared.now(), &mut &**shared);
            let input = &buffer[..read];
            shared.count_received(read);
            if input.is_empty() {
                self.machine.handle_eof(now, engine);
            } else {
                self.machine.handle_input(input, now, engine);
            }
            shared.look_after_memory(read);
            Poll::Ready(Ok(read))
        })
    }
}
