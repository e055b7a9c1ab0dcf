//! Plays server cases.

pub mod cut;
pub mod expect;
pub mod memory;
pub mod play;
pub mod targets;
pub mod tcp;

use std::fmt;

use crate::cases::Name;
use crate::pattern::{Line, Names};

pub use cut::{Cuts, Mode};

/// The PING by which a connection is found silent and open, and its answer.
pub const PING: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 8, 0];

/// See [`PING`].
pub const PONG: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0];

/// Why a case has failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Failure {
    /// The line of the step that failed.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
    /// The names that had been bound.
    pub names: Names,
}

/// What is wrong.
#[derive(Clone, Debug)]
pub enum Problem {
    /// What was received is not what was expected.
    Differs(Box<Difference>),
    /// A connection has not ended as it should, or has ended.
    Ending {
        /// The connection.
        who: Name,
        /// What should have happened.
        expected: &'static str,
        /// What has happened.
        found: String,
    },
    /// The case could not be played on, which may be the suite's fault or the server's.
    Broken(String),
}

/// Bytes that are not the expected ones.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The connection.
    pub who: Name,
    /// What was expected, as far as it is known.
    pub expected: Vec<Option<u8>>,
    /// What was received.
    pub received: Vec<u8>,
    /// The first byte that differs, or is missing, or is one too many.
    pub at: usize,
    /// The line of the file in which that byte is expected.
    pub line: Option<Line>,
    /// What else is to be said, such as that nothing more has come.
    pub note: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs(difference) => {
                let Difference { who, at, expected, received, .. } = &**difference;
                let (expected, received) = (expected.len(), received.len());
                write!(f, "{who} received other bytes: byte {at} of {expected} expected, {received} received")
            }
            Self::Ending { who, expected, found } => write!(f, "{who} {expected}, but {found}"),
            Self::Broken(problem) => problem.fmt(f),
        }
    }
}
