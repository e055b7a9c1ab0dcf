//! What happened, in numbers.

use crate::engine::Incident;
use crate::error::{Quota, Refusal, Violation};
use crate::wire::{Code, Opcode};

/// How often what happened since the store began. Every reply code and every limit has its counter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were served.
    pub connections: u64,
    /// Connections that were over a limit.
    pub connections_refused: u64,
    /// Records that were created.
    pub records_created: u64,
    /// Records that were deleted by their owners.
    pub records_deleted: u64,
    /// Records that ended with their grace or their time to live.
    pub records_expired: u64,
    /// Connections closed because a request or a packet made no progress (docs/PROTOCOL.md §5.4).
    pub slow_requests: u64,
    /// Connections closed because replies were taken too slowly (docs/PROTOCOL.md §5.4).
    pub slow_readers: u64,
    requests: [u64; Opcode::ALL.len()],
    unknown_requests: u64,
    refusals: [u64; Code::ALL.len()],
    quotas: [u64; Quota::ALL.len()],
    violations: [u64; Violation::ALL.len()],
}

impl Counters {
    /// Requests of an operation, refused ones included.
    #[must_use]
    pub fn requests(&self, opcode: Opcode) -> u64 {
        self.requests[opcode as usize]
    }

    /// Requests of operations that the server does not know.
    #[must_use]
    pub fn unknown_requests(&self) -> u64 {
        self.unknown_requests
    }

    /// Refusals with a code; for MALFORMED_PACKET the violations.
    #[must_use]
    pub fn refusals(&self, code: Code) -> u64 {
        self.refusals[code as usize]
    }

    /// Refusals because of one limit.
    #[must_use]
    pub fn quota(&self, quota: Quota) -> u64 {
        self.quotas[quota as usize - 1]
    }

    /// Violations of one kind.
    #[must_use]
    pub fn violations(&self, violation: Violation) -> u64 {
        self.violations[violation as usize - 1]
    }

    pub(super) fn requested(&mut self, opcode: Opcode) {
        self.requests[opcode as usize] += 1;
    }

    pub(super) fn refused(&mut self, opcode: Option<Opcode>, refusal: &Refusal) {
        match opcode {
            Some(opcode) => self.requested(opcode),
            None if *refusal == Refusal::UnsupportedOp => self.unknown_requests += 1,
            None => {}
        }
        self.refusals[refusal.code() as usize] += 1;
        if let Refusal::QuotaExceeded { quota, .. } = refusal {
            self.quotas[*quota as usize - 1] += 1;
        }
    }

    pub(super) fn note(&mut self, incident: Incident) {
        match incident {
            Incident::Refused(opcode, refusal) => self.refused(opcode, &refusal),
            Incident::Violated(violation) => {
                self.refusals[Code::MalformedPacket as usize] += 1;
                self.violations[violation as usize - 1] += 1;
            }
            Incident::SlowRequest => self.slow_requests += 1,
            Incident::SlowReader => self.slow_readers += 1,
        }
    }
}

/// What happened so far, and how things stand now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// What happened.
    pub counters: Counters,
    /// Records.
    pub records: u64,
    /// Owners that have records or are connected.
    pub owners: u64,
    /// Open connections.
    pub connections: u64,
    /// Bytes that count against the total (docs/PROTOCOL.md §7).
    pub bytes: u64,
    /// Those of them that belong to unfinished requests.
    pub unfinished_bytes: u64,
    /// Places of connections in tables and queues (docs/PROTOCOL.md §7.2).
    pub places: u64,
}
