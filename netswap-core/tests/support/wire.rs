//! Requests as bytes and replies from bytes, written from docs/PROTOCOL.md alone.

use std::collections::BTreeMap;
use std::fmt;

/// Opcodes (§3.1).
pub(crate) mod op {
    pub(crate) const CREATE: u8 = 0;
    pub(crate) const PERMIT: u8 = 1;
    pub(crate) const RESOLVE: u8 = 2;
    pub(crate) const REPLACE: u8 = 3;
    pub(crate) const DELETE: u8 = 4;
    pub(crate) const TAKEOVER: u8 = 5;
    pub(crate) const TRANSFER: u8 = 6;
    pub(crate) const IDENTIFY: u8 = 7;
    pub(crate) const PING: u8 = 8;
    pub(crate) const STAT: u8 = 9;
    pub(crate) const READ_RANGE: u8 = 10;
    pub(crate) const WRITE_RANGE: u8 = 11;
    pub(crate) const APPEND: u8 = 12;
    pub(crate) const COMPARE: u8 = 13;
    pub(crate) const ADD: u8 = 14;
    pub(crate) const IF_CHANGED: u8 = 15;
    pub(crate) const WATCH: u8 = 16;
    pub(crate) const LIST: u8 = 17;
    pub(crate) const RESERVE: u8 = 18;
    pub(crate) const SET_LIFETIME: u8 = 19;
    pub(crate) const REQUEST_OWNERSHIP: u8 = 20;
    pub(crate) const UNKNOWN: u8 = 21;
    pub(crate) const ABORT: u8 = 255;
}

/// The most payload of a packet (§2.1).
pub(crate) const FULL: usize = 1390;

/// A header (§2.1).
pub(crate) fn header(xid: u32, remaining: u32, opcode: u8, access: u8) -> Vec<u8> {
    [&xid.to_be_bytes()[..], &remaining.to_be_bytes(), &[opcode, access]].concat()
}

/// The packets of a message (§2.2).
pub(crate) fn packets(xid: u32, opcode: u8, access: u8, payload: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    let payload = payload.as_ref();
    let mut packets = Vec::new();
    let mut rest = payload;
    loop {
        let (now, later) = rest.split_at(rest.len().min(FULL));
        packets.push([header(xid, rest.len() as u32, opcode, access), now.to_vec()].concat());
        rest = later;
        if rest.is_empty() {
            return packets;
        }
    }
}

/// A whole request.
pub(crate) fn request(xid: u32, opcode: u8, access: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    packets(xid, opcode, access, payload).concat()
}

/// A request about a record: the pointer, and what follows it.
pub(crate) fn about(xid: u32, opcode: u8, pointer: u64, rest: impl AsRef<[u8]>) -> Vec<u8> {
    request(xid, opcode, 0, pointed(pointer, rest))
}

/// A pointer, and what follows it.
pub(crate) fn pointed(pointer: u64, rest: impl AsRef<[u8]>) -> Vec<u8> {
    [&pointer.to_be_bytes()[..], rest.as_ref()].concat()
}

pub(crate) fn ping(xid: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    request(xid, op::PING, 0, payload)
}

/// READ_RANGE (§3.15).
pub(crate) fn read_range(xid: u32, pointer: u64, offset: u32, len: u32) -> Vec<u8> {
    about(xid, op::READ_RANGE, pointer, [offset.to_be_bytes(), len.to_be_bytes()].concat())
}

/// WRITE_RANGE (§3.16).
pub(crate) fn write_range(xid: u32, pointer: u64, offset: u32, data: impl AsRef<[u8]>) -> Vec<u8> {
    about(xid, op::WRITE_RANGE, pointer, [&offset.to_be_bytes(), data.as_ref()].concat())
}

/// APPEND (§3.17).
pub(crate) fn append(xid: u32, pointer: u64, data: impl AsRef<[u8]>) -> Vec<u8> {
    about(xid, op::APPEND, pointer, data)
}

/// COMPARE_AND_REPLACE (§3.18).
pub(crate) fn compare(xid: u32, pointer: u64, version: u64, data: impl AsRef<[u8]>) -> Vec<u8> {
    about(xid, op::COMPARE, pointer, [&version.to_be_bytes(), data.as_ref()].concat())
}

/// FETCH_ADD (§3.19).
pub(crate) fn add(xid: u32, pointer: u64, offset: u32, delta: i64) -> Vec<u8> {
    about(xid, op::ADD, pointer, [&offset.to_be_bytes()[..], &delta.to_be_bytes()].concat())
}

/// RESOLVE_IF_CHANGED (§3.20).
pub(crate) fn if_changed(xid: u32, pointer: u64, version: u64) -> Vec<u8> {
    about(xid, op::IF_CHANGED, pointer, version.to_be_bytes())
}

/// WATCH_RECORD (§3.21).
pub(crate) fn watch(xid: u32, pointer: u64, push: bool) -> Vec<u8> {
    request(xid, op::WATCH, u8::from(push), pointer.to_be_bytes())
}

/// SET_LIFETIME (§3.23).
pub(crate) fn lifetime(xid: u32, pointer: u64, grace: u32, ttl: u32, heir: u64) -> Vec<u8> {
    let rest = [&grace.to_be_bytes()[..], &ttl.to_be_bytes(), &heir.to_be_bytes()].concat();
    about(xid, op::SET_LIFETIME, pointer, rest)
}

/// UPDATE_RECORD_PERMISSIONS (§3.5).
pub(crate) fn permit(xid: u32, pointer: u64, access: u8) -> Vec<u8> {
    request(xid, op::PERMIT, access, pointer.to_be_bytes())
}

/// TRANSFER_RECORD (§3.10).
pub(crate) fn transfer(xid: u32, pointer: u64, owner: u64) -> Vec<u8> {
    about(xid, op::TRANSFER, pointer, owner.to_be_bytes())
}

/// An ABORT (§2.5).
pub(crate) fn abort(xid: u32) -> Vec<u8> {
    header(xid, 0, op::ABORT, 0)
}

/// Bytes of which each tells its place.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// A message from the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) xid: u32,
    pub(crate) code: u8,
    pub(crate) access: u8,
    pub(crate) payload: Vec<u8>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { xid, code, access, payload } = self;
        let shown = &payload[..payload.len().min(40)];
        write!(f, "[xid {xid} code {code} access {access}: {} bytes {shown:02x?}]", payload.len())
    }
}

/// A reply of any kind.
pub(crate) fn reply(xid: u32, code: u8, access: u8, payload: impl AsRef<[u8]>) -> Message {
    Message { xid, code, access, payload: payload.as_ref().to_vec() }
}

pub(crate) fn ok(xid: u32, payload: impl AsRef<[u8]>) -> Message {
    reply(xid, 0, 0, payload)
}

pub(crate) fn access_violation(xid: u32) -> Message {
    reply(xid, 1, 0, [])
}

pub(crate) fn address_fault(xid: u32) -> Message {
    reply(xid, 2, 0, [])
}

pub(crate) fn resolved(xid: u32, data: impl AsRef<[u8]>) -> Message {
    reply(xid, 3, 0, data)
}

/// The answer to READ_RANGE.
pub(crate) fn range(xid: u32, version: u64, len: u32, data: impl AsRef<[u8]>) -> Message {
    reply(xid, 3, 3, [&version.to_be_bytes()[..], &len.to_be_bytes(), data.as_ref()].concat())
}

/// The answer to a write: the new version.
pub(crate) fn version(xid: u32, version: u64) -> Message {
    ok(xid, version.to_be_bytes())
}

/// The answer to APPEND.
pub(crate) fn appended(xid: u32, version: u64, offset: u32) -> Message {
    ok(xid, [&version.to_be_bytes()[..], &offset.to_be_bytes()].concat())
}

/// The answer to FETCH_ADD.
pub(crate) fn added(xid: u32, version: u64, value: i64) -> Message {
    ok(xid, [version.to_be_bytes(), value.to_be_bytes()].concat())
}

/// The answer to RESOLVE_IF_CHANGED, where it has changed.
pub(crate) fn changed(xid: u32, version: u64, data: impl AsRef<[u8]>) -> Message {
    reply(xid, 3, 1, [&version.to_be_bytes(), data.as_ref()].concat())
}

pub(crate) fn mismatch(xid: u32, current: u64) -> Message {
    reply(xid, 9, 0, current.to_be_bytes())
}

pub(crate) fn not_modified(xid: u32) -> Message {
    reply(xid, 10, 0, [])
}

pub(crate) fn malformed(xid: u32, detail: u8) -> Message {
    reply(xid, 4, detail, [])
}

pub(crate) fn invalid(xid: u32, detail: u8) -> Message {
    reply(xid, 5, detail, [])
}

pub(crate) fn unsupported(xid: u32) -> Message {
    reply(xid, 6, 0, [])
}

pub(crate) fn too_large(xid: u32, limit: u32) -> Message {
    reply(xid, 7, 0, limit.to_be_bytes())
}

pub(crate) fn quota(xid: u32, detail: u8, limit: u64) -> Message {
    reply(xid, 8, detail, limit.to_be_bytes())
}

/// CHANGED to a pushing watch (§4.3).
pub(crate) fn pushed(xid: u32, version: u64, data: impl AsRef<[u8]>) -> Message {
    reply(xid, 11, 1, [&version.to_be_bytes(), data.as_ref()].concat())
}

/// CHANGED to a watch that does not push (§4.3).
pub(crate) fn noticed(xid: u32, version: u64) -> Message {
    pushed(xid, version, [])
}

/// RANGE_CHANGED (§4.3).
pub(crate) fn patched(xid: u32, version: u64, offset: u32, bytes: impl AsRef<[u8]>) -> Message {
    let at = [&version.to_be_bytes()[..], &offset.to_be_bytes()].concat();
    reply(xid, 11, 2, [&at, bytes.as_ref()].concat())
}

/// ACCESS_CHANGED (§4.3).
pub(crate) fn access_changed(xid: u32, access: u8) -> Message {
    reply(xid, 11, 3, [access])
}

/// OWNER_CHANGED (§4.3).
pub(crate) fn owner_changed(xid: u32, owner: u64) -> Message {
    reply(xid, 11, 4, owner.to_be_bytes())
}

/// OWNERSHIP_REQUESTED (§4.3).
pub(crate) fn ownership_requested(xid: u32, owner: u64) -> Message {
    reply(xid, 11, 5, owner.to_be_bytes())
}

/// A final notification (§4.3).
pub(crate) fn ended(xid: u32, kind: u8) -> Message {
    reply(xid, 11, kind, [])
}

/// The final kinds of notifications (§4.3).
pub(crate) const DELETED: u8 = 16;
pub(crate) const EXPIRED: u8 = 17;
pub(crate) const ACCESS_LOST: u8 = 18;

pub(crate) fn aborted(xid: u32) -> Message {
    reply(xid, 255, 0, [])
}

/// Whether a message is a refusal (§1.2).
pub(crate) fn is_refusal(message: &Message) -> bool {
    matches!(message.code, 1 | 2 | 5..=9)
}

/// Gathers replies from a stream of packets, and insists on the rules of §2.2.
#[derive(Default, Debug)]
pub(crate) struct Assembler {
    stream: Vec<u8>,
    /// The unfinished messages, with the REMAINING that has to come next.
    unfinished: BTreeMap<u32, (Message, usize)>,
}

impl Assembler {
    /// Whether there is neither half a packet nor half a message.
    pub(crate) fn is_idle(&self) -> bool {
        self.stream.is_empty() && self.unfinished.is_empty()
    }

    /// The messages that these bytes complete.
    #[track_caller]
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Message> {
        self.stream.extend_from_slice(bytes);
        let stream = std::mem::take(&mut self.stream);
        let mut rest = &stream[..];
        let mut messages = Vec::new();
        while let Some((header, after)) = rest.split_at_checked(10) {
            let xid = u32::from_be_bytes(header[..4].try_into().unwrap());
            let remaining = u32::from_be_bytes(header[4..8].try_into().unwrap()) as usize;
            let Some((payload, after)) = after.split_at_checked(remaining.min(FULL)) else { break };
            rest = after;
            messages.extend(self.packet(xid, remaining, (header[8], header[9]), payload));
        }
        self.stream = rest.to_vec();
        messages
    }

    #[track_caller]
    fn packet(
        &mut self,
        xid: u32,
        remaining: usize,
        (code, access): (u8, u8),
        payload: &[u8],
    ) -> Option<Message> {
        let mut message = match self.unfinished.remove(&xid) {
            Some(_) if code == op::ABORT => reply(xid, code, access, []),
            Some((message, expected)) => {
                let continued = (message.code, message.access, expected);
                assert_eq!((code, access, remaining), continued, "a packet that continues {message:?}");
                message
            }
            None => reply(xid, code, access, []),
        };
        message.payload.extend_from_slice(payload);
        if remaining <= FULL {
            return Some(message);
        }
        self.unfinished.insert(xid, (message, remaining - FULL));
        None
    }
}
