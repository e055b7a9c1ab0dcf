//! The server's side of one connection: bytes in, requests to the engine, replies out in turn.

mod aligning;
mod clocks;
mod endings;
mod incoming;
mod listing;
mod requests;
mod standing;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Buf, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use aligning::Aligning;
use clocks::Clocks;
use endings::{Ending, Stage};
use incoming::{Incoming, State};
use listing::Listing;
pub(crate) use standing::Stand;

use crate::config::Config;
use crate::engine::{Engine, Incident, Peer};
use crate::error::{Refusal, Violation};
use crate::memory::{Budget, Data, Places};
use crate::queue::Queue;
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::{Output, PacketReader, Reply};

/// Chunks of data that a connection drops at a time.
const PORTION: usize = 64;

/// The state of one connection, from its first byte to its close.
///
/// Whoever owns the socket drives it, in any order of calls:
///
/// - what was read goes to [`handle_input`](Self::handle_input), the end of the stream to [`handle_eof`](Self::handle_eof);
/// - [`output`](Self::output) holds what is to be written; what was written is told with [`sent`](Self::sent);
/// - [`wants_read`](Self::wants_read) says whether to read: it is false while too many replies wait (docs/PROTOCOL.md §7.3);
/// - [`has_work`](Self::has_work) says whether to call [`handle_work`](Self::handle_work), after others had their turn;
/// - [`poll_timeout`](Self::poll_timeout) says when to call [`handle_timeout`](Self::handle_timeout);
/// - [`phase`](Self::phase) says when to shut down the sending side and when to close the socket.
///
/// State changes when bytes arrive: a request is handed to the [`Engine`] within the call that completed it, or, where many
/// arrived at once, within the calls of [`handle_work`](Self::handle_work) that follow. A connection that never gets its close is the engine's to forget: see [`Store::disconnect`](crate::store::Store::disconnect).
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    config: Arc<Config>,
    places: Places,
    reader: PacketReader,
    /// The message whose packet came last, or is arriving.
    current: Option<Incoming>,
    /// The others that have begun and not ended.
    incoming: HashMap<Xid, Incoming, FixedState>,
    /// How many of all these were refused.
    discarding: u32,
    /// What all these count as unfinished.
    unfinished: u64,
    /// A request that is carried out in portions.
    occupation: Option<Box<Occupation>>,
    /// Whether the engine may have more mail.
    has_mail: bool,
    /// Requests that the engine has not answered yet.
    executing: Vec<Xid>,
    /// Watches and waiting reads.
    standing: HashMap<Xid, Stand, FixedState>,
    /// Those watches that have news to be sent when there is room.
    newsworthy: Queue<Xid>,
    /// What was read and must wait until replies have left, or for its turn.
    backlog: Option<Box<BytesMut>>,
    /// Packets that may be handled in this call.
    turn: u32,
    output: Output,
    stage: Stage,
    /// What is said after everything else.
    last_word: Option<(Xid, Violation)>,
    departed: bool,
    clocks: Clocks,
}

/// A request that takes many calls. No other of its connection is carried out meanwhile.
#[derive(Debug)]
enum Occupation {
    Listing(Listing),
    /// An APPEND that is being cut into other chunks.
    Aligning(Aligning),
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
        let hasher = config.hasher(peer.id.0);
        Self {
            peer,
            config,
            places: Places::new(budget),
            reader: PacketReader::default(),
            current: None,
            incoming: HashMap::with_hasher(hasher.clone()),
            discarding: 0,
            unfinished: 0,
            occupation: None,
            has_mail: false,
            executing: Vec::new(),
            standing: HashMap::with_hasher(hasher.clone()),
            newsworthy: Queue::default(),
            backlog: None,
            turn: 0,
            output: Output::new(hasher),
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
            Stage::Open => self.backlog.is_none() && !self.is_occupied() && self.has_room(),
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
        if self.backlog.is_none() && !self.is_occupied() {
            let mut rest = input;
            self.turn = self.config.portions.packets;
            self.read_packets(&mut rest, now, engine);
            if !rest.is_empty() {
                self.backlog.get_or_insert_default().extend_from_slice(rest);
            }
        } else {
            self.backlog.get_or_insert_default().extend_from_slice(input);
            self.read_backlog(now, engine);
        }
        self.drop_garbage(engine);
        self.settle(now);
    }

    /// Whether requests that were read, or one that is carried out in portions, wait for nothing but their turn: for a call of [`handle_work`](Self::handle_work).
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.is_occupied() || (self.backlog.is_some() && self.is_reading_packets() && self.has_room())
    }

    /// Goes on with what was read. One call takes less than a millisecond, as each of the others does: others get their
    /// turn before the next.
    pub fn handle_work(&mut self, now: Instant, engine: &mut impl Engine) {
        if core::mem::take(&mut self.has_mail) {
            self.take_mail(engine);
        } else if self.is_occupied() {
            match self.occupation.take().map(|occupation| *occupation) {
                Some(Occupation::Listing(listing)) => self.continue_list(listing, now, engine),
                Some(Occupation::Aligning(aligning)) => self.continue_aligning(aligning, now, engine),
                None => {}
            }
        } else if self.has_work() {
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
        self.tell_news(engine);
        if self.backlog.is_some() {
            self.read_backlog(now, engine);
        }
        self.drop_garbage(engine);
        self.settle(now);
    }

    /// Takes the answer to a request that the engine did not answer at once. It is dropped where the client has
    /// abandoned the request meanwhile.
    pub fn answer(&mut self, xid: Xid, reply: Reply<Data>, now: Instant, engine: &mut impl Engine) {
        if let Some(at) = self.executing.iter().rposition(|it| *it == xid) {
            self.executing.remove(at);
            self.reply(xid, reply, engine);
            if matches!(self.stage, Stage::Flushing { .. }) && self.give_up_standing(xid, engine) {
                // A watch that begins after all others have ended.
                self.abort(xid);
            }
            self.take_mail(engine);
        }
        self.settle(now);
    }

    /// The engine has something for this connection beside answers to its requests: it is told so when another
    /// connection's request, or time, concerns one of its watches or waiting reads.
    pub fn handle_mail(&mut self, now: Instant, engine: &mut impl Engine) {
        self.take_mail(engine);
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
        self.drop_garbage(engine);
    }

    /// Gives up everything, because the socket is closed: what is large is left to the engine to be dropped in portions.
    pub fn dismantle(&mut self, engine: &mut impl Engine) {
        self.drop_occupation();
        self.drop_unfinished();
        self.output.cancel_all();
        self.stage = Stage::Closed;
        engine.discard(self.output.garbage());
    }

    /// Whether a request is carried out in portions, or mail taken, which must be before anything else.
    fn is_occupied(&self) -> bool {
        (self.has_mail || self.occupation.is_some()) && !matches!(self.stage, Stage::Closed)
    }

    fn drop_occupation(&mut self) {
        if let Some(Occupation::Aligning(aligning)) = self.occupation.take().map(|it| *it) {
            aligning.discard(self.output.garbage());
        }
    }

    /// Drops a portion of what was large, and leaves the rest to the engine.
    #[inline]
    fn drop_garbage(&mut self, engine: &mut impl Engine) {
        if !self.output.garbage().is_empty() {
            self.drop_some_garbage(engine);
        }
    }

    #[cold]
    fn drop_some_garbage(&mut self, engine: &mut impl Engine) {
        let garbage = self.output.garbage();
        drop(garbage.take(PORTION));
        if !garbage.is_empty() {
            engine.discard(garbage);
        }
    }

    /// Of the unfinished requests' latest complete packets the oldest, in reading time.
    fn oldest_packet(&self) -> Option<Instant> {
        let arriving = self.current.iter().filter(|message| message.state != State::Begun);
        self.incoming.values().chain(arriving).map(|message| message.last_packet).min()
    }
}
