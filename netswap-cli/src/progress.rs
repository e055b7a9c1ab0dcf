//! Progress bars on stderr, for transfers that last, when a person sees them.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::debug;

/// A transfer that is done sooner shows no bar.
const LASTS: Duration = Duration::from_millis(300);

/// The progress of one transfer. Dropped, its bar disappears.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    shown: bool,
}

impl Progress {
    /// A transfer begins.
    pub(crate) fn begin(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(what);
        let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, start: Instant::now(), shown: false }
    }

    /// So many bytes are done, of so many.
    pub(crate) fn update(&mut self, done: u64, total: u64) {
        if !self.shown && self.start.elapsed() >= LASTS {
            self.shown = true;
            // Hidden by itself where stderr is no terminal.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// The transfer has ended, well or not.
    pub(crate) fn end(self) {
        debug!("{} took {:?}", self.bar.message(), self.start.elapsed());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
