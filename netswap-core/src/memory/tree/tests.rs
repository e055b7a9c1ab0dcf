//! Trees of small chunks, held against plain bytes.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::memory::Budget;
use crate::memory::charge::Purse;
use crate::memory::chunk::Chunk;
use crate::memory::garbage::Garbage;

const CHUNK: usize = 8;

fn budget() -> Arc<Budget> {
    Arc::new(Budget::new(1 << 40, 0, 0).with_chunk(CHUNK))
}

fn bytes(tree: &Tree) -> Vec<u8> {
    let mut all = vec![0xaa; tree.len()];
    tree.read(0, &mut all);
    all
}

/// What the pieces of a part have, one after the other.
fn pieces(tree: &Tree, start: usize, len: usize, garbage: &mut Garbage) -> Vec<u8> {
    let mut pieces = tree.pieces(start, len);
    let mut all = Vec::new();
    while let Some(piece) = pieces.next(garbage) {
        assert!(!piece.as_ref().is_empty());
        all.extend_from_slice(piece.as_ref());
    }
    all
}

fn drop_all(garbage: &mut Garbage) {
    while !garbage.is_empty() {
        drop(garbage.take(1));
    }
}

/// Writes with as much charged before as it is said to cost, which must be just what it takes.
fn write(tree: &mut Tree, offset: usize, data: &[u8], budget: &Arc<Budget>) {
    let cost = tree.cost_of_write(offset, data.len());
    let mut purse = Purse::new(budget.clone());
    budget.charge(cost).unwrap();
    purse.add(cost);
    let before = budget.used();
    tree.write(offset, data, &mut purse);
    let freed = before - budget.used();
    assert_eq!((purse.held(), freed), (0, 0), "{} bytes at {offset}", data.len());
}

/// Data in a tree of their own, as they arrive, that begin at an offset.
fn arrived(offset: usize, data: &[u8], purse: &mut Purse) -> Tree {
    let mut tree = Builder::new(offset, CHUNK);
    let mut at = offset;
    while at < offset + data.len() {
        let here = (CHUNK - at % CHUNK).min(offset + data.len() - at);
        let mut chunk = vec![0; at % CHUNK];
        chunk.extend_from_slice(&data[at - offset..at - offset + here]);
        tree.push(Chunk::new(chunk, purse), purse);
        at += here;
    }
    tree.finish(purse)
}

#[test]
fn a_hole_takes_nothing() {
    let budget = budget();
    let mut tree = Tree::zeros(0, CHUNK);
    write(&mut tree, 1_000_000, b"x", &budget);
    assert!(budget.used() < 4000, "{}", budget.used());
    assert_eq!(tree.len(), 1_000_001);
    let mut all = bytes(&tree);
    assert_eq!(all.pop(), Some(b'x'));
    assert!(all.iter().all(|byte| *byte == 0));
    drop(tree);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_write_beside_a_snapshot_copies_its_path_and_the_next_one_nothing() {
    let budget = budget();
    let mut tree = Tree::zeros(0, CHUNK);
    write(&mut tree, 0, &vec![1; 16 * 16 * CHUNK], &budget);
    let before = budget.used();
    let snapshot = tree.clone();
    write(&mut tree, 100, b"ab", &budget);
    let copied = budget.used() - before;
    assert_eq!(copied as usize, 2 * node::COST + Chunk::cost(CHUNK));
    write(&mut tree, 101, b"cd", &budget);
    assert_eq!(budget.used() - before, copied);
    assert_eq!((&bytes(&tree)[99..104], bytes(&snapshot)), (&b"\x01acd\x01"[..], vec![1; 2048]));
    drop(snapshot);
    assert_eq!(budget.used(), before);
}

#[test]
fn a_reader_holds_only_what_lies_ahead() {
    let budget = budget();
    let mut tree = Tree::zeros(0, CHUNK);
    let len = 16 * 16 * 16 * CHUNK;
    write(&mut tree, 0, &vec![1; len], &budget);
    let (all, mut garbage) = (budget.used(), Garbage::new());
    let mut pieces = tree.pieces(0, len);
    garbage.discard(crate::memory::Data::from(tree));
    let mut read = 0;
    while let Some(piece) = pieces.next(&mut garbage) {
        read += piece.as_ref().len();
        drop(piece);
        drop_all(&mut garbage);
        let (ahead, slack) = ((len - read) as u64 * all / len as u64, all / 16 + all / 100);
        assert!(budget.used() <= ahead + slack, "{} at {read}", budget.used());
    }
    assert_eq!((read, budget.used()), (len, 0));
}

#[test]
fn a_graft_takes_a_few_steps_whatever_its_length() {
    let budget = budget();
    let mut tree = Tree::zeros(0, CHUNK);
    let len = 16 * 16 * 16 * CHUNK;
    write(&mut tree, 0, &vec![1; len], &budget);
    let _snapshot = tree.clone();
    let mut purse = Purse::new(budget.clone());
    let other = arrived(5, &vec![2; len - 10], &mut purse);
    let before = budget.used();
    let mut garbage = Garbage::new();
    tree.graft(other, 5, &mut purse, &mut garbage);
    // The path to either end is copied, and what is added to the last chunk counts.
    assert!(budget.used() - before <= 6 * node::COST as u64 + 64, "{}", budget.used() - before);
    let expected = [&[1; 5][..], &vec![2; len - 10], &[1; 5]].concat();
    assert_eq!(bytes(&tree), expected);
}

#[test]
fn a_portion_of_garbage_is_small() {
    let budget = budget();
    let mut tree = Tree::zeros(0, CHUNK);
    write(&mut tree, 0, &vec![1; 16 * 16 * 16 * CHUNK], &budget);
    let mut garbage = Garbage::new();
    garbage.discard(crate::memory::Data::from(tree));
    let mut portions = 0;
    while !garbage.is_empty() {
        let before = budget.used();
        let portion = garbage.take(32);
        assert_eq!(budget.used(), before, "nothing is dropped with the store locked");
        drop(portion);
        let freed = (before - budget.used()) as usize;
        assert!(freed <= (32 + 16) * Chunk::cost(CHUNK) + 32 * node::COST, "{freed}");
        portions += 1;
    }
    assert!(portions > 100 && budget.used() == 0, "{portions}");
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize),
    Graft(usize, usize),
    Grow(usize),
    Snapshot,
    Forget(prop::sample::Index),
    Read(prop::sample::Index, prop::sample::Index, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let at = prop_oneof![0..300_usize, 0..3000_usize];
    let len = prop_oneof![0..20_usize, 0..700_usize];
    prop_oneof![
        4 => (at.clone(), len.clone()).prop_map(|(at, len)| Step::Write(at, len)),
        2 => (at.clone(), len).prop_map(|(at, len)| Step::Graft(at, len + 1)),
        1 => (0..40_000_usize).prop_map(Step::Grow),
        2 => Just(Step::Snapshot),
        1 => any::<prop::sample::Index>().prop_map(Step::Forget),
        2 => any::<[prop::sample::Index; 3]>().prop_map(|[a, b, c]| Step::Read(a, b, c)),
    ]
}

proptest! {
    #[test]
    fn snapshots_never_change_and_every_byte_is_counted(steps in proptest::collection::vec(step(), 0..60)) {
        let budget = budget();
        let mut garbage = Garbage::new();
        let mut tree = Tree::zeros(0, CHUNK);
        let mut model: Vec<u8> = Vec::new();
        let mut snapshots: Vec<(Tree, Vec<u8>)> = Vec::new();
        for (n, step) in steps.into_iter().enumerate() {
            let data = |len: usize| (0..len).map(|at| (at * 7 + n * 13 + 1) as u8).collect::<Vec<_>>();
            match step {
                Step::Write(at, len) => {
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&data(len));
                    write(&mut tree, at, &data(len), &budget);
                }
                Step::Graft(at, len) => {
                    let mut purse = Purse::new(budget.clone());
                    let other = arrived(at, &data(len), &mut purse);
                    model.resize(model.len().max(at + len), 0);
                    model[at..at + len].copy_from_slice(&data(len));
                    tree.graft(other, at, &mut purse, &mut garbage);
                }
                Step::Grow(len) => {
                    model.resize(model.len().max(len), 0);
                    tree.grow(len, &mut Purse::new(budget.clone()));
                }
                Step::Snapshot => snapshots.push((tree.clone(), model.clone())),
                Step::Forget(index) if !snapshots.is_empty() => {
                    let (snapshot, _) = snapshots.swap_remove(index.index(snapshots.len()));
                    garbage.discard(crate::memory::Data::from(snapshot));
                }
                Step::Forget(_) => {}
                Step::Read(which, start, len) => {
                    let now = (tree.clone(), model.clone());
                    let (tree, model) = which.get(&[snapshots.clone(), vec![now]].concat()).clone();
                    let start = start.index(model.len() + 1);
                    let len = len.index(model.len() - start + 1);
                    prop_assert_eq!(pieces(&tree, start, len, &mut garbage), &model[start..start + len]);
                }
            }
            drop_all(&mut garbage);
            prop_assert_eq!(tree.len(), model.len());
            prop_assert_eq!(bytes(&tree), &model[..]);
            for (snapshot, model) in &snapshots {
                prop_assert_eq!(&bytes(snapshot), model);
            }
            let mut all: Vec<&Tree> = snapshots.iter().map(|(tree, _)| tree).collect();
            all.push(&tree);
            prop_assert_eq!(budget.used() as usize, node::count(&all));
        }
        snapshots.into_iter().for_each(|(tree, _)| garbage.discard(crate::memory::Data::from(tree)));
        garbage.discard(crate::memory::Data::from(tree));
        drop_all(&mut garbage);
        prop_assert_eq!(budget.used(), 0);
    }
}
