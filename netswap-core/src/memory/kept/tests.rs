//! The data of records: blocks, few bytes, trees that blocks become.

use alloc::vec;

use super::*;

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(1000, 1000, 1))
}

#[test]
fn a_write_copies_only_what_somebody_else_holds() {
    let budget = budget();
    let mut kept = Kept::default();
    kept.write(0, &[1; 100], &budget).unwrap();
    let at = kept.flat().as_ptr();
    kept.write(50, &[2; 10], &budget).unwrap();
    assert_eq!((kept.flat().as_ptr(), budget.used()), (at, 112));

    let snapshot = kept.snapshot();
    let old = kept.write(0, &[3], &budget).unwrap();
    assert_ne!(kept.flat().as_ptr(), at);
    assert_eq!((snapshot.as_slice().unwrap()[0], old.as_slice().unwrap()[0], kept.flat()[0]), (1, 1, 3));
    assert_eq!((kept.flat()[55], budget.used()), (2, 2 * 112));
    drop((snapshot, old));
    assert_eq!(budget.used(), 112);
    drop(kept.let_go(&budget));
    assert_eq!(budget.used(), 0);
}

#[test]
fn growth_fills_gaps_and_costs_what_its_size_class_is_larger() {
    let budget = Arc::new(Budget::new(1024, 0, 0));
    let mut kept = Kept::default();
    kept.write(4, &[1], &budget).unwrap();
    assert_eq!((kept.flat(), budget.used()), (&[0, 0, 0, 0, 1][..], 16));
    for (len, counted) in [(16, 16), (64, 64), (65, 80), (80, 80), (81, 96), (91, 96), (1000, 1024)] {
        kept.allow_write(len - 1, 1, &budget).unwrap();
        kept.write(len - 1, &[2], &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (len, counted));
    }
    // Inside of a size class it is free.
    kept.write(1000, &[4; 24], &budget).unwrap();
    assert_eq!((kept.len(), budget.used()), (1024, 1024));
    assert_eq!(kept.allow_write(1024, 1, &budget), Err(Overrun::Total(1024)));
    assert_eq!(kept.write(1024, &[5], &budget).err(), Some(Overrun::Total(1024)));
    assert_eq!((kept.len(), kept.flat()[999]), (1024, 4 - 2));
    drop(kept.let_go(&budget));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_block_that_grows_becomes_a_tree() {
    let budget = Arc::new(Budget::new(1 << 20, 0, 0).with_chunk(50));
    for old in [0, 64, 65, 100] {
        let mut kept = Kept::default();
        kept.replace(vec![1; old], 0, &budget).unwrap();
        let snapshot = kept.snapshot();
        kept.allow_write(150, 8, &budget).unwrap();
        kept.write(150, &7_u64.to_be_bytes(), &budget).unwrap();
        assert!(kept.tree().is_some());
        assert_eq!((kept.number(150), kept.number(151)), (Some(7_u64.to_be_bytes()), None));
        let expected = [vec![1; old], vec![0; 157 - old], vec![7]].concat();
        assert_eq!((kept.snapshot().to_vec(), snapshot.to_vec()), (expected, vec![1; old]));
        // What shrinks fits, though the tree counts until it is dropped.
        drop(snapshot);
        budget.charge((1 << 20) - budget.used() as usize).unwrap();
        let tree = kept.replace(vec![2; 100], 0, &budget).unwrap();
        assert_eq!((kept.len(), budget.used()), (100, (1 << 20) + 112));
        drop(tree);
        assert!(budget.used() < 1 << 20);
        budget.release((budget.used() - 112) as usize);
        drop(kept.let_go(&budget));
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn few_bytes_count_as_others_do() {
    let budget = Arc::new(Budget::new(80, 0, 0));
    let mut kept = Kept::default();
    assert!(!kept.overwrite(&[1]));
    kept.replace([1; 40].into(), 0, &budget).unwrap();
    assert!(kept.overwrite(&[2; 40]) && !kept.overwrite(&[3; 41]));
    assert_eq!((kept.flat(), budget.used()), (&[2; 40][..], 48));
    kept.replace([3; 64].into(), 0, &budget).unwrap();
    assert_eq!((kept.len(), budget.used()), (64, 64));
    assert_eq!(kept.write(0, &[4; 81], &budget), Err(Overrun::Total(80)));
    kept.write(60, &[4; 10], &budget).unwrap();
    assert_eq!((kept.len(), budget.used()), (70, 80));
    assert!(kept.overwrite(&[5; 70]));
    let snapshot = kept.snapshot();
    assert!(!kept.overwrite(&[6; 70]), "somebody holds them");
    assert_eq!(kept.replace([6; 20].into(), 0, &budget), Err(Overrun::Total(80)));
    drop(snapshot);
    kept.replace([6; 20].into(), 0, &budget).unwrap();
    assert_eq!(budget.used(), 32);
    drop(kept.let_go(&budget));
    assert_eq!(budget.used(), 0);
}

#[test]
fn slices_are_clipped() {
    let budget = budget();
    for len in [5, 100] {
        let mut kept = Kept::default();
        kept.replace((0..len).collect(), 0, &budget).unwrap();
        assert_eq!(kept.slice(1, 3).to_vec(), [1, 2, 3]);
        assert_eq!(kept.slice(3, u32::MAX).to_vec(), (3..len).collect::<Vec<_>>());
        assert!(kept.slice(len.into(), 1).is_empty() && kept.slice(u32::MAX, u32::MAX).is_empty());
    }
}

#[test]
fn others_may_let_go_at_any_moment() {
    extern crate std;
    let budget = Arc::new(Budget::new(1 << 30, 0, 0));
    let (give, take) = std::sync::mpsc::sync_channel::<Data>(0);
    let others = std::thread::spawn(move || take.into_iter().for_each(drop));
    let mut kept = Kept::default();
    for _ in 0..20_000 {
        kept.replace([1; 100].into(), 0, &budget).unwrap();
        give.send(kept.snapshot()).unwrap();
    }
    drop(give);
    others.join().unwrap();
    drop(kept.let_go(&budget));
    assert_eq!(budget.used(), 0);
}
