//! What is compared: who was told what, how connections stand, what is counted, and that nothing is left in the end.

use std::collections::BTreeSet;

use netswap_core::connection::Phase;

use crate::connection::Stage;
use crate::machine::Play;
use crate::operations::{Ending, Lapse};
use crate::support::held;
use crate::terms::{Event, OVERHEAD, Time};

impl Play {
    /// Passes on what clients are to get.
    pub(crate) fn tell(&mut self) {
        for event in std::mem::take(&mut self.naive.store.events) {
            let at = match event {
                Event::Reply(at, _) | Event::Ended(at, ..) | Event::Aborted(at, ..) => at,
                Event::Watching { at, .. } | Event::Violated(at, _) => at,
            };
            self.naive.store.counts.event(&event);
            self.clients[at].expected.note(event);
        }
    }

    /// After every call of the server: who is to get what, and how connections stand.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        if !self.late {
            // What had no grace ends with its owner's connection.
            self.naive.store.expire(now);
        }
        if self.naive.store.undecided {
            return;
        }
        self.tell();
        let (enough, linger) = (self.config.times.slow_bytes, self.config.times.linger.as_nanos() as Time);
        for at in self.open() {
            let peer = self.clients[at].peer;
            let phase = self.world.phase(peer);
            let (reads, idle, taken) = match phase {
                Phase::Closed => (false, true, 0),
                _ => {
                    let output = self.world.output(peer);
                    (self.world.wants_read(peer), output.is_empty(), output.taken())
                }
            };
            self.naive.connections[at].see(reads, idle, taken, enough, linger, now);
            let expected = match self.stage(at) {
                Stage::Open | Stage::Flushing { .. } => Phase::Open,
                Stage::Lingering { .. } => Phase::Draining,
                Stage::Closed => Phase::Closed,
            };
            assert_eq!(phase, expected, "client {at}");
            if matches!(self.stage(at), Stage::Lingering { .. } | Stage::Closed) {
                self.clients[at].expected.assert_settled(|_| None);
            }
            if self.stage(at) == Stage::Closed {
                // The closing of its socket is a moment at which the server looks at its records.
                self.naive.store.expire(now);
                self.tell();
            }
        }
        self.naive.see_connected();
    }

    pub(crate) fn check(&self) {
        if self.late || self.naive.store.undecided {
            return;
        }
        let (store, statistics) = (&self.naive.store, self.world.statistics());
        // Where it was late, it has not counted what nobody was told.
        if store.punctual {
            store.counts.check(&statistics.counters);
        }
        assert_eq!(statistics.records, store.records.len() as u64);
        assert_eq!(statistics.unfinished_bytes, self.naive.unfinished_bytes());
        assert_eq!(statistics.connections, self.open().len() as u64);
        let served =
            self.open().into_iter().map(|at| &self.naive.connections[at]).filter(|it| !it.turned_away);
        let owners: BTreeSet<u64> =
            served.map(|it| it.who).chain(store.records.values().map(|it| it.owner)).collect();
        assert_eq!(statistics.owners, owners.len() as u64);
        let unfinished = self.naive.unfinished_bytes();
        let least: u64 = store.records.values().map(|it| it.least_held() + OVERHEAD).sum();
        let held: u64 = store.records.values().map(|it| held(it.data().len() as u64) + OVERHEAD).sum();
        let settings = store.records.values().map(|it| it.settings_held(store.punctual));
        let settings = settings.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        let absent = store.absent_owners_held();
        let least = least + unfinished + settings.0 + absent;
        let most = held + self.naive.held_unfinished() + settings.1 + absent;
        // What replies hold is not known here. The tables of chunks are counted though the total is passed.
        let most = if self.is_quiet() { most } else { most.max(store.rules.total + most / 8) };
        assert!(
            (least..=most).contains(&statistics.bytes),
            "{} bytes, not {least} to {most}",
            statistics.bytes
        );
        if let Some(due) = self.naive.next_due() {
            let next = self.world.next_due().expect("something is due");
            assert!(self.now() + next.as_nanos() as Time <= due, "what is due at {due} would come late");
        }
        for at in self.open() {
            if self.is_idle(at) && self.stage(at) == Stage::Open {
                let standing = |xid| store.standing.get(&(at, xid));
                self.clients[at].expected.assert_settled(standing);
            }
        }
    }

    /// `None` once it depends on an order that the protocol leaves open.
    fn decided(&self) -> Option<()> {
        (!self.naive.store.undecided).then_some(())
    }

    /// Everything comes to its end, and nothing is left; unless nobody can tell any more what should be.
    pub(crate) fn finish(mut self, ending: Ending) -> Option<()> {
        self.decided()?;
        self.wake();
        for at in self.open() {
            while (ending == Ending::Reset || !self.clients[at].handed.is_empty()) && !self.is_idle(at) {
                self.decided()?;
                self.take(at, 1000);
            }
        }
        self.catch_up();
        self.decided()?;
        self.check();
        if ending == Ending::ShutDown {
            self.world.shut_down();
            self.naive.shut_down();
            self.settle();
        }
        for at in self.open() {
            match ending {
                Ending::Reset => self.reset(at),
                Ending::HalfClose => {
                    while !self.world.wants_read(self.clients[at].peer) && !self.is_idle(at) {
                        self.decided()?;
                        self.take(at, 1000);
                    }
                    self.end(at);
                    self.take(at, usize::MAX);
                    self.decided()?;
                    assert_eq!(self.stage(at), Stage::Closed);
                }
                Ending::ShutDown => self.take(at, usize::MAX),
            }
        }
        self.wait(Lapse::Seconds(2), false);
        self.decided()?;
        assert_eq!(self.open(), []);
        // As long as an heir may be away after the first owner, and more.
        for _ in 0..20 {
            self.wait(Lapse::Seconds(100_000), false);
        }
        let statistics = self.world.statistics();
        let left = (statistics.records, statistics.bytes, statistics.unfinished_bytes, statistics.owners);
        assert_eq!((left, statistics.connections), ((0, 0, 0, 0), 0));
        Some(())
    }
}
