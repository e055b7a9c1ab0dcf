//! Prints how long the longest single call takes under the worst inputs: calls into the store, and turns of a connection.
//!
//! `cargo run --release -p netswap-core --example longest_turn`
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use netswap_core::config::{Config, Limits};
use netswap_core::connection::Connection;
use netswap_core::engine::{Engine, Execution, Incident, ListCursor, Peer, Post, Told};
use netswap_core::error::Refusal;
use netswap_core::identity::IdentityKey;
use netswap_core::memory::Payload;
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{ABORT, HEADER_LEN, Header, READ_AT_MOST, Reply, Request};

const NOW: Instant = Instant::ZERO;

/// How long calls took.
#[derive(Default)]
struct Times {
    calls: u32,
    longest: Duration,
    all: Duration,
}

impl Times {
    fn time<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let begin = Clock::now();
        let done = call();
        let took = begin.elapsed();
        self.calls += 1;
        self.longest = self.longest.max(took);
        self.all += took;
        done
    }

    fn print(&self, what: &str) {
        let Self { calls, longest, all } = self;
        println!("{what:<44} longest {longest:>10.1?} of {calls:>8} calls, {all:>10.1?} together");
    }
}

/// A store that times each call.
struct Timed {
    store: Store,
    times: Times,
}

impl Engine for Timed {
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal> {
        self.times.time(|| self.store.judge(peer, request, now))
    }

    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution {
        self.times.time(|| self.store.execute(peer, xid, request, now))
    }

    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post {
        self.times.time(|| Engine::take_mail(&mut self.store, peer, room))
    }

    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told> {
        self.times.time(|| Engine::take_news(&mut self.store, peer, xid, room))
    }

    fn forget(&mut self, peer: Peer, xid: Xid) {
        self.times.time(|| Engine::forget(&mut self.store, peer, xid));
    }

    fn begin_list(&mut self, peer: Peer) -> (u64, ListCursor) {
        self.times.time(|| Engine::begin_list(&mut self.store, peer))
    }

    fn continue_list(
        &mut self,
        peer: Peer,
        cursor: ListCursor,
        pointers: &mut Vec<Pointer>,
        now: Instant,
    ) -> Option<ListCursor> {
        self.times.time(|| Engine::continue_list(&mut self.store, peer, cursor, pointers, now))
    }

    fn depart(&mut self, peer: Peer, now: Instant) {
        self.times.time(|| Engine::depart(&mut self.store, peer, now));
    }

    fn note(&mut self, incident: Incident) {
        self.store.note(incident);
    }
}

impl Timed {
    fn new() -> Self {
        let config = Config::new(Limits::new(2 << 30), IdentityKey([0; 16]), [7; 32]);
        Self { store: Store::new(config).unwrap(), times: Times::default() }
    }

    fn connect(&mut self) -> Connection {
        let Admission::Served(peer) = self.store.connect([127, 0, 0, 1].into(), NOW) else { panic!() };
        Connection::new(peer, self.store.config().clone(), self.store.budget().clone())
    }

    fn create(&mut self, peer: Peer) -> Pointer {
        let request = Request::CreateRecord { access: Access::READ, data: Payload::Whole(b"small") };
        match self.store.execute(peer, Xid(1), request, NOW).reply() {
            Some(Reply::Created(pointer)) => pointer,
            other => panic!("{other:?}"),
        }
    }
}

/// A request as one packet.
fn packet(xid: u32, opcode: u8, access: u8, payload: &[u8]) -> Vec<u8> {
    let header = Header { xid: Xid(xid), remaining: payload.len() as u32, opcode, access };
    [&header.encode(), payload].concat()
}

/// Hands over what was read and what is left to be done of it; nothing is taken of the answers.
fn turns(connection: &mut Connection, input: &[u8], engine: &mut Timed, times: &mut Times) {
    times.time(|| connection.handle_input(input, NOW, engine));
    while connection.has_work() {
        times.time(|| connection.handle_work(NOW, engine));
    }
}

fn watch_and_abort() {
    let mut engine = Timed::new();
    let mut connection = engine.connect();
    let pointer = engine.create(connection.peer());
    let mut times = Times::default();
    for xid in 0..1000 {
        turns(&mut connection, &packet(xid, 8, 0, &[7; 1000]), &mut engine, &mut times);
    }
    let pair = [packet(5000, 16, 0, &pointer.0.to_be_bytes()), packet(5000, ABORT, 0, &[])].concat();
    let count = READ_AT_MOST / pair.len();
    let input = pair.repeat(count);
    (times, engine.times) = Default::default();
    let rounds = 50;
    for _ in 0..rounds {
        turns(&mut connection, &input, &mut engine, &mut times);
    }
    times.print("turn: WATCH and ABORT, 1000 replies unread");
    engine.times.print("store: the same");
    println!("  one WATCH and ABORT: {:?}", times.all / (rounds * count as u32));
}

fn small_reads() {
    let mut engine = Timed::new();
    let mut connection = engine.connect();
    let pointer = engine.create(connection.peer());
    let read = packet(1, 2, 0, &pointer.0.to_be_bytes());
    let input = read.repeat(READ_AT_MOST / read.len());
    let mut times = Times::default();
    for _ in 0..50 {
        turns(&mut connection, &input, &mut engine, &mut times);
        while connection.output().has_remaining() || connection.has_work() {
            let ready = connection.output().window_len();
            times.time(|| connection.sent(ready, NOW, &mut engine));
            while connection.has_work() {
                times.time(|| connection.handle_work(NOW, &mut engine));
            }
        }
    }
    times.print("turn: 128 KiB of small reads");
    engine.times.print("store: the same");
}

fn list() {
    let mut engine = Timed::new();
    let mut connection = engine.connect();
    for _ in 0..1_000_000 {
        engine.create(connection.peer());
    }
    let mut times = Times::default();
    turns(&mut connection, &packet(1, 17, 0, &[]), &mut engine, &mut times);
    times.print("turn: LIST of a million");
    engine.times.print("store: the same");
    assert!(connection.output().remaining() > 8_000_000, "there is no list");
    let mut answer = Vec::new();
    while connection.output().has_remaining() {
        let chunk = connection.output().chunk();
        answer.extend_from_slice(chunk);
        let len = chunk.len();
        connection.sent(len, NOW, &mut engine);
    }
    assert_eq!(answer.len(), 8_000_000 + HEADER_LEN * 8_000_000_usize.div_ceil(1390));
}

fn watches() {
    let mut engine = Timed::new();
    let connections: Vec<Connection> = (0..42).map(|_| engine.connect()).collect();
    let writer = engine.connect().peer();
    let pointer = engine.create(writer);
    for connection in &connections {
        for xid in 0..4000 {
            let request = Request::WatchRecord { pointer, push: false };
            let done = engine.store.execute(connection.peer(), Xid(xid), request, NOW).reply();
            assert!(matches!(done, Some(Reply::Watching(_))), "{done:?}");
        }
    }
    drop(engine.store.take_woken());
    let mut told = 0;
    let mut work = |engine: &mut Timed, what: &str, request: Option<Request<Payload<'_>>>| {
        engine.times = Times::default();
        match request {
            Some(request) => drop(engine.execute(writer, Xid(1), request, NOW)),
            None => engine.depart(connections[0].peer(), NOW),
        }
        while engine.store.poll_timeout() == Some(NOW) {
            engine.times.time(|| engine.store.handle_timeout(NOW));
        }
        for id in engine.store.take_woken() {
            let peer = Peer { id, ..writer };
            match engine.take_mail(peer, None) {
                Post::Mail(mail) => told += mail.len(),
                Post::News(..) => told += 1,
            }
        }
        engine.times.print(what);
    };
    let write = || Request::ReplaceRecord { pointer, data: Payload::Whole(b"other") };
    work(&mut engine, "store: write, 168 000 watches", Some(write()));
    work(&mut engine, "store: again, all told of the first", Some(write()));
    work(&mut engine, "store: departure of one with 4000 watches", None);
    work(&mut engine, "store: the record's end", Some(Request::DeleteRecord { pointer }));
    println!("  {told} mails");
}

/// One connection with as many watches as it may have, each on a record of its own.
fn watches_of_one() {
    let mut engine = Timed::new();
    let writer = engine.connect().peer();
    let mut connection = engine.connect();
    let pointers: Vec<Pointer> = (0..4096).map(|_| engine.create(writer)).collect();
    let mut times = Times::default();
    let watch = |connection: &mut Connection, engine: &mut Timed| {
        for (xid, pointer) in (0..).zip(&pointers) {
            connection.handle_input(&packet(xid, 16, 0, &pointer.0.to_be_bytes()), NOW, engine);
            connection.sent(connection.output().remaining(), NOW, engine);
        }
        drop(engine.store.take_woken());
    };
    let mut handle_mail = |connection: &mut Connection, engine: &mut Timed, what: &str| {
        times = Times::default();
        times.time(|| connection.handle_mail(NOW, engine));
        while connection.has_work() {
            times.time(|| connection.handle_work(NOW, engine));
        }
        while connection.output().has_remaining() {
            let ready = connection.output().window_len();
            times.time(|| connection.sent(ready, NOW, engine));
        }
        times.print(what);
    };
    watch(&mut connection, &mut engine);
    for pointer in &pointers {
        let request = Request::ReplaceRecord { pointer: *pointer, data: Payload::Whole(b"other") };
        engine.execute(writer, Xid(1), request, NOW);
    }
    engine.times = Times::default();
    handle_mail(&mut connection, &mut engine, "turn: news of 4096 watches");
    for pointer in &pointers[..2048] {
        engine.execute(writer, Xid(1), Request::DeleteRecord { pointer: *pointer }, NOW);
    }
    handle_mail(&mut connection, &mut engine, "turn: ends of 2048 watches");
    let pointers: Vec<Pointer> = (0..2048).map(|_| engine.create(writer)).collect();
    for (xid, pointer) in (0..).zip(&pointers) {
        connection.handle_input(&packet(xid, 16, 0, &pointer.0.to_be_bytes()), NOW, &mut engine);
        connection.sent(connection.output().remaining(), NOW, &mut engine);
    }
    engine.times = Times::default();
    engine.depart(connection.peer(), NOW);
    while engine.store.poll_timeout() == Some(NOW) {
        engine.times.time(|| engine.store.handle_timeout(NOW));
    }
    engine.times.print("store: departure of one with 4096 watches");
}

fn main() {
    watch_and_abort();
    small_reads();
    list();
    watches();
    watches_of_one();
}
