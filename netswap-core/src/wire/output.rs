//! What waits to be sent on one connection: messages cut into packets and served in turn
//! (docs/PROTOCOL.md §2.3).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::types::Xid;
use crate::wire::message::{Message, Operands};
use crate::wire::packet::{HEADER_LEN, Header, MAX_PAYLOAD};

/// How many bytes of packets are put in order ahead of the socket.
///
/// Whatever is queued later waits for these at most before its first packet goes out.
pub const WINDOW: usize = 64 * 1024;

/// In a message of several packets, a piece of data no longer than this is copied rather than referred to.
const COPY_AT_MOST: usize = 128;

/// An emptied buffer larger than this is given back, so that idle connections stay small.
const KEEP_AT_MOST: usize = 4096;

/// The output of one connection, as a [`Buf`].
///
/// Messages wait in *lanes*, of which each gives one packet in turn, so that a small message never waits for
/// a large one. The packets of the next 64 KiB are put in order ahead (the *window*). Headers and small messages are
/// copied into the window; large data are referred to there as slices of their own [`Bytes`], never copied.
/// Messages under one transaction id follow each other.
///
/// `remaining` counts all that can be sent now, beyond the window too. For vectored writes there is
/// [`slices`](Self::slices), since `std::io::IoSlice` is not for a core without `std`.
#[derive(Debug, Default)]
pub struct Output {
    /// The bytes of all `Segment::Copied` in the window, from `copied_at` on.
    copied: Vec<u8>,
    copied_at: usize,
    window: VecDeque<Segment>,
    window_len: usize,
    /// Where in the stream the messages end whose last packet is in the window.
    ends: VecDeque<u64>,
    /// Bytes taken from this output since it began.
    taken: u64,
    lanes: VecDeque<Lane>,
    /// Messages that wait for a lane of the same transaction to end.
    followers: VecDeque<Lane>,
    /// How many lanes and followers a transaction has.
    transactions: HashMap<Xid, u32, FixedState>,
    /// Bytes that can be sent: the window and all whole packets in lanes and followers.
    len: u64,
}

#[derive(Debug)]
enum Segment {
    Copied(usize),
    Slice(Bytes),
}

/// A message that is not completely in the window.
#[derive(Debug)]
struct Lane {
    /// The header of the next packet.
    next: Header,
    operands: Operands,
    operands_taken: usize,
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks` together.
    chunks_len: usize,
}

impl Output {
    /// Queues a message; it is cut into packets on its way out.
    ///
    /// The payload must be shorter than 2^32 bytes; what is beyond is not sent.
    pub fn push<B: AsRef<[u8]> + Into<Bytes>>(&mut self, xid: Xid, message: Message<B>) {
        let Message { opcode, access, operands, body } = message;
        let payload = operands.as_slice().len() + body.as_ref().len();
        let remaining = u32::try_from(payload).unwrap_or(u32::MAX);
        let next = Header { xid, remaining, opcode, access };
        if self.lanes.is_empty() && next.is_last() && self.window_len < WINDOW {
            self.copy(&next.encode());
            self.copy(operands.as_slice());
            self.copy(body.as_ref());
            self.len += (HEADER_LEN + payload) as u64;
            self.end_message();
            return;
        }
        let mut lane = Lane { next, operands, operands_taken: 0, chunks: VecDeque::new(), chunks_len: 0 };
        lane.give(body.into());
        self.enqueue(lane);
    }

    /// Queues a message whose body of `body_len` bytes is given piece by piece with [`provide`](Self::provide).
    ///
    /// A packet leaves as soon as all of its bytes are there; other messages go on meanwhile.
    pub fn push_streamed(&mut self, xid: Xid, message: Message<u32>) {
        let Message { opcode, access, operands, body } = message;
        let remaining = body.saturating_add(operands.as_slice().len() as u32);
        let next = Header { xid, remaining, opcode, access };
        self.enqueue(Lane { next, operands, operands_taken: 0, chunks: VecDeque::new(), chunks_len: 0 });
    }

    /// Gives the next bytes of a streamed message. What is beyond its length is ignored; `false` when
    /// no message of this transaction is waiting.
    pub fn provide(&mut self, xid: Xid, mut bytes: Bytes) -> bool {
        let Some(lane) = self.lanes.iter_mut().chain(&mut self.followers).find(|lane| lane.next.xid == xid)
        else {
            return false;
        };
        let before = lane.ready();
        bytes.truncate(lane.missing());
        lane.give(bytes);
        self.len += lane.ready() - before;
        self.fill_window();
        true
    }

    /// Bytes given to a streamed message that are not in the window yet; `None` when no message of this
    /// transaction is waiting.
    #[must_use]
    pub fn unsent(&self, xid: Xid) -> Option<Unsent> {
        let lane = self.lanes.iter().chain(&self.followers).find(|lane| lane.next.xid == xid)?;
        Some(Unsent { given: lane.chunks_len, payload: lane.next.remaining })
    }

    /// Drops what is not in the window of every message of this transaction; whether there was anything.
    pub fn cancel(&mut self, xid: Xid) -> bool {
        if self.transactions.remove(&xid).is_none() {
            return false;
        }
        for queue in [&mut self.lanes, &mut self.followers] {
            queue.retain(|lane| {
                let keep = lane.next.xid != xid;
                self.len -= if keep { 0 } else { lane.ready() };
                keep
            });
        }
        true
    }

    /// Drops every message that has no packet in the window yet, and the rest of all others.
    pub fn cancel_all(&mut self) {
        self.lanes.clear();
        self.followers.clear();
        self.transactions.clear();
        self.len = self.window_len as u64;
    }

    /// Messages that are not completely taken.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.ends.len() + self.lanes.len() + self.followers.len()
    }

    /// Whether nothing is left to be sent, now or when a streamed message goes on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.window.is_empty() && self.lanes.is_empty()
    }

    /// Bytes that can be sent now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes taken since the beginning.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The slices of the window in order, for a vectored write.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = self.copied_at;
        self.window.iter().map(move |segment| match segment {
            Segment::Copied(len) => {
                at += len;
                &self.copied[at - len..at]
            }
            Segment::Slice(slice) => slice,
        })
    }

    fn enqueue(&mut self, lane: Lane) {
        self.len += lane.ready();
        let of_transaction = self.transactions.entry(lane.next.xid).or_insert(0);
        *of_transaction += 1;
        if *of_transaction > 1 {
            self.followers.push_back(lane);
        } else {
            self.lanes.push_back(lane);
        }
        self.fill_window();
    }

    /// Moves packets from the lanes into the window, one of each lane in turn, until it is full.
    fn fill_window(&mut self) {
        let mut starved = 0;
        while self.window_len < WINDOW && starved < self.lanes.len() {
            let Some(mut lane) = self.lanes.pop_front() else { return };
            if lane.ready() == 0 {
                starved += 1;
                self.lanes.push_back(lane);
                continue;
            }
            starved = 0;
            self.take_packet(&mut lane);
            match lane.next.continuation() {
                Some(next) => {
                    lane.next = next;
                    self.lanes.push_back(lane);
                }
                None => self.end_lane(lane.next.xid),
            }
        }
    }

    fn take_packet(&mut self, lane: &mut Lane) {
        self.copy(&lane.next.encode());
        let operands = &lane.operands.as_slice()[lane.operands_taken..];
        self.copy(operands);
        lane.operands_taken += operands.len();
        let mut left = lane.next.payload_len() - operands.len();
        lane.chunks_len -= left;
        while left > 0
            && let Some(chunk) = lane.chunks.front_mut()
        {
            let piece = chunk.split_to(left.min(chunk.len()));
            left -= piece.len();
            if chunk.is_empty() {
                lane.chunks.pop_front();
            }
            if piece.len() <= COPY_AT_MOST {
                self.copy(&piece);
            } else {
                self.window_len += piece.len();
                self.window.push_back(Segment::Slice(piece));
            }
        }
    }

    fn end_lane(&mut self, xid: Xid) {
        self.end_message();
        let Some(left) = self.transactions.get_mut(&xid) else { return };
        *left -= 1;
        if *left == 0 {
            self.transactions.remove(&xid);
        } else if let Some(at) = self.followers.iter().position(|lane| lane.next.xid == xid) {
            self.lanes.extend(self.followers.remove(at));
        }
    }

    fn end_message(&mut self) {
        self.ends.push_back(self.taken + self.window_len as u64);
    }

    fn copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.copied.extend_from_slice(bytes);
        self.window_len += bytes.len();
        match self.window.back_mut() {
            Some(Segment::Copied(len)) => *len += bytes.len(),
            _ => self.window.push_back(Segment::Copied(bytes.len())),
        }
    }

    /// Forgets copied bytes that were taken, when it costs little, and keeps an idle connection small.
    fn reclaim(&mut self) {
        if self.window.is_empty() {
            self.copied.clear();
            self.copied_at = 0;
            if self.copied.capacity() > KEEP_AT_MOST {
                self.copied = Vec::new();
                self.window = VecDeque::new();
                self.ends = VecDeque::new();
            }
            if self.lanes.is_empty() && self.lanes.capacity() > 0 {
                self.lanes = VecDeque::new();
                self.followers = VecDeque::new();
                self.transactions = HashMap::default();
            }
        } else if self.copied_at > WINDOW / 2 {
            self.copied.drain(..self.copied_at);
            self.copied_at = 0;
        }
    }
}

/// How much of a message is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Bytes of data that were given and are not in the window.
    pub given: usize,
    /// Bytes of payload that are not in the window, given or not.
    pub payload: u32,
}

impl Lane {
    fn give(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.chunks_len += bytes.len();
            self.chunks.push_back(bytes);
        }
    }

    /// Bytes of payload that are here and not in the window.
    fn available(&self) -> usize {
        self.operands.as_slice().len() - self.operands_taken + self.chunks_len
    }

    /// Bytes of payload that have not been given yet.
    fn missing(&self) -> usize {
        (self.next.remaining as usize).saturating_sub(self.available())
    }

    /// Bytes of whole packets that are here and not in the window.
    fn ready(&self) -> u64 {
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
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    fn chunk(&self) -> &[u8] {
        match self.window.front() {
            Some(Segment::Copied(len)) => &self.copied[self.copied_at..self.copied_at + len],
            Some(Segment::Slice(slice)) => slice,
            None => &[],
        }
    }

    /// # Panics
    ///
    /// When `count` is more than `remaining`.
    fn advance(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let Some(segment) = self.window.front_mut() else { break };
            let taken = match segment {
                Segment::Copied(len) => {
                    let taken = left.min(*len);
                    *len -= taken;
                    self.copied_at += taken;
                    if *len == 0 {
                        self.window.pop_front();
                    }
                    taken
                }
                Segment::Slice(slice) => {
                    let taken = left.min(slice.len());
                    if taken == slice.len() {
                        self.window.pop_front();
                    } else {
                        slice.advance(taken);
                    }
                    taken
                }
            };
            left -= taken;
            self.window_len -= taken;
            self.taken += taken as u64;
            self.len -= taken as u64;
            if self.window.is_empty() && left > 0 {
                self.fill_window();
            }
        }
        assert!(left == 0, "advanced by {left} bytes more than the output holds");
        while self.ends.front().is_some_and(|end| *end <= self.taken) {
            self.ends.pop_front();
        }
        self.fill_window();
        self.reclaim();
    }
}
