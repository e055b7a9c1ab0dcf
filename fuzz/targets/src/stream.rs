//! What clients send to a server may be cut anyhow: it says and does the same.

use crate::source::{Source, pieces};
use crate::transcript::{Event, Outcome, build, replay};

/// The first bytes decide how the stream is cut, and whether the others are bytes that clients send, with what else
/// happens to their connections, or choices of requests.
pub fn stream(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let cuts = source.cuts();
    let events = if source.flag() { chosen(source) } else { raw(source) };
    let whole = play(&events, &[usize::MAX]);
    let cut = play(&events, &cuts);
    assert!(whole == cut, "cut: {cut:#?}, but whole: {whole:#?}");
}

fn play(events: &[Event], cuts: &[usize]) -> Outcome {
    replay(events, |bytes| pieces(bytes, cuts).into_iter().map(<[u8]>::len).collect())
}

fn chosen(mut source: Source<'_>) -> Vec<Event> {
    let mut choices = Vec::new();
    while !source.is_empty() && choices.len() < 200 {
        choices.push((source.u8(), source.u8(), source.u16(), source.u8()));
    }
    build(&choices)
}

fn raw(mut source: Source<'_>) -> Vec<Event> {
    let (mut events, mut down) = (Vec::new(), false);
    while !source.is_empty() && events.len() < 200 {
        let what = source.u8();
        let peer = usize::from(what & 3);
        events.push(match what >> 2 {
            0..=39 => {
                let len = source.u16();
                Event::Input(peer, source.take(len.into()).to_vec())
            }
            // One byte, many times.
            40..=43 => {
                let (byte, len) = (source.u8(), source.u16() % 4000);
                Event::Input(peer, vec![byte; len.into()])
            }
            44..=50 => Event::Take(peer, usize::MAX),
            51..=53 => Event::Take(peer, source.u16().into()),
            54..=58 => Event::Wait(u64::from(source.u8()) / 2),
            59 | 60 => Event::End(peer),
            61 | 62 => Event::Reset(peer),
            _ if !down => {
                down = true;
                Event::Shutdown
            }
            _ => Event::Wait(1),
        });
    }
    events
}
