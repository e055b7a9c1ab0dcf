//! Log lines on stderr, written by a thread of their own: a reader that does not keep up never blocks the server.
//!
//! Lines for which there is no room are dropped and counted, and the next line that is written says how many. What
//! `tracing-appender` has for this prints to stdout when its queue is full, which may be the same pipe.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tracing::warn;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written.
const QUEUE: usize = 1024;

/// How long to wait before trying again to queue a mark.
const RETRY: Duration = Duration::from_millis(1);

thread_local! {
    /// Whether this is the thread that writes: it writes lines of its own directly.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// The writer of the process.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Queues log lines.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Everything before this has been written.
    Mark(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system has no thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&messages, &counter))?;
        Ok(WRITER.get_or_init(|| Self { queue, dropped }).clone())
    }

    fn flush_within(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let (written, all_written) = mpsc::sync_channel(1);
        let mut mark = Message::Mark(written);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(mark) {
            if Instant::now() >= deadline {
                return;
            }
            mark = back;
            thread::sleep(RETRY);
        }
        let _ = all_written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

/// Waits until all lines so far are written, but only so long. Without a writer there is nothing to wait for.
pub(crate) fn flush_within(time: Duration) {
    if let Some(writer) = WRITER.get() {
        writer.flush_within(time);
    }
}

fn write(messages: &Receiver<Message>, dropped: &AtomicU64) {
    WRITES.set(true);
    for message in messages {
        match message {
            Message::Line(line) => {
                if io::stderr().write_all(&line).is_err() {
                    dropped.fetch_add(1, Relaxed);
                    continue;
                }
                let lines = dropped.swap(0, Relaxed);
                if lines > 0 {
                    warn!(lines, "log lines were dropped, because nobody read the log");
                }
            }
            // Nobody may be waiting any more.
            Message::Mark(written) => drop(written.try_send(())),
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if WRITES.get() {
            io::stderr().write_all(line)?;
        } else if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
