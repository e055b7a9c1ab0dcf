//! NetSwap (docs/PROTOCOL.md).

use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Code, HEADER_LEN, Header, MAX_PAYLOAD, Message, Notification, Reply, Request};

use super::join::Join;
use super::netswap_replies::{Body, ByXid, FIRST_XID};
use super::script::{Piece, Script};
use super::{
    Change, Exchange, FanOut, Prepared, Replies, Speak, Work, ask, converse, patched, stored, written,
};
use crate::pattern::Pattern;

/// NetSwap.
pub(crate) struct NetSwap;

impl Speak for NetSwap {
    fn prepare(&self, stream: &mut TcpStream, work: Work, depth: usize, index: usize) -> Result<Prepared> {
        let (exchange, afterwards) = match work {
            Work::Read { len } => {
                let record = stored(index, len);
                let pointer = create(stream, record)?;
                (reading(&vec![(pointer, vec![record]); depth]), None)
            }
            Work::Write { len } => {
                let pointer = create(stream, stored(index, len))?;
                let data = written(index, len);
                let request = Request::ReplaceRecord { pointer, data: data.bytes() };
                (writing(&request, depth), Some(reading(&[(pointer, vec![data])])))
            }
            Work::Patch { len, patch } => {
                let pointer = create(stream, stored(index, len))?;
                let [before, data, behind] = patched(index, len, patch);
                let offset = u32::try_from(before.len)?;
                let request = Request::WriteRange { pointer, offset, data: data.bytes() };
                (writing(&request, depth), Some(reading(&[(pointer, vec![before, data, behind])])))
            }
            Work::Beside { small, large } => {
                let records = [stored(index, small), stored(index + 1, large)];
                let pointers = [create(stream, records[0])?, create(stream, records[1])?];
                (reading(&[(pointers[0], vec![records[0]]), (pointers[1], vec![records[1]])]), None)
            }
        };
        Ok(Prepared { exchange, afterwards })
    }

    fn fill(&self, stream: &mut TcpStream, first: u64, count: u64, len: usize) -> Result<()> {
        let record = |number: u64| stored(number as usize, len);
        let requests = (0..count).map(|i| {
            let request = Request::CreateRecord { access: Access::READ, data: record(first + i).bytes() };
            packets(i as u32, request.encode())
        });
        let requests: Vec<u8> = requests.flatten().collect();
        let replies = ask(stream, &requests, count as usize * (HEADER_LEN + 8))?;
        let mut last = None;
        for (reply, xid) in replies.chunks(HEADER_LEN + 8).zip(0..) {
            last = Some((created(reply, xid)?, vec![record(first + u64::from(xid))]));
        }
        reading(&[last.context("no records")?]).once(stream)
    }

    fn fan_out(&self) -> Option<&dyn FanOut> {
        Some(self)
    }

    fn join(&self) -> Option<&dyn Join> {
        Some(self)
    }
}

impl FanOut for NetSwap {
    fn topic(&self, stream: &mut TcpStream, len: usize) -> Result<u64> {
        Ok(create(stream, stored(0, len))?.0)
    }

    fn watch(&self, stream: &mut TcpStream, topic: u64, len: usize) -> Result<()> {
        let watch: Request<Vec<u8>> = Request::WatchRecord { pointer: Pointer(topic), push: true };
        let watching: Reply<Vec<u8>> = Reply::Written(Version::FIRST);
        let answers = [packets(FIRST_XID, watching.encode()), told(0, len)].concat();
        converse(stream, &packets(FIRST_XID, watch.encode()), &answers)
    }

    fn change(&self, topic: u64, number: u64, len: usize, _watchers: usize) -> Change {
        let data = stored(number as usize, len).bytes();
        let request = Request::ReplaceRecord { pointer: Pointer(topic), data };
        let written: Reply<Vec<u8>> = Reply::Written(Version(number + 1));
        Change {
            request: packets(FIRST_XID, request.encode()),
            reply: packets(FIRST_XID, written.encode()),
            told: told(number, len),
        }
    }
}

/// What the watchers are told of the change with this number: of number 0 when they begin to watch.
fn told(number: u64, len: usize) -> Vec<u8> {
    let data = Some(stored(number as usize, len).bytes());
    packets(FIRST_XID, Notification::Changed { version: Version(number + 1), data }.encode())
}

/// Bytes on the wire of a message with such a payload.
pub(super) fn wire_len(payload: usize) -> usize {
    payload + HEADER_LEN * payload.div_ceil(MAX_PAYLOAD).max(1)
}

/// A message as the packets that it is sent in.
pub(super) fn packets(xid: u32, message: Message<Vec<u8>>) -> Vec<u8> {
    let payload = [message.operands.as_slice(), &message.body].concat();
    let mut header = Header {
        xid: Xid(xid),
        remaining: payload.len() as u32,
        opcode: message.opcode,
        access: message.access,
    };
    let mut bytes = Vec::with_capacity(wire_len(payload.len()));
    bytes.extend_from_slice(&header.encode());
    for (number, part) in payload.chunks(MAX_PAYLOAD).enumerate() {
        if number > 0 {
            header.remaining -= MAX_PAYLOAD as u32;
            bytes.extend_from_slice(&header.encode());
        }
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Makes a record that everybody may read.
fn create(stream: &mut TcpStream, record: Pattern) -> Result<Pointer> {
    let request = Request::CreateRecord { access: Access::READ, data: record.bytes() };
    let reply = ask(stream, &packets(FIRST_XID, request.encode()), HEADER_LEN + 8)?;
    created(&reply, FIRST_XID)
}

/// The pointer in the reply to CREATE_RECORD.
pub(super) fn created(reply: &[u8], xid: u32) -> Result<Pointer> {
    let (header, pointer) = reply.split_first_chunk().context("a short reply")?;
    let right = Header { xid: Xid(xid), remaining: 8, opcode: Code::Ok as u8, access: 0 };
    let header = Header::decode(header);
    ensure!(header == right, "no record was made: {header:?}");
    Ok(Pointer(u64::from_be_bytes(pointer.try_into()?)))
}

/// RESOLVE_POINTER of a record and what it holds, for every slot.
fn reading(records: &[(Pointer, Vec<Pattern>)]) -> Exchange {
    let requests = records.iter().zip(FIRST_XID..).map(|((pointer, _), xid)| {
        let request: Request<Vec<u8>> = Request::ResolvePointer { pointer: *pointer };
        packets(xid, request.encode())
    });
    let replies = records.iter().map(|(_, data)| {
        let script = Script::new(data.iter().copied().map(Piece::Data).collect());
        (Code::Resolved as u8, Body::Data(script))
    });
    Exchange { requests: requests.collect(), replies: Replies::ByXid(ByXid::new(replies.collect())) }
}

/// The same write in every slot: their versions follow from their order (docs/PROTOCOL.md §3.3).
fn writing(request: &Request<Vec<u8>>, depth: usize) -> Exchange {
    let requests = (FIRST_XID..).take(depth).map(|xid| packets(xid, request.clone().encode()));
    let replies = (2..).take(depth).map(|next| (Code::Ok as u8, Body::Version { next, step: depth as u64 }));
    Exchange { requests: requests.collect(), replies: Replies::ByXid(ByXid::new(replies.collect())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_as_the_protocol_says() {
        for (len, packet_count) in [(0, 1), (1, 1), (1390, 1), (1391, 2), (2780, 2), (3000, 3)] {
            let data = Pattern { phase: 0, len }.bytes();
            let bytes = packets(5, Request::CreateRecord { access: Access::READ, data }.encode());
            assert_eq!(bytes.len(), len + packet_count * HEADER_LEN);
            assert_eq!(bytes.len(), wire_len(len));
        }
    }
}
