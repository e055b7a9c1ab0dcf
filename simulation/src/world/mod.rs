//! Clients and a bad network: they make things happen, first with faults, then without.

mod honest;
mod hostile;
mod link;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use netswap_core::config::ConfigError;
use netswap_core::store::Counters;
use netswap_core::time::Instant;

use crate::failure::{Failure, Invariant};
use crate::judge::ConnectionNumber;
use crate::scenario::Scenario;
use crate::stage::{Event, Stage};
use honest::Honest;
use hostile::Hostile;
use link::Link;

/// A server, its clients, and the network between them.
pub struct World {
    scenario: Scenario,
    random: Rng,
    stage: Stage,
    parties: Vec<Party>,
    shared: Shared,
    next_number: ConnectionNumber,
    verbose: bool,
}

/// What clients tell each other beside the server.
#[derive(Default)]
struct Shared {
    pointers: Vec<u64>,
    /// The newest version of a record that somebody knows of: nobody may read an older one from now on.
    floors: BTreeMap<u64, u64>,
    /// Writes of which a client has said that they have not happened and never will.
    denied: Vec<(ConnectionNumber, u32)>,
    transactions: u64,
    /// A number that makes data differ.
    counter: u32,
}

struct Party {
    host: u8,
    link: Option<Link>,
    kind: Kind,
}

enum Kind {
    Honest(Box<Honest>),
    Hostile(Hostile),
}

/// How a run went.
pub struct Outcome {
    /// What was wrong, if anything.
    pub failure: Option<Failure>,
    /// What has happened to the server, with what it sent.
    pub tape: Vec<(Event, Vec<u8>)>,
    /// The same for the same seed.
    pub digest: u64,
    /// Transactions that clients have begun.
    pub transactions: u64,
    /// Requests that the server has carried out or refused.
    pub requests: u64,
    /// Simulated time.
    pub time: Duration,
    /// What the server has counted.
    pub counters: Counters,
    /// Codes and ACCESS bytes of what it has sent.
    pub reached: BTreeSet<(u8, u8)>,
}

/// Runs what a seed decides, until so many transactions have begun.
///
/// # Errors
///
/// The scenario's limits cannot be kept.
pub fn run(scenario: &Scenario, seed: u64, transactions: u64, verbose: bool) -> Result<Outcome, ConfigError> {
    let mut world = World::new(scenario, seed, verbose)?;
    let failure = world.play(transactions).err();
    Ok(Outcome {
        failure,
        digest: world.stage.digest(),
        transactions: world.shared.transactions,
        requests: world.stage.judge().requests(),
        time: Duration::from_millis(world.stage.now()),
        counters: world.stage.statistics().counters,
        reached: world.stage.judge().reached().clone(),
        tape: world.stage.into_tape(),
    })
}

impl World {
    fn new(scenario: &Scenario, seed: u64, verbose: bool) -> Result<Self, ConfigError> {
        let mut random = Rng::with_seed(seed);
        let party = |kind, random: &mut Rng| Party { host: random.u8(1..=scenario.hosts), link: None, kind };
        let mut parties = Vec::new();
        for _ in 0..scenario.honest {
            parties.push(party(Kind::Honest(Box::default()), &mut random));
        }
        for _ in 0..scenario.hostile {
            parties.push(party(Kind::Hostile(Hostile::default()), &mut random));
        }
        Ok(Self {
            scenario: scenario.clone(),
            stage: Stage::new(&scenario.setting)?,
            random,
            parties,
            shared: Shared::default(),
            next_number: 0,
            verbose,
        })
    }

    fn now(&self) -> Instant {
        Instant::after_start(Duration::from_millis(self.stage.now()))
    }

    fn act(&mut self, event: Event) -> Result<Vec<u8>, Failure> {
        let before = self.stage.now();
        let told = self.verbose.then(|| describe(&event));
        let done = self.stage.act(event);
        if let Some(told) = told {
            let taken = done.as_ref().map_or(0, Vec::len);
            eprintln!(
                "{:>10.3} s  {told}{}",
                before as f64 / 1000.0,
                if taken > 0 { format!(": {taken} bytes") } else { String::new() }
            );
        }
        done
    }

    fn play(&mut self, transactions: u64) -> Result<(), Failure> {
        // What a seed makes hard may refuse nearly everything: then it is given up.
        let mut patience = transactions * 20 + 1000;
        while self.shared.transactions < transactions && patience > 0 {
            patience -= 1;
            let at = self.random.usize(0..self.parties.len());
            self.turn(at)?;
            for at in 0..self.parties.len() {
                self.pump(at, true)?;
            }
            self.trouble()?;
            self.time()?;
        }
        self.heal()?;
        self.leave()
    }

    /// A client does something.
    fn turn(&mut self, at: usize) -> Result<(), Failure> {
        if self.parties[at].link.is_none() {
            return self.connect(at);
        }
        let now = self.now();
        let Self { scenario, random, shared, parties, stage, .. } = self;
        let Party { link: Some(link), kind, .. } = &mut parties[at] else { return Ok(()) };
        match kind {
            Kind::Honest(honest) => {
                for _ in 0..random.u32(1..4) {
                    honest.turn(link.number, scenario, random, shared, now);
                }
            }
            Kind::Hostile(hostile) => link.up(hostile.turn(scenario, random, shared), stage.now(), 0),
        }
        Ok(())
    }

    fn connect(&mut self, at: usize) -> Result<(), Failure> {
        let number = self.next_number;
        self.next_number += 1;
        let party = &mut self.parties[at];
        party.link = Some(Link::new(number));
        match &mut party.kind {
            Kind::Honest(honest) => **honest = Honest::new(&self.scenario.client),
            Kind::Hostile(hostile) => *hostile = Hostile::default(),
        }
        let host = party.host;
        self.act(Event::Open(number, host)).map(drop)
    }

    /// Faults of the network.
    fn trouble(&mut self) -> Result<(), Failure> {
        if self.random.u32(0..10_000) >= self.scenario.trouble {
            return Ok(());
        }
        let at = self.random.usize(0..self.parties.len());
        let now = self.stage.now();
        let what = self.random.u8(0..6);
        let longest = if self.random.u8(0..4) == 0 { 60_000 } else { 500 };
        let until = now + self.random.u64(0..longest);
        let Some(link) = &mut self.parties[at].link else { return Ok(()) };
        match what {
            0 | 1 => {
                let number = link.number;
                self.lose(at)?;
                self.act(Event::Reset(number))?;
            }
            2 => link.half_close(),
            3 => link.up_stalled = until,
            4 => link.down_stalled = until,
            _ => {
                (link.up_stalled, link.down_stalled) = (until, until);
                if self.random.bool() {
                    // Whoever goes comes back as somebody else.
                    self.parties[at].host = self.random.u8(1..=self.scenario.hosts);
                }
            }
        }
        Ok(())
    }

    /// Time passes: mostly a little, now and then until just before or after something ends.
    fn time(&mut self) -> Result<(), Failure> {
        let now = self.stage.now();
        let deadline = self.stage.judge().next_deadline().into_iter().chain(self.stage.next_timeout()).min();
        let late = self.random.u8(0..8) == 0;
        let time = match self.random.u32(0..1000) {
            0..600 => 0,
            600..900 => self.random.u64(1..4),
            900..985 => self.random.u64(1..200),
            985..995 => self.random.u64(1..3000),
            995..999 => match deadline {
                Some(at) => (at + self.random.u64(0..3)).saturating_sub(now + 1),
                None => 1,
            },
            _ => self.random.u64(1..100_000),
        };
        if time > 0 { self.act(Event::Pass { time, late }).map(drop) } else { Ok(()) }
    }

    /// Moves bytes between a client and the server; whether any moved.
    fn pump(&mut self, at: usize, troubled: bool) -> Result<bool, Failure> {
        let time = self.stage.now();
        let now = self.now();
        let delay = if troubled { self.random.u64(0..=self.scenario.delay) } else { 0 };
        let window = self.scenario.window;
        let mut moved = false;
        let Self { random, parties, stage, .. } = self;
        let Party { link: Some(link), kind, .. } = &mut parties[at] else { return Ok(false) };
        let number = link.number;
        if let Kind::Honest(honest) = kind {
            let room = window.saturating_sub(link.up_bytes());
            let bytes = if link.takes_more() { honest.send(random.usize(0..=room), now) } else { Vec::new() };
            moved |= !bytes.is_empty();
            link.up(bytes, time, delay);
        }
        // To the server.
        if stage.reads(number)
            && let Some(bytes) = link.arrive_up(time, random)
        {
            self.act(Event::Input(number, bytes))?;
            moved = true;
        }
        let Some(link) = &mut self.parties[at].link else { return Ok(moved) };
        if self.stage.reads(number) && link.is_half_closed_now() {
            self.act(Event::HalfClose(number))?;
            moved = true;
        }
        // To the client.
        let Some(link) = &mut self.parties[at].link else { return Ok(moved) };
        let room = window.saturating_sub(link.down_bytes());
        let (waiting, stalled) = (self.stage.waiting(number), link.down_stalled > time);
        if waiting > 0 && room > 0 && !stalled {
            let most = if troubled { self.random.usize(1..=room) } else { room };
            let bytes = self.act(Event::Take(number, most))?;
            if let Some(link) = &mut self.parties[at].link {
                link.down(bytes, time, delay);
            }
            moved = true;
        }
        moved |= self.receive(at, troubled)?;
        Ok(moved)
    }

    /// A client takes what has come to it.
    fn receive(&mut self, at: usize, troubled: bool) -> Result<bool, Failure> {
        let (time, now) = (self.stage.now(), self.now());
        let Self { random, parties, shared, stage, .. } = self;
        let Party { link: Some(link), kind, .. } = &mut parties[at] else { return Ok(false) };
        let number = link.number;
        let mut moved = false;
        let mut alive = true;
        if let Kind::Honest(honest) = kind {
            honest.timeout(number, shared, now)?;
            if honest.wants_read()
                && let Some(bytes) = link.arrive_down(time, random)
            {
                alive = honest.receive(number, &bytes, shared, now)?;
                moved = true;
            }
            alive &= !honest.is_closed();
            honest.consume(if troubled { random.bool() } else { true }, now);
        } else {
            moved |= link.arrive_down(time, random).is_some();
        }
        if alive && !(link.is_drained_down() && stage.has_ended(number)) {
            return Ok(moved);
        }
        self.lose(at)?;
        if self.stage.is_open(number) {
            self.act(Event::Reset(number))?;
        }
        Ok(true)
    }

    /// A client has no connection any more.
    fn lose(&mut self, at: usize) -> Result<(), Failure> {
        let Self { parties, shared, .. } = self;
        let party = &mut parties[at];
        if let (Some(link), Kind::Honest(honest)) = (party.link.take(), &mut party.kind) {
            honest.lose(link.number, shared)?;
        }
        Ok(())
    }

    /// No more faults: whatever is unfinished is answered, expires or is closed.
    fn heal(&mut self) -> Result<(), Failure> {
        for at in 0..self.parties.len() {
            let Some(link) = &mut self.parties[at].link else { continue };
            (link.up_stalled, link.down_stalled) = (0, 0);
            let number = link.number;
            if matches!(self.parties[at].kind, Kind::Hostile(_)) {
                self.lose(at)?;
                self.act(Event::Reset(number))?;
            }
        }
        let end = self.stage.now() + 200_000;
        let mut quiet = 0;
        while self.stage.now() < end {
            let mut moved = false;
            for at in 0..self.parties.len() {
                moved |= self.pump(at, false)?;
            }
            if moved {
                quiet = 0;
                continue;
            }
            let busy = self.parties.iter().any(|party| match (&party.kind, &party.link) {
                (Kind::Honest(honest), Some(link)) => link.is_busy() || honest.is_busy(),
                _ => false,
            });
            quiet += u32::from(!busy);
            if quiet > 2 {
                break;
            }
            self.act(Event::Pass { time: 50, late: false })?;
        }
        self.stage.judge().check_quiet()?;
        self.stage.judge().check(&self.stage.statistics(), true)?;
        for party in &self.parties {
            if let (Kind::Honest(honest), Some(link)) = (&party.kind, &party.link) {
                let reads = self.stage.reads(link.number);
                honest.check_quiet(link.number, self.stage.judge()).map_err(|failure| {
                    let what = format!(
                        "{}; the server {}",
                        failure.what,
                        if reads { "reads" } else { "does not read" }
                    );
                    Failure { what, ..failure }
                })?;
            }
        }
        let denied =
            self.shared.denied.iter().find(|(number, xid)| self.stage.judge().took_effect(*number, *xid));
        if let Some((number, xid)) = denied {
            let what = format!("the client has said that request {xid} changed nothing, but it did");
            return Err(Failure::of(Invariant::Client, *number, what));
        }
        Ok(())
    }

    /// Everybody goes, or the server does; in the end nothing is left.
    fn leave(&mut self) -> Result<(), Failure> {
        if self.random.bool() {
            self.act(Event::Stop)?;
            for _ in 0..100 {
                for at in 0..self.parties.len() {
                    while self.pump(at, false)? {}
                }
                self.act(Event::Pass { time: 50, late: false })?;
            }
            if let Some(link) = self.parties.iter().find_map(|party| party.link.as_ref()) {
                let what = "the connection is open 5 s after the server was told to stop";
                return Err(Failure::of(Invariant::Liveness, link.number, what));
            }
        }
        for at in 0..self.parties.len() {
            if let Some(number) = self.parties[at].link.as_ref().map(|link| link.number) {
                self.lose(at)?;
                self.act(Event::Reset(number))?;
            }
        }
        for _ in 0..10_000 {
            let Some(deadline) = self.stage.judge().next_deadline() else { break };
            let time = deadline.saturating_sub(self.stage.now()).max(1);
            self.act(Event::Pass { time, late: false })?;
        }
        let statistics = self.stage.statistics();
        let left = [statistics.bytes, statistics.records, statistics.owners, statistics.connections];
        if left != [0; 4] {
            let what =
                format!("when everybody has gone and everything has ended, this is left: {statistics:?}");
            return Err(Failure::everywhere(Invariant::Accounting, what));
        }
        Ok(())
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Open(number, host) => format!("{number} opens from {}", crate::stage::address(*host)),
        Event::Input(number, bytes) => format!("{number} sends {} bytes: {}", bytes.len(), beginning(bytes)),
        Event::Take(number, most) => format!("{number} takes up to {most}"),
        Event::HalfClose(number) => format!("{number} half-closes"),
        Event::Reset(number) => format!("{number} is cut"),
        Event::Pass { time, late } => format!("+ {time} ms{}", if *late { ", unnoticed" } else { "" }),
        Event::Stop => "the server is told to stop".into(),
    }
}

fn beginning(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&bytes[..bytes.len().min(120)])
}
