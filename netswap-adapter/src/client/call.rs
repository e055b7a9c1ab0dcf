//! One call: its request goes to the state machine, its answer comes back, and when it is dropped before that, the
//! transaction is aborted.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client as Machine, Options, Outcome, Progress, RequestError};
use netswap_core::error::ProtocolError;
use netswap_core::time::Instant;
use netswap_core::types::Xid;
use netswap_core::wire::{Code, Reply, Request};

use super::Error;
use super::shared::{Answer, Shared, wake};
use super::slot::{Piece, Slot};

/// A transaction that waits for its answer.
#[derive(Debug)]
pub(super) struct Call<'a> {
    shared: &'a Shared,
    generation: u64,
    xid: Xid,
    slot: Arc<Slot>,
    answered: bool,
}

impl<'a> Call<'a> {
    /// Makes a request.
    pub(super) async fn start(
        shared: &'a Shared,
        request: Request<Bytes>,
        idle_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        Self::start_with(shared, request, Options { idle_timeout, ..Options::default() }).await
    }

    /// Makes a request.
    pub(super) async fn start_with(
        shared: &'a Shared,
        request: Request<Bytes>,
        options: Options,
    ) -> Result<Self, Error> {
        Self::open(shared, options, |machine, now| machine.request_with(request, options, now)).await
    }

    /// Makes a request whose answer comes in pieces, and then the rest of it.
    pub(super) async fn download(
        shared: &'a Shared,
        request: Request<Bytes>,
        idle_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        Self::start_with(shared, request, Options { idle_timeout, pieces: true, ..Options::default() }).await
    }

    /// Makes a request whose data are provided later.
    pub(super) async fn upload(
        shared: &'a Shared,
        request: Request<u32>,
        idle_timeout: Option<Duration>,
    ) -> Result<Self, Error> {
        let options = Options { idle_timeout, ..Options::default() };
        Self::open(shared, options, |machine, now| machine.upload(request, options, now)).await
    }

    async fn open(
        shared: &'a Shared,
        options: Options,
        begin: impl FnOnce(&mut Machine, Instant) -> Result<Xid, RequestError>,
    ) -> Result<Self, Error> {
        let slot = Arc::<Slot>::default();
        let mut state = shared.connected(options.idle_timeout).await?;
        let machine = state.machine().ok_or(Error::Closed)?;
        let xid = begin(machine, shared.now())?;
        state.add_waiter(xid, slot.clone(), options.wait.is_some());
        let generation = state.generation();
        wake(state);
        Ok(Self { shared, generation, xid, slot, answered: false })
    }

    /// The answer. May be dropped and called again.
    pub(super) async fn answer(&mut self) -> Answer {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    pub(super) fn poll_answer(&mut self, cx: &Context<'_>) -> Poll<Answer> {
        let answer = ready!(self.slot.poll_answer(cx));
        self.answered = true;
        Poll::Ready(answer)
    }

    /// The next piece of a download; `None` when there is the answer.
    pub(super) async fn piece(&self) -> Option<Piece> {
        poll_fn(|cx| self.slot.poll_piece(cx)).await
    }

    /// More data of an upload are wanted.
    pub(super) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        self.slot.poll_wanted(cx)
    }

    /// Takes out of the answer what the operation is answered with. The core lets no other reply through.
    pub(super) fn expect<T>(
        &self,
        reply: Reply<Bytes>,
        expected: impl FnOnce(Reply<Bytes>) -> Option<T>,
    ) -> Result<T, Error> {
        expected(reply).ok_or_else(|| Error::ConnectionLost {
            cause: ProtocolError::BadReply { xid: self.xid, code: Code::Ok as u8 }.into(),
            outcome: Outcome::Unknown,
        })
    }

    /// Gives an upload more data.
    pub(super) fn provide(&self, data: Bytes) {
        self.shared.with_machine(self.generation, |machine, _| machine.provide(self.xid, data));
    }

    /// How far an upload is; `None` when it has ended.
    pub(super) fn progress(&self) -> Option<Progress> {
        self.shared.with_machine(self.generation, |machine, _| machine.progress(self.xid)).flatten()
    }

    /// Bytes of a download's pieces are not held any more.
    pub(super) fn consumed(&self, count: usize) {
        self.shared.with_machine(self.generation, |machine, now| machine.consumed(self.xid, count, now));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.abandon(self.generation, self.xid);
        }
    }
}
