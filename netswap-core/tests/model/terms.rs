//! What the naive store speaks of: rules, records, callers, watches and events, and the operands of requests.

use crate::support::wire::{Message, op};

/// Nanoseconds since the start.
pub(crate) type Time = u64;

pub(crate) const SECOND: Time = 1_000_000_000;

/// Bytes that a record counts beyond its data (§7.2).
pub(crate) const OVERHEAD: u64 = 128;

/// The limits and times of §7.1.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) record: u64,
    pub(crate) total: u64,
    pub(crate) owner_bytes: Option<u64>,
    pub(crate) owner_records: Option<u64>,
    pub(crate) unfinished_requests: usize,
    pub(crate) connection_unfinished: u64,
    pub(crate) unfinished: u64,
    pub(crate) watches: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: Option<usize>,
    pub(crate) grace: Time,
    pub(crate) longest: Time,
    pub(crate) slow: Time,
}

pub(crate) struct Record {
    pub(crate) owner: u64,
    pub(crate) access: u8,
    /// Its data in every version; in version 0 it is reserved.
    pub(crate) states: Vec<Vec<u8>>,
    pub(crate) grace: Time,
    pub(crate) ttl: Option<Time>,
    pub(crate) heir: u64,
    pub(crate) deadline: Option<Time>,
    /// Whether SET_LIFETIME gave it a grace.
    pub(crate) has_grace: bool,
    /// The deadline that it got because it came to an owner that was gone, until that has passed or it changes hands.
    pub(crate) own_deadline: Option<Time>,
    /// Whether its owner has been gone since it got it.
    pub(crate) was_left: bool,
    /// Whether it has grown, so that it may have holes (§7.2).
    pub(crate) extended: bool,
}

impl Record {
    pub(crate) fn data(&self) -> &[u8] {
        self.states.last().unwrap()
    }

    pub(crate) fn version(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    pub(crate) fn cost(&self) -> u64 {
        self.data().len() as u64 + OVERHEAD
    }
}

/// Who asks: the connection, its owner hash, the transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) at: usize,
    pub(crate) who: u64,
    pub(crate) xid: u32,
}

/// A watch or a waiting read.
pub(crate) struct Standing {
    pub(crate) pointer: u64,
    pub(crate) who: u64,
    pub(crate) what: What,
}

pub(crate) enum What {
    Watch(Truth),
    Read { op: u8, payload: Vec<u8> },
}

/// What a watch must have been told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) version: u64,
    pub(crate) owner: u64,
    pub(crate) access: u8,
    /// Who asked for the record last, of an owner that it still has.
    pub(crate) asked: Option<u64>,
    /// How often owner and rights have changed: it may be told less often.
    pub(crate) changes: (u32, u32),
}

/// What somebody gets.
#[derive(Debug)]
pub(crate) enum Event {
    Reply(usize, Message),
    /// A watch begins, with this OK.
    Watching {
        at: usize,
        ok: Message,
        pointer: u64,
        who: u64,
        push: bool,
        truth: Truth,
    },
    /// A watch ends with this kind of notification.
    Ended(usize, u32, u8, Truth),
    /// A transaction is abandoned: an ABORT comes for sure, or in the place of what was not yet sent.
    Aborted(usize, u32, bool),
    /// A violation: this is the last word.
    Violated(usize, Message),
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Bytes of operands, and whether data may follow (§3.1).
pub(crate) fn shape(op: u8) -> (usize, bool) {
    match op {
        op::CREATE | op::PING => (0, true),
        op::IDENTIFY | op::LIST | op::RESERVE => (0, false),
        op::REPLACE | op::APPEND => (8, true),
        op::WRITE_RANGE => (12, true),
        op::COMPARE => (16, true),
        op::TRANSFER | op::READ_RANGE | op::IF_CHANGED => (16, false),
        op::ADD => (20, false),
        op::SET_LIFETIME => (24, false),
        _ => (8, false),
    }
}
