//! One call: its request goes to the state machine, its answer comes back, and when it is dropped before that, the
//! transaction is aborted.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client as Machine, Options, Outcome, Progress, RequestError};
use netswap_core::error::ProtocolError;
use netswap_core::time::Instant;
use netswap_core::types::Xid;
use netswap_core::wire::{Code, Reply, Request};
use tokio::sync::{Notify, mpsc, oneshot};

use super::Error;
use super::shared::{Answer, Piece, Shared, Waiter, wake};

/// A transaction that waits for its answer.
#[derive(Debug)]
pub(super) struct Call<'a> {
    shared: &'a Shared,
    generation: u64,
    xid: Xid,
    answer: oneshot::Receiver<Answer>,
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
        Self::open(shared, options, None, None, |machine, now| machine.request_with(request, options, now))
            .await
    }

    /// Makes a request whose answer comes in pieces, and then the rest of it.
    pub(super) async fn download(
        shared: &'a Shared,
        request: Request<Bytes>,
        idle_timeout: Option<Duration>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Piece>), Error> {
        let options = Options { idle_timeout, pieces: true, ..Options::default() };
        let (sender, pieces) = mpsc::unbounded_channel();
        let begin = |machine: &mut Machine, now| machine.request_with(request, options, now);
        let call = Self::open(shared, options, Some(sender), None, begin).await?;
        Ok((call, pieces))
    }

    /// Makes a request whose data are provided later; the `Notify` tells when more of them are wanted.
    pub(super) async fn upload(
        shared: &'a Shared,
        request: Request<u32>,
        idle_timeout: Option<Duration>,
    ) -> Result<(Self, Arc<Notify>), Error> {
        let options = Options { idle_timeout, ..Options::default() };
        let wanted = Arc::new(Notify::new());
        let begin = |machine: &mut Machine, now| machine.upload(request, options, now);
        let call = Self::open(shared, options, None, Some(wanted.clone()), begin).await?;
        Ok((call, wanted))
    }

    async fn open(
        shared: &'a Shared,
        options: Options,
        pieces: Option<mpsc::UnboundedSender<Piece>>,
        wanted: Option<Arc<Notify>>,
        begin: impl FnOnce(&mut Machine, Instant) -> Result<Xid, RequestError>,
    ) -> Result<Self, Error> {
        let (done, answer) = oneshot::channel();
        let mut state = shared.connected(options.idle_timeout).await?;
        let machine = state.machine().ok_or(Error::Closed)?;
        let xid = begin(machine, shared.now())?;
        state.add_waiter(xid, Waiter { done, pieces, wanted });
        let generation = state.generation();
        wake(state);
        Ok(Self { shared, generation, xid, answer, answered: false })
    }

    /// The answer. May be dropped and called again.
    pub(super) async fn answer(&mut self) -> Answer {
        let answer = (&mut self.answer).await;
        self.answered = true;
        answer.unwrap_or(Err(Error::Closed))
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
