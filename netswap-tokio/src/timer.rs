//! Wakes a task when a state machine wants it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::time::Sleep;

/// One timer, for a deadline that mostly moves away.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timer {
    /// Ready when the deadline may have come: one that has moved away is found out when it would have been. Never
    /// ready outside of a tokio runtime.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let Some(deadline) = deadline.filter(|_| Handle::try_current().is_ok()) else { return Poll::Pending };
        let armed = self.sleep.as_ref().is_some_and(|(armed, _)| *armed <= deadline);
        if !armed {
            self.sleep = Some((deadline, Box::pin(tokio::time::sleep_until(deadline.into()))));
        }
        let Some((_, sleep)) = &mut self.sleep else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}
