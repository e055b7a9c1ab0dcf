//! What the server has to count: every request under its operation, every refusal under its code and limit (docs/PROTOCOL.md
//! §4.1).

use std::collections::BTreeMap;

use netswap_core::error::{Quota, Violation};
use netswap_core::store::Counters;
use netswap_core::wire::{Code, Opcode};

use crate::terms::Event;

#[derive(Default)]
pub(crate) struct Counts {
    /// Requests by opcode; unknown ones all under 21.
    requests: BTreeMap<u8, u64>,
    /// Refusals by code, and by detail.
    refusals: BTreeMap<(u8, u8), u64>,
    pub(crate) connections: u64,
    pub(crate) created: u64,
    pub(crate) deleted: u64,
    pub(crate) expired: u64,
    pub(crate) slow_requests: u64,
    pub(crate) slow_readers: u64,
}

impl Counts {
    pub(crate) fn request(&mut self, op: u8) {
        *self.requests.entry(op.min(21)).or_default() += 1;
    }

    pub(crate) fn event(&mut self, event: &Event) {
        if let Event::Reply(_, message) | Event::Violated(_, message) = event
            && matches!(message.code, 1 | 2 | 4..=9)
        {
            *self.refusals.entry((message.code, message.access)).or_default() += 1;
        }
    }

    fn refusals(&self, code: u8) -> u64 {
        self.refusals.iter().filter(|((it, _), _)| *it == code).map(|(_, count)| count).sum()
    }

    fn refusal(&self, code: u8, detail: u8) -> u64 {
        self.refusals.get(&(code, detail)).copied().unwrap_or_default()
    }

    pub(crate) fn check(&self, counters: &Counters) {
        for opcode in Opcode::ALL {
            let expected = self.requests.get(&(opcode as u8)).copied().unwrap_or_default();
            assert_eq!(counters.requests(opcode), expected, "{opcode:?}");
        }
        assert_eq!(counters.unknown_requests(), self.requests.get(&21).copied().unwrap_or_default());
        for code in Code::ALL {
            assert_eq!(counters.refusals(code), self.refusals(code as u8), "{code:?}");
        }
        for quota in Quota::ALL {
            assert_eq!(counters.quota(quota), self.refusal(8, quota as u8), "{quota:?}");
        }
        for violation in Violation::ALL {
            assert_eq!(counters.violations(violation), self.refusal(4, violation as u8), "{violation:?}");
        }
        let refused = self.refusal(8, 7) + self.refusal(8, 8);
        assert_eq!((counters.connections, counters.connections_refused), (self.connections, refused));
        let records = (counters.records_created, counters.records_deleted, counters.records_expired);
        assert_eq!(records, (self.created, self.deleted, self.expired));
        assert_eq!((counters.slow_requests, counters.slow_readers), (self.slow_requests, self.slow_readers));
    }
}
