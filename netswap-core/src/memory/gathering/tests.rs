//! Tests of data that arrive.

use super::*;

fn gathering() -> Gathering {
    Gathering::new(Arc::new(Budget::new(1 << 40, 1 << 40, 1)))
}

#[test]
fn room_follows_the_bytes_that_came() {
    for start in [0, 1, CHUNK as u32 - 1] {
        let mut gathering = gathering();
        gathering.expect(start, 4_000_000_000);
        for packet in 1..=200 {
            gathering.extend(&[1; 1390], 4_000_000_000);
            let came = packet * 1390;
            let beside = (start as usize % CHUNK).min(gathering.data.len());
            assert!(gathering.data.capacity() - beside <= 2 * came, "{packet}");
            assert!(gathering.data.capacity() <= 2 * CHUNK);
        }
    }
}

#[test]
fn it_ends_without_slack() {
    for expected in [1, 1000, 2780, CHUNK, 2 * CHUNK, 2 * CHUNK + 1, 100_000, 300_000] {
        let mut gathering = gathering();
        while gathering.len() < expected {
            let more = 1000.min(expected - gathering.len());
            gathering.extend(&[1; 1000][..more], expected);
        }
        let last = if expected <= 2 * CHUNK { expected } else { expected % CHUNK };
        assert_eq!((gathering.len(), gathering.data.capacity()), (expected, last));
    }
}

#[test]
fn chunks_count_in_the_place_of_the_bytes_that_came() {
    let budget = Arc::new(Budget::new(1 << 30, 1 << 30, 1).with_chunk(100));
    let mut gathering = Gathering::new(budget.clone());
    for _ in 0..50 {
        gathering.charge_unfinished(60).unwrap();
        gathering.extend(&[7; 60], 3000);
    }
    assert_eq!((gathering.len(), gathering.unfinished(), budget.unfinished()), (3000, 3000, 3000));
    // Thirty chunks, whose bytes lie in blocks of 112, and two nodes and the one above them.
    let data = gathering.settle().unwrap();
    let cost = 30 * Chunk::cost(100) as u64;
    assert!((cost..cost + 3 * 512).contains(&budget.used()), "{} beside {cost}", budget.used());
    assert_eq!((data.to_vec(), budget.unfinished()), (vec![7; 3000], 0));
    drop(data);
    assert_eq!(budget.used(), 0);
}

#[test]
fn data_that_nobody_wants_are_dropped_in_portions() {
    let budget = Arc::new(Budget::new(1 << 30, 1 << 30, 1).with_chunk(100));
    let mut gathering = Gathering::new(budget.clone());
    gathering.charge_unfinished(100_000).unwrap();
    gathering.extend(&[7; 100_000], 200_000);
    let mut garbage = Garbage::new();
    gathering.discard(&mut garbage);
    assert!(budget.unfinished() == 0 && budget.used() > 90_000);
    drop(garbage.take(100));
    assert!(!garbage.is_empty() && budget.used() > 80_000);
    while !garbage.is_empty() {
        drop(garbage.take(100));
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn chunks_cut_as_the_records_take_their_places_and_others_are_copied() {
    let budget = Arc::new(Budget::new(1 << 30, 1 << 30, 1).with_chunk(100));
    for (start, offset) in [(0, 0), (50, 50), (250, 250), (0, 30), (99, 0), (1_000, 77)] {
        let mut place = Kept::default();
        place.write(0, &[1; 5000], &budget).unwrap();
        let snapshot = place.snapshot();
        let mut gathering = Gathering::new(budget.clone());
        gathering.expect(start, 3003);
        gathering.charge_unfinished(3003).unwrap();
        gathering.extend(&[2; 3003], 3003);
        assert_eq!(gathering.starts_at(offset), start as usize == offset);
        let mut garbage = Garbage::new();
        let old = gathering.write_to(&mut place, offset, &mut garbage).unwrap();
        garbage.discard(old);
        let expected = [vec![1; offset], vec![2; 3003], vec![1; 5000 - 3003 - offset]].concat();
        assert_eq!(place.snapshot().to_vec(), expected, "{start} {offset}");
        assert_eq!(snapshot.to_vec(), vec![1; 5000]);
        garbage.discard(snapshot);
        garbage.discard(place.let_go(&budget));
        while !garbage.is_empty() {
            drop(garbage.take(100));
        }
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));
    }
}

#[test]
fn a_copy_for_which_there_is_no_room_changes_nothing() {
    let budget = Arc::new(Budget::new(25_000, 1 << 30, 1).with_chunk(100));
    let mut place = Kept::default();
    place.write(0, &[1; 5000], &budget).unwrap();
    let snapshot = place.snapshot();
    let mut gathering = Gathering::new(budget.clone());
    gathering.expect(1, 5000);
    gathering.charge_unfinished(5000).unwrap();
    gathering.extend(&[2; 5000], 5000);
    let mut garbage = Garbage::new();
    let refused = gathering.write_to(&mut place, 0, &mut garbage);
    assert_eq!(refused, Err(Overrun::Total(25_000)));
    assert_eq!(place.snapshot(), snapshot);
}

#[test]
fn of_two_limits_that_are_passed_the_total_is_named() {
    let settle = |total| {
        let budget = Arc::new(Budget::new(total, 100, 1));
        let mut gathering = Gathering::new(budget.clone());
        gathering.charge_unfinished(90).unwrap();
        gathering.extend(&[7; 90], 130);
        let overrun = gathering.charge_unfinished(40).unwrap_err();
        gathering.spoil(overrun);
        gathering.extend(&[7; 40], 130);
        let settled = gathering.settle();
        assert_eq!((budget.used(), budget.unfinished()), (0, 0));
        settled
    };
    // As an echo they count a block of 160 bytes, and that in which it is shared.
    assert_eq!(settle(160 + 64), Err(Overrun::Unfinished(100)));
    assert_eq!(settle(160 + 63), Err(Overrun::Total(160 + 63)));
}
