//! What clients send, and where.

use std::net::{IpAddr, Ipv4Addr};

use netswap_core::config::{Config, Limits};
use netswap_core::identity::IdentityKey;
use netswap_core::time::Instant;
use netswap_core::types::Xid;
use netswap_core::wire::{Header, MAX_PAYLOAD, Message};

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

/// A message as the packets that it is sent in.
pub(crate) fn packets(message: Message<Vec<u8>>) -> Vec<u8> {
    let payload = [message.operands.as_slice(), &message.body].concat();
    let header = Header {
        xid: Xid(XID),
        remaining: payload.len() as u32,
        opcode: message.opcode,
        access: message.access,
    };
    let headers = std::iter::successors(Some(header), Header::continuation);
    let parts = payload.chunks(MAX_PAYLOAD).chain(payload.is_empty().then_some(&[][..]));
    headers.zip(parts).flat_map(|(header, part)| [&header.encode()[..], part].concat()).collect()
}
