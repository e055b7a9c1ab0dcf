//! A reply while it arrives.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::memory;
use crate::wire::{Code, Header, MAX_PAYLOAD};

/// A piece is handed out as soon as it has this many bytes.
pub(super) const PIECE: usize = 64 * 1024;

/// A reply of which the first header has arrived.
#[derive(Debug)]
pub(super) struct Incoming {
    first: Header,
    /// The header that must come next.
    next: Option<Header>,
    data: Vec<u8>,
    /// Bytes that were handed out in pieces.
    handed_out: usize,
}

impl Incoming {
    pub(super) fn new(first: Header) -> Self {
        Self { first, next: first.continuation(), data: Vec::new(), handed_out: 0 }
    }

    /// Whether this packet is the reply's next.
    pub(super) fn goes_on_with(&mut self, header: &Header) -> bool {
        let fits = self.next == Some(*header);
        self.next = header.continuation();
        fits
    }

    pub(super) fn code(&self) -> u8 {
        self.first.opcode
    }

    pub(super) fn access(&self) -> u8 {
        self.first.access
    }

    /// Bytes of the whole reply's payload.
    pub(super) fn total(&self) -> u32 {
        self.first.remaining
    }

    /// Whether it is the data of a record.
    pub(super) fn is_record(&self) -> bool {
        self.code() == Code::Resolved as u8
    }

    /// Takes bytes that arrived, to be kept until the end or, in pieces, for a while.
    pub(super) fn take(&mut self, bytes: &[u8], pieces: bool) {
        let expected = self.total() as usize - self.handed_out;
        let most = if pieces { PIECE + MAX_PAYLOAD } else { usize::MAX };
        memory::extend(&mut self.data, bytes, expected.min(most));
    }

    /// The next piece, when there are bytes enough for one.
    pub(super) fn piece(&mut self) -> Option<Bytes> {
        (self.data.len() >= PIECE).then(|| self.rest())
    }

    /// The bytes that were not handed out.
    pub(super) fn rest(&mut self) -> Bytes {
        self.handed_out += self.data.len();
        core::mem::take(&mut self.data).into()
    }

    /// Frees what is here of a reply that nobody wants any more.
    pub(super) fn forget(&mut self) {
        self.data = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Xid;

    fn incoming(remaining: u32) -> Incoming {
        Incoming::new(Header { xid: Xid(1), remaining, opcode: Code::Resolved as u8, access: 0 })
    }

    #[test]
    fn a_reply_is_kept_without_slack_and_forgotten_at_once() {
        let mut reply = incoming(100_000);
        while reply.data.len() < 100_000 {
            let more = MAX_PAYLOAD.min(100_000 - reply.data.len());
            reply.take(&[1; MAX_PAYLOAD][..more], false);
        }
        assert_eq!((reply.data.capacity(), reply.rest().len()), (100_000, 100_000));
        reply.take(&[1; 100], false);
        reply.forget();
        assert_eq!(reply.data.capacity(), 0);
    }

    #[test]
    fn in_pieces_no_more_is_kept_than_a_piece_and_a_packet() {
        let total = 3 * PIECE;
        let (mut reply, mut given) = (incoming(total as u32), 0);
        while given < total {
            let more = MAX_PAYLOAD.min(total - given);
            reply.take(&[1; MAX_PAYLOAD][..more], true);
            given += more;
            let left = total - reply.handed_out;
            assert!(reply.data.capacity() <= left.min(PIECE + MAX_PAYLOAD), "{given}");
            assert_eq!(reply.piece().is_some(), given - (total - left) >= PIECE);
        }
        assert!(reply.rest().len() < PIECE);
        assert_eq!(reply.handed_out, total);
    }
}
