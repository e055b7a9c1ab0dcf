//! Wakes a task when a state machine wants it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// One timer, for a deadline that mostly moves away.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<(Instant, async_io::Timer)>,
}

impl Timer {
    /// Ready when the deadline may have come: one that has moved away is found out when it would have been.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let armed = self.sleep.as_ref().is_some_and(|(armed, _)| *armed <= deadline);
        if !armed {
            self.sleep = Some((deadline, async_io::Timer::at(deadline)));
        }
        let Some((_, sleep)) = &mut self.sleep else { return Poll::Pending };
        ready!(Pin::new(sleep).poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
