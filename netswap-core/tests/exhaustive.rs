//! Every opcode with every length and every ACCESS byte: the answer is the one that the rules name (docs/PROTOCOL.md §3.1,
//! §3.2, §5.1). The rules are written down here once more, from the document alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use netswap_core::engine::Peer;
use support::World;
use support::wire::{self, Message, op, request};

/// A pointer to no record.
const NOWHERE: u64 = 0x00c0_ffee_00c0_ffee;

/// What the records hold: as much as the number of a FETCH_ADD.
const DATA: &[u8; 8] = b"the data";

/// Where a range begins that fits.
const OFFSET: u32 = 2;

/// The offset that bytes of 0x5a are.
const FAR: u32 = 0x5a5a_5a5a;

/// How long a range is that fits.
const LENGTH: u32 = 3;

/// A grace and a time to live, in seconds.
const TIMES: [u32; 2] = [5, 7];

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
        10 | 15 => (0, 16, false, true),
        11 => (0, 12, true, true),
        12 => (0, 8, true, true),
        13 => (0, 16, true, true),
        14 => (0, 20, false, true),
        16 => (1, 8, false, true),
        18 => (7, 0, false, false),
        19 => (0, 24, false, true),
        20 => (0, 8, false, true),
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

/// A request, as far as the rules look at it.
#[derive(Clone, Copy, Debug)]
struct Case {
    opcode: u8,
    access: u8,
    len: usize,
    record: Record,
    /// Whether offset, length and version are those that the record has, and times within the limits; or far from them.
    fits: bool,
}

/// What the rules of §3.2, §3.15 to §3.24 and §5.1 say of a request about a record of 8 bytes and version 1: code and
/// ACCESS byte of the one reply, or that there is none. Only a watch may be told more.
fn rules(case: Case, limit: usize) -> Option<(u8, u8)> {
    let Case { opcode, access, len, record, fits } = case;
    if opcode == 255 {
        return if (len, access) == (0, 0) { None } else { Some((4, 3)) };
    }
    let Some(row) = row(opcode) else {
        return Some(if len > limit + 16 { (4, 2) } else { (6, 0) });
    };
    let data = len.saturating_sub(row.operands);
    let end = match opcode {
        op::WRITE_RANGE if fits => OFFSET as usize + data,
        op::WRITE_RANGE => FAR as usize + data,
        op::APPEND => DATA.len() + data,
        _ => data,
    };
    Some(if access & !row.access != 0 {
        (5, 1)
    } else if len < row.operands || (data > 0 && !row.data) {
        (5, 2)
    } else if opcode == op::SET_LIFETIME && !fits {
        (5, 3)
    } else if row.about_a_record && record == Record::Nowhere {
        (2, 0)
    } else if row.about_a_record && record == Record::Theirs {
        (1, 0)
    } else if end > limit {
        (7, 0)
    } else {
        match opcode {
            op::RESOLVE => (3, 0),
            op::READ_RANGE => (3, 3),
            op::IF_CHANGED if fits => (10, 0),
            op::IF_CHANGED => (3, 1),
            op::COMPARE if !fits => (9, 0),
            op::ADD if !fits => (2, 0),
            _ => (0, 0),
        }
    })
}

/// The bytes behind the pointer, of which the rest is data, or the hash of an owner whom nobody has.
fn operands(opcode: u8, fits: bool) -> Vec<u8> {
    match opcode {
        _ if !fits => Vec::new(),
        op::READ_RANGE => [OFFSET.to_be_bytes(), LENGTH.to_be_bytes()].concat(),
        op::WRITE_RANGE => OFFSET.to_be_bytes().to_vec(),
        op::COMPARE | op::IF_CHANGED => 1_u64.to_be_bytes().to_vec(),
        op::ADD => [&0_u32.to_be_bytes()[..], &1_u64.to_be_bytes()].concat(),
        op::SET_LIFETIME => [&TIMES[0].to_be_bytes()[..], &TIMES[1].to_be_bytes(), &[0; 8]].concat(),
        _ => Vec::new(),
    }
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
        let (mine, theirs) = (world.create(peer, 0, DATA), world.create(other, 0, DATA));
        Self { world, limit, peer, mine, theirs }
    }

    fn check(&mut self, opcode: u8, access: u8, len: usize, record: Record) {
        self.check_case(Case { opcode, access, len, record, fits: false });
        if !operands(opcode, true).is_empty() {
            self.check_case(Case { opcode, access, len, record, fits: true });
        }
    }

    fn check_case(&mut self, case: Case) {
        let Case { opcode, access, len, record, fits } = case;
        let pointer = match record {
            Record::Nowhere => NOWHERE,
            Record::Theirs => self.theirs,
            Record::Mine => self.mine,
        };
        let mut payload = wire::pointed(pointer, operands(opcode, fits));
        payload.resize(payload.len().max(len), 0x5a);
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
        let expected = rules(case, self.limit);
        let first = (opcode == op::WATCH && access == 1 && expected == Some((0, 0))).then_some((11, 1));
        let expected: Vec<_> =
            expected.into_iter().chain(first).map(|(code, access)| (3, code, access)).collect();
        assert_eq!(said, expected, "{case:?}");
        match replies.first() {
            Some(reply) if reply.code == 4 => self.come_back(),
            Some(reply) if matches!(reply.code, 0 | 3) => {
                self.check_success(case, &payload, reply, &replies[1..])
            }
            _ => assert_eq!(self.world.bytes(), bytes, "{case:?}"),
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

    /// The reply's payload, and what the record is afterwards; then everything is put back in its place.
    fn check_success(&mut self, case: Case, sent: &[u8], reply: &Message, told: &[Message]) {
        let len = reply.payload.len();
        let state = [&1_u64.to_be_bytes()[..], DATA].concat();
        let range = [&1_u64.to_be_bytes()[..], &(DATA.len() as u32).to_be_bytes()].concat();
        match case.opcode {
            op::CREATE | op::RESERVE => {
                assert_eq!(len, 8);
                let created = wire::request(4, op::DELETE, 0, &reply.payload);
                assert_eq!(self.world.ask(self.peer, created), wire::ok(4, []));
            }
            op::PING => assert_eq!(reply.payload, sent),
            op::RESOLVE => assert_eq!(reply.payload, DATA),
            op::IF_CHANGED => assert_eq!(reply.payload, state),
            op::READ_RANGE if case.fits => assert_eq!(reply.payload, [&range, &b"e d"[..]].concat()),
            op::READ_RANGE => assert_eq!(reply.payload, range),
            op::REPLACE => self.check_written(8, &sent[8..], reply),
            op::COMPARE => self.check_written(8, &sent[16..], reply),
            op::WRITE_RANGE => {
                let data = &sent[12..];
                let mut now = DATA.to_vec();
                now.resize(DATA.len().max(OFFSET as usize + data.len()), 0);
                now[OFFSET as usize..][..data.len()].copy_from_slice(data);
                self.check_written(8, &now, reply);
            }
            op::APPEND => self.check_written(12, &[DATA, &sent[8..]].concat(), reply),
            op::ADD => self.check_written(16, b"the datb", reply),
            op::WATCH => {
                assert_eq!(reply.payload, 1_u64.to_be_bytes());
                assert!(told.iter().all(|it| it.payload == state));
                assert_eq!(self.world.ask(self.peer, wire::abort(3)), wire::aborted(3));
            }
            op::SET_LIFETIME => {
                assert_eq!(len, 0);
                let stat = self.world.ask(self.peer, wire::about(4, op::STAT, self.mine, []));
                assert_eq!(stat.payload[22..], TIMES[1].to_be_bytes());
                let never = wire::lifetime(4, self.mine, u32::MAX, 0, 0);
                assert_eq!(self.world.ask(self.peer, never), wire::ok(4, []));
            }
            op::IDENTIFY => assert_eq!(len, 20),
            op::STAT => assert_eq!(len, 26),
            op::LIST => assert_eq!(reply.payload, self.mine.to_be_bytes()),
            op::DELETE | op::TRANSFER => {
                assert_eq!(len, 0);
                self.mine = self.world.create(self.peer, 0, DATA);
            }
            _ => assert_eq!(len, 0),
        }
    }

    /// A write is answered with version 2 first, and has made the record this; the record is made anew.
    fn check_written(&mut self, len: usize, now: &[u8], reply: &Message) {
        assert_eq!((reply.payload.len(), &reply.payload[..8]), (len, &2_u64.to_be_bytes()[..]));
        let read = wire::if_changed(4, self.mine, 1);
        assert_eq!(self.world.ask(self.peer, read), wire::changed(4, 2, now));
        assert_eq!(self.world.ask(self.peer, wire::about(4, op::DELETE, self.mine, [])), wire::ok(4, []));
        self.mine = self.world.create(self.peer, 0, DATA);
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
            for len in [0, 7, 8, 9, 16, 20, 1391] {
                bench.check(opcode, access, len, Record::Nowhere);
            }
            let len = row(opcode).map_or(8, |row| row.operands);
            bench.check(opcode, access, len, Record::Theirs);
            bench.check(opcode, access, len, Record::Mine);
        }
    }
}

#[test]
fn every_opcode_around_the_record_limit() {
    for limit in [8, 500, 1374, 1375, 1390, 1400] {
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
