//! One message on its way into the output's window.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::memory::{Data, Piece, Pieces, Unread};
use crate::types::Xid;
use crate::wire::message::Operands;
use crate::wire::packet::{FULL_PACKET, HEADER_LEN, Header, MAX_PAYLOAD};
use crate::wire::window::Window;

/// How much of a message is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Bytes of data that were given and are not in the window.
    pub given: usize,
    /// Bytes of payload that are not in the window, given or not.
    pub payload: u32,
}

/// A message that is not completely in the window.
#[derive(Debug)]
pub(super) struct Lane {
    /// The header of the next packet.
    next: Header,
    operands: Operands,
    operands_taken: bool,
    chunks: VecDeque<Chunk>,
    /// What was given and is in no chunk yet.
    rest: Option<Box<Pieces>>,
    /// Bytes that were given and are not in the window.
    chunks_len: usize,
}

/// What was given and is not in the window, of one source of its.
#[derive(Debug)]
struct Chunk {
    source: usize,
    at: usize,
    end: usize,
}

/// Bytes that a message takes, and what was given of it from one source.
#[cfg(test)]
pub(super) const LANE: (usize, usize) = (size_of::<Lane>(), size_of::<Chunk>());

impl Lane {
    pub(super) fn new(next: Header, operands: Operands) -> Self {
        Self { next, operands, operands_taken: false, chunks: VecDeque::new(), rest: None, chunks_len: 0 }
    }

    pub(super) fn xid(&self) -> Xid {
        #[cfg(test)]
        steps::count();
        self.next.xid
    }

    /// Gives more data. Behind data that do not lie together none may follow.
    pub(super) fn give(&mut self, data: Data, window: &mut Window) {
        if data.is_empty() {
            return;
        }
        self.chunks_len += data.len();
        match data.unread() {
            Unread::Piece(piece) => self.add_chunk(piece, window),
            Unread::Pieces(pieces) => self.rest = Some(pieces),
        }
    }

    fn add_chunk(&mut self, piece: Piece, window: &mut Window) {
        let end = piece.as_ref().len();
        self.chunks.push_back(Chunk { source: window.keep(piece), at: 0, end });
    }

    /// The chunk that comes next.
    fn next_chunk(&mut self, window: &mut Window) -> Option<&mut Chunk> {
        if self.chunks.is_empty()
            && let Some(rest) = &mut self.rest
        {
            match rest.next(&mut window.garbage) {
                Some(piece) => self.add_chunk(piece, window),
                None => self.rest = None,
            }
        }
        self.chunks.front_mut()
    }

    /// Gives up what is not in the window.
    pub(super) fn cancel(&mut self, window: &mut Window) {
        self.chunks.drain(..).for_each(|chunk| window.let_go(chunk.source));
        if let Some(mut rest) = self.rest.take() {
            rest.let_go(&mut window.garbage);
        }
    }

    pub(super) fn unsent(&self) -> Unsent {
        Unsent { given: self.chunks_len, payload: self.next.remaining }
    }

    /// Bytes of payload that have not been given yet.
    pub(super) fn missing(&self) -> usize {
        (self.next.remaining as usize).saturating_sub(self.available())
    }

    /// Whether the next packet is here.
    pub(super) fn is_ready(&self) -> bool {
        self.available() >= self.next.payload_len()
    }

    /// Bytes of whole packets that are here and not in the window.
    pub(super) fn ready(&self) -> u64 {
        let remaining = self.next.remaining as usize;
        let available = self.available();
        let (packets, payload) = if available >= remaining {
            (remaining.div_ceil(MAX_PAYLOAD).max(1), remaining)
        } else {
            let packets = available / MAX_PAYLOAD;
            (packets, packets * MAX_PAYLOAD)
        };
        (packets * HEADER_LEN + payload) as u64
    }

    /// Whether all of it is in the window.
    pub(super) fn is_over(&self) -> bool {
        self.operands_taken && self.next.remaining == 0
    }

    /// Moves the next packet, which is ready, into the window.
    pub(super) fn take_packet(&mut self, window: &mut Window) {
        window.copy(&self.next.encode());
        let payload = self.next.payload_len();
        self.next.remaining -= payload as u32;
        let mut left = payload;
        if !self.operands_taken {
            self.operands_taken = true;
            window.copy(self.operands.as_slice());
            left -= self.operands.as_slice().len();
        }
        self.chunks_len -= left;
        while left > 0
            && let Some(chunk) = self.next_chunk(window)
        {
            let len = left.min(chunk.end - chunk.at);
            window.refer(chunk.source, chunk.at, len);
            chunk.at += len;
            left -= len;
            self.drop_empty_chunk(window);
        }
    }

    /// Moves packets after the first into the window as long as it has room for them among `most` bytes: full ones that have
    /// the bytes of one source together. Whether there were any.
    pub(super) fn take_run(&mut self, window: &mut Window, most: usize) -> bool {
        if !self.operands_taken {
            return false;
        }
        let mut any = false;
        while !self.is_over() && self.is_ready() && window.has_room(most) {
            let before_last = (self.next.remaining as usize).saturating_sub(1) / MAX_PAYLOAD;
            let room = (most - window.len()) / FULL_PACKET;
            let next = self.next;
            match self.next_chunk(window) {
                Some(chunk) if before_last > 0 && chunk.end - chunk.at >= MAX_PAYLOAD => {
                    let packets = room.min(before_last).min((chunk.end - chunk.at) / MAX_PAYLOAD);
                    let (source, at) = (chunk.source, chunk.at);
                    chunk.at += packets * MAX_PAYLOAD;
                    self.next = window.add_packets(next, packets, source, at);
                    self.chunks_len -= packets * MAX_PAYLOAD;
                    self.drop_empty_chunk(window);
                }
                _ => self.take_packet(window),
            }
            any = true;
        }
        any
    }

    fn drop_empty_chunk(&mut self, window: &mut Window) {
        if let Some(chunk) = self.chunks.front().filter(|chunk| chunk.at == chunk.end) {
            window.let_go(chunk.source);
            self.chunks.pop_front();
        }
    }

    /// Bytes of payload that are here and not in the window.
    fn available(&self) -> usize {
        let operands = if self.operands_taken { 0 } else { self.operands.as_slice().len() };
        operands + self.chunks_len
    }
}

/// How often a test has looked at a message.
#[cfg(test)]
pub(super) mod steps {
    use core::cell::Cell;

    std::thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    pub(in crate::wire) fn taken() -> usize {
        STEPS.take()
    }
}
