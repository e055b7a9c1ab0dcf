//! Packets as the suite sees them: split without judging, so that wrong ones can be shown.

use std::ops::Range;

/// The bytes of a packet's header.
pub const HEADER: usize = 10;

/// The most bytes of payload in a packet.
pub const FULL: usize = 1390;

/// A byte that may not be known.
pub trait MaybeByte: Copy {
    /// The byte, if it is known.
    fn known(self) -> Option<u8>;
}

impl MaybeByte for u8 {
    fn known(self) -> Option<u8> {
        Some(self)
    }
}

impl MaybeByte for Option<u8> {
    fn known(self) -> Option<u8> {
        self
    }
}

/// A packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transaction.
    pub xid: u32,
    /// The bytes of the message from this packet on.
    pub remaining: u32,
    /// The operation or the reply code.
    pub opcode: u8,
    /// The ACCESS byte.
    pub access: u8,
}

impl Header {
    /// Reads a header whose bytes are all known.
    #[must_use]
    pub fn read<B: MaybeByte>(bytes: &[B]) -> Option<Self> {
        let mut header = [0; HEADER];
        for (slot, byte) in header.iter_mut().zip(bytes.get(..HEADER)?) {
            *slot = byte.known()?;
        }
        let [x0, x1, x2, x3, r0, r1, r2, r3, opcode, access] = header;
        let (xid, remaining) = (u32::from_be_bytes([x0, x1, x2, x3]), u32::from_be_bytes([r0, r1, r2, r3]));
        Some(Self { xid, remaining, opcode, access })
    }

    /// The bytes of the packet's payload.
    #[must_use]
    pub fn payload(self) -> usize {
        (self.remaining as usize).min(FULL)
    }
}

/// A packet in a stream; the last one of a stream may be cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// `None` where the header is cut off, or has bytes that are not known.
    pub header: Option<Header>,
    /// Where it stands.
    pub range: Range<usize>,
    /// Whether all of it is there.
    pub complete: bool,
}

/// Splits a stream into packets.
#[must_use]
pub fn packets<B: MaybeByte>(stream: &[B]) -> Vec<Packet> {
    let (mut packets, mut at) = (Vec::new(), 0);
    while at < stream.len() {
        let header = Header::read(&stream[at..]);
        let end = header.map_or(usize::MAX, |header| at + HEADER + header.payload());
        packets.push(Packet { header, range: at..end.min(stream.len()), complete: end <= stream.len() });
        at = end;
    }
    packets
}

/// Splits a stream that has to be whole packets; otherwise the offset of the one that is not.
///
/// # Errors
///
/// Where the first packet begins that is cut off, or whose header is not known.
pub fn whole_packets<B: MaybeByte>(stream: &[B]) -> Result<Vec<Packet>, usize> {
    let packets = packets(stream);
    match packets.iter().find(|packet| !packet.complete) {
        Some(packet) => Err(packet.range.start),
        None => Ok(packets),
    }
}
