//! The client's state machine and the server's, joined by two pipes that deliver what and when the test says: whatever
//! is asked, given, aborted and held up, they understand each other, every transaction ends once, and what the client
//! says of an outcome is true.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client, Config as ClientConfig, Event, Failure, Options, Outcome};
use netswap_core::config::{Config, Limits};
use netswap_core::engine::Peer;
use netswap_core::identity::IdentityKey;
use netswap_core::server::Server;
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Reply, Request};
use proptest::prelude::*;

const RECORD: usize = 40_000;

/// As many as the server takes: of more, refused all together, it would end the connection (docs/PROTOCOL.md §5.1, detail 5).
const TRANSACTIONS: usize = 6;

/// A transaction that the caller has not heard the last of.
struct Open {
    creates: bool,
    /// Bytes of a streamed upload that are still to be given.
    ungiven: usize,
}

struct Pair {
    client: Client,
    server: Server,
    peer: Peer,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    now: Instant,
    open: BTreeMap<Xid, Open>,
    pointers: Vec<Pointer>,
    /// Creations of which nobody knows whether they were done.
    unknown: usize,
    listed: Option<usize>,
}

impl Pair {
    fn new() -> Self {
        let mut limits = Limits::with_record(4 << 20, RECORD as u32);
        limits.unfinished_requests = TRANSACTIONS as u32;
        limits.connection_unfinished = 60_000;
        limits.queued_replies = 4;
        let mut server = Server::new(Config::new(limits, IdentityKey([1; 16]), [2; 32])).unwrap();
        let peer = server.connect([127, 0, 0, 1].into(), Instant::ZERO).unwrap();
        // The wrap of the ids is part of every run.
        let config = ClientConfig {
            first_xid: Xid(u32::MAX - 3),
            max_transactions: TRANSACTIONS,
            ..ClientConfig::default()
        };
        Self {
            client: Client::new(config),
            server,
            peer,
            up: VecDeque::new(),
            down: VecDeque::new(),
            now: Instant::ZERO,
            open: BTreeMap::new(),
            pointers: vec![Pointer(99)],
            unknown: 0,
            listed: None,
        }
    }

    fn ask(&mut self, operation: u8, len: usize, pick: usize, options: Options) {
        let pointer = self.pointers[pick % self.pointers.len()];
        let access = Access::READ;
        let data = || Bytes::from(vec![len as u8; len]);
        let creates = matches!(operation, 0 | 1);
        let streamed = matches!(operation, 1 | 3);
        let xid = match operation {
            0 => self.client.request_with(Request::CreateRecord { access, data: data() }, options, self.now),
            1 => self.client.upload(Request::CreateRecord { access, data: len as u32 }, options, self.now),
            2 => {
                self.client.request_with(Request::ReplaceRecord { pointer, data: data() }, options, self.now)
            }
            3 => self.client.upload(Request::ReplaceRecord { pointer, data: len as u32 }, options, self.now),
            4 => self.client.request_with(Request::StatRecord { pointer }, options, self.now),
            5 => self.client.request_with(Request::Ping { data: data() }, options, self.now),
            _ => self.client.request_with(Request::ResolvePointer { pointer }, options, self.now),
        };
        if let Ok(xid) = xid {
            let ungiven = if streamed { len } else { 0 };
            assert!(self.open.insert(xid, Open { creates, ungiven }).is_none(), "{xid} is still open");
        }
    }

    fn provide(&mut self, pick: usize, count: usize) {
        let streams = self.open.iter_mut().filter(|(_, open)| open.ungiven > 0);
        let mut streams: Vec<_> = streams.collect();
        let picked = pick % streams.len().max(1);
        let Some((xid, open)) = streams.get_mut(picked) else { return };
        let count = count.min(open.ungiven);
        if self.client.provide(**xid, Bytes::from(vec![open.ungiven as u8; count])) {
            open.ungiven -= count;
        }
    }

    fn abort(&mut self, pick: usize) {
        let Some(xid) = self.open.keys().copied().nth(pick % self.open.len().max(1)) else { return };
        let outcome = self.client.abort(xid, self.now).unwrap();
        self.ended(xid, outcome);
    }

    fn ended(&mut self, xid: Xid, outcome: Outcome) {
        let open = self.open.remove(&xid).unwrap_or_else(|| panic!("{xid} ended twice"));
        self.unknown += usize::from(open.creates && outcome == Outcome::Unknown);
    }

    /// The client's socket takes so many bytes, and so many reach the server.
    fn upstream(&mut self, take: usize, deliver: usize) {
        let bytes: Vec<u8> = self.client.output().slices().flatten().copied().take(take).collect();
        self.client.sent(bytes.len(), self.now);
        self.up.extend(bytes);
        let deliver = deliver.min(self.up.len());
        if self.server.connection(self.peer.id).unwrap().wants_read() {
            let bytes: Vec<u8> = self.up.drain(..deliver).collect();
            self.server.handle_input(self.peer.id, &bytes, self.now);
        }
    }

    fn downstream(&mut self, take: usize, deliver: usize) {
        let bytes: Vec<u8> =
            self.server.output(self.peer.id).unwrap().slices().flatten().copied().take(take).collect();
        self.server.sent(self.peer.id, bytes.len(), self.now);
        self.down.extend(bytes);
        let deliver = deliver.min(self.down.len());
        if self.client.wants_read() {
            let bytes: Vec<u8> = self.down.drain(..deliver).collect();
            self.client.handle_input(&bytes, self.now).unwrap();
        }
        self.events();
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.server.handle_timeout(self.now);
        self.client.handle_timeout(self.now).unwrap();
        self.events();
    }

    fn events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Replied { xid, reply } => {
                    match reply {
                        Reply::Created(pointer) => self.pointers.push(pointer),
                        Reply::Pointers(pointers) => self.listed = Some(pointers.len()),
                        Reply::Malformed(violation) => panic!("{violation}"),
                        _ => {}
                    }
                    self.ended(xid, Outcome::NotDone);
                }
                Event::Ended { xid, failure, outcome } => {
                    assert_ne!(failure, Failure::ConnectionLost);
                    self.ended(xid, outcome);
                }
                Event::Piece { xid, data, .. } => self.client.consumed(xid, data.len(), self.now),
                _ => {}
            }
        }
    }

    /// Lets everything come to its end.
    fn settle(&mut self) {
        for _ in 0..2000 {
            self.provide(0, RECORD);
            self.upstream(usize::MAX, usize::MAX);
            self.downstream(usize::MAX, usize::MAX);
            let pipes = self.up.len() + self.down.len() + self.client.output().window_len();
            if self.client.transactions() + pipes == 0 {
                return;
            }
        }
        panic!("{} transactions do not end: {:?}", self.client.transactions(), self.client);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Ask { operation: u8, len: usize, pick: usize, pieces: bool },
    Provide { pick: usize, count: usize },
    Abort { pick: usize },
    Up { take: usize, deliver: usize },
    Down { take: usize, deliver: usize },
    Wait { millis: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![0..2000usize, 1380..1400usize, 2000..RECORD, RECORD..3 * RECORD];
    let bytes = || prop_oneof![1..40usize, 1..3000usize, Just(usize::MAX)];
    let step = prop_oneof![
        6 => (0..8u8, len, any::<usize>(), any::<bool>())
            .prop_map(|(operation, len, pick, pieces)| Step::Ask { operation, len, pick, pieces }),
        4 => (any::<usize>(), 1..30_000usize).prop_map(|(pick, count)| Step::Provide { pick, count }),
        2 => any::<usize>().prop_map(|pick| Step::Abort { pick }),
        8 => (bytes(), bytes()).prop_map(|(take, deliver)| Step::Up { take, deliver }),
        8 => (bytes(), bytes()).prop_map(|(take, deliver)| Step::Down { take, deliver }),
        1 => (0..1500u64).prop_map(|millis| Step::Wait { millis }),
    ];
    proptest::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn they_understand_each_other(steps in steps()) {
        let mut pair = Pair::new();
        for step in steps {
            match step {
                Step::Ask { operation, len, pick, pieces } => {
                    let idle_timeout = Some(Duration::from_secs(1 + pick as u64 % 5));
                    pair.ask(operation, len, pick, Options { idle_timeout, pieces, ..Options::default() });
                }
                Step::Provide { pick, count } => pair.provide(pick, count),
                Step::Abort { pick } => pair.abort(pick),
                Step::Up { take, deliver } => pair.upstream(take, deliver),
                Step::Down { take, deliver } => pair.downstream(take, deliver),
                Step::Wait { millis } => pair.wait(Duration::from_millis(millis)),
            }
        }
        pair.settle();
        prop_assert!(pair.open.is_empty());
        prop_assert!(pair.client.output().is_empty() && pair.server.output(pair.peer.id).unwrap().is_empty());
        prop_assert_eq!(pair.server.store().statistics().unfinished_bytes, 0);

        // What was said of the outcomes is true.
        let xid = pair.client.request(Request::ListRecords, pair.now).unwrap();
        pair.open.insert(xid, Open { creates: false, ungiven: 0 });
        pair.settle();
        let (created, listed) = (pair.pointers.len() - 1, pair.listed.unwrap());
        let possible = created..=created + pair.unknown;
        prop_assert!(possible.contains(&listed), "{} records, of {:?}", listed, possible);
    }
}
