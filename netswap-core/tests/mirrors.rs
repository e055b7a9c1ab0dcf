//! A watching client, a server and a writer that shares the record, joined by pipes that deliver what and when the test
//! says: whatever is written, folded, cut and given up, the copies that the watches keep become the record.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use netswap_core::client::{Client, Config as ClientConfig, Event, Replica};
use netswap_core::config::{Config, Limits};
use netswap_core::engine::Peer;
use netswap_core::identity::IdentityKey;
use netswap_core::server::Server;
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Ending, Notification, Reply, Request};
use proptest::prelude::*;

const RECORD: usize = 20_000;

/// A client and the pipes that join it to the server.
struct End {
    client: Client,
    peer: Peer,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
}

impl End {
    fn new(server: &mut Server, address: [u8; 4]) -> Self {
        let peer = server.connect(address.into(), Instant::ZERO).unwrap();
        // The wrap of the ids is part of every run.
        let config = ClientConfig { first_xid: Xid(u32::MAX - 2), ..ClientConfig::default() };
        Self { client: Client::new(config), peer, up: VecDeque::new(), down: VecDeque::new() }
    }

    /// The client's socket takes so many bytes, and so many reach the server.
    fn upstream(&mut self, server: &mut Server, take: usize, deliver: usize) {
        let bytes: Vec<u8> = self.client.output().slices().flatten().copied().take(take).collect();
        self.client.sent(bytes.len(), Instant::ZERO);
        self.up.extend(bytes);
        if server.connection(self.peer.id).unwrap().wants_read() {
            let bytes: Vec<u8> = self.up.drain(..deliver.min(self.up.len())).collect();
            server.handle_input(self.peer.id, &bytes, Instant::ZERO);
        }
    }

    fn downstream(&mut self, server: &mut Server, take: usize, deliver: usize) {
        let bytes: Vec<u8> =
            server.output(self.peer.id).unwrap().slices().flatten().copied().take(take).collect();
        server.sent(self.peer.id, bytes.len(), Instant::ZERO);
        self.down.extend(bytes);
        if self.client.wants_read() {
            let bytes: Vec<u8> = self.down.drain(..deliver.min(self.down.len())).collect();
            self.client.handle_input(&bytes, Instant::ZERO).unwrap();
        }
    }

    fn is_idle(&self, server: &Server) -> bool {
        let unsent = !self.client.output().is_empty() || !server.output(self.peer.id).unwrap().is_empty();
        !unsent && self.up.is_empty() && self.down.is_empty()
    }
}

/// A watch that the test follows.
#[derive(Default)]
struct Followed {
    push: bool,
    begun: Option<Version>,
    replica: Replica,
    version: Option<Version>,
    ended: Option<Ending>,
}

impl Followed {
    fn hear(&mut self, notification: &Notification<Bytes>) {
        let begun = self.begun.expect("an OK before the first notification");
        assert_eq!(self.ended, None, "nothing comes after the last");
        self.replica.apply(notification);
        match notification {
            Notification::Changed { version, data } => {
                assert_eq!(data.is_some(), self.push);
                assert!(*version >= self.version.unwrap_or(begun));
                self.version = Some(*version);
            }
            Notification::RangeChanged { version, .. } => {
                assert_eq!(self.version.map(Version::next), Some(*version));
                self.version = Some(*version);
            }
            Notification::Ended(ending) => self.ended = Some(*ending),
            _ => {}
        }
    }
}

struct World {
    server: Server,
    watcher: End,
    writer: End,
    pointer: Pointer,
    /// Those that were not given up: of no others may anything be heard.
    watches: BTreeMap<Xid, Followed>,
    deleted: bool,
}

impl World {
    fn new(reserved: bool) -> Self {
        let mut limits = Limits::with_record(4 << 20, RECORD as u32);
        limits.queued_replies = 4;
        let mut server = Server::new(Config::new(limits, IdentityKey([1; 16]), [2; 32])).unwrap();
        let mut writer = End::new(&mut server, [127, 0, 0, 1]);
        let watcher = End::new(&mut server, [127, 0, 0, 2]);
        let access = Access::READ | Access::TAKEOVER;
        let data = Bytes::from_static(b"hello");
        let create = Request::CreateRecord { access, data };
        let request = if reserved { Request::ReserveRecord { access } } else { create };
        writer.client.request(request, Instant::ZERO).unwrap();
        writer.upstream(&mut server, usize::MAX, usize::MAX);
        writer.downstream(&mut server, usize::MAX, usize::MAX);
        let Some(Event::Replied { reply: Reply::Created(pointer), .. }) = writer.client.poll_event() else {
            panic!("no record")
        };
        Self { server, watcher, writer, pointer, watches: BTreeMap::new(), deleted: false }
    }

    fn write(&mut self, operation: u8, offset: u32, len: usize) {
        let (pointer, data) = (self.pointer, Bytes::from(vec![offset as u8 ^ len as u8; len]));
        let request = match operation {
            0 => Request::ReplaceRecord { pointer, data },
            1..=3 => Request::WriteRange { pointer, offset, data },
            4 | 5 => Request::Append { pointer, data: data.slice(..len.min(100)) },
            6 => Request::FetchAdd { pointer, offset: offset % 16, delta: len as i64 },
            7 => {
                let bits = Access::from_bits_truncate(len as u8) | Access::READ;
                Request::UpdateRecordPermissions { pointer, access: bits }
            }
            _ => Request::ReplaceRecord { pointer, data: data.slice(..len.min(10)) },
        };
        self.writer.client.request(request, Instant::ZERO).unwrap();
    }

    fn watch(&mut self, push: bool) {
        let request = Request::WatchRecord { pointer: self.pointer, push };
        let xid = self.watcher.client.request(request, Instant::ZERO).unwrap();
        let new = Followed { push, ..Followed::default() };
        assert!(self.watches.insert(xid, new).is_none(), "{xid} is still open");
    }

    fn give_up(&mut self, pick: usize) {
        let Some(xid) = self.watches.keys().copied().nth(pick % self.watches.len().max(1)) else { return };
        self.watches.remove(&xid);
        self.watcher.client.abort(xid, Instant::ZERO);
    }

    fn end(&mut self) {
        let pointer = self.pointer;
        self.writer.client.request(Request::DeleteRecord { pointer }, Instant::ZERO).unwrap();
        self.deleted = true;
    }

    /// Takes what the watcher has heard.
    fn events(&mut self) {
        while let Some(event) = self.watcher.client.poll_event() {
            let watch = self.watches.get_mut(&event.xid()).expect("an event of a watch that is followed");
            match event {
                Event::Watching { version, .. } => watch.begun = Some(version),
                Event::Notified { xid, notification } => {
                    self.watcher.client.consumed(xid, notification.weight(), Instant::ZERO);
                    watch.hear(&notification);
                }
                Event::Replied { xid, reply: Reply::Refused(_) } => {
                    assert!(self.deleted);
                    self.watches.remove(&xid);
                }
                other => panic!("{other:?}"),
            }
        }
        while self.writer.client.poll_event().is_some() {}
    }

    fn settle(&mut self) {
        for _ in 0..5000 {
            self.writer.upstream(&mut self.server, usize::MAX, usize::MAX);
            self.watcher.upstream(&mut self.server, usize::MAX, usize::MAX);
            self.writer.downstream(&mut self.server, usize::MAX, usize::MAX);
            self.watcher.downstream(&mut self.server, usize::MAX, usize::MAX);
            self.events();
            if self.writer.is_idle(&self.server) && self.watcher.is_idle(&self.server) {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    fn record(&mut self) -> Option<(Version, Bytes)> {
        let request = Request::ResolveIfChanged { pointer: self.pointer, version: Version(0) };
        let xid = self.writer.client.request(request, Instant::ZERO).unwrap();
        self.writer.upstream(&mut self.server, usize::MAX, usize::MAX);
        for _ in 0..20 {
            self.writer.downstream(&mut self.server, usize::MAX, usize::MAX);
        }
        match self.writer.client.poll_event() {
            Some(Event::Replied { reply: Reply::Changed { version, data }, .. }) => Some((version, data)),
            Some(Event::Replied { reply: Reply::Refused(_), .. }) => None,
            // Still reserved.
            None => {
                self.writer.client.abort(xid, Instant::ZERO);
                Some((Version::RESERVED, Bytes::new()))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { operation: u8, offset: u32, len: usize },
    Watch { push: bool },
    GiveUp { pick: usize },
    Writer { deliver: usize },
    Up { take: usize, deliver: usize },
    Down { take: usize, deliver: usize },
    Events,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = prop_oneof![0..20u32, 0..RECORD as u32];
    let len = prop_oneof![0..40usize, 1300..1500usize, 0..RECORD];
    let bytes = || prop_oneof![1..40usize, 1..3000usize, Just(usize::MAX)];
    let step = prop_oneof![
        6 => (0..10u8, offset, len)
            .prop_map(|(operation, offset, len)| Step::Write { operation, offset, len }),
        2 => any::<bool>().prop_map(|push| Step::Watch { push }),
        1 => any::<usize>().prop_map(|pick| Step::GiveUp { pick }),
        8 => bytes().prop_map(|deliver| Step::Writer { deliver }),
        4 => (bytes(), bytes()).prop_map(|(take, deliver)| Step::Up { take, deliver }),
        8 => (bytes(), bytes()).prop_map(|(take, deliver)| Step::Down { take, deliver }),
        3 => Just(Step::Events),
    ];
    proptest::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn copies_become_the_record(steps in steps(), reserved in any::<bool>(), delete in any::<bool>()) {
        let mut world = World::new(reserved);
        world.watch(true);
        world.watch(false);
        for step in steps {
            match step {
                Step::Write { operation, offset, len } => world.write(operation, offset, len),
                Step::Watch { push } => world.watch(push),
                Step::GiveUp { pick } => world.give_up(pick),
                Step::Writer { deliver } => {
                    world.writer.upstream(&mut world.server, deliver, deliver);
                    world.writer.downstream(&mut world.server, usize::MAX, usize::MAX);
                }
                Step::Up { take, deliver } => world.watcher.upstream(&mut world.server, take, deliver),
                Step::Down { take, deliver } => world.watcher.downstream(&mut world.server, take, deliver),
                Step::Events => world.events(),
            }
        }
        world.settle();
        let (version, data) = world.record().unwrap();
        for (xid, watch) in &world.watches {
            prop_assert!(watch.begun.is_some() && watch.ended.is_none());
            if watch.push {
                prop_assert_eq!(watch.replica.version(), version, "of {}", xid);
                prop_assert!(watch.replica.data() == &data, "{} has other data", xid);
            } else {
                prop_assert_eq!(watch.version.or(watch.begun), Some(version), "of {}", xid);
            }
        }
        prop_assert_eq!(world.watcher.client.transactions(), world.watches.len());

        // Everything ends.
        if delete {
            world.end();
            world.settle();
            prop_assert!(world.watches.values().all(|watch| watch.ended == Some(Ending::Deleted)));
        } else {
            while !world.watches.is_empty() {
                world.give_up(0);
            }
            world.settle();
        }
        prop_assert_eq!(world.watcher.client.transactions(), 0);
        prop_assert_eq!(world.server.store().statistics().unfinished_bytes, 0);
    }
}

/// A client that consumes nothing is told of the newest state when it does, not of every one.
#[test]
fn a_client_that_does_not_consume_is_told_of_the_newest_state() {
    let mut world = World::new(false);
    world.watch(true);
    let mut told = 0;
    for round in 0..2000 {
        world.write(0, round, RECORD);
        world.writer.upstream(&mut world.server, usize::MAX, usize::MAX);
        world.writer.downstream(&mut world.server, usize::MAX, usize::MAX);
        world.watcher.upstream(&mut world.server, usize::MAX, usize::MAX);
        // The pipe holds what sockets would.
        if world.watcher.down.len() < 100_000 {
            world.watcher.downstream(&mut world.server, 100_000, usize::MAX);
            told += 1;
        }
    }
    assert!(!world.watcher.client.wants_read() && told < 500, "{told}");
    while let Some(event) = world.watcher.client.poll_event() {
        if let Event::Notified { xid, notification } = event {
            world.watcher.client.consumed(xid, notification.weight(), Instant::ZERO);
        }
    }
    world.watches.values_mut().for_each(|watch| watch.begun = Some(Version(1)));
    world.settle();
    let watch = world.watches.values().next().unwrap();
    assert_eq!((watch.replica.version(), watch.replica.data().len()), (Version(2001), RECORD));
}
