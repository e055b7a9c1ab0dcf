//! Server cases: what their files say.

mod config;
mod parse;
mod rules;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::directory::{self, Entry};
use crate::pattern::{Names, Pattern};
use crate::text::Scale;
use crate::wire;

pub use config::{KEYS, Setting, configure};
pub use parse::parse;

/// What the first line of a file of server cases says.
pub const SORT: &str = "netswap-server-cases 1";

/// A case: what happens on some connections, and how each of them ends.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file.
    pub file: String,
    /// The line at which it begins.
    pub line: usize,
    /// The section of docs/PROTOCOL.md with a number.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// What the server is started with.
    pub config: Vec<Setting>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A step and the line at which it begins.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line.
    pub line: usize,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A connection is opened from this address.
    Open(Name, IpAddr),
    /// Bytes are sent.
    Send(Name, Pattern),
    /// Exactly these bytes are received.
    Receive(Name, Pattern),
    /// These packets are received in any order, those of one XID in theirs.
    ReceiveAnyOrder(Name, Pattern),
    /// Nothing has arrived, and a PING is answered.
    Silent(Name),
    /// The client sends no more.
    HalfClose(Name),
    /// The client cuts the connection. Its last step.
    Reset(Name),
    /// The client takes nothing from its socket.
    StopReading(Name),
    /// The client takes what there is again.
    Read(Name),
    /// Time passes.
    Pass(Duration),
    /// The server has ended the connection in order, and nothing has arrived before. Its last step.
    Closed(Name),
    /// The server has ended the connection, whatever has arrived before. Its last step.
    Dropped(Name),
    /// As [`Silent`](Self::Silent). Its last step.
    StayOpen(Name),
    /// The server is told to shut down.
    Stop,
}

/// The name of a connection: a capital letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub char);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Action {
    /// The connection that the step is about.
    #[must_use]
    pub fn who(&self) -> Option<Name> {
        match self {
            Self::Open(who, _)
            | Self::Send(who, _)
            | Self::Receive(who, _)
            | Self::ReceiveAnyOrder(who, _)
            | Self::Silent(who)
            | Self::HalfClose(who)
            | Self::Reset(who)
            | Self::StopReading(who)
            | Self::Read(who)
            | Self::Closed(who)
            | Self::Dropped(who)
            | Self::StayOpen(who) => Some(*who),
            Self::Pass(_) | Self::Stop => None,
        }
    }
}

impl Case {
    /// The time that passes in it.
    #[must_use]
    pub fn time(&self) -> Duration {
        let times = self.steps.iter().map(|step| match step.action {
            Action::Pass(time) => time,
            _ => Duration::ZERO,
        });
        times.sum()
    }

    /// Whether a packet with this opcode is sent in it.
    #[must_use]
    pub fn sends(&self, opcode: u8) -> bool {
        self.streams(true)
            .iter()
            .flat_map(|stream| wire::packets(stream))
            .any(|packet| packet.header.is_some_and(|header| header.opcode == opcode))
    }

    /// What is sent on each connection, or received, as far as it is known beforehand.
    #[must_use]
    pub fn streams(&self, sent: bool) -> Vec<Vec<Option<u8>>> {
        let mut streams: BTreeMap<Name, Vec<Option<u8>>> = BTreeMap::new();
        for step in &self.steps {
            let (who, pattern) = match &step.action {
                Action::Send(who, pattern) if sent => (*who, pattern),
                Action::Receive(who, pattern) | Action::ReceiveAnyOrder(who, pattern) if !sent => {
                    (*who, pattern)
                }
                _ => continue,
            };
            streams.entry(who).or_default().extend(pattern.bytes(&Names::new(), Scale::TRUE));
        }
        streams.into_values().collect()
    }

    /// The addresses of its connections.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.steps.iter().filter_map(|step| match step.action {
            Action::Open(_, address) => Some(address),
            _ => None,
        })
    }
}

/// Reads all files of server cases in a directory, in the order of the sections.
///
/// # Errors
///
/// A file cannot be read or has an error, an ID comes twice, or there is no file.
pub fn read(directory: &Path) -> anyhow::Result<Vec<Case>> {
    directory::read(directory, parse)
}

impl Entry for Case {
    fn file(&self) -> &str {
        &self.file
    }

    fn line(&self) -> usize {
        self.line
    }

    fn id(&self) -> &str {
        &self.id
    }
}
