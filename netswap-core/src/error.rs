//! Errors by fault: a refused request, a broken protocol, a broken stream.

use crate::types::{Version, Xid};

/// Why the server did not do what a request asks: the request changed nothing, the connection lives
/// (docs/PROTOCOL.md §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The caller is not the owner, and the record's access bits do not allow it.
    #[error("the record's owner does not allow this to others")]
    AccessViolation,
    /// There is no record at this pointer: it never was, was deleted, or has expired.
    #[error("there is no record at this pointer")]
    AddressFault,
    /// The request is not well formed.
    #[error("the request is not valid: {0}")]
    InvalidRequest(Invalid),
    /// The server does not know the operation.
    #[error("the server does not support this operation")]
    UnsupportedOp,
    /// The data are longer than a record may be.
    #[error("the data are larger than the server's limit of {limit} bytes a record")]
    RecordTooLarge {
        /// The longest record, in bytes.
        limit: u32,
    },
    /// A limit on what may be stored, buffered or connected is reached.
    #[error("{quota}: the limit is {limit}{}", quota.unit())]
    QuotaExceeded {
        /// Which limit.
        quota: Quota,
        /// Its value.
        limit: u64,
    },
    /// The record has another version than the one that was to be replaced.
    #[error("the record has changed: its version is now {current}")]
    VersionMismatch {
        /// The record's version.
        current: Version,
    },
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Invalid {
    /// The ACCESS byte has a bit that the operation does not take.
    #[error("its access byte has bits that the operation does not take")]
    AccessByte = 1,
    /// The payload is too short or too long for the operation.
    #[error("its payload has not the length that the operation takes")]
    PayloadLength = 2,
    /// A field has a value that it must not have.
    #[error("a field has a value that it must not have")]
    OperandValue = 3,
}

impl Invalid {
    /// Every variant, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::AccessByte, Self::PayloadLength, Self::OperandValue];
}

/// The limits behind QUOTA_EXCEEDED (docs/PROTOCOL.md §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Quota {
    /// Bytes of everything that the server holds.
    #[error("the server's memory is used up")]
    ServerMemory = 1,
    /// Bytes of one owner's records.
    #[error("the owner's records have too many bytes")]
    OwnerBytes = 2,
    /// Records of one owner.
    #[error("the owner has too many records")]
    OwnerRecords = 3,
    /// Requests of one connection that have begun to arrive.
    #[error("too many requests of this connection are unfinished")]
    UnfinishedRequests = 4,
    /// Bytes of unfinished requests, of one connection or of all together.
    #[error("unfinished requests have too many bytes")]
    UnfinishedBytes = 5,
    /// Watches and waiting reads of one connection.
    #[error("this connection has too many watches and waiting reads")]
    Watches = 6,
    /// Connections to the server.
    #[error("the server has too many connections")]
    Connections = 7,
    /// Connections from one address.
    #[error("this address has too many connections")]
    ConnectionsOfAddress = 8,
}

impl Quota {
    /// Every quota, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::ServerMemory,
        Self::OwnerBytes,
        Self::OwnerRecords,
        Self::UnfinishedRequests,
        Self::UnfinishedBytes,
        Self::Watches,
        Self::Connections,
        Self::ConnectionsOfAddress,
    ];

    fn unit(self) -> &'static str {
        match self {
            Self::ServerMemory | Self::OwnerBytes | Self::UnfinishedBytes => " bytes",
            _ => "",
        }
    }
}

impl Refusal {
    /// Whether the same request may succeed later without anybody changing the request.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::QuotaExceeded { .. })
    }
}

/// How a peer broke the protocol; the server answers MALFORMED_PACKET and closes (docs/PROTOCOL.md §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Violation {
    /// A continuation that does not follow from the packet before it.
    #[error("a packet does not continue its message")]
    Continuation = 1,
    /// An unknown operation, longer than the largest request.
    #[error("an unknown operation is longer than the largest request")]
    UnknownOpcode = 2,
    /// An ABORT with a payload or flags.
    #[error("an ABORT has a payload or flags")]
    Abort = 3,
    /// A new request under the id of an active watch or a waiting read.
    #[error("a request uses the id of an active watch or waiting read")]
    XidInUse = 4,
    /// More refused requests are being discarded than the server allows unfinished ones.
    #[error("too many refused requests were still being sent")]
    TooManyDiscarded = 5,
}

impl Violation {
    /// Every violation, in the order of their numbers.
    pub const ALL: [Self; 5] =
        [Self::Continuation, Self::UnknownOpcode, Self::Abort, Self::XidInUse, Self::TooManyDiscarded];
}

/// How a server broke the protocol towards this client; the connection is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The server says that this client broke the protocol.
    #[error("the server closed the connection because of a protocol violation by this client: {0}")]
    ViolationReported(Violation),
    /// The server refused the connection itself.
    #[error("the server refused the connection: {0}")]
    ConnectionRefused(Refusal),
    /// A reply to a transaction that does not exist.
    #[error("the server answered a request that was never made (transaction {0})")]
    UnknownTransaction(Xid),
    /// A continuation that does not follow from the packet before it.
    #[error("the server sent a packet that does not continue its reply (transaction {0})")]
    Continuation(Xid),
    /// A reply that does not answer its request.
    #[error("the server sent a reply that does not fit the request (transaction {xid}, code {code})")]
    BadReply {
        /// The transaction.
        xid: Xid,
        /// The reply's code.
        code: u8,
    },
    /// An ABORT of this client stays without an answer, and nothing else arrives either.
    #[error("the server has fallen silent and does not answer an ABORT (transaction {0})")]
    AbortUnanswered(Xid),
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_limit_is_told_with_its_unit() {
        let said = |quota| Refusal::QuotaExceeded { quota, limit: 7 }.to_string();
        for quota in Quota::ALL {
            let bytes = matches!(quota, Quota::ServerMemory | Quota::OwnerBytes | Quota::UnfinishedBytes);
            let end = if bytes { ": the limit is 7 bytes" } else { ": the limit is 7" };
            assert!(said(quota).ends_with(end), "{}", said(quota));
        }
    }

    #[test]
    fn only_what_a_limit_has_refused_may_succeed_later() {
        let refused = Refusal::QuotaExceeded { quota: Quota::Watches, limit: 7 };
        assert!(refused.is_retryable());
        assert!(!Refusal::AccessViolation.is_retryable() && !Refusal::AddressFault.is_retryable());
    }
}
