//! Says what is wrong, field by field.

use std::fmt::{self, Write};

use netswap_core::wire::{ABORT, Code, Opcode};

use crate::cases::Case;
use crate::pattern::Names;
use crate::server::{Difference, Failure, Mode, Problem};
use crate::wire::{HEADER, Header, MaybeByte, packets};

/// The most bytes of a payload that are shown on either side of its first difference.
const AROUND: usize = 12;

/// What happened, with everything that is needed to see why and to play it again.
#[must_use]
pub fn failure(case: &Case, server: &str, mode: Mode, seed: u64, failure: &Failure) -> String {
    let mut text = String::new();
    // Writing into a string does not fail.
    let _ = write_failure(&mut text, case, server, mode, seed, failure);
    text
}

fn write_failure(
    f: &mut String,
    case: &Case,
    server: &str,
    mode: Mode,
    seed: u64,
    failure: &Failure,
) -> fmt::Result {
    let Failure { line, problem, names } = failure;
    let line = match problem {
        Problem::Differs(difference) => difference.line.as_ref().map_or(*line, |line| line.number),
        _ => *line,
    };
    writeln!(f, "{}:{line}: {} {}", case.file, case.id, case.title)?;
    let seed = if mode == Mode::Cuts { format!(" (seed {seed})") } else { String::new() };
    writeln!(f, "  server {server}, sent {}{seed}", mode.name())?;
    match problem {
        Problem::Differs(difference) => write_difference(f, difference, Speaker::Server)?,
        other => writeln!(f, "  {other}")?,
    }
    write_names(f, names)
}

/// How what was received differs from what was expected, field by field.
#[must_use]
pub fn difference(it: &Difference, speaker: Speaker) -> String {
    let mut text = String::new();
    let _ = write_difference(&mut text, it, speaker);
    text
}

/// Who sends what is shown: the same numbers mean other things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// A client: requests.
    Client,
    /// A server: replies.
    Server,
}

fn write_names(f: &mut String, names: &Names) -> fmt::Result {
    names.iter().try_for_each(|(name, bytes)| writeln!(f, "  ${name} is {}", hex(bytes)))
}

fn write_difference(f: &mut String, it: &Difference, speaker: Speaker) -> fmt::Result {
    if let Some(line) = &it.line {
        writeln!(f, "  the line: {}", line.text)?;
    }
    // Up to the first difference both streams have the same packets.
    let start = |stream: &[Option<u8>]| {
        let before = packets(stream).into_iter().rfind(|packet| packet.range.start <= it.at);
        before
            .map_or(0, |packet| if packet.range.end <= it.at { packet.range.end } else { packet.range.start })
    };
    let known: Vec<Option<u8>> = it.received.iter().copied().map(Some).collect();
    let from = if it.at < it.expected.len() { start(&it.expected) } else { start(&known) };
    let expected = Shown::first(it.expected.get(from..).unwrap_or_default(), speaker);
    let received = Shown::first(known.get(from..).unwrap_or_default(), speaker);
    let field = field(it.at - from);
    writeln!(f, "  {} received something else, first in {field} (byte {}):", it.who, it.at)?;
    writeln!(f, "    {:11}{:38}  received", "", "expected")?;
    for row in ["XID", "REMAINING", "OPCODE", "ACCESS", "payload"] {
        let (expected, received) = (expected.row(row), received.row(row));
        let mark = if expected == received { ' ' } else { '!' };
        writeln!(f, "  {mark} {row:11}{expected:38}  {received}")?;
    }
    if it.at - from >= HEADER {
        let at = it.at - from - HEADER;
        writeln!(f, "    the payloads around their byte {at}, the first that differs:")?;
        writeln!(f, "      expected {}", expected.around(at))?;
        writeln!(f, "      received {}", received.around(at))?;
    }
    for (what, shown) in [("expected", &expected), ("received", &received)] {
        if shown.more > 0 {
            writeln!(f, "    {} bytes more were {what} after this packet", shown.more)?;
        }
    }
    it.note.iter().try_for_each(|note| writeln!(f, "  {note}"))
}

/// The field that a byte of a packet belongs to.
fn field(offset: usize) -> &'static str {
    match offset {
        0..4 => "XID",
        4..8 => "REMAINING",
        8 => "OPCODE",
        9 => "ACCESS",
        _ => "the payload",
    }
}

/// The first packet of a stream, as far as it is there.
struct Shown<'a> {
    bytes: &'a [Option<u8>],
    /// What comes after it.
    more: usize,
    speaker: Speaker,
}

impl<'a> Shown<'a> {
    fn first(stream: &'a [Option<u8>], speaker: Speaker) -> Self {
        let end = packets(stream).first().map_or(0, |packet| packet.range.end);
        Self { bytes: &stream[..end], more: stream.len() - end, speaker }
    }

    fn row(&self, row: &str) -> String {
        let part = |from: usize, to: usize| &self.bytes[from.min(self.bytes.len())..to.min(self.bytes.len())];
        let number = |bytes: &[Option<u8>]| {
            let number = bytes.iter().try_fold(0_u32, |sum, byte| Some(sum << 8 | u32::from((*byte)?)));
            number.map_or_else(String::new, |number| format!(" ({number})"))
        };
        match row {
            "XID" => some(part(0, 4), number(part(0, 4))),
            "REMAINING" => some(part(4, 8), number(part(4, 8))),
            "OPCODE" => {
                some(part(8, 9), part(8, 9).first().map_or_else(String::new, |code| self.named(*code)))
            }
            "ACCESS" => some(part(9, 10), self.access()),
            _ if self.bytes.len() <= HEADER => "none".into(),
            _ => format!("{} bytes", self.bytes.len() - HEADER),
        }
    }

    /// What the ACCESS byte says.
    fn access(&self) -> String {
        let Some(Header { opcode, access, .. }) = Header::read(self.bytes) else { return String::new() };
        if self.speaker == Speaker::Client {
            return String::new();
        }
        let meaning = match opcode {
            3 => ["", "version", "record length", "version and record length"].get(usize::from(access)),
            4 => [
                "",
                "continuation",
                "unknown opcode beyond the largest request",
                "ABORT with payload or flags",
                "XID of a watch or waiting read",
                "too many being discarded",
            ]
            .get(usize::from(access)),
            5 => ["", "ACCESS byte", "payload length", "operand value"].get(usize::from(access)),
            8 => [
                "",
                "server memory",
                "owner's bytes",
                "owner's records",
                "unfinished requests",
                "unfinished bytes",
                "watches and waiting reads",
                "connections",
                "connections of this address",
            ]
            .get(usize::from(access)),
            11 => match access {
                16 => Some(&"DELETED"),
                17 => Some(&"EXPIRED"),
                18 => Some(&"ACCESS_LOST"),
                _ => {
                    ["", "CHANGED", "RANGE_CHANGED", "ACCESS_CHANGED", "OWNER_CHANGED", "OWNERSHIP_REQUESTED"]
                        .get(usize::from(access))
                }
            },
            _ => None,
        };
        meaning.filter(|it| !it.is_empty()).map_or_else(String::new, |meaning| format!(" {meaning}"))
    }

    /// The name of an operation or of a reply code.
    fn named(&self, code: Option<u8>) -> String {
        let name = match (code, self.speaker) {
            (None, _) => return String::new(),
            (Some(ABORT), _) => Some("ABORT".into()),
            (Some(code), Speaker::Client) => Opcode::from_u8(code).map(|it| it.to_string()),
            (Some(code), Speaker::Server) => Code::from_u8(code).map(|it| it.to_string()),
        };
        format!(" {}", name.as_deref().unwrap_or("unknown"))
    }

    /// The payload around one of its bytes, which is marked.
    fn around(&self, at: usize) -> String {
        let payload = self.bytes.get(HEADER..).unwrap_or_default();
        let (from, to) = (at.saturating_sub(AROUND).min(payload.len()), (at + AROUND).min(payload.len()));
        let mut words: Vec<String> = (from..to)
            .map(|offset| {
                if offset == at {
                    format!("[{}]", hex(&payload[offset..=offset]))
                } else {
                    hex(&payload[offset..=offset])
                }
            })
            .collect();
        if at >= payload.len() {
            words.push("[nothing]".into());
        }
        let before = if from > 0 { "... " } else { "" };
        let after = if to < payload.len() { " ..." } else { "" };
        format!("{before}{}{after}", words.join(" "))
    }
}

fn some(bytes: &[Option<u8>], meaning: String) -> String {
    if bytes.is_empty() { "nothing".into() } else { format!("{}{meaning}", hex(bytes)) }
}

/// Bytes in hexadecimal; `??` for those that may be any.
fn hex<B: MaybeByte>(bytes: &[B]) -> String {
    let digits = bytes.iter().map(|byte| byte.known().map_or("??".into(), |byte| format!("{byte:02x}")));
    digits.collect::<Vec<_>>().join("")
}
