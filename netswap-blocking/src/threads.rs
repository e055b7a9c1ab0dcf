//! Threads that carry out futures.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};

use crate::wait::wait;

/// The stack of a thread that carries out one future. This crate's need some 20 KiB of it, and 40 KiB without
/// optimisation; but a panic prints its backtrace there, and events are logged by whatever the program has for that. What
/// is not touched costs no memory.
const STACK: usize = 256 * 1024;

/// Starts a thread that carries out a future.
pub(crate) fn spawn<F>(name: &str, future: F) -> io::Result<JoinHandle<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || wait(future))
}

/// Has a thread do something that blocks, and waits for its result.
pub(crate) async fn beside<T: Send + 'static>(
    name: &str,
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Nobody may be waiting any more.
        let _ = sender.send(act());
        drop(sender);
        waker.wake();
    })?;
    poll_fn(move |_| match receiver.try_recv() {
        Ok(result) => Poll::Ready(result),
        Err(mpsc::TryRecvError::Empty) => Poll::Pending,
        Err(mpsc::TryRecvError::Disconnected) => Poll::Ready(Err(io::ErrorKind::Interrupted.into())),
    })
    .await
}

/// Threads that each carry out a future, until it ends or all are told to stop.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    running: HashMap<u64, JoinHandle<()>>,
    last: u64,
    ended: Arc<Ended>,
    stop: Arc<AtomicBool>,
}

/// The threads that have ended and have not been joined.
#[derive(Debug, Default)]
struct Ended(Mutex<(Vec<u64>, Option<Waker>)>);

/// Says that a thread ends, however it does.
struct End {
    id: u64,
    ended: Arc<Ended>,
}

impl Threads {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Starts a thread. Where none can be had the future is dropped.
    pub(crate) fn spawn<F>(&mut self, name: &str, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.last += 1;
        let end = End { id: self.last, ended: self.ended.clone() };
        let stop = self.stop.clone();
        let thread = spawn(name, async move {
            let _end = end;
            let mut future = pin!(future);
            poll_fn(|cx| if stop.load(SeqCst) { Poll::Ready(()) } else { future.as_mut().poll(cx) }).await;
        })?;
        self.running.insert(self.last, thread);
        Ok(())
    }

    /// The next thread that has ended, and how; `None` when there are no more.
    pub(crate) fn poll_join_next(&mut self, cx: &Context<'_>) -> Poll<Option<thread::Result<()>>> {
        let mut ended = self.ended.lock();
        while let Some(id) = ended.0.pop() {
            if let Some(thread) = self.running.remove(&id) {
                drop(ended);
                return Poll::Ready(Some(thread.join()));
            }
        }
        if self.running.is_empty() {
            return Poll::Ready(None);
        }
        ended.1 = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Drops all futures, and waits until their threads have ended.
    pub(crate) fn shutdown(self) {
        self.stop.store(true, SeqCst);
        for thread in self.running.values() {
            thread.thread().unpark();
        }
        for (_, thread) in self.running {
            let _ = thread.join();
        }
    }
}

impl Ended {
    fn lock(&self) -> MutexGuard<'_, (Vec<u64>, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut ended = self.ended.lock();
        ended.0.push(self.id);
        let waker = ended.1.take();
        drop(ended);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn a_panic_ends_its_thread_alone_and_is_told() {
        let mut threads = Threads::default();
        threads.spawn("stays", pending()).unwrap();
        threads.spawn("panics", async { panic!("in a test") }).unwrap();
        threads.spawn("ends", async {}).unwrap();
        let mut ended = [(); 2].map(|()| wait(poll_fn(|cx| threads.poll_join_next(cx))).unwrap().is_ok());
        ended.sort_unstable();
        assert_eq!((ended, threads.len()), ([false, true], 1));
        threads.shutdown();
    }

    #[test]
    fn a_shutdown_drops_every_future_and_waits_for_that() {
        struct Guard(Arc<AtomicBool>);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.store(true, SeqCst);
            }
        }
        let mut threads = Threads::default();
        let dropped: Vec<_> = (0..50).map(|_| Arc::<AtomicBool>::default()).collect();
        for dropped in &dropped {
            let guard = Guard(dropped.clone());
            let future = async move {
                let _guard = guard;
                pending().await
            };
            threads.spawn("waits", future).unwrap();
        }
        threads.shutdown();
        assert!(dropped.iter().all(|dropped| dropped.load(SeqCst)));
    }

    #[test]
    fn what_blocks_is_done_beside() {
        let this = thread::current().id();
        let other = wait(beside("beside", || Ok(thread::current().id()))).unwrap();
        assert_ne!(this, other);
        assert!(wait(beside("beside", || Err::<(), _>(io::ErrorKind::NotFound.into()))).is_err());
    }
}
