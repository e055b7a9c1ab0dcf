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
