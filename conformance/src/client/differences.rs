//! Shows how what a client sent differs from what was expected.

use std::fmt::Write;

use crate::pattern::difference;
use crate::wire::{HEADER, MaybeByte, packets};

/// So many bytes of a payload are shown around the first that differs.
const SHOWN: usize = 24;

/// What was expected and what came, packet by packet; `ended` tells whether the client has ended the connection.
pub(super) fn differs(expected: &[Option<u8>], received: &[u8], ended: bool) -> String {
    let at = difference(expected, received).unwrap_or(expected.len());
    let mut told = format!("byte {at} of {} is another, or not there\n", expected.len());
    told += &show("expected", expected, at);
    told += &show("received", received, at);
    told += match (ended, received.len() < expected.len()) {
        (true, _) => "  and the client has ended the connection",
        (false, true) => "  and nothing more",
        (false, false) => "",
    };
    told.trim_end().into()
}

/// The packet in which the byte stands, or would stand.
fn show<B: MaybeByte>(what: &str, stream: &[B], at: usize) -> String {
    let mut told = String::new();
    let shown = packets(stream).into_iter().find(|packet| packet.range.end > at);
    let Some(packet) = shown else {
        let count = stream.len();
        let _ = writeln!(told, "  {what}: nothing more after {count} bytes");
        return told;
    };
    let bytes = &stream[packet.range.clone()];
    let field = |range: std::ops::Range<usize>| hex(bytes.get(range).unwrap_or_default());
    let _ = write!(
        told,
        "  {what}: XID {}, REMAINING {}, OPCODE {}, ACCESS {}",
        field(0..4),
        field(4..8),
        field(8..9),
        field(9..10)
    );
    let payload = bytes.get(HEADER..).unwrap_or_default();
    let within = at.saturating_sub(packet.range.start + HEADER);
    let from = within.saturating_sub(SHOWN / 2).min(payload.len());
    let to = payload.len().min(from + SHOWN);
    if !payload.is_empty() {
        let (before, after) = (if from > 0 { ".. " } else { "" }, if to < payload.len() { " .." } else { "" });
        let _ = write!(told, ", payload {before}{}{after}", hex(&payload[from..to]));
    }
    told.push('\n');
    told
}

fn hex<B: MaybeByte>(bytes: &[B]) -> String {
    let digits = |byte: &B| byte.known().map_or("??".into(), |byte| format!("{byte:02x}"));
    bytes.iter().map(digits).collect::<Vec<_>>().join(" ")
}
