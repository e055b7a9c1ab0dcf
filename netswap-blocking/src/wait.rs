//! How this adapter waits: a thread polls its future, and is parked until it is worth polling again.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

thread_local! {
    /// When the future that is being polled wants to be polled again in any case.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Waits for what a future gives.
///
/// Whenever it is pending the thread is parked, until its waker is woken, the thread is unparked by whoever else has its
/// handle, or the earliest of the deadlines has come for which the future has asked [`until`] in this round.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let sleeper = Arc::new(Sleeper { thread: thread::current(), state: AtomicU8::new(AWAKE) });
    let waker = Waker::from(sleeper.clone());
    let mut cx = Context::from_waker(&waker);
    // What is polled may call a function of its user's that waits for something else: one wait within another.
    let outer_deadline = DEADLINE.take();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            DEADLINE.set(outer_deadline);
            return output;
        }
        sleeper.sleep(DEADLINE.take());
    }
}

/// Ready when a deadline has come. Otherwise the future that is being [waited](wait) for is polled again then: it has to
/// ask in every round.
pub(crate) fn until(deadline: Instant) -> Poll<()> {
    if deadline <= Instant::now() {
        return Poll::Ready(());
    }
    let earliest = DEADLINE.get().map_or(deadline, |earlier| earlier.min(deadline));
    DEADLINE.set(Some(earliest));
    Poll::Pending
}

/// A thread that waits, and is woken by a system call only where it really sleeps.
struct Sleeper {
    thread: Thread,
    state: AtomicU8,
}

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
/// Woken since it was polled last.
const WOKEN: u8 = 2;

impl Sleeper {
    fn sleep(&self, deadline: Option<Instant>) {
        if self.state.compare_exchange(AWAKE, ASLEEP, SeqCst, SeqCst).is_ok() {
            match deadline {
                Some(deadline) => thread::park_timeout(deadline.saturating_duration_since(Instant::now())),
                None => thread::park(),
            }
        }
        self.state.swap(AWAKE, SeqCst);
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, SeqCst) == ASLEEP {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// Ready when another thread has woken it so many times.
    async fn woken_from_elsewhere(mut times: u32) {
        poll_fn(|cx| {
            if times == 0 {
                return Poll::Ready(());
            }
            times -= 1;
            let waker = cx.waker().clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(5));
                waker.wake();
            });
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn a_wake_up_is_not_lost_whenever_it_comes() {
        wait(woken_from_elsewhere(20));
        // While it is being polled, by this thread and by others.
        let mut rounds = 0;
        wait(poll_fn(|cx| {
            rounds += 1;
            let waker = cx.waker().clone();
            if rounds % 2 == 0 {
                waker.wake();
            } else {
                thread::spawn(move || waker.wake()).join().unwrap();
            }
            if rounds == 1000 { Poll::Ready(()) } else { Poll::Pending }
        }));
    }

    #[test]
    fn the_earliest_deadline_of_a_round_counts() {
        let start = Instant::now();
        let (soon, late) = (start + Duration::from_millis(30), start + Duration::from_secs(60));
        wait(poll_fn(|_| {
            assert!(until(late).is_pending());
            until(soon)
        }));
        assert!(start.elapsed() >= Duration::from_millis(30) && start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_deadline_that_nobody_asks_for_any_more_is_forgotten() {
        let start = Instant::now();
        let mut rounds = 0;
        wait(poll_fn(|cx| {
            rounds += 1;
            match rounds {
                1 => {
                    cx.waker().wake_by_ref();
                    until(start + Duration::from_millis(10))
                }
                2 => until(start + Duration::from_millis(200)),
                _ => Poll::Ready(()),
            }
        }));
        assert!(start.elapsed() >= Duration::from_millis(200));
    }

    #[test]
    fn one_can_wait_within_a_wait() {
        let start = Instant::now();
        let deadline = start + Duration::from_millis(50);
        wait(poll_fn(|cx| {
            let done = until(deadline);
            // The inner wait has a wake-up of its own, and leaves the outer's and its deadline alone.
            let waker = cx.waker().clone();
            if start.elapsed() < Duration::from_millis(10) {
                waker.wake();
            }
            wait(woken_from_elsewhere(1));
            done
        }));
        assert!(start.elapsed() >= Duration::from_millis(50) && start.elapsed() < Duration::from_secs(10));
    }
}
