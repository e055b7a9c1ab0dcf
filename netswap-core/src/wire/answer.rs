//! Replies as a client reads them.

use bytes::Bytes;

use crate::error::{Invalid, Quota, Refusal, Violation};
use crate::types::{Pointer, Version};
use crate::wire::message::Fields;
use crate::wire::opcode::{Code, Opcode};
use crate::wire::reply::{HAS_LENGTH, HAS_VERSION, Identity, Reply, Stat};

/// A reply that does not answer its request, or is not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reply does not fit the request")]
pub struct BadReply;

/// The lengths that a reply may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Exactly these many bytes.
    Exactly(u32),
    /// Whatever the record has.
    Any,
    /// Any multiple of these many bytes.
    Multiple(u32),
    /// These many bytes, then whatever the record has.
    AtLeast(u32),
}

impl Lengths {
    /// The lengths that a reply of this code and ACCESS byte to this operation may have; `ping` is the length
    /// of a PING's payload. So that a client can judge a reply by its first header.
    ///
    /// # Errors
    ///
    /// The code is no reply to the operation, or the ACCESS byte does not fit it.
    pub fn of(opcode: Opcode, code: u8, access: u8, ping: u32) -> Result<Self, BadReply> {
        let code = Code::from_u8(code).ok_or(BadReply)?;
        let details = match code {
            Code::MalformedPacket => 1..=Violation::ALL.len(),
            Code::InvalidRequest => 1..=Invalid::ALL.len(),
            Code::QuotaExceeded => 1..=Quota::ALL.len(),
            Code::Resolved => match opcode {
                Opcode::ReadRange => {
                    usize::from(HAS_VERSION | HAS_LENGTH)..=usize::from(HAS_VERSION | HAS_LENGTH)
                }
                Opcode::ResolveIfChanged => usize::from(HAS_VERSION)..=usize::from(HAS_VERSION),
                _ => 0..=0,
            },
            _ => 0..=0,
        };
        if !details.contains(&usize::from(access)) {
            return Err(BadReply);
        }
        Ok(match code {
            Code::Ok => match opcode {
                Opcode::UpdateRecordPermissions
                | Opcode::DeleteRecord
                | Opcode::TakeoverRecord
                | Opcode::TransferRecord
                | Opcode::SetLifetime
                | Opcode::RequestOwnership => Self::Exactly(0),
                Opcode::CreateRecord
                | Opcode::ReplaceRecord
                | Opcode::WriteRange
                | Opcode::CompareAndReplace
                | Opcode::ReserveRecord
                | Opcode::WatchRecord => Self::Exactly(8),
                Opcode::Append => Self::Exactly(12),
                Opcode::FetchAdd => Self::Exactly(16),
                Opcode::Identify => Self::Exactly(20),
                Opcode::Ping => Self::Exactly(ping),
                Opcode::StatRecord => Self::Exactly(26),
                Opcode::ListRecords => Self::Multiple(8),
                Opcode::ResolvePointer | Opcode::ReadRange | Opcode::ResolveIfChanged => {
                    return Err(BadReply);
                }
            },
            Code::Resolved => match opcode {
                Opcode::ResolvePointer => Self::Any,
                Opcode::ResolveIfChanged => Self::AtLeast(8),
                Opcode::ReadRange => Self::AtLeast(12),
                _ => return Err(BadReply),
            },
            Code::NotModified if opcode == Opcode::ResolveIfChanged => Self::Exactly(0),
            Code::VersionMismatch if opcode == Opcode::CompareAndReplace => Self::Exactly(8),
            Code::NotModified | Code::VersionMismatch | Code::Notify => return Err(BadReply),
            Code::AccessViolation
            | Code::AddressFault
            | Code::MalformedPacket
            | Code::InvalidRequest
            | Code::UnsupportedOp => Self::Exactly(0),
            Code::RecordTooLarge => Self::Exactly(4),
            Code::QuotaExceeded => Self::Exactly(8),
        })
    }

    /// Whether this length is one of them.
    #[must_use]
    pub fn allow(self, len: u32) -> bool {
        match self {
            Self::Exactly(exactly) => len == exactly,
            Self::Any => true,
            Self::Multiple(unit) => len.is_multiple_of(unit),
            Self::AtLeast(least) => len >= least,
        }
    }

    /// How many bytes of a reply of this length are the record's, or whatever else has no fixed length.
    #[must_use]
    pub fn data(self, len: u32) -> u32 {
        match self {
            Self::Exactly(_) => 0,
            Self::Any | Self::Multiple(_) => len,
            Self::AtLeast(before) => len.saturating_sub(before),
        }
    }
}

impl Reply<Bytes> {
    /// Reads a complete reply to an operation.
    ///
    /// # Errors
    ///
    /// It is no reply to this operation, or not well formed.
    pub fn decode(opcode: Opcode, code: u8, access: u8, payload: Bytes) -> Result<Self, BadReply> {
        let len = u32::try_from(payload.len()).map_err(|_| BadReply)?;
        if !Lengths::of(opcode, code, access, len)?.allow(len) {
            return Err(BadReply);
        }
        match Code::from_u8(code).ok_or(BadReply)? {
            Code::Ok => Self::decode_ok(opcode, payload),
            Code::Resolved => Self::decode_resolved(opcode, payload),
            Code::NotModified => Some(Self::NotModified),
            Code::MalformedPacket => {
                Violation::ALL.into_iter().find(|v| *v as u8 == access).map(Self::Malformed)
            }
            _ => decode_refusal(code, access, &payload).map(Self::Refused),
        }
        .ok_or(BadReply)
    }

    fn decode_ok(opcode: Opcode, payload: Bytes) -> Option<Self> {
        let mut fields = Fields(&payload);
        Some(match opcode {
            Opcode::CreateRecord | Opcode::ReserveRecord => Self::Created(Pointer(fields.u64()?)),
            Opcode::ReplaceRecord | Opcode::WriteRange | Opcode::CompareAndReplace => {
                Self::Written(Version(fields.u64()?))
            }
            Opcode::WatchRecord => Self::Watching(Version(fields.u64()?)),
            Opcode::Append => Self::Appended { version: Version(fields.u64()?), offset: fields.u32()? },
            Opcode::FetchAdd => {
                Self::Added { version: Version(fields.u64()?), value: fields.u64()?.cast_signed() }
            }
            Opcode::Identify => Self::Identity(Identity::decode(&payload)?),
            Opcode::Ping => Self::Echo(payload),
            Opcode::StatRecord => Self::Stat(Stat::decode(&payload)?),
            Opcode::ListRecords => {
                let (pointers, _) = payload.as_chunks::<8>();
                Self::Pointers(pointers.iter().map(|bytes| Pointer(u64::from_be_bytes(*bytes))).collect())
            }
            _ => Self::Done,
        })
    }

    fn decode_resolved(opcode: Opcode, payload: Bytes) -> Option<Self> {
        let mut fields = Fields(&payload);
        Some(match opcode {
            Opcode::ReadRange => {
                let (version, record_len) = (Version(fields.u64()?), fields.u32()?);
                Self::Range { version, record_len, data: payload.slice(12..) }
            }
            Opcode::ResolveIfChanged => {
                Self::Changed { version: Version(fields.u64()?), data: payload.slice(8..) }
            }
            _ => Self::Resolved(payload),
        })
    }
}

/// Reads a refusal whose ACCESS byte and length fit its code; `None` where it is not one.
pub(crate) fn decode_refusal(code: u8, access: u8, payload: &[u8]) -> Option<Refusal> {
    let mut fields = Fields(payload);
    Some(match Code::from_u8(code)? {
        Code::AccessViolation => Refusal::AccessViolation,
        Code::AddressFault => Refusal::AddressFault,
        Code::UnsupportedOp => Refusal::UnsupportedOp,
        Code::InvalidRequest => {
            Refusal::InvalidRequest(Invalid::ALL.into_iter().find(|invalid| *invalid as u8 == access)?)
        }
        Code::RecordTooLarge => Refusal::RecordTooLarge { limit: fields.u32()? },
        Code::QuotaExceeded => {
            let quota = Quota::ALL.into_iter().find(|quota| *quota as u8 == access)?;
            Refusal::QuotaExceeded { quota, limit: fields.u64()? }
        }
        Code::VersionMismatch => Refusal::VersionMismatch { current: Version(fields.u64()?) },
        Code::Ok | Code::Resolved | Code::MalformedPacket | Code::NotModified | Code::Notify => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Access, Owner};
    use core::time::Duration;

    fn round_trip(opcode: Opcode, reply: Reply<Bytes>) {
        let message = reply.clone().encode();
        let payload = [message.operands.as_slice(), &message.body].concat();
        let decoded = Reply::decode(opcode, message.opcode, message.access, payload.into());
        assert_eq!(decoded, Ok(reply));
    }

    #[test]
    fn every_reply_is_read_back() {
        let owner = Owner::new(7).unwrap();
        let stat = |expires| Stat {
            len: 5,
            version: Version(9),
            owner,
            access: Access::READ,
            reserved: false,
            expires,
        };
        round_trip(Opcode::CreateRecord, Reply::Created(Pointer(77)));
        round_trip(Opcode::UpdateRecordPermissions, Reply::Done);
        round_trip(Opcode::ResolvePointer, Reply::Resolved(Bytes::from_static(b"data")));
        round_trip(Opcode::ReplaceRecord, Reply::Written(Version(u64::MAX)));
        round_trip(
            Opcode::Identify,
            Reply::Identity(Identity::new(owner, 1 << 28, Duration::from_secs(300))),
        );
        round_trip(Opcode::Ping, Reply::Echo(Bytes::new()));
        round_trip(Opcode::StatRecord, Reply::Stat(stat(None)));
        round_trip(Opcode::StatRecord, Reply::Stat(stat(Some(300))));
        round_trip(Opcode::ListRecords, Reply::Pointers([Pointer(1), Pointer(2)].into()));
        let (version, data) = (Version(3), Bytes::from_static(b"data"));
        round_trip(Opcode::ReadRange, Reply::Range { version, record_len: 9, data: data.clone() });
        round_trip(Opcode::WriteRange, Reply::Written(version));
        round_trip(Opcode::Append, Reply::Appended { version, offset: 7 });
        round_trip(Opcode::CompareAndReplace, Reply::Written(version));
        round_trip(Opcode::CompareAndReplace, Reply::Refused(Refusal::VersionMismatch { current: version }));
        round_trip(Opcode::FetchAdd, Reply::Added { version, value: -2 });
        round_trip(Opcode::ResolveIfChanged, Reply::Changed { version, data });
        round_trip(Opcode::ResolveIfChanged, Reply::NotModified);
        for violation in Violation::ALL {
            round_trip(Opcode::Ping, Reply::Malformed(violation));
        }
        let quotas = Quota::ALL.map(|quota| Refusal::QuotaExceeded { quota, limit: 1 << 40 });
        let others = [
            Refusal::AccessViolation,
            Refusal::AddressFault,
            Refusal::UnsupportedOp,
            Refusal::RecordTooLarge { limit: 12 },
        ];
        for refusal in others.into_iter().chain(quotas).chain(Invalid::ALL.map(Refusal::InvalidRequest)) {
            round_trip(Opcode::CreateRecord, Reply::Refused(refusal));
        }
    }

    #[test]
    fn what_does_not_answer_the_request_is_a_bad_reply() {
        let bad = |opcode, code, access, payload: &'static [u8]| {
            assert_eq!(Reply::decode(opcode, code, access, Bytes::from_static(payload)), Err(BadReply));
        };
        bad(Opcode::CreateRecord, 0, 0, b"1234567");
        bad(Opcode::CreateRecord, 0, 1, b"12345678");
        bad(Opcode::CreateRecord, 3, 0, b"12345678");
        bad(Opcode::CreateRecord, 99, 0, b"");
        bad(Opcode::ResolvePointer, 0, 0, b"");
        bad(Opcode::ResolvePointer, 1, 1, b"");
        bad(Opcode::ResolvePointer, 3, 1, b"12345678");
        bad(Opcode::ReadRange, 3, 1, b"123456789012");
        bad(Opcode::ReadRange, 3, 3, b"12345678901");
        bad(Opcode::ResolveIfChanged, 3, 0, b"12345678");
        bad(Opcode::ReplaceRecord, 9, 0, b"12345678");
        bad(Opcode::ResolvePointer, 10, 0, b"");
        bad(Opcode::ListRecords, 0, 0, b"123456789");
        bad(Opcode::Ping, 5, 4, b"");
        bad(Opcode::Ping, 8, 9, b"12345678");
        bad(Opcode::Ping, 4, 0, b"");
        bad(Opcode::Identify, 0, 0, &[0; 20]);
    }
}
