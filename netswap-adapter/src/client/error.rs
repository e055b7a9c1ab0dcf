//! Why a call of a client failed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use netswap_core::client::{Outcome, RequestError};
use netswap_core::error::{ProtocolError, Refusal};
use netswap_core::wire::Ending;

/// Why a call of a client failed, in a sentence that can be printed as it is.
///
/// [`outcome`](Self::outcome) tells whether the request may have taken effect all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the request, which changed nothing.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server ended the request without a result: it is shutting down.
    #[error("the server ended the request without a result; {outcome}")]
    Aborted {
        /// What is known of the request's effect.
        outcome: Outcome,
    },
    /// None of the request's bytes moved for the time that the request had, or there was no connection for so long.
    #[error("the request timed out; {outcome}")]
    TimedOut {
        /// What is known of the request's effect.
        outcome: Outcome,
    },
    /// The connection ended before the reply was there.
    #[error("{cause}; {outcome}")]
    ConnectionLost {
        /// Why the connection ended.
        #[source]
        cause: Disconnect,
        /// What is known of the request's effect.
        outcome: Outcome,
    },
    /// No connection could be made.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address, the last one where there were several.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// What listens at the address is no NetSwap server that this client can talk to, or has no room for it.
    #[error("cannot talk to {address}: {}", plainly(source))]
    Greeting {
        /// The address.
        address: String,
        /// What went wrong with the first request.
        source: Box<Error>,
    },
    /// The server speaks another version of the protocol.
    #[error("the server speaks version {version} of the protocol, which this client does not")]
    UnsupportedVersion {
        /// The server's version.
        version: u16,
    },
    /// The answer is longer than this client takes whole: [`resolve_into`](super::Session::resolve_into) takes any record.
    #[error("the answer has {len} bytes, more than the {limit} bytes that this client takes")]
    ReplyTooLarge {
        /// Bytes of data in the answer.
        len: u32,
        /// [`ConnectOptions::max_reply`](super::ConnectOptions::max_reply).
        limit: u32,
    },
    /// Too many requests were under way. Nothing was sent.
    #[error("too many requests at once: this client's limit is {limit}")]
    TooManyRequests {
        /// [`ConnectOptions::max_requests`](super::ConnectOptions::max_requests).
        limit: usize,
    },
    /// The data are longer than any server takes. Nothing was sent.
    #[error("the data are longer than the protocol can carry, which is less than 4 GiB")]
    DataTooLong,
    /// The data of an upload could not be read. Nothing was changed.
    #[error("cannot read the data to be sent: {0}")]
    Read(#[source] io::Error),
    /// The data of an upload ended early. Nothing was changed.
    #[error("the data to be sent ended after {read} of {expected} bytes")]
    ReadTooShort {
        /// Bytes that there were.
        read: u64,
        /// Bytes that there should have been.
        expected: u64,
    },
    /// The data of a download could not be written.
    #[error("cannot write the data received: {0}")]
    Write(#[source] io::Error),
    /// The record that a [`Mirror`](super::Mirror) follows has ended, or may not be read any more.
    #[error("{0}")]
    Ended(Ending),
    /// The caller ended the call, in a client whose calls cannot be dropped. What it would have changed may be changed or
    /// not.
    #[error("the call was cancelled")]
    Cancelled,
    /// The client was closed, or has lost its connection and does not connect again. Nothing was sent.
    #[error("the connection is closed")]
    Closed,
}

/// Why a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// The server closed it.
    #[error("the server closed the connection")]
    ServerClosed,
    /// The system reports an error.
    #[error("the connection was lost: {0}")]
    Io(#[source] Arc<io::Error>),
    /// The server broke the protocol, says that this client did, or has no room for another connection.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The task that moves the client's bytes was stopped.
    #[error("the client was stopped")]
    Stopped,
}

/// The sort of an [`Error`], for programs that treat all of a sort alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server refused the request or the connection.
    Refused,
    /// Time ran out.
    TimedOut,
    /// The connection or the server ended under the request.
    ConnectionLost,
    /// No connection could be made.
    Connect,
    /// The server does not follow the protocol, or not this version.
    Protocol,
    /// A limit of this client was reached.
    Limit,
    /// The caller's reader or writer failed.
    Io,
    /// The record that was followed has ended.
    Ended,
    /// The caller ended the call.
    Cancelled,
    /// The client is closed.
    Closed,
}

impl Error {
    /// The sort of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(_) => ErrorKind::Refused,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::ConnectionLost {
                cause: Disconnect::Protocol(ProtocolError::ConnectionRefused(_)), ..
            } => ErrorKind::Refused,
            // A server that answers no ABORT is dead rather than wrong.
            Self::ConnectionLost {
                cause: Disconnect::Protocol(ProtocolError::AbortUnanswered(_)), ..
            } => ErrorKind::ConnectionLost,
            Self::ConnectionLost { cause: Disconnect::Protocol(_), .. } | Self::UnsupportedVersion { .. } => {
                ErrorKind::Protocol
            }
            Self::Aborted { .. } | Self::ConnectionLost { .. } => ErrorKind::ConnectionLost,
            Self::Connect { .. } => ErrorKind::Connect,
            Self::Greeting { source, .. } => source.kind(),
            Self::ReplyTooLarge { .. } | Self::TooManyRequests { .. } | Self::DataTooLong => ErrorKind::Limit,
            Self::Read(_) | Self::ReadTooShort { .. } | Self::Write(_) => ErrorKind::Io,
            Self::Ended(_) => ErrorKind::Ended,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Closed => ErrorKind::Closed,
        }
    }

    /// Whether the same call may succeed later, and making it again cannot do a thing twice.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_retryable(),
            Self::TimedOut { outcome } | Self::Aborted { outcome } => *outcome == Outcome::NotDone,
            Self::ConnectionLost { cause, outcome } => *outcome == Outcome::NotDone && cause.may_pass(),
            Self::Connect { .. } | Self::TooManyRequests { .. } => true,
            Self::Greeting { source, .. } => source.is_retryable(),
            _ => false,
        }
    }

    /// What is known of the request's effect. It is [`Outcome::Unknown`] only where a request left whole, would
    /// change something, and was not answered.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TimedOut { outcome } | Self::Aborted { outcome } | Self::ConnectionLost { outcome, .. } => {
                *outcome
            }
            Self::Cancelled => Outcome::Unknown,
            _ => Outcome::NotDone,
        }
    }

    pub(super) fn no_answer(address: &str, after: Duration) -> Self {
        let source = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {after:?}"));
        Self::Connect { address: address.to_owned(), source }
    }
}

impl Disconnect {
    /// Whether the next connection may fare better.
    fn may_pass(&self) -> bool {
        match self {
            Self::ServerClosed | Self::Io(_) => true,
            Self::Protocol(error) => {
                matches!(error, ProtocolError::ConnectionRefused(_) | ProtocolError::AbortUnanswered(_))
            }
            Self::Stopped => false,
        }
    }
}

/// A greeting changes nothing: no need to say so.
fn plainly(error: &Error) -> String {
    match error {
        Error::ConnectionLost { cause, .. } => cause.to_string(),
        error => error.to_string(),
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::TooManyTransactions { limit } => Self::TooManyRequests { limit },
            RequestError::TooLong => Self::DataTooLong,
            _ => Self::Closed,
        }
    }
}
