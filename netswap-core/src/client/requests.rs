//! What the caller of a client asks for.

use bytes::Bytes;

use crate::client::Client;
use crate::client::config::{Options, RequestError};
use crate::client::event::Outcome;
use crate::client::transaction::{Sending, Transaction};
use crate::client::watching::Watching;
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::{Opcode, Request};

/// More of an upload is wanted when fewer bytes than this wait outside the output's window ...
pub(super) const LOW_WATER: usize = 128 * 1024;

/// ... and then as many as make these.
const HIGH_WATER: usize = 256 * 1024;

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of data that have left for the socket.
    pub sent: u32,
    /// Bytes of data in all.
    pub total: u32,
    /// How many more bytes of data are wanted now. After 0, [`Event::Wanted`](super::Event::Wanted) tells when it is worth asking again.
    pub wanted: usize,
}

impl Client {
    /// Makes a request with the default [`Options`].
    ///
    /// Requests take effect in the order in which their last packets leave: a small one may pass a large one
    /// (docs/PROTOCOL.md §2.3).
    ///
    /// # Errors
    ///
    /// As [`request_with`](Self::request_with).
    pub fn request(&mut self, request: Request<Bytes>, now: Instant) -> Result<Xid, RequestError> {
        self.request_with(request, Options::default(), now)
    }

    /// Makes a request.
    ///
    /// # Errors
    ///
    /// The connection has ended, too many transactions are open, or the data are too long: nothing was sent.
    pub fn request_with(
        &mut self,
        request: Request<Bytes>,
        options: Options,
        now: Instant,
    ) -> Result<Xid, RequestError> {
        let data = request.data().map_or(0, Bytes::len);
        let data = u32::try_from(data).map_err(|_| RequestError::TooLong)?;
        let mut transaction = self.begin(&request, data, options, now)?;
        match &request {
            Request::Ping { data } => transaction.ping = Some(data.clone()),
            Request::ReadRange { len, .. } => transaction.range = Some(*len),
            Request::ResolveIfChanged { version, .. } => transaction.has_nothing = version.0 == 0,
            _ => {}
        }
        let xid = self.open(transaction);
        self.output.push(xid, request.encode());
        Ok(xid)
    }

    /// Makes a request whose data are given later, with [`provide`](Self::provide): the request says how many bytes
    /// they will be. The first can be given at once.
    ///
    /// # Errors
    ///
    /// As [`request_with`](Self::request_with).
    pub fn upload(
        &mut self,
        request: Request<u32>,
        options: Options,
        now: Instant,
    ) -> Result<Xid, RequestError> {
        let data = request.data().copied().unwrap_or(0);
        let mut transaction = self.begin(&request, data, options, now)?;
        transaction.ungiven = data;
        let xid = self.open(transaction);
        self.output.push_streamed(xid, request.encode());
        Ok(xid)
    }

    /// Gives an upload its next bytes, best not more than are [wanted](Progress::wanted). What is beyond its length
    /// is ignored. `false` when it needs no more, because it is complete or has ended.
    pub fn provide(&mut self, xid: Xid, mut bytes: Bytes) -> bool {
        let Some(transaction) = self.transactions.get_mut(xid).filter(|transaction| transaction.ungiven > 0)
        else {
            return false;
        };
        bytes.truncate(transaction.ungiven as usize);
        let given = bytes.len() as u32;
        if !self.output.provide(xid, bytes) {
            return false;
        }
        transaction.ungiven -= given;
        transaction.full = self.output.unsent(xid).is_some_and(|unsent| unsent.given >= LOW_WATER);
        true
    }

    /// How far a request's data have left; `None` when the transaction has ended.
    #[must_use]
    pub fn progress(&self, xid: Xid) -> Option<Progress> {
        let transaction = self.transactions.get(xid).filter(|transaction| !transaction.abandoned)?;
        let wanted = match self.unsent(xid) {
            Some(unsent) if unsent.given < LOW_WATER => {
                (HIGH_WATER - unsent.given).min(transaction.ungiven as usize)
            }
            _ => 0,
        };
        let sent = transaction.data.saturating_sub(transaction.unsent);
        Some(Progress { sent, total: transaction.data, wanted })
    }

    /// Reports that `count` bytes in [pieces](super::Event::Piece) of a transaction, or so much
    /// [weight](crate::wire::Notification::weight) of a watch's notifications, are not held any more. While more than
    /// 4 MiB are, over all transactions, nothing is read, and nothing times out; the server folds what it cannot send to
    /// a watch.
    pub fn consumed(&mut self, xid: Xid, count: usize, now: Instant) {
        if let Some(transaction) = self.transactions.get_mut(xid) {
            let count = count.min(transaction.held);
            transaction.held -= count;
            self.release(count, now);
        }
    }

    /// Gives up a transaction: what is unsent of it is dropped, and the server is told where it must be
    /// (docs/PROTOCOL.md §2.5). No event comes for it any more; its id stays reserved until the server is done with it.
    ///
    /// Tells what can be said of its effect; `None` when it has ended already.
    pub fn abort(&mut self, xid: Xid, now: Instant) -> Option<Outcome> {
        let unsent = self.unsent(xid);
        let transaction = self.transactions.get_mut(xid).filter(|transaction| !transaction.abandoned)?;
        let unheard = unsent.is_some_and(|unsent| unsent.payload == transaction.payload);
        // The server has been told already of an upload that it refused.
        let told = transaction.told;
        if unsent.is_some() {
            transaction.sending = Sending::Cut;
            self.output.cancel(xid);
        }
        let outcome = transaction.outcome(transaction.sending != Sending::Cut);
        let held = transaction.abandon(now);
        self.events.retain(|event| event.xid() != xid);
        self.release(held, now);
        if unheard {
            self.close(xid);
            return Some(outcome);
        }
        if !told {
            self.push_abort(xid);
        }
        self.clock.watch(now + self.config.idle_timeout);
        Some(outcome)
    }

    fn begin<D>(
        &self,
        request: &Request<D>,
        data: u32,
        options: Options,
        now: Instant,
    ) -> Result<Transaction, RequestError> {
        if self.is_closed() {
            return Err(RequestError::Closed);
        }
        let limit = self.config.max_transactions;
        if self.transactions.len() - self.standing >= limit {
            return Err(RequestError::TooManyTransactions { limit });
        }
        let idle_timeout = options.idle_timeout.unwrap_or(self.config.idle_timeout);
        let mut transaction =
            Transaction::new(request.opcode(), data, idle_timeout, now).ok_or(RequestError::TooLong)?;
        transaction.pieces = options.pieces && request.opcode() == Opcode::ResolvePointer;
        transaction.wait = options.wait;
        if let Request::WatchRecord { push, .. } = request {
            transaction.watching = Some(Watching::new(*push));
        }
        Ok(transaction)
    }

    fn open(&mut self, transaction: Transaction) -> Xid {
        self.clock.watch(transaction.moved + transaction.idle_timeout);
        self.transactions.open(transaction)
    }
}
