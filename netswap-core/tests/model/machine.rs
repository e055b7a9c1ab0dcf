//! The machine: what happens is done to the server, byte by byte, and to the naive one, and they are compared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use netswap_core::config::{Config, Portions};
use netswap_core::engine::Peer;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::connection::{Naive, Stage};
use crate::expected::Expected;
use crate::naive::Store;
use crate::operations::{Ask, Cut, Lapse, Plan, Profile, Transition, plan, transition};
use crate::requests;
use crate::support::wire::abort;
use crate::support::{self, World};
use crate::terms::{Rules, SECOND, Time, u32_at};

/// The last one is the first, spelt otherwise.
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1", "::ffff:10.0.0.1"];

/// More connections than this there are not at a time.
const MOST_CLIENTS: usize = 9;

/// The pointers that a server of this seed gives, the first one last.
static POINTERS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut world = World::new();
    let peer = world.connect("10.0.0.1");
    let mut pointers: Vec<u64> = (0..1000).map(|_| world.create(peer, 0, [])).collect();
    let distinct: BTreeSet<u64> = pointers.iter().copied().collect();
    assert!(distinct.len() == pointers.len() && !distinct.contains(&0));
    pointers.reverse();
    pointers
});

pub(crate) struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Plan;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Plan> {
        plan().boxed()
    }

    fn transitions(_: &Plan) -> BoxedStrategy<Transition> {
        transition().boxed()
    }

    fn apply(plan: Plan, _: &Transition) -> Plan {
        plan
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Play;
    type Reference = Self;

    fn init_test(plan: &Plan) -> Play {
        Play::new(plan)
    }

    fn apply(mut play: Play, _: &Plan, transition: Transition) -> Play {
        play.apply(transition);
        play
    }

    fn check_invariants(play: &Play, _: &Plan) {
        play.check();
    }

    fn teardown(play: Play, plan: Plan) {
        play.finish(plan.ending);
    }
}

/// The machine with a server that ends no more than two records in one call, and is called until nothing is due.
pub(crate) struct InPortions;

impl StateMachineTest for InPortions {
    type SystemUnderTest = Play;
    type Reference = Machine;

    fn init_test(plan: &Plan) -> Play {
        // When it finds out that a connection is too slow depends on when it is called.
        let mut play = Play::new(&Plan { hasty: false, ..plan.clone() });
        play.world.set_portion(2);
        play.in_portions = true;
        play
    }

    fn apply(mut play: Play, _: &Plan, transition: Transition) -> Play {
        play.apply(transition);
        play
    }

    fn check_invariants(play: &Play, _: &Plan) {
        play.check();
    }

    fn teardown(play: Play, plan: Plan) {
        play.finish(plan.ending);
    }
}

pub(crate) struct Client {
    pub(crate) peer: Peer,
    /// Whether it reads everything at once.
    fast: bool,
    pub(crate) expected: Expected,
    /// Packets on their way to the server, and how much of the first one has arrived.
    pub(crate) pipe: VecDeque<Vec<u8>>,
    pub(crate) arrived: usize,
    /// Packets that the server has got and not handled, because too many replies wait.
    pub(crate) handed: VecDeque<Vec<u8>>,
    /// Requests that are under way.
    pub(crate) uploads: Vec<VecDeque<Vec<u8>>>,
    next_xid: u32,
    xids: Vec<u32>,
    /// XIDs that it has given up, and whether it has used them again since.
    given_up: BTreeMap<u32, bool>,
}

pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) naive: Naive,
    pub(crate) clients: Vec<Client>,
    owners: Vec<u64>,
    pub(crate) config: Config,
    pub(crate) tight: bool,
    /// The server does not end all that is due in one call.
    in_portions: bool,
    first_xid: u32,
    /// The server has not done what became due.
    pub(crate) late: bool,
    /// Codes and ACCESS bytes of what clients got.
    pub(crate) received: BTreeSet<(u8, u8)>,
}

/// Little at a time, but for watches: the number of messages that a call leaves must follow from its requests.
const PORTIONS: Portions = Portions { watches: 256, ..Portions::SMALL };

fn rules(profile: Profile, hasty: bool) -> (Rules, Config) {
    let mut config = support::config();
    let limits = &mut config.limits;
    limits.record = 100_000;
    match profile {
        Profile::Wide => {}
        Profile::Scarce => {
            limits.record = 8000;
            (limits.owner_bytes, limits.owner_records) = (Some(12_000), Some(4));
            (limits.unfinished_requests, limits.watches, limits.connections) = (2, 2, 7);
            (limits.connection_unfinished, limits.unfinished) = (6000, 9000);
            limits.connections_per_address = Some(2);
            config.portions = PORTIONS;
        }
        Profile::Tight => {
            (limits.record, limits.total) = (8000, 20_000);
            limits.unfinished = 9000;
        }
        Profile::Narrow => {
            (limits.queued_replies, limits.queued_bytes) = (4, 30_000);
            config.portions = PORTIONS;
            // Long records have many chunks then, on three levels; what comes in one packet has none.
            config.chunk = 701;
        }
    }
    if !hasty {
        config.times.slow = Duration::from_secs(10_000_000);
    }
    let limits = &config.limits;
    let nanoseconds = |time: Duration| time.as_nanos() as Time;
    let rules = Rules {
        record: limits.record.into(),
        total: limits.total,
        owner_bytes: limits.owner_bytes,
        owner_records: limits.owner_records,
        unfinished_requests: limits.unfinished_requests as usize,
        connection_unfinished: limits.connection_unfinished,
        unfinished: limits.unfinished,
        watches: limits.watches as usize,
        connections: limits.connections as usize,
        connections_per_address: limits.connections_per_address.map(|limit| limit as usize),
        grace: nanoseconds(config.times.grace),
        longest: nanoseconds(config.times.longest),
        slow: nanoseconds(config.times.slow),
    };
    (rules, config)
}

impl Play {
    pub(crate) fn new(plan: &Plan) -> Self {
        let (rules, config) = rules(plan.profile, plan.hasty);
        support::set_chunk(config.chunk);
        let world = World::with(|it| *it = config.clone());
        let store = Store {
            rules,
            records: Default::default(),
            past: Default::default(),
            present: Default::default(),
            standing: Default::default(),
            events: Vec::new(),
            pointers: POINTERS.clone(),
            counts: Default::default(),
            answered: Default::default(),
            undecided: false,
            connected: Default::default(),
            punctual: true,
        };
        Self {
            world,
            naive: Naive { store, connections: Vec::new() },
            clients: Vec::new(),
            owners: Vec::new(),
            config,
            tight: plan.profile == Profile::Tight,
            in_portions: false,
            first_xid: plan.first_xid,
            late: false,
            received: BTreeSet::new(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.world.now.since_start().as_nanos() as Time
    }

    pub(crate) fn stage(&self, at: usize) -> Stage {
        self.naive.connections[at].stage
    }

    pub(crate) fn open(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|at| self.stage(*at) != Stage::Closed).collect()
    }

    fn client(&self, choice: u8) -> Option<usize> {
        let open = self.open();
        (!open.is_empty()).then(|| open[usize::from(choice) % open.len()])
    }

    pub(crate) fn apply(&mut self, transition: Transition) {
        if self.naive.store.undecided {
            return;
        }
        if (self.tight || self.in_portions) && self.late {
            // What is used is looked at before each request, and so is what a request owes to others: neither must wait for
            // anything.
            self.wake();
        }
        self.step(transition);
        for at in self.open() {
            if self.clients[at].fast {
                self.take(at, usize::MAX);
            }
        }
        self.catch_up();
    }

    /// Where the server is not late, it has done what is due at this very moment.
    pub(crate) fn catch_up(&mut self) {
        let mut turns = 0;
        while !self.late && self.world.next_due() == Some(Duration::ZERO) {
            self.wake();
            turns += 1;
            assert!(turns < 100, "something is due over and over");
        }
    }

    fn step(&mut self, transition: Transition) -> Option<()> {
        match transition {
            Transition::Connect { address, fast } => {
                if self.open().len() < MOST_CLIENTS {
                    self.connect(address, fast);
                }
            }
            Transition::Ask { client, ask, packets, cut } => {
                let at = self.client(client)?;
                self.ask(at, &ask);
                self.advance(at, self.clients[at].uploads.len() - 1, packets, &cut);
            }
            Transition::Burst { client, asks, cut } => {
                let at = self.client(client)?;
                for ask in asks {
                    let len = ask.len % 40;
                    self.ask(at, &Ask { len, ..ask });
                    let request = self.clients[at].uploads.pop()?;
                    self.clients[at].pipe.extend(request);
                }
                self.deliver(at, &cut);
            }
            Transition::Continue { client, upload, packets, cut } => {
                let under_way: Vec<usize> =
                    self.open().into_iter().filter(|at| !self.clients[*at].uploads.is_empty()).collect();
                let at = *under_way.get(usize::from(client) % under_way.len().max(1))?;
                let upload = usize::from(upload) % self.clients[at].uploads.len();
                self.advance(at, upload, packets, &cut);
            }
            Transition::Flow { client, cut } => {
                let at = self.client(client)?;
                self.deliver(at, &cut);
            }
            Transition::Abort { client, xid } => {
                let at = self.client(client)?;
                let xids = &self.clients[at].xids;
                let recent = xids.len().clamp(1, 6);
                let recent = xids.iter().rev().nth(usize::from(xid >> 1) % recent).copied();
                let standing = self.standing(at, xid);
                let upload = self.clients[at].uploads.last().and_then(VecDeque::front);
                let upload = upload.map(|packet| u32_at(packet, 0));
                let xid = match xid & 3 {
                    0 => standing.or(recent),
                    2 => upload.or(recent),
                    _ => recent,
                };
                let xid = xid.unwrap_or(7);
                let client = &mut self.clients[at];
                // One ABORT may stand for all that is under an XID that is used again before its terminal (§2.5): nobody
                // could tell what is still to come.
                if *client.given_up.entry(xid).or_insert(false) {
                    return None;
                }
                client.uploads.retain(|upload| upload.front().is_none_or(|it| it[..4] != xid.to_be_bytes()));
                client.pipe.push_back(abort(xid));
                self.deliver(at, &Cut::Packets(1));
            }
            Transition::Take { client, bytes } => {
                let at = self.client(client)?;
                self.take(at, bytes);
            }
            Transition::TakeAll { client } => {
                let at = self.client(client)?;
                self.take(at, usize::MAX);
            }
            Transition::Violate { client, how } => {
                let at = self.client(client)?;
                let (standing, xid) = (self.standing(at, how), self.clients[at].next_xid);
                let client = &mut self.clients[at];
                let upload = client.uploads.first().and_then(VecDeque::front).map(Vec::as_slice);
                let packets = requests::violation(how, xid, upload, standing);
                for packet in &packets {
                    client.given_up.entry(u32_at(packet, 0)).and_modify(|used_again| *used_again = true);
                }
                client.pipe.extend(packets);
                client.next_xid = client.next_xid.wrapping_add(4);
                self.deliver(at, &Cut::Packets(1));
            }
            Transition::HalfClose { client } => {
                let at = self.client(client)?;
                self.end(at);
            }
            Transition::Reset { client } => {
                let at = self.client(client)?;
                self.reset(at);
            }
            Transition::Wait { lapse, late } => self.wait(lapse, late),
        }
        Some(())
    }

    fn standing(&self, at: usize, choice: u8) -> Option<u32> {
        let standing: Vec<u32> =
            self.naive.store.standing.keys().filter(|(it, _)| *it == at).map(|(_, xid)| *xid).collect();
        standing.get(usize::from(choice) % standing.len().max(1)).copied()
    }

    fn connect(&mut self, address: u8, fast: bool) {
        let address = ADDRESSES[usize::from(address)];
        let peer = self.world.connect(address);
        let who = peer.owner.get();
        if !self.owners.contains(&who) {
            self.owners.push(who);
        }
        self.clients.push(Client {
            peer,
            fast,
            expected: Expected::default(),
            pipe: VecDeque::new(),
            arrived: 0,
            handed: VecDeque::new(),
            uploads: Vec::new(),
            next_xid: self.first_xid,
            xids: Vec::new(),
            given_up: BTreeMap::new(),
        });
        let now = self.now();
        self.naive.connect(who, now);
        self.settle();
    }

    /// A client begins a request: the last of its uploads.
    fn ask(&mut self, at: usize, ask: &Ask) {
        let client = &mut self.clients[at];
        let xid = if ask.xid == 0 || client.xids.is_empty() {
            client.next_xid = client.next_xid.wrapping_add(1);
            client.xids.push(client.next_xid);
            client.next_xid
        } else {
            let recent = client.xids.len().min(8);
            client.xids[client.xids.len() - 1 - usize::from(ask.xid) % recent]
        };
        if let Some(used_again) = client.given_up.get_mut(&xid) {
            *used_again = true;
        }
        let request = requests::make(ask, xid, &self.naive.store, &self.owners);
        self.clients[at].uploads.push(request);
    }

    /// So many packets of an upload are sent.
    fn advance(&mut self, at: usize, upload: usize, packets: usize, cut: &Cut) {
        let client = &mut self.clients[at];
        let count = packets.min(client.uploads[upload].len());
        client.pipe.extend(client.uploads[upload].drain(..count));
        if client.uploads[upload].is_empty() {
            client.uploads.remove(upload);
        }
        self.deliver(at, cut);
    }

    pub(crate) fn end(&mut self, at: usize) {
        let peer = self.clients[at].peer;
        if self.stage(at) != Stage::Open || self.world.wants_read(peer) {
            let now = self.now();
            self.world.end(peer);
            self.naive.end(at, now);
            self.clients[at].pipe.clear();
            self.settle();
        }
    }

    pub(crate) fn reset(&mut self, at: usize) {
        let now = self.now();
        self.world.reset(self.clients[at].peer);
        self.naive.close(at, now);
        self.settle();
    }

    pub(crate) fn wait(&mut self, lapse: Lapse, late: bool) {
        let due = self.world.next_due().map_or(0, |due| due.as_nanos() as Time);
        let lapse = match lapse {
            Lapse::Nanoseconds(nanoseconds) => nanoseconds,
            Lapse::Seconds(seconds) => seconds * SECOND,
            // Unless that is when everything has become too slow that can.
            Lapse::Due(_) if due > 100_000 * SECOND => SECOND,
            Lapse::Due(beyond) => due.saturating_add_signed(beyond),
        };
        let until = self.world.now + Duration::from_nanos(lapse);
        if late {
            (self.late, self.naive.store.punctual) = (true, false);
        } else {
            let mut turns = 0;
            while let Some(due) = self.world.next_due()
                && self.world.now + due <= until
            {
                self.world.skip(due);
                self.wake();
                turns += 1;
                assert!(turns < 1000, "something is due over and over");
            }
        }
        self.world.skip(until.saturating_since(self.world.now));
    }

    pub(crate) fn wake(&mut self) {
        let now = self.now();
        self.world.wake();
        if self.in_portions {
            let mut turns = 0;
            while self.world.next_due() == Some(Duration::ZERO) {
                self.world.wake();
                turns += 1;
                assert!(turns < 1000, "something is due over and over");
            }
        }
        self.naive.wake(now);
        self.late = false;
        self.settle();
    }
}
