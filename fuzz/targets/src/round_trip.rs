//! Messages that are queued, streamed, given up and taken in portions arrive as they were; and what is read of any of
//! them as a request, a reply or a notification is written again byte by byte.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Buf, Bytes};
use netswap_core::types::Xid;
use netswap_core::wire::{
    ABORT, Code, Lengths, Message, Notification, Opcode, Operands, Output, Reply, Request,
};

use crate::source::Source;
use crate::support::wire::{self, Assembler};

/// The longest body.
const LONGEST: usize = 80_000;

/// What is to arrive under an XID.
enum Item {
    Message(wire::Message),
    /// What was dropped, as far as it is not on its way.
    Perhaps(wire::Message),
    Abort,
}

#[derive(Default)]
struct World {
    output: Output,
    assembler: Assembler,
    expected: BTreeMap<u32, VecDeque<Item>>,
    /// The bytes that streamed messages lack.
    ungiven: BTreeMap<u32, VecDeque<Bytes>>,
    /// Messages that are on their way, as long as none is dropped.
    messages: Option<usize>,
}

/// Choices of what is sent, and when it is taken.
pub fn round_trip(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut world = World { messages: Some(0), ..World::default() };
    for _ in 0..200 {
        if source.is_empty() {
            break;
        }
        let what = source.u8();
        let xid = u32::from(what & 3).wrapping_sub(1);
        match what >> 2 {
            0..=31 => world.push(xid, &mut source, false),
            32..=39 => world.push(xid, &mut source, true),
            40..=47 => world.provide(xid, source.len(20_000)),
            48..=59 => world.take(source.len(150_000)),
            _ => world.cancel(xid),
        }
        world.check();
    }
    for xid in [u32::MAX, 0, 1, 2] {
        while world.ungiven.get(&xid).is_some_and(|ungiven| !ungiven.is_empty()) {
            world.provide(xid, usize::MAX);
        }
    }
    world.take(usize::MAX);
    world.check();
    assert!(world.output.is_empty() && !world.output.has_remaining());
    assert_eq!(world.output.messages(), 0);
    assert!(world.assembler.is_idle());
    for (xid, items) in &world.expected {
        assert!(items.is_empty(), "{} messages of {xid} are missing", items.len());
    }
}

impl World {
    fn push(&mut self, xid: u32, source: &mut Source<'_>, streamed: bool) {
        let message = message(source);
        if self.is_given_up(xid) {
            return;
        }
        let Message { opcode, access, operands, ref body } = message;
        assert_read(&message);
        let payload = [operands.as_slice(), body].concat();
        let item = Item::Message(wire::reply(xid, opcode, access, payload));
        self.expected.entry(xid).or_default().push_back(item);
        self.messages = self.messages.map(|messages| messages + 1);
        if streamed {
            let empty = Message { opcode, access, operands, body: body.len() as u32 };
            self.output.push_streamed(Xid(xid), empty);
            if !body.is_empty() {
                self.ungiven.entry(xid).or_default().push_back(body.clone());
            }
        } else {
            self.output.push(Xid(xid), message);
        }
    }

    fn provide(&mut self, xid: u32, count: usize) {
        let ungiven = self.ungiven.entry(xid).or_default();
        let Some(first) = ungiven.front_mut() else {
            assert!(!self.output.provide(Xid(xid), Bytes::from_static(b"x")), "nobody lacks anything");
            return;
        };
        let given = first.split_to(count.min(first.len()));
        if first.is_empty() {
            ungiven.pop_front();
        }
        assert!(self.output.provide(Xid(xid), given));
    }

    fn take(&mut self, count: usize) {
        let mut left = count;
        while left > 0 && self.output.has_remaining() {
            let window: Vec<u8> = self.output.slices().flatten().copied().take(left).collect();
            let complete: Vec<u32> = self.output.completed_by(window.len()).map(|xid| xid.0).collect();
            self.output.advance(window.len());
            left -= window.len();
            let messages = self.assembler.feed(&window);
            let arrived: Vec<u32> = messages.iter().map(|message| message.xid).collect();
            assert_eq!(arrived, complete);
            self.messages = self.messages.map(|before| before - messages.len());
            messages.into_iter().for_each(|message| self.arrived(message));
        }
    }

    fn arrived(&mut self, message: wire::Message) {
        let items = self.expected.get_mut(&message.xid).expect("a message that was sent");
        let aborted = (message.code, message.access, message.payload.len()) == (ABORT, 0, 0);
        loop {
            match items.pop_front().expect("a message that was sent") {
                Item::Perhaps(before) if aborted && before != message => {}
                Item::Perhaps(expected) | Item::Message(expected) => {
                    assert_eq!(message, expected);
                    return;
                }
                Item::Abort => {
                    assert!(aborted, "{message:?} in the place of an ABORT");
                    return;
                }
            }
        }
    }

    /// Whether its ABORT waits: nobody says more of it until that has left.
    fn is_given_up(&self, xid: u32) -> bool {
        let last = self.expected.get(&xid).and_then(VecDeque::back);
        self.output.is_waiting(Xid(xid)) && matches!(last, Some(Item::Abort))
    }

    fn cancel(&mut self, xid: u32) {
        if self.is_given_up(xid) {
            return;
        }
        let waiting = self.output.is_waiting(Xid(xid));
        assert_eq!(self.output.cancel(Xid(xid)), waiting);
        assert!(!self.output.is_waiting(Xid(xid)));
        self.ungiven.remove(&xid);
        if waiting {
            let items = self.expected.entry(xid).or_default();
            for item in items.iter_mut() {
                if let Item::Message(message) = item {
                    *item = Item::Perhaps(std::mem::replace(message, wire::aborted(0)));
                }
            }
            // As clients and servers do: where something of it has left, the other side is told.
            self.output.push(Xid(xid), Message::<Bytes>::bare(ABORT, 0, Operands::new()));
            items.push_back(Item::Abort);
            self.messages = None;
        }
    }

    fn check(&self) {
        let slices: usize = self.output.slices().map(<[u8]>::len).sum();
        assert_eq!(self.output.window_len(), slices);
        assert!(self.output.len() >= slices as u64);
        if let Some(messages) = self.messages {
            assert_eq!(self.output.messages(), messages);
        }
    }
}

fn message(source: &mut Source<'_>) -> Message<Bytes> {
    let (kind, opcode, access) = (source.u8(), source.u8(), source.u8());
    let (opcode, operands) = match kind {
        0..=127 => {
            let opcode = opcode % 21;
            (opcode, Opcode::from_u8(opcode).map_or(0, Opcode::operand_len))
        }
        128..=219 => (opcode % 12, [0, 1, 8, 12, 16, 20, 26, 4][usize::from(kind) % 8]),
        // An ABORT is something of its own.
        _ => (opcode % ABORT, usize::from(kind) % 29),
    };
    let access = if access < 200 { access % 9 * u8::from(access > 100) } else { access };
    let operands = Operands::new().with(&padded(source, operands));
    let len = if kind % 3 == 0 { source.len(LONGEST) } else { 0 };
    Message { opcode, access, operands, body: padded(source, len).into() }
}

/// The next bytes; of more than a few the last is repeated.
fn padded(source: &mut Source<'_>, len: usize) -> Vec<u8> {
    let mut bytes = source.take(len.min(32)).to_vec();
    bytes.resize(len, bytes.last().copied().unwrap_or(0));
    bytes
}

/// If it is a request, a reply or a notification, it is the one that has these bytes.
fn assert_read(message: &Message<Bytes>) {
    let (number, access) = (message.opcode, message.access);
    let payload = Bytes::from([message.operands.as_slice(), &message.body].concat());
    let assert_same = |again: Message<Bytes>| {
        assert_eq!((again.opcode, again.access), (number, access));
        assert_eq!([again.operands.as_slice(), &again.body].concat(), payload);
    };
    if let Some(opcode) = Opcode::from_u8(number) {
        let operands = payload.slice(..opcode.operand_len().min(payload.len()));
        if let Ok(request) = Request::parse(opcode, access, payload.len() as u32, &operands) {
            assert_same(request.map(|_| payload.slice(operands.len()..)).encode());
        }
    }
    for opcode in Opcode::ALL {
        let lengths = Lengths::of(opcode, number, access, payload.len() as u32);
        let allowed = lengths.is_ok_and(|lengths| lengths.allow(payload.len() as u32));
        if let Ok(reply) = Reply::decode(opcode, number, access, payload.clone()) {
            assert!(allowed, "{reply:?} has a length that it must not have");
            assert_same(reply.encode());
        }
    }
    if number == Code::Notify as u8 {
        for push in [false, true] {
            let judged = Notification::judge(access, payload.len() as u32, push);
            if let Ok(notification) = Notification::decode(access, payload.clone(), push) {
                assert!(judged.is_ok(), "{notification:?} has a length that it must not have");
                assert_same(notification.encode());
            }
        }
    }
}
