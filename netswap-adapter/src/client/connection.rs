//! Moves the bytes of one connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use netswap_core::wire::READ_AT_MOST;

use super::Disconnect;
use super::shared::{Deliveries, Shared, deliver};
use crate::{Transport, writing};

/// After so many steps other tasks have their turn, whatever the stream does.
const STEPS_AT_A_TIME: usize = 4;

/// How long the last bytes of a client that is being closed may take to leave.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// One connection and its bytes.
#[derive(Debug)]
pub(super) struct Connection<T> {
    stream: T,
    shared: Arc<Shared>,
    buffer: Box<[u8]>,
    deliveries: Deliveries,
    unflushed: bool,
    close_by: Option<Instant>,
    answered: bool,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// As the client wanted it.
    Closed,
    /// Otherwise.
    Lost(Disconnect),
}

/// What a step did.
type Step = Result<bool, Disconnect>;

impl<T: Transport> Connection<T> {
    pub(super) fn new(stream: T, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            shared,
            buffer: vec![0; READ_AT_MOST].into(),
            deliveries: Deliveries::default(),
            unflushed: false,
            close_by: None,
            answered: false,
        }
    }

    /// Whether the server has ever said anything that makes sense.
    pub(super) fn has_answered(&self) -> bool {
        self.answered
    }

    /// Moves bytes until the connection ends. May be dropped and called again.
    pub(super) async fn run(&mut self) -> Ended {
        let ended = poll_fn(|cx| self.poll_run(cx)).await;
        if matches!(ended, Ended::Closed) {
            // Every answer is here, so nothing is lost if this fails.
            let _ = poll_fn(|cx| self.stream.poll_shutdown(cx)).await;
        }
        ended
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        for _ in 0..STEPS_AT_A_TIME {
            match self.step(cx) {
                Ok(true) => {}
                Ok(false) if self.is_closed() => return Poll::Ready(Ended::Closed),
                Ok(false) => return Poll::Pending,
                Err(cause) => return Poll::Ready(Ended::Lost(cause)),
            }
        }
        self.stream.yield_now(cx);
        Poll::Pending
    }

    /// Does what can be done without waiting: reading goes on while a write is pending, and the other way round.
    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        let wrote = self.write(cx)?;
        let read = self.read(cx)?;
        Ok(wrote || read || self.time_out(cx)?)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Step {
        let mut state = self.shared.lock();
        // Whatever calls want from here on wakes this task.
        state.register_driver(cx.waker());
        let Some(machine) = state.machine() else { return Ok(false) };
        if machine.output().window_len() == 0 {
            drop(state);
            return self.flush(cx);
        }
        match writing::poll_write(&mut self.stream, cx, machine.output()) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Err(lost(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(written)) => machine.sent(written, self.shared.now()),
            Poll::Ready(Err(error)) => return Err(lost(error)),
        }
        self.unflushed = true;
        state.deliver(None, self.shared.now(), &mut self.deliveries);
        drop(state);
        deliver(&mut self.deliveries);
        Ok(true)
    }

    /// A stream may have buffers of its own.
    fn flush(&mut self, cx: &mut Context<'_>) -> Step {
        if self.unflushed
            && let Poll::Ready(flushed) = self.stream.poll_flush(cx)
        {
            flushed.map_err(lost)?;
            self.unflushed = false;
        }
        Ok(false)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.shared.lock().machine().is_some_and(|machine| machine.wants_read()) {
            return Ok(false);
        }
        let read = match self.stream.poll_read(cx, &mut self.buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(error)) => return Err(lost(error)),
            Poll::Ready(Ok(0)) => return Err(Disconnect::ServerClosed),
            Poll::Ready(Ok(read)) => read,
        };
        let mut state = self.shared.lock();
        let Some(machine) = state.machine() else { return Ok(false) };
        machine.handle_input(&self.buffer[..read], self.shared.now())?;
        self.answered = true;
        state.deliver(None, self.shared.now(), &mut self.deliveries);
        drop(state);
        deliver(&mut self.deliveries);
        Ok(true)
    }

    fn time_out(&mut self, cx: &mut Context<'_>) -> Step {
        let mut state = self.shared.lock();
        let Some(machine) = state.machine() else { return Ok(false) };
        let timeout = machine.poll_timeout().and_then(|at| self.shared.system_time(at));
        if state.is_closing_and_idle() && self.close_by.is_none() {
            self.close_by = Some(Instant::now() + CLOSE_WITHIN);
        }
        let deadline = timeout.into_iter().chain(self.close_by).min();
        if self.stream.poll_deadline(cx, deadline).is_pending() {
            return Ok(false);
        }
        let Some(machine) = state.machine() else { return Ok(false) };
        machine.handle_timeout(self.shared.now())?;
        state.deliver(None, self.shared.now(), &mut self.deliveries);
        drop(state);
        deliver(&mut self.deliveries);
        // When the deadline was that of closing, there is nothing more to do.
        Ok(!self.is_closed())
    }

    /// Whether the client is being closed, nobody waits for an answer any more, and the last bytes have left or had
    /// their time.
    fn is_closed(&self) -> bool {
        let mut state = self.shared.lock();
        let unsent = state.machine().map_or(0, |machine| machine.output().window_len());
        let late = self.close_by.is_some_and(|by| by <= Instant::now());
        state.is_closing_and_idle() && (late || (unsent == 0 && !self.unflushed))
    }
}

fn lost(error: io::Error) -> Disconnect {
    Disconnect::Io(Arc::new(error))
}
