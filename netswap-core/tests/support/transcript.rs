//! What happens to a server, as a list that can be replayed with its input cut in any way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use netswap_core::config::Portions;
use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::store::{Counters, Statistics};

use crate::support::World;
use crate::support::wire::{self, Assembler, FULL, abort, header, op, packets, pattern, request};

/// Clients; two of them have one address.
const ADDRESSES: [&str; 4] = ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1", "127.0.0.3"];

/// The hashes of the first two (docs/PROTOCOL.md §6.1).
const OWNERS: [u64; 2] = [0x0362_7879_6ac4_cc40, 0xb2d7_33a8_70a2_251c];

/// The XIDs of watches: those from this one on.
const WATCHES: u32 = 12;

/// The record limit.
const LIMIT: usize = 7000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Input(usize, Vec<u8>),
    /// A client reads so many bytes at most.
    Take(usize, usize),
    /// So many seconds pass.
    Wait(u64),
    End(usize),
    Reset(usize),
    Shutdown,
}

impl Event {
    pub(crate) fn input_len(&self) -> usize {
        if let Self::Input(_, bytes) = self { bytes.len() } else { 0 }
    }
}

/// All that can be seen of a server while a transcript is replayed.
#[derive(PartialEq)]
pub(crate) struct Outcome {
    pub(crate) outputs: Vec<Vec<u8>>,
    /// After every event.
    states: Vec<State>,
    /// What every owner finds at the end: its list, and all that it can read.
    records: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq)]
struct State {
    statistics: Statistics,
    /// Of every connection; and whether it is read from.
    phases: Vec<(Phase, bool)>,
    next_due: Option<Duration>,
}

impl Outcome {
    pub(crate) fn counters(&self) -> Counters {
        self.states.last().unwrap().statistics.counters.clone()
    }

    /// What all clients were told, code and ACCESS byte.
    pub(crate) fn replies(&self) -> Vec<(u8, u8)> {
        let told = self.outputs.iter().flat_map(|output| Assembler::default().feed(output));
        told.map(|reply| (reply.code, reply.access)).collect()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = |all: &[Vec<u8>]| all.iter().map(Vec::len).collect::<Vec<_>>();
        f.debug_struct("Outcome")
            .field("outputs", &lengths(&self.outputs))
            .field("last", &self.states.last())
            .field("records", &lengths(&self.records))
            .finish()
    }
}

fn world(portions: Portions) -> World {
    World::with(|config| {
        config.portions = portions;
        let limits = &mut config.limits;
        limits.record = LIMIT as u32;
        limits.total = 15_000;
        limits.owner_bytes = Some(9_000);
        limits.owner_records = Some(4);
        limits.unfinished_requests = 3;
        limits.connection_unfinished = 9000;
        limits.unfinished = 14_000;
        limits.connections = 4;
        limits.connections_per_address = Some(2);
        limits.watches = 2;
        limits.queued_replies = 12;
        limits.queued_bytes = 40_000;
        config.times.grace = Duration::from_secs(50);
    })
}

/// The pointers of the first records that these servers create, in order.
pub(crate) fn pointers() -> &'static [u64] {
    static POINTERS: OnceLock<Vec<u64>> = OnceLock::new();
    POINTERS.get_or_init(|| {
        let mut world = World::new();
        let peer = world.connect(ADDRESSES[0]);
        (0..20).map(|_| world.create(peer, 0, "")).collect()
    })
}

/// Replays a transcript; `cut` gives the lengths of the pieces in which some input arrives.
pub(crate) fn replay(events: &[Event], cut: impl FnMut(&[u8]) -> Vec<usize>) -> Outcome {
    replay_in_portions(events, Portions::default(), cut)
}

/// Replays a transcript with a server that does so much at a time.
pub(crate) fn replay_in_portions(
    events: &[Event],
    portions: Portions,
    mut cut: impl FnMut(&[u8]) -> Vec<usize>,
) -> Outcome {
    let mut world = world(portions);
    let mut peers: Vec<Peer> = ADDRESSES.iter().map(|address| world.connect(address)).collect();
    let mut outputs = vec![Vec::new(); peers.len()];
    let mut states = Vec::new();
    for event in events {
        match event {
            Event::Input(peer, bytes) => {
                let mut rest = &bytes[..];
                for len in cut(bytes) {
                    let (piece, later) = rest.split_at(len);
                    world.send(peers[*peer], piece);
                    rest = later;
                }
                assert!(rest.is_empty(), "the cut leaves {} bytes", rest.len());
            }
            Event::Take(peer, count) => outputs[*peer].extend(world.take(peers[*peer], *count)),
            Event::Wait(seconds) => world.wait(Duration::from_secs(*seconds)),
            Event::End(peer) => world.end(peers[*peer]),
            Event::Reset(peer) => {
                world.reset(peers[*peer]);
                // There is room again, unless the client is one too many of its address.
                peers[*peer] = world.connect(ADDRESSES[(*peer + 1) % ADDRESSES.len()]);
                let extra = world.connect("127.0.0.1");
                outputs[*peer].extend(world.receive(extra));
                world.reset(extra);
            }
            Event::Shutdown => world.shut_down(),
        }
        let phases = peers.iter().map(|peer| (world.phase(*peer), world.wants_read(*peer))).collect();
        states.push(State { statistics: world.statistics(), phases, next_due: world.next_due() });
    }
    for (peer, output) in peers.iter().zip(&mut outputs) {
        output.extend(world.receive(*peer));
        world.reset(*peer);
    }
    let records = ADDRESSES[1..].iter().map(|address| inspect(&mut world, address)).collect();
    Outcome { outputs, states, records }
}

fn inspect(world: &mut World, address: &str) -> Vec<u8> {
    let peer = world.connect(address);
    world.send(peer, request(1, op::LIST, 0, []));
    let mut found = world.receive(peer);
    for pointer in pointers() {
        world.send(peer, wire::about(2, op::STAT, *pointer, []));
        world.send(peer, wire::about(3, op::RESOLVE, *pointer, []));
        found.extend(world.receive(peer));
    }
    world.reset(peer);
    found
}

/// Random numbers from which one event is made: what, for whom, how much.
pub(crate) type Choice = (u8, u8, u16, u8);

/// A transcript of mostly sensible requests in interleaved packets.
pub(crate) fn build(choices: &[Choice]) -> Vec<Event> {
    let (unfinished, watches) = (vec![Vec::new(); ADDRESSES.len()], vec![Vec::new(); ADDRESSES.len()]);
    let mut builder = Builder { events: Vec::new(), unfinished, watches, down: false };
    choices.iter().for_each(|choice| builder.add(*choice));
    builder.events
}

/// Whom a record is given to: nobody, one of the clients, or somebody who is not there.
fn somebody(size: u16) -> u64 {
    [0, OWNERS[0], OWNERS[1], 7][usize::from(size >> 4) % 4]
}

/// Grace, time to live and heir, some of them too long.
fn lifetime(size: u16) -> Vec<u8> {
    let grace = [0, 7, u32::MAX, 90_000][usize::from(size >> 6) % 4];
    let ttl = [0_u32, 0, 0, 0, 0, 9, 20, 90_001][usize::from(size >> 8) % 8];
    [&grace.to_be_bytes()[..], &ttl.to_be_bytes(), &somebody(size).to_be_bytes()].concat()
}

struct Builder {
    events: Vec<Event>,
    /// The packets that are still to be sent, of each client's unfinished requests.
    unfinished: Vec<Vec<Vec<Vec<u8>>>>,
    /// The XIDs of each client's watches.
    watches: Vec<Vec<u32>>,
    down: bool,
}

impl Builder {
    fn add(&mut self, (what, who, size, detail): Choice) {
        let peer = usize::from(who) % ADDRESSES.len();
        let xid = u32::from(detail % 12);
        match what {
            0..=99 => self.request(peer, xid, size, detail),
            100..=189 => self.go_on(peer, usize::from(size)),
            190..=204 => {
                let xid = if size.is_multiple_of(5) { WATCHES + xid / 2 } else { xid };
                self.unfinished[peer].retain(|packets| packets[0][..4] != xid.to_be_bytes());
                self.watches[peer].retain(|watch| *watch != xid);
                self.input(peer, abort(xid));
            }
            205..=229 => self.events.push(Event::Take(peer, usize::MAX)),
            230..=239 => self.events.push(Event::Take(peer, usize::from(size) % 3000)),
            240..=246 => self.events.push(Event::Wait(u64::from(size) % 40)),
            247 | 248 => self.events.push(Event::End(peer)),
            249..=252 => {
                self.unfinished[peer].clear();
                self.watches[peer].clear();
                self.events.push(Event::Reset(peer));
            }
            253 => self.input(peer, header(xid, u32::from(size) * 7, detail, who)),
            254 => self.input(peer, header(xid, u32::from(size) % 3, op::ABORT, detail & 1)),
            255 if !self.down && detail < 40 => {
                self.down = true;
                self.events.push(Event::Shutdown);
            }
            255 => self.go_on(peer, 0),
        }
    }

    /// Begins a request: its first packet.
    fn request(&mut self, peer: usize, xid: u32, size: u16, detail: u8) {
        let pointer = pointers()[usize::from(size) % 6];
        // Many are small, some have several packets, some are just too large.
        let len = match size % 5 {
            0 | 1 => usize::from(size >> 8),
            2 => FULL - 4 + usize::from(size >> 13),
            3 => usize::from(size) % LIMIT,
            _ => LIMIT - 4 + usize::from(size >> 13),
        };
        let access = if detail > 250 { detail } else { 0 };
        let about = |rest: &[u8]| wire::pointed(pointer, rest);
        // What belongs together is about few records.
        let shared = |rest: &[u8]| wire::pointed(pointers()[usize::from(size) % 2], rest);
        let version = u64::from(size / 12 % 4).to_be_bytes();
        let offset = (u32::from(size) * 7 % 3000).to_be_bytes();
        let (opcode, access, payload) = match detail >> 3 {
            0..=3 => {
                (op::CREATE, access | (size as u8 & 7) | u8::from(!size.is_multiple_of(4)), pattern(len))
            }
            4 => (op::RESERVE, access | (size as u8 & 7), Vec::new()),
            5 | 6 | 27 => (op::WATCH, access | (size >> 8) as u8 & 1, shared(&[])),
            7 | 8 => (op::REPLACE, access, about(&pattern(len))),
            9 => (op::WRITE_RANGE, access, about(&[&offset[..], &pattern(len)].concat())),
            10 => (op::APPEND, access, shared(&pattern(len))),
            11 => (op::PING, access, pattern(len)),
            12 => (op::COMPARE, access, about(&[&version[..], &pattern(len)].concat())),
            13 => (op::ADD, access, about(&[&offset[..], &version].concat())),
            14 | 15 => (op::RESOLVE, access, about(&[])),
            16 => (op::READ_RANGE, access, about(&[offset, (len as u32).to_be_bytes()].concat())),
            17 => (op::IF_CHANGED, access, about(&version)),
            18 | 26 if detail & 1 == 0 => (op::PERMIT, access | (size >> 8) as u8 & 7, shared(&[])),
            19 => (op::DELETE, access, shared(&[])),
            20 => (op::TAKEOVER, access, shared(&[])),
            21 => (op::SET_LIFETIME, access, about(&lifetime(size))),
            22 => (op::TRANSFER, access, about(&somebody(size).to_be_bytes())),
            23 => (op::REQUEST_OWNERSHIP, access, shared(&[])),
            24 => (op::STAT, access, about(&[])),
            25 => (op::IDENTIFY, access, Vec::new()),
            18 | 26 => (op::LIST, access, Vec::new()),
            28 => (op::STAT, access, pattern(len)),
            _ => (op::UNKNOWN, access, pattern(len)),
        };
        let xid = if opcode == op::WATCH { WATCHES + xid / 2 } else { xid };
        let mut sent = packets(xid, opcode, access, payload);
        // Under the XID of an unfinished request it would be a violation; that comes seldom enough.
        if self.unfinished[peer].iter().any(|packets| packets[0][..4] == xid.to_be_bytes())
            && !size.is_multiple_of(16)
        {
            return self.go_on(peer, usize::from(size));
        }
        // So it would be under that of a watch.
        if opcode == op::WATCH {
            if self.watches[peer].contains(&xid) && !size.is_multiple_of(8) {
                return self.go_on(peer, usize::from(size));
            }
            self.watches[peer].push(xid);
        }
        self.input(peer, sent.remove(0));
        if !sent.is_empty() {
            self.unfinished[peer].push(sent);
        }
    }

    /// Sends the next packet of an unfinished request.
    fn go_on(&mut self, peer: usize, which: usize) {
        let unfinished = &mut self.unfinished[peer];
        if unfinished.is_empty() {
            return;
        }
        let which = which % unfinished.len();
        let packet = unfinished[which].remove(0);
        if unfinished[which].is_empty() {
            unfinished.remove(which);
        }
        self.input(peer, packet);
    }

    fn input(&mut self, peer: usize, bytes: Vec<u8>) {
        match self.events.last_mut() {
            Some(Event::Input(last, before)) if *last == peer => before.extend(bytes),
            _ => self.events.push(Event::Input(peer, bytes)),
        }
    }
}
