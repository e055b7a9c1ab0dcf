//! The packet: a 10-byte header and up to 1390 bytes of payload (docs/PROTOCOL.md §2.1).

use crate::types::Xid;

/// Bytes of a packet's header.
pub const HEADER_LEN: usize = 10;

/// The most bytes of payload in one packet; every packet of a message but its last has exactly as many.
pub const MAX_PAYLOAD: usize = 1390;

/// Bytes of a packet that is not its message's last.
pub const FULL_PACKET: usize = HEADER_LEN + MAX_PAYLOAD;

/// The most bytes that an adapter reads from a socket and hands over at a time. A connection keeps what it cannot handle
/// at once, because too many replies wait.
pub const READ_AT_MOST: usize = 128 * 1024;

/// A packet's header. Any ten bytes are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The transaction that the packet belongs to.
    pub xid: Xid,
    /// Payload bytes of the message from this packet on, this packet's own included.
    pub remaining: u32,
    /// The operation, or in a reply its code.
    pub opcode: u8,
    /// Access bits, or a flag, kind or detail.
    pub access: u8,
}

impl Header {
    /// Reads a header.
    #[must_use]
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        let [x0, x1, x2, x3, r0, r1, r2, r3, opcode, access] = *bytes;
        Self {
            xid: Xid(u32::from_be_bytes([x0, x1, x2, x3])),
            remaining: u32::from_be_bytes([r0, r1, r2, r3]),
            opcode,
            access,
        }
    }

    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let [x0, x1, x2, x3] = self.xid.0.to_be_bytes();
        let [r0, r1, r2, r3] = self.remaining.to_be_bytes();
        [x0, x1, x2, x3, r0, r1, r2, r3, self.opcode, self.access]
    }

    /// Bytes of payload in this packet.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        (self.remaining as usize).min(MAX_PAYLOAD)
    }

    /// Whether this is its message's last packet.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.remaining as usize <= MAX_PAYLOAD
    }

    /// The one header that may follow this one in the same message; `None` after the last.
    #[must_use]
    pub fn continuation(&self) -> Option<Self> {
        let remaining = self.remaining.checked_sub(MAX_PAYLOAD as u32).filter(|left| *left > 0)?;
        Some(Self { remaining, ..*self })
    }
}

/// The packets at the front of `input` that continue a message, as far as they have arrived whole and without the message's
/// last: their bytes, and the header of the latest of them, or what `header` was where there are none.
pub fn take_run<'a>(header: &mut Header, input: &mut &'a [u8]) -> &'a [u8] {
    let mut len = 0;
    while let Some(next) = header.continuation().filter(|next| !next.is_last())
        && let Some(packet) = input[len..].first_chunk::<FULL_PACKET>()
        && packet.first_chunk() == Some(&next.encode())
    {
        *header = next;
        len += FULL_PACKET;
    }
    let (run, rest) = input.split_at(len);
    *input = rest;
    run
}

/// A piece of a packet, as much of it as has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The packet's header.
    pub header: Header,
    /// Whether the header has just become complete: the first fragment of a packet.
    pub opens: bool,
    /// The next bytes of the packet's payload.
    pub payload: &'a [u8],
    /// Whether the packet is complete with these bytes.
    pub closes: bool,
}

/// Cuts a stream of bytes into packets, however it arrives.
///
/// A packet's first fragment comes as soon as its ten header bytes are there, so that a header can be
/// judged before any payload; a small packet that has arrived whole is a single fragment.
#[derive(Debug, Default)]
pub struct PacketReader {
    partial: [u8; HEADER_LEN],
    partial_len: usize,
    packet: Option<(Header, usize)>,
}

impl PacketReader {
    /// Takes the next fragment off the front of `input`; `None` when more bytes are needed.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<Fragment<'a>> {
        // A packet that has arrived whole, which most small ones have.
        if !self.is_inside_packet()
            && let Some((header, rest)) = input.split_first_chunk()
            && let header = Header::decode(header)
            && let Some((payload, rest)) = rest.split_at_checked(header.payload_len())
        {
            *input = rest;
            return Some(Fragment { header, opens: true, payload, closes: true });
        }
        self.next_part(input)
    }

    fn next_part<'a>(&mut self, input: &mut &'a [u8]) -> Option<Fragment<'a>> {
        let (header, left, opens) = match self.packet {
            Some((header, left)) => (header, left, false),
            None => {
                let header = self.header(input)?;
                (header, header.payload_len(), true)
            }
        };
        let (payload, rest) = input.split_at(left.min(input.len()));
        *input = rest;
        let left = left - payload.len();
        self.packet = (left > 0).then_some((header, left));
        let closes = left == 0;
        (opens || closes || !payload.is_empty()).then_some(Fragment { header, opens, payload, closes })
    }

    /// Whether a part of a packet has arrived and its end has not.
    #[must_use]
    pub fn is_inside_packet(&self) -> bool {
        self.packet.is_some() || self.partial_len > 0
    }

    fn header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.partial_len == 0
            && let Some((header, rest)) = input.split_first_chunk()
        {
            *input = rest;
            return Some(Header::decode(header));
        }
        let (taken, rest) = input.split_at(input.len().min(HEADER_LEN - self.partial_len));
        self.partial[self.partial_len..self.partial_len + taken.len()].copy_from_slice(taken);
        self.partial_len += taken.len();
        *input = rest;
        if self.partial_len < HEADER_LEN {
            return None;
        }
        self.partial_len = 0;
        Some(Header::decode(&self.partial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn a_message_of_three_packets_has_one_sequence_of_headers() {
        let first = Header { xid: Xid(7), remaining: 2781, opcode: 3, access: 0 };
        let second = first.continuation().unwrap();
        let third = second.continuation().unwrap();
        assert_eq!((second.remaining, third.remaining), (1391, 1));
        assert_eq!((first.is_last(), second.is_last(), third.is_last()), (false, false, true));
        assert_eq!(third.continuation(), None);
        assert_eq!(Header { remaining: 1390, ..first }.continuation(), None);
    }

    #[test]
    fn a_run_ends_before_what_has_not_arrived_before_the_last_and_before_what_does_not_continue() {
        let first = Header { xid: Xid(7), remaining: 4 * MAX_PAYLOAD as u32, opcode: 3, access: 0 };
        let [second, third] = [3, 2].map(|left| Header { remaining: left * MAX_PAYLOAD as u32, ..first });
        let last = Header { remaining: MAX_PAYLOAD as u32, ..first };
        let packet = |header: Header| [&header.encode()[..], &[5; MAX_PAYLOAD]].concat();
        let stream = [second, third, last].map(packet).concat();
        let runs = |input: &[u8]| {
            let (mut header, mut rest) = (first, input);
            let run = take_run(&mut header, &mut rest);
            assert_eq!([run, rest].concat(), input);
            (run.len() / FULL_PACKET, run.len() % FULL_PACKET, header)
        };
        assert_eq!(runs(&stream), (2, 0, third));
        assert_eq!(runs(&stream[..2 * FULL_PACKET]), (2, 0, third));
        assert_eq!(runs(&stream[..2 * FULL_PACKET - 1]), (1, 0, second));
        for short in [FULL_PACKET - 1, HEADER_LEN, HEADER_LEN - 1, 0] {
            assert_eq!(runs(&stream[..short]), (0, 0, first));
        }
        assert_eq!(runs(&[second, last].map(packet).concat()), (1, 0, second));
        assert_eq!(runs(&packet(third)), (0, 0, first));
    }

    #[test]
    fn a_packet_is_being_read_from_its_first_byte_to_its_last() {
        let header = Header { xid: Xid(7), remaining: 2, opcode: 3, access: 0 };
        let bytes = [&header.encode()[..], &[1, 2]].concat();
        let mut reader = PacketReader::default();
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(reader.is_inside_packet(), at > 0);
            let mut input = core::slice::from_ref(byte);
            while reader.next(&mut input).is_some() {}
        }
        assert!(!reader.is_inside_packet());
    }

    fn packets() -> impl Strategy<Value = Vec<(Header, Vec<u8>)>> {
        let header =
            (any::<u32>(), prop_oneof![0..4u32, 1380..1400u32, any::<u32>()], any::<u8>(), any::<u8>());
        let packet = header.prop_map(|(xid, remaining, opcode, access)| {
            let header = Header { xid: Xid(xid), remaining, opcode, access };
            (header, (0..header.payload_len()).map(|i| (i as u8) ^ access).collect())
        });
        proptest::collection::vec(packet, 0..6)
    }

    proptest! {
        #[test]
        fn any_cut_of_the_stream_gives_the_same_packets(packets in packets(), cuts in proptest::collection::vec(1..2000usize, 1..60)) {
            let stream: Vec<u8> = packets.iter().flat_map(|(h, p)| [&h.encode()[..], p].concat()).collect();
            let mut reader = PacketReader::default();
            let mut seen: Vec<(Header, Vec<u8>)> = Vec::new();
            let mut closed = 0;
            let mut rest = &stream[..];
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let (mut input, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                rest = later;
                while let Some(fragment) = reader.next(&mut input) {
                    if fragment.opens {
                        seen.push((fragment.header, Vec::new()));
                    }
                    let (header, payload) = seen.last_mut().unwrap();
                    prop_assert_eq!(*header, fragment.header);
                    payload.extend_from_slice(fragment.payload);
                    closed += usize::from(fragment.closes);
                }
                prop_assert!(input.is_empty());
            }
            prop_assert_eq!(closed, packets.len());
            prop_assert_eq!(seen, packets);
            prop_assert!(!reader.is_inside_packet());
        }
    }
}
