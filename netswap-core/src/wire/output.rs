//! What waits to be sent on one connection: messages cut into packets and served in turn
//! (docs/PROTOCOL.md §2.3).

use alloc::collections::VecDeque;

use bytes::{Buf, Bytes};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

use crate::memory::{Data, Garbage};
use crate::queue::Queue;
use crate::types::Xid;
use crate::wire::lane::{Lane, Unsent};
use crate::wire::message::Message;
use crate::wire::packet::{HEADER_LEN, Header};
use crate::wire::window::Window;

/// How many bytes of packets are put in order ahead of the socket, at most.
///
/// Whatever is queued later waits for these before its first packet goes out, or for [`RUN`].
pub const WINDOW: usize = 64 * 1024;

/// How many bytes are put in order ahead of the socket, at most, where a large message is alone: twice as many as the socket
/// has taken at once, and no more than [`WINDOW`] once it has not taken all that there were.
pub const RUN: usize = 4 * WINDOW;

/// Room for more ends of messages than this is given back when it is empty, so that idle connections stay small.
const KEEP_AT_MOST: usize = 64;

/// The output of one connection, as a [`Buf`].
///
/// Messages wait in *lanes*, of which each gives one packet in turn, so that a small message never waits for
/// a large one. The packets of the next 64 KiB are put in order ahead (the *window*), and up to 256 KiB of a large message
/// that is alone, while the socket takes them as fast as they come. Headers and small messages are copied into the window;
/// large data are referred to there as slices of their own [`Bytes`], never copied.
/// Messages under one transaction id follow each other.
///
/// `remaining` counts all that can be sent now, beyond the window too. For vectored writes there is
/// [`slices`](Self::slices), since `std::io::IoSlice` is not for a core without `std`.
#[derive(Debug, Default)]
pub struct Output {
    window: Window,
    /// The messages whose last packet is in the window, with where in the stream they end.
    ends: VecDeque<(u64, Xid)>,
    /// Bytes taken from this output since it began.
    taken: u64,
    /// Bytes that a run may have in the window beyond [`WINDOW`].
    ahead: usize,
    /// The transactions that have a message outside the window, in the order of their turns.
    turns: Queue<Transaction>,
    /// Where a transaction is in `turns`.
    transactions: HashMap<Xid, u32, FixedState>,
    /// Messages that are not completely in the window.
    waiting: usize,
    /// Bytes that can be sent: the window and all [`sendable`](Transaction::sendable) packets.
    len: u64,
}

/// The messages of one transaction that are not completely in the window.
#[derive(Debug)]
struct Transaction {
    /// The first, which has a turn.
    lane: Lane,
    /// Those that wait for it to end.
    followers: VecDeque<Lane>,
    /// How many of all these lack bytes.
    lacking: usize,
}

impl Transaction {
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        core::iter::once(&self.lane).chain(&self.followers)
    }

    fn lanes_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        core::iter::once(&mut self.lane).chain(&mut self.followers)
    }

    /// Bytes that can be sent: nothing goes past a message that lacks some.
    fn sendable(&self) -> u64 {
        let mut sendable = 0;
        for lane in self.lanes() {
            sendable += lane.ready();
            if lane.missing() > 0 {
                break;
            }
        }
        sendable
    }
}

impl Output {
    /// Nothing to be sent. What is secret in the hasher keeps the other end, where that chooses transaction ids, from
    /// choosing some that take long to find.
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self { transactions: HashMap::with_hasher(hasher), ..Self::default() }
    }

    /// Queues a message; it is cut into packets on its way out.
    ///
    /// The payload must be shorter than 2^32 bytes; what is beyond is not sent.
    pub fn push<B: Into<Data>>(&mut self, xid: Xid, message: Message<B>) {
        let Message { opcode, access, operands, body } = message;
        let body = body.into();
        let payload = operands.as_slice().len() + body.len();
        let remaining = u32::try_from(payload).unwrap_or(u32::MAX);
        let next = Header { xid, remaining, opcode, access };
        if self.turns.is_empty()
            && next.is_last()
            && self.window.has_room(WINDOW)
            && let Some(bytes) = body.as_slice()
        {
            self.window.copy_all([&next.encode(), operands.as_slice(), bytes]);
            self.len += (HEADER_LEN + payload) as u64;
            self.end_message(xid);
            return;
        }
        let mut lane = Lane::new(next, operands);
        lane.give(body, &mut self.window);
        self.enqueue(lane);
    }

    /// Queues a message whose body of `body_len` bytes is given piece by piece with [`provide`](Self::provide).
    ///
    /// A packet leaves as soon as all of its bytes are there; other messages go on meanwhile.
    pub fn push_streamed(&mut self, xid: Xid, message: Message<u32>) {
        let Message { opcode, access, operands, body } = message;
        let remaining = body.saturating_add(operands.as_slice().len() as u32);
        let next = Header { xid, remaining, opcode, access };
        self.enqueue(Lane::new(next, operands));
    }

    /// Gives the next bytes of a streamed message. What is beyond its length is ignored; `false` when
    /// no message of this transaction lacks any.
    pub fn provide(&mut self, xid: Xid, mut bytes: Bytes) -> bool {
        let at = self.transactions.get(&xid);
        let Some(transaction) = at.and_then(|at| self.turns.get_mut(*at)).filter(|it| it.lacking > 0) else {
            return false;
        };
        let before = transaction.sendable();
        let mut lanes = core::iter::once(&mut transaction.lane).chain(&mut transaction.followers);
        if let Some(lane) = lanes.find(|lane| lane.missing() > 0) {
            bytes.truncate(lane.missing());
            lane.give(bytes.into(), &mut self.window);
            transaction.lacking -= usize::from(lane.missing() == 0);
        }
        self.len += transaction.sendable() - before;
        self.fill_window();
        true
    }

    /// How much of this transaction's first message is not in the window; `None` when no message of it
    /// is waiting.
    #[must_use]
    pub fn unsent(&self, xid: Xid) -> Option<Unsent> {
        let at = self.transactions.get(&xid)?;
        Some(self.turns.get(*at)?.lane.unsent())
    }

    /// Whether a message of this transaction is not completely in the window.
    #[must_use]
    pub fn is_waiting(&self, xid: Xid) -> bool {
        self.transactions.contains_key(&xid)
    }

    /// The transactions that have a turn, with what their message has outside the window.
    pub fn lanes(&self) -> impl Iterator<Item = (Xid, Unsent)> {
        self.turns.iter().map(|it| (it.lane.xid(), it.lane.unsent()))
    }

    /// The transactions of which a message will have left completely once `count` more bytes are taken, as far as
    /// the window goes.
    pub fn completed_by(&self, count: usize) -> impl Iterator<Item = Xid> {
        let end = self.taken + count as u64;
        self.ends.iter().take_while(move |(at, _)| *at <= end).map(|(_, xid)| *xid)
    }

    /// Drops what is not in the window of every message of this transaction; whether there was anything.
    pub fn cancel(&mut self, xid: Xid) -> bool {
        let at = self.transactions.remove(&xid);
        let Some(mut transaction) = at.and_then(|at| self.turns.remove(at)) else { return false };
        self.len -= transaction.sendable();
        for lane in transaction.lanes_mut() {
            lane.cancel(&mut self.window);
            self.waiting -= 1;
        }
        true
    }

    /// Drops every message that has no packet in the window yet, and the rest of all others.
    pub fn cancel_all(&mut self) {
        while let Some(mut transaction) = self.turns.pop_front() {
            transaction.lanes_mut().for_each(|lane| lane.cancel(&mut self.window));
        }
        self.transactions.clear();
        self.waiting = 0;
        self.len = self.window.len() as u64;
    }

    /// Parts of records that are no longer to be sent, to be dropped in portions.
    #[inline]
    pub fn garbage(&mut self) -> &mut Garbage {
        &mut self.window.garbage
    }

    /// Messages that are not completely taken.
    #[must_use]
    pub fn messages(&self) -> usize {
        self.ends.len() + self.waiting
    }

    /// Whether nothing is left to be sent, now or when a streamed message goes on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.window.is_empty() && self.turns.is_empty()
    }

    /// Bytes that can be sent now.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes in the window: all that [`slices`](Self::slices) hold together.
    #[must_use]
    pub fn window_len(&self) -> usize {
        self.window.len()
    }

    /// Bytes taken since the beginning.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The slices of the window in order, for a vectored write.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.window.slices()
    }

    fn enqueue(&mut self, lane: Lane) {
        let (xid, lacks) = (lane.xid(), usize::from(lane.missing() > 0));
        self.waiting += 1;
        match self.transactions.entry(xid) {
            Entry::Occupied(at) => {
                if let Some(transaction) = self.turns.get_mut(*at.get()) {
                    self.len += if transaction.lacking > 0 { 0 } else { lane.ready() };
                    transaction.lacking += lacks;
                    transaction.followers.push_back(lane);
                }
            }
            Entry::Vacant(place) => {
                self.len += lane.ready();
                let transaction = Transaction { lane, followers: VecDeque::new(), lacking: lacks };
                place.insert(self.turns.push_back(transaction));
            }
        }
        self.fill_window();
    }

    /// Moves packets from the lanes into the window, one of each lane in turn, until it is full.
    fn fill_window(&mut self) {
        let mut starved = 0;
        while starved < self.turns.len() {
            let is_alone = self.turns.len() == 1;
            let Some(Transaction { lane, .. }) = self.turns.front_mut() else { return };
            if !lane.is_ready() {
                starved += 1;
            } else if is_alone && lane.take_run(&mut self.window, WINDOW + self.ahead) {
                starved = 0;
            } else if self.window.has_room(WINDOW) {
                lane.take_packet(&mut self.window);
                starved = 0;
            } else {
                return;
            }
            if lane.is_over() {
                let xid = lane.xid();
                self.end_lane(xid);
            } else if !is_alone {
                self.turns.rotate();
            }
        }
    }

    /// The first lane has come to its end. What follows it has its next turn after all others.
    fn end_lane(&mut self, xid: Xid) {
        self.end_message(xid);
        self.waiting -= 1;
        let Some(transaction) = self.turns.front_mut() else { return };
        match transaction.followers.pop_front() {
            Some(next) => {
                transaction.lane = next;
                self.turns.rotate();
            }
            None => {
                self.turns.pop_front();
                self.transactions.remove(&xid);
            }
        }
    }

    fn end_message(&mut self, xid: Xid) {
        self.ends.push_back((self.taken + self.window.len() as u64, xid));
    }

    /// Keeps an idle connection small.
    fn reclaim(&mut self) {
        if !self.window.is_empty() {
            return;
        }
        if self.ends.capacity() > KEEP_AT_MOST {
            self.ends = VecDeque::new();
        }
        if self.turns.is_empty() && self.turns.capacity() > 0 {
            self.turns = Queue::default();
            self.transactions = HashMap::with_hasher(self.transactions.hasher().clone());
        }
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    fn chunk(&self) -> &[u8] {
        self.window.first()
    }

    /// # Panics
    ///
    /// When `count` is more than `remaining`.
    fn advance(&mut self, count: usize) {
        self.ahead = if count < self.window.len() {
            0
        } else {
            count.saturating_mul(2).saturating_sub(WINDOW).clamp(self.ahead, RUN - WINDOW)
        };
        let mut left = count;
        while left > 0 {
            let taken = self.window.advance(left);
            left -= taken;
            self.taken += taken as u64;
            self.len -= taken as u64;
            if left > 0 {
                self.fill_window();
                if self.window.is_empty() {
                    break;
                }
            }
        }
        assert!(left == 0, "advanced by {left} bytes more than the output holds");
        while self.ends.front().is_some_and(|(end, _)| *end <= self.taken) {
            self.ends.pop_front();
        }
        self.fill_window();
        self.reclaim();
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::config::{PLACE, STANDING};
    use crate::queue::item_size;
    use crate::store::LAST_AT_MOST;
    use crate::wire::lane::{LANE, steps};
    use crate::wire::message::Operands;
    use crate::wire::packet::MAX_PAYLOAD;
    use crate::wire::window::SOURCE;

    fn message(len: usize) -> Message<Bytes> {
        Message { opcode: 8, access: 0, operands: Operands::new(), body: Bytes::from(vec![7; len]) }
    }

    /// Room in all queues.
    fn room(output: &Output) -> [usize; 4] {
        let Output { ends, turns, transactions, .. } = output;
        let followers = turns.iter().map(|transaction| transaction.followers.capacity()).sum();
        [ends.capacity(), turns.capacity(), followers, transactions.capacity()]
    }

    #[test]
    fn with_the_last_byte_goes_the_room_of_long_queues() {
        let mut output = Output::default();
        (0..100).for_each(|n| output.push(Xid(n), message(1)));
        for n in 0..200 {
            output.push(Xid(n / 2), message(3 * MAX_PAYLOAD));
        }
        let full = room(&output);
        assert!(full.iter().all(|room| *room > KEEP_AT_MOST), "{full:?}");
        // What is still to be sent keeps its places.
        while output.remaining() > 1 {
            output.advance((output.remaining() - 1).min(100_000));
        }
        assert_eq!((output.messages(), output.completed_by(1).count()), (1, 1));
        assert!(output.ends.capacity() > KEEP_AT_MOST);
        output.advance(1);
        assert_eq!((room(&output), output.messages()), ([0; 4], 0));
    }

    #[test]
    fn what_a_watch_leaves_at_its_end_takes_no_more_than_is_said() {
        // Queues grow to twice what they need, from four places on; one notification has data.
        let (lane, chunk) = LANE;
        let followers = (LAST_AT_MOST - 1).next_power_of_two() * lane;
        let lanes = 2 * item_size::<Transaction>() + followers + 4 * chunk + 4 * SOURCE;
        let counted = 2 * (size_of::<(Xid, u32)>() + 1) * 8 / 7;
        assert!(lanes + counted <= STANDING * PLACE, "{lanes} + {counted} bytes");
    }

    #[test]
    fn a_message_is_found_and_cancelled_without_a_look_at_the_others() {
        let mut output = Output::default();
        for n in 0..1000 {
            output.push(Xid(n), message(3 * MAX_PAYLOAD));
        }
        assert!(output.messages() == 1000 && !output.window.has_room(WINDOW));
        steps::taken();
        for _ in 0..1000 {
            output.push(Xid(1_000_000), message(1));
            output.push(Xid(1_000_000), message(1));
            assert!(output.is_waiting(Xid(1_000_000)) && output.unsent(Xid(999)).is_some());
            assert!(output.cancel(Xid(1_000_000)));
        }
        let looks = steps::taken();
        assert!(looks < 10 * 1000, "it looked at {looks} messages");
    }

    #[test]
    fn short_queues_keep_their_room() {
        let mut output = Output::default();
        for _ in 0..3 {
            (0..KEEP_AT_MOST as u32).for_each(|n| output.push(Xid(n), message(1)));
            assert_eq!((output.ends.capacity(), output.messages()), (KEEP_AT_MOST, KEEP_AT_MOST));
            output.advance(output.remaining());
            assert_eq!(room(&output), [KEEP_AT_MOST, 0, 0, 0]);
        }
    }
}
