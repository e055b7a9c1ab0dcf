//! Whatever happens to records, and however slowly watchers read: what they are told makes up a true copy, and ends when it
//! should (docs/PROTOCOL.md §3.21, §3.22, §4.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/threads.rs"]
mod threads;
#[path = "support/watched.rs"]
mod watched;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netswap_core::engine::Peer;
use proptest::prelude::*;
use proptest::test_runner::Config;

use support::wire::{self, Message, abort, ok, op, request, resolved, watch};
use support::{OWNER_COST, World};
use threads::Threads;
use watched::{Action, DEFAULT, Record, Watch};

const ADDRESSES: [&str; 3] = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

/// An address that owns records and never is connected.
const ABSENT: &str = "127.0.0.9";

const RECORDS: usize = 5;

/// The two ways in which connections get to their mail: at once, or when they are called.
enum Bench {
    World(Box<World>),
    Threads(Box<Threads>),
}

impl Bench {
    fn connect(&mut self, address: &str) -> Peer {
        match self {
            Self::World(world) => world.connect(address),
            Self::Threads(threads) => threads.connect(address),
        }
    }

    fn reset(&mut self, peer: Peer) {
        match self {
            Self::World(world) => world.reset(peer),
            Self::Threads(threads) => threads.reset(peer),
        }
    }

    fn send(&mut self, peer: Peer, bytes: Vec<u8>) {
        match self {
            Self::World(world) => world.send(peer, bytes),
            Self::Threads(threads) => threads.send(peer, bytes),
        }
    }

    fn take(&mut self, peer: Peer, count: usize) -> Vec<Message> {
        match self {
            Self::World(world) => world.take_replies(peer, count),
            Self::Threads(threads) => threads.take(peer, count),
        }
    }

    fn call(&mut self, peer: Peer) {
        if let Self::Threads(threads) = self {
            threads.call(peer);
        }
    }

    fn wait(&mut self, time: Duration) {
        match self {
            Self::World(world) => world.wait(time),
            Self::Threads(threads) => threads.wait(time),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::World(world) => world.bytes(),
            Self::Threads(threads) => threads.bytes(),
        }
    }
}

/// A transaction that stands open.
enum Open {
    Watch(Watch),
    /// A read of a record; its answer, once it is clear.
    Read(usize, Option<Message>, bool),
}

struct Client {
    peer: Peer,
    address: &'static str,
    open: BTreeMap<u32, Open>,
}

struct Play {
    bench: Bench,
    /// Of each address one that reads everything at once, then one that is slow.
    clients: Vec<Client>,
    records: Vec<Record>,
    absent: u64,
    now: u64,
    /// Codes and ACCESS bytes of what came for watches and reads.
    reached: BTreeSet<(u8, u8)>,
}

/// Random numbers from which one step is made: what, who, what of it, how much.
type Choice = (u8, u8, u8, u16);

impl Play {
    fn new(mut bench: Bench) -> Self {
        let absent = bench.connect(ABSENT);
        bench.reset(absent);
        let addresses = ADDRESSES.into_iter().chain(ADDRESSES);
        let clients = addresses
            .map(|address| Client { peer: bench.connect(address), address, open: BTreeMap::new() })
            .collect();
        Self {
            bench,
            clients,
            records: Vec::new(),
            absent: absent.owner.get(),
            now: 0,
            reached: BTreeSet::new(),
        }
    }

    fn owner(&self, client: usize) -> u64 {
        self.clients[client].peer.owner.get()
    }

    fn step(&mut self, (what, who, detail, size): Choice) {
        let fast = usize::from(who) % ADDRESSES.len();
        let slow = fast + ADDRESSES.len();
        let client = if detail & 1 == 0 { slow } else { fast };
        let record = usize::from(size) % RECORDS;
        let record = self.records.len().checked_sub(RECORDS).map(|base| base + record);
        let xid = 100 + u32::from(detail >> 1) % 6;
        match (what, record) {
            (0..=9, _) | (_, None) => self.create(fast, detail, size),
            (10..=89, Some(record)) => {
                let action = self.action(what, detail, size);
                self.act(fast, record, action);
            }
            (90..=139, Some(record)) => self.stand(client, record, xid, what),
            (140..=154, _) => self.abort(client, xid),
            (155..=194, _) => self.take(slow, usize::from(size) * usize::from(detail >> 5)),
            (195..=234, _) => self.bench.call(self.clients[client].peer),
            (235..=249, _) => self.wait(u64::from(detail) % 12),
            (250.., _) => {
                self.bench.reset(self.clients[slow].peer);
                self.clients[slow].peer = self.bench.connect(self.clients[slow].address);
                self.clients[slow].open.clear();
            }
        }
        self.take(fast, usize::MAX);
    }

    fn data(detail: u8, size: u16) -> Vec<u8> {
        // Many are small; some are so long that two of them do not fit the output's window.
        let len =
            if detail.is_multiple_of(3) { 35_000 + usize::from(size >> 4) } else { usize::from(size >> 11) };
        vec![detail; len]
    }

    fn create(&mut self, client: usize, detail: u8, size: u16) {
        let data = (!detail.is_multiple_of(4)).then(|| Self::data(detail, size));
        let opcode = if data.is_some() { op::CREATE } else { op::RESERVE };
        let access = (size & 7) as u8 | u8::from(!size.is_multiple_of(5));
        let payload = data.as_deref().unwrap_or_default();
        let reply = self.ask(client, request(1, opcode, access, payload));
        let pointer = u64::from_be_bytes(reply.payload.as_slice().try_into().unwrap());
        self.records.push(Record::new(pointer, self.owner(client), access, data));
    }

    fn action(&self, what: u8, detail: u8, size: u16) -> Action {
        let data = Self::data(detail, size);
        let owners = [self.owner(0), self.owner(1), self.owner(2), self.absent];
        let somebody = owners[usize::from(size >> 3) % owners.len()];
        match what {
            10..=19 => Action::Replace(data),
            20..=34 => Action::WriteRange(u32::from(size >> 10), data),
            35..=44 => Action::Append(data),
            45..=54 => Action::Add(u32::from(detail & 3), i64::from(size) - 30_000),
            55..=62 => Action::Permit((size >> 3) as u8 & 7 | u8::from(!detail.is_multiple_of(4))),
            63..=67 => Action::Takeover,
            68..=73 => Action::Transfer(somebody),
            74..=79 => {
                let grace = if detail & 1 == 0 { DEFAULT } else { u32::from(detail) % 20 };
                let ttl = if size & 0x300 == 0 { u32::from(detail >> 3) } else { 0 };
                Action::Lifetime(grace, ttl, if detail & 2 == 0 { 0 } else { somebody })
            }
            80..=86 => Action::Ask,
            _ => Action::Delete,
        }
    }

    fn act(&mut self, client: usize, record: usize, action: Action) {
        let who = self.owner(client);
        let (sent, expected) = self.records[record].act(1, who, action.clone(), self.now, self.absent);
        // Whoever acts is told of it after its reply, so look before it is read.
        self.look();
        assert_eq!(self.ask(client, sent), expected, "{action:?}");
    }

    /// Sends a request: the reply comes before everything that it causes.
    fn ask(&mut self, client: usize, sent: Vec<u8>) -> Message {
        // What there was before comes first.
        self.bench.call(self.clients[client].peer);
        self.take(client, usize::MAX);
        self.bench.send(self.clients[client].peer, sent);
        let mut replies = self.bench.take(self.clients[client].peer, usize::MAX).into_iter();
        let reply = replies.next().expect("a reply");
        replies.for_each(|message| self.receive(client, &message));
        reply
    }

    /// Watches a record or reads it, under an XID that is free.
    fn stand(&mut self, client: usize, at: usize, xid: u32, what: u8) {
        if self.clients[client].open.contains_key(&xid) {
            return;
        }
        let (who, record) = (self.owner(client), &self.records[at]);
        let (sent, open) = match (what, record.refusal(xid, who, 1)) {
            (90..=124, Some(refusal)) => {
                (watch(xid, record.pointer, true), Open::Read(at, Some(refusal), false))
            }
            (90..=124, None) => {
                let push = !what.is_multiple_of(4);
                (watch(xid, record.pointer, push), Open::Watch(Watch::new(at, record, who, push)))
            }
            _ => {
                let sent = wire::about(xid, op::RESOLVE, record.pointer, []);
                (sent, Open::Read(at, record.read(xid, who), false))
            }
        };
        self.clients[client].open.insert(xid, open);
        self.bench.send(self.clients[client].peer, sent);
    }

    fn abort(&mut self, client: usize, xid: u32) {
        match self.clients[client].open.get_mut(&xid) {
            Some(Open::Watch(watch)) => watch.aborted = true,
            Some(Open::Read(_, _, aborted)) => *aborted = true,
            None => {}
        }
        self.bench.send(self.clients[client].peer, abort(xid));
    }

    fn wait(&mut self, seconds: u64) {
        let until = self.now + seconds;
        while let Some((at, due)) = self.next_due().filter(|(_, due)| *due <= until) {
            self.records[at].expire(due, self.absent);
            self.look();
        }
        self.now = until;
        self.bench.wait(Duration::from_secs(seconds));
    }

    fn next_due(&self) -> Option<(usize, u64)> {
        let dues = self.records.iter().enumerate().filter_map(|(at, record)| Some((at, record.due()?)));
        dues.min_by_key(|(_, due)| *due)
    }

    /// Something has happened to records: whoever watches or waits looks at them.
    fn look(&mut self) {
        for client in &mut self.clients {
            let who = client.peer.owner.get();
            for (xid, open) in &mut client.open {
                match open {
                    Open::Watch(watch) => watch.look(&self.records[watch.record]),
                    Open::Read(at, answer @ None, false) => {
                        let record = &self.records[*at];
                        let first = record.states.get(1).map(|data| resolved(*xid, data));
                        *answer = record.refusal(*xid, who, 1).or(first);
                    }
                    Open::Read(..) => {}
                }
            }
        }
    }

    fn take(&mut self, client: usize, count: usize) {
        for message in self.bench.take(self.clients[client].peer, count) {
            self.receive(client, &message);
        }
    }

    fn receive(&mut self, client: usize, message: &Message) {
        self.reached.insert((message.code, message.access));
        let open = self.clients[client].open.get_mut(&message.xid);
        let ended = match open.unwrap_or_else(|| panic!("{message:?} answers nothing")) {
            Open::Watch(watch) => watch.receive(message, &self.records[watch.record]),
            Open::Read(_, answer, aborted) => {
                let abort = *aborted && *message == wire::aborted(message.xid);
                assert!(abort || answer.as_ref() == Some(message), "{message:?} for {answer:?}");
                true
            }
        };
        if ended {
            self.clients[client].open.remove(&message.xid);
        }
    }

    /// Everybody reads everything: all know how things stand, and nothing else is held.
    fn finish(mut self) -> BTreeSet<(u8, u8)> {
        for client in 0..self.clients.len() {
            self.bench.call(self.clients[client].peer);
            self.take(client, usize::MAX);
            for open in self.clients[client].open.values() {
                match open {
                    Open::Watch(watch) => watch.assert_settled(),
                    Open::Read(_, answer, aborted) => {
                        assert!(answer.is_none() && !aborted, "the answer is missing: {answer:?}");
                    }
                }
            }
            assert_eq!(self.ask(client, wire::ping(1, "x")), ok(1, "x"));
        }
        let there = || self.records.iter().filter(|it| it.gone.is_none());
        let absent = if there().any(|it| it.owner == self.absent) { OWNER_COST } else { 0 };
        let held = there().map(Record::held);
        let (least, most) = held.fold((absent, absent), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let bytes = self.bench.bytes();
        assert!((least..=most).contains(&bytes), "{bytes} bytes, not {least} to {most}");
        for client in &self.clients {
            self.bench.reset(client.peer);
        }
        // As long as an heir may be away after the first owner, and more.
        self.bench.wait(Duration::from_secs(10_000));
        assert_eq!(self.bench.bytes(), 0);
        self.reached
    }
}

fn play(bench: Bench, choices: Vec<Choice>) -> BTreeSet<(u8, u8)> {
    let mut play = Play::new(bench);
    choices.into_iter().for_each(|choice| play.step(choice));
    play.finish()
}

fn threads() -> Bench {
    Bench::Threads(Box::new(Threads::new()))
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    proptest::collection::vec(any::<Choice>(), 50..400)
}

proptest! {
    #![proptest_config(Config { cases: 100, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_copy_made_of_what_is_told_is_the_record(choices in choices()) {
        // However slowly they read, nobody is thrown out.
        let world = World::with(|config| config.times.slow = Duration::from_secs(1_000_000));
        play(Bench::World(Box::new(world)), choices);
    }

    #[test]
    fn so_it_is_where_connections_are_called_late(choices in choices()) {
        play(threads(), choices);
    }
}

#[test]
fn the_plays_reach_every_notification() {
    use proptest::strategy::ValueTree;

    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let plays = (0..40).map(|_| play(threads(), choices().new_tree(&mut runner).unwrap().current()));
    let reached: BTreeSet<_> = plays.flatten().collect();
    let notifications = [1, 2, 3, 4, 5, 16, 17, 18].map(|kind| (11, kind));
    let expected: BTreeSet<_> =
        notifications.into_iter().chain([(0, 0), (1, 0), (2, 0), (3, 0), (255, 0)]).collect();
    assert_eq!(reached, expected);
}
