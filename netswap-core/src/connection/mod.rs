//! The server's side of one connection: bytes in, requests to the engine, replies out in turn.

mod clocks;
mod incoming;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Buf;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use clocks::Clocks;
use incoming::{Incoming, State};

use crate::config::Config;
use crate::engine::{Engine, Incident, Peer};
use crate::error::{Quota, Refusal, Violation};
use crate::memory::{Budget, Data, Overrun, Payload};
use crate::time::Instant;
use crate::types::{Pointer, Xid};
use crate::wire::{
    ABORT, Fragment, Header, MAX_OPERANDS, Message, Opcode, Operands, Output, PacketReader, Reply, Request,
};

/// The state of one connection, from its first byte to its close.
///
/// Whoever owns the socket drives it, in any order of calls:
///
/// - what was read goes to [`handle_input`](Self::handle_input), the end of the stream to [`handle_eof`](Self::handle_eof);
/// - [`output`](Self::output) holds what is to be written; what was written is told with [`sent`](Self::sent);
/// - [`wants_read`](Self::wants_read) says whether to read: it is false while too many replies wait (docs/PROTOCOL.md §7.3);
/// - [`poll_timeout`](Self::poll_timeout) says when to call [`handle_timeout`](Self::handle_timeout);
/// - [`phase`](Self::phase) says when to shut down the sending side and when to close the socket.
///
/// State changes when bytes arrive: every request is handed to the [`Engine`] within the call that completed it. A
/// connection that never gets its close is the engine's to forget: see [`Store::disconnect`](crate::store::Store::disconnect).
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    config: Arc<Config>,
    budget: Arc<Budget>,
    reader: PacketReader,
    /// The message whose packet is arriving.
    current: Option<Incoming>,
    /// Messages that have begun and not ended, but for `current`.
    incoming: HashMap<Xid, Incoming, FixedState>,
    /// How many of all these were refused.
    discarding: u32,
    /// What all these count as unfinished.
    unfinished: u64,
    /// Requests that the engine has not answered yet.
    executing: Vec<Xid>,
    /// What was read and must wait until replies have left.
    backlog: Vec<u8>,
    output: Output,
    stage: Stage,
    /// What is said after everything else.
    last_word: Option<(Xid, Violation)>,
    departed: bool,
    clocks: Clocks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Requests are read and answered.
    Open,
    /// The client, or the server, ends the connection as soon as what was read before is handled.
    Ending(Ending),
    /// No more requests are read; what is queued is sent. Then, where the client may still be sending, it is drained.
    Flushing { linger: bool },
    /// Everything is sent, and what the client still sends is thrown away.
    Lingering { until: Instant },
    /// There is nothing more to do.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Eof,
    Shutdown,
}

/// What an adapter has to do with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Read, where [`Connection::wants_read`] says so, and write what there is.
    Open,
    /// Shut down the sending side, go on reading, until the end of the stream or the next timeout.
    Draining,
    /// Close the socket.
    Closed,
}

impl Connection {
    /// A connection that is served.
    #[must_use]
    pub fn new(peer: Peer, config: Arc<Config>, budget: Arc<Budget>) -> Self {
        Self {
            peer,
            config,
            budget,
            reader: PacketReader::default(),
            current: None,
            incoming: HashMap::default(),
            discarding: 0,
            unfinished: 0,
            executing: Vec::new(),
            backlog: Vec::new(),
            output: Output::default(),
            stage: Stage::Open,
            last_word: None,
            departed: false,
            clocks: Clocks::default(),
        }
    }

    /// A connection that is told why it is not served, and closed (docs/PROTOCOL.md §4.2).
    #[must_use]
    pub fn turned_away(
        peer: Peer,
        refusal: Refusal,
        config: Arc<Config>,
        budget: Arc<Budget>,
        now: Instant,
    ) -> Self {
        let mut connection = Self::new(peer, config, budget);
        connection.output.push(Xid(0), Reply::<Data>::Refused(refusal).encode());
        connection.stage = Stage::Flushing { linger: true };
        connection.departed = true;
        connection.settle(now);
        connection
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// What is to be written.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// What is to be done with the socket.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.stage {
            Stage::Open | Stage::Ending(_) | Stage::Flushing { .. } => Phase::Open,
            Stage::Lingering { .. } => Phase::Draining,
            Stage::Closed => Phase::Closed,
        }
    }

    /// Whether to read from the socket.
    #[must_use]
    pub fn wants_read(&self) -> bool {
        match self.stage {
            Stage::Open => self.backlog.is_empty() && self.has_room(),
            // What a client still sends is drained, or it could not get to reading what it is told.
            Stage::Flushing { linger } => linger,
            Stage::Lingering { .. } => true,
            Stage::Ending(_) | Stage::Closed => false,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Lingering { until } => Some(until),
            Stage::Closed => None,
            _ => self.clocks.deadline(self.oldest_packet(), self.config.times.slow),
        }
    }

    /// Takes bytes that were read from the socket, whole or in any cut.
    pub fn handle_input(&mut self, input: &[u8], now: Instant, engine: &mut impl Engine) {
        if self.stage != Stage::Open {
            return;
        }
        if self.backlog.is_empty() {
            let mut rest = input;
            self.read_packets(&mut rest, now, engine);
            self.backlog.extend_from_slice(rest);
        } else {
            self.backlog.extend_from_slice(input);
            self.read_backlog(now, engine);
        }
        self.settle(now);
    }

    /// Takes note that so many bytes of [`output`](Self::output) were written.
    ///
    /// # Panics
    ///
    /// When that is more than the output holds.
    pub fn sent(&mut self, count: usize, now: Instant, engine: &mut impl Engine) {
        self.output.advance(count);
        if !self.backlog.is_empty() {
            self.read_backlog(now, engine);
        }
        self.settle(now);
    }

    /// Takes the answer to a request that the engine did not answer at once. It is dropped where the client has
    /// abandoned the request meanwhile.
    pub fn answer(&mut self, xid: Xid, reply: Reply<Data>, now: Instant, engine: &mut impl Engine) {
        if let Some(at) = self.executing.iter().rposition(|it| *it == xid) {
            self.executing.remove(at);
            self.reply(xid, reply, engine);
        }
        self.settle(now);
    }

    /// The client has ended its side of the stream (docs/PROTOCOL.md §5.2).
    pub fn handle_eof(&mut self, now: Instant, engine: &mut impl Engine) {
        self.depart(now, engine);
        match self.stage {
            Stage::Open | Stage::Ending(_) => self.stage = Stage::Ending(Ending::Eof),
            Stage::Flushing { .. } => self.stage = Stage::Flushing { linger: false },
            Stage::Lingering { .. } => self.stage = Stage::Closed,
            Stage::Closed => {}
        }
        self.settle(now);
    }

    /// The server stops: complete requests are answered, unfinished ones end with ABORT, then the connection is closed
    /// (docs/PROTOCOL.md §5.3).
    pub fn handle_shutdown(&mut self, now: Instant) {
        if self.stage == Stage::Open {
            self.stage = Stage::Ending(Ending::Shutdown);
        }
        self.settle(now);
    }

    /// Does what is due: closes a connection that is too slow or has been drained for long enough (docs/PROTOCOL.md §5.4).
    pub fn handle_timeout(&mut self, now: Instant, engine: &mut impl Engine) {
        let slow = self.config.times.slow;
        match self.stage {
            Stage::Lingering { until } if until <= now => self.stage = Stage::Closed,
            Stage::Lingering { .. } | Stage::Closed => {}
            _ if self.clocks.reader_is_slow(now, slow) => self.give_up(Incident::SlowReader, now, engine),
            _ if self.clocks.request_is_slow(self.oldest_packet(), now, slow) => {
                self.give_up(Incident::SlowRequest, now, engine);
            }
            _ => {}
        }
    }

    fn give_up(&mut self, incident: Incident, now: Instant, engine: &mut impl Engine) {
        engine.note(incident);
        self.depart(now, engine);
        self.drop_unfinished();
        self.output.cancel_all();
        self.stage = Stage::Closed;
    }

    fn depart(&mut self, now: Instant, engine: &mut impl Engine) {
        if !core::mem::replace(&mut self.departed, true) {
            engine.depart(self.peer, now);
        }
    }

    fn is_reading_packets(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Ending(_))
    }

    fn has_room(&self) -> bool {
        let limits = &self.config.limits;
        let replies = self.output.messages() + self.executing.len();
        replies < limits.queued_replies as usize && self.output.len() < limits.queued_bytes
    }

    fn read_backlog(&mut self, now: Instant, engine: &mut impl Engine) {
        let backlog = core::mem::take(&mut self.backlog);
        let mut rest = &backlog[..];
        self.read_packets(&mut rest, now, engine);
        let handled = backlog.len() - rest.len();
        self.backlog = backlog;
        self.backlog.drain(..handled);
        if self.backlog.is_empty() {
            self.backlog = Vec::new();
        }
    }

    fn read_packets(&mut self, input: &mut &[u8], now: Instant, engine: &mut impl Engine) {
        while self.is_reading_packets() && self.has_room() {
            let Some(fragment) = self.reader.next(input) else { break };
            if let Err(violation) = self.handle_fragment(&fragment, now, engine) {
                self.violated(fragment.header.xid, violation, now, engine);
            }
        }
        if self.is_reading_packets() {
            self.clocks.mark_packet(self.reader.is_inside_packet(), now);
        } else {
            *input = &[];
        }
    }

    fn handle_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<(), Violation> {
        if fragment.opens {
            if fragment.header.opcode == ABORT {
                return self.handle_abort(fragment.header);
            }
            self.open_packet(fragment.header)?;
        }
        let Some(message) = &mut self.current else { return Ok(()) };
        message.extend(fragment.payload);
        if !fragment.closes {
            return Ok(());
        }
        self.clocks.packet_ended();
        let Some(message) = self.current.take() else { return Ok(()) };
        self.close_packet(message, now, engine)
    }

    /// A packet begins: the next of a message that has begun, or a new message's first.
    fn open_packet(&mut self, header: Header) -> Result<(), Violation> {
        if !self.incoming.is_empty()
            && let Some(mut message) = self.incoming.remove(&header.xid)
        {
            let expected = message.header.continuation();
            message.header = header;
            self.current = Some(message);
            return if expected == Some(header) { Ok(()) } else { Err(Violation::Continuation) };
        }
        let opcode = Opcode::from_u8(header.opcode);
        let largest = u64::from(self.config.limits.record) + 16;
        if opcode.is_none() && u64::from(header.remaining) > largest {
            return Err(Violation::UnknownOpcode);
        }
        self.current = Some(Incoming::new(header, opcode, &self.budget));
        Ok(())
    }

    /// A packet has arrived whole, with the message so far.
    fn close_packet(
        &mut self,
        mut message: Incoming,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<(), Violation> {
        let Header { xid, .. } = message.header;
        let last = message.header.is_last();
        let judged = match message.state {
            State::Refused if last => {
                self.discarding -= 1;
                return Ok(());
            }
            State::Refused => None,
            State::Begun => Some(self.judge_beginning(&mut message, now, engine)),
            State::Accepted(request) => Some(match self.count_bytes(&mut message) {
                // Complete, it is judged as a whole: what comes before this limit in the order of checks is named.
                Err(overrun) if last => {
                    message.spoil(overrun);
                    Ok(request)
                }
                counted => counted.map(|()| request).map_err(Refusal::from),
            }),
        };
        match judged {
            Some(Ok(request)) if last => {
                self.unfinished -= message.unfinished() as u64;
                let budget = self.budget.clone();
                self.execute(xid, message.complete(request, &budget), now, engine);
                return Ok(());
            }
            Some(Ok(request)) => message.state = State::Accepted(request),
            Some(Err(refusal)) => {
                if !last && self.discarding >= self.config.limits.unfinished_requests {
                    return Err(Violation::TooManyDiscarded);
                }
                engine.note(Incident::Refused(message.opcode, refusal));
                self.output.push(xid, Reply::<Data>::Refused(refusal).encode());
                if last {
                    self.unfinished -= message.unfinished() as u64;
                    return Ok(());
                }
                self.discarding += 1;
                self.unfinished -= message.discard() as u64;
            }
            None => {}
        }
        message.last_packet = self.clocks.reading_time(now);
        self.incoming.insert(xid, message);
        Ok(())
    }

    /// Judges everything that can be judged with a message's first packet (docs/PROTOCOL.md §3.2).
    fn judge_beginning(
        &mut self,
        message: &mut Incoming,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<Request<u32>, Refusal> {
        let request = message.parse()?;
        if message.header.is_last() {
            // Complete: the engine judges it when it carries it out.
            return Ok(request);
        }
        engine.judge(self.peer, &request, now)?;
        let limit = self.config.limits.unfinished_requests;
        let unfinished = self.incoming.len() - self.discarding as usize;
        match self.count_bytes(message) {
            // Of several quotas the lowest number is named: 1 before 4 before 5.
            Err(overrun @ Overrun::Total(_)) => Err(overrun.into()),
            _ if unfinished >= limit as usize => {
                Err(Refusal::QuotaExceeded { quota: Quota::UnfinishedRequests, limit: u64::from(limit) })
            }
            counted => counted.map(|()| request).map_err(Refusal::from),
        }
    }

    /// Counts the bytes of a packet that has arrived (docs/PROTOCOL.md §7.2).
    fn count_bytes(&mut self, message: &mut Incoming) -> Result<(), Overrun> {
        let bytes = message.header.payload_len();
        let limit = self.config.limits.connection_unfinished;
        if self.unfinished.saturating_add(bytes as u64) > limit {
            self.budget.allow(bytes)?;
            return Err(Overrun::Unfinished(limit));
        }
        message.charge(bytes)?;
        self.unfinished += bytes as u64;
        Ok(())
    }

    fn execute(&mut self, xid: Xid, request: Request<Payload>, now: Instant, engine: &mut impl Engine) {
        match engine.execute(self.peer, xid, request, now) {
            Some(reply) => self.reply(xid, reply, engine),
            None => self.executing.push(xid),
        }
    }

    fn reply(&mut self, xid: Xid, reply: Reply<Data>, engine: &mut impl Engine) {
        let message = match reply {
            Reply::Pointers(pointers) => self.list(pointers).unwrap_or_else(|refusal| {
                // The request itself was counted when it was carried out.
                engine.note(Incident::Refused(None, refusal));
                Reply::Refused(refusal).encode()
            }),
            reply => reply.encode(),
        };
        self.output.push(xid, message);
    }

    /// The one reply whose bytes are made here, away from the store's lock: sorted, and counted like all others.
    fn list(&self, mut pointers: Vec<Pointer>) -> Result<Message<Data>, Refusal> {
        pointers.sort_unstable();
        let message = Reply::<Vec<u8>>::Pointers(pointers).encode();
        let mut payload = Payload::new(self.budget.clone());
        payload.extend(&message.body, message.body.len());
        let Message { opcode, access, operands, .. } = message;
        Ok(Message { opcode, access, operands, body: payload.settle()? })
    }

    /// The client abandons a transaction (docs/PROTOCOL.md §2.5).
    fn handle_abort(&mut self, header: Header) -> Result<(), Violation> {
        if header.remaining != 0 || header.access != 0 {
            return Err(Violation::Abort);
        }
        self.clocks.packet_ended();
        let xid = header.xid;
        let mut abandoned = false;
        if let Some(message) = self.incoming.remove(&xid) {
            if message.state == State::Refused {
                // Its refusal was its terminal.
                self.discarding -= 1;
                return Ok(());
            }
            self.unfinished -= message.unfinished() as u64;
            abandoned = true;
        }
        let before = self.executing.len();
        self.executing.retain(|it| *it != xid);
        abandoned |= self.executing.len() < before;
        abandoned |= self.output.cancel(xid);
        if abandoned {
            self.abort(xid);
        }
        Ok(())
    }

    fn abort(&mut self, xid: Xid) {
        self.output.push(xid, Message::<Data>::bare(ABORT, 0, Operands::new()));
    }

    /// The client broke the protocol (docs/PROTOCOL.md §5.1).
    fn violated(&mut self, xid: Xid, violation: Violation, now: Instant, engine: &mut impl Engine) {
        engine.note(Incident::Violated(violation));
        self.depart(now, engine);
        self.drop_unfinished();
        self.executing.clear();
        self.last_word = Some((xid, violation));
        self.stage = Stage::Flushing { linger: self.stage != Stage::Ending(Ending::Eof) };
    }

    fn drop_unfinished(&mut self) {
        self.current = None;
        self.incoming = HashMap::default();
        self.discarding = 0;
        self.unfinished = 0;
        self.backlog = Vec::new();
        self.clocks.packet_ended();
    }

    /// Of the unfinished requests' latest complete packets the oldest, in reading time.
    fn oldest_packet(&self) -> Option<Instant> {
        let arriving = self.current.iter().filter(|message| message.state != State::Begun);
        self.incoming.values().chain(arriving).map(|message| message.last_packet).min()
    }

    /// Goes on to the next stage where this one has come to its end, and sets the clocks.
    fn settle(&mut self, now: Instant) {
        if let Stage::Ending(ending) = self.stage
            && self.backlog.is_empty()
        {
            self.end(ending);
        }
        if let Stage::Flushing { linger } = self.stage
            && self.executing.is_empty()
        {
            if self.output.is_empty()
                && let Some((xid, violation)) = self.last_word.take()
            {
                self.output.push(xid, Reply::<Data>::Malformed(violation).encode());
            }
            if self.output.is_empty() {
                self.stage = if linger {
                    Stage::Lingering { until: now + self.config.times.linger }
                } else {
                    Stage::Closed
                };
            }
        }
        let reading = self.wants_read();
        self.clocks.mark_reading(reading, now);
        self.clocks.mark_output(&self.output, self.config.times.slow_bytes, now);
    }

    fn end(&mut self, ending: Ending) {
        if ending == Ending::Shutdown {
            let mut unanswered: Vec<Xid> = self
                .incoming
                .values()
                .chain(&self.current)
                .filter(|it| it.state != State::Refused)
                .map(|it| it.header.xid)
                .collect();
            unanswered.sort_unstable();
            unanswered.into_iter().for_each(|xid| self.abort(xid));
        }
        self.drop_unfinished();
        self.stage = Stage::Flushing { linger: ending == Ending::Shutdown };
    }
}
