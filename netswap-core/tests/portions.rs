//! Records that end in portions, held against a naive model: owners that come and go, graces, heirs, times to live, and many
//! requests while more is due than was done (docs/PROTOCOL.md §6.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use netswap_core::config::{Config, Limits};
use netswap_core::engine::Peer;
use netswap_core::error::Refusal;
use netswap_core::identity::IdentityKey;
use netswap_core::memory::{Data, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Owner, Pointer, Xid};
use netswap_core::wire::{Lifetime, Reply, Request};
use proptest::prelude::*;
use support::{OVERHEAD, OWNER_COST, SETTINGS_COST, held};

/// Milliseconds since the start.
type Time = u64;

/// The default grace.
const GRACE: Time = 3000;

const OWNERS: u8 = 4;

#[derive(Clone, Debug)]
enum Step {
    Connect(u8),
    /// A connection no longer keeps its owner's records alive.
    Depart(u8),
    Disconnect(u8),
    Create(u8, u8),
    SetLifetime {
        record: u8,
        grace: Option<u8>,
        ttl: u8,
        heir: u8,
    },
    Transfer {
        record: u8,
        to: u8,
    },
    TakeOver {
        client: u8,
        record: u8,
    },
    Delete {
        record: u8,
    },
    Stat {
        record: u8,
    },
    List(u8),
    /// So many half seconds pass, and the store is called or not.
    Pass(u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<u8>;
    let owner = || 0..OWNERS;
    let grace = prop::option::of(prop_oneof![3 => Just(0_u8), 2 => 1..5_u8]);
    prop_oneof![
        6 => owner().prop_map(Step::Connect),
        2 => any().prop_map(Step::Depart),
        6 => any().prop_map(Step::Disconnect),
        8 => (any(), 1..6_u8).prop_map(|(client, count)| Step::Create(client, count)),
        10 => (any(), grace, prop_oneof![4 => Just(0_u8), 1 => 1..6_u8], 0..=OWNERS)
            .prop_map(|(record, grace, ttl, heir)| Step::SetLifetime { record, grace, ttl, heir }),
        4 => (any(), owner()).prop_map(|(record, to)| Step::Transfer { record, to }),
        4 => (any(), any()).prop_map(|(client, record)| Step::TakeOver { client, record }),
        3 => any().prop_map(|record| Step::Delete { record }),
        10 => any().prop_map(|record| Step::Stat { record }),
        4 => any().prop_map(Step::List),
        14 => (prop_oneof![3 => 0..3_u8, 2 => 0..12_u8], prop::bool::weighted(0.3))
            .prop_map(|(time, called)| Step::Pass(time, called)),
    ]
}

#[derive(Clone, Debug)]
struct Record {
    owner: Owner,
    grace: Time,
    ttl: Option<Time>,
    heir: Option<Owner>,
    deadline: Option<Time>,
    /// It has come to an heir, who may not know yet.
    inherited: bool,
    /// Whether SET_LIFETIME gave it a grace.
    has_grace: bool,
    /// Whether its owner has been gone since it got it.
    was_left: bool,
}

impl Record {
    /// What it counts, at least and at most. The store may find out about absences of its owner one by one, so that any of
    /// them may have given it a deadline of its own.
    fn held(&self) -> (u64, u64) {
        let is_set = self.has_grace || self.ttl.is_some() || self.heir.is_some();
        let cost = |counts: bool| held(4) + OVERHEAD + if counts { SETTINGS_COST } else { 0 };
        (cost(is_set), cost(is_set || self.was_left))
    }
}

/// The rules of §6.3 to §6.5, one thing after another.
#[derive(Default)]
struct Model {
    records: BTreeMap<Pointer, Record>,
    /// All that ever were.
    known: Vec<Pointer>,
    present: BTreeMap<Owner, u32>,
}

impl Model {
    fn is_present(&self, owner: Owner) -> bool {
        self.present.get(&owner).is_some_and(|count| *count > 0)
    }

    fn give(&mut self, pointer: Pointer, to: Owner, now: Time) {
        let absent = !self.is_present(to);
        let record = self.records.get_mut(&pointer).unwrap();
        if record.owner != to {
            (record.owner, record.heir, record.was_left) = (to, None, absent);
            record.deadline = absent.then_some(now + record.grace);
        }
    }

    fn expire(&mut self, now: Time) {
        loop {
            let ends = self.records.iter().flat_map(|(pointer, record)| {
                let ttl = record.ttl.map(|end| (end, false, *pointer));
                ttl.into_iter().chain(record.deadline.map(|end| (end, true, *pointer)))
            });
            let Some((then, by_grace, pointer)) = ends.min().filter(|(end, ..)| *end <= now) else { return };
            match self.records[&pointer].heir.filter(|_| by_grace) {
                Some(heir) => {
                    self.give(pointer, heir, then);
                    self.records.get_mut(&pointer).unwrap().inherited = true;
                }
                None => _ = self.records.remove(&pointer),
            }
        }
    }

    fn arrive(&mut self, owner: Owner) {
        *self.present.entry(owner).or_default() += 1;
        self.records.values_mut().filter(|it| it.owner == owner).for_each(|it| it.deadline = None);
    }

    fn leave(&mut self, owner: Owner, now: Time) {
        *self.present.get_mut(&owner).unwrap() -= 1;
        if !self.is_present(owner) {
            let own = self.records.values_mut().filter(|it| it.owner == owner);
            own.for_each(|it| (it.deadline, it.was_left) = (Some(now + it.grace), true));
        }
    }
}

struct Client {
    peer: Peer,
    present: bool,
}

struct Play {
    store: Store,
    model: Model,
    clients: Vec<Client>,
    owners: Vec<Owner>,
    now: Time,
    /// How often a request was carried out while more was due than was done.
    behind: usize,
}

impl Play {
    fn new(portion: u32) -> Self {
        let mut config = Config::new(Limits::new(1 << 30), IdentityKey([7; 16]), [9; 32]);
        config.times.grace = Duration::from_millis(GRACE);
        let owners = (0..OWNERS).map(|host| config.identity_key.owner([10, 0, 0, host].into())).collect();
        let mut store = Store::new(config).unwrap();
        store.set_portion(portion);
        let (model, clients) = (Model::default(), Vec::new());
        Self { store, model, clients, owners, now: 0, behind: 0 }
    }

    fn instant(&self) -> Instant {
        Instant::after_start(Duration::from_millis(self.now))
    }

    fn is_behind(&self) -> bool {
        self.store.poll_timeout().is_some_and(|due| due <= self.instant())
    }

    fn ask(&mut self, peer: Peer, request: Request<Payload<'_>>) -> Reply<Data> {
        self.model.expire(self.now);
        let now = self.instant();
        let reply = self.store.serve(peer, Xid(1), request, now).reply().expect("nothing waits");
        self.behind += usize::from(self.is_behind());
        reply
    }

    fn client(&self, choice: u8) -> Option<Peer> {
        let present: Vec<Peer> = self.clients.iter().filter(|it| it.present).map(|it| it.peer).collect();
        present.get(usize::from(choice) % present.len().max(1)).copied()
    }

    fn record(&self, choice: u8) -> Option<Pointer> {
        let known = &self.model.known;
        known.len().checked_sub(1).map(|last| known[last - usize::from(choice) % known.len().min(40)])
    }

    /// The record as the model has it now, and a connection of its owner, where there are such.
    fn owned(&mut self, pointer: Pointer) -> Option<(Record, Peer)> {
        self.model.expire(self.now);
        let record = self.model.records.get(&pointer)?.clone();
        let client = self.clients.iter().find(|it| it.present && it.peer.owner == record.owner)?;
        Some((record, client.peer))
    }

    /// Asks with some connection what there is to know of a record.
    fn stat(&mut self, pointer: Pointer) {
        let Some(peer) = self.client(0) else { return };
        let reply = self.ask(peer, Request::StatRecord { pointer });
        match (self.model.records.get(&pointer), reply) {
            (None, Reply::Refused(Refusal::AddressFault)) => {}
            (Some(record), Reply::Stat(stat)) => {
                let end = record.ttl.into_iter().chain(record.deadline).min();
                let expires = end.map(|end| (end - self.now).div_ceil(1000) as u32);
                assert_eq!((stat.owner, stat.expires), (record.owner, expires), "{pointer:?}");
            }
            other => panic!("{pointer:?}: {other:?}"),
        }
    }

    fn list(&mut self, peer: Peer) {
        let Reply::Pointers(listed) = self.ask(peer, Request::ListRecords) else { panic!("no list") };
        let pointers: BTreeSet<Pointer> = listed.iter().copied().collect();
        assert_eq!(pointers.len(), listed.len(), "no record is listed twice");
        let own: BTreeMap<_, _> =
            self.model.records.iter().filter(|(_, it)| it.owner == peer.owner).collect();
        assert!(pointers.iter().all(|it| own.contains_key(it)), "what is listed is its own and there");
        let behind = self.is_behind();
        let missing = own.iter().filter(|(pointer, _)| !pointers.contains(pointer));
        assert!(missing.into_iter().all(|(_, it)| behind && it.inherited), "only an heir may have to wait");
    }

    fn apply(&mut self, step: &Step) -> Option<()> {
        // What happens at one moment happens in an order that moments do not tell.
        self.now += 1;
        let now = self.instant();
        match *step {
            Step::Connect(host) if self.clients.len() < 8 => {
                self.model.expire(self.now);
                let Admission::Served(peer) = self.store.connect([10, 0, 0, host].into(), now) else {
                    panic!("it is turned away");
                };
                self.model.arrive(peer.owner);
                self.clients.push(Client { peer, present: true });
            }
            Step::Connect(_) => {}
            Step::Depart(client) => {
                let peer = self.client(client)?;
                self.depart(peer);
                self.store.depart(peer.id, now);
            }
            Step::Disconnect(client) => {
                let at = usize::from(client).checked_rem(self.clients.len())?;
                let peer = self.clients[at].peer;
                self.depart(peer);
                self.store.disconnect(peer.id, now);
                self.clients.remove(at);
            }
            Step::Create(client, count) => {
                let peer = self.client(client)?;
                for _ in 0..count {
                    let access = Access::READ | Access::WRITE | Access::TAKEOVER;
                    let request = Request::CreateRecord { access, data: Payload::Whole(b"data") };
                    let Reply::Created(pointer) = self.ask(peer, request) else {
                        panic!("it is not created")
                    };
                    let record = Record {
                        owner: peer.owner,
                        grace: GRACE,
                        ttl: None,
                        heir: None,
                        deadline: None,
                        inherited: false,
                        has_grace: false,
                        was_left: false,
                    };
                    self.model.records.insert(pointer, record);
                    self.model.known.push(pointer);
                }
            }
            Step::SetLifetime { record, grace, ttl, heir } => {
                let pointer = self.record(record)?;
                let (record, peer) = self.owned(pointer)?;
                let heir = self.owners.get(usize::from(heir)).copied().filter(|heir| *heir != record.owner);
                let lifetime =
                    Lifetime { grace: grace.map(u32::from), ttl: NonZeroU32::new(ttl.into()), heir };
                let reply = self.ask(peer, Request::SetLifetime { pointer, lifetime });
                assert!(matches!(reply, Reply::Done), "{reply:?}");
                let now = self.now;
                let record = self.model.records.get_mut(&pointer)?;
                (record.has_grace, record.was_left) = (grace.is_some(), false);
                record.grace = grace.map_or(GRACE, |seconds| Time::from(seconds) * 1000);
                (record.ttl, record.heir) = ((ttl > 0).then(|| now + Time::from(ttl) * 1000), heir);
            }
            Step::Transfer { record, to } => {
                let pointer = self.record(record)?;
                let (_, peer) = self.owned(pointer)?;
                let owner = self.owners[usize::from(to)];
                let reply = self.ask(peer, Request::TransferRecord { pointer, owner });
                assert!(matches!(reply, Reply::Done), "{reply:?}");
                self.model.give(pointer, owner, self.now);
            }
            Step::TakeOver { client, record } => {
                let (peer, pointer) = (self.client(client)?, self.record(record)?);
                let reply = self.ask(peer, Request::TakeoverRecord { pointer });
                match (self.model.records.get(&pointer), &reply) {
                    (None, Reply::Refused(Refusal::AddressFault)) => {}
                    (Some(record), Reply::Refused(Refusal::AccessViolation)) => {
                        assert_ne!(record.owner, peer.owner);
                    }
                    (Some(_), Reply::Done) => self.model.give(pointer, peer.owner, self.now),
                    other => panic!("{other:?}"),
                }
            }
            Step::Delete { record } => {
                let pointer = self.record(record)?;
                let (_, peer) = self.owned(pointer)?;
                let reply = self.ask(peer, Request::DeleteRecord { pointer });
                assert!(matches!(reply, Reply::Done), "{reply:?}");
                self.model.records.remove(&pointer);
            }
            Step::Stat { record } => {
                let pointer = self.record(record)?;
                self.stat(pointer);
            }
            Step::List(client) => {
                let peer = self.client(client)?;
                self.list(peer);
            }
            Step::Pass(time, called) => {
                self.now += Time::from(time) * 500;
                if called {
                    let now = self.instant();
                    self.store.handle_timeout(now);
                }
            }
        }
        Some(())
    }

    /// What the model knows of a connection's departure.
    fn depart(&mut self, peer: Peer) {
        self.model.expire(self.now);
        let client = self.clients.iter_mut().find(|it| it.peer.id == peer.id).unwrap();
        if std::mem::take(&mut client.present) {
            self.model.leave(peer.owner, self.now);
        }
    }

    /// Everything that is due is done.
    fn catch_up(&mut self) {
        self.model.expire(self.now);
        for _ in 0..100_000 {
            if !self.is_behind() {
                return;
            }
            let now = self.instant();
            self.store.handle_timeout(now);
        }
        panic!("something is due over and over");
    }

    fn check(&self) {
        let (statistics, model) = (self.store.statistics(), &self.model);
        assert_eq!(statistics.records, model.records.len() as u64);
        let connected: BTreeSet<Owner> = self.clients.iter().map(|it| it.peer.owner).collect();
        let mut absent: BTreeSet<Owner> = model.records.values().map(|it| it.owner).collect();
        absent.retain(|owner| !connected.contains(owner));
        assert_eq!(statistics.owners, (connected.len() + absent.len()) as u64);
        let records = model.records.values().map(Record::held);
        let (least, most) = records.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let absent = absent.len() as u64 * OWNER_COST;
        let expected = least + absent..=most + absent;
        assert!(expected.contains(&statistics.bytes), "{} bytes, not {expected:?}", statistics.bytes);
    }

    /// Looks at everything, and then lets everything end.
    fn finish(mut self) -> usize {
        for pointer in self.model.known.clone() {
            self.stat(pointer);
        }
        self.catch_up();
        self.check();
        for peer in self.clients.iter().map(|it| it.peer).collect::<Vec<_>>() {
            if self.clients.iter().any(|it| it.present && it.peer.id == peer.id) {
                self.list(peer);
            }
            self.now += 1;
            let now = self.instant();
            self.depart(peer);
            self.store.disconnect(peer.id, now);
        }
        self.clients.clear();
        self.catch_up();
        self.check();
        self.now += 1_000_000;
        self.catch_up();
        self.check();
        let left = self.store.statistics();
        assert_eq!((left.records, left.owners, left.bytes, self.store.poll_timeout()), (0, 0, 0, None));
        self.behind
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn however_little_is_done_at_a_time_every_deadline_is_exact(
        portion in 1..4_u32,
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut play = Play::new(portion);
        for step in &steps {
            play.apply(step);
            if !play.is_behind() {
                play.model.expire(play.now);
                play.check();
            }
        }
        play.finish();
    }
}

#[test]
fn requests_come_while_much_is_due() {
    let mut play = Play::new(1);
    play.apply(&Step::Connect(0));
    play.apply(&Step::Create(0, 200));
    play.apply(&Step::Disconnect(0));
    play.apply(&Step::Pass(6, false));
    for step in [Step::Connect(0), Step::List(0), Step::Create(0, 3), Step::Disconnect(0), Step::Connect(1)] {
        play.apply(&step);
    }
    (0..40).for_each(|record| _ = play.apply(&Step::Stat { record }));
    assert!(play.is_behind() && play.model.records.len() == 3);
    assert!(play.finish() > 40);
}
