//! Replies of NetSwap: packets of several in turn, told apart by XID (docs/PROTOCOL.md §2.3).

use anyhow::{Context, Result, bail, ensure};
use netswap_core::types::Xid;
use netswap_core::wire::{Header, PacketReader};

use super::script::{Script, excerpt};

/// The XID of slot 0; the others follow.
pub(super) const FIRST_XID: u32 = 1;

/// The payload that a reply must have.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Data that are known.
    Data(Script),
    /// The version of a record that nobody else writes.
    Version {
        /// The next reply's.
        next: u64,
        /// By how much it grows from reply to reply.
        step: u64,
    },
}

#[derive(Clone, Debug)]
struct Slot {
    first: Header,
    /// The packet that must come next.
    next: Header,
    body: Body,
    /// Bytes of the payload that have come.
    at: usize,
    asked: bool,
}

/// The replies of one connection.
#[derive(Clone, Debug)]
pub(crate) struct ByXid {
    reader: Reader,
    slots: Vec<Slot>,
}

/// A packet reader at the beginning of a packet, when it is cloned.
#[derive(Debug, Default)]
struct Reader(PacketReader);

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl ByXid {
    /// For every slot the reply's code and payload.
    pub(super) fn new(replies: Vec<(u8, Body)>) -> Self {
        let slots = replies.into_iter().zip(FIRST_XID..).map(|((opcode, body), xid)| {
            let len = match &body {
                Body::Data(script) => script.len(),
                Body::Version { .. } => 8,
            };
            let first = Header { xid: Xid(xid), remaining: len as u32, opcode, access: 0 };
            Slot { first, next: first, body, at: 0, asked: false }
        });
        Self { reader: Reader::default(), slots: slots.collect() }
    }

    pub(super) fn expect(&mut self, slot: usize) {
        self.slots[slot].asked = true;
    }

    pub(super) fn take(&mut self, mut input: &[u8], done: &mut Vec<usize>) -> Result<()> {
        while let Some(fragment) = self.reader.0.next(&mut input) {
            let index = fragment.header.xid.0.wrapping_sub(FIRST_XID) as usize;
            let slot = self.slots.get_mut(index).context("a reply with an XID that was not used")?;
            if fragment.opens {
                let right = slot.asked && fragment.header == slot.next;
                ensure!(right, "a packet with {:?} where {:?} was to come", fragment.header, slot.next);
            }
            slot.take(fragment.payload)?;
            if fragment.closes {
                match fragment.header.continuation() {
                    Some(next) => slot.next = next,
                    None => {
                        slot.restart();
                        done.push(index);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Slot {
    fn take(&mut self, mut payload: &[u8]) -> Result<()> {
        match &mut self.body {
            Body::Data(script) => script.take(&mut payload)?,
            Body::Version { next, .. } => {
                if !next.to_be_bytes()[self.at..].starts_with(payload) {
                    bail!("version {} and not {next}", excerpt(payload));
                }
            }
        }
        self.at += payload.len();
        Ok(())
    }

    fn restart(&mut self) {
        match &mut self.body {
            Body::Data(script) => script.rewind(),
            Body::Version { next, step } => *next += *step,
        }
        (self.next, self.at, self.asked) = (self.first, 0, false);
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Piece;
    use super::*;
    use crate::pattern::Pattern;

    fn packet(xid: u32, remaining: u32, opcode: u8, payload: &[u8]) -> Vec<u8> {
        let header = Header { xid: Xid(xid), remaining, opcode, access: 0 };
        [&header.encode()[..], payload].concat()
    }

    fn replies() -> (ByXid, Vec<u8>) {
        let data = Pattern { phase: 9, len: 3000 };
        let bytes = data.bytes();
        let script = Script::new(vec![Piece::Data(data)]);
        let replies = ByXid::new(vec![(3, Body::Data(script)), (0, Body::Version { next: 7, step: 2 })]);
        let stream = [
            packet(1, 3000, 3, &bytes[..1390]),
            packet(2, 8, 0, &7u64.to_be_bytes()),
            packet(1, 1610, 3, &bytes[1390..2780]),
            packet(1, 220, 3, &bytes[2780..]),
        ];
        (replies, stream.concat())
    }

    #[test]
    fn packets_of_several_replies_come_in_turn_and_in_any_cut() {
        for cut in [0, 1, 10, 11, 1400, 1411, 2000, 3048] {
            let (mut replies, stream) = replies();
            for round in 0..2 {
                let mut stream = stream.clone();
                if round == 1 {
                    stream[1417] = 9;
                }
                replies.expect(0);
                replies.expect(1);
                let mut done = Vec::new();
                replies.take(&stream[..cut], &mut done).unwrap();
                replies.take(&stream[cut..], &mut done).unwrap();
                assert_eq!(done, [1, 0], "cut at {cut}");
            }
        }
    }

    #[test]
    fn every_wrong_byte_is_seen() {
        let len = replies().1.len();
        for at in (0..1430).chain(2790..len) {
            let (mut replies, mut stream) = replies();
            stream[at] ^= 1;
            replies.expect(0);
            replies.expect(1);
            assert!(replies.take(&stream, &mut Vec::new()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_reply_that_nobody_asked_for_is_seen() {
        let (mut replies, stream) = replies();
        replies.expect(0);
        assert!(replies.take(&stream, &mut Vec::new()).is_err());
    }
}
