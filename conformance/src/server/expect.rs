//! Compares what is received with what a case expects.

use crate::cases::{Action, Name};
use crate::pattern::{Names, Pattern, difference};
use crate::text::Scale;
use crate::wire::{self, Packet};

use super::{Difference, PONG};

/// What a connection is to receive next.
#[derive(Debug)]
pub struct Expectation<'a> {
    who: Name,
    pattern: &'a Pattern,
    bytes: Vec<Option<u8>>,
    any_order: bool,
}

impl<'a> Expectation<'a> {
    /// What a step expects; `None` where it expects no bytes.
    #[must_use]
    pub fn of(action: &'a Action, names: &Names, scale: Scale) -> Option<Self> {
        let (who, pattern, any_order) = match action {
            Action::Receive(who, pattern) => (*who, pattern, false),
            Action::ReceiveAnyOrder(who, pattern) => (*who, pattern, true),
            _ => return None,
        };
        Some(Self { who, pattern, bytes: pattern.bytes(names, scale), any_order })
    }

    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether what has come so far, from an offset on, cannot become what is expected.
    #[must_use]
    pub fn is_missed(&self, received: &[u8], from: usize) -> bool {
        let end = received.len().min(self.len());
        !self.any_order && from < end && difference(&self.bytes[from..end], &received[from..end]).is_some()
    }

    /// Compares all that was received in answer to it, and binds its names.
    ///
    /// # Errors
    ///
    /// Where it is not what was expected.
    pub fn settle(&self, received: &[u8], names: &mut Names) -> Result<(), Box<Difference>> {
        if self.any_order {
            let in_order = self.in_order(received)?;
            self.pattern.bind(&in_order, names);
            return Ok(());
        }
        if let Some(at) = difference(&self.bytes, received) {
            return Err(self.difference(0..self.len(), received, at));
        }
        self.pattern.bind(received, names);
        Ok(())
    }

    /// What was received, in the order of the file.
    fn in_order(&self, received: &[u8]) -> Result<Vec<u8>, Box<Difference>> {
        let mut missing = wire::packets(&self.bytes);
        let mut in_order = vec![0; self.len()];
        let xid = |packet: &Packet| packet.header.map(|header| header.xid);
        for packet in wire::packets(received) {
            let bytes = &received[packet.range.clone()];
            let Some(at) = missing.iter().position(|it| xid(it) == xid(&packet)) else {
                let mut difference = self.difference(0..0, bytes, 0);
                difference.note = Some("no packet with this XID is expected here any more".into());
                return Err(difference);
            };
            let range = missing.remove(at).range;
            if let Some(at) = difference(&self.bytes[range.clone()], bytes) {
                return Err(self.difference(range, bytes, at));
            }
            in_order[range].copy_from_slice(bytes);
        }
        match missing.first() {
            Some(packet) => Err(self.difference(packet.range.clone(), &[], 0)),
            None => Ok(in_order),
        }
    }

    fn difference(&self, range: std::ops::Range<usize>, received: &[u8], at: usize) -> Box<Difference> {
        let line = self.pattern.line_of(range.start + at).cloned();
        let expected = self.bytes[range].to_vec();
        Box::new(Difference { who: self.who, expected, received: received.to_vec(), at, line, note: None })
    }
}

/// Judges what has come up to the answer to a [`PING`](super::PING): it must be nothing else.
///
/// # Errors
///
/// Something else was received.
pub fn silence(who: Name, received: &[u8]) -> Result<(), Box<Difference>> {
    let besides = received.strip_suffix(&PONG).filter(|besides| !besides.is_empty());
    if let Some(besides) = besides {
        return nothing(who, besides);
    }
    let expected = PONG.map(Some).to_vec();
    let Some(at) = difference(&expected, received) else { return Ok(()) };
    let note = Some("a PING was to be answered, and nothing else to come".into());
    Err(Box::new(Difference { who, expected, received: received.to_vec(), at, line: None, note }))
}

/// Nothing may have come.
///
/// # Errors
///
/// Something was received.
pub fn nothing(who: Name, received: &[u8]) -> Result<(), Box<Difference>> {
    if received.is_empty() {
        return Ok(());
    }
    let (received, note) = (received.to_vec(), Some("nothing was expected here".into()));
    Err(Box::new(Difference { who, expected: Vec::new(), received, at: 0, line: None, note }))
}
