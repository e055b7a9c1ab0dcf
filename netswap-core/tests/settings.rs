//! What an owner says of its record's life: grace, time to live, heir (docs/PROTOCOL.md §3.23, §6.4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::engine::Peer;
use support::wire::{
    self, EXPIRED, access_violation, address_fault, append, ended, invalid, lifetime, ok, op, owner_changed,
    request, transfer, version, watch,
};
use support::{GRACE, NS, World};

const SECOND: Duration = Duration::from_secs(1);

/// SET_LIFETIME's grace that stands for the server's default.
const DEFAULT: u32 = u32::MAX;

/// STAT's `expires` where no end is in sight.
const NEVER: u32 = u32::MAX;

/// A server, somebody who looks on, and an owner.
struct Scene {
    world: World,
    witness: Peer,
    owner: Peer,
}

fn scene() -> Scene {
    let mut world = World::new();
    let (witness, owner) = (world.connect("127.0.0.9"), world.connect("127.0.0.1"));
    Scene { world, witness, owner }
}

impl Scene {
    /// Makes a record for everybody that lives like this.
    #[track_caller]
    fn record(&mut self, grace: u32, ttl: u32, heir: u64) -> u64 {
        let record = self.world.create(self.owner, 7, "x");
        self.set(record, grace, ttl, heir);
        record
    }

    #[track_caller]
    fn set(&mut self, record: u64, grace: u32, ttl: u32, heir: u64) {
        assert_eq!(self.world.ask(self.owner, lifetime(1, record, grace, ttl, heir)), ok(1, []));
    }

    #[track_caller]
    fn is_there(&mut self, record: u64) -> bool {
        let answer = self.world.ask(self.witness, wire::about(1, op::RESOLVE, record, []));
        assert!(answer.code == 3 || answer == address_fault(1), "{answer:?}");
        answer.code == 3
    }

    /// The record is there until just before this time has passed, and gone then.
    #[track_caller]
    fn assert_gone_after(&mut self, record: u64, time: Duration) {
        self.world.wait(time - NS);
        assert!(self.is_there(record), "it ended too early");
        self.world.wait(NS);
        assert!(!self.is_there(record), "it did not end");
    }

    /// STAT's `expires`.
    #[track_caller]
    fn expires(&mut self, record: u64) -> u32 {
        let stat = self.world.ask(self.witness, wire::about(1, op::STAT, record, []));
        assert_eq!((stat.code, stat.payload.len()), (0, 26), "{stat:?}");
        u32::from_be_bytes(stat.payload[22..].try_into().unwrap())
    }

    #[track_caller]
    fn assert_owner(&mut self, record: u64, owner: u64) {
        let stat = self.world.ask(self.witness, wire::about(1, op::STAT, record, []));
        assert_eq!(stat.payload[12..20], owner.to_be_bytes());
    }

    /// Somebody with this address; and its hash.
    fn connect(&mut self, address: &str) -> (Peer, u64) {
        let peer = self.world.connect(address);
        (peer, peer.owner.get())
    }

    /// The hash of an address that is not connected.
    fn absent(&mut self, address: &str) -> u64 {
        let (peer, hash) = self.connect(address);
        self.world.reset(peer);
        hash
    }

    #[track_caller]
    fn assert_nothing_left(&mut self) {
        let end = self.world.statistics();
        assert_eq!((end.records, end.bytes, self.world.next_due()), (0, 0, None));
    }
}

#[test]
fn a_record_may_have_a_grace_of_its_own() {
    for seconds in [1, 20, 300, 301, 24 * 3600] {
        let mut scene = scene();
        let record = scene.record(seconds, 0, 0);
        assert_eq!((scene.expires(record), scene.world.next_due()), (NEVER, None));
        scene.world.reset(scene.owner);
        assert_eq!(scene.expires(record), seconds);
        assert_eq!(scene.world.next_due(), Some(SECOND * seconds));
        scene.assert_gone_after(record, SECOND * seconds);
        scene.assert_nothing_left();
    }
}

#[test]
fn a_grace_of_nothing_ends_a_record_with_the_last_connection() {
    let mut scene = scene();
    let (gone, stays) = (scene.record(0, 0, 0), scene.record(DEFAULT, 0, 0));
    let second = scene.world.connect("127.0.0.1");
    scene.world.reset(scene.owner);
    scene.world.wait(GRACE * 2);
    assert!(scene.is_there(gone));
    scene.world.reset(second);
    assert!(!scene.is_there(gone));
    // Being back at that very moment does not help.
    scene.world.connect("127.0.0.1");
    assert!(!scene.is_there(gone) && scene.is_there(stays));
}

#[test]
fn records_of_one_owner_end_each_with_its_own_grace() {
    let mut scene = scene();
    let settings = [(7, 7), (DEFAULT, 300), (400, 400), (0, 0), (300, 300), (7, 7), (DEFAULT, 300)];
    let records = settings.map(|(grace, seconds)| (scene.record(grace, 0, 0), SECOND * seconds));
    let plain = (scene.world.create(scene.owner, 7, "x"), GRACE);
    // It goes and comes back several times: each time all of them begin anew.
    for away in [SECOND * 6, SECOND * 5] {
        scene.set(records[3].0, 10, 0, 0);
        scene.world.reset(scene.owner);
        scene.world.wait(away);
        scene.owner = scene.world.connect("127.0.0.1");
        assert_eq!(scene.world.next_due(), None);
        scene.world.wait(GRACE * 3);
        assert_eq!(scene.world.statistics().records, 8);
    }
    scene.set(records[3].0, 0, 0, 0);
    scene.world.reset(scene.owner);
    let mut passed = Duration::ZERO;
    for at in [0, 7, 300, 400].map(|seconds| SECOND * seconds) {
        for now in [at.saturating_sub(NS), at] {
            scene.world.wait(now - passed);
            passed = now;
            for (record, end) in records.into_iter().chain([plain]) {
                assert_eq!(scene.is_there(record), now < end, "{end:?} at {now:?}");
            }
        }
    }
    scene.assert_nothing_left();
}

#[test]
fn settings_can_be_set_anew_and_each_time_all_of_them() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.2");
    let record = scene.record(5, 50, heir);
    assert_eq!(scene.expires(record), 50);
    scene.set(record, DEFAULT, 0, 0);
    assert_eq!((scene.expires(record), scene.world.next_due()), (NEVER, None));
    scene.world.reset(scene.owner);
    assert_eq!(scene.expires(record), 300);
    scene.assert_gone_after(record, GRACE);
    scene.assert_nothing_left();
}

#[test]
fn a_time_to_live_ends_a_record_whoever_is_connected() {
    for seconds in [1, 77, 24 * 3600] {
        let mut scene = scene();
        let record = scene.record(DEFAULT, seconds, 0);
        assert_eq!(scene.expires(record), seconds);
        scene.world.exchange(scene.owner, watch(9, record, false));
        scene.world.wait(SECOND * seconds - NS);
        assert!(scene.is_there(record));
        assert_eq!(scene.expires(record), 1);
        scene.world.wait(NS);
        assert_eq!(scene.world.replies(scene.owner), [ended(9, EXPIRED)]);
        assert!(!scene.is_there(record));
        scene.assert_nothing_left();
        assert_eq!(scene.world.statistics().counters.records_expired, 1);
    }
}

#[test]
fn a_time_to_live_counts_from_the_request_that_set_it() {
    let mut scene = scene();
    let record = scene.record(DEFAULT, 10, 0);
    scene.world.wait(SECOND * 9);
    // Writing to it, handing it over and asking for it do not matter.
    let (other, hash) = scene.connect("127.0.0.2");
    assert_eq!(scene.world.ask(other, append(1, record, "y")), wire::appended(1, 2, 1));
    assert_eq!(scene.expires(record), 1);
    scene.set(record, DEFAULT, 10, 0);
    assert_eq!(scene.expires(record), 10);
    scene.world.wait(SECOND * 9);
    assert_eq!(scene.world.ask(scene.owner, transfer(1, record, hash)), ok(1, []));
    scene.assert_gone_after(record, SECOND);
    scene.assert_nothing_left();
}

#[test]
fn the_earlier_of_grace_and_time_to_live_counts() {
    for (grace, ttl) in [(10, 20), (20, 10), (10, 10)] {
        let mut scene = scene();
        let record = scene.record(grace, ttl, 0);
        scene.world.reset(scene.owner);
        assert_eq!(scene.expires(record), 10);
        scene.assert_gone_after(record, SECOND * 10);
        scene.assert_nothing_left();
    }
}

#[test]
fn grace_and_time_to_live_outlast_a_change_of_owner_and_the_heir_does_not() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.3");
    let record = scene.record(5, 100, heir);
    let (other, _) = scene.connect("127.0.0.2");
    assert_eq!(scene.world.ask(other, wire::about(1, op::TAKEOVER, record, [])), ok(1, []));
    // The former owner, whose grace it was, does not matter any more.
    scene.world.reset(scene.owner);
    assert_eq!(scene.expires(record), 100);
    scene.world.reset(other);
    assert_eq!(scene.expires(record), 5);
    scene.assert_gone_after(record, SECOND * 5);
    scene.assert_nothing_left();
}

#[test]
fn handing_a_record_to_its_owner_changes_nothing() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.3");
    let record = scene.record(5, 0, heir);
    let mine = scene.owner.owner.get();
    assert_eq!(scene.world.ask(scene.owner, transfer(1, record, mine)), ok(1, []));
    scene.world.reset(scene.owner);
    scene.world.wait(SECOND * 5);
    scene.assert_owner(record, heir);
}

#[test]
fn an_heir_gets_the_record_in_the_place_of_its_end() {
    let mut scene = scene();
    let (peer, heir) = scene.connect("127.0.0.2");
    let records = [scene.record(DEFAULT, 0, heir), scene.record(40, 0, heir)];
    let bare = scene.record(40, 0, 0);
    scene.world.exchange(scene.witness, watch(9, records[1], false));
    scene.world.reset(scene.owner);
    scene.world.wait(SECOND * 40);
    assert_eq!(scene.world.replies(scene.witness), [owner_changed(9, heir), wire::access_changed(9, 3)]);
    assert!(!scene.is_there(bare));
    scene.world.wait(SECOND * 260);
    assert_eq!(scene.world.replies(scene.witness), []);
    for record in records {
        scene.assert_owner(record, heir);
        assert_eq!(scene.expires(record), NEVER);
        assert_eq!(scene.world.ask(peer, wire::about(1, op::STAT, record, [])).payload[20], 3);
    }
    // The former owner comes back, and is nobody in particular.
    let back = scene.world.connect("127.0.0.1");
    assert_eq!(scene.world.ask(back, wire::about(1, op::DELETE, records[0], [])), access_violation(1));
    assert_eq!(scene.world.ask(back, request(1, op::LIST, 0, [])), ok(1, []));
    // No heir is set any more: the next grace ends them.
    scene.world.reset(peer);
    scene.world.wait(SECOND * 40);
    assert_eq!(scene.world.replies(scene.witness), [ended(9, EXPIRED)]);
    scene.assert_gone_after(records[0], GRACE - SECOND * 40);
    scene.assert_nothing_left();
}

#[test]
fn an_heir_that_is_not_connected_has_a_grace_from_that_moment_on() {
    for late in [false, true] {
        let mut scene = scene();
        let heir = scene.absent("127.0.0.2");
        let (own, plain) = (scene.record(10, 0, heir), scene.record(DEFAULT, 0, heir));
        scene.world.reset(scene.owner);
        if late {
            // The timer comes late, and finds out everything at once.
            scene.world.skip(SECOND * 12);
        } else {
            scene.world.wait(SECOND * 12);
        }
        scene.assert_owner(own, heir);
        assert_eq!((scene.expires(own), scene.expires(plain)), (8, 288));
        scene.assert_gone_after(own, SECOND * 8);
        scene.world.skip(SECOND * 280);
        assert_eq!(scene.expires(plain), 300);
        scene.assert_owner(plain, heir);
        scene.assert_gone_after(plain, GRACE);
        scene.assert_nothing_left();
    }
}

#[test]
fn an_heir_that_comes_in_its_grace_keeps_the_record() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.2");
    let record = scene.record(10, 0, heir);
    scene.world.reset(scene.owner);
    scene.world.skip(SECOND * 20 - NS);
    scene.connect("127.0.0.2");
    assert_eq!(scene.expires(record), NEVER);
    scene.world.wait(GRACE * 9);
    scene.assert_owner(record, heir);
}

#[test]
fn an_heir_over_its_quota_does_not_get_the_record() {
    for bytes in [false, true] {
        let mut world = World::with(|config| {
            config.limits.owner_records = (!bytes).then_some(2);
            config.limits.owner_bytes = bytes.then_some(2 * 129);
        });
        let (witness, owner) = (world.connect("127.0.0.9"), world.connect("127.0.0.1"));
        let mut scene = Scene { world, witness, owner };
        let (peer, heir) = scene.connect("127.0.0.2");
        let own = scene.world.create(peer, 1, "y");
        let records = [scene.record(10, 0, heir), scene.record(11, 0, heir)];
        scene.world.exchange(scene.witness, watch(9, records[1], false));
        scene.world.reset(scene.owner);
        scene.world.wait(SECOND * 11);
        assert_eq!(scene.world.replies(scene.witness), [ended(9, EXPIRED)]);
        // There was room for the first.
        scene.assert_owner(records[0], heir);
        assert!(!scene.is_there(records[1]) && scene.is_there(own));
        assert_eq!(scene.world.statistics().counters.records_expired, 1);
    }
}

#[test]
fn a_time_to_live_beats_an_heir_at_the_same_moment() {
    // With a grace of its own and with the default, which is another queue.
    for (grace, seconds) in [(10, 10), (DEFAULT, 300)] {
        for (ttl, inherited) in [(seconds - 1, false), (seconds, false), (seconds + 1, true)] {
            for late in [false, true] {
                let mut scene = scene();
                let (_, heir) = scene.connect("127.0.0.2");
                let record = scene.record(grace, ttl, heir);
                let (watcher, _) = scene.connect("127.0.0.3");
                scene.world.exchange(watcher, watch(9, record, false));
                scene.world.reset(scene.owner);
                let time = SECOND * seconds;
                if late {
                    scene.world.skip(time)
                } else {
                    scene.world.wait(time)
                }
                scene.connect("127.0.0.4");
                // Nobody hears of an heir that gets nothing.
                let inherits = [owner_changed(9, heir), wire::access_changed(9, 3)];
                let told = if inherited { inherits.to_vec() } else { vec![ended(9, EXPIRED)] };
                assert_eq!(scene.world.replies(watcher), told, "{grace} {ttl}");
                scene.world.reset(watcher);
                assert_eq!(scene.is_there(record), inherited, "{grace} {ttl}");
                if inherited {
                    scene.assert_owner(record, heir);
                    assert_eq!(scene.expires(record), 1);
                    scene.assert_gone_after(record, SECOND);
                }
                scene.assert_nothing_left();
            }
        }
    }
}

#[test]
fn at_one_moment_whatever_comes_first_counts() {
    // The owner of a record goes, and it ends 10 s later; what somebody does just before, then and just after.
    let acts: [fn(&mut Scene, u64); 3] = [
        |scene, record| {
            let (peer, _) = scene.connect("127.0.0.3");
            scene.world.ask(peer, wire::about(1, op::TAKEOVER, record, []));
        },
        |scene, record| {
            scene.world.ask(scene.witness, append(1, record, "y"));
        },
        |scene, _| {
            scene.connect("127.0.0.1");
        },
    ];
    for (stays, act) in [true, false, true].into_iter().zip(acts) {
        for (ahead, in_time) in [(NS, true), (Duration::ZERO, false)] {
            let mut scene = scene();
            let record = scene.record(10, 0, 0);
            scene.world.reset(scene.owner);
            scene.world.skip(SECOND * 10 - ahead);
            act(&mut scene, record);
            scene.world.wait(ahead + NS);
            assert_eq!(scene.is_there(record), stays && in_time);
        }
    }
}

#[test]
fn what_cannot_be_set_is_refused_and_changes_nothing() {
    let mut scene = scene();
    let day = 24 * 3600;
    let mine = scene.owner.owner.get();
    let (other, hash) = scene.connect("127.0.0.2");
    let record = scene.record(5, 50, hash);
    for (grace, ttl, heir) in
        [(day + 1, 0, 0), (DEFAULT - 1, 0, 0), (1, day + 1, 0), (1, DEFAULT, 0), (1, 1, mine)]
    {
        assert_eq!(scene.world.ask(scene.owner, lifetime(1, record, grace, ttl, heir)), invalid(1, 3));
        // The values are judged before the record and the right; oneself is whoever asks.
        assert_eq!(scene.world.ask(scene.owner, lifetime(1, record ^ 1, grace, ttl, heir)), invalid(1, 3));
        let heir = if heir == mine { hash } else { heir };
        assert_eq!(scene.world.ask(other, lifetime(1, record, grace, ttl, heir)), invalid(1, 3));
    }
    assert_eq!(scene.world.ask(other, lifetime(1, record, 1, 1, mine)), access_violation(1));
    assert_eq!(scene.world.ask(scene.owner, lifetime(1, record ^ 1, day, day, hash)), address_fault(1));
    let short = request(1, op::SET_LIFETIME, 0, [0; 23]);
    assert_eq!(scene.world.ask(scene.owner, short), invalid(1, 2));
    assert_eq!(scene.expires(record), 50);
    scene.world.reset(scene.owner);
    scene.world.wait(SECOND * 5);
    scene.assert_owner(record, hash);
    assert_eq!(scene.expires(record), 45);
    assert_eq!(scene.world.exchange(scene.witness, watch(9, record, false)), [version(9, 1)]);
}
