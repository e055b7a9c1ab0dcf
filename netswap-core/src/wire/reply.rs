//! The replies (docs/PROTOCOL.md §4): from the wire and onto it.

use alloc::vec::Vec;
use core::time::Duration;

use crate::error::{Refusal, Violation};
use crate::types::{Access, Owner, Pointer, Version};
use crate::wire::message::{Fields, Message, Operands};
use crate::wire::opcode::Code;
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
    /// A part of the record's data.
    Range {
        /// The record's version.
        version: Version,
        /// Bytes of the whole record.
        record_len: u32,
        /// The bytes that were asked for, as far as there are any.
        data: D,
    },
    /// The data were added to the record.
    Appended {
        /// The record's version now.
        version: Version,
        /// Where in the record the data begin.
        offset: u32,
    },
    /// A number in the record was added to.
    Added {
        /// The record's version now.
        version: Version,
        /// The number now.
        value: i64,
    },
    /// The record's data, which the caller does not have in this version.
    Changed {
        /// The record's version.
        version: Version,
        /// Its data.
        data: D,
    },
    /// The caller has the record's newest version.
    NotModified,
    /// The record has this version, and is watched from now on. The one reply that does not end its transaction.
    Watching(Version),
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

/// The flag of a RESOLVE_POINTER reply that begins with the record's version.
pub(super) const HAS_VERSION: u8 = 1;

/// The flag of a RESOLVE_POINTER reply in which the record's length follows the version.
pub(super) const HAS_LENGTH: u8 = 2;

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
            Self::Written(version) | Self::Watching(version) => ok(Operands::new().with_u64(version.0)),
            Self::Identity(identity) => ok(identity.encode()),
            Self::Echo(data) => ok_body(data),
            Self::Stat(stat) => ok(stat.encode()),
            Self::Pointers(pointers) => ok_body(D::from(encode_pointers(&pointers))),
            Self::Range { version, record_len, data } => Message {
                opcode: Code::Resolved as u8,
                access: HAS_VERSION | HAS_LENGTH,
                operands: Operands::new().with_u64(version.0).with_u32(record_len),
                body: data,
            },
            Self::Appended { version, offset } => ok(Operands::new().with_u64(version.0).with_u32(offset)),
            Self::Added { version, value } => {
                ok(Operands::new().with_u64(version.0).with_u64(value.cast_unsigned()))
            }
            Self::Changed { version, data } => Message {
                opcode: Code::Resolved as u8,
                access: HAS_VERSION,
                operands: Operands::new().with_u64(version.0),
                body: data,
            },
            Self::NotModified => Message::bare(Code::NotModified as u8, 0, Operands::new()),
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
            Self::VersionMismatch { .. } => Code::VersionMismatch,
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
        Refusal::VersionMismatch { current } => (0, Operands::new().with_u64(current.0)),
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

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
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

    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
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

    #[test]
    fn whether_a_record_is_reserved_is_one_of_two_bytes() {
        let (version, owner, access) = (Version(0), Owner::new(2).unwrap(), Access::READ);
        for reserved in [false, true] {
            let stat = Stat { len: 0, version, owner, access, reserved, expires: None };
            let mut bytes = stat.encode().as_slice().to_vec();
            assert_eq!(Stat::decode(&bytes), Some(stat));
            bytes[21] = 2;
            assert_eq!(Stat::decode(&bytes), None);
        }
    }

    #[test]
    fn an_end_that_is_far_away_is_not_none() {
        let (version, owner, access) = (Version(1), Owner::new(2).unwrap(), Access::READ);
        for (expires, told) in [(Some(3), 3), (Some(u32::MAX), u32::MAX - 1), (None, u32::MAX)] {
            let stat = Stat { len: 4, version, owner, access, reserved: false, expires };
            let operands = stat.encode();
            assert_eq!(operands.as_slice().last_chunk(), Some(&told.to_be_bytes()));
            assert_eq!(Stat::decode(operands.as_slice()).unwrap().expires, expires.map(|_| told));
        }
    }
}
