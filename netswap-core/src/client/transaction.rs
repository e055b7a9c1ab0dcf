//! One transaction from its request to its terminal (docs/PROTOCOL.md §2.4), and all that are open.

use core::time::Duration;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::client::event::Outcome;
use crate::client::incoming::Incoming;
use crate::client::watching::Watching;
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::{BadReply, Code, Header, Lengths, Opcode};

/// A transaction whose terminal has not arrived.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) opcode: Opcode,
    /// Bytes of the request's payload.
    pub(super) payload: u32,
    /// Bytes of the request's data.
    pub(super) data: u32,
    /// Bytes of the request's payload that are not in the output's window.
    pub(super) unsent: u32,
    pub(super) sending: Sending,
    /// Whether an ABORT follows in the output: what waits there under this id is not the request any more.
    pub(super) told: bool,
    /// Bytes of an upload's data that the caller has not given yet.
    pub(super) ungiven: u32,
    /// Whether the caller has given enough for now and waits to hear that more is wanted.
    pub(super) full: bool,
    /// What a PING carries, to be compared with its echo.
    pub(super) ping: Option<Bytes>,
    /// How many bytes a READ_RANGE asked for.
    pub(super) range: Option<u32>,
    /// Whether a RESOLVE_IF_CHANGED says that its caller has nothing: there is nothing that can be unchanged.
    pub(super) has_nothing: bool,
    /// What is known of a watch, where this is one.
    pub(super) watching: Option<Watching>,
    /// The reply, or a watch's notification, while it arrives.
    pub(super) reply: Option<Incoming>,
    /// Whether data are handed out in pieces.
    pub(super) pieces: bool,
    /// Bytes in pieces, and weight of notifications, that the caller has not consumed.
    pub(super) held: usize,
    /// Whether the caller has heard its last of it: only the terminal is awaited, so that the id is free again.
    pub(super) abandoned: bool,
    pub(super) idle_timeout: Duration,
    /// In the place of `idle_timeout` until the answer begins.
    pub(super) wait: Option<Duration>,
    /// When a packet of it moved last.
    pub(super) moved: Instant,
}

/// How far a request has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Its last packet has not been taken from the output.
    Going,
    /// It has been taken whole.
    Gone,
    /// The rest was dropped: it will never be whole.
    Cut,
}

impl Transaction {
    /// A transaction whose request is about to leave; `None` when no message can carry so many bytes of data.
    pub(super) fn new(opcode: Opcode, data: u32, idle_timeout: Duration, now: Instant) -> Option<Self> {
        let payload = data.checked_add(opcode.operand_len() as u32)?;
        Some(Self {
            opcode,
            payload,
            data,
            unsent: payload,
            sending: Sending::Going,
            told: false,
            ungiven: 0,
            full: false,
            ping: None,
            watching: None,
            range: None,
            has_nothing: false,
            reply: None,
            pieces: false,
            held: 0,
            abandoned: false,
            idle_timeout,
            wait: None,
            moved: now,
        })
    }

    /// The lengths that the message may have which begins with this header.
    pub(super) fn lengths(&self, header: &Header) -> Result<Lengths, BadReply> {
        match &self.watching {
            Some(watching) if watching.has_begun() => watching.lengths(header),
            _ => Lengths::of(self.opcode, header.opcode, header.access, self.payload),
        }
    }

    /// Whether it is a watch that stands: the server owes it nothing.
    pub(super) fn stands(&self) -> bool {
        self.watching.as_ref().is_some_and(Watching::has_begun)
    }

    /// How long it may go without a packet; `None` for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        match self.wait {
            _ if self.reply.is_some() => Some(self.idle_timeout),
            _ if self.stands() => None,
            Some(wait) if self.sending == Sending::Gone => Some(wait),
            _ => Some(self.idle_timeout),
        }
    }

    /// Whether a reply may be the answer which begins with this header: nobody is sent more of a range than was asked
    /// for, nor told that nothing has changed who has nothing.
    pub(super) fn wants(&self, lengths: Lengths, header: &Header) -> bool {
        let unchanged = header.opcode == Code::NotModified as u8;
        self.range.is_none_or(|range| lengths.data(header.remaining) <= range)
            && !(unchanged && self.has_nothing)
    }

    /// What can be said of its effect, when the request leaves `whole` or not at all.
    pub(super) fn outcome(&self, whole: bool) -> Outcome {
        if whole && !self.opcode.only_reads() { Outcome::Unknown } else { Outcome::NotDone }
    }

    /// The caller wants no more of it. Gives back how much the caller held.
    pub(super) fn abandon(&mut self, now: Instant) -> usize {
        self.abandoned = true;
        self.moved = now;
        self.ping = None;
        if let Some(reply) = &mut self.reply {
            reply.forget();
        }
        core::mem::take(&mut self.held)
    }
}

/// The open transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    open: HashMap<Xid, Transaction, FixedState>,
    next: Xid,
}

impl Transactions {
    pub(super) fn new(first: Xid) -> Self {
        Self { open: HashMap::default(), next: first }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Opens a transaction under the next id that is free.
    pub(super) fn open(&mut self, transaction: Transaction) -> Xid {
        while self.open.contains_key(&self.next) {
            self.next = self.next.next();
        }
        let xid = self.next;
        self.next = xid.next();
        self.open.insert(xid, transaction);
        xid
    }

    pub(super) fn get(&self, xid: Xid) -> Option<&Transaction> {
        self.open.get(&xid)
    }

    pub(super) fn get_mut(&mut self, xid: Xid) -> Option<&mut Transaction> {
        self.open.get_mut(&xid)
    }

    pub(super) fn close(&mut self, xid: Xid) -> Option<Transaction> {
        self.open.remove(&xid)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Xid, &Transaction)> {
        self.open.iter().map(|(xid, transaction)| (*xid, transaction))
    }

    pub(super) fn clear(&mut self) {
        self.open = HashMap::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_open_are_passed_when_the_count_comes_round() {
        let transaction = || Transaction::new(Opcode::Identify, 0, Duration::ZERO, Instant::ZERO).unwrap();
        let mut open = Transactions::new(Xid(u32::MAX));
        let xids: [Xid; 4] = core::array::from_fn(|_| open.open(transaction()));
        assert_eq!(xids, [Xid(u32::MAX), Xid(0), Xid(1), Xid(2)]);
        open.close(Xid(1));
        open.next = Xid(u32::MAX);
        let xids: [Xid; 2] = core::array::from_fn(|_| open.open(transaction()));
        assert_eq!(xids, [Xid(1), Xid(3)]);
    }
}
