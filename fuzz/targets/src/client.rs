//! A client, and a server that may send anything: whatever comes, in whatever pieces, every transaction ends once, what
//! the client believes follows from what it was told before, and an end is an end.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client, Config, Event, Options, Replica};
use netswap_core::error::ProtocolError;
use netswap_core::time::Instant;
use netswap_core::types::{Version, Xid};
use netswap_core::wire::{Lengths, Notification, Opcode, Request};

use crate::source::{Source, pieces};
use crate::support::wire::packets;

/// Choices of what the caller asks for and what the server sends, which is cut as the first bytes say.
pub fn client(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let config = config(source.u8());
    let cuts = source.cuts();
    let whole = play(source.clone(), config.clone(), &[usize::MAX]);
    let cut = play(source, config, &cuts);
    // When a piece is handed out depends on how the bytes come, and with it how much the caller holds.
    if whole.pieces + cut.pieces == 0 {
        assert_eq!(whole.heard, cut.heard);
        assert_eq!(whole.error, cut.error);
    }
}

fn config(choice: u8) -> Config {
    Config {
        max_reply: [100, 3000, 100_000][usize::from(choice) % 3],
        max_transactions: 1 + usize::from(choice >> 5),
        first_xid: Xid([1, 0, u32::MAX - 1][usize::from(choice >> 2) % 3]),
        ..Config::default()
    }
}

/// What the caller knows of a transaction that is open.
struct Open {
    opcode: Opcode,
    push: bool,
    begun: Option<Version>,
    told: Option<Version>,
    replica: Replica,
    /// Of a streamed upload.
    ungiven: u32,
}

struct World {
    client: Client,
    max_reply: u32,
    now: Instant,
    open: BTreeMap<Xid, Open>,
    heard: Vec<Event>,
    pieces: usize,
    error: Option<ProtocolError>,
}

fn play(mut source: Source<'_>, config: Config, cuts: &[usize]) -> World {
    let max_reply = config.max_reply;
    let mut world = World {
        client: Client::new(config),
        max_reply,
        now: Instant::ZERO,
        open: BTreeMap::new(),
        heard: Vec::new(),
        pieces: 0,
        error: None,
    };
    for _ in 0..200 {
        if source.is_empty() {
            break;
        }
        world.step(&mut source, cuts);
    }
    world.client.handle_eof();
    world.end();
    world
}

impl World {
    fn step(&mut self, source: &mut Source<'_>, cuts: &[usize]) {
        let what = source.u8();
        match what {
            0..=47 => self.ask(source, what & 3 == 3),
            48..=63 => self.provide(source.u8(), source.len(300_000)),
            64..=95 => {
                let most = if what & 1 == 1 { usize::MAX } else { source.len(70_000) };
                let count = most.min(self.client.output().window_len());
                self.client.sent(count, self.now);
            }
            96..=111 => self.abort(source.u8()),
            112..=119 => {
                let (pick, count) = (source.u8(), source.len(200_000));
                if let Some(xid) = self.pick(pick) {
                    self.client.consumed(xid, count, self.now);
                }
            }
            120..=127 => {
                self.now = self.now + Duration::from_millis(u64::from(source.u8()) * 100);
                let over = self.client.is_closed();
                let result = self.client.handle_timeout(self.now);
                if over {
                    assert_eq!(result, Ok(()), "nothing is due after the end");
                } else {
                    self.judge(result);
                }
            }
            128..=143 => self.events(),
            144..=149 => {
                let bytes = source.bytes::<10>();
                self.receive(&bytes, cuts);
            }
            150..=175 => {
                let len = source.u16();
                self.receive(source.take(len.into()), cuts);
            }
            254 => self.client.handle_eof(),
            _ => self.answer(what, source, cuts),
        }
        for xid in self.open.keys() {
            if let Some(progress) = self.client.progress(*xid) {
                assert!(progress.sent <= progress.total);
            }
        }
    }

    fn ask(&mut self, source: &mut Source<'_>, streamed: bool) {
        let (opcode, access, place) = (source.u8() % 21, source.u8(), source.u8());
        let opcode = Opcode::from_u8(opcode).expect("one of the operations");
        // The operands are whatever is left after the pointer.
        let operands = [&[0, 0, 0, 0, 0, 0, 0, place][..], &[place / 3; 16]].concat();
        let len = if opcode.has_data() { source.len(150_000) } else { 0 };
        let whole = (opcode.operand_len() + len) as u32;
        let Ok(request) = Request::parse(opcode, access & 1, whole, &operands[..opcode.operand_len()]) else {
            return;
        };
        let seconds = |choice: u8| (choice > 0).then(|| Duration::from_secs(u64::from(choice)));
        let options = Options {
            idle_timeout: seconds(access >> 6),
            wait: seconds(access >> 4 & 3),
            pieces: access & 2 != 0,
        };
        let push = matches!(request, Request::WatchRecord { push: true, .. });
        let asked = if streamed {
            self.client.upload(request, options, self.now)
        } else {
            let request = request.map(|len| Bytes::from(vec![place; len as usize]));
            self.client.request_with(request, options, self.now)
        };
        if let Ok(xid) = asked {
            let ungiven = if streamed { len as u32 } else { 0 };
            let (begun, told, replica) = (None, None, Replica::default());
            let open = Open { opcode, push, begun, told, replica, ungiven };
            assert!(self.open.insert(xid, open).is_none(), "{xid} is still open");
        }
    }

    fn provide(&mut self, pick: u8, count: usize) {
        let Some(xid) = self.pick(pick) else { return };
        let open = self.open.get_mut(&xid).expect("one of the transactions");
        let count = count.min(open.ungiven as usize);
        let more = self.client.provide(xid, Bytes::from(vec![pick; count]));
        assert!(!more || open.ungiven > 0);
        if more {
            open.ungiven -= count as u32;
        }
    }

    fn abort(&mut self, pick: u8) {
        let Some(xid) = self.pick(pick) else { return };
        if self.client.abort(xid, self.now).is_some() {
            self.open.remove(&xid);
            assert_eq!(self.client.abort(xid, self.now), None, "it has been given up");
        }
    }

    fn pick(&self, choice: u8) -> Option<Xid> {
        self.open.keys().copied().nth(usize::from(choice) % self.open.len().max(1))
    }

    /// The server sends a message that fits one of the open transactions, or nearly so.
    fn answer(&mut self, what: u8, source: &mut Source<'_>, cuts: &[usize]) {
        let Some(xid) = self.pick(source.u8()) else { return };
        let open = &self.open[&xid];
        let (code, access) = match what {
            // The success of the operation, or the next notification.
            176..=219 => match open.opcode {
                Opcode::ResolvePointer => (3, 0),
                Opcode::ReadRange => (3, 3),
                Opcode::ResolveIfChanged => (3, 1),
                Opcode::WatchRecord if open.begun.is_some() => {
                    (11, [1, 2, 2, 3, 4, 5, 16, 17][usize::from(what & 7)])
                }
                _ => (0, 0),
            },
            220..=239 => (source.u8() % 13, source.u8() % 19),
            _ => (255, 0),
        };
        let lengths = match code {
            255 => Lengths::Exactly(0),
            11 => Notification::lengths(access, open.push).unwrap_or(Lengths::Exactly(8)),
            _ => Lengths::of(open.opcode, code, access, 3).unwrap_or(Lengths::Any),
        };
        let (fixed, data) = match lengths {
            Lengths::Exactly(len) => (len as usize, 0),
            Lengths::Any => (0, source.len(200_000)),
            Lengths::Multiple(unit) => (0, source.len(10_000) / unit as usize * unit as usize),
            Lengths::AtLeast(len) => (len as usize, source.len(20_000)),
        };
        let mut payload = source.take(fixed).to_vec();
        payload.resize(fixed, 0);
        // Versions that the client can believe.
        let step = payload.first().copied().unwrap_or(0);
        if code == 11 && fixed >= 8 && access < 3 && step < 250 {
            let version = open.told.or(open.begun).map_or(0, |version| version.0);
            payload[..8].copy_from_slice(&version.wrapping_add(u64::from(step % 8)).to_be_bytes());
            if access == 2 {
                payload[8..].iter_mut().take(2).for_each(|byte| *byte = 0);
            }
        }
        payload.resize(fixed + data, step);
        let message = packets(xid.0, code, access, payload);
        let most = if what & 1 == 0 { usize::MAX } else { usize::from(source.u8()) };
        let bytes: Vec<u8> = message.into_iter().take(most).flatten().collect();
        self.receive(&bytes, cuts);
        self.events();
    }

    fn receive(&mut self, bytes: &[u8], cuts: &[usize]) {
        for piece in pieces(bytes, cuts) {
            let result = self.client.handle_input(piece, self.now);
            self.judge(result);
        }
    }

    fn judge(&mut self, result: Result<(), ProtocolError>) {
        match (result, self.error) {
            (Ok(()), None) => {}
            (Ok(()), Some(error)) => panic!("{error}, and then nothing"),
            (Err(error), Some(before)) => assert_eq!(error, before),
            (Err(error), None) => {
                self.error = Some(error);
                assert!(self.client.is_closed() && !self.client.wants_read());
            }
        }
    }

    fn events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            self.hear(&event);
            self.heard.push(event);
        }
    }

    fn hear(&mut self, event: &Event) {
        let xid = event.xid();
        let open =
            self.open.get_mut(&xid).unwrap_or_else(|| panic!("{event:?} of a transaction that is over"));
        let over = match event {
            Event::Replied { reply, .. } => {
                assert!(open.begun.is_none(), "{reply:?} to a watch that stands");
                true
            }
            Event::Ended { .. } => true,
            Event::Piece { data, total, .. } => {
                assert!(!data.is_empty() && data.len() <= *total as usize);
                self.pieces += 1;
                false
            }
            Event::Wanted { .. } => false,
            Event::Watching { version, .. } => {
                assert!(open.opcode == Opcode::WatchRecord && open.begun.replace(*version).is_none());
                false
            }
            Event::Notified { notification, .. } => open.hear(notification, self.max_reply),
            other => panic!("{other:?}"),
        };
        if over {
            self.open.remove(&xid);
        }
    }

    /// The connection is over, and so is every transaction.
    fn end(&mut self) {
        self.events();
        assert!(self.client.is_closed() && self.client.output().is_empty());
        assert!(self.open.is_empty(), "{:?} have not ended", self.open.keys());
        assert_eq!(self.client.transactions(), 0);
        assert_eq!(self.client.poll_timeout(), None);
        let late = self.client.handle_input(b"0123456789", self.now);
        assert_eq!(late.err(), self.error);
    }
}

impl Open {
    /// Takes a notification; whether it is the last.
    fn hear(&mut self, notification: &Notification<Bytes>, max_reply: u32) -> bool {
        let begun = self.begun.expect("an OK before the first notification");
        let before = self.told.unwrap_or(begun);
        match notification {
            Notification::Changed { version, data } => {
                assert_eq!(data.is_some(), self.push);
                assert!(*version >= before && version.0 > 0);
                self.told = Some(*version);
            }
            Notification::RangeChanged { version, .. } => {
                assert!(self.push && self.told.is_some() && version.0 == before.0 + 1);
                self.told = Some(*version);
            }
            _ => {}
        }
        self.replica.apply(notification);
        assert!(self.replica.data().len() <= max_reply as usize, "more than the caller takes");
        matches!(notification, Notification::Ended(_))
    }
}
