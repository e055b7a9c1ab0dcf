//! The watches and the waiting reads of one record, and how they are told in portions where they are many.
//!
//! A round goes through all of them, in the order of their keys, and tells them of the changes that were there when it
//! began. What happens meanwhile folds into the next round. So however much happens, there are two rounds at most.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Bound::{Excluded, Unbounded};

use super::Read;
use super::changes::{Losses, Round};
use super::news::{Snapshot, Watch};
use crate::engine::ConnectionId;
use crate::error::Refusal;
use crate::memory::{Data, Garbage};
use crate::types::{Owner, Xid};
use crate::wire::{Ending, Notification, Reply};

/// The name of a watch or a waiting read among those of its record.
pub(super) type Key = (ConnectionId, Xid);

/// Who watches a record or waits for its data.
#[derive(Debug, Default)]
pub(in crate::store) struct Standing {
    pub(super) watches: BTreeMap<Key, Watch>,
    pub(super) waiting: BTreeMap<Key, Wait>,
    rounds: Option<Box<Rounds>>,
}

/// A read that waits until the record has data.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) reader: Owner,
    pub(super) read: Read,
    /// The number of the record's last change before it.
    pub(super) since: u64,
}

/// What is told in portions.
#[derive(Debug, Default)]
struct Rounds {
    now: Round,
    at: Cursor,
    next: Round,
    answers: Option<Answers>,
}

/// How far a round has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cursor {
    #[default]
    Start,
    Watch(Key),
    Waiting(Option<Key>),
    End,
}

/// Reads that waited for the data that the record has got.
#[derive(Debug)]
struct Answers {
    waiting: BTreeMap<Key, Wait>,
    losses: Losses,
    state: Snapshot,
}

/// What a portion has to tell.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Watches that have news and had none.
    pub(super) woken: Vec<Key>,
    /// Watches that have ended.
    pub(super) last: Vec<(Key, Vec<Notification<Data>>)>,
    pub(super) answers: Vec<(Key, Reply<Data>)>,
    /// How many watches and waiting reads it went through.
    pub(super) count: usize,
    /// Whether there is more to tell.
    pub(super) is_left: bool,
}

/// What is left of a record that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    standing: Standing,
    ending: Ending,
    state: Snapshot,
}

impl Standing {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.watches.is_empty() && self.waiting.is_empty() && self.rounds.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.watches.len() + self.waiting.len()
    }

    pub(super) fn is_told_in_portions(&self, most: usize) -> bool {
        self.len() > most || self.rounds.is_some()
    }

    pub(super) fn has_rounds(&self) -> bool {
        self.rounds.is_some()
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.watches.remove(key);
        self.waiting.remove(key);
        if let Some(answers) = self.rounds.as_mut().and_then(|rounds| rounds.answers.as_mut()) {
            answers.waiting.remove(key);
        }
    }

    /// The round that tells of what happens now.
    pub(super) fn round(&mut self) -> &mut Round {
        let rounds = self.rounds.get_or_insert_default();
        if rounds.at == Cursor::Start { &mut rounds.now } else { &mut rounds.next }
    }

    /// Has all waiting reads answered with a state of the record.
    pub(super) fn answer_waiting(&mut self, state: impl FnOnce() -> Snapshot) {
        if self.waiting.is_empty() {
            return;
        }
        let rounds = self.rounds.get_or_insert_default();
        let mut losses = rounds.now.losses().clone();
        losses.extend(rounds.next.losses());
        let waiting = core::mem::take(&mut self.waiting);
        rounds.answers = Some(Answers { waiting, losses, state: state() });
    }

    /// A watch that is told of everything up to now; `None` where it has ended and its last notifications are to come.
    pub(super) fn up_to_date(&mut self, key: &Key) -> Option<&mut Watch> {
        let watch = self.watches.get_mut(key)?;
        if let Some(rounds) = &self.rounds {
            if rounds.now.ends(watch) || rounds.next.ends(watch) {
                return None;
            }
            rounds.catch_up(watch);
        }
        Some(watch)
    }

    /// Tells the next portion.
    pub(super) fn tell(&mut self, most: usize, garbage: &mut Garbage) -> Step {
        let mut step = Step::default();
        let Some(rounds) = self.rounds.as_deref_mut() else { return step };
        if rounds.now.is_empty() {
            rounds.at = Cursor::End;
        }
        rounds.tell_watches(&mut self.watches, most, &mut step);
        rounds.tell_waiting(&mut self.waiting, most, &mut step);
        rounds.answer(most, &mut step, garbage);
        if rounds.at == Cursor::End && step.count < most {
            rounds.at = Cursor::Start;
            core::mem::replace(&mut rounds.now, core::mem::take(&mut rounds.next)).discard(garbage);
            if rounds.now.is_empty() && rounds.answers.is_none() {
                self.rounds = None;
            }
        }
        step.is_left = self.rounds.is_some();
        step
    }
}

impl Rounds {
    fn catch_up(&self, watch: &mut Watch) -> Option<Vec<Notification<Data>>> {
        self.now.apply(watch).or_else(|| self.next.apply(watch))
    }

    fn refuses(&self, wait: &Wait) -> bool {
        [&self.now, &self.next].into_iter().any(|round| round.losses().concern(wait.reader, wait.since))
    }

    fn tell_watches(&mut self, watches: &mut BTreeMap<Key, Watch>, most: usize, step: &mut Step) {
        let from = match self.at {
            Cursor::Start => Unbounded,
            Cursor::Watch(key) => Excluded(key),
            _ => return,
        };
        for (key, watch) in watches.range_mut((from, Unbounded)).take(most) {
            self.at = Cursor::Watch(*key);
            step.count += 1;
            let was_told = watch.news.is_empty();
            if let Some(last) = self.now.apply(watch) {
                step.last.push((*key, last));
            } else if was_told && !watch.news.is_empty() {
                step.woken.push(*key);
            }
        }
        for (key, _) in &step.last {
            watches.remove(key);
        }
        if step.count < most {
            self.at = Cursor::Waiting(None);
        }
    }

    /// Refuses the waiting reads of those who have lost READ.
    fn tell_waiting(&mut self, waiting: &mut BTreeMap<Key, Wait>, most: usize, step: &mut Step) {
        let Cursor::Waiting(at) = self.at else { return };
        if self.now.takes_read_away() {
            let (from, before) = (at.map_or(Unbounded, Excluded), step.answers.len());
            for (key, wait) in waiting.range((from, Unbounded)).take(most.saturating_sub(step.count)) {
                self.at = Cursor::Waiting(Some(*key));
                step.count += 1;
                if self.now.losses().concern(wait.reader, wait.since) {
                    step.answers.push((*key, Reply::Refused(Refusal::AccessViolation)));
                }
            }
            for (key, _) in &step.answers[before..] {
                waiting.remove(key);
            }
        }
        if step.count < most {
            self.at = Cursor::End;
        }
    }

    fn answer(&mut self, most: usize, step: &mut Step, garbage: &mut Garbage) {
        let Some(answers) = &mut self.answers else { return };
        while step.count < most
            && let Some((key, wait)) = answers.waiting.pop_first()
        {
            step.count += 1;
            step.answers.push((key, answers.reply(&wait)));
        }
        if answers.waiting.is_empty()
            && let Some(answers) = self.answers.take()
        {
            garbage.discard(answers.state.data);
        }
    }
}

impl Answers {
    fn reply(&self, wait: &Wait) -> Reply<Data> {
        if self.losses.concern(wait.reader, wait.since) {
            return Reply::Refused(Refusal::AccessViolation);
        }
        wait.read.answer(&self.state)
    }
}

impl Ended {
    pub(super) fn new(standing: Standing, ending: Ending, state: Snapshot) -> Self {
        Self { standing, ending, state }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.standing.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.standing.len()
    }

    /// Tells the next portion.
    pub(super) fn tell(&mut self, most: usize, garbage: &mut Garbage) -> Step {
        let mut step = Step::default();
        let Standing { watches, waiting, rounds, .. } = &mut self.standing;
        while step.count < most
            && let Some((key, mut watch)) = watches.pop_first()
        {
            step.count += 1;
            let lost = rounds.as_ref().and_then(|rounds| rounds.catch_up(&mut watch));
            step.last.push((key, lost.unwrap_or_else(|| watch.end(self.ending, &self.state))));
        }
        while step.count < most
            && let Some((key, wait)) = waiting.pop_first()
        {
            step.count += 1;
            let has_lost = rounds.as_ref().is_some_and(|rounds| rounds.refuses(&wait));
            let refusal = if has_lost { Refusal::AccessViolation } else { Refusal::AddressFault };
            step.answers.push((key, Reply::Refused(refusal)));
        }
        if let Some(rounds) = rounds {
            rounds.answer(most, &mut step, garbage);
        }
        step.is_left = !watches.is_empty()
            || !waiting.is_empty()
            || rounds.as_ref().is_some_and(|rounds| rounds.answers.is_some());
        step
    }

    /// Lets go of the data that it holds, when all is told.
    pub(super) fn discard(self, garbage: &mut Garbage) {
        garbage.discard(self.state.data);
        if let Some(rounds) = self.standing.rounds {
            rounds.now.discard(garbage);
            rounds.next.discard(garbage);
        }
    }
}
