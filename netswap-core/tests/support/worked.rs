//! The worked examples of docs/PROTOCOL.md: read (§1.6) and replayed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::time::Duration;

use netswap_core::connection::Phase;
use netswap_core::engine::Peer;

use crate::support::World;

/// A fenced block with the info string `worked`.
#[derive(Debug)]
pub(crate) struct Block {
    /// The line of the document at which it begins.
    pub(crate) line: usize,
    pub(crate) steps: Vec<(usize, Step)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Send(char, Vec<u8>),
    Receive(char, Vec<u8>),
    Pass(Duration),
    Closed(char),
}

/// Every worked block of a document, or the line that is no such step.
pub(crate) fn blocks(document: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut other_fence = false;
    for (number, line) in document.lines().enumerate().map(|(index, line)| (index + 1, line.trim_end())) {
        match &mut open {
            Some(_) if line == "```" => {
                let block = open.take().unwrap();
                let silent = !block.steps.iter().any(|(_, step)| matches!(step, Step::Receive(..)));
                if silent {
                    return Err(format!("line {}: nothing is received in this block", block.line));
                }
                blocks.push(block);
            }
            Some(block) => {
                if let Some(step) =
                    step(line).map_err(|problem| format!("line {number}: {problem}: {line}"))?
                {
                    block.steps.push((number, step));
                }
            }
            None if line.starts_with("```") && other_fence => other_fence = false,
            None if line == "```worked" => open = Some(Block { line: number, steps: Vec::new() }),
            None if line.contains("```worked") => {
                return Err(format!("line {number}: a fence in disguise: {line}"));
            }
            None => other_fence = line.starts_with("```"),
        }
    }
    match open {
        Some(block) => Err(format!("line {}: the block has no end", block.line)),
        None => Ok(blocks),
    }
}

fn step(line: &str) -> Result<Option<Step>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if let Some(time) = line.strip_prefix("+ ") {
        let seconds = time.strip_suffix(" s").ok_or("a time ends with ` s`")?;
        let seconds = seconds.parse().map_err(|_| "not a number of seconds")?;
        return Ok(Some(Step::Pass(Duration::from_secs(seconds))));
    }
    let (who, rest) = match line.split_at_checked(1) {
        Some(("A", rest)) => ('A', rest),
        Some(("B", rest)) => ('B', rest),
        _ => return Err("who is this?".into()),
    };
    if rest == " closed" {
        return Ok(Some(Step::Closed(who)));
    }
    let (arrow, bytes) = rest.split_once(' ').ok_or("no bytes")?;
    let (bytes, _label) = bytes.split_once(" | ").ok_or("every line of bytes has a label after ` | `")?;
    let bytes = hex(bytes)?;
    match arrow {
        ">" => Ok(Some(Step::Send(who, bytes))),
        "<" => Ok(Some(Step::Receive(who, bytes))),
        _ => Err("neither `>` nor `<`".into()),
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let byte = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let value = two.then(|| u8::from_str_radix(digits, 16).ok()).flatten();
        value.ok_or_else(|| format!("`{digits}` is not two lower-case hex digits"))
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        [] => Err("no bytes".into()),
        [digits, "*", count] => {
            let count = count.parse().map_err(|_| format!("`{count}` is not a number"))?;
            Ok(vec![byte(digits)?; count])
        }
        _ => words.into_iter().map(byte).collect(),
    }
}

/// How what is sent is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Line by line, as it is printed.
    Lines,
    Bytes,
}

/// Plays a block against a fresh server.
pub(crate) fn replay(block: &Block, cut: Cut) -> Result<(), String> {
    let mut world = World::new();
    let mut peers: BTreeMap<char, Peer> = BTreeMap::new();
    let mut waiting: BTreeMap<char, Vec<u8>> = BTreeMap::new();
    let mut closed = Vec::new();
    for (line, step) in &block.steps {
        match step {
            Step::Send(who, bytes) => {
                nothing_waits(&waiting, *line)?;
                let peer = *peers.entry(*who).or_insert_with(|| world.connect(address(*who)));
                match cut {
                    Cut::Lines => world.send(peer, bytes),
                    Cut::Bytes => bytes.iter().for_each(|byte| world.send(peer, [*byte])),
                }
                // Where the last thing sent was not enough, nothing comes; the next step will tell.
                gather(&mut world, &peers, &mut waiting);
            }
            Step::Receive(who, expected) => {
                let waiting = waiting.entry(*who).or_default();
                let count = expected.len().min(waiting.len());
                let received: Vec<u8> = waiting.drain(..count).collect();
                if received != *expected {
                    return Err(format!(
                        "line {line}: expected {}, received {}",
                        show(expected),
                        show(&received)
                    ));
                }
            }
            Step::Pass(time) => {
                nothing_waits(&waiting, *line)?;
                world.wait(*time);
                gather(&mut world, &peers, &mut waiting);
            }
            Step::Closed(who) => {
                nothing_waits(&waiting, *line)?;
                let peer = peers.get(who).ok_or(format!("line {line}: {who} never was connected"))?;
                if world.phase(*peer) == Phase::Open {
                    return Err(format!("line {line}: {who} is not closed"));
                }
                closed.push(*who);
            }
        }
    }
    nothing_waits(&waiting, block.steps.last().map_or(block.line, |(line, _)| *line))?;
    match peers.iter().find(|(who, peer)| !closed.contains(who) && world.phase(**peer) != Phase::Open) {
        Some((who, _)) => Err(format!("block at line {}: {who} was closed", block.line)),
        None => Ok(()),
    }
}

/// Takes what comes for everybody.
fn gather(world: &mut World, peers: &BTreeMap<char, Peer>, waiting: &mut BTreeMap<char, Vec<u8>>) {
    for (who, peer) in peers {
        waiting.entry(*who).or_default().extend(world.receive(*peer));
    }
}

fn address(who: char) -> &'static str {
    if who == 'A' { "127.0.0.1" } else { "127.0.0.2" }
}

fn nothing_waits(waiting: &BTreeMap<char, Vec<u8>>, line: usize) -> Result<(), String> {
    match waiting.iter().find(|(_, bytes)| !bytes.is_empty()) {
        Some((who, bytes)) => Err(format!("before line {line}: {who} received {} besides", show(bytes))),
        None => Ok(()),
    }
}

fn show(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(48).map(|byte| format!("{byte:02x}")).collect();
    let more = if bytes.len() > 48 { " ..." } else { "" };
    format!("{} bytes [{}{more}]", bytes.len(), shown.join(" "))
}

/// What a block sends on one connection, or what it receives, as (OPCODE, ACCESS) of each message's first packet.
pub(crate) fn messages(block: &Block, sent: bool) -> Vec<(u8, u8)> {
    let mut found = Vec::new();
    for who in ['A', 'B'] {
        let stream: Vec<u8> = block
            .steps
            .iter()
            .filter_map(|(_, step)| match step {
                Step::Send(it, bytes) if sent && *it == who => Some(bytes.as_slice()),
                Step::Receive(it, bytes) if !sent && *it == who => Some(bytes.as_slice()),
                _ => None,
            })
            .collect::<Vec<_>>()
            .concat();
        let mut rest = &stream[..];
        let mut unfinished = Vec::new();
        while let Some((header, after)) = rest.split_at_checked(10) {
            let remaining = u32::from_be_bytes(header[4..8].try_into().unwrap()) as usize;
            if !unfinished.contains(&&header[..4]) {
                found.push((header[8], header[9]));
            }
            unfinished.retain(|xid| *xid != &header[..4]);
            if remaining > 1390 {
                unfinished.push(&header[..4]);
            }
            rest = &after[remaining.min(1390).min(after.len())..];
        }
    }
    found
}
