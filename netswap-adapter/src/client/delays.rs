//! The pauses between attempts to connect.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::ConnectOptions;

/// The pauses between attempts to connect: each twice as long as the one before, up to a limit, and a random part more.
pub(super) struct Delays {
    attempt: u32,
    delays: <ExponentialBuilder as BackoffBuilder>::Backoff,
    last: Duration,
}

impl Delays {
    pub(super) fn new(options: &ConnectOptions) -> Self {
        let (first, most) = options.reconnect_delays;
        let delays = ExponentialBuilder::new().with_jitter().without_max_times();
        Self { attempt: 0, delays: delays.with_min_delay(first).with_max_delay(most).build(), last: most }
    }

    /// The number of the next attempt, and how long to wait before it.
    pub(super) fn next(&mut self) -> (u32, Duration) {
        self.attempt += 1;
        (self.attempt, self.delays.next().unwrap_or(self.last))
    }
}
