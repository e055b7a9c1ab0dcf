//! The watches of a client, across its connections: who hears of what, and which have to be armed again.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client as Machine, Options, RequestError};
use netswap_core::time::Instant;
use netswap_core::types::{Pointer, Version, Xid};
use netswap_core::wire::{Notification, Request};

use super::backlog::{Backlog, Torn};
use super::{Change, Error};

/// Watches that are armed again at the same time at most: they leave room to calls.
const ARMED_AT_ONCE: usize = 64;

/// A watch of a client, whatever connection it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct WatchId(u64);

/// All watches of a client.
#[derive(Debug, Default)]
pub(super) struct Watches {
    all: HashMap<WatchId, State>,
    /// Those that are armed, or about to be.
    by_xid: HashMap<Xid, WatchId>,
    /// Those that are to be armed again.
    waiting: VecDeque<WatchId>,
    /// How many have been asked for and have not got their OK.
    asked: usize,
    last: u64,
    /// Whether there will be no more connections.
    no_more: bool,
}

#[derive(Debug)]
struct State {
    request: Request<Bytes>,
    options: Options,
    stage: Stage,
    /// The record's version when it was armed first.
    version: Option<Version>,
    /// Whether the application was told of an interruption, and not of its end.
    interrupted: bool,
    backlog: Backlog,
    reader: Option<Waker>,
}

#[derive(Debug)]
enum Stage {
    Unarmed,
    Asked(Xid),
    Armed(Xid),
    /// Nothing more comes, but this once.
    Ended(Option<Error>),
}

impl Watches {
    /// Begins to watch a record.
    pub(super) fn begin(
        &mut self,
        machine: &mut Machine,
        (pointer, push): (Pointer, bool),
        idle_timeout: Option<Duration>,
        now: Instant,
    ) -> Result<WatchId, RequestError> {
        let request = Request::WatchRecord { pointer, push };
        let options = Options { idle_timeout, ..Options::default() };
        let xid = machine.request_with(request.clone(), options, now)?;
        self.last += 1;
        let id = WatchId(self.last);
        let state = State {
            request,
            options,
            stage: Stage::Asked(xid),
            version: None,
            interrupted: false,
            backlog: Backlog::default(),
            reader: None,
        };
        self.all.insert(id, state);
        self.by_xid.insert(xid, id);
        self.asked += 1;
        Ok(id)
    }

    /// Forgets a watch: the transaction that is to be aborted, and what is left, to be dropped without the lock.
    pub(super) fn remove(&mut self, id: WatchId) -> Option<(Option<Xid>, impl Sized + use<>)> {
        let state = self.all.remove(&id)?;
        self.waiting.retain(|waiting| *waiting != id);
        let xid = self.leave(&state.stage);
        if let Some(xid) = xid {
            self.by_xid.remove(&xid);
        }
        Some((xid, state))
    }

    /// The record's version when it began to be watched, once that is so.
    pub(super) fn poll_begun(&mut self, id: WatchId, cx: &mut Context<'_>) -> Poll<Result<Version, Error>> {
        let Some(state) = self.all.get_mut(&id) else { return Poll::Ready(Err(Error::Closed)) };
        match (state.version, &mut state.stage) {
            (Some(version), _) => Poll::Ready(Ok(version)),
            (None, Stage::Ended(error)) => Poll::Ready(Err(error.take().unwrap_or(Error::Closed))),
            _ => state.wait(cx),
        }
    }

    /// The next change.
    pub(super) fn poll_next(
        &mut self,
        id: WatchId,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Change, Error>>> {
        let Some(state) = self.all.get_mut(&id) else { return Poll::Ready(None) };
        if let Some(change) = state.backlog.pop() {
            return Poll::Ready(Some(Ok(change)));
        }
        match &mut state.stage {
            Stage::Ended(error) => Poll::Ready(error.take().map(Err)),
            _ => state.wait(cx),
        }
    }

    /// The next change, if there is one.
    pub(super) fn try_next(&mut self, id: WatchId) -> Option<Change> {
        self.all.get_mut(&id)?.backlog.pop()
    }

    /// Whether a transaction is one of a watch.
    pub(super) fn has(&self, xid: Xid) -> bool {
        self.by_xid.contains_key(&xid)
    }

    /// Whether somebody waits for the beginning of a watch.
    pub(super) fn any_begins(&self) -> bool {
        self.all.values().any(|state| state.version.is_none() && matches!(state.stage, Stage::Asked(_)))
    }

    /// A watch has got its OK. Who is to be woken.
    pub(super) fn armed(&mut self, xid: Xid, version: Version) -> Option<Waker> {
        let state = self.all.get_mut(self.by_xid.get(&xid)?)?;
        if matches!(state.stage, Stage::Asked(_)) {
            self.asked -= 1;
        }
        state.stage = Stage::Armed(xid);
        state.interrupted = false;
        match state.version {
            None => state.version = Some(version),
            // The whole record is told again: nothing is lost if this tears what was told before.
            Some(_) => drop(state.backlog.push(Change::Resumed { version })),
        }
        state.reader.take()
    }

    /// A watch was told something. Who is to be woken.
    pub(super) fn notified(
        &mut self,
        machine: &mut Machine,
        xid: Xid,
        notification: Notification<Bytes>,
        now: Instant,
    ) -> Option<Waker> {
        let weight = notification.weight();
        let id = *self.by_xid.get(&xid)?;
        let state = self.all.get_mut(&id)?;
        let is_last = matches!(notification, Notification::Ended(_));
        let kept = state.backlog.push(notification.into());
        let reader = state.reader.take();
        if is_last {
            state.stage = Stage::Ended(None);
            self.by_xid.remove(&xid);
        } else if kept == Err(Torn) {
            // A watch that begins anew is told of the whole record.
            state.stage = Stage::Unarmed;
            self.by_xid.remove(&xid);
            machine.abort(xid, now);
            self.waiting.push_back(id);
        } else {
            machine.consumed(xid, weight, now);
        }
        reader
    }

    /// The transaction of a watch has ended without the record's end. One that had begun `goes_on` perhaps, on the
    /// next connection. Who is to be woken.
    pub(super) fn lost(&mut self, xid: Xid, error: Error, goes_on: bool) -> Option<Waker> {
        let id = self.by_xid.remove(&xid)?;
        let state = self.all.get_mut(&id)?;
        let goes_on = goes_on && state.version.is_some();
        let next = if goes_on { Stage::Unarmed } else { Stage::Ended(Some(error)) };
        let before = std::mem::replace(&mut state.stage, next);
        if goes_on && !self.no_more && !state.interrupted {
            state.interrupted = true;
            // As above.
            drop(state.backlog.push(Change::Interrupted));
        }
        let reader = state.reader.take();
        self.leave(&before);
        reader
    }

    /// There will be no more connections: what ends now is no interruption.
    pub(super) fn expect_the_end(&mut self) {
        self.no_more = true;
    }

    /// There will be no more connections. Who is to be woken.
    pub(super) fn end_all(&mut self, error: impl Fn() -> Error) -> Vec<Waker> {
        self.by_xid.clear();
        self.waiting.clear();
        self.asked = 0;
        let mut readers = Vec::new();
        for state in self.all.values_mut().filter(|state| !matches!(state.stage, Stage::Ended(_))) {
            state.stage = Stage::Ended(Some(error()));
            readers.extend(state.reader.take());
        }
        readers
    }

    /// There is a new connection: all watches are to be armed again.
    pub(super) fn arm_all(&mut self) {
        self.waiting.clear();
        let unarmed = self.all.iter().filter(|(_, state)| matches!(state.stage, Stage::Unarmed));
        self.waiting.extend(unarmed.map(|(id, _)| *id));
        self.waiting.make_contiguous().sort_unstable_by_key(|id| id.0);
    }

    /// Arms those that wait for it, as many as may be at once.
    pub(super) fn arm(&mut self, machine: &mut Machine, now: Instant) {
        while self.asked < ARMED_AT_ONCE
            && let Some(id) = self.waiting.front()
        {
            if let Some(state) = self.all.get_mut(id) {
                let Ok(xid) = machine.request_with(state.request.clone(), state.options, now) else { return };
                state.stage = Stage::Asked(xid);
                self.by_xid.insert(xid, *id);
                self.asked += 1;
            }
            self.waiting.pop_front();
        }
    }

    /// A watch leaves a stage; its transaction there.
    fn leave(&mut self, stage: &Stage) -> Option<Xid> {
        match stage {
            Stage::Asked(xid) => {
                self.asked -= 1;
                Some(*xid)
            }
            Stage::Armed(xid) => Some(*xid),
            Stage::Unarmed | Stage::Ended(_) => None,
        }
    }
}

impl State {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker())) {
            self.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
