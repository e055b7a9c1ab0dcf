//! Where a call finds its answer, and what comes before it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::shared::Answer;

/// A piece of a download, with the length of the whole in bytes.
pub(super) type Piece = (Bytes, u32);

/// What one call waits for. One task waits at a time.
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    answer: Option<Answer>,
    answered: bool,
    pieces: VecDeque<Piece>,
    wanted: bool,
    waker: Option<Waker>,
}

impl Slot {
    /// The last that comes.
    pub(super) fn put_answer(&self, answer: Answer) {
        let mut inner = self.lock();
        inner.answer = Some(answer);
        inner.answered = true;
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A piece of a download. Who is to be woken.
    pub(super) fn put_piece(&self, piece: Piece) -> Option<Waker> {
        let mut inner = self.lock();
        inner.pieces.push_back(piece);
        inner.waker.take()
    }

    /// More of an upload is wanted. Who is to be woken.
    pub(super) fn want(&self) -> Option<Waker> {
        let mut inner = self.lock();
        inner.wanted = true;
        inner.waker.take()
    }

    /// The answer; it is taken.
    pub(super) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Answer> {
        let mut inner = self.lock();
        match inner.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => inner.wait(cx),
        }
    }

    /// The next piece of a download; `None` when there is the answer, or was.
    pub(super) fn poll_piece(&self, cx: &Context<'_>) -> Poll<Option<Piece>> {
        let mut inner = self.lock();
        match inner.pieces.pop_front() {
            None if !inner.answered => inner.wait(cx),
            piece => Poll::Ready(piece),
        }
    }

    /// More of an upload is wanted since this was last asked.
    pub(super) fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.wanted) { Poll::Ready(()) } else { inner.wait(cx) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
