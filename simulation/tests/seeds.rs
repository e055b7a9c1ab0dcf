//! A few seeds, as a quick look; CI runs thousands with the program.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use netswap_core::error::{Quota, Violation};
use netswap_core::wire::Opcode;
use simulation::run::run;
use simulation::scenario::Scenario;
use simulation::world;

#[test]
fn nothing_is_wrong_with_a_hundred_seeds() {
    for seed in 0..100 {
        let run = run(seed, 500, None, false).unwrap();
        if let Some(found) = run.failure {
            panic!("seed {seed}: {}", found.failure);
        }
    }
}

#[test]
fn nothing_is_wrong_where_records_end_in_portions() {
    for seed in 0..60 {
        let mut scenario = Scenario::new(seed, None);
        scenario.setting.portion = Some(2);
        let outcome = world::run(&scenario, seed, 400, false).unwrap();
        if let Some(failure) = outcome.failure {
            panic!("seed {seed}: {failure}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let digests = |seed| [0, 1].map(|_| run(seed, 300, None, false).unwrap().digest);
    for seed in 1..20 {
        let [one, other] = digests(seed);
        assert_eq!(one, other, "seed {seed}");
    }
    assert_ne!(digests(1), digests(2));
}

/// A simulation that never gets anywhere finds nothing.
#[test]
fn the_seeds_reach_everything_that_a_server_can_say() {
    let mut reached = BTreeSet::new();
    let mut slow = [0, 0];
    let mut missing: BTreeSet<String> = BTreeSet::new();
    missing.extend(Opcode::ALL.map(|it| it.to_string()));
    for seed in 0..200 {
        let outcome = world::run(&Scenario::new(seed, None), seed, 300, false).unwrap();
        reached.extend(outcome.reached);
        let counters = outcome.counters;
        slow[0] += counters.slow_requests;
        slow[1] += counters.slow_readers;
        missing.retain(|name| {
            Opcode::ALL.iter().all(|it| it.to_string() != *name || counters.requests(*it) == 0)
        });
    }
    assert_eq!(missing, BTreeSet::new());
    assert!(slow.iter().all(|count| *count > 0), "{slow:?} closed because they were slow");
    let replies = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 3), (6, 0), (7, 0), (9, 0), (10, 0), (255, 0)];
    let notifications = [1, 2, 3, 4, 5, 16, 17, 18].map(|kind| (11, kind));
    let expected = replies
        .into_iter()
        .chain(notifications)
        .chain([1, 2, 3].map(|detail| (5, detail)))
        .chain(Quota::ALL.map(|quota| (8, quota as u8)))
        .chain(Violation::ALL.map(|violation| (4, violation as u8)));
    let missing: Vec<_> = expected.filter(|it| !reached.contains(it)).collect();
    assert!(missing.is_empty(), "codes with ACCESS bytes that never came: {missing:?}");
}
