//! Any bytes are a stream of packets, however they are cut, and a request among them is read as it was written.

use netswap_core::types::Xid;
use netswap_core::wire::{HEADER_LEN, Header, MAX_PAYLOAD, Opcode, PacketReader, Request};

use crate::source::{Source, pieces};

/// A packet, or the beginning of one.
#[derive(Debug, PartialEq)]
struct Packet<'a> {
    header: Header,
    /// What is there of it.
    payload: &'a [u8],
    closed: bool,
}

/// The first bytes decide how the others are cut.
pub fn packets(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let cuts = source.cuts();
    let stream = source.take(usize::MAX);
    let (expected, inside) = naive(stream);
    for cuts in [&[usize::MAX][..], &cuts] {
        let mut reader = PacketReader::default();
        let mut read: Vec<(Header, Vec<u8>, bool)> = Vec::new();
        for mut piece in pieces(stream, cuts) {
            while let Some(fragment) = reader.next(&mut piece) {
                assert!(
                    fragment.opens || fragment.closes || !fragment.payload.is_empty(),
                    "a fragment of nothing"
                );
                if fragment.opens {
                    assert!(read.last().is_none_or(|(_, _, closed)| *closed), "a packet within a packet");
                    read.push((fragment.header, Vec::new(), false));
                }
                let (header, payload, closed) = read.last_mut().expect("the first fragment opens a packet");
                assert!(!*closed && *header == fragment.header);
                payload.extend_from_slice(fragment.payload);
                *closed = fragment.closes;
            }
            assert!(piece.is_empty(), "{} bytes are not read", piece.len());
        }
        assert_eq!(reader.is_inside_packet(), inside);
        assert_eq!(read.len(), expected.len());
        for ((header, payload, closed), packet) in read.iter().zip(&expected) {
            assert_eq!((*header, &payload[..], *closed), (packet.header, packet.payload, packet.closed));
        }
    }
    expected.iter().for_each(check);
}

/// The packets of a stream, and whether it ends inside one (docs/PROTOCOL.md §2.1).
fn naive(stream: &[u8]) -> (Vec<Packet<'_>>, bool) {
    let (mut packets, mut rest) = (Vec::new(), stream);
    while let Some((header, after)) = rest.split_first_chunk::<HEADER_LEN>() {
        let number =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let header =
            Header { xid: Xid(number(0)), remaining: number(4), opcode: header[8], access: header[9] };
        let len = header.remaining.min(MAX_PAYLOAD as u32) as usize;
        let (payload, after) = after.split_at(len.min(after.len()));
        let closed = payload.len() == len;
        packets.push(Packet { header, payload, closed });
        rest = after;
        if !closed {
            return (packets, true);
        }
    }
    (packets, !rest.is_empty())
}

/// What is true of every packet alone.
fn check(packet: &Packet<'_>) {
    let header = packet.header;
    assert_eq!(Header::decode(&header.encode()), header);
    match header.continuation() {
        Some(next) => {
            assert!(!header.is_last());
            assert_eq!(next, Header { remaining: header.remaining - MAX_PAYLOAD as u32, ..header });
        }
        None => assert!(header.is_last()),
    }
    let Some(opcode) = Opcode::from_u8(header.opcode) else {
        assert!(header.opcode > 20);
        return;
    };
    // A request is read by its first packet, from its operands alone.
    let operands = &packet.payload[..opcode.operand_len().min(packet.payload.len())];
    if let Ok(request) = Request::parse(opcode, header.access, header.remaining, operands) {
        assert_eq!(request.opcode(), opcode);
        assert_eq!(request.data().is_some(), opcode.has_data());
        let message = request.encode();
        assert_eq!((message.opcode, message.access), (header.opcode, header.access));
        assert_eq!(message.operands.as_slice(), operands);
        assert_eq!(u64::from(message.body) + operands.len() as u64, u64::from(header.remaining));
    }
}
