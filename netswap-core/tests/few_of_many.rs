//! Records that are left of many: what is known of each of them stays, though room is given back around them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::time::Duration;

use netswap_core::engine::Peer;
use support::wire::{
    DELETED, EXPIRED, about, access_violation, address_fault, append, appended, ended, lifetime, noticed, ok,
    op, owner_changed, request, resolved, version, watch,
};
use support::{GRACE, NS, World};

const SECOND: Duration = Duration::from_secs(1);

/// So many there were.
const MANY: u32 = 3000;

/// One of so many is left.
const LEFT: u32 = 125;

/// SET_LIFETIME's grace that stands for the server's default.
const DEFAULT: u32 = u32::MAX;

/// How a record of a number lives: its grace, its time to live, whether it has an heir, whether it is watched.
fn life(n: u32) -> (u32, u32, bool, bool) {
    match n / LEFT % 6 {
        0 => (DEFAULT, 0, false, false),
        1 => (10 + n, 0, false, false),
        2 => (DEFAULT, 1000 + n, false, false),
        3 => (20 + n, 0, true, true),
        4 => (DEFAULT, 0, true, false),
        _ => (DEFAULT, 0, false, true),
    }
}

struct Scene {
    world: World,
    owner: Peer,
    heir: Peer,
    /// Numbers and pointers of the records that are left.
    left: Vec<(u32, u64)>,
}

/// Many records, most of which were deleted, in an order that has to do with nothing.
fn scene() -> Scene {
    let mut world = World::new();
    let (owner, heir) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let mut records: Vec<(u32, u64)> = Vec::new();
    for n in 0..MANY {
        let record = world.create(owner, 3, n.to_be_bytes());
        let (grace, ttl, inherits, watched) = life(n);
        let heirs = if inherits { heir.owner.get() } else { 0 };
        assert_eq!(world.ask(owner, lifetime(1, record, grace, ttl, heirs)), ok(1, []));
        if watched && n % LEFT == 0 {
            assert_eq!(world.ask(heir, watch(n, record, false)), version(n, 1));
        }
        records.push((n, record));
    }
    let (left, mut gone): (Vec<_>, Vec<_>) = records.into_iter().partition(|(n, _)| n % LEFT == 0);
    gone.sort_unstable_by_key(|(n, _)| n.wrapping_mul(0x9e37_79b9));
    for (_, record) in gone {
        assert_eq!(world.ask(owner, about(1, op::DELETE, record, [])), ok(1, []));
    }
    Scene { world, owner, heir, left }
}

impl Scene {
    /// Those who are left, of a kind.
    fn of_kind(&self, kind: u32) -> Vec<(u32, u64)> {
        self.left.iter().copied().filter(|(n, _)| n / LEFT % 6 == kind).collect()
    }

    #[track_caller]
    fn assert_list(&mut self, peer: Peer, records: impl IntoIterator<Item = u64>) {
        let mut records: Vec<u64> = records.into_iter().collect();
        records.sort_unstable();
        let records: Vec<u8> = records.into_iter().flat_map(u64::to_be_bytes).collect();
        assert_eq!(self.world.ask(peer, request(1, op::LIST, 0, [])), ok(1, records));
    }

    #[track_caller]
    fn assert_gone(&mut self, record: u64) {
        assert_eq!(self.world.ask(self.heir, about(1, op::RESOLVE, record, [])), address_fault(1));
    }
}

#[test]
fn their_data_and_rights_are_theirs() {
    let mut scene = scene();
    assert_eq!(scene.left.len(), 24);
    scene.assert_list(scene.owner, scene.left.clone().into_iter().map(|(_, record)| record));
    scene.assert_list(scene.heir, []);
    for (n, record) in scene.left.clone() {
        let read = about(1, op::RESOLVE, record, []);
        assert_eq!(scene.world.ask(scene.heir, read), resolved(1, n.to_be_bytes()));
        scene.world.send(scene.heir, append(1, record, "x"));
        let replies = scene.world.replies(scene.heir);
        assert_eq!(replies[0], appended(1, 2, 4));
        let news = if life(n).3 { vec![noticed(n, 2)] } else { vec![] };
        assert_eq!(replies[1..], news[..], "record {n}");
    }
    // There is room for others, and all can go.
    for n in 0..MANY {
        scene.world.create(scene.heir, 0, n.to_be_bytes());
    }
    for (n, record) in scene.left.clone() {
        assert_eq!(scene.world.ask(scene.heir, about(1, op::DELETE, record, [])), access_violation(1));
        scene.world.send(scene.owner, about(1, op::DELETE, record, []));
        assert_eq!(scene.world.replies(scene.owner), [ok(1, [])]);
        let news = if life(n).3 { vec![ended(n, DELETED)] } else { vec![] };
        assert_eq!(scene.world.replies(scene.heir), news, "record {n}");
    }
    assert_eq!(scene.world.statistics().records, u64::from(MANY));
    scene.assert_list(scene.owner, []);
}

#[test]
fn they_end_when_they_should() {
    let mut scene = scene();
    let lifetimes = scene.world.now;
    scene.world.reset(scene.owner);
    let start = scene.world.now;
    let (own_grace, by_ttl, soon_inherited) = (scene.of_kind(1), scene.of_kind(2), scene.of_kind(3));
    let (inherited, watched) = (scene.of_kind(4), scene.of_kind(5));
    let mut heirs: Vec<u64> = Vec::new();
    let mut moments: Vec<(Duration, u32, u64)> = Vec::new();
    moments.extend(own_grace.iter().map(|(n, record)| (SECOND * (10 + n), 1, *record)));
    moments.extend(by_ttl.iter().map(|(_, record)| (GRACE, 2, *record)));
    moments.extend(soon_inherited.iter().map(|(n, record)| (SECOND * (20 + n), 3, *record)));
    moments.extend(inherited.iter().map(|(_, record)| (GRACE, 4, *record)));
    moments.extend(watched.iter().map(|(_, record)| (GRACE, 5, *record)));
    moments.extend(scene.of_kind(0).iter().map(|(_, record)| (GRACE, 0, *record)));
    moments.sort_unstable();
    assert_eq!((lifetimes, moments.len()), (start, 24));
    let number = |scene: &Scene, record| scene.left.iter().find(|(_, it)| *it == record).unwrap().0;
    while let Some((moment, ..)) = moments.first().copied() {
        let due: Vec<_> = moments.extract_if(.., |it| it.0 == moment).collect();
        scene.world.wait((start + moment).saturating_since(scene.world.now) - NS);
        for (_, _, record) in &due {
            let n = number(&scene, *record);
            let read = about(1, op::RESOLVE, *record, []);
            assert_eq!(scene.world.ask(scene.heir, read), resolved(1, n.to_be_bytes()), "record {n}");
        }
        scene.world.wait(NS);
        let mut news = scene.world.replies(scene.heir);
        news.sort_unstable_by_key(|it| it.xid);
        let mut expected = Vec::new();
        for (_, kind, record) in due {
            let n = number(&scene, record);
            match kind {
                3 => expected.push(owner_changed(n, scene.heir.owner.get())),
                5 => expected.push(ended(n, EXPIRED)),
                _ => {}
            }
            if kind == 3 || kind == 4 {
                heirs.push(record);
            } else {
                scene.assert_gone(record);
            }
        }
        expected.sort_unstable_by_key(|it| it.xid);
        assert_eq!(news, expected, "{moment:?}");
        scene.assert_list(scene.heir, heirs.clone());
    }
    scene.world.reset(scene.heir);
    scene.world.wait(GRACE * 20);
    let statistics = scene.world.statistics();
    assert_eq!((statistics.records, statistics.bytes, statistics.owners), (0, 0, 0));
}
