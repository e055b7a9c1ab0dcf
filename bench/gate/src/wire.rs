//! What clients send, and where, and what is sent to them.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use bytes::Buf;
use netswap_core::config::{Config, Limits};
use netswap_core::identity::IdentityKey;
use netswap_core::time::Instant;
use netswap_core::types::Xid;
use netswap_core::wire::{Header, MAX_PAYLOAD, Message, Output, Request};

/// The transaction of every request.
pub(crate) const XID: u32 = 1;

/// When everything happens.
pub(crate) const START: Instant = Instant::ZERO;

/// Who connects.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server with room for everything that is done here.
pub(crate) fn config() -> Config {
    Config::new(Limits::new(1 << 30), IdentityKey([7; 16]), [7; 32])
}

/// A request as the packets that it is sent in.
pub(crate) fn request(xid: u32, request: Request<Vec<u8>>) -> Vec<u8> {
    packets_of(xid, request.encode())
}

/// A message as the packets that it is sent in.
pub(crate) fn packets(message: Message<Vec<u8>>) -> Vec<u8> {
    packets_of(XID, message)
}

fn packets_of(xid: u32, message: Message<Vec<u8>>) -> Vec<u8> {
    let payload = [message.operands.as_slice(), &message.body].concat();
    let header = Header {
        xid: Xid(xid),
        remaining: payload.len() as u32,
        opcode: message.opcode,
        access: message.access,
    };
    let headers = std::iter::successors(Some(header), Header::continuation);
    let parts = payload.chunks(MAX_PAYLOAD).chain(payload.is_empty().then_some(&[][..]));
    headers.zip(parts).flat_map(|(header, part)| [&header.encode()[..], part].concat()).collect()
}

/// Looks at what adapters would write next, in one piece or in several, and tells how many bytes these are.
pub(crate) fn ready(output: &Output) -> usize {
    let first = black_box(output.chunk()).len();
    if first == output.window_len() {
        return first;
    }
    output.slices().map(|slice| black_box(slice).len()).sum()
}
