//! A tape as a case of the conformance suite: what the clients sent, and what they should have received.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use data_encoding::HEXLOWER;
use netswap_core::config::Config;
use netswap_core::wire::{ABORT, Code, HEADER_LEN, Header, MAX_PAYLOAD, Opcode};

use crate::failure::Failure;
use crate::judge::ConnectionNumber;
use crate::shrink::Played;
use crate::stage::{Event, address};

/// What the file must be called, for its case is numbered after it.
pub const FILE_NAME: &str = "0-simulation.txt";

/// The case; `None` where there are more connections than there are letters.
#[must_use]
pub fn case(config: &Config, seed: u64, played: &Played) -> Option<String> {
    let opened = played.steps.iter().filter_map(|(event, _)| match event {
        Event::Open(number, _) => Some(*number),
        _ => None,
    });
    let names: BTreeMap<ConnectionNumber, char> = opened.zip('A'..='Y').collect();
    let count = played.steps.iter().filter(|(event, _)| matches!(event, Event::Open(..))).count();
    if names.len() < count {
        return None;
    }
    let mut writer =
        Writer { names, text: String::new(), up: BTreeMap::new(), down: BTreeMap::new(), expects: false };
    let failure = played.failure.as_ref();
    let what = failure.map_or_else(|| "nothing is wrong".into(), ToString::to_string);
    writer.line("netswap-server-cases 1");
    writer.line(&format!("# Seed {seed}. {}", what.replace('\n', " ")));
    if !played.eager {
        writer.line("# It depends on when clients read, which this can only come near to.");
    }
    writer.line(&format!("\ncase 0-01 What was found with seed {seed}"));
    writer.config(config);
    let last = played.steps.len().saturating_sub(1);
    for (at, (event, came)) in played.steps.iter().enumerate() {
        writer.event(event, played.eager);
        let failure = failure.filter(|_| at == last);
        for (index, (number, bytes)) in came.iter().enumerate() {
            // Only what came last can be wrong.
            let good = if index + 1 == came.len() { failure.map(|it| it.good) } else { None };
            writer.came(*number, bytes, played.eager, failure, good.unwrap_or(usize::MAX));
        }
        if let Some(failure) = failure {
            writer.expected(failure, played.eager);
        }
    }
    let reset = played.steps.iter().filter_map(|(event, _)| match event {
        Event::Reset(number) => Some(*number),
        _ => None,
    });
    for number in reset {
        writer.names.remove(&number);
    }
    if !writer.expects {
        writer.ping();
    }
    for (number, name) in writer.names.clone() {
        let closed = played.closed.contains(&number);
        writer.line(&format!("{name} {}", if closed { "dropped" } else { "resets" }));
    }
    Some(writer.text)
}

struct Writer {
    names: BTreeMap<ConnectionNumber, char>,
    text: String,
    /// What has come of a packet, in either direction.
    up: BTreeMap<ConnectionNumber, usize>,
    down: BTreeMap<ConnectionNumber, Vec<u8>>,
    /// Whether anything is expected yet: a case must expect something.
    expects: bool,
}

impl Writer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn config(&mut self, config: &Config) {
        let (limits, times) = (&config.limits, &config.times);
        let numbers = [
            ("record", Some(u64::from(limits.record))),
            ("total", Some(limits.total)),
            ("owner-bytes", limits.owner_bytes),
            ("owner-records", limits.owner_records),
            ("unfinished-requests", Some(u64::from(limits.unfinished_requests))),
            ("connection-unfinished", Some(limits.connection_unfinished)),
            ("unfinished", Some(limits.unfinished)),
            ("places", Some(limits.places)),
            ("watches", Some(u64::from(limits.watches))),
            ("connections", Some(u64::from(limits.connections))),
            ("connections-per-address", limits.connections_per_address.map(u64::from)),
            ("queued-replies", Some(u64::from(limits.queued_replies))),
            ("queued-bytes", Some(limits.queued_bytes)),
            ("slow-bytes", Some(times.slow_bytes)),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                self.line(&format!("config {key} {number}"));
            }
        }
        let spans = [
            ("grace", times.grace),
            ("longest", times.longest),
            ("slow", times.slow),
            ("linger", times.linger),
        ];
        for (key, time) in spans {
            self.line(&format!("config {key} {}", span(time)));
        }
        self.line(&format!("config identity-key {}", HEXLOWER.encode(&config.identity_key.0)));
        self.line(&format!("config seed {}", HEXLOWER.encode(&config.seed)));
    }

    fn event(&mut self, event: &Event, eager: bool) {
        let name = |number: &ConnectionNumber| self.names.get(number).copied();
        let line = match event {
            Event::Open(number, host) => name(number).map(|it| {
                let stops = if eager { String::new() } else { format!("\n{it} stops reading") };
                format!("{it} opens {}{stops}", address(*host))
            }),
            Event::Input(number, bytes) => name(number).map(|it| self.sent(*number, it, bytes)),
            Event::HalfClose(number) => name(number).map(|it| format!("{it} half-closes")),
            Event::Reset(number) => name(number).map(|it| format!("{it} resets")),
            Event::Pass { time: 0, .. } | Event::Take(..) => None,
            Event::Pass { time, .. } => Some(format!("+ {}", span(Duration::from_millis(*time)))),
            Event::Stop => Some("server stops".into()),
        };
        line.into_iter().for_each(|line| self.line(&line));
    }

    /// What is sent, a packet a line where it is cut so.
    fn sent(&mut self, number: ConnectionNumber, name: char, bytes: &[u8]) -> String {
        let missing = self.up.entry(number).or_default();
        let mut lines = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = rest.first_chunk::<HEADER_LEN>().map(Header::decode).filter(|_| *missing == 0);
            let len = if *missing > 0 {
                *missing
            } else {
                header.map_or(rest.len(), |it| HEADER_LEN + it.payload_len())
            };
            let (packet, after) = rest.split_at(len.min(rest.len()));
            *missing = len - packet.len();
            let told = header.map_or_else(String::new, |it| format!(" | {}", request(&it)));
            lines.push(format!("{name}> {}{told}", hex(packet)));
            rest = after;
        }
        lines.join("\n")
    }

    fn came(
        &mut self,
        number: ConnectionNumber,
        bytes: &[u8],
        eager: bool,
        failure: Option<&Failure>,
        good: usize,
    ) {
        let Some(name) = self.names.get(&number).copied() else { return };
        // What comes from the first wrong packet on is told, and not expected.
        let good = failure.filter(|it| it.connection == Some(number)).map_or(usize::MAX, |_| good);
        // So are the packets before it that are of the same message.
        let expected = failure.filter(|it| it.connection == Some(number)).and_then(|it| it.expected.as_ref());
        let message =
            expected.filter(|it| it.len() > MAX_PAYLOAD).and_then(|it| it.first_chunk::<4>()).copied();
        let mut at = 0;
        let mut buffer = self.down.remove(&number).unwrap_or_default();
        buffer.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(header) = buffer.first_chunk::<HEADER_LEN>().map(Header::decode) {
            let len = HEADER_LEN + header.payload_len();
            if buffer.len() < len {
                break;
            }
            let packet: Vec<u8> = buffer.drain(..len).collect();
            let comment = if at >= good || message.is_some_and(|xid| packet.starts_with(&xid)) {
                "# The server sends: "
            } else {
                ""
            };
            at += len;
            lines.push(format!("{comment}{name}< {} | {}", hex(&packet), reply(&header)));
        }
        self.down.insert(number, buffer);
        self.received(name, eager, &lines);
    }

    /// Somebody else comes, and is answered.
    fn ping(&mut self) {
        self.line("Z opens 127.0.0.99");
        self.line("Z> 00 00 00 01 00 00 00 00 08 00 | PING, XID 1");
        self.line("Z< 00 00 00 01 00 00 00 00 00 00 | GENERIC_OP_SUCCESS, XID 1");
        self.line("Z resets");
    }

    /// What should have come.
    fn expected(&mut self, failure: &Failure, eager: bool) {
        let Some(name) = failure.connection.and_then(|it| self.names.get(&it).copied()) else { return };
        let Some(expected) = &failure.expected else { return };
        let mut lines = vec![format!("# {failure}").replace('\n', " ")];
        let mut rest = &expected[..];
        while let Some(header) = rest.first_chunk::<HEADER_LEN>().map(Header::decode) {
            let (packet, after) = rest.split_at((HEADER_LEN + header.payload_len()).min(rest.len()));
            lines.push(format!("{name}< {} | {}", hex(packet), reply(&header)));
            rest = after;
        }
        self.received(name, eager, &lines);
    }

    fn received(&mut self, name: char, eager: bool, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        if !eager {
            self.line(&format!("{name} reads"));
        }
        lines.iter().for_each(|line| self.line(line));
        self.expects |= lines.iter().any(|line| !line.starts_with('#'));
        if !eager {
            self.line(&format!("{name} stops reading"));
        }
    }
}

fn span(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

/// Bytes as the suite writes them; long runs of one byte in short.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in bytes.chunk_by(|one, other| one == other) {
        let Some(byte) = run.first() else { continue };
        if run.len() > 8 {
            let _ = write!(text, " {byte:02x} * {}", run.len());
        } else {
            for byte in run {
                let _ = write!(text, " {byte:02x}");
            }
        }
    }
    text.trim_start().into()
}

fn request(header: &Header) -> String {
    let name = match Opcode::from_u8(header.opcode) {
        Some(opcode) => opcode.name(),
        None if header.opcode == ABORT => "ABORT",
        None => "an unknown operation",
    };
    format!("{name}, XID {}", header.xid)
}

fn reply(header: &Header) -> String {
    let name = Code::from_u8(header.opcode).map_or("an unknown code", Code::name);
    format!("{name}, XID {}", header.xid)
}
