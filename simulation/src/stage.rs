//! A server and its judge: what happens to the one is told to the other, and kept on a tape.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netswap_core::config::{Config, ConfigError};
use netswap_core::connection::Phase;
use netswap_core::engine::ConnectionId;
use netswap_core::error::{Quota, Violation};
use netswap_core::server::Server;
use netswap_core::store::{Counters, Statistics};
use netswap_core::time::Instant;
use netswap_core::wire::{HEADER_LEN, Header, Opcode, RUN};

use crate::failure::{Failure, Invariant};
use crate::judge::{ConnectionNumber, Judge, Progress};
use crate::sabotage::{Sabotage, Saboteur};

/// Something that happens to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client connects from 127.0.0.x.
    Open(ConnectionNumber, u8),
    /// Bytes come from a client.
    Input(ConnectionNumber, Vec<u8>),
    /// A client's socket takes at most so many bytes.
    Take(ConnectionNumber, usize),
    /// A client ends its side of the stream.
    HalfClose(ConnectionNumber),
    /// A client, or the network, cuts a connection.
    Reset(ConnectionNumber),
    /// Milliseconds pass; with `late` the server is not called before the last of them.
    Pass {
        /// How many.
        time: u64,
        /// Whether the server is called late.
        late: bool,
    },
    /// The server is told to stop.
    Stop,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Setting {
    /// What it is told.
    pub config: Config,
    /// Whether bytes are handed over packet by packet, so that it is known which request is refused for want of
    /// memory. Otherwise there is memory for everything.
    pub packetwise: bool,
    /// How many records the server ends in one call, if not as many as by default. It is then called until nothing is due.
    pub portion: Option<u32>,
    /// What is wrong with it.
    pub sabotage: Option<Sabotage>,
}

/// A server, its judge, and the tape of all that has happened.
pub struct Stage {
    server: Server,
    judge: Judge,
    setting: Setting,
    saboteur: Saboteur,
    /// Milliseconds since the start.
    now: u64,
    sockets: BTreeMap<ConnectionNumber, Socket>,
    numbers: BTreeMap<ConnectionId, ConnectionNumber>,
    ended: BTreeSet<ConnectionNumber>,
    counters: Counters,
    tape: Vec<(Event, Vec<u8>)>,
    digest: DefaultHasher,
}

struct Socket {
    id: ConnectionId,
    /// What is to be handed over when the server reads.
    held: Vec<u8>,
    /// Bytes that are missing of the packet that was handed over last.
    missing: usize,
}

/// The address of a client.
#[must_use]
pub fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

fn requests(counters: &Counters) -> u64 {
    Opcode::ALL.iter().map(|opcode| counters.requests(*opcode)).sum::<u64>() + counters.unknown_requests()
}

impl Stage {
    /// A server that nobody is connected to.
    ///
    /// # Errors
    ///
    /// The limits cannot be kept.
    pub fn new(setting: &Setting) -> Result<Self, ConfigError> {
        let mut server = Server::new(setting.config.clone())?;
        if let Some(portion) = setting.portion {
            server.set_portion(portion);
        }
        Ok(Self {
            judge: Judge::new(&setting.config, !setting.packetwise),
            counters: server.store().statistics().counters,
            server,
            setting: setting.clone(),
            saboteur: Saboteur::new(setting.sabotage),
            now: 0,
            sockets: BTreeMap::new(),
            numbers: BTreeMap::new(),
            ended: BTreeSet::new(),
            tape: Vec::new(),
            digest: DefaultHasher::new(),
        })
    }

    /// Milliseconds since the start.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What is known of how things must be.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }

    /// What the server counts.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.server.store().statistics()
    }

    /// What has happened, each with the bytes that were taken by it.
    #[must_use]
    pub fn into_tape(self) -> Vec<(Event, Vec<u8>)> {
        self.tape
    }

    /// The latest of it.
    #[must_use]
    pub fn last(&self) -> Option<(&Event, &[u8])> {
        self.tape.last().map(|(event, taken)| (event, &taken[..]))
    }

    /// A number that is the same if and only if the same has happened.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// How many bytes the server has for a connection.
    #[must_use]
    pub fn waiting(&self, number: ConnectionNumber) -> usize {
        let output = self.sockets.get(&number).and_then(|it| self.server.output(it.id));
        output.map_or(0, |it| it.window_len())
    }

    /// Whether the server reads from a connection.
    #[must_use]
    pub fn reads(&self, number: ConnectionNumber) -> bool {
        let Some(socket) = self.sockets.get(&number) else { return false };
        socket.held.is_empty() && self.server.connection(socket.id).is_some_and(|it| it.wants_read())
    }

    /// Whether a connection is open on the server's side.
    #[must_use]
    pub fn is_open(&self, number: ConnectionNumber) -> bool {
        self.sockets.contains_key(&number)
    }

    /// Whether the server has ended its sending side, after its last byte.
    #[must_use]
    pub fn has_ended(&self, number: ConnectionNumber) -> bool {
        let connection = self.sockets.get(&number).and_then(|it| self.server.connection(it.id));
        connection.is_none_or(|it| it.phase() != Phase::Open && it.output().window_len() == 0)
    }

    /// When the server wants to be called, in milliseconds.
    #[must_use]
    pub fn next_timeout(&self) -> Option<u64> {
        self.server.poll_timeout().map(|at| at.since_start().as_millis() as u64)
    }

    fn instant(&self) -> Instant {
        let behind = self.saboteur.clock_behind();
        Instant::after_start(Duration::from_millis(self.now.saturating_sub(behind)))
    }

    /// Lets something happen; the bytes that were taken.
    ///
    /// # Errors
    ///
    /// Something is not as it must be.
    pub fn act(&mut self, event: Event) -> Result<Vec<u8>, Failure> {
        let before = self.now;
        let done = self.perform(&event);
        let taken = done.as_ref().map_or_else(|(taken, _)| taken.clone(), Vec::clone);
        (before, &taken).hash(&mut self.digest);
        self.tape.push((event, taken));
        done.map_err(|(_, failure)| failure)
    }

    fn perform(&mut self, event: &Event) -> Result<Vec<u8>, (Vec<u8>, Failure)> {
        let taken = match *event {
            Event::Take(number, most) => {
                let taken = self.take(number, most);
                let shown = self.saboteur.output(number, &taken);
                self.took(number, taken.len(), &shown)
                    .map(|()| shown.clone())
                    .map_err(|failure| (shown, failure))?
            }
            _ => {
                self.change(event).map_err(|failure| (Vec::new(), failure))?;
                Vec::new()
            }
        };
        let settled = self.catch_up().and_then(|()| self.close()).and_then(|()| {
            let statistics = self.statistics();
            self.judge.check(&statistics, false).and_then(|()| self.check_memory(&statistics))
        });
        settled.map(|()| taken.clone()).map_err(|failure| (taken, failure))
    }

    /// Judges whether the server keeps to the bound that it tells of its memory (docs/PROTOCOL.md §7).
    fn check_memory(&self, statistics: &Statistics) -> Result<(), Failure> {
        let limits = &self.setting.config.limits;
        // Watches at their end leave up to six notifications and an ABORT, whatever else waits.
        let most = limits.queued_replies as usize + 7 * limits.watches as usize + 8;
        let mut held = statistics.bytes;
        for (number, socket) in &self.sockets {
            let Some(output) = self.server.output(socket.id) else { continue };
            let (window, messages) = (output.window_len(), output.messages());
            if window > RUN || messages > most {
                let what = format!("{window} bytes are in the window, and {messages} messages wait");
                return Err(Failure::of(Invariant::Accounting, *number, what));
            }
            held += window as u64;
        }
        if held > limits.memory_bound() {
            let what = format!("{held} bytes are held, above the bound of {}", limits.memory_bound());
            return Err(Failure::everywhere(Invariant::Accounting, what));
        }
        Ok(())
    }

    fn change(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::Open(number, host) => self.open(*number, address(*host)),
            Event::Input(number, bytes) => {
                let Some(socket) = self.sockets.get_mut(number) else { return Ok(()) };
                if self.setting.packetwise || self.setting.sabotage.is_some() {
                    socket.held.extend_from_slice(bytes);
                    return self.feed(*number);
                }
                self.hand(*number, bytes, bytes)
            }
            Event::HalfClose(number) => {
                let Some(socket) = self.sockets.get_mut(number) else { return Ok(()) };
                socket.held.clear();
                let id = socket.id;
                let drained = self.setting.packetwise
                    || self.server.connection(id).is_some_and(|connection| connection.wants_read());
                let now = self.instant();
                self.server.handle_eof(id, now);
                self.judge.half_closed(*number, drained)?;
                self.advance(*number)
            }
            Event::Reset(number) => {
                if let Some(socket) = self.sockets.remove(number) {
                    self.numbers.remove(&socket.id);
                    if !self.saboteur.keeps_connection() {
                        let now = self.instant();
                        self.server.disconnect(socket.id, now);
                    }
                    self.judge.closed(*number)?;
                }
                Ok(())
            }
            Event::Pass { time, late } => self.pass(*time, *late),
            Event::Stop => {
                let now = self.instant();
                self.server.handle_shutdown(now);
                self.judge.stopped();
                Ok(())
            }
            Event::Take(..) => Ok(()),
        }
    }

    fn open(&mut self, number: ConnectionNumber, address: IpAddr) -> Result<(), Failure> {
        let refused = self.counters.connections_refused;
        let now = self.instant();
        let peer = self.server.connect(address, now);
        self.counters = self.statistics().counters;
        let served = peer.map(|_| self.counters.connections_refused == refused);
        if let Some(peer) = peer {
            self.sockets.insert(number, Socket { id: peer.id, held: Vec::new(), missing: 0 });
            self.numbers.insert(peer.id, number);
        }
        self.judge.opened(number, address, served)
    }

    /// Hands over what is held, piece by piece, while the server reads.
    fn feed(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        loop {
            let Some(socket) = self.sockets.get_mut(&number) else { return Ok(()) };
            let reads = self.server.connection(socket.id).is_some_and(|it| it.wants_read());
            if !reads || socket.held.is_empty() {
                return Ok(());
            }
            if socket.missing > 0 {
                let len = socket.missing.min(socket.held.len());
                socket.missing -= len;
                let piece: Vec<u8> = socket.held.drain(..len).collect();
                self.hand(number, &piece, &piece)?;
                if let Some(again) = self.saboteur.repeated(number, &piece) {
                    self.hand(number, &[], &again)?;
                }
                continue;
            }
            let Some(header) = socket.held.first_chunk::<HEADER_LEN>().map(Header::decode) else {
                return Ok(());
            };
            socket.missing = header.payload_len();
            let piece: Vec<u8> = socket.held.drain(..HEADER_LEN).collect();
            let manipulated = self.saboteur.header(number, header);
            self.hand(number, &piece, &manipulated)?;
        }
    }

    /// Hands bytes over; with sabotage, others than the judge is shown.
    fn hand(&mut self, number: ConnectionNumber, shown: &[u8], bytes: &[u8]) -> Result<(), Failure> {
        let Some(id) = self.sockets.get(&number).map(|it| it.id) else { return Ok(()) };
        self.judge.handed(number, shown);
        let now = self.instant();
        self.server.handle_input(id, bytes, now);
        if self.saboteur.leaks() {
            // Nobody ever gives these back.
            let _ = self.server.store().budget().charge(64);
        }
        self.advance(number)
    }

    /// Tells the judge how far the server has come with a connection.
    fn advance(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        let Some(id) = self.sockets.get(&number).map(|it| it.id) else { return Ok(()) };
        let counters = self.statistics().counters;
        let more = |count: &dyn Fn(&Counters) -> u64| count(&counters) > count(&self.counters);
        // Where too many refused requests are being sent, the refusal is not counted, but what comes in its place is.
        let too_many = self.setting.packetwise && more(&|it| it.violations(Violation::TooManyDiscarded));
        let no_memory = too_many || more(&|it| it.quota(Quota::ServerMemory));
        let requests = requests(&counters) - requests(&self.counters);
        self.counters = counters;
        let drained = self.setting.packetwise
            || self.setting.sabotage.is_some()
            || self.server.connection(id).is_some_and(|connection| connection.wants_read());
        self.judge.advance(number, Progress { requests, no_memory, drained })
    }

    /// Takes bytes that the server has for a connection.
    fn take(&mut self, number: ConnectionNumber, most: usize) -> Vec<u8> {
        let Some(output) = self.sockets.get(&number).and_then(|it| self.server.output(it.id)) else {
            return Vec::new();
        };
        let most = if self.setting.sabotage.is_some() { usize::MAX } else { most };
        let mut taken = Vec::with_capacity(most.min(output.window_len()));
        for slice in output.slices() {
            let len = slice.len().min(most - taken.len());
            taken.extend_from_slice(&slice[..len]);
            if taken.len() == most {
                break;
            }
        }
        taken
    }

    fn took(&mut self, number: ConnectionNumber, taken: usize, shown: &[u8]) -> Result<(), Failure> {
        let Some(id) = self.sockets.get(&number).map(|it| it.id) else { return Ok(()) };
        self.judge.taken(number, shown)?;
        if taken > 0 {
            let now = self.instant();
            self.server.sent(id, taken, now);
            self.advance(number)?;
        }
        self.feed(number)
    }

    fn pass(&mut self, time: u64, late: bool) -> Result<(), Failure> {
        let until = self.now + time;
        // The judge knows what is not done yet only where it is all that is due.
        let late = late && self.setting.portion.is_none();
        while !late && let Some(due) = self.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.call()?;
            self.drain()?;
            if self.next_timeout() == Some(due) {
                break;
            }
        }
        self.now = until;
        self.judge.passed(until, late)
    }

    /// Calls the server for what is due.
    fn call(&mut self) -> Result<(), Failure> {
        self.judge.passed(self.now, false)?;
        let now = self.instant();
        self.server.handle_timeout(now);
        self.close()
    }

    /// Calls the server until nothing is due, where it ends few records in one call.
    fn catch_up(&mut self) -> Result<(), Failure> {
        if self.setting.portion.is_some() { self.drain() } else { Ok(()) }
    }

    /// Calls the server until nothing is due: it does a portion in one call, and while there is more to do it says so instead
    /// of when something ends next.
    fn drain(&mut self) -> Result<(), Failure> {
        for _ in 0..10_000 {
            let is_due = self.server.store().poll_timeout().is_some_and(|due| due <= self.instant());
            if !is_due {
                return Ok(());
            }
            self.call()?;
        }
        Err(Failure::everywhere(Invariant::Liveness, "something is due over and over"))
    }

    /// Closes the sockets that the server is done with.
    fn close(&mut self) -> Result<(), Failure> {
        let closed = self.server.closed();
        if closed.is_empty() {
            return Ok(());
        }
        let before = &self.counters;
        let counters = self.statistics().counters;
        let slow =
            counters.slow_readers > before.slow_readers || counters.slow_requests > before.slow_requests;
        self.counters = counters;
        for id in closed {
            let now = self.instant();
            if let Some(number) = self.numbers.remove(&id) {
                self.judge.ended_by_server(number, slow)?;
                self.sockets.remove(&number);
                self.ended.insert(number);
                self.judge.closed(number)?;
            }
            self.server.disconnect(id, now);
        }
        Ok(())
    }
}
