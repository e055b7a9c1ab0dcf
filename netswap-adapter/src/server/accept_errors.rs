//! Errors of accepting connections, logged at most once a second.

use std::io;
use std::time::{Duration, Instant};

use tracing::error;

/// Log lines are at least this far apart.
const APART: Duration = Duration::from_secs(1);

/// Errors of one accept loop. Out of descriptors it fails many times a second.
#[derive(Debug, Default)]
pub struct AcceptErrors {
    logged: Option<Instant>,
    failures: u64,
}

impl AcceptErrors {
    /// Counts an error, and logs it with how many there were since the last line, unless there was a line within the
    /// last second.
    pub fn log(&mut self, error: &io::Error) {
        if let Some(failures) = self.count(Instant::now()) {
            error!(%error, failures, "cannot accept connections");
        }
    }

    fn count(&mut self, now: Instant) -> Option<u64> {
        self.failures += 1;
        if self.logged.is_some_and(|logged| now.duration_since(logged) < APART) {
            return None;
        }
        self.logged = Some(now);
        Some(std::mem::take(&mut self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_line_a_second_with_a_count() {
        let (mut errors, start) = (AcceptErrors::default(), Instant::now());
        let lines: Vec<_> = (0..41).map(|at| errors.count(start + Duration::from_millis(50) * at)).collect();
        for (at, line) in lines.into_iter().enumerate() {
            let expected = match at {
                0 => Some(1),
                20 | 40 => Some(20),
                _ => None,
            };
            assert_eq!(line, expected, "{at}");
        }
    }
}
