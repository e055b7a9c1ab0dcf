//! How long a server rests between two turns of its sweep, so that others get the store and the thread.

use std::time::{Duration, Instant as Moment};

/// For so long nothing came and nothing went where nobody is there to be kept waiting.
const QUIET: Duration = Duration::from_millis(20);

/// A turn that begins later than this was not due alone: somebody else had the thread.
const LATE: Duration = Duration::from_micros(100);

/// The part of a turn's time that is left where nobody wants it: who comes meanwhile is seen after it.
const SHORT: u32 = 8;

/// Until when nobody sweeps, and what is known of others.
#[derive(Debug)]
pub(super) struct Rest {
    until: Moment,
    /// Bytes that had gone over the sockets, and when it was seen last that more had.
    moved: u64,
    moved_at: Moment,
}

impl Rest {
    pub(super) fn new(now: Moment) -> Self {
        Self { until: now, moved: 0, moved_at: now }
    }

    /// How much is left of it.
    pub(super) fn left(&self, now: Moment) -> Option<Duration> {
        self.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// A turn is over, after which there is more to do: how long to rest. That is as long as the turn took, but where others
    /// did not want the time before it.
    pub(super) fn begin(&mut self, (begun, ended): (Moment, Moment), moved: u64) -> Duration {
        if self.moved != moved {
            (self.moved, self.moved_at) = (moved, ended);
        }
        let is_late = begun.saturating_duration_since(self.until) > LATE;
        let is_quiet = ended.saturating_duration_since(self.moved_at) > QUIET;
        let took = ended.saturating_duration_since(begun);
        let pause = if is_quiet && !is_late { took / SHORT } else { took };
        self.until = ended + pause;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_half_of_the_time_where_they_want_it() {
        let start = Moment::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut rest = Rest::new(start);
        let mut turn = |begun, ended, moved| {
            let pause = rest.begin((at(begun), at(ended)), moved).as_micros();
            assert_eq!(rest.left(at(ended)).map(|it| it.as_micros()), Some(pause));
            assert_eq!(rest.left(at(ended) + Duration::from_micros(pause as u64)), None);
            pause
        };
        // It is not known yet that nobody is there.
        assert_eq!([turn(0, 400, 0), turn(800, 1200, 0)], [400, 400]);
        // Nobody is; somebody has the thread; somebody sends, and a moment ago.
        assert_eq!([turn(21_000, 21_400, 0), turn(21_800, 22_200, 0)], [400, 50]);
        assert_eq!([turn(22_250, 22_650, 0), turn(22_801, 23_201, 0)], [50, 400]);
        assert_eq!([turn(23_601, 24_001, 0), turn(24_051, 24_451, 9)], [50, 400]);
        assert_eq!([turn(44_050, 44_450, 9), turn(44_850, 45_250, 9)], [400, 50]);
    }
}
