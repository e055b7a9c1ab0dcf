//! The two clocks of a connection that is too slow (docs/PROTOCOL.md §5.4).

use core::time::Duration;

use crate::time::{Instant, earlier};
use crate::wire::Output;

/// When things last moved.
///
/// The clock of requests runs on *reading time*, which stands while the server itself does not read.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// How long reading has paused in all, before the present pause.
    paused: Duration,
    paused_since: Option<Instant>,
    /// When the packet began that is arriving, in reading time.
    packet_since: Option<Instant>,
    /// Since when replies wait, and how many bytes had been taken then.
    waiting: Option<(Instant, u64)>,
}

impl Clocks {
    /// The time on the clock that stands while the server does not read.
    pub(super) fn reading_time(&self, now: Instant) -> Instant {
        self.paused_since.unwrap_or(now).saturating_sub(self.paused)
    }

    /// The server reads from now on, or it does not.
    pub(super) fn mark_reading(&mut self, reading: bool, now: Instant) {
        match self.paused_since {
            Some(since) if reading => {
                self.paused += now.saturating_since(since);
                self.paused_since = None;
            }
            None if !reading => self.paused_since = Some(now),
            _ => {}
        }
    }

    /// A packet is complete; what comes next begins another.
    pub(super) fn packet_ended(&mut self) {
        self.packet_since = None;
    }

    /// After some input: whether it ended inside a packet.
    pub(super) fn mark_packet(&mut self, inside: bool, now: Instant) {
        let since = self.packet_since.unwrap_or_else(|| self.reading_time(now));
        self.packet_since = inside.then_some(since);
    }

    /// After some output: `enough` bytes taken start the clock anew, nothing left stops it.
    pub(super) fn mark_output(&mut self, output: &Output, enough: u64, now: Instant) {
        let taken = output.taken();
        self.waiting = match self.waiting {
            _ if output.is_empty() => None,
            Some((since, before)) if taken - before < enough => Some((since, before)),
            _ => Some((now, taken)),
        };
    }

    /// When one of the clocks runs out; `oldest` is the packet, in reading time, that a request has waited for the longest.
    pub(super) fn deadline(&self, oldest: Option<Instant>, slow: Duration) -> Option<Instant> {
        let request = match self.paused_since {
            // It stands; whatever lets it go on will set it.
            Some(_) => None,
            None => earlier(oldest, self.packet_since).map(|since| since + self.paused + slow),
        };
        earlier(request, self.waiting.map(|(since, _)| since + slow))
    }

    /// Whether too little of the replies was taken for too long.
    pub(super) fn reader_is_slow(&self, now: Instant, slow: Duration) -> bool {
        self.waiting.is_some_and(|(since, _)| since + slow <= now)
    }

    /// Whether a request or a packet has made no progress for too long.
    pub(super) fn request_is_slow(&self, oldest: Option<Instant>, now: Instant, slow: Duration) -> bool {
        let since = earlier(oldest, self.packet_since);
        since.is_some_and(|since| since + slow <= self.reading_time(now))
    }
}
