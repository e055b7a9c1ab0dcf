//! Why the program ends with something else than success.

use std::fmt;

/// How the program ends. The codes are documented in `netswap --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well after all.
    Done,
    /// The server refused, or a file or something else on this side failed.
    Failed,
    /// The command line is not valid.
    Usage,
    /// There is no connection to the server, or none any more, or it does not answer.
    NoConnection,
    /// A signal ended the program.
    Signal(u8),
}

impl Exit {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoConnection => 3,
            Self::Signal(number) => 128 + number,
        }
    }
}

/// An end that is no success, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    message: Option<String>,
}

impl Failure {
    /// An end with a message.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: Some(message.to_string()) }
    }

    /// Something on this side failed.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// An end about which everything is said.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, message: None }
    }

    /// Puts before the message what was being done.
    pub(crate) fn context(self, doing: impl fmt::Display) -> Self {
        let message = self.message.map(|message| format!("{doing}: {message}"));
        Self { message, ..self }
    }

    /// Prints the message to stderr.
    pub(crate) fn report(&self) {
        if let Some(message) = &self.message {
            crate::output::complain("error", message);
        }
    }
}
