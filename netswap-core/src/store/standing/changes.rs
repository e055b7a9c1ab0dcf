//! Changes of a record, folded before they reach its watches (docs/PROTOCOL.md §4.3).
//!
//! Changes are numbered. Of each kind the newest is kept with its number: a watch that has been told of what came later, or
//! began later, passes it over.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::news::{Snapshot, Watch, Written};
use crate::memory::{Data, Garbage};
use crate::types::{Access, Owner, Version};
use crate::wire::{Ending, Notification};

/// Changes, each kind with the number of its newest one.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    last: u64,
    written: Option<(u64, Written)>,
    /// An owner was asked for the record before another became its owner: who, and by whom.
    asked_before: Option<(u64, Owner, Owner)>,
    owner: Option<(u64, Owner)>,
    access: Option<(u64, Access)>,
    asked: Option<(u64, Owner, Owner)>,
}

/// When only the owner could read a record: the last time, and the last time that the owner was another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    last: Option<(u64, Owner)>,
    other: Option<(u64, Owner)>,
}

/// The right READ is taken from all but the owner.
#[derive(Debug)]
struct Loss {
    at: u64,
    owner: Owner,
    before: Changes,
    state: Snapshot,
}

/// What watches and waiting reads are told in one passage through all of them.
#[derive(Debug, Default)]
pub(super) struct Round {
    changes: Changes,
    losses: Losses,
    /// The first loss, and the first that its owner suffers. Who else watches lost READ in the first, or began after it.
    first: Option<Box<Loss>>,
    second: Option<Box<Loss>>,
}

impl Changes {
    /// The record was written; one write to a part can be told as such.
    fn write(&mut self, at: u64, version: Version, part: Option<(u32, Data)>) {
        let written = match (&self.written, part) {
            (None, Some((offset, data))) => Written::Range { version, offset, data: Box::new(data) },
            _ => Written::Newest,
        };
        self.written = Some((at, written));
    }

    fn changed_hands(&mut self, at: u64, owner: Owner) {
        let asked = self.asked.take();
        if self.owner.is_none() {
            self.asked_before = asked;
        }
        self.owner = Some((at, owner));
    }

    fn request(&mut self, at: u64, owner: Owner, requester: Owner) {
        self.asked = Some((at, owner, requester));
        self.asked_before = self.asked_before.filter(|(_, asked, _)| *asked != owner);
    }

    fn apply(&self, watch: &mut Watch) {
        let Watch { watcher, push, ref mut news, since } = *watch;
        if let Some((_, written)) = self.written.as_ref().filter(|(at, _)| *at > since) {
            news.written = Some(match (&news.written, written) {
                (None, Written::Range { .. }) if push => written.clone(),
                _ => Written::Newest,
            });
        }
        let asked = |asked: Option<(u64, Owner, Owner)>| {
            asked.filter(|(at, owner, _)| *at > since && *owner == watcher).map(|(.., requester)| requester)
        };
        if let Some(requester) = asked(self.asked_before) {
            news.requested(requester);
        }
        news.changed_hands(self.owner.filter(|(at, _)| *at > since).map(|(_, owner)| owner));
        if let Some((_, access)) = self.access.filter(|(at, _)| *at > since) {
            news.access = Some(access);
        }
        if let Some(requester) = asked(self.asked) {
            news.requested(requester);
        }
        watch.since = since.max(self.last);
    }

    fn discard(self, garbage: &mut Garbage) {
        if let Some((_, Written::Range { data, .. })) = self.written {
            garbage.discard(*data);
        }
    }
}

impl Losses {
    fn add(&mut self, at: u64, owner: Owner) {
        if let Some((_, before)) = self.last
            && before != owner
        {
            self.other = self.last;
        }
        self.last = Some((at, owner));
    }

    /// Adds those that came later.
    pub(super) fn extend(&mut self, later: &Self) {
        for (at, owner) in later.other.into_iter().chain(later.last) {
            self.add(at, owner);
        }
    }

    /// Whether somebody has lost READ since a change.
    pub(super) fn concern(&self, who: Owner, since: u64) -> bool {
        let last = self.last.filter(|(_, owner)| *owner != who).or(self.other);
        last.is_some_and(|(at, owner)| at > since && owner != who)
    }
}

impl Round {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.last == 0
    }

    pub(super) fn losses(&self) -> &Losses {
        &self.losses
    }

    pub(super) fn takes_read_away(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn write(&mut self, at: u64, version: Version, part: Option<(u32, Data)>) {
        self.changes.last = at;
        self.changes.write(at, version, part);
    }

    pub(super) fn request(&mut self, at: u64, owner: Owner, requester: Owner) {
        self.changes.last = at;
        self.changes.request(at, owner, requester);
    }

    /// The owner or the rights of a record change. The right READ is taken from all but `reader`, where there is one.
    pub(super) fn change_rights(
        &mut self,
        at: u64,
        owner: Option<Owner>,
        access: Option<Access>,
        reader: Option<Owner>,
        state: impl FnOnce() -> Snapshot,
    ) {
        if let Some(reader) = reader {
            let place = match &self.first {
                None => Some(&mut self.first),
                Some(first) if first.owner != reader && self.second.is_none() => Some(&mut self.second),
                Some(_) => None,
            };
            if let Some(place) = place {
                let before = self.changes.clone();
                *place = Some(Box::new(Loss { at, owner: reader, before, state: state() }));
            }
            self.losses.add(at, reader);
        }
        self.changes.last = at;
        if let Some(owner) = owner {
            self.changes.changed_hands(at, owner);
        }
        if let Some(access) = access {
            self.changes.access = Some((at, access));
        }
    }

    /// Whether a watch is to end because its watcher has lost READ.
    pub(super) fn ends(&self, watch: &Watch) -> bool {
        self.losses.concern(watch.watcher, watch.since)
    }

    /// Has a watch know of the changes; or its end, where its watcher has lost READ.
    pub(super) fn apply(&self, watch: &mut Watch) -> Option<Vec<Notification<Data>>> {
        if !self.ends(watch) {
            self.changes.apply(watch);
            return None;
        }
        let loss = match (&self.first, &self.second) {
            (Some(first), second) if first.owner == watch.watcher => second.as_ref(),
            (first, _) => first.as_ref(),
        };
        let Some(loss) = loss.filter(|loss| loss.at > watch.since) else {
            // It began when READ had been given back, and lost it again. As of when is not known, so it gets no data.
            watch.news.written = None;
            return Some(watch.end(Ending::AccessLost, &Snapshot::nothing()));
        };
        loss.before.apply(watch);
        Some(watch.end(Ending::AccessLost, &loss.state))
    }

    /// Lets go of the data that it holds.
    pub(super) fn discard(self, garbage: &mut Garbage) {
        self.changes.discard(garbage);
        for loss in self.first.into_iter().chain(self.second) {
            let Loss { before, state, .. } = *loss;
            before.discard(garbage);
            garbage.discard(state.data);
        }
    }
}
