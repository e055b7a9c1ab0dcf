//! The replies (docs/PROTOCOL.md §4): from the wire and onto it.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::error::{Invalid, Quota, Refusal, Violation};
use crate::types::{Access, Owner, Pointer, Version};
use crate::wire::message::{Fields, Message, Operands};
use crate::wire::opcode::{Code, Opcode};
use crate::wire::packet::MAX_PAYLOAD;

/// The version of the protocol that this implementation speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// A reply that ends a transaction, or ends the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<D> {
    /// It is done, and there is nothing more to say.
    Done,
    /// The record was created, at this pointer.
    Created(Pointer),
    /// The record's data.
    Resolved(D),
    /// The data were written and have this version now.
    Written(Version),
    /// Who the caller is, and what the server allows.
    Identity(Identity),
    /// What the PING carried.
    Echo(D),
    /// The state of the record.
    Stat(Stat),
    /// The caller's records, ascending.
    Pointers(Vec<Pointer>),
    /// The request was refused and changed nothing.
    Refused(Refusal),
    /// The peer broke the protocol; the connection ends.
    Malformed(Violation),
}

/// The answer to IDENTIFY (docs/PROTOCOL.md §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The caller's own hash.
    pub owner: Owner,
    /// The server's protocol version.
    pub protocol_version: u16,
    /// The most bytes of payload in a packet.
    pub max_payload: u16,
    /// The longest record, in bytes.
    pub max_record: u32,
    /// How long records outlive their owner's last connection; whole seconds, rounded up.
    pub grace: Duration,
}

/// The answer to STAT_RECORD (docs/PROTOCOL.md §3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes of data.
    pub len: u32,
    /// How often the data were written.
    pub version: Version,
    /// Who owns the record.
    pub owner: Owner,
    /// What others may do.
    pub access: Access,
    /// Whether the record is reserved and has no data yet.
    pub reserved: bool,
    /// In how many seconds the record ends, rounded up; `None` where no end is in sight.
    pub expires: Option<u32>,
}

/// STAT's `expires` where no end is in sight.
const NO_END: u32 = u32::MAX;

impl<D: Default + From<Vec<u8>>> Reply<D> {
    /// The reply as it goes onto the wire.
    #[must_use]
    pub fn encode(self) -> Message<D> {
        let ok = |operands| Message::bare(Code::Ok as u8, 0, operands);
        let ok_body = |body| Message { opcode: Code::Ok as u8, access: 0, operands: Operands::new(), body };
        match self {
            Self::Done => ok(Operands::new()),
            Self::Created(pointer) => ok(Operands::new().with_u64(pointer.0)),
            Self::Resolved(data) => {
                Message { opcode: Code::Resolved as u8, access: 0, operands: Operands::new(), body: data }
            }
            Self::Written(version) => ok(Operands::new().with_u64(version.0)),
            Self::Identity(identity) => ok(identity.encode()),
            Self::Echo(data) => ok_body(data),
            Self::Stat(stat) => ok(stat.encode()),
            Self::Pointers(pointers) => ok_body(D::from(encode_pointers(&pointers))),
            Self::Refused(refusal) => encode_refusal(refusal),
            Self::Malformed(violation) => {
                Message::bare(Code::MalformedPacket as u8, violation as u8, Operands::new())
            }
        }
    }
}

/// Pointers as a LIST_RECORDS reply carries them.
fn encode_pointers(pointers: &[Pointer]) -> Vec<u8> {
    pointers.iter().flat_map(|pointer| pointer.0.to_be_bytes()).collect()
}

impl Refusal {
    /// The code under which this travels.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::AccessViolation => Code::AccessViolation,
            Self::AddressFault => Code::AddressFault,
            Self::InvalidRequest(_) => Code::InvalidRequest,
            Self::UnsupportedOp => Code::UnsupportedOp,
            Self::RecordTooLarge { .. } => Code::RecordTooLarge,
            Self::QuotaExceeded { .. } => Code::QuotaExceeded,
        }
    }

    /// The name of the reply in the protocol.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.code().name()
    }
}

fn encode_refusal<D: Default>(refusal: Refusal) -> Message<D> {
    let (access, operands) = match refusal {
        Refusal::AccessViolation | Refusal::AddressFault | Refusal::UnsupportedOp => (0, Operands::new()),
        Refusal::InvalidRequest(invalid) => (invalid as u8, Operands::new()),
        Refusal::RecordTooLarge { limit } => (0, Operands::new().with_u32(limit)),
        Refusal::QuotaExceeded { quota, limit } => (quota as u8, Operands::new().with_u64(limit)),
    };
    Message::bare(refusal.code() as u8, access, operands)
}

impl Identity {
    fn encode(&self) -> Operands {
        let seconds = self.grace.as_secs().saturating_add(u64::from(self.grace.subsec_nanos() > 0));
        Operands::new()
            .with_u64(self.owner.get())
            .with(&self.protocol_version.to_be_bytes())
            .with(&self.max_payload.to_be_bytes())
            .with_u32(self.max_record)
            .with_u32(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        Some(Self {
            owner: Owner::new(fields.u64()?)?,
            protocol_version: fields.u16()?,
            max_payload: fields.u16()?,
            max_record: fields.u32()?,
            grace: Duration::from_secs(u64::from(fields.u32()?)),
        })
    }
}

impl Stat {
    fn encode(&self) -> Operands {
        Operands::new()
            .with_u32(self.len)
            .with_u64(self.version.0)
            .with_u64(self.owner.get())
            .with(&[self.access.bits(), u8::from(self.reserved)])
            .with_u32(self.expires.map_or(NO_END, |seconds| seconds.min(NO_END - 1)))
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        Some(Self {
            len: fields.u32()?,
            version: Version(fields.u64()?),
            owner: Owner::new(fields.u64()?)?,
            access: Access::from_bits(fields.u8()?)?,
            reserved: match fields.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            expires: Some(fields.u32()?).filter(|seconds| *seconds != NO_END),
        })
    }
}

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
                | Opcode::TransferRecord => Self::Exactly(0),
                Opcode::CreateRecord | Opcode::ReplaceRecord => Self::Exactly(8),
                Opcode::Identify => Self::Exactly(20),
                Opcode::Ping => Self::Exactly(ping),
                Opcode::StatRecord => Self::Exactly(26),
                Opcode::ListRecords => Self::Multiple(8),
                Opcode::ResolvePointer => return Err(BadReply),
            },
            Code::Resolved if opcode == Opcode::ResolvePointer => Self::Any,
            Code::Resolved => return Err(BadReply),
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
            Code::Resolved => Some(Self::Resolved(payload)),
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
            Opcode::CreateRecord => Self::Created(Pointer(fields.u64()?)),
            Opcode::ReplaceRecord => Self::Written(Version(fields.u64()?)),
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
        Code::Ok | Code::Resolved | Code::MalformedPacket => return None,
    })
}

impl Identity {
    /// What a server of this implementation answers.
    #[must_use]
    pub fn new(owner: Owner, max_record: u32, grace: Duration) -> Self {
        Self { owner, protocol_version: PROTOCOL_VERSION, max_payload: MAX_PAYLOAD as u16, max_record, grace }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        bad(Opcode::ListRecords, 0, 0, b"123456789");
        bad(Opcode::Ping, 5, 4, b"");
        bad(Opcode::Ping, 8, 9, b"12345678");
        bad(Opcode::Ping, 4, 0, b"");
        bad(Opcode::Identify, 0, 0, &[0; 20]);
    }
}
