//! What is wrong when something is.

use std::fmt;

use crate::judge::ConnectionNumber;

/// What must always be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// What is answered is what the one order of all requests gives (docs/PROTOCOL.md §3.3).
    OneOrder,
    /// Every transaction has exactly one terminal (§2.4).
    OneTerminal,
    /// What a watch is told is true, in order, and ends with the newest (§4.3).
    Watches,
    /// What is counted is what is held, and memory stays within its bound (§7.2).
    Accounting,
    /// What is beyond a limit, and only that, is refused (§7.1).
    Limits,
    /// A broken protocol is answered as it must be (§5.1).
    Violations,
    /// What comes is made of proper packets (§2.2).
    Packets,
    /// In the end nothing is left unfinished (§5).
    Liveness,
    /// A client's machine and its server understand each other (§8.1).
    Client,
    /// The same seed makes the same happen.
    Determinism,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::OneOrder => "one order",
            Self::OneTerminal => "one terminal",
            Self::Watches => "watches tell the truth",
            Self::Accounting => "accounting",
            Self::Limits => "limits",
            Self::Violations => "violations",
            Self::Packets => "packets",
            Self::Liveness => "liveness",
            Self::Client => "client",
            Self::Determinism => "determinism",
        })
    }
}

/// Something that must always be so is not.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{invariant}: {}{what}", connection.map_or_else(String::new, |it| format!("connection {it}: ")))]
pub struct Failure {
    /// What should be so.
    pub invariant: Invariant,
    /// Where it is not.
    pub connection: Option<ConnectionNumber>,
    /// What is instead.
    pub what: String,
    /// The message that should have come next on the connection, where that is known.
    pub expected: Option<Vec<u8>>,
    /// How many of the bytes that came last, from the beginning of a packet on, were right.
    pub good: usize,
}

impl Failure {
    /// On a connection.
    pub fn of(invariant: Invariant, connection: ConnectionNumber, what: impl Into<String>) -> Self {
        Self { invariant, connection: Some(connection), what: what.into(), expected: None, good: 0 }
    }

    /// In the server as a whole.
    pub fn everywhere(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, connection: None, what: what.into(), expected: None, good: 0 }
    }
}
