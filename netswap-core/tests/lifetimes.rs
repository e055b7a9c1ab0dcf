//! How long records live: the grace after their owner's last connection (docs/PROTOCOL.md §6.3, §6.5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;
use support::wire::{self, address_fault, header, malformed, ok, op, ping, request, resolved};
use support::{GRACE, NS, OVERHEAD, SLOW, World, held};

const SECOND: Duration = Duration::from_secs(1);

/// A server, somebody who looks on, and an owner with a record that everybody may read, write and take over.
struct Scene {
    world: World,
    witness: Peer,
    owner: Peer,
    record: u64,
}

fn scene() -> Scene {
    let mut world = World::new();
    let witness = world.connect("127.0.0.9");
    let owner = world.connect("127.0.0.1");
    let record = world.create(owner, 7, "x");
    Scene { world, witness, owner, record }
}

impl Scene {
    /// Whether the record is there, as a request tells.
    #[track_caller]
    fn is_there(&mut self) -> bool {
        let answer = self.world.ask(self.witness, wire::about(1, op::RESOLVE, self.record, []));
        assert!(answer == resolved(1, "x") || answer == address_fault(1), "{answer:?}");
        answer.code == 3
    }

    /// The record is there until just before this time has passed, and gone then, with all that it cost.
    #[track_caller]
    fn assert_gone_after(&mut self, time: Duration) {
        self.world.wait(time - NS);
        assert!(self.is_there(), "it ended too early");
        self.world.wait(NS);
        assert!(!self.is_there(), "it did not end");
        assert_eq!((self.world.statistics().records, self.world.bytes()), (0, 0));
        assert_eq!(self.world.statistics().counters.records_expired, 1);
    }

    #[track_caller]
    fn assert_stays(&mut self) {
        self.world.wait(GRACE * 10);
        assert!(self.is_there(), "it ended");
    }

    /// STAT's `expires`.
    #[track_caller]
    fn expires(&mut self) -> u32 {
        let stat = self.world.ask(self.witness, wire::about(1, op::STAT, self.record, []));
        assert_eq!((stat.code, stat.payload.len()), (0, 26), "{stat:?}");
        u32::from_be_bytes(stat.payload[22..].try_into().unwrap())
    }

    fn transfer(&mut self, from: Peer, to: Peer) {
        let sent = wire::about(1, op::TRANSFER, self.record, to.owner.get().to_be_bytes());
        assert_eq!(self.world.ask(from, sent), ok(1, []));
    }

    /// An address without a connection.
    fn absent(&mut self, address: &str) -> Peer {
        let peer = self.world.connect(address);
        self.world.reset(peer);
        peer
    }
}

#[test]
fn a_record_lives_while_its_owner_is_connected() {
    let mut scene = scene();
    scene.assert_stays();
    assert_eq!(scene.expires(), u32::MAX);
}

#[test]
fn a_record_outlives_its_owners_last_connection_by_the_grace() {
    let mut scene = scene();
    let second = scene.world.connect("::ffff:127.0.0.1");
    scene.world.reset(scene.owner);
    scene.assert_stays();
    assert_eq!(scene.expires(), u32::MAX);
    scene.world.reset(second);
    assert_eq!(scene.expires(), 300);
    scene.assert_gone_after(GRACE);
    assert_eq!(scene.world.statistics().owners, 1);
}

#[test]
fn a_deadline_holds_for_requests_whether_or_not_a_timer_comes() {
    let mut scene = scene();
    scene.world.reset(scene.owner);
    assert_eq!(scene.world.next_due(), Some(GRACE));
    scene.world.skip(GRACE - NS);
    assert!(scene.is_there());
    scene.world.skip(NS);
    for opcode in [op::RESOLVE, op::STAT, op::TAKEOVER, op::DELETE, op::REPLACE] {
        let answer = scene.world.ask(scene.witness, wire::about(1, opcode, scene.record, []));
        assert_eq!(answer, address_fault(1), "{opcode}");
    }
    assert_eq!((scene.world.statistics().records, scene.world.next_due()), (0, None));
}

#[test]
fn a_deadline_holds_for_the_beginning_and_for_the_end_of_a_long_request() {
    let mut scene = scene();
    scene.world.reset(scene.owner);
    let sent = wire::packets(1, op::REPLACE, 0, wire::pointed(scene.record, wire::pattern(3000)));
    scene.world.skip(GRACE - NS);
    assert_eq!(scene.world.exchange(scene.witness, sent[..2].concat()), []);
    scene.world.skip(NS);
    assert_eq!(scene.world.ask(scene.witness, &sent[2]), address_fault(1));
    assert_eq!(scene.world.ask(scene.witness, &sent[0]), address_fault(1));
    assert_eq!(scene.world.exchange(scene.witness, wire::abort(1)), []);
    assert_eq!(scene.world.bytes(), 0);

    // The first packet may be the first that the server hears after the deadline.
    let mut scene = self::scene();
    scene.world.reset(scene.owner);
    scene.world.skip(GRACE);
    assert_eq!(scene.world.ask(scene.witness, &sent[0]), address_fault(1));
}

#[test]
fn an_owner_who_is_back_in_time_keeps_the_record() {
    for (late, kept) in [(GRACE - NS, true), (GRACE, false), (GRACE + NS, false), (Duration::ZERO, true)] {
        for timer in [true, false] {
            let mut scene = scene();
            scene.world.reset(scene.owner);
            if timer {
                scene.world.wait(late);
            } else {
                scene.world.skip(late);
            }
            let owner = scene.world.connect("127.0.0.1");
            assert_eq!(owner.owner, scene.owner.owner);
            assert_eq!(scene.is_there(), kept, "{late:?}");
            if kept {
                scene.assert_stays();
                // The next time the grace begins anew, in full.
                scene.world.reset(owner);
                scene.assert_gone_after(GRACE);
            }
        }
    }
}

#[test]
fn a_record_taken_over_in_time_is_the_takers() {
    for (late, code) in [(GRACE - NS, 0), (GRACE, 2)] {
        let mut scene = scene();
        scene.world.reset(scene.owner);
        scene.world.wait(late);
        let taken = scene.world.ask(scene.witness, wire::about(1, op::TAKEOVER, scene.record, []));
        assert_eq!(taken.code, code);
        if code == 0 {
            assert_eq!((scene.expires(), scene.world.statistics().owners), (u32::MAX, 1));
            scene.assert_stays();
            // The former owner's return changes nothing.
            let former = scene.world.connect("127.0.0.1");
            scene.world.reset(former);
            scene.assert_stays();
        }
    }
}

#[test]
fn a_record_transferred_to_an_absent_owner_has_a_grace_of_its_own() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.2");
    // The heir has an older record, which ends with the heir's own grace.
    let back = scene.world.connect("127.0.0.2");
    let older = scene.world.create(back, 1, "older");
    scene.world.reset(back);
    scene.world.wait(100 * SECOND);
    scene.transfer(scene.owner, heir);
    assert_eq!(scene.expires(), 300);
    scene.world.wait(GRACE - 100 * SECOND - NS);
    let read_older = wire::about(2, op::RESOLVE, older, []);
    assert_eq!(scene.world.ask(scene.witness, &read_older), resolved(2, "older"));
    scene.world.wait(NS);
    assert_eq!(scene.world.ask(scene.witness, &read_older), address_fault(2));
    assert!(scene.is_there());
    // From now on, not from when the giver or the heir left.
    scene.world.reset(scene.owner);
    scene.world.wait(100 * SECOND - NS);
    assert!(scene.is_there());
    scene.world.wait(NS);
    assert!(!scene.is_there());
    assert_eq!((scene.world.bytes(), scene.world.statistics().owners), (0, 1));
}

#[test]
fn an_absent_owner_who_comes_and_goes_has_one_grace_for_all_records() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.2");
    scene.transfer(scene.owner, heir);
    scene.world.wait(GRACE - NS);
    let back = scene.world.connect("127.0.0.2");
    assert_eq!(scene.expires(), u32::MAX);
    scene.assert_stays();
    let second = scene.world.create(back, 1, "second");
    scene.world.reset(back);
    scene.world.wait(GRACE - NS);
    assert_eq!(
        scene.world.ask(scene.witness, wire::about(2, op::RESOLVE, second, [])),
        resolved(2, "second")
    );
    assert!(scene.is_there());
    scene.world.wait(NS);
    assert!(!scene.is_there());
    assert_eq!((scene.world.statistics().records, scene.world.bytes()), (0, 0));
}

#[test]
fn a_record_transferred_on_has_the_grace_of_its_last_owner() {
    let mut scene = scene();
    let heir = scene.absent("127.0.0.2");
    scene.transfer(scene.owner, heir);
    scene.world.wait(200 * SECOND);
    // Transferred again by somebody who took it over after all, to somebody else who is absent.
    let sent = wire::request(1, op::TAKEOVER, 0, scene.record.to_be_bytes());
    assert_eq!(scene.world.ask(scene.witness, sent), wire::access_violation(1));
    let back = scene.world.connect("127.0.0.2");
    let other = scene.absent("127.0.0.3");
    scene.transfer(back, other);
    scene.world.reset(back);
    scene.assert_gone_after(GRACE);
}

#[test]
fn a_record_transferred_away_does_not_end_with_its_former_owner() {
    let mut scene = scene();
    let sent = scene.world.create(scene.owner, 7, "another");
    scene.transfer(scene.owner, scene.witness);
    scene.world.reset(scene.owner);
    scene.assert_stays();
    let gone = scene.world.ask(scene.witness, wire::about(1, op::RESOLVE, sent, []));
    assert_eq!(gone, address_fault(1));
}

#[test]
fn a_violation_counts_as_closing() {
    let mut scene = scene();
    assert_eq!(scene.world.ask(scene.owner, header(1, 0, op::ABORT, 1)), malformed(1, 3));
    // Its socket is closed only a second later.
    scene.assert_gone_after(GRACE);
}

#[test]
fn the_end_of_the_stream_counts_as_closing() {
    // Half-closed, with a reply that the client takes slowly.
    let mut scene = scene();
    let large = scene.world.create(scene.witness, 1, wire::pattern(400_000));
    scene.world.send(scene.owner, wire::about(2, op::RESOLVE, large, []));
    scene.world.end(scene.owner);
    for _ in 0..10 {
        scene.world.wait(SLOW - NS);
        assert_eq!(scene.world.take(scene.owner, 8 * 1024).len(), 8 * 1024);
    }
    scene.world.wait(NS * 9);
    assert_eq!(scene.world.statistics().records, 2);
    scene.world.wait(NS);
    assert_eq!(scene.world.statistics().records, 1);
    assert_eq!(scene.world.phase(scene.owner), Phase::Open);
}

#[test]
fn a_half_closed_connection_does_not_keep_records_alive_but_another_does() {
    let mut scene = scene();
    let second = scene.world.connect("127.0.0.1");
    scene.world.end(second);
    scene.assert_stays();
    scene.world.end(scene.owner);
    scene.assert_gone_after(GRACE);
}

#[test]
fn a_connection_that_is_too_slow_counts_as_closed_when_it_is_closed() {
    let mut scene = scene();
    scene.world.send(scene.owner, &ping(1, "x")[..5]);
    scene.assert_gone_after(SLOW + GRACE);

    let mut scene = self::scene();
    scene.world.send(scene.owner, ping(1, "not taken"));
    scene.world.wait(SLOW);
    scene.assert_gone_after(GRACE);
}

#[test]
fn what_an_owner_does_after_its_violation_keeps_nothing_alive() {
    let mut scene = scene();
    scene.world.send(scene.owner, header(1, 0, op::ABORT, 1));
    scene.world.wait(SECOND);
    scene.world.send(scene.owner, request(1, op::PING, 0, "still here?"));
    scene.world.end(scene.owner);
    scene.world.reset(scene.owner);
    scene.assert_gone_after(GRACE - SECOND);
}

#[test]
fn five_thousand_owners_expire_together() {
    let mut world = World::new();
    let owners: Vec<Peer> =
        (0..5000).map(|i| world.connect(&format!("10.0.{}.{}", i / 250, i % 250 + 1))).collect();
    for owner in &owners {
        for _ in 0..2 {
            world.send(*owner, request(1, op::CREATE, 0, "0123456789"));
            assert_eq!(world.replies(*owner).len(), 1);
        }
    }
    assert_eq!((world.statistics().records, world.statistics().owners), (10_000, 5000));
    assert_eq!(world.bytes(), 10_000 * (held(10) + OVERHEAD));
    owners.iter().for_each(|owner| world.reset(*owner));
    assert_eq!(world.next_due(), Some(GRACE));
    world.wait(GRACE - NS);
    assert_eq!((world.statistics().records, world.statistics().owners), (10_000, 5000));
    world.wait(NS);
    let end = world.statistics();
    assert_eq!((end.records, end.owners, end.connections, end.bytes), (0, 0, 0, 0));
    assert_eq!((end.counters.records_expired, world.next_due()), (10_000, None));
}

#[test]
fn an_owner_without_records_has_no_deadline() {
    let mut scene = scene();
    assert_eq!(scene.world.ask(scene.owner, wire::about(1, op::DELETE, scene.record, [])), ok(1, []));
    scene.world.reset(scene.owner);
    assert_eq!((scene.world.next_due(), scene.world.statistics().owners), (None, 1));
    assert_eq!(scene.world.bytes(), 0);
}

#[test]
fn the_last_record_taken_from_an_absent_owner_takes_the_deadline_with_it() {
    let mut scene = scene();
    scene.world.reset(scene.owner);
    assert_eq!(scene.world.ask(scene.witness, wire::about(1, op::TAKEOVER, scene.record, [])), ok(1, []));
    assert_eq!(scene.world.next_due(), None);
    // So does that of a record that was apart from the others.
    let absent = scene.absent("127.0.0.2");
    let sent = wire::request(1, op::PERMIT, 7, scene.record.to_be_bytes());
    assert_eq!(scene.world.ask(scene.witness, sent), ok(1, []));
    scene.transfer(scene.witness, absent);
    assert_eq!(scene.world.next_due(), Some(GRACE));
    let back = scene.world.connect("127.0.0.2");
    // Its deadline is void, and is forgotten when it comes.
    scene.world.wait(GRACE);
    assert_eq!((scene.world.next_due(), scene.world.statistics().records), (None, 1));
    assert_eq!(scene.world.ask(back, wire::about(1, op::DELETE, scene.record, [])), ok(1, []));
    assert_eq!(scene.world.bytes(), 0);
}

#[test]
fn what_is_left_of_the_grace_is_told_in_seconds_rounded_up() {
    let mut scene = scene();
    scene.world.reset(scene.owner);
    for (pass, left) in [
        (Duration::ZERO, 300),
        (NS, 300),
        (SECOND - NS - NS, 300),
        (NS, 299),
        (NS, 299),
        (SECOND * 297 + SECOND / 2, 2),
        (SECOND / 2 - NS - NS, 2),
        (NS, 1),
        (SECOND - NS, 1),
    ] {
        scene.world.wait(pass);
        assert_eq!(scene.expires(), left, "{pass:?}");
    }
    scene.world.wait(NS);
    assert!(!scene.is_there());
}

#[test]
fn a_grace_of_nothing_ends_records_with_the_last_connection() {
    let mut world = World::with(|config| config.times.grace = Duration::ZERO);
    let witness = world.connect("127.0.0.9");
    let owner = world.connect("127.0.0.1");
    let record = world.create(owner, 7, "x");
    world.reset(owner);
    assert_eq!(world.ask(witness, wire::about(1, op::RESOLVE, record, [])), address_fault(1));
    assert_eq!((world.bytes(), world.statistics().owners), (0, 1));
    // Back at the same instant is too late.
    let owner = world.connect("127.0.0.1");
    world.create(owner, 0, "x");
    world.reset(owner);
    world.connect("127.0.0.1");
    assert_eq!(world.statistics().records, 0);
}

#[test]
fn a_grace_without_end_is_told_as_the_longest_time() {
    let mut world = World::with(|config| config.times.grace = Duration::MAX);
    let witness = world.connect("127.0.0.9");
    let owner = world.connect("127.0.0.1");
    let record = world.create(owner, 7, "x");
    let identity = world.ask(owner, request(1, op::IDENTIFY, 0, []));
    assert_eq!(identity.payload[16..], u32::MAX.to_be_bytes());
    world.reset(owner);
    let stat = world.ask(witness, wire::about(1, op::STAT, record, []));
    assert_eq!(stat.payload[22..], (u32::MAX - 1).to_be_bytes());
}
