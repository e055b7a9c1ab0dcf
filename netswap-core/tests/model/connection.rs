//! The naive side of a connection: docs/PROTOCOL.md §2, §3.2 and §5, packet by packet.

use std::collections::BTreeMap;

use crate::memory::Memory;
use crate::naive::Store;
use crate::support::held_unfinished;
use crate::support::wire::{FULL, Message, invalid, malformed, op, quota, unsupported};
use crate::terms::{Caller, Event, Time, shape, u64_at};

/// How far a connection has come (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// What is queued is sent; then the client is drained where `linger` says so.
    Flushing {
        linger: bool,
    },
    Lingering {
        until: Time,
    },
    Closed,
}

pub(crate) struct Connection {
    pub(crate) who: u64,
    pub(crate) stage: Stage,
    /// Whether it keeps its owner's records alive.
    pub(crate) present: bool,
    pub(crate) turned_away: bool,
    messages: BTreeMap<u32, Unfinished>,
    /// The header that has come last, of a packet that is not complete.
    header: Option<Header>,
    clocks: Clocks,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    xid: u32,
    remaining: u32,
    op: u8,
    access: u8,
}

/// A request of several packets.
struct Unfinished {
    header: Header,
    payload: Vec<u8>,
    refused: bool,
    counted: u64,
    /// When its latest packet was complete, on the clock that stands while the server does not read.
    last_packet: Time,
}

impl Unfinished {
    /// Bytes of payload that were declared, or up to a packet more.
    fn declared(&self) -> u64 {
        self.payload.len() as u64 + u64::from(self.header.remaining)
    }
}

/// The clocks of §5.4.
#[derive(Default)]
struct Clocks {
    paused: Time,
    paused_since: Option<Time>,
    /// When a packet began that is not complete.
    packet: Option<Time>,
    /// Since when replies wait, and how much had been taken then.
    waiting: Option<(Time, u64)>,
}

impl Header {
    pub(crate) fn of(packet: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(packet[at..at + 4].try_into().unwrap());
        Self { xid: number(0), remaining: number(4), op: packet[8], access: packet[9] }
    }
}

impl Connection {
    pub(crate) fn new(who: u64, turned_away: bool) -> Self {
        let stage = if turned_away { Stage::Flushing { linger: true } } else { Stage::Open };
        let (messages, header, clocks) = (BTreeMap::new(), None, Clocks::default());
        Self { who, stage, present: !turned_away, turned_away, messages, header, clocks }
    }

    fn unfinished_requests(&self) -> usize {
        self.messages.values().filter(|it| !it.refused).count()
    }

    fn unfinished_bytes(&self) -> u64 {
        self.messages.values().map(|it| it.counted).sum()
    }

    /// The packet of unfinished requests that has waited for the longest, or the packet that is arriving.
    fn oldest(&self) -> Option<Time> {
        self.messages.values().map(|it| it.last_packet).chain(self.clocks.packet).min()
    }

    fn reading_time(&self, now: Time) -> Time {
        self.clocks.paused_since.unwrap_or(now) - self.clocks.paused
    }

    /// What the server was seen to do just now: whether it reads, and what of its output was taken.
    pub(crate) fn see(&mut self, reads: bool, idle: bool, taken: u64, enough: u64, linger: Time, now: Time) {
        let clocks = &mut self.clocks;
        match clocks.paused_since {
            Some(since) if reads => {
                clocks.paused += now - since;
                clocks.paused_since = None;
            }
            None if !reads => clocks.paused_since = Some(now),
            _ => {}
        }
        clocks.waiting = match clocks.waiting {
            _ if idle => None,
            Some((since, before)) if taken - before < enough => Some((since, before)),
            _ => Some((now, taken)),
        };
        if let (Stage::Flushing { linger: lingers }, true) = (self.stage, idle) {
            self.stage = if lingers { Stage::Lingering { until: now + linger } } else { Stage::Closed };
        }
    }

    /// Whether it is closed now, having been drained or found too slow.
    fn is_over(&self, slow: Time, now: Time) -> bool {
        match self.stage {
            Stage::Closed => false,
            Stage::Lingering { until } => until <= now,
            _ => {
                let request = self.oldest().is_some_and(|since| since + slow <= self.reading_time(now));
                request || self.reader_is_slow(slow, now)
            }
        }
    }

    fn reader_is_slow(&self, slow: Time, now: Time) -> bool {
        self.clocks.waiting.is_some_and(|(since, _)| since + slow <= now)
    }

    /// When that is, as things stand.
    pub(crate) fn due(&self, slow: Time) -> Option<Time> {
        match self.stage {
            Stage::Closed => None,
            Stage::Lingering { until } => Some(until),
            _ => {
                let reading = self.clocks.paused_since.is_none();
                let request =
                    self.oldest().filter(|_| reading).map(|since| since + self.clocks.paused + slow);
                request.into_iter().chain(self.clocks.waiting.map(|(since, _)| since + slow)).min()
            }
        }
    }
}

/// The naive server: a store and connections.
pub(crate) struct Naive {
    pub(crate) store: Store,
    pub(crate) connections: Vec<Connection>,
}

impl Naive {
    /// A client connects; the quota that turns it away.
    pub(crate) fn connect(&mut self, who: u64, now: Time) {
        self.store.expire(now);
        let at = self.connections.len();
        let served = |it: &&Connection| !it.turned_away && it.stage != Stage::Closed;
        let all = self.connections.iter().filter(served).count();
        let same = self.connections.iter().filter(served).filter(|it| it.who == who).count();
        let (most, most_of_one) = (self.store.rules.connections, self.store.rules.connections_per_address);
        let refusal = if all >= most {
            Some(quota(0, 7, most as u64))
        } else {
            most_of_one.filter(|most| same >= *most).map(|most| quota(0, 8, most as u64))
        };
        self.connections.push(Connection::new(who, refusal.is_some()));
        match refusal {
            Some(message) => self.store.events.push(Event::Reply(at, message)),
            None => self.store.arrive(who),
        }
    }

    /// The ten bytes of a packet's header have come (§5.1).
    pub(crate) fn header(&mut self, at: usize, header: Header, now: Time) {
        let Header { xid, remaining, op: opcode, access } = header;
        if opcode == op::ABORT {
            if (remaining, access) != (0, 0) {
                return self.violate(at, xid, 3, now);
            }
            return self.abort(at, xid);
        }
        let limit = self.store.rules.record;
        let connection = &mut self.connections[at];
        let violation = match connection.messages.get(&xid) {
            Some(message) => {
                let before = message.header;
                let continues = (opcode, access) == (before.op, before.access)
                    && before.remaining.checked_sub(FULL as u32) == Some(remaining);
                (!continues).then_some(1)
            }
            None if self.store.standing.contains_key(&(at, xid)) => Some(4),
            None if opcode > 20 && u64::from(remaining) > limit + 16 => Some(2),
            None => None,
        };
        connection.header = Some(header);
        if let Some(detail) = violation {
            self.violate(at, xid, detail, now);
        }
    }

    /// The client abandons a transaction (§2.5).
    fn abort(&mut self, at: usize, xid: u32) {
        self.connections[at].clocks.packet = None;
        let sure = match self.connections[at].messages.remove(&xid) {
            Some(message) if message.refused => return,
            Some(_) => true,
            None => self.store.standing.remove(&(at, xid)).is_some(),
        };
        self.store.events.push(Event::Aborted(at, xid, sure));
    }

    /// Bytes have come that end inside a packet.
    pub(crate) fn stop_inside(&mut self, at: usize, now: Time) {
        let connection = &mut self.connections[at];
        let reading_time = connection.reading_time(now);
        connection.clocks.packet.get_or_insert(reading_time);
    }

    /// Who has a connection that is not closed.
    pub(crate) fn see_connected(&mut self) {
        let open = self.connections.iter().filter(|it| !it.turned_away && it.stage != Stage::Closed);
        self.store.connected = open.map(|it| it.who).collect();
    }

    /// A packet is complete (§3.2). `memory` is what was used before it.
    pub(crate) fn packet(&mut self, at: usize, payload: &[u8], memory: Memory, now: Time) {
        let Some(header) = self.connections[at].header.take() else { return };
        self.connections[at].clocks.packet = None;
        let Header { xid, remaining, op, access } = header;
        let last = remaining as usize <= FULL;
        let caller = Caller { at, who: self.connections[at].who, xid };
        match self.connections[at].messages.remove(&xid) {
            None if last => match well_formed(header, payload) {
                Ok(()) => self.store.execute(caller, (op, access), payload, memory, None, now),
                Err(refusal) => {
                    self.store.counts.request(op);
                    self.store.events.push(Event::Reply(at, refusal));
                }
            },
            None => self.begin(caller, header, payload, memory, now),
            Some(message) if message.refused && last => {}
            Some(message) if message.refused => self.keep(at, Unfinished { header, ..message }, now),
            Some(mut message) => {
                message.payload.extend_from_slice(payload);
                message.header = header;
                let counted = self.count(at, xid, message.counted, payload.len() as u64, memory);
                match counted {
                    Ok(()) => message.counted += payload.len() as u64,
                    Err(refusal) if !last => return self.refuse(caller, message, refusal, now),
                    Err(_) => {}
                }
                if last {
                    // What was counted for its last packet is still counted while it is carried out.
                    let arrived = if counted.is_ok() { payload.len() as u64 } else { 0 };
                    let (used, counted_bytes) = (memory.used + arrived, message.counted);
                    let memory = Memory { used, counted: counted_bytes, ..memory };
                    let over = counted.err();
                    match over {
                        // Past the total, whatever else the operation needs.
                        Some(Message { access: 1, .. }) => {
                            let full = Memory { used: self.store.rules.total + 1, ..memory };
                            self.store.execute(caller, (op, access), &message.payload, full, over, now);
                        }
                        _ => self.store.execute(caller, (op, access), &message.payload, memory, over, now),
                    }
                } else {
                    self.keep(at, message, now);
                }
            }
        }
    }

    /// The first packet of several: everything is judged that can be.
    fn begin(&mut self, caller: Caller, header: Header, payload: &[u8], memory: Memory, now: Time) {
        let (at, xid) = (caller.at, caller.xid);
        let mut message =
            Unfinished { header, payload: payload.to_vec(), refused: false, counted: 0, last_packet: 0 };
        let limit = self.store.rules.unfinished_requests;
        let full = self.connections[at].unfinished_requests() >= limit;
        let judged = well_formed(header, payload)
            .and_then(|()| {
                self.store.expire(now);
                let operands = shape(header.op).0;
                let data = u64::from(header.remaining) - operands as u64;
                self.store.check(caller, header.op, &payload[..operands], data)
            })
            .and_then(|()| match self.count(at, xid, 0, payload.len() as u64, memory) {
                Err(refusal) if refusal.access == 1 => Err(refusal),
                _ if full => Err(quota(xid, 4, limit as u64)),
                counted => counted,
            });
        match judged {
            Ok(()) => {
                message.counted = payload.len() as u64;
                self.keep(at, message, now);
            }
            Err(refusal) => self.refuse(caller, message, refusal, now),
        }
    }

    /// Quotas 1 and 5, for the bytes of a packet.
    fn count(&self, at: usize, xid: u32, counted: u64, bytes: u64, memory: Memory) -> Result<(), Message> {
        let rules = &self.store.rules;
        let own = self.connections[at].unfinished_bytes() + counted;
        let all = self.unfinished_bytes() + counted;
        let over_total = memory.used + bytes > rules.total;
        if over_total {
            return Err(quota(xid, 1, rules.total));
        }
        if own + bytes > rules.connection_unfinished {
            return Err(quota(xid, 5, rules.connection_unfinished));
        }
        if all + bytes > rules.unfinished { Err(quota(xid, 5, rules.unfinished)) } else { Ok(()) }
    }

    /// A request is refused before its last packet, and the rest is discarded.
    fn refuse(&mut self, caller: Caller, mut message: Unfinished, refusal: Message, now: Time) {
        let at = caller.at;
        let discarding = self.connections[at].messages.values().filter(|it| it.refused).count();
        if discarding >= self.store.rules.unfinished_requests {
            return self.violate(at, caller.xid, 5, now);
        }
        self.store.counts.request(message.header.op);
        (message.refused, message.counted) = (true, 0);
        message.payload.clear();
        self.store.events.push(Event::Reply(at, refusal));
        self.keep(at, message, now);
    }

    fn keep(&mut self, at: usize, mut message: Unfinished, now: Time) {
        let connection = &mut self.connections[at];
        message.last_packet = connection.reading_time(now);
        connection.messages.insert(message.header.xid, message);
    }

    /// A violation (§5.1).
    fn violate(&mut self, at: usize, xid: u32, detail: u8, now: Time) {
        self.forget(at);
        self.depart(at, now);
        self.connections[at].stage = Stage::Flushing { linger: true };
        self.store.events.push(Event::Violated(at, malformed(xid, detail)));
    }

    /// A connection no longer keeps its owner's records alive, if it did.
    fn depart(&mut self, at: usize, now: Time) {
        if std::mem::take(&mut self.connections[at].present) {
            self.store.expire(now);
            self.store.leave(self.connections[at].who, now);
        }
    }

    fn forget(&mut self, at: usize) {
        self.store.standing.retain(|(it, _), _| *it != at);
        let connection = &mut self.connections[at];
        connection.messages.clear();
        connection.header = None;
        connection.clocks.packet = None;
    }

    /// The end of the stream from the client (§5.2).
    pub(crate) fn end(&mut self, at: usize, now: Time) {
        let stage = self.connections[at].stage;
        if stage == Stage::Open {
            self.abort_all(at, false);
        }
        self.depart(at, now);
        self.connections[at].stage = match stage {
            Stage::Open | Stage::Flushing { .. } => Stage::Flushing { linger: false },
            Stage::Lingering { .. } | Stage::Closed => {
                // The closing of its socket is a moment at which the server looks at its records.
                self.store.expire(now);
                Stage::Closed
            }
        };
    }

    /// The server shuts down (§5.3).
    pub(crate) fn shut_down(&mut self) {
        for at in 0..self.connections.len() {
            if self.connections[at].stage == Stage::Open {
                self.abort_all(at, true);
                self.connections[at].stage = Stage::Flushing { linger: true };
            }
        }
    }

    /// Ends with ABORT what stands open; unfinished requests too, where they are to be told.
    fn abort_all(&mut self, at: usize, unfinished: bool) {
        let connection = &self.connections[at];
        let mut xids: Vec<u32> =
            self.store.standing.keys().filter(|(it, _)| *it == at).map(|(_, xid)| *xid).collect();
        if unfinished {
            let begun = connection.messages.iter().filter(|(_, it)| !it.refused).map(|(xid, _)| *xid);
            xids.extend(begun);
            // The first packet of a request, of which the header has come.
            let arriving = connection.header.map(|it| it.xid);
            xids.extend(arriving.filter(|xid| !connection.messages.contains_key(xid)));
        }
        xids.into_iter().for_each(|xid| self.store.events.push(Event::Aborted(at, xid, true)));
        self.forget(at);
    }

    /// A connection is closed, by a reset or because all is done.
    pub(crate) fn close(&mut self, at: usize, now: Time) {
        self.store.expire(now);
        self.forget(at);
        self.depart(at, now);
        self.connections[at].stage = Stage::Closed;
    }

    /// The server looks at its clocks (§5.4).
    pub(crate) fn wake(&mut self, now: Time) {
        self.store.expire(now);
        for at in 0..self.connections.len() {
            let slow = self.store.rules.slow;
            let connection = &self.connections[at];
            if connection.is_over(slow, now) {
                match connection.stage {
                    Stage::Lingering { .. } => {}
                    _ if connection.reader_is_slow(slow, now) => self.store.counts.slow_readers += 1,
                    _ => self.store.counts.slow_requests += 1,
                }
                self.close(at, now);
            }
        }
    }

    /// When something is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        let slow = self.store.rules.slow;
        let connections = self.connections.iter().filter_map(|it| it.due(slow));
        connections.chain(self.store.next_end().map(|(end, ..)| end)).min()
    }

    /// What unfinished requests count at most: their chunks' blocks and tables too, a packet that a full chunk has before
    /// it is complete, and zeros before what begins within a chunk.
    pub(crate) fn held_unfinished(&self) -> u64 {
        let messages = self.connections.iter().flat_map(|it| it.messages.values());
        messages.map(|it| held_unfinished(it.counted, it.declared())).sum()
    }

    pub(crate) fn unfinished_bytes(&self) -> u64 {
        self.connections.iter().map(Connection::unfinished_bytes).sum()
    }
}

/// Checks 1 and 2 (§3.2), but for what depends on the server.
fn well_formed(header: Header, payload: &[u8]) -> Result<(), Message> {
    let Header { xid, remaining, op, access } = header;
    let allowed = match op {
        0 | 1 | 18 => 7,
        16 => 1,
        21.. => return Err(unsupported(xid)),
        _ => 0,
    };
    let (operands, data) = shape(op);
    let len = remaining as usize;
    if access & !allowed != 0 {
        return Err(invalid(xid, 1));
    }
    if len < operands || (len > operands && !data) {
        return Err(invalid(xid, 2));
    }
    if op == 6 && u64_at(payload, 8) == 0 { Err(invalid(xid, 3)) } else { Ok(()) }
}
