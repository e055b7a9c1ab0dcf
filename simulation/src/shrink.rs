//! The shortest tape that still shows a failure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use netswap_core::wire::{HEADER_LEN, Header};

use crate::failure::Failure;
use crate::judge::ConnectionNumber;
use crate::stage::{Event, Setting, Stage};

/// What has come, on which connections.
pub type Came = Vec<(ConnectionNumber, Vec<u8>)>;

/// How a tape was played again.
#[derive(Clone, Debug)]
pub struct Played {
    /// What happened, and what then came on which connections.
    pub steps: Vec<(Event, Came)>,
    /// What was wrong.
    pub failure: Option<Failure>,
    /// The connections that the server has closed.
    pub closed: BTreeSet<ConnectionNumber>,
    /// Whether everybody took all there was after every step.
    pub eager: bool,
}

/// Plays a tape. With `eager` everybody takes all that there is after every step, whatever the tape says.
#[must_use]
pub fn play(setting: &Setting, tape: &[Event], eager: bool) -> Played {
    let mut played = Played { steps: Vec::new(), failure: None, closed: BTreeSet::new(), eager };
    let Ok(mut stage) = Stage::new(setting) else { return played };
    let mut open = BTreeSet::new();
    for event in tape {
        match event {
            Event::Take(..) if eager => continue,
            Event::Open(number, _) => drop(open.insert(*number)),
            Event::Reset(number) => drop(open.remove(number)),
            _ => {}
        }
        let mut came = Vec::new();
        let done = stage.act(event.clone());
        if let (Event::Take(number, _), Ok(taken)) = (event, &done) {
            came.push((*number, taken.clone()));
        }
        let mut failure = done.err();
        if eager && failure.is_none() {
            failure = take_all(&mut stage, &open, &mut came).err();
        }
        played.steps.push((event.clone(), came));
        if failure.is_some() {
            if let (Event::Take(number, _), Some((_, bytes))) = (event, stage.last()) {
                played.steps.last_mut().into_iter().for_each(|step| step.1.push((*number, bytes.to_vec())));
            }
            played.failure = failure;
            break;
        }
    }
    if played.failure.is_none() {
        let mut came = Vec::new();
        let settled = take_all(&mut stage, &open, &mut came)
            .and_then(|()| stage.judge().check(&stage.statistics(), true))
            .and_then(|()| stage.judge().check_quiet());
        played.failure = settled.err();
        played.steps.push((Event::Pass { time: 0, late: false }, came));
    }
    played.closed = open.into_iter().filter(|number| !stage.is_open(*number)).collect();
    played
}

fn take_all(stage: &mut Stage, open: &BTreeSet<ConnectionNumber>, came: &mut Came) -> Result<(), Failure> {
    loop {
        let mut some = false;
        for number in open {
            while stage.waiting(*number) > 0 {
                let done = stage.act(Event::Take(*number, usize::MAX));
                if let Some((_, bytes)) = stage.last() {
                    came.push((*number, bytes.to_vec()));
                }
                done?;
                some = true;
            }
        }
        if !some {
            return Ok(());
        }
    }
}

/// The shortest tape found in the time given that fails in the same way; `None` where the failure does not come again
/// when the tape is played.
#[must_use]
pub fn shrink(setting: &Setting, tape: &[Event], failure: &Failure, time: Duration) -> Option<Played> {
    let until = Instant::now() + time;
    let fails = |tape: &[Event], eager| {
        let failed = play(setting, tape, eager).failure;
        failed.is_some_and(|found| found.invariant == failure.invariant)
    };
    let mut tape = tape.to_vec();
    if !fails(&tape, false) {
        return None;
    }
    let packets = packetwise(&tape);
    if fails(&packets, false) {
        tape = packets;
    }
    let eager = fails(&tape, true);
    if eager {
        tape.retain(|event| !matches!(event, Event::Take(..)));
    }
    let end = (0..=tape.len()).collect::<Vec<_>>().partition_point(|end| !fails(&tape[..*end], eager));
    if end <= tape.len() && fails(&tape[..end], eager) {
        tape.truncate(end);
    }
    // Whole connections first.
    let numbers: BTreeSet<_> = tape.iter().filter_map(number_of).collect();
    for number in numbers {
        let without: Vec<_> = tape.iter().filter(|event| number_of(event) != Some(number)).cloned().collect();
        if Instant::now() < until && fails(&without, eager) {
            tape = without;
        }
    }
    // Then any steps, many at once and at last each by itself, as long as that helps.
    let mut size = tape.len().div_ceil(2);
    while size > 0 && Instant::now() < until {
        let (mut at, before) = (0, tape.len());
        while at < tape.len() && Instant::now() < until {
            let without = [&tape[..at], &tape[(at + size).min(tape.len())..]].concat();
            if fails(&without, eager) {
                tape = without;
            } else {
                at += size;
            }
        }
        size = if size == 1 && tape.len() < before { 1 } else { size / 2 };
    }
    Some(play(setting, &tape, eager))
}

fn number_of(event: &Event) -> Option<ConnectionNumber> {
    match event {
        Event::Open(number, _)
        | Event::Input(number, _)
        | Event::Take(number, _)
        | Event::HalfClose(number)
        | Event::Reset(number) => Some(*number),
        Event::Pass { .. } | Event::Stop => None,
    }
}

/// The same tape with one packet a step, each when its last byte came.
fn packetwise(tape: &[Event]) -> Vec<Event> {
    let mut buffers: BTreeMap<ConnectionNumber, Vec<u8>> = BTreeMap::new();
    let mut packets = Vec::new();
    for event in tape {
        let Event::Input(number, bytes) = event else {
            if let Some(number) = number_of(event).filter(|_| !matches!(event, Event::Take(..)))
                && let Some(rest) = buffers.remove(&number).filter(|rest| !rest.is_empty())
            {
                packets.push(Event::Input(number, rest));
            }
            packets.push(event.clone());
            continue;
        };
        let buffer = buffers.entry(*number).or_default();
        buffer.extend_from_slice(bytes);
        while let Some(header) = buffer.first_chunk::<HEADER_LEN>().map(Header::decode) {
            let len = HEADER_LEN + header.payload_len();
            if buffer.len() < len {
                break;
            }
            packets.push(Event::Input(*number, buffer.drain(..len).collect()));
        }
    }
    packets.extend(
        buffers
            .into_iter()
            .filter(|(_, rest)| !rest.is_empty())
            .map(|(number, rest)| Event::Input(number, rest)),
    );
    packets
}
