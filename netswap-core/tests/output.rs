//! The output of a connection: whatever is pushed, given and cancelled, in whatever steps it is taken, the
//! stream is one of canonical packets, served in turn.

#![allow(clippy::unwrap_used, clippy::len_zero)]

use bytes::{Buf, Bytes};
use netswap_core::types::Xid;
use netswap_core::wire::{
    HEADER_LEN, Header, MAX_PAYLOAD, Message, Operands, Output, PacketReader, RUN, WINDOW,
};
use proptest::prelude::*;

const PACKET: usize = HEADER_LEN + MAX_PAYLOAD;

/// A message that was pushed: what must come out, and how much of it was given.
struct Pushed {
    xid: Xid,
    opcode: u8,
    payload: Vec<u8>,
    given: usize,
    /// Cancelled: it may come out up to any of its packets.
    cut: bool,
    /// Bytes that came out.
    seen: usize,
    packets: usize,
}

impl Pushed {
    fn is_whole(&self) -> bool {
        self.packets > 0 && self.seen == self.payload.len()
    }
}

/// An output, with a model of what it should do.
#[derive(Default)]
struct Checked {
    output: Output,
    pushed: Vec<Pushed>,
    reader: PacketReader,
    /// Bytes that the window may have of one message beyond those that all may have.
    ahead: usize,
}

impl Checked {
    /// Pushes a message of `len` bytes whose content depends on its number; `given` of it now, if it is streamed.
    fn push(&mut self, xid: u32, operands: usize, len: usize, streamed: bool) {
        let number = self.pushed.len();
        let xid = Xid(xid);
        let payload: Vec<u8> = (0..operands + len).map(|i| (i * 7 + i / 251 + number) as u8).collect();
        let (head, body) = payload.split_at(operands);
        let opcode = number as u8;
        let operands = Operands::new().with(head);
        if streamed {
            self.output.push_streamed(xid, Message { opcode, access: 1, operands, body: len as u32 });
        } else {
            let body = Bytes::copy_from_slice(body);
            self.output.push(xid, Message { opcode, access: 1, operands, body });
        }
        let given = if streamed { head.len() } else { payload.len() };
        self.pushed.push(Pushed { xid, opcode, payload, given, cut: false, seen: 0, packets: 0 });
        self.check();
    }

    /// Gives up to `count` bytes to the first message of the transaction that lacks some.
    fn provide(&mut self, xid: u32, count: usize) {
        let lacking = |pushed: &&mut Pushed| {
            pushed.xid == Xid(xid) && !pushed.cut && pushed.given < pushed.payload.len()
        };
        let Some(pushed) = self.pushed.iter_mut().find(lacking) else {
            assert!(!self.output.provide(Xid(xid), Bytes::from(vec![0; count])));
            return;
        };
        // What is beyond the message's length is to be ignored.
        let end = (pushed.given + count).min(pushed.payload.len());
        let mut bytes = pushed.payload[pushed.given..end].to_vec();
        bytes.resize(count, 0xee);
        pushed.given = end;
        assert!(self.output.provide(Xid(xid), bytes.into()));
        self.check();
    }

    fn cancel(&mut self, xid: u32) {
        let xid = Xid(xid);
        let window = self.output.window_len();
        let waiting = self.output.unsent(xid).is_some();
        let ends: Vec<Xid> = self.output.completed_by(window).collect();
        assert_eq!(self.output.cancel(xid), waiting);
        assert_eq!(self.output.window_len(), window);
        // Messages whose last packet is in the window come out whole; the later ones of the transaction do not.
        let mut whole = ends.iter().filter(|end| **end == xid).count();
        for pushed in self.pushed.iter_mut().filter(|pushed| pushed.xid == xid && !pushed.is_whole()) {
            pushed.cut |= whole == 0;
            whole = whole.saturating_sub(1);
        }
        self.check();
    }

    /// Takes up to `count` bytes off the front, chunk by chunk or off the slices, and checks them.
    fn take(&mut self, count: usize, vectored: bool) -> Vec<usize> {
        let mut taken = Vec::new();
        if vectored {
            taken.extend(self.output.slices().flatten().take(count));
            let completed: Vec<Xid> = self.output.completed_by(taken.len()).collect();
            let before = self.output.messages();
            self.advance(taken.len());
            assert_eq!(self.output.messages(), before - completed.len());
        } else {
            while taken.len() < count && self.output.has_remaining() {
                let chunk = self.output.chunk();
                assert!(!chunk.is_empty(), "{} bytes remain, and no chunk", self.output.remaining());
                let step = chunk.len().min(count - taken.len());
                taken.extend_from_slice(&chunk[..step]);
                self.advance(step);
            }
        }
        let completed = self.decode(&taken);
        self.check();
        completed
    }

    /// What is taken all at once may be followed by twice as much, of one message.
    fn advance(&mut self, count: usize) {
        let window = self.output.window_len();
        self.ahead = if count < window { 0 } else { (2 * count).saturating_sub(WINDOW).max(self.ahead) };
        self.output.advance(count);
        let most = if self.output.lanes().count() > 1 { WINDOW } else { WINDOW + self.ahead };
        assert!(self.output.window_len() <= most.min(RUN).max(window - count.min(window)));
    }

    /// Reads the stream and compares it with what was pushed; the numbers of the messages that became whole.
    fn decode(&mut self, mut bytes: &[u8]) -> Vec<usize> {
        let mut completed = Vec::new();
        while let Some(fragment) = self.reader.next(&mut bytes) {
            let header = fragment.header;
            let number = usize::from(header.opcode);
            let before = &self.pushed[..number];
            let in_order = |p: &Pushed| p.xid != header.xid || p.is_whole() || p.cut;
            assert!(before.iter().all(in_order), "messages of {} are mixed", header.xid);
            let pushed = &mut self.pushed[number];
            if fragment.opens {
                let remaining = (pushed.payload.len() - pushed.seen) as u32;
                let expected = Header { xid: pushed.xid, remaining, opcode: pushed.opcode, access: 1 };
                assert_eq!(header, expected);
                assert_eq!(pushed.seen, pushed.packets * MAX_PAYLOAD);
                assert!(remaining > 0 || pushed.packets == 0);
                pushed.packets += 1;
            }
            let end = pushed.seen + fragment.payload.len();
            assert!(pushed.payload[pushed.seen..end] == *fragment.payload, "message {number} is garbled");
            assert!(end <= pushed.given, "bytes that nobody gave");
            pushed.seen = end;
            if fragment.closes && header.is_last() {
                completed.push(number);
            }
        }
        completed
    }

    /// What the output says of itself against what the model knows.
    fn check(&self) {
        let output = &self.output;
        assert_eq!(output.remaining() as u64, output.len());
        assert_eq!(output.chunk().is_empty(), output.len() == 0, "{} bytes to be sent", output.len());
        assert_eq!(output.slices().map(<[u8]>::len).sum::<usize>(), output.window_len());
        assert!(output.slices().all(|slice| !slice.is_empty()));
        assert!(output.window_len() <= RUN);
        if !self.pushed.iter().any(|pushed| pushed.cut) {
            assert_eq!(output.messages(), self.pushed.iter().filter(|pushed| !pushed.is_whole()).count());
            assert_eq!(output.len(), self.sendable());
        }
    }

    /// Bytes that are here to be sent, with whole packets only, and nothing past a message of the same
    /// transaction that lacks bytes.
    fn sendable(&self) -> u64 {
        let mut blocked = Vec::new();
        let mut sendable = 0;
        for pushed in self.pushed.iter().filter(|pushed| !pushed.is_whole()) {
            if blocked.contains(&pushed.xid) {
                continue;
            }
            let len = pushed.payload.len();
            let (packets, payload) = if pushed.given == len {
                (len.div_ceil(MAX_PAYLOAD).max(1), len)
            } else {
                blocked.push(pushed.xid);
                (pushed.given / MAX_PAYLOAD, pushed.given / MAX_PAYLOAD * MAX_PAYLOAD)
            };
            // A header that was taken in part is not seen by the reader yet: the pieces of a packet count together.
            sendable += (packets * HEADER_LEN + payload) as u64;
            sendable -= (pushed.packets * HEADER_LEN + pushed.seen) as u64;
        }
        sendable - self.header_taken()
    }

    /// Bytes of a header that were taken and are not a whole header yet.
    fn header_taken(&self) -> u64 {
        let seen: usize = self.pushed.iter().map(|p| p.packets * HEADER_LEN + p.seen).sum();
        self.output.taken() - seen as u64
    }

    fn finish(mut self) {
        for xid in 0..XIDS {
            while self.pushed.iter().any(|p| p.xid.0 == xid && !p.cut && p.given < p.payload.len()) {
                self.provide(xid, 100_000);
            }
        }
        self.take(usize::MAX, false);
        assert!(self.output.is_empty() && self.output.messages() == 0 && self.output.len() == 0);
        assert!(!self.reader.is_inside_packet());
        for (number, pushed) in self.pushed.iter().enumerate() {
            assert!(pushed.is_whole() || pushed.cut, "message {number} is missing");
        }
    }
}

const XIDS: u32 = 4;

#[derive(Clone, Debug)]
enum Step {
    Push { xid: u32, operands: usize, len: usize, streamed: bool },
    Provide { xid: u32, count: usize },
    Cancel { xid: u32 },
    Take { count: usize, vectored: bool },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![0..60usize, 1370..1400usize, 2770..2790usize, 0..200_000usize];
    let count = prop_oneof![1..30usize, 1380..1400usize, 1..100_000usize];
    let xid = 0..XIDS;
    let push = (xid.clone(), prop_oneof![Just(0usize), Just(8), Just(28)], len, any::<bool>())
        .prop_map(|(xid, operands, len, streamed)| Step::Push { xid, operands, len, streamed });
    let provide = (xid.clone(), count.clone()).prop_map(|(xid, count)| Step::Provide { xid, count });
    let take = (count, any::<bool>()).prop_map(|(count, vectored)| Step::Take { count, vectored });
    let cancel = xid.prop_map(|xid| Step::Cancel { xid });
    proptest::collection::vec(prop_oneof![4 => push, 4 => provide, 4 => take, 1 => cancel], 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_stream_is_what_was_pushed(steps in steps()) {
        let mut checked = Checked::default();
        for step in steps {
            match step {
                Step::Push { xid, operands, len, streamed } => checked.push(xid, operands, len, streamed),
                Step::Provide { xid, count } => checked.provide(xid, count),
                Step::Cancel { xid } => checked.cancel(xid),
                Step::Take { count, vectored } => drop(checked.take(count, vectored)),
            }
        }
        checked.finish();
    }

    #[test]
    fn a_small_message_waits_for_the_window_and_one_packet_of_each_other(
        large in 1..30u32, before in 0..300_000usize, step in 1..70_000usize,
    ) {
        let mut checked = Checked::default();
        for xid in 0..large {
            checked.push(xid, 0, 200_000, false);
        }
        checked.take(before, true);
        let start = checked.output.taken();
        checked.push(1000, 8, 3, false);
        let small = checked.pushed.len() - 1;
        while !checked.take(step, true).contains(&small) {}
        let waited = checked.output.taken() - start;
        let ahead = if large == 1 { RUN } else { WINDOW };
        let bound = ahead + (large as usize + 1) * PACKET + step;
        prop_assert!(waited <= bound as u64, "{} bytes went first, of {}", waited, bound);
    }
}

#[test]
fn a_large_message_that_is_alone_goes_out_in_larger_pieces_as_long_as_they_are_taken_whole() {
    let mut checked = Checked::default();
    let packets = |checked: &mut Checked, left: usize| {
        let window = checked.output.window_len();
        checked.take(window - left, true);
        assert_eq!(window % PACKET, 0);
        window / PACKET
    };
    checked.push(1, 0, 2000 * MAX_PAYLOAD, false);
    let growing: Vec<usize> = (0..5).map(|_| packets(&mut checked, 0)).collect();
    assert_eq!(growing, [46, 92, 184, RUN / PACKET, RUN / PACKET]);
    // What is not taken whole is followed by no more than 64 KiB in all.
    assert_eq!((packets(&mut checked, 2 * PACKET), packets(&mut checked, 0)), (RUN / PACKET, 46));
    assert_eq!((packets(&mut checked, 0), packets(&mut checked, 0)), (92, 184));
    // Another message ends that; alone again, it may have as much as was taken before.
    checked.push(2, 0, 100 * MAX_PAYLOAD, false);
    let both: Vec<usize> = (0..6).map(|_| packets(&mut checked, 0)).collect();
    assert_eq!(both, [RUN / PACKET, 46, 46, 46, 46, RUN / PACKET]);
    checked.finish();
    // The last packet is not left for a piece of its own.
    let mut checked = Checked::default();
    checked.push(1, 0, 137 * MAX_PAYLOAD + 1, false);
    assert_eq!(packets(&mut checked, 0), 46);
    assert_eq!((checked.output.window_len(), checked.output.lanes().count()), (91 * PACKET + 11, 0));
    checked.finish();
}

#[test]
fn nothing_waits_for_a_streamed_message_that_lacks_bytes() {
    let mut checked = Checked::default();
    checked.push(1, 8, 10_000, true);
    checked.push(2, 0, 5_000, false);
    assert_eq!(checked.take(usize::MAX, false), [1]);
    assert!(!checked.output.is_empty());
    checked.provide(1, MAX_PAYLOAD);
    assert_eq!(checked.output.len(), PACKET as u64);
    checked.finish();
}

#[test]
fn a_message_behind_an_unfinished_one_of_its_transaction_cannot_be_sent_yet() {
    let mut checked = Checked::default();
    checked.push(1, 0, 10, true);
    checked.push(1, 0, 10, false);
    assert_eq!((checked.output.len(), checked.output.messages()), (0, 2));
    checked.provide(1, 10);
    assert_eq!(checked.output.len(), 40);
    checked.finish();
}

#[test]
fn cancelling_cuts_after_the_window_and_leaves_others_alone() {
    let mut checked = Checked::default();
    checked.push(1, 0, 200_000, false);
    checked.push(2, 0, 200_000, false);
    checked.cancel(1);
    checked.cancel(1);
    checked.push(1, 0, 0, false);
    assert_eq!(checked.take(usize::MAX, false), [2, 1]);
    let cut = &checked.pushed[0];
    assert!(cut.seen > 0 && cut.seen < WINDOW, "{} bytes of it left", cut.seen);
    checked.finish();
}

#[test]
fn everything_can_be_dropped_but_what_is_in_order_for_the_socket() {
    let mut output = Output::default();
    let body = Bytes::from(vec![1; 200_000]);
    output.push(Xid(1), Message { opcode: 0, access: 0, operands: Operands::new(), body });
    output.advance(10_000);
    output.cancel_all();
    assert_eq!(output.len(), output.window_len() as u64);
    output.advance(output.window_len());
    assert!(output.is_empty());
}
