//! Every opcode with every length and every ACCESS byte: the answer is the one that the rules name (docs/PROTOCOL.md §3.1,
//! §3.2, §5.1). The rules are written down here once more, from the document alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use support::World;
use support::wire::{self, Message, op, request};

/// A pointer to no record.
const NOWHERE: u64 = 0x00c0_ffee_00c0_ffee;

/// What the table of §3.1 says of an operation.
struct Row {
    access: u8,
    operands: usize,
    data: bool,
    /// Whether the payload begins with a pointer.
    about_a_record: bool,
}

fn row(opcode: u8) -> Option<Row> {
    let (access, operands, data, about_a_record) = match opcode {
        0 => (7, 0, true, false),
        1 => (7, 8, false, true),
        2 | 4 | 5 | 9 => (0, 8, false, true),
        3 => (0, 8, true, true),
        6 => (0, 16, false, true),
        7 | 17 => (0, 0, false, false),
        8 => (0, 0, true, false),
        _ => return None,
    };
    Some(Row { access, operands, data, about_a_record })
}

/// Whose record a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Nowhere,
    /// Somebody else's, who gave no rights.
    Theirs,
    Mine,
}

/// What the rules of §3.2 and §5.1 say of a request: code and ACCESS byte of the one reply, or that there is none.
fn rules(opcode: u8, access: u8, len: usize, record: Record, limit: usize) -> Option<(u8, u8)> {
    if opcode == 255 {
        return if (len, access) == (0, 0) { None } else { Some((4, 3)) };
    }
    let Some(row) = row(opcode) else {
        return Some(if len > limit + 16 { (4, 2) } else { (6, 0) });
    };
    Some(if access & !row.access != 0 {
        (5, 1)
    } else if len < row.operands || (len > row.operands && !row.data) {
        (5, 2)
    } else if row.about_a_record && record == Record::Nowhere {
        (2, 0)
    } else if row.about_a_record && record == Record::Theirs {
        (1, 0)
    } else if len - row.operands > limit {
        (7, 0)
    } else if opcode == 2 {
        (3, 0)
    } else {
        (0, 0)
    })
}

struct Bench {
    world: World,
    limit: usize,
    peer: Peer,
    mine: u64,
    theirs: u64,
}

impl Bench {
    fn new(limit: usize) -> Self {
        let mut world = World::with(|config| config.limits.record = limit as u32);
        let (peer, other) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
        let (mine, theirs) = (world.create(peer, 0, "mine"), world.create(other, 0, "theirs"));
        Self { world, limit, peer, mine, theirs }
    }

    fn check(&mut self, opcode: u8, access: u8, len: usize, record: Record) {
        let pointer = match record {
            Record::Nowhere => NOWHERE,
            Record::Theirs => self.theirs,
            Record::Mine => self.mine,
        };
        // Whatever is behind the pointer is an owner whom nobody has, or data.
        let mut payload = pointer.to_be_bytes().to_vec();
        payload.resize(len.max(8), 0x5a);
        payload.truncate(len);
        let sent = if opcode == op::ABORT || self.is_violation(opcode, len) {
            // Its header alone: what follows is no packet of the stream.
            wire::header(3, len as u32, opcode, access)
        } else {
            request(3, opcode, access, &payload)
        };
        let bytes = self.world.bytes();
        let replies = self.world.exchange(self.peer, sent);
        let said: Vec<(u32, u8, u8)> = replies.iter().map(|it| (it.xid, it.code, it.access)).collect();
        let expected = rules(opcode, access, len, record, self.limit);
        let expected: Vec<_> = expected.map(|(code, access)| (3, code, access)).into_iter().collect();
        assert_eq!(said, expected, "opcode {opcode} access {access} length {len} {record:?}");
        match replies.first() {
            Some(reply) if reply.code == 4 => self.come_back(),
            Some(reply) if matches!(reply.code, 0 | 3) => self.check_success(opcode, &payload, reply),
            _ => assert_eq!(self.world.bytes(), bytes, "opcode {opcode} access {access} length {len}"),
        }
    }

    fn is_violation(&self, opcode: u8, len: usize) -> bool {
        row(opcode).is_none() && len > self.limit + 16
    }

    /// After a violation: a new connection.
    fn come_back(&mut self) {
        let next = self.world.connect("127.0.0.1");
        self.world.reset(self.peer);
        self.peer = next;
    }

    /// The reply's payload; then everything is put back in its place.
    fn check_success(&mut self, opcode: u8, payload: &[u8], reply: &Message) {
        let len = reply.payload.len();
        match opcode {
            op::CREATE => {
                assert_eq!(len, 8);
                let created = wire::request(4, op::DELETE, 0, &reply.payload);
                assert_eq!(self.world.ask(self.peer, created), wire::ok(4, []));
            }
            op::PING => assert_eq!(reply.payload, payload),
            op::RESOLVE => assert!(reply.payload == b"mine" || reply.payload.iter().all(|it| *it == 0x5a)),
            op::REPLACE => {
                assert_eq!(len, 8);
                let read = wire::about(4, op::RESOLVE, self.mine, []);
                assert_eq!(self.world.ask(self.peer, read), wire::resolved(4, &payload[8..]));
            }
            op::IDENTIFY => assert_eq!(len, 20),
            op::STAT => assert_eq!(len, 26),
            op::LIST => assert_eq!(reply.payload, self.mine.to_be_bytes()),
            op::DELETE | op::TRANSFER => {
                assert_eq!(len, 0);
                self.mine = self.world.create(self.peer, 0, "mine");
            }
            _ => assert_eq!(len, 0),
        }
    }
}

#[test]
fn every_opcode_with_every_length() {
    let mut bench = Bench::new(1 << 20);
    for opcode in 0..=255 {
        for len in 0..=1400 {
            bench.check(opcode, 0, len, Record::Nowhere);
        }
        for len in (0..=40).chain(1380..=1400) {
            bench.check(opcode, 0, len, Record::Theirs);
            bench.check(opcode, 0, len, Record::Mine);
        }
    }
}

#[test]
fn every_opcode_with_every_access_byte() {
    let mut bench = Bench::new(1 << 20);
    for opcode in 0..=255 {
        for access in 0..=255 {
            for len in [0, 7, 8, 9, 16, 1391] {
                bench.check(opcode, access, len, Record::Nowhere);
            }
            bench.check(opcode, access, 8, Record::Theirs);
            bench.check(opcode, access, 8, Record::Mine);
        }
    }
}

#[test]
fn every_opcode_around_the_record_limit() {
    for limit in [6, 500, 1374, 1375, 1390, 1400] {
        let mut bench = Bench::new(limit);
        for opcode in 0..=255 {
            for len in limit.saturating_sub(2)..=limit + 20 {
                for record in [Record::Nowhere, Record::Theirs, Record::Mine] {
                    bench.check(opcode, 0, len, record);
                }
            }
        }
    }
}
