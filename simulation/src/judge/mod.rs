//! Knows what a server has to do: it sees every byte that goes in and comes out, and carries out every request once more
//! on plain maps (docs/PROTOCOL.md §3 to §6).

mod execute;
mod input;
mod memory;
mod output;
mod records;
mod standing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use bytes::Bytes;
use netswap_core::config::Config;
use netswap_core::error::{Quota, Refusal};
use netswap_core::store::Statistics;
use netswap_core::types::Owner;
use netswap_core::wire::{Header, Reply};

use crate::failure::{Failure, Invariant};
use input::Incoming;
pub use input::Progress;
use records::{History, Pointers, Record};
use standing::{Wait, Watch};

/// The number of a connection in one run.
pub type ConnectionNumber = u32;

/// What the judge knows of a server and its clients.
pub struct Judge {
    config: Config,
    /// Milliseconds since the start.
    now: u64,
    records: BTreeMap<u64, Record>,
    histories: BTreeMap<u64, History>,
    pointers: Pointers,
    /// How many connections keep an owner's records alive.
    present: BTreeMap<Owner, u32>,
    connections: BTreeMap<ConnectionNumber, Connection>,
    watches: BTreeMap<u64, Watch>,
    waits: Vec<Wait>,
    next_watch: u64,
    /// Bytes of unfinished requests.
    unfinished: u64,
    /// Whether the server has memory for whatever may come: then it must not refuse anything for it.
    ample: bool,
    /// Whether time has passed a deadline and the server has not been told.
    late: bool,
    requests: u64,
    /// The writes that have taken effect.
    effective: BTreeSet<(ConnectionNumber, u32)>,
    reached: BTreeSet<(u8, u8)>,
}

/// What is known of a connection.
struct Connection {
    owner: Owner,
    stage: Stage,
    present: bool,
    /// What has come and was not looked at.
    input: VecDeque<u8>,
    /// The packet that has begun.
    current: Option<Header>,
    incoming: BTreeMap<u32, Incoming>,
    unfinished: u64,
    discarding: u32,
    /// Watches and waiting reads, as the connection sees them.
    standing: BTreeSet<u32>,
    /// How many of them the records know.
    desk: BTreeSet<u32>,
    /// What is to come, by XID.
    expected: BTreeMap<u32, VecDeque<Expected>>,
    /// What comes after everything else.
    last_word: Option<(u32, Message)>,
    said_last_word: bool,
    /// What has come of the packet and the messages that are on their way.
    output: Vec<u8>,
    arriving: BTreeMap<u32, (Header, Vec<u8>)>,
    /// XIDs that were used in a way in which answers cannot be told apart.
    misused: BTreeSet<u32>,
    turned_away: bool,
    /// Whether it is known what the server has done with all that was sent.
    known: bool,
    /// When it was opened.
    opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client has ended its side.
    Eof,
    /// Nothing is read any more.
    Ending,
}

/// A message as it must come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    code: u8,
    access: u8,
    payload: Vec<u8>,
    body: Bytes,
}

#[derive(Clone, Debug)]
enum Expected {
    Reply(Message),
    /// What the watch is told.
    Watch(u64),
    /// A waiting read, of which nothing is known yet.
    Waiting,
    /// An ABORT: of what is not sent yet, or, where it may be on its way already, none.
    Abort {
        certain: bool,
    },
}

impl Message {
    fn of(reply: Reply<Payload>) -> Self {
        let message = reply.encode();
        let (code, access, payload) = (message.opcode, message.access, message.operands.as_slice().to_vec());
        Self { code, access, payload, body: message.body.0 }
    }

    fn len(&self) -> usize {
        self.payload.len() + self.body.len()
    }

    fn fits(&self, header: &Header, payload: &[u8]) -> bool {
        let (operands, body) = payload.split_at(self.payload.len().min(payload.len()));
        header.opcode == self.code
            && header.access == self.access
            && operands == self.payload
            && body == &self.body[..]
    }
}

/// The data of records, as the judge holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Payload(Bytes);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Judge {
    /// The judge of a server that is about to start.
    #[must_use]
    pub fn new(config: &Config, ample: bool) -> Self {
        Self {
            config: config.clone(),
            now: 0,
            records: BTreeMap::new(),
            histories: BTreeMap::new(),
            pointers: Pointers::new(config),
            present: BTreeMap::new(),
            connections: BTreeMap::new(),
            watches: BTreeMap::new(),
            waits: Vec::new(),
            next_watch: 0,
            unfinished: 0,
            ample,
            late: false,
            requests: 0,
            effective: BTreeSet::new(),
            reached: BTreeSet::new(),
        }
    }

    /// Requests that were carried out or refused.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Codes and ACCESS bytes of what the server has sent.
    #[must_use]
    pub fn reached(&self) -> &BTreeSet<(u8, u8)> {
        &self.reached
    }

    /// When the next record ends by itself, in milliseconds since the start.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.next_end().map(|(at, ..)| at)
    }

    /// The data and the version of a record that has not ended.
    #[must_use]
    pub fn record(&self, pointer: u64) -> Option<(u64, &Bytes)> {
        self.records.get(&pointer).map(|record| (record.version, &record.data))
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// Whether a write that a connection asked for has taken effect.
    #[must_use]
    pub fn took_effect(&self, number: ConnectionNumber, xid: u32) -> bool {
        self.effective.contains(&(number, xid))
    }

    /// A client has connected; `refused` is whether it is turned away.
    pub fn opened(
        &mut self,
        number: ConnectionNumber,
        address: IpAddr,
        served: Option<bool>,
    ) -> Result<(), Failure> {
        self.expire()?;
        let owner = self.config.identity_key.owner(address);
        let refusal = self.refuse_connection(owner);
        if served != Some(refusal.is_none()) {
            let what = format!("a connection is {served:?}, but expected is {refusal:?}");
            return Err(Failure::of(Invariant::Limits, number, what));
        }
        let mut connection = Connection::new(owner, self.now);
        if let Some(refusal) = refusal {
            connection.turned_away = true;
            connection.stage = Stage::Ending;
            connection.expect(0, Expected::Reply(Message::of(Reply::Refused(refusal))));
        } else {
            connection.present = true;
            self.arrive(owner);
        }
        self.connections.insert(number, connection);
        Ok(())
    }

    fn refuse_connection(&self, owner: Owner) -> Option<Refusal> {
        let limits = &self.config.limits;
        let over = |quota, limit: u32| Refusal::QuotaExceeded { quota, limit: u64::from(limit) };
        let served = self.connections.values().filter(|it| !it.turned_away);
        if served.clone().count() >= limits.connections as usize {
            return Some(over(Quota::Connections, limits.connections));
        }
        let limit = limits.connections_per_address?;
        let of_address = served.filter(|it| it.owner == owner).count();
        (of_address >= limit as usize).then(|| over(Quota::ConnectionsOfAddress, limit))
    }

    /// A connection's socket is closed, whoever has closed it.
    pub fn closed(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        self.depart(number)?;
        if let Some(connection) = self.connections.remove(&number) {
            self.unfinished -= connection.unfinished;
        }
        Ok(())
    }

    /// The server closes a connection; `slow` is whether it says that it was too slow.
    ///
    /// # Errors
    ///
    /// There is no reason to, or something is still to be said.
    pub fn ended_by_server(&mut self, number: ConnectionNumber, slow: bool) -> Result<(), Failure> {
        let open = self.connections.get(&number).filter(|it| it.stage == Stage::Open);
        let age = open.map_or(u64::MAX, |it| self.now - it.opened);
        if slow && age < self.config.times.slow.as_millis() as u64 {
            let what = format!("it is closed as too slow {age} ms after it was opened");
            return Err(Failure::of(Invariant::Liveness, number, what));
        }
        if !slow {
            self.guess(number)?;
        }
        let Some(connection) = self.connections.get(&number).filter(|_| !slow) else { return Ok(()) };
        if connection.stage == Stage::Open {
            return Err(Failure::of(Invariant::Liveness, number, "the server closes it for no reason"));
        }
        for (xid, expected) in &connection.expected {
            for expected in expected {
                match expected {
                    Expected::Reply(message) => {
                        let what = format!("request {xid} is not answered before the connection is closed");
                        return Err(Failure::expecting(Invariant::OneTerminal, number, what, *xid, message));
                    }
                    Expected::Abort { certain: true } if connection.last_word.is_none() => {
                        let what =
                            format!("the ABORT of {xid} is not answered before the connection is closed");
                        return Err(Failure::of(Invariant::OneTerminal, number, what));
                    }
                    _ => {}
                }
            }
        }
        if connection.last_word.is_some() && !connection.said_last_word {
            return Err(Failure::of(Invariant::Violations, number, "it is closed without the last word"));
        }
        Ok(())
    }

    /// Time is this late now. Where that is told with `late`, the server has not been called for what is due.
    pub fn passed(&mut self, now: u64, late: bool) -> Result<(), Failure> {
        self.now = now;
        self.late = late;
        // Otherwise it finds out with the next request.
        if late { Ok(()) } else { self.expire() }
    }

    /// Compares what the server counts with what it must hold.
    pub fn check(&self, statistics: &Statistics, settled: bool) -> Result<(), Failure> {
        let fail = |what: String| Err(Failure::everywhere(Invariant::Accounting, what));
        let limits = &self.config.limits;
        let beyond = memory::beyond_total(statistics.records, statistics.owners);
        if statistics.bytes > limits.total + beyond {
            return fail(format!("{} bytes are above the total of {}", statistics.bytes, limits.total));
        }
        // Each connection may have taken a watch, or its last notifications, too many.
        let places = limits.places + 6 * statistics.connections;
        if statistics.places > places || statistics.connections == 0 && statistics.places > 0 {
            return fail(format!("{} places are taken, of {}", statistics.places, limits.places));
        }
        let known = self.connections.values().all(|it| it.known);
        if known && statistics.unfinished_bytes != self.unfinished {
            let (counted, real) = (statistics.unfinished_bytes, self.unfinished);
            return fail(format!("{counted} unfinished bytes are counted, but there are {real}"));
        }
        if statistics.connections != self.connections.len() as u64 {
            let (counted, real) = (statistics.connections, self.connections.len());
            return fail(format!("{counted} connections are counted, but there are {real}"));
        }
        if self.late || !known {
            return Ok(());
        }
        let records = self.records.len() as u64;
        if statistics.records != records {
            return fail(format!("{} records are counted, but there are {records}", statistics.records));
        }
        let served = self.connections.values().filter(|it| !it.turned_away);
        let mut owners: BTreeSet<Owner> = served.map(|it| it.owner).collect();
        let connected = owners.len();
        owners.extend(self.records.values().map(|it| it.owner));
        if statistics.owners != owners.len() as u64 {
            return fail(format!("{} owners are counted, but there are {}", statistics.owners, owners.len()));
        }
        let (least, most) = self.stored(owners.len() - connected);
        let least = least + self.unfinished;
        let most = if settled { most + self.unfinished } else { u64::MAX };
        if !(least..=most).contains(&statistics.bytes) {
            return fail(format!("{} bytes are counted, but {least} to {most} are held", statistics.bytes));
        }
        Ok(())
    }

    /// Nothing is on its way any more: whatever was asked is answered, and whoever watches knows the newest state.
    pub fn check_quiet(&self) -> Result<(), Failure> {
        for (number, connection) in &self.connections {
            let fail = |invariant, what| Err(Failure::of(invariant, *number, what));
            if let Some((xid, message)) = connection.incoming.iter().next() {
                return fail(Invariant::Liveness, format!("request {xid} is still unfinished: {message:?}"));
            }
            for (xid, expected) in &connection.expected {
                for expected in expected {
                    match expected {
                        Expected::Reply(message) => {
                            let (code, len) = (message.code, message.len());
                            let what = format!("request {xid} is not answered with code {code}, {len} bytes");
                            return Err(Failure::expecting(
                                Invariant::OneTerminal,
                                *number,
                                what,
                                *xid,
                                message,
                            ));
                        }
                        Expected::Abort { certain: true } => {
                            let what = format!("the ABORT of {xid} is not answered");
                            return fail(Invariant::OneTerminal, what);
                        }
                        Expected::Watch(id) => self.check_told(*number, *id)?,
                        Expected::Abort { .. } | Expected::Waiting => {}
                    }
                }
            }
            if connection.stage != Stage::Open {
                return fail(Invariant::Liveness, "the connection has ended and is not closed".into());
            }
        }
        Ok(())
    }
}

impl Connection {
    fn new(owner: Owner, opened: u64) -> Self {
        Self {
            owner,
            stage: Stage::Open,
            present: false,
            input: VecDeque::new(),
            current: None,
            incoming: BTreeMap::new(),
            unfinished: 0,
            discarding: 0,
            standing: BTreeSet::new(),
            desk: BTreeSet::new(),
            expected: BTreeMap::new(),
            last_word: None,
            said_last_word: false,
            output: Vec::new(),
            arriving: BTreeMap::new(),
            misused: BTreeSet::new(),
            turned_away: false,
            known: true,
            opened,
        }
    }

    fn expect(&mut self, xid: u32, expected: Expected) {
        if !self.misused.contains(&xid) {
            self.expected.entry(xid).or_default().push_back(expected);
        }
    }
}
