//! The client's side of one connection (docs/PROTOCOL.md §8): requests become bytes, bytes become replies.
//!
//! ```
//! use bytes::Bytes;
//! use netswap_core::client::{Client, Config, Event};
//! use netswap_core::time::Instant;
//! use netswap_core::wire::{Reply, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut client, now) = (Client::new(Config::default()), Instant::ZERO);
//! let ping = client.request(Request::Ping { data: Bytes::from_static(b"hi") }, now)?;
//!
//! // What is to be sent goes to the socket, from there on it is `sent` ...
//! let out: Vec<u8> = client.output().slices().flatten().copied().collect();
//! assert_eq!(out, *b"\0\0\0\x01\0\0\0\x02\x08\0hi");
//! client.sent(out.len(), now);
//!
//! // ... and what the socket gives comes in, in whatever portions.
//! client.handle_input(b"\0\0\0\x01\0\0\0", now)?;
//! client.handle_input(b"\x02\0\0hi", now)?;
//! let reply = Reply::Echo(Bytes::from_static(b"hi"));
//! assert_eq!(client.poll_event(), Some(Event::Replied { xid: ping, reply }));
//! # Ok(())
//! # }
//! ```

mod clock;
mod config;
mod event;
mod incoming;
mod receive;
mod replica;
mod requests;
mod transaction;
mod watching;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

pub use config::{Config, Options, RequestError};
pub use event::{Event, Failure, Outcome};
pub use replica::Replica;
pub use requests::Progress;

use crate::error::ProtocolError;
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::{ABORT, Message, Operands, Output, PacketReader, Unsent};
use clock::Clock;
use incoming::Incoming;
use requests::LOW_WATER;
use transaction::{Sending, Transaction, Transactions};

/// While pieces and notifications of more bytes than this are not consumed, nothing is read.
const HELD_AT_MOST: usize = 4 * 1024 * 1024;

/// The client's side of one connection, as a state machine.
///
/// Drive it so, in any order:
///
/// - give it [`request`](Self::request)s and [`upload`](Self::upload)s,
/// - write the [slices](Output::slices) of [`output`](Self::output) to the socket and report what it took with
///   [`sent`](Self::sent),
/// - while it [`wants_read`](Self::wants_read), pass what the socket gives to [`handle_input`](Self::handle_input),
///   also while a write is pending; at its end or failure call [`handle_eof`](Self::handle_eof),
/// - call [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) has come,
/// - take the events from [`poll_event`](Self::poll_event) until there are none.
///
/// State changes when bytes arrive, not when events are taken. Events are queued without a limit, but only
/// input makes many. `now` must not go backwards from call to call.
///
/// After a [`ProtocolError`] or [`handle_eof`](Self::handle_eof) every open transaction has ended with an event and
/// the client is of no more use: close the socket, and begin again with a new one.
#[derive(Debug)]
pub struct Client {
    config: Config,
    reader: PacketReader,
    output: Output,
    transactions: Transactions,
    events: VecDeque<Event>,
    clock: Clock,
    /// Bytes in pieces, and weight of notifications, that the caller has not consumed.
    held: usize,
    /// How many transactions are watches that have got their OK.
    standing: usize,
    /// The server's refusal of the whole connection, while it arrives.
    connection_refusal: Option<Incoming>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed(ProtocolError),
}

impl Client {
    /// A client of a connection that has just been made.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            transactions: Transactions::new(config.first_xid),
            config,
            reader: PacketReader::default(),
            output: Output::default(),
            events: VecDeque::new(),
            clock: Clock::default(),
            held: 0,
            standing: 0,
            connection_refusal: None,
            state: State::Open,
        }
    }

    /// What is to be sent.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The socket took the first `count` bytes of the [slices](Output::slices) of [`output`](Self::output).
    ///
    /// An adapter that copies them and writes later must report them when it copies them: what is
    /// `sent` may have taken effect.
    pub fn sent(&mut self, count: usize, now: Instant) {
        let count = count.min(self.output.window_len());
        if count == 0 {
            return;
        }
        self.clock.active(now);
        for xid in self.output.completed_by(count) {
            if let Some(transaction) = self.transactions.get_mut(xid)
                && transaction.sending == Sending::Going
            {
                transaction.sending = Sending::Gone;
                transaction.unsent = 0;
                transaction.moved = now;
                if let Some(wait) = transaction.wait {
                    self.clock.watch(now + wait);
                }
            }
        }
        bytes::Buf::advance(&mut self.output, count);
        for (xid, unsent) in self.output.lanes() {
            let Some(transaction) = self.transactions.get_mut(xid).filter(|transaction| !transaction.told)
            else {
                continue;
            };
            if transaction.unsent != unsent.payload {
                transaction.unsent = unsent.payload;
                transaction.moved = now;
            }
            if transaction.full && transaction.ungiven > 0 && unsent.given < LOW_WATER {
                transaction.full = false;
                self.events.push_back(Event::Wanted { xid });
            }
        }
    }

    /// Whether input is welcome: not while too many [pieces](Event::Piece) and [notifications](Event::Notified) are not
    /// consumed, nor after the end.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.state == State::Open && self.held <= HELD_AT_MOST
    }

    /// Takes bytes that arrived, however they are cut.
    ///
    /// # Errors
    ///
    /// The server broke the protocol, or says that this client did, or refused the connection. Every open transaction
    /// has ended with an event; further calls give the same error.
    pub fn handle_input(&mut self, mut input: &[u8], now: Instant) -> Result<(), ProtocolError> {
        match self.state {
            State::Open => {}
            State::Ended => return Ok(()),
            State::Failed(error) => return Err(error),
        }
        if !input.is_empty() {
            self.clock.active(now);
        }
        while let Some(fragment) = self.reader.next(&mut input) {
            if let Err(error) = self.take_fragment(&fragment, now) {
                self.end(State::Failed(error));
                return Err(error);
            }
        }
        Ok(())
    }

    /// The connection has ended, orderly or not: every open transaction ends with an event.
    pub fn handle_eof(&mut self) {
        if self.state == State::Open {
            self.end(State::Ended);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest. It may find nothing due then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let waits = self.wants_read() && self.transactions.len() > 0;
        if waits { self.clock.next_check() } else { None }
    }

    /// Gives up the transactions of which no packet has moved for too long.
    ///
    /// # Errors
    ///
    /// The server leaves an ABORT unanswered and nothing has moved on the connection for
    /// [`Config::idle_timeout`] since: it is dead. Every open transaction has ended with an event.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        if self.poll_timeout().is_none_or(|check| now < check) {
            return Ok(());
        }
        self.clock.reset();
        let mut due = Vec::new();
        for (xid, transaction) in self.transactions.iter() {
            let Some(deadline) = self.clock.deadline(transaction, self.config.idle_timeout) else { continue };
            if deadline <= now {
                due.push((transaction.abandoned, xid));
            } else {
                self.clock.watch(deadline);
            }
        }
        due.sort_unstable();
        for (abandoned, xid) in due {
            if abandoned {
                let error = ProtocolError::AbortUnanswered(xid);
                self.end(State::Failed(error));
                return Err(error);
            }
            self.give_up(xid, Failure::TimedOut, now);
        }
        Ok(())
    }

    /// How many transactions are open, those included that were aborted and wait for their terminal, and watches.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.transactions.len()
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state != State::Open
    }

    /// Aborts a transaction on the client's own account.
    fn give_up(&mut self, xid: Xid, failure: Failure, now: Instant) {
        if let Some(outcome) = self.abort(xid, now) {
            self.events.push_back(Event::Ended { xid, failure, outcome });
        }
    }

    /// How much of an open transaction's request waits outside the output's window.
    fn unsent(&self, xid: Xid) -> Option<Unsent> {
        self.transactions.get(xid).filter(|transaction| !transaction.told)?;
        self.output.unsent(xid)
    }

    /// Tells the server that a transaction is given up, of which nothing waits outside the window any more.
    fn push_abort(&mut self, xid: Xid) {
        if let Some(transaction) = self.transactions.get_mut(xid) {
            transaction.told = true;
        }
        self.output.push(xid, Message::<Bytes>::bare(ABORT, 0, Operands::new()));
    }

    /// Forgets a transaction whose terminal is here.
    fn close(&mut self, xid: Xid) -> Option<Transaction> {
        let transaction = self.transactions.close(xid)?;
        self.held -= transaction.held;
        self.standing -= usize::from(transaction.stands());
        Some(transaction)
    }

    fn release(&mut self, count: usize, now: Instant) {
        let waited = !self.wants_read();
        self.held -= count;
        if waited && self.wants_read() {
            self.clock.resumed(now);
        }
    }

    /// Ends every transaction, and the connection.
    fn end(&mut self, state: State) {
        // A connection that was refused has taken no request.
        let refused = matches!(state, State::Failed(ProtocolError::ConnectionRefused(_)));
        let open = self.transactions.iter().filter(|(_, transaction)| !transaction.abandoned);
        let mut ended: Vec<_> =
            open.map(|(xid, t)| (xid, t.outcome(t.sending == Sending::Gone && !refused))).collect();
        ended.sort_unstable_by_key(|(xid, _)| *xid);
        let failure = Failure::ConnectionLost;
        self.events.extend(ended.into_iter().map(|(xid, outcome)| Event::Ended { xid, failure, outcome }));
        self.transactions.clear();
        self.output = Output::default();
        self.connection_refusal = None;
        self.held = 0;
        self.standing = 0;
        self.state = state;
    }
}
