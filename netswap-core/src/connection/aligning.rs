//! An APPEND of much data whose record has grown since it began: its chunks are cut anew, in portions.
//!
//! Data that arrive are cut into chunks where the record's would be, so that they take their places in it at once. An APPEND
//! learns only at its end where that is. What was cut for another place is copied here, away from the store's lock.

use alloc::boxed::Box;

use super::incoming::Incoming;
use super::{Connection, Occupation};
use crate::engine::Engine;
use crate::memory::{Garbage, Realigning};
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::Request;

/// Chunks that are copied in one call.
const PORTION: usize = 16;

/// How often it is cut anew while others append. After that the store copies it in one go.
const TRIES: u32 = 8;

/// A complete APPEND that is not carried out yet. No other request of its connection is carried out meanwhile.
#[derive(Debug)]
pub(super) struct Aligning {
    xid: Xid,
    message: Incoming,
    request: Request<u32>,
    rest: Realigning,
    tries: u32,
}

impl Connection {
    /// Carries out a request of several packets that is complete.
    pub(super) fn execute_gathered(
        &mut self,
        xid: Xid,
        message: Incoming,
        request: Request<u32>,
        now: Instant,
        engine: &mut impl Engine,
    ) {
        self.align(xid, message, request, 0, now, engine);
    }

    fn align(
        &mut self,
        xid: Xid,
        mut message: Incoming,
        request: Request<u32>,
        tries: u32,
        now: Instant,
        engine: &mut impl Engine,
    ) {
        if let Request::Append { .. } = request
            && tries < TRIES
            && message.is_in_chunks()
            // Where it is refused, carrying it out says why.
            && let Ok(start) = engine.judge(self.peer, &request, now)
            && let Some(rest) = message.realign(start)
        {
            let tries = tries + 1;
            let aligning = Aligning { xid, message, request, rest, tries };
            self.occupation = Some(Box::new(Occupation::Aligning(aligning)));
            self.turn = 0;
            return;
        }
        self.execute(xid, message.complete(request), now, engine);
    }

    /// Cuts the next portion anew, and carries the request out after the last.
    pub(super) fn continue_aligning(
        &mut self,
        mut aligning: Aligning,
        now: Instant,
        engine: &mut impl Engine,
    ) {
        let Aligning { message, rest, .. } = &mut aligning;
        if message.realign_some(rest, PORTION, self.output.garbage()) {
            self.occupation = Some(Box::new(Occupation::Aligning(aligning)));
        } else {
            let Aligning { xid, message, request, tries, .. } = aligning;
            self.align(xid, message, request, tries, now, engine);
        }
        self.drop_garbage(engine);
    }
}

impl Aligning {
    /// The request is given up.
    pub(super) fn discard(mut self, garbage: &mut Garbage) {
        self.rest.discard(garbage);
        self.message.discard(garbage);
    }
}
