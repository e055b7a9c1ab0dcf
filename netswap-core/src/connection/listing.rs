//! The answer to a LIST_RECORDS of many records, made in portions (docs/PROTOCOL.md §3.14).

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::collections::binary_heap::PeekMut;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;

use bytes::Bytes;

use super::{Connection, Occupation};
use crate::engine::{Engine, Incident, ListCursor};
use crate::error::Refusal;
use crate::memory::{Budget, Data, FEW, Overrun, sent};
use crate::time::Instant;
use crate::types::{Pointer, Xid};
use crate::wire::{Message, Reply};

/// Bytes of a pointer in the answer.
const POINTER: usize = size_of::<u64>();

/// Pointers in a block of the answer: 1 MiB.
const BLOCK: usize = (1 << 20) / POINTER;

/// A list that is being made. No other request of its connection is carried out meanwhile.
#[derive(Debug)]
pub(super) struct Listing {
    xid: Xid,
    state: State,
}

#[derive(Debug)]
enum State {
    Collecting(ListCursor, Collecting),
    Merging(Merging),
}

/// Pointers come in portions. Each is put in order by itself, the smallest last.
#[derive(Debug)]
struct Collecting {
    charge: Charge,
    runs: Vec<Vec<Pointer>>,
    len: usize,
}

/// The portions become one, smallest first.
#[derive(Debug)]
struct Merging {
    charge: Charge,
    runs: Vec<Vec<Pointer>>,
    /// Of each run that is not empty, the smallest.
    heap: BinaryHeap<Reverse<(Pointer, usize)>>,
    /// The latest in the answer, and how many may come.
    last: Option<Pointer>,
    left: usize,
    blocks: Vec<Vec<u8>>,
}

/// Bytes that the budget counts.
#[derive(Debug)]
struct Charge {
    budget: Arc<Budget>,
    bytes: usize,
}

/// A part of the answer, which counts until it is sent.
struct Block {
    bytes: Vec<u8>,
    _charge: Charge,
}

/// What a list counts until its answer is sent: the answer, and while it is made half as much again, since portions of it are
/// given back as half of them is in order. An answer of few bytes counts nothing (docs/PROTOCOL.md §7.2).
fn cost(count: usize) -> usize {
    let bytes = count.saturating_mul(POINTER);
    if bytes <= FEW { 0 } else { sent(bytes).saturating_add(bytes / 2) }
}

impl Charge {
    fn new(budget: &Arc<Budget>, bytes: usize) -> Result<Self, Overrun> {
        budget.charge(bytes)?;
        Ok(Self { budget: budget.clone(), bytes })
    }

    /// A part of it, which goes its own way.
    fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { budget: self.budget.clone(), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Collecting {
    /// Adds a portion, and charges for it where more have come than there were at the beginning.
    fn add(&mut self, mut run: Vec<Pointer>) -> Result<(), Overrun> {
        run.sort_unstable_by_key(|pointer| Reverse(*pointer));
        self.len += run.len();
        run.shrink_to_fit();
        let bytes = cost(self.len);
        if bytes > self.charge.bytes {
            self.charge.budget.charge(bytes - self.charge.bytes)?;
            self.charge.bytes = bytes;
        }
        self.runs.push(run);
        Ok(())
    }

    fn merge(self) -> Merging {
        let Self { charge, mut runs, len } = self;
        let smallest = runs.iter_mut().enumerate().filter_map(|(at, run)| Some(Reverse((run.pop()?, at))));
        let heap = smallest.collect::<Vec<_>>().into();
        Merging { charge, runs, heap, last: None, left: len, blocks: Vec::new() }
    }
}

impl Merging {
    /// Adds a portion of pointers to the answer. Returns whether there are more, or `None` where there is no memory.
    fn go_on(&mut self, count: usize) -> Option<bool> {
        for _ in 0..count {
            let Some(mut top) = self.heap.peek_mut() else { break };
            let Reverse((pointer, at)) = *top;
            let run = &mut self.runs[at];
            match run.pop() {
                Some(next) => top.0.0 = next,
                None => drop(PeekMut::pop(top)),
            }
            // So that what is in order does not take room twice.
            if run.len() <= run.capacity() / 2 {
                run.shrink_to_fit();
            }
            self.left -= 1;
            if self.last.replace(pointer) == Some(pointer) {
                continue;
            }
            let block = match self.blocks.last_mut() {
                Some(block) if block.len() < block.capacity() => block,
                _ => {
                    let mut block = Vec::new();
                    block.try_reserve_exact((self.left + 1).min(BLOCK) * POINTER).ok()?;
                    self.blocks.push(block);
                    self.blocks.last_mut()?
                }
            };
            block.extend_from_slice(&pointer.0.to_be_bytes());
        }
        Some(self.left > 0)
    }
}

impl Connection {
    /// A request lists no records, or so many that its answer is made in portions.
    #[cold]
    pub(super) fn begin_list(&mut self, xid: Xid, engine: &mut impl Engine) {
        let (count, cursor) = engine.begin_list(self.peer);
        if count == 0 {
            return self.output.push(xid, Reply::<Data>::Done.encode());
        }
        match self.charge_list(count) {
            Ok(charge) => {
                let nothing = Collecting { charge, runs: Vec::new(), len: 0 };
                let listing = Listing { xid, state: State::Collecting(cursor, nothing) };
                self.occupation = Some(Box::new(Occupation::Listing(listing)));
                // Nothing else is done until it is made.
                self.turn = 0;
            }
            Err(overrun) => self.refuse_list(xid, overrun, engine),
        }
    }

    fn charge_list(&self, count: u64) -> Result<Charge, Overrun> {
        Charge::new(self.places.budget(), cost(usize::try_from(count).unwrap_or(usize::MAX / POINTER)))
    }

    /// Makes the next portion of a list.
    pub(super) fn continue_list(&mut self, mut listing: Listing, now: Instant, engine: &mut impl Engine) {
        let portion = self.config.portions.records;
        listing.state = match listing.state {
            State::Collecting(cursor, mut collecting) => {
                let mut run = Vec::with_capacity(portion);
                let next = engine.continue_list(self.peer, cursor, &mut run, now);
                if let Err(overrun) = collecting.add(run) {
                    return self.refuse_list(listing.xid, overrun, engine);
                }
                match next {
                    Some(cursor) => State::Collecting(cursor, collecting),
                    None => State::Merging(collecting.merge()),
                }
            }
            State::Merging(mut merging) => match merging.go_on(portion) {
                Some(true) => State::Merging(merging),
                Some(false) => return self.answer_list(listing.xid, merging),
                None => {
                    let overrun = Overrun::Total(self.config.limits.total);
                    return self.refuse_list(listing.xid, overrun, engine);
                }
            },
        };
        self.occupation = Some(Box::new(Occupation::Listing(listing)));
    }

    fn answer_list(&mut self, xid: Xid, made: Merging) {
        let Merging { mut charge, blocks, .. } = made;
        let Message { opcode, access, operands, .. } = Reply::<Data>::Done.encode();
        let body = blocks.iter().map(Vec::len).sum::<usize>() as u32;
        self.output.push_streamed(xid, Message { opcode, access, operands, body });
        for bytes in blocks {
            let charge = charge.split(sent(bytes.capacity()));
            self.output.provide(xid, Bytes::from_owner(Block { bytes, _charge: charge }));
        }
    }

    fn refuse_list(&mut self, xid: Xid, overrun: Overrun, engine: &mut impl Engine) {
        let refusal = Refusal::from(overrun);
        // The request itself was counted when it was carried out.
        engine.note(Incident::Refused(None, refusal));
        self.output.push(xid, Reply::<Data>::Refused(refusal).encode());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_pointers_in_order_and_what_is_left_of_the_charge() {
        let budget = Arc::new(Budget::new(1 << 30, 0, 0));
        let count = 2 * BLOCK + 17;
        let charge = Charge::new(&budget, cost(count + 5)).unwrap();
        let mut collecting = Collecting { charge, runs: Vec::new(), len: 0 };
        // A number that has no divisor in common with their count goes through all of them.
        let mut pointers = (0..count).map(|n| Pointer((n * 99_991 % count) as u64));
        while collecting.len < count {
            collecting.add(pointers.by_ref().take(2048).collect()).unwrap();
        }
        // Some come twice, and for those that were not counted is charged.
        collecting.add((0..10).map(Pointer).collect()).unwrap();
        assert_eq!(budget.used(), cost(count + 10) as u64);
        let mut merging = collecting.merge();
        while merging.go_on(1000).unwrap() {
            let room: usize = merging.runs.iter().map(Vec::capacity).sum();
            assert!(room <= 2 * merging.left + 2, "room for {room} of {}", merging.left);
        }
        assert_eq!(merging.blocks.iter().map(Vec::len).collect::<Vec<_>>(), [1 << 20, 1 << 20, 17 * POINTER]);
        let all = merging.blocks.concat();
        let pointers = all.chunks_exact(POINTER).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
        assert!(pointers.eq(0..count as u64));
        drop(merging);
        assert_eq!(budget.used(), 0);
    }
}
