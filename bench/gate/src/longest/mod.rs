//! The longest that one request of each kind can have others wait: the longest call into the store, for which it is locked,
//! and the longest turn of a connection.
//!
//! Every client sends as much at a time as an adapter reads, so that a turn has as many requests as it may. What is
//! done of it must not grow with what there is: each case takes how many records, watches or chunks there are.

mod cases;
mod server;

use std::hint::black_box;

use anyhow::{Result, ensure};

pub(crate) use cases::ALL;
use netswap_core::wire::Opcode;
use server::Server;

/// One kind of request at its worst.
pub(crate) struct Case {
    /// Its name in the file of bounds.
    pub(crate) name: &'static str,
    /// What is sent.
    opcode: Opcode,
    /// How many records, watches or chunks there are.
    pub(crate) size: u64,
    /// Prepares it.
    prepare: fn(&mut Server, u32) -> Result<Attack>,
}

/// What is counted of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Its longest call into the store.
    Call,
    /// Its longest turn of a connection, with all calls in it.
    Turn,
}

impl What {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Call, Self::Turn];

    /// How bounds are named.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Turn => "turn",
        }
    }

    /// The function whose calls are counted, one by one.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Call => "one_store_call",
            Self::Turn => "one_connection_turn",
        }
    }
}

/// Bytes that a client sends, and what becomes of them.
struct Attack {
    client: usize,
    bytes: Vec<u8>,
    /// Whether it reads what it is answered.
    reads: bool,
    /// Requests that are carried out or refused because of it.
    requests: u64,
}

/// A call into the store. Callgrind counts from its beginning to its end.
#[inline(never)]
fn one_store_call<R>(call: impl FnOnce() -> R) -> R {
    black_box(call())
}

/// A turn of a connection. Callgrind counts from its beginning to its end.
#[inline(never)]
fn one_connection_turn<R>(turn: impl FnOnce() -> R) -> R {
    black_box(turn())
}

/// Plays a case with so much of what it is about.
pub(crate) fn play(case: &Case, size: u64) -> Result<()> {
    let mut server = Server::new()?;
    let Attack { client, bytes, reads, requests } = (case.prepare)(&mut server, u32::try_from(size)?)?;
    let before = server.requests(case.opcode);
    server.count = true;
    server.send(client, &bytes, reads);
    let done = server.requests(case.opcode) - before;
    ensure!(done == requests, "{done} requests, not {requests}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_played() {
        for case in ALL {
            play(&case, case.size.min(600)).unwrap_or_else(|error| panic!("{}: {error:#}", case.name));
        }
    }

    #[test]
    fn every_request_has_a_case() {
        for opcode in Opcode::ALL {
            assert!(ALL.iter().any(|case| case.opcode == opcode), "{opcode:?}");
        }
    }
}
