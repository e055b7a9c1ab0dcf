//! True clients and a true server, joined by pipes that deliver what and when the input says: they understand each
//! other, every transaction ends once, and whoever watches a record has a true copy of it in the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client, Config as ClientConfig, Event, Failure, Options, Replica};
use netswap_core::config::{Config, Limits, Portions};
use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use netswap_core::identity::IdentityKey;
use netswap_core::server::Server;
use netswap_core::time::Instant;
use netswap_core::types::{Pointer, Version, Xid};
use netswap_core::wire::{Ending, Notification, Opcode, Reply, Request};

use crate::source::Source;

const RECORD: usize = 20_000;

/// As many as the server takes: of more, refused all together, it would end the connection (docs/PROTOCOL.md §5.1, detail 5).
const TRANSACTIONS: usize = 6;

/// The first two have one address.
const ADDRESSES: [[u8; 4]; 3] = [[127, 0, 0, 1], [127, 0, 0, 1], [127, 0, 0, 2]];

/// Choices of what is asked and delivered.
pub fn mirrors(bytes: &[u8]) {
    play(bytes, false);
}

/// The same with a planted fault, which a fuzzer must find that finds anything: a range that begins beyond the end of a
/// copy is written at its end, without the zeros between.
pub fn canary(bytes: &[u8]) {
    play(bytes, true);
}

fn play(bytes: &[u8], faulty: bool) {
    let mut source = Source::new(bytes);
    let mut world = World::new(source.u8(), faulty);
    for _ in 0..150 {
        if source.is_empty() {
            break;
        }
        world.step(&mut source);
    }
    world.settle();
    world.compare();
    world.finish();
}

/// A transaction that its caller has not heard the last of.
struct Open {
    /// Bytes of a streamed upload that are still to be given.
    ungiven: usize,
    watch: Option<Watch>,
    /// A read of a reserved record may stay without an answer.
    reads: bool,
}

struct Watch {
    pointer: Pointer,
    push: bool,
    begun: Option<Version>,
    told: Option<Version>,
    replica: Replica,
}

/// A client and the pipes that join it to the server.
struct End {
    client: Client,
    peer: Peer,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    open: BTreeMap<Xid, Open>,
    /// What it found last, of a record that it asked for.
    found: Option<Reply<Bytes>>,
}

struct World {
    server: Server,
    now: Instant,
    ends: Vec<End>,
    pointers: Vec<Pointer>,
    faulty: bool,
}

impl World {
    fn new(choice: u8, faulty: bool) -> Self {
        let mut limits = Limits::with_record([50_000, 4 << 20][usize::from(choice & 1)], RECORD as u32);
        limits.unfinished_requests = TRANSACTIONS as u32;
        limits.connection_unfinished = [30_000, 60_000][usize::from(choice >> 1 & 1)];
        limits.queued_replies = [4, 1024][usize::from(choice >> 2 & 1)];
        limits.watches = 5;
        let mut config = Config::new(limits, IdentityKey([1; 16]), [2; 32]);
        if choice >> 3 & 1 == 0 {
            config.portions = Portions::SMALL;
        }
        if choice >> 4 & 1 == 1 {
            // Records have many chunks then.
            config.chunk = 16;
        }
        let server = Server::new(config).expect("limits that can be kept");
        let mut world =
            Self { server, now: Instant::ZERO, ends: Vec::new(), pointers: vec![Pointer(99)], faulty };
        for address in ADDRESSES {
            let end = world.connect(address);
            world.ends.push(end);
        }
        world
    }

    fn connect(&mut self, address: [u8; 4]) -> End {
        let peer = self.server.connect(address.into(), self.now).expect("a connection");
        // The wrap of the ids is part of every run.
        let first_xid = Xid(u32::MAX - 2);
        let config = ClientConfig { first_xid, max_transactions: TRANSACTIONS, ..ClientConfig::default() };
        let (up, down) = (VecDeque::new(), VecDeque::new());
        End { client: Client::new(config), peer, up, down, open: BTreeMap::new(), found: None }
    }

    fn step(&mut self, source: &mut Source<'_>) {
        let what = source.u8();
        let at = usize::from(what) % ADDRESSES.len();
        match what {
            0..=99 => self.ask(at, source),
            100..=119 => {
                let (pick, count) = (source.u8(), source.len(30_000));
                self.ends[at].provide(pick, count);
            }
            120..=129 => {
                let pick = source.u8();
                self.ends[at].give_up(pick, self.now);
            }
            130..=169 => self.up(at, portion(source), portion(source)),
            170..=209 => self.down(at, portion(source), portion(source)),
            210..=234 => {
                self.up(at, usize::MAX, usize::MAX);
                self.down(at, usize::MAX, usize::MAX);
            }
            235..=242 => self.wait(Duration::from_millis(u64::from(source.u8()) * 20)),
            243..=250 => self.events(at),
            _ => self.replace(at),
        }
        self.reap();
    }

    fn ask(&mut self, at: usize, source: &mut Source<'_>) {
        let (opcode, pick, number, flags) = (source.u8() % 24, source.u8(), source.u8(), source.u8());
        // Watches and writes more than others.
        let opcode = Opcode::from_u8(opcode).unwrap_or(Opcode::WatchRecord);
        let pointer = self.pointers[usize::from(pick) % self.pointers.len()];
        let place = [u64::from(number), u64::from(number) * 70][usize::from(flags & 1)] as u32;
        let operands = match opcode {
            Opcode::TransferRecord => {
                self.ends[usize::from(number) % self.ends.len()].peer.owner.get().to_be_bytes().to_vec()
            }
            Opcode::CompareAndReplace | Opcode::ResolveIfChanged => {
                u64::from(number % 4).to_be_bytes().to_vec()
            }
            Opcode::ReadRange => [place, 3000].map(u32::to_be_bytes).concat(),
            Opcode::WriteRange => place.to_be_bytes().to_vec(),
            Opcode::FetchAdd => [&place.to_be_bytes()[..], &[number; 8]].concat(),
            Opcode::SetLifetime => [&u32::from(number).to_be_bytes()[..], &[0; 12]].concat(),
            _ => Vec::new(),
        };
        let operands = match opcode.operand_len() {
            0 => Vec::new(),
            _ => [&pointer.0.to_be_bytes()[..], &operands].concat(),
        };
        let len = if opcode.has_data() { source.len(RECORD + 100) } else { 0 };
        let access = match opcode {
            Opcode::CreateRecord | Opcode::ReserveRecord | Opcode::UpdateRecordPermissions => {
                flags >> 1 & 7 | u8::from(flags < 200)
            }
            Opcode::WatchRecord => u8::from(flags < 200),
            _ => 0,
        };
        let request =
            Request::parse(opcode, access, (operands.len() + len) as u32, &operands).expect("a request");
        let push = matches!(request, Request::WatchRecord { push: true, .. });
        let reads = matches!(opcode, Opcode::ResolvePointer | Opcode::ReadRange | Opcode::ResolveIfChanged);
        let options =
            Options { pieces: flags & 64 != 0, wait: reads.then_some(Duration::MAX), ..Options::default() };
        let streamed = flags & 128 != 0 && len > 0;
        let (end, now) = (&mut self.ends[at], self.now);
        let asked = if streamed {
            end.client.upload(request, options, now)
        } else {
            let data = Bytes::from(vec![number ^ len as u8; len]);
            end.client.request_with(request.map(|_| data), options, now)
        };
        let Ok(xid) = asked else { return };
        let (begun, told, replica) = (None, None, Replica::default());
        let watch = (opcode == Opcode::WatchRecord).then_some(Watch { pointer, push, begun, told, replica });
        let open = Open { ungiven: if streamed { len } else { 0 }, watch, reads };
        assert!(end.open.insert(xid, open).is_none(), "{xid} is still open");
    }

    /// The client's socket takes so many bytes, and so many reach the server.
    fn up(&mut self, at: usize, take: usize, deliver: usize) {
        let end = &mut self.ends[at];
        let bytes: Vec<u8> = end.client.output().slices().flatten().copied().take(take).collect();
        end.client.sent(bytes.len(), self.now);
        end.up.extend(bytes);
        if self.server.connection(end.peer.id).is_some_and(|connection| connection.wants_read()) {
            let bytes: Vec<u8> = end.up.drain(..deliver.min(end.up.len())).collect();
            self.server.handle_input(end.peer.id, &bytes, self.now);
        }
    }

    fn down(&mut self, at: usize, take: usize, deliver: usize) {
        let end = &mut self.ends[at];
        if let Some(output) = self.server.output(end.peer.id) {
            let bytes: Vec<u8> = output.slices().flatten().copied().take(take).collect();
            self.server.sent(end.peer.id, bytes.len(), self.now);
            end.down.extend(bytes);
        }
        if end.client.wants_read() {
            let bytes: Vec<u8> = end.down.drain(..deliver.min(end.down.len())).collect();
            end.client.handle_input(&bytes, self.now).expect("they understand each other");
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.server.handle_timeout(self.now);
        for at in 0..self.ends.len() {
            // A client to which nothing is delivered may find that its server is dead.
            if self.ends[at].client.handle_timeout(self.now).is_err() {
                self.replace(at);
            }
        }
    }

    /// A connection ends, and another one takes its place.
    fn replace(&mut self, at: usize) {
        let old = self.ends[at].peer.id;
        self.ends[at].client.handle_eof();
        self.events(at);
        assert!(self.ends[at].open.is_empty(), "what is open ends with the connection");
        assert_eq!(self.ends[at].client.transactions(), 0);
        self.server.disconnect(old, self.now);
        self.ends[at] = self.connect(ADDRESSES[at]);
    }

    /// Connections that the server has ended, because nothing moved on them.
    fn reap(&mut self) {
        for at in 0..self.ends.len() {
            let connection = self.server.connection(self.ends[at].peer.id);
            if connection.is_none_or(|connection| connection.phase() != Phase::Open) {
                self.replace(at);
            }
        }
    }

    fn events(&mut self, at: usize) {
        let end = &mut self.ends[at];
        while let Some(event) = end.client.poll_event() {
            let xid = event.xid();
            let open = end.open.get_mut(&xid).unwrap_or_else(|| panic!("{event:?} of what is over"));
            let over = match event {
                Event::Replied { reply, .. } => {
                    assert!(open.watch.as_ref().is_none_or(|watch| watch.begun.is_none()));
                    match reply {
                        Reply::Created(pointer) if self.pointers.len() < 8 => self.pointers.push(pointer),
                        Reply::Malformed(violation) => panic!("{violation}"),
                        _ => {}
                    }
                    end.found = Some(reply);
                    true
                }
                Event::Ended { failure, .. } => {
                    assert!(failure != Failure::ConnectionLost || end.client.is_closed());
                    true
                }
                Event::Piece { data, .. } => {
                    end.client.consumed(xid, data.len(), self.now);
                    false
                }
                Event::Wanted { .. } => false,
                Event::Watching { version, .. } => {
                    let watch = open.watch.as_mut().expect("a watch");
                    assert_eq!(watch.begun.replace(version), None);
                    false
                }
                Event::Notified { notification, .. } => {
                    end.client.consumed(xid, notification.weight(), self.now);
                    open.watch.as_mut().expect("a watch").hear(notification, self.faulty)
                }
                other => panic!("{other:?}"),
            };
            if over {
                end.open.remove(&xid);
            }
        }
    }

    /// Delivers everything, until nothing is left but watches and reads of reserved records.
    fn settle(&mut self) {
        for _ in 0..3000 {
            for at in 0..self.ends.len() {
                while self.ends[at].open.values().any(|open| open.ungiven > 0) {
                    let streams = self.ends[at].open.values().filter(|open| open.ungiven > 0).count();
                    self.ends[at].provide(0, usize::MAX);
                    if self.ends[at].open.values().filter(|open| open.ungiven > 0).count() == streams {
                        break;
                    }
                }
                self.up(at, usize::MAX, usize::MAX);
                self.down(at, usize::MAX, usize::MAX);
                self.events(at);
                self.reap();
            }
            let waits = |end: &End| {
                let output = self.server.output(end.peer.id).map_or(0, |output| output.len());
                output > 0 || end.up.len() + end.down.len() + end.client.output().window_len() > 0
            };
            if !self.ends.iter().any(waits) {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    /// All copies are those of the records.
    fn compare(&mut self) {
        for at in 0..self.ends.len() {
            for open in self.ends[at].open.values() {
                let stands = open.watch.as_ref().is_some_and(|watch| watch.begun.is_some());
                assert!(stands || open.reads, "a transaction has no end");
            }
            let watches: Vec<Xid> = self.ends[at].watches().collect();
            for xid in watches {
                let Some(watch) = self.ends[at].open[&xid].watch.as_ref() else { continue };
                let (pointer, known) =
                    (watch.pointer, watch.told.or(watch.begun).unwrap_or(Version::RESERVED));
                let copy = watch.push.then(|| watch.replica.data().clone());
                let Some((version, data)) = self.read(at, pointer) else { continue };
                assert_eq!(known, version, "of {pointer:?}");
                assert!(copy.is_none_or(|copy| copy == data), "another copy than {pointer:?}");
            }
        }
    }

    /// A record as a client reads it that may: it watches it. `None` where it has no room for one more request.
    fn read(&mut self, at: usize, pointer: Pointer) -> Option<(Version, Bytes)> {
        let request = Request::ResolveIfChanged { pointer, version: Version::RESERVED };
        let xid = self.ends[at].client.request(request, self.now).ok()?;
        self.ends[at].open.insert(xid, Open { ungiven: 0, watch: None, reads: true });
        self.ends[at].found = None;
        self.settle();
        match self.ends[at].found.take() {
            Some(Reply::Changed { version, data }) => Some((version, data)),
            Some(Reply::Refused(refusal)) => {
                assert!(refusal.is_retryable(), "{refusal} to a watcher");
                None
            }
            // It is reserved.
            None => {
                self.ends[at].client.abort(xid, self.now);
                self.ends[at].open.remove(&xid);
                Some((Version::RESERVED, Bytes::new()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Everything is given up, and nothing is left but records.
    fn finish(mut self) {
        for at in 0..self.ends.len() {
            for xid in std::mem::take(&mut self.ends[at].open).into_keys() {
                assert!(
                    self.ends[at].client.abort(xid, self.now).is_some(),
                    "{xid} has ended without a word"
                );
            }
        }
        self.settle();
        assert!(self.ends.iter().all(|end| end.client.transactions() == 0), "an ABORT has no answer");
        let statistics = self.server.store().statistics();
        assert_eq!(statistics.unfinished_bytes, 0);
        for end in &self.ends {
            self.server.disconnect(end.peer.id, self.now);
        }
        let end = self.now + Duration::from_secs(1_000_000);
        self.server.handle_timeout(end);
        // A portion at a time.
        for _ in 0..10_000 {
            if self.server.poll_timeout().is_none_or(|due| due > end) {
                break;
            }
            self.server.handle_timeout(end);
        }
        let statistics = self.server.store().statistics();
        assert_eq!((statistics.records, statistics.bytes, statistics.connections), (0, 0, 0));
    }
}

impl End {
    fn watches(&self) -> impl Iterator<Item = Xid> {
        self.open.iter().filter(|(_, open)| open.watch.is_some()).map(|(xid, _)| *xid)
    }

    fn provide(&mut self, pick: u8, count: usize) {
        let mut streams: Vec<_> = self.open.iter_mut().filter(|(_, open)| open.ungiven > 0).collect();
        let picked = usize::from(pick) % streams.len().max(1);
        let Some((xid, open)) = streams.get_mut(picked) else { return };
        let count = count.min(open.ungiven);
        if self.client.provide(**xid, Bytes::from(vec![pick; count])) {
            open.ungiven -= count;
        } else {
            // It was refused, or aborted by the server.
            open.ungiven = 0;
        }
    }

    fn give_up(&mut self, pick: u8, now: Instant) {
        let picked = self.open.keys().copied().nth(usize::from(pick) % self.open.len().max(1));
        // Otherwise its end is among the events that wait.
        if let Some(xid) = picked.filter(|xid| self.client.abort(*xid, now).is_some()) {
            self.open.remove(&xid);
        }
    }
}

impl Watch {
    /// Takes a notification; whether it is the last.
    fn hear(&mut self, mut notification: Notification<Bytes>, faulty: bool) -> bool {
        let begun = self.begun.expect("an OK before the first notification");
        if let Notification::RangeChanged { offset, .. } = &mut notification
            && faulty
        {
            *offset = (*offset).min(self.replica.data().len() as u32);
        }
        self.replica.apply(&notification);
        match &notification {
            Notification::Changed { version, data } => {
                assert_eq!(data.is_some(), self.push);
                assert!(*version >= self.told.unwrap_or(begun));
                self.told = Some(*version);
            }
            Notification::RangeChanged { version, .. } => {
                assert_eq!(self.told.map(Version::next), Some(*version));
                self.told = Some(*version);
            }
            Notification::Ended(ending) => {
                assert!(matches!(ending, Ending::Deleted | Ending::Expired | Ending::AccessLost));
                return true;
            }
            _ => {}
        }
        false
    }
}

/// How many bytes go at once.
fn portion(source: &mut Source<'_>) -> usize {
    match source.u8() {
        few @ 0..=99 => 1 + usize::from(few) / 3,
        some @ 100..=199 => 30 * usize::from(some - 99),
        _ => usize::MAX,
    }
}
