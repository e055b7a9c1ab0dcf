//! Client cases: what their files say.

use std::path::Path;
use std::time::Duration;

use super::line::Line;
use super::reader::parse;
use crate::directory::{self, Entry};
use crate::pattern::Pattern;

/// What the first line of a file of client cases says.
pub const SORT: &str = "netswap-client-cases 1";

/// The number of the call that connects.
pub(super) const CONNECT: u32 = 0;

/// A case: the calls that are made, what the server gets and sends, and how the calls end.
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
    /// Who plays the server.
    pub server: Server,
    /// What the client is told when it connects.
    pub options: Vec<(String, Setting)>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// Who plays the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The suite, by the script. What a client says to greet the server is answered without the script, or `greeting`
    /// is part of it.
    Scripted {
        /// Whether the script answers the greeting too.
        greeting: bool,
    },
    /// A real server.
    Real,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A time, which is divided like all times.
    Time(Duration),
    /// Anything else.
    Text(String),
}

/// A step and where it stands.
#[derive(Clone, Debug)]
pub struct Step {
    /// The line at which it begins.
    pub line: usize,
    /// That line.
    pub text: String,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The client is told to connect, and does.
    Connect,
    /// The driver makes a call.
    Call(Line),
    /// The caller gives a call up.
    Cancel(u32),
    /// A call returns, fails, tells of something or ends, with exactly these values.
    Answer(Line),
    /// A call has not ended, and a watch tells nothing.
    Waits(u32),
    /// A watch comes to this version, whatever it tells before.
    Reaches {
        /// The watch.
        number: u32,
        /// The version.
        version: u64,
        /// What the record is then, where the watch has its data.
        data: Option<Vec<u8>>,
        /// How many changes it may tell until then.
        within: usize,
    },
    /// The server receives exactly these bytes next.
    Receive(Pattern),
    /// The server receives these packets next, in any order but for those of one XID.
    ReceiveAnyOrder(Vec<Pattern>),
    /// The server receives a whole message next.
    ReceiveMessage(Message),
    /// The server sends bytes.
    Send(Pattern),
    /// The server sends a whole message.
    SendMessage(Message),
    /// The server receives continuations of an unfinished message until another packet comes, or up to its last.
    Continue {
        /// The name of its XID.
        name: String,
        /// The byte that its payload consists of.
        byte: u8,
        /// Whether up to its last.
        to_the_end: bool,
    },
    /// The server waits for the next connection.
    Accept,
    /// The server ends the connection; what still arrives it throws away.
    Close,
    /// The server sends no more, but goes on receiving.
    HalfClose,
    /// The server cuts the connection.
    Reset,
    /// Nobody listens at the server's address any more.
    Refuse,
    /// Somebody listens again.
    Listen,
    /// The client has ended the connection, and nothing has arrived before.
    Closed,
    /// The client has ended the connection, whatever has arrived before.
    Dropped,
    /// Nothing has arrived.
    Silent,
    /// Time passes.
    Pass(Duration),
    /// The driver program's memory has grown by so many bytes at most since the client connected.
    Grows(u64),
}

/// A message, in as many packets as it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// XID, OPCODE or code, and ACCESS.
    pub head: Pattern,
    /// The payload, which may be empty.
    pub payload: Pattern,
}

impl Case {
    /// The names of calls, options and features that it needs of a driver.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let calls = self.steps.iter().filter_map(|step| match &step.action {
            Action::Call(line) => Some(&*line.verb),
            _ => None,
        });
        let greeting = (self.server == Server::Scripted { greeting: true }).then_some("greeting");
        calls.chain(self.options.iter().map(|(key, _)| &**key)).chain(greeting)
    }
}

/// Reads all files of client cases in a directory, in the order of their IDs.
///
/// # Errors
///
/// A file cannot be read or has an error, an ID comes twice, or there is no case.
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
