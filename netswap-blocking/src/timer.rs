//! Waits for a time.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use netswap_adapter::{Sleep, within};

use crate::wait::{until, wait};

/// Nothing has happened in the time that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("nothing happened in time")
    }
}

impl std::error::Error for Elapsed {}

/// Ready when the deadline has come. Never ready without one.
pub(crate) fn poll_deadline(deadline: Option<Instant>) -> Poll<()> {
    deadline.map_or(Poll::Pending, until)
}

/// Waits so long.
pub(crate) fn sleep(duration: Duration) -> Sleep {
    // A time beyond all time does not come.
    let deadline = Instant::now().checked_add(duration);
    Box::pin(poll_fn(move |_| poll_deadline(deadline)))
}

/// Waits for what a future gives, but only so long.
pub(crate) fn wait_for<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    wait(within(Some(sleep(duration)), future)).ok_or(Elapsed)
}
