//! Many watches of one record, told in portions, against a naive model of what each may be told (docs/PROTOCOL.md §4.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/bare.rs"]
mod bare;
mod support;

use std::collections::BTreeMap;

use bare::{NOW, connect, create, reply, serve, store};
use netswap_core::engine::{ConnectionId, Execution, Mail, Peer, Post};
use netswap_core::memory::Data;
use netswap_core::store::Store;
use netswap_core::types::{Access, Owner, Pointer, Version, Xid};
use netswap_core::wire::{Ending, Notification, Reply, Request};
use proptest::prelude::*;

/// What happened to the record, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Written {
        data: Vec<u8>,
        part: Option<(u32, Vec<u8>)>,
    },
    Owner(Owner),
    Access(Access),
    Asked {
        owner: Owner,
        by: Owner,
    },
    /// Only the owner may read it.
    Closed(Owner),
    Deleted,
}

struct Watch {
    watcher: Owner,
    push: bool,
    /// How many events there were when it began.
    since: usize,
    /// The version that it has.
    version: u64,
    access: usize,
    owner: usize,
    asked: usize,
    ended: Option<Ending>,
}

struct Play {
    store: Store,
    peers: Vec<Peer>,
    pointer: Pointer,
    events: Vec<Event>,
    owner: Owner,
    access: Access,
    states: Vec<Vec<u8>>,
    watches: BTreeMap<(ConnectionId, Xid), Watch>,
    next: u32,
    is_deleted: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Replace(u8),
    Append(u8),
    Permit(bool, bool),
    Give(u8),
    Ask(u8),
    Watch(u8, bool),
    GiveUp(u8),
    Depart(u8),
    Take(u8),
    Tell,
    Delete,
}

impl Play {
    /// A record with many watches.
    fn new(portion: usize, watches: u32) -> Self {
        let mut store = store(portion);
        let peers: Vec<Peer> = (0..6).map(|n| connect(&mut store, 1 + n % 3)).collect();
        let pointer = create(&mut store, peers[0], Some(b"first"));
        let mut play = Self {
            store,
            pointer,
            events: Vec::new(),
            owner: peers[0].owner,
            access: Access::READ | Access::WRITE,
            states: vec![Vec::new(), b"first".to_vec()],
            watches: BTreeMap::new(),
            next: 0,
            is_deleted: false,
            peers,
        };
        for n in 0..watches {
            play.step(&Step::Watch(n as u8, n % 3 > 0));
        }
        (0..6).for_each(|n| play.step(&Step::Take(n)));
        play
    }

    fn peer(&self, choice: u8) -> Peer {
        self.peers[usize::from(choice) % self.peers.len()]
    }

    fn owning(&self) -> Peer {
        *self.peers.iter().find(|peer| peer.owner == self.owner).unwrap()
    }

    /// The rights have changed.
    fn note_rights(&mut self, events: impl IntoIterator<Item = Event>) {
        let is_closed = !self.access.contains(Access::READ);
        // What takes READ away is not told otherwise to those who lose it.
        self.events.extend(is_closed.then_some(Event::Closed(self.owner)));
        self.events.extend(events);
    }

    fn write(&mut self, data: Vec<u8>, part: Option<(u32, Vec<u8>)>) {
        self.states.push(data.clone());
        self.events.push(Event::Written { data, part });
    }

    fn step(&mut self, step: &Step) {
        let (pointer, owning) = (self.pointer, self.owning());
        if self.is_deleted && !matches!(step, Step::GiveUp(_) | Step::Depart(_) | Step::Take(_) | Step::Tell)
        {
            return;
        }
        match *step {
            Step::Replace(byte) => {
                let data = vec![byte; 3];
                reply(&mut self.store, owning, Request::ReplaceRecord { pointer, data: &data });
                self.write(data, None);
            }
            Step::Append(byte) => {
                let mut data = self.states.last().unwrap().clone();
                let offset = data.len() as u32;
                data.push(byte);
                reply(&mut self.store, owning, Request::Append { pointer, data: &[byte] });
                self.write(data, Some((offset, vec![byte])));
            }
            Step::Permit(read, write) => {
                let mut access = Access::TAKEOVER;
                access.set(Access::READ, read);
                access.set(Access::WRITE, write);
                reply(&mut self.store, owning, Request::UpdateRecordPermissions { pointer, access });
                if access != self.access {
                    self.access = access;
                    self.note_rights([Event::Access(access)]);
                }
            }
            Step::Give(to) => {
                let owner = self.peer(to).owner;
                reply(&mut self.store, owning, Request::TransferRecord { pointer, owner });
                if owner != self.owner {
                    self.owner = owner;
                    let access = self.access.difference(Access::TAKEOVER);
                    let is_other = access != self.access;
                    self.access = access;
                    self.note_rights(
                        [Event::Owner(owner)].into_iter().chain(is_other.then_some(Event::Access(access))),
                    );
                }
            }
            Step::Ask(by) => {
                let peer = self.peer(by);
                let done = reply(&mut self.store, peer, Request::RequestOwnership { pointer });
                if matches!(done, Reply::Done) && peer.owner != self.owner {
                    self.events.push(Event::Asked { owner: self.owner, by: peer.owner });
                }
            }
            Step::Watch(who, push) => {
                let (peer, xid) = (self.peer(who), self.next);
                self.next += 1;
                let done = serve(&mut self.store, peer, xid, Request::WatchRecord { pointer, push });
                if let Execution::Done(Reply::Watching(version)) = done {
                    assert_eq!(version.0, self.version());
                    let since = self.events.len();
                    let (access, owner, asked) = (since, since, since);
                    // A pushing one gets that version as its first state.
                    let version = if push { version.0 - 1 } else { version.0 };
                    let watcher = peer.owner;
                    let watch = Watch { watcher, push, since, version, access, owner, asked, ended: None };
                    self.watches.insert((peer.id, Xid(xid)), watch);
                }
            }
            Step::GiveUp(choice) => {
                let key =
                    self.watches.keys().nth(usize::from(choice) * 2 % self.watches.len().max(1)).copied();
                if let Some(key) = key {
                    self.watches.remove(&key);
                    self.store.forget(key.0, key.1);
                }
            }
            Step::Depart(choice) => {
                let peer = self.peer(choice);
                self.store.depart(peer.id, NOW);
                self.watches.retain(|(id, _), _| *id != peer.id);
                let at = usize::from(choice) % self.peers.len();
                let others = self.peers.iter().filter(|it| it.owner == peer.owner).count();
                assert_eq!(others, 2);
                self.peers[at] = connect(&mut self.store, 1 + at as u8 % 3);
                self.store.disconnect(peer.id, NOW);
            }
            Step::Take(choice) => self.take(self.peer(choice)),
            Step::Tell => self.store.handle_timeout(NOW),
            Step::Delete => {
                reply(&mut self.store, owning, Request::DeleteRecord { pointer });
                self.events.push(Event::Deleted);
                self.is_deleted = true;
            }
        }
    }

    fn version(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// A connection takes all that there is for it.
    fn take(&mut self, peer: Peer) {
        let mut all = Vec::new();
        loop {
            match self.store.take_mail(peer.id, None) {
                Post::Mail(mail) if mail.is_empty() => break,
                Post::Mail(mail) => all.extend(mail),
                Post::News(..) => panic!("no room was said"),
            }
        }
        for mail in all {
            match mail {
                Mail::News(xid) => {
                    let told = self.store.take_news(peer.id, xid, u64::MAX).unwrap();
                    self.told((peer.id, xid), told.into_iter().collect());
                }
                Mail::Last(xid, told) => self.told((peer.id, xid), told),
                Mail::Answer(..) => panic!("nobody waits"),
            }
        }
    }

    fn told(&mut self, key: (ConnectionId, Xid), told: Vec<Notification<Data>>) {
        if told.is_empty() {
            return;
        }
        let states = &self.states;
        let Some(watch) = self.watches.get_mut(&key) else {
            panic!("{key:?} is told {told:?} and watches no more")
        };
        assert_eq!(watch.ended, None, "{told:?} after the end");
        let end = watch.end(&self.events);
        let (events, until) = (&self.events[..end], watch.version_at(&self.events, end, states));
        // The newest event after those of which it was told.
        let newest = |from: usize, event: &Event| {
            let at = events.iter().rposition(|it| it == event).filter(|at| *at >= from);
            at.unwrap_or_else(|| panic!("{event:?} did not happen from {from} on: {events:?}")) + 1
        };
        let mut order = 0;
        for notification in told {
            let place = match notification {
                Notification::Changed { version: Version(version), data } => {
                    assert!(watch.version < version && version <= until, "{version} to {until}");
                    let state = watch.push.then(|| states[version as usize].clone());
                    assert_eq!(data.map(|data| data.to_vec()), state);
                    watch.version = version;
                    0
                }
                Notification::RangeChanged { version: Version(version), offset, data } => {
                    assert!(watch.push && version == watch.version + 1 && version <= until);
                    let part = Some((offset, data.to_vec()));
                    let write = Event::Written { data: states[version as usize].clone(), part };
                    assert!(events.contains(&write), "{write:?}");
                    watch.version = version;
                    0
                }
                Notification::OwnershipRequested(by) => {
                    watch.asked = newest(watch.asked, &Event::Asked { owner: watch.watcher, by });
                    order + 1
                }
                Notification::OwnerChanged(owner) => {
                    watch.owner = newest(watch.owner, &Event::Owner(owner));
                    2
                }
                Notification::AccessChanged(access) => {
                    watch.access = newest(watch.access, &Event::Access(access));
                    3
                }
                Notification::Ended(ending) => {
                    watch.ended = Some(ending);
                    5
                }
            };
            assert!(place >= order, "the order is {order}, {place}");
            order = place;
        }
    }

    /// All is told and taken: nothing is missing.
    fn finish(mut self) {
        let mut calls = 0;
        while self.store.poll_timeout() == Some(NOW) {
            self.store.handle_timeout(NOW);
            calls += 1;
            assert!(calls < 10_000, "it goes on and on");
        }
        self.peers.clone().into_iter().for_each(|peer| self.take(peer));
        for (key, watch) in &self.watches {
            let end = watch.end(&self.events);
            let ending = match self.events.get(end) {
                Some(Event::Closed(_)) => Some(Ending::AccessLost),
                Some(_) => Some(Ending::Deleted),
                None => None,
            };
            assert_eq!(watch.ended, ending, "{key:?}");
            let is_closed = |event: &Event| matches!(event, Event::Closed(_));
            if ending == Some(Ending::AccessLost) && self.events[..watch.since].iter().any(is_closed) {
                // READ was taken away, given back and taken away again: it gets no data that it perhaps must not have.
                continue;
            }
            let until = watch.version_at(&self.events, end, &self.states);
            assert_eq!(watch.version, until, "{key:?} misses the newest state");
            let of = &self.events[..end];
            let last = |is: fn(&Event) -> bool| of.iter().rposition(is).map_or(0, |at| at + 1);
            assert!(watch.owner >= last(|it| matches!(it, Event::Owner(_))), "{key:?} misses the owner");
            assert!(watch.access >= last(|it| matches!(it, Event::Access(_))), "{key:?} misses the rights");
            let asked =
                of.iter().rposition(|it| matches!(it, Event::Asked { owner, .. } if *owner == watch.watcher));
            let kept = asked.filter(|at| !of[*at..].iter().any(|it| matches!(it, Event::Owner(_))));
            assert!(watch.asked >= kept.map_or(0, |at| at + 1), "{key:?} misses a request");
        }
        let ids: Vec<ConnectionId> = self.peers.iter().map(|peer| peer.id).collect();
        ids.into_iter().for_each(|id| self.store.disconnect(id, NOW));
    }
}

impl Watch {
    /// The number of events until it ends.
    fn end(&self, events: &[Event]) -> usize {
        let ends = |event: &Event| match event {
            Event::Closed(owner) => *owner != self.watcher,
            Event::Deleted => true,
            _ => false,
        };
        events[self.since..].iter().position(ends).map_or(events.len(), |at| self.since + at)
    }

    /// The version before an event.
    fn version_at(&self, events: &[Event], end: usize, states: &[Vec<u8>]) -> u64 {
        let later = events[end..].iter().filter(|it| matches!(it, Event::Written { .. })).count();
        (states.len() - 1 - later) as u64
    }
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    prop_oneof![
        6 => any().prop_map(Step::Replace),
        6 => any().prop_map(Step::Append),
        3 => (prop::bool::weighted(0.7), prop::bool::ANY).prop_map(|(read, write)| Step::Permit(read, write)),
        3 => any().prop_map(Step::Give),
        3 => any().prop_map(Step::Ask),
        6 => (any(), prop::bool::ANY).prop_map(|(who, push)| Step::Watch(who, push)),
        2 => any().prop_map(Step::GiveUp),
        1 => any().prop_map(Step::Depart),
        8 => any().prop_map(Step::Take),
        12 => Just(Step::Tell),
        1 => Just(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_watches_are_told_what_each_may_be_told(
        portion in prop_oneof![Just(2_usize), 3..60_usize],
        watches in 3..300_u32,
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let mut play = Play::new(portion, watches);
        steps.iter().for_each(|step| play.step(step));
        play.finish();
    }

    #[test]
    fn few_watches_in_small_portions_are_told_what_each_may_be_told(
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        let mut play = Play::new(2, 7);
        steps.iter().for_each(|step| play.step(step));
        play.finish();
    }
}
