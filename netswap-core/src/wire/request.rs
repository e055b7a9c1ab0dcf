//! The requests (docs/PROTOCOL.md §3): from the wire and onto it.

use core::num::NonZeroU32;

use crate::error::Invalid;
use crate::types::{Access, Owner, Pointer, Version};
use crate::wire::message::{Fields, Message, Operands};
use crate::wire::opcode::Opcode;

/// The most bytes of operands that a request has before its data.
pub const MAX_OPERANDS: usize = 24;

/// A well-formed request.
///
/// `D` stands for the data of the operations that carry some: their length alone (`u32`) while the request
/// is still arriving, the data themselves when it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<D> {
    /// CREATE_RECORD (docs/PROTOCOL.md §3.4).
    CreateRecord {
        /// What others may do.
        access: Access,
        /// The record's first data.
        data: D,
    },
    /// UPDATE_RECORD_PERMISSIONS (docs/PROTOCOL.md §3.5).
    UpdateRecordPermissions {
        /// The record.
        pointer: Pointer,
        /// What others may do from now on.
        access: Access,
    },
    /// RESOLVE_POINTER (docs/PROTOCOL.md §3.6).
    ResolvePointer {
        /// The record.
        pointer: Pointer,
    },
    /// REPLACE_RECORD (docs/PROTOCOL.md §3.7).
    ReplaceRecord {
        /// The record.
        pointer: Pointer,
        /// Its new data.
        data: D,
    },
    /// DELETE_RECORD (docs/PROTOCOL.md §3.8).
    DeleteRecord {
        /// The record.
        pointer: Pointer,
    },
    /// TAKEOVER_RECORD (docs/PROTOCOL.md §3.9).
    TakeoverRecord {
        /// The record.
        pointer: Pointer,
    },
    /// TRANSFER_RECORD (docs/PROTOCOL.md §3.10).
    TransferRecord {
        /// The record.
        pointer: Pointer,
        /// Its new owner.
        owner: Owner,
    },
    /// IDENTIFY (docs/PROTOCOL.md §3.11).
    Identify,
    /// PING (docs/PROTOCOL.md §3.12).
    Ping {
        /// What comes back.
        data: D,
    },
    /// STAT_RECORD (docs/PROTOCOL.md §3.13).
    StatRecord {
        /// The record.
        pointer: Pointer,
    },
    /// LIST_RECORDS (docs/PROTOCOL.md §3.14).
    ListRecords,
    /// READ_RANGE (docs/PROTOCOL.md §3.15).
    ReadRange {
        /// The record.
        pointer: Pointer,
        /// The first byte.
        offset: u32,
        /// The most bytes.
        len: u32,
    },
    /// WRITE_RANGE (docs/PROTOCOL.md §3.16).
    WriteRange {
        /// The record.
        pointer: Pointer,
        /// Where the data go.
        offset: u32,
        /// The data.
        data: D,
    },
    /// APPEND (docs/PROTOCOL.md §3.17).
    Append {
        /// The record.
        pointer: Pointer,
        /// What is added at its end.
        data: D,
    },
    /// COMPARE_AND_REPLACE (docs/PROTOCOL.md §3.18).
    CompareAndReplace {
        /// The record.
        pointer: Pointer,
        /// The version that is to be replaced.
        version: Version,
        /// The new data.
        data: D,
    },
    /// FETCH_ADD (docs/PROTOCOL.md §3.19).
    FetchAdd {
        /// The record.
        pointer: Pointer,
        /// Where the 8 bytes of the number are.
        offset: u32,
        /// What is added to it.
        delta: i64,
    },
    /// RESOLVE_IF_CHANGED (docs/PROTOCOL.md §3.20).
    ResolveIfChanged {
        /// The record.
        pointer: Pointer,
        /// The version that the caller has; 0 for none.
        version: Version,
    },
    /// WATCH_RECORD (docs/PROTOCOL.md §3.21).
    WatchRecord {
        /// The record.
        pointer: Pointer,
        /// Whether notifications carry the data.
        push: bool,
    },
    /// RESERVE_RECORD (docs/PROTOCOL.md §3.22).
    ReserveRecord {
        /// What others may do.
        access: Access,
    },
    /// SET_LIFETIME (docs/PROTOCOL.md §3.23).
    SetLifetime {
        /// The record.
        pointer: Pointer,
        /// How long and for whom it lives.
        lifetime: Lifetime,
    },
    /// REQUEST_OWNERSHIP (docs/PROTOCOL.md §3.24).
    RequestOwnership {
        /// The record.
        pointer: Pointer,
    },
}

/// How long a record lives, and who has it then (docs/PROTOCOL.md §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// How many seconds it outlives its owner's last connection; `None` for the server's default.
    pub grace: Option<u32>,
    /// In how many seconds it ends, whoever is connected; `None` for never. 0 cannot be said.
    pub ttl: Option<NonZeroU32>,
    /// Who becomes its owner when the grace ends.
    pub heir: Option<Owner>,
}

/// SET_LIFETIME's grace that stands for the server's default.
const DEFAULT_GRACE: u32 = u32::MAX;

/// WATCH_RECORD's flag for notifications that carry the data.
const PUSH: u8 = 1;

/// What the payload of an operation looks like.
struct Shape {
    /// Bytes of operands before the data.
    operands: usize,
    /// Whether data may follow them.
    data: bool,
    /// The bits that the ACCESS byte may have.
    access: u8,
}

impl Opcode {
    fn shape(self) -> Shape {
        let (operands, data, access) = match self {
            Self::CreateRecord => (0, true, Access::all().bits()),
            Self::ReserveRecord => (0, false, Access::all().bits()),
            Self::WatchRecord => (8, false, PUSH),
            Self::SetLifetime => (24, false, 0),
            Self::UpdateRecordPermissions => (8, false, Access::all().bits()),
            Self::ResolvePointer
            | Self::DeleteRecord
            | Self::TakeoverRecord
            | Self::StatRecord
            | Self::RequestOwnership => (8, false, 0),
            Self::ReplaceRecord | Self::Append => (8, true, 0),
            Self::TransferRecord | Self::ReadRange | Self::ResolveIfChanged => (16, false, 0),
            Self::WriteRange => (12, true, 0),
            Self::CompareAndReplace => (16, true, 0),
            Self::FetchAdd => (20, false, 0),
            Self::Identify | Self::ListRecords => (0, false, 0),
            Self::Ping => (0, true, 0),
        };
        Shape { operands, data, access }
    }

    /// Bytes of operands at the start of the payload, before the data.
    #[must_use]
    pub fn operand_len(self) -> usize {
        self.shape().operands
    }

    /// Whether data may follow the operands.
    #[must_use]
    pub fn has_data(self) -> bool {
        self.shape().data
    }
}

impl Request<u32> {
    /// Reads a request's beginning: its ACCESS byte, the length of its whole payload, and its operands.
    ///
    /// `operands` holds the payload's first [`Opcode::operand_len`] bytes, or all of a shorter payload.
    ///
    /// # Errors
    ///
    /// What is wrong with it, judged in the order ACCESS byte, payload length, operand values.
    pub fn parse(opcode: Opcode, access: u8, len: u32, operands: &[u8]) -> Result<Self, Invalid> {
        let shape = opcode.shape();
        if access & !shape.access != 0 {
            return Err(Invalid::AccessByte);
        }
        let data = (len as usize).checked_sub(shape.operands).ok_or(Invalid::PayloadLength)?;
        if data > 0 && !shape.data {
            return Err(Invalid::PayloadLength);
        }
        let data = data as u32;
        // The lengths are right by now: a field that is missing was not handed over by the caller.
        Self::parse_operands(opcode, access, Fields(operands), data).ok_or(Invalid::PayloadLength)?
    }

    fn parse_operands(
        opcode: Opcode,
        flags: u8,
        mut fields: Fields<'_>,
        data: u32,
    ) -> Option<Result<Self, Invalid>> {
        let access = Access::from_bits_truncate(flags);
        let pointer = Pointer(if opcode.operand_len() > 0 { fields.u64()? } else { 0 });
        Some(Ok(match opcode {
            Opcode::CreateRecord => Self::CreateRecord { access, data },
            Opcode::UpdateRecordPermissions => Self::UpdateRecordPermissions { pointer, access },
            Opcode::ResolvePointer => Self::ResolvePointer { pointer },
            Opcode::ReplaceRecord => Self::ReplaceRecord { pointer, data },
            Opcode::DeleteRecord => Self::DeleteRecord { pointer },
            Opcode::TakeoverRecord => Self::TakeoverRecord { pointer },
            Opcode::TransferRecord => match Owner::new(fields.u64()?) {
                Some(owner) => Self::TransferRecord { pointer, owner },
                None => return Some(Err(Invalid::OperandValue)),
            },
            Opcode::Identify => Self::Identify,
            Opcode::Ping => Self::Ping { data },
            Opcode::StatRecord => Self::StatRecord { pointer },
            Opcode::ListRecords => Self::ListRecords,
            Opcode::ReadRange => Self::ReadRange { pointer, offset: fields.u32()?, len: fields.u32()? },
            Opcode::WriteRange => Self::WriteRange { pointer, offset: fields.u32()?, data },
            Opcode::Append => Self::Append { pointer, data },
            Opcode::CompareAndReplace => {
                Self::CompareAndReplace { pointer, version: Version(fields.u64()?), data }
            }
            Opcode::FetchAdd => {
                Self::FetchAdd { pointer, offset: fields.u32()?, delta: fields.u64()?.cast_signed() }
            }
            Opcode::ResolveIfChanged => Self::ResolveIfChanged { pointer, version: Version(fields.u64()?) },
            Opcode::WatchRecord => Self::WatchRecord { pointer, push: flags & PUSH != 0 },
            Opcode::ReserveRecord => Self::ReserveRecord { access },
            Opcode::SetLifetime => {
                let grace = Some(fields.u32()?).filter(|grace| *grace != DEFAULT_GRACE);
                let (ttl, heir) = (NonZeroU32::new(fields.u32()?), Owner::new(fields.u64()?));
                Self::SetLifetime { pointer, lifetime: Lifetime { grace, ttl, heir } }
            }
            Opcode::RequestOwnership => Self::RequestOwnership { pointer },
        }))
    }
}

impl<D> Request<D> {
    /// Which operation this is.
    #[must_use]
    pub fn opcode(&self) -> Opcode {
        match self {
            Self::CreateRecord { .. } => Opcode::CreateRecord,
            Self::UpdateRecordPermissions { .. } => Opcode::UpdateRecordPermissions,
            Self::ResolvePointer { .. } => Opcode::ResolvePointer,
            Self::ReplaceRecord { .. } => Opcode::ReplaceRecord,
            Self::DeleteRecord { .. } => Opcode::DeleteRecord,
            Self::TakeoverRecord { .. } => Opcode::TakeoverRecord,
            Self::TransferRecord { .. } => Opcode::TransferRecord,
            Self::Identify => Opcode::Identify,
            Self::Ping { .. } => Opcode::Ping,
            Self::StatRecord { .. } => Opcode::StatRecord,
            Self::ListRecords => Opcode::ListRecords,
            Self::ReadRange { .. } => Opcode::ReadRange,
            Self::WriteRange { .. } => Opcode::WriteRange,
            Self::Append { .. } => Opcode::Append,
            Self::CompareAndReplace { .. } => Opcode::CompareAndReplace,
            Self::FetchAdd { .. } => Opcode::FetchAdd,
            Self::ResolveIfChanged { .. } => Opcode::ResolveIfChanged,
            Self::WatchRecord { .. } => Opcode::WatchRecord,
            Self::ReserveRecord { .. } => Opcode::ReserveRecord,
            Self::SetLifetime { .. } => Opcode::SetLifetime,
            Self::RequestOwnership { .. } => Opcode::RequestOwnership,
        }
    }

    /// The data, of an operation that carries some.
    #[must_use]
    pub fn data(&self) -> Option<&D> {
        match self {
            Self::CreateRecord { data, .. }
            | Self::ReplaceRecord { data, .. }
            | Self::Ping { data }
            | Self::WriteRange { data, .. }
            | Self::Append { data, .. }
            | Self::CompareAndReplace { data, .. } => Some(data),
            Self::UpdateRecordPermissions { .. }
            | Self::ResolvePointer { .. }
            | Self::DeleteRecord { .. }
            | Self::TakeoverRecord { .. }
            | Self::TransferRecord { .. }
            | Self::Identify
            | Self::StatRecord { .. }
            | Self::ListRecords
            | Self::ReadRange { .. }
            | Self::FetchAdd { .. }
            | Self::ResolveIfChanged { .. }
            | Self::WatchRecord { .. }
            | Self::ReserveRecord { .. }
            | Self::SetLifetime { .. }
            | Self::RequestOwnership { .. } => None,
        }
    }

    /// The same request with other data in the place of these.
    pub fn map<E>(self, with: impl FnOnce(D) -> E) -> Request<E> {
        match self {
            Self::CreateRecord { access, data } => Request::CreateRecord { access, data: with(data) },
            Self::UpdateRecordPermissions { pointer, access } => {
                Request::UpdateRecordPermissions { pointer, access }
            }
            Self::ResolvePointer { pointer } => Request::ResolvePointer { pointer },
            Self::ReplaceRecord { pointer, data } => Request::ReplaceRecord { pointer, data: with(data) },
            Self::DeleteRecord { pointer } => Request::DeleteRecord { pointer },
            Self::TakeoverRecord { pointer } => Request::TakeoverRecord { pointer },
            Self::TransferRecord { pointer, owner } => Request::TransferRecord { pointer, owner },
            Self::Identify => Request::Identify,
            Self::Ping { data } => Request::Ping { data: with(data) },
            Self::StatRecord { pointer } => Request::StatRecord { pointer },
            Self::ListRecords => Request::ListRecords,
            Self::ReadRange { pointer, offset, len } => Request::ReadRange { pointer, offset, len },
            Self::WriteRange { pointer, offset, data } => {
                Request::WriteRange { pointer, offset, data: with(data) }
            }
            Self::Append { pointer, data } => Request::Append { pointer, data: with(data) },
            Self::CompareAndReplace { pointer, version, data } => {
                Request::CompareAndReplace { pointer, version, data: with(data) }
            }
            Self::FetchAdd { pointer, offset, delta } => Request::FetchAdd { pointer, offset, delta },
            Self::ResolveIfChanged { pointer, version } => Request::ResolveIfChanged { pointer, version },
            Self::WatchRecord { pointer, push } => Request::WatchRecord { pointer, push },
            Self::ReserveRecord { access } => Request::ReserveRecord { access },
            Self::SetLifetime { pointer, lifetime } => Request::SetLifetime { pointer, lifetime },
            Self::RequestOwnership { pointer } => Request::RequestOwnership { pointer },
        }
    }
}

impl<B: Default> Request<B> {
    /// The request as it goes onto the wire.
    #[must_use]
    pub fn encode(self) -> Message<B> {
        let opcode = self.opcode() as u8;
        let pointed = |pointer: Pointer| Operands::new().with_u64(pointer.0);
        match self {
            Self::CreateRecord { access, data } => {
                Message { opcode, access: access.bits(), operands: Operands::new(), body: data }
            }
            Self::UpdateRecordPermissions { pointer, access } => {
                Message::bare(opcode, access.bits(), pointed(pointer))
            }
            Self::ReplaceRecord { pointer, data } => {
                Message { opcode, access: 0, operands: pointed(pointer), body: data }
            }
            Self::TransferRecord { pointer, owner } => {
                Message::bare(opcode, 0, pointed(pointer).with_u64(owner.get()))
            }
            Self::ResolvePointer { pointer }
            | Self::DeleteRecord { pointer }
            | Self::TakeoverRecord { pointer }
            | Self::StatRecord { pointer }
            | Self::RequestOwnership { pointer } => Message::bare(opcode, 0, pointed(pointer)),
            Self::Ping { data } => Message { opcode, access: 0, operands: Operands::new(), body: data },
            Self::Identify | Self::ListRecords => Message::bare(opcode, 0, Operands::new()),
            Self::ReadRange { pointer, offset, len } => {
                Message::bare(opcode, 0, pointed(pointer).with_u32(offset).with_u32(len))
            }
            Self::WriteRange { pointer, offset, data } => {
                Message { opcode, access: 0, operands: pointed(pointer).with_u32(offset), body: data }
            }
            Self::Append { pointer, data } => {
                Message { opcode, access: 0, operands: pointed(pointer), body: data }
            }
            Self::CompareAndReplace { pointer, version, data } => {
                Message { opcode, access: 0, operands: pointed(pointer).with_u64(version.0), body: data }
            }
            Self::FetchAdd { pointer, offset, delta } => {
                let operands = pointed(pointer).with_u32(offset).with_u64(delta.cast_unsigned());
                Message::bare(opcode, 0, operands)
            }
            Self::ResolveIfChanged { pointer, version } => {
                Message::bare(opcode, 0, pointed(pointer).with_u64(version.0))
            }
            Self::WatchRecord { pointer, push } => {
                Message::bare(opcode, if push { PUSH } else { 0 }, pointed(pointer))
            }
            Self::ReserveRecord { access } => Message::bare(opcode, access.bits(), Operands::new()),
            Self::SetLifetime { pointer, lifetime: Lifetime { grace, ttl, heir } } => {
                let operands = pointed(pointer)
                    .with_u32(grace.unwrap_or(DEFAULT_GRACE))
                    .with_u32(ttl.map_or(0, NonZeroU32::get))
                    .with_u64(heir.map_or(0, Owner::get));
                Message::bare(opcode, 0, operands)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_access_byte_and_length_is_read_or_named() {
        let operands = [1; MAX_OPERANDS];
        for opcode in Opcode::ALL {
            let shape = opcode.shape();
            for access in 0..=255 {
                for len in 0..=1400_usize {
                    let given = &operands[..shape.operands.min(len)];
                    let expected = if access & !shape.access != 0 {
                        Some(Invalid::AccessByte)
                    } else if len < shape.operands || (len > shape.operands && !shape.data) {
                        Some(Invalid::PayloadLength)
                    } else {
                        None
                    };
                    let parsed = Request::parse(opcode, access, len as u32, given);
                    assert_eq!(parsed.err(), expected, "{opcode} access {access} length {len}");
                    if let Ok(request) = parsed {
                        assert_eq!(request.opcode(), opcode);
                        let data = shape.data.then_some((len - shape.operands) as u32);
                        assert_eq!(request.data().copied(), data, "{opcode} length {len}");
                        let encoded = request.encode();
                        assert_eq!((encoded.opcode, encoded.access), (opcode as u8, access));
                        assert_eq!(encoded.operands.as_slice(), given);
                        assert_eq!(encoded.body as usize, len - shape.operands);
                    }
                }
            }
        }
    }

    #[test]
    fn a_transfer_to_owner_zero_is_a_wrong_operand() {
        let mut operands = [0; 16];
        let parse = |operands: &[u8]| Request::parse(Opcode::TransferRecord, 0, 16, operands);
        assert_eq!(parse(&operands), Err(Invalid::OperandValue));
        operands[15] = 9;
        let owner = Owner::new(9).unwrap();
        assert_eq!(parse(&operands), Ok(Request::TransferRecord { pointer: Pointer(0), owner }));
    }
}
