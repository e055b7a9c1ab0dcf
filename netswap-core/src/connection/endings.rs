//! How a connection comes to its end, stage by stage (docs/PROTOCOL.md §5).

use alloc::vec::Vec;

use hashbrown::HashMap;

use super::Connection;
use super::incoming::State;
use crate::engine::{Engine, Incident};
use crate::error::Violation;
use crate::memory::Data;
use crate::queue::Queue;
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::Reply;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Requests are read and answered.
    Open,
    /// The client, or the server, ends the connection as soon as what was read before is handled.
    Ending(Ending),
    /// No more requests are read; what is queued is sent. Then, where the client may still be sending, it is drained.
    Flushing { linger: bool },
    /// Everything is sent, and what the client still sends is thrown away.
    Lingering { until: Instant },
    /// There is nothing more to do.
    Closed,
}

/// Who ends a connection in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Eof,
    Shutdown,
}

impl Connection {
    /// The connection is too slow (docs/PROTOCOL.md §5.4).
    pub(super) fn give_up(&mut self, incident: Incident, now: Instant, engine: &mut impl Engine) {
        engine.note(incident);
        self.depart(now, engine);
        self.drop_occupation();
        self.drop_unfinished();
        self.output.cancel_all();
        self.stage = Stage::Closed;
    }

    /// From now on it counts as closed for its owner's records (docs/PROTOCOL.md §6.3).
    pub(super) fn depart(&mut self, now: Instant, engine: &mut impl Engine) {
        if !core::mem::replace(&mut self.departed, true) {
            engine.depart(self.peer, now);
        }
    }

    /// The client broke the protocol (docs/PROTOCOL.md §5.1).
    pub(super) fn violated(
        &mut self,
        xid: Xid,
        violation: Violation,
        now: Instant,
        engine: &mut impl Engine,
    ) {
        engine.note(Incident::Violated(violation));
        self.depart(now, engine);
        self.drop_unfinished();
        self.executing.clear();
        self.last_word = Some((xid, violation));
        self.stage = Stage::Flushing { linger: self.stage != Stage::Ending(Ending::Eof) };
    }

    pub(super) fn drop_unfinished(&mut self) {
        let nothing = HashMap::with_hasher(self.incoming.hasher().clone());
        let incoming = core::mem::replace(&mut self.incoming, nothing);
        for mut message in incoming.into_values().chain(self.current.take()) {
            message.discard(self.output.garbage());
        }
        self.discarding = 0;
        self.unfinished = 0;
        self.standing = HashMap::with_hasher(self.standing.hasher().clone());
        self.newsworthy = Queue::default();
        self.backlog = None;
        self.clocks.packet_ended();
    }

    /// Goes on to the next stage where this one has come to its end, and sets the clocks.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Stage::Ending(ending) = self.stage
            && self.backlog.is_none()
            && !self.is_occupied()
        {
            self.end(ending);
        }
        if let Stage::Flushing { linger } = self.stage
            && self.executing.is_empty()
        {
            if self.output.is_empty()
                && let Some((xid, violation)) = self.last_word.take()
            {
                self.output.push(xid, Reply::<Data>::Malformed(violation).encode());
            }
            if self.output.is_empty() {
                self.stage = if linger {
                    Stage::Lingering { until: now + self.config.times.linger }
                } else {
                    Stage::Closed
                };
            }
        }
        self.hold_places();
        let reading = self.wants_read();
        self.clocks.mark_reading(reading, now);
        self.clocks.mark_output(&self.output, self.config.times.slow_bytes, now);
    }

    fn end(&mut self, ending: Ending) {
        let mut unanswered: Vec<Xid> = self.standing.keys().copied().collect();
        if ending == Ending::Shutdown {
            let unfinished =
                self.incoming.values().chain(&self.current).filter(|it| it.state != State::Refused);
            unanswered.extend(unfinished.map(|it| it.header.xid));
        }
        unanswered.sort_unstable();
        unanswered.into_iter().for_each(|xid| self.abort(xid));
        self.drop_unfinished();
        self.stage = Stage::Flushing { linger: ending == Ending::Shutdown };
    }
}
