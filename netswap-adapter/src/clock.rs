//! The core's time, read from the system's clock.

use std::time::Instant as SystemTime;

use netswap_core::time::Instant;

/// A clock that began when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: SystemTime,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: SystemTime::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::after_start(self.start.elapsed())
    }

    /// A moment of the core as one of the system; `None` when it is beyond all time.
    #[must_use]
    pub fn system_time(&self, moment: Instant) -> Option<SystemTime> {
        self.start.checked_add(moment.since_start())
    }
}
