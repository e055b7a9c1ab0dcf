//! The numbers of operations and replies (docs/PROTOCOL.md §3.1, §4.1).

use core::fmt;

/// The opcode of ABORT, in both directions (docs/PROTOCOL.md §2.5).
pub const ABORT: u8 = 255;

/// An operation: all those of protocol version 1.
///
/// A new operation gets its line here, its shape in `request.rs`, its reply in `reply.rs` and its doing in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// CREATE_RECORD
    CreateRecord = 0,
    /// UPDATE_RECORD_PERMISSIONS
    UpdateRecordPermissions = 1,
    /// RESOLVE_POINTER
    ResolvePointer = 2,
    /// REPLACE_RECORD
    ReplaceRecord = 3,
    /// DELETE_RECORD
    DeleteRecord = 4,
    /// TAKEOVER_RECORD
    TakeoverRecord = 5,
    /// TRANSFER_RECORD
    TransferRecord = 6,
    /// IDENTIFY
    Identify = 7,
    /// PING
    Ping = 8,
    /// STAT_RECORD
    StatRecord = 9,
    /// READ_RANGE
    ReadRange = 10,
    /// WRITE_RANGE
    WriteRange = 11,
    /// APPEND
    Append = 12,
    /// COMPARE_AND_REPLACE
    CompareAndReplace = 13,
    /// FETCH_ADD
    FetchAdd = 14,
    /// RESOLVE_IF_CHANGED
    ResolveIfChanged = 15,
    /// WATCH_RECORD
    WatchRecord = 16,
    /// LIST_RECORDS
    ListRecords = 17,
    /// RESERVE_RECORD
    ReserveRecord = 18,
    /// SET_LIFETIME
    SetLifetime = 19,
    /// REQUEST_OWNERSHIP
    RequestOwnership = 20,
}

impl Opcode {
    /// Every operation, in the order of their numbers.
    pub const ALL: [Self; 21] = [
        Self::CreateRecord,
        Self::UpdateRecordPermissions,
        Self::ResolvePointer,
        Self::ReplaceRecord,
        Self::DeleteRecord,
        Self::TakeoverRecord,
        Self::TransferRecord,
        Self::Identify,
        Self::Ping,
        Self::StatRecord,
        Self::ReadRange,
        Self::WriteRange,
        Self::Append,
        Self::CompareAndReplace,
        Self::FetchAdd,
        Self::ResolveIfChanged,
        Self::WatchRecord,
        Self::ListRecords,
        Self::ReserveRecord,
        Self::SetLifetime,
        Self::RequestOwnership,
    ];

    /// The operation with this number; `None` where there is none, ABORT included.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Whether the operation changes nothing, so that it can be repeated freely (docs/PROTOCOL.md §8.1).
    #[must_use]
    pub fn only_reads(self) -> bool {
        match self {
            Self::ResolvePointer
            | Self::Identify
            | Self::Ping
            | Self::StatRecord
            | Self::ReadRange
            | Self::ResolveIfChanged
            | Self::WatchRecord
            | Self::ListRecords => true,
            Self::CreateRecord
            | Self::UpdateRecordPermissions
            | Self::ReplaceRecord
            | Self::DeleteRecord
            | Self::TakeoverRecord
            | Self::TransferRecord
            | Self::WriteRange
            | Self::Append
            | Self::CompareAndReplace
            | Self::FetchAdd
            | Self::ReserveRecord
            | Self::SetLifetime
            | Self::RequestOwnership => false,
        }
    }

    /// The operation's name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CreateRecord => "CREATE_RECORD",
            Self::UpdateRecordPermissions => "UPDATE_RECORD_PERMISSIONS",
            Self::ResolvePointer => "RESOLVE_POINTER",
            Self::ReplaceRecord => "REPLACE_RECORD",
            Self::DeleteRecord => "DELETE_RECORD",
            Self::TakeoverRecord => "TAKEOVER_RECORD",
            Self::TransferRecord => "TRANSFER_RECORD",
            Self::Identify => "IDENTIFY",
            Self::Ping => "PING",
            Self::StatRecord => "STAT_RECORD",
            Self::ReadRange => "READ_RANGE",
            Self::WriteRange => "WRITE_RANGE",
            Self::Append => "APPEND",
            Self::CompareAndReplace => "COMPARE_AND_REPLACE",
            Self::FetchAdd => "FETCH_ADD",
            Self::ResolveIfChanged => "RESOLVE_IF_CHANGED",
            Self::WatchRecord => "WATCH_RECORD",
            Self::ListRecords => "LIST_RECORDS",
            Self::ReserveRecord => "RESERVE_RECORD",
            Self::SetLifetime => "SET_LIFETIME",
            Self::RequestOwnership => "REQUEST_OWNERSHIP",
        }
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A reply's code (docs/PROTOCOL.md §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    /// GENERIC_OP_SUCCESS
    Ok = 0,
    /// ACCESS_VIOLATION
    AccessViolation = 1,
    /// ADDRESS_FAULT
    AddressFault = 2,
    /// RESOLVE_POINTER
    Resolved = 3,
    /// MALFORMED_PACKET
    MalformedPacket = 4,
    /// INVALID_REQUEST
    InvalidRequest = 5,
    /// UNSUPPORTED_OP
    UnsupportedOp = 6,
    /// RECORD_TOO_LARGE
    RecordTooLarge = 7,
    /// QUOTA_EXCEEDED
    QuotaExceeded = 8,
    /// VERSION_MISMATCH
    VersionMismatch = 9,
    /// NOT_MODIFIED
    NotModified = 10,
    /// NOTIFY
    Notify = 11,
}

impl Code {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Ok,
        Self::AccessViolation,
        Self::AddressFault,
        Self::Resolved,
        Self::MalformedPacket,
        Self::InvalidRequest,
        Self::UnsupportedOp,
        Self::RecordTooLarge,
        Self::QuotaExceeded,
        Self::VersionMismatch,
        Self::NotModified,
        Self::Notify,
    ];

    /// The code with this number; `None` where there is none, ABORT included.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// The code's name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "GENERIC_OP_SUCCESS",
            Self::AccessViolation => "ACCESS_VIOLATION",
            Self::AddressFault => "ADDRESS_FAULT",
            Self::Resolved => "RESOLVE_POINTER",
            Self::MalformedPacket => "MALFORMED_PACKET",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::UnsupportedOp => "UNSUPPORTED_OP",
            Self::RecordTooLarge => "RECORD_TOO_LARGE",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::NotModified => "NOT_MODIFIED",
            Self::Notify => "NOTIFY",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read_back() {
        for number in 0..=255 {
            let known = Opcode::ALL.iter().copied().find(|opcode| *opcode as u8 == number);
            assert_eq!(Opcode::from_u8(number), known);
            let known = Code::ALL.iter().copied().find(|code| *code as u8 == number);
            assert_eq!(Code::from_u8(number), known);
        }
    }
}
