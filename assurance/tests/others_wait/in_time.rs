//! Many records that end at one moment, or go to an heir, have done so soon: within a second for each million of them on a
//! fast machine.

use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use assurance::program::Serving;
use assurance::raw::loopback;
use assurance::scale::{at_most, quick_or_long};
use netswap_core::types::Access;
use netswap_core::wire::{Lifetime, Request};

use crate::clients::{all, connect, create_many, identify};
use crate::records::{many, total};
use crate::{ALONE, ATTEMPTS, start};

/// As long as a slow and busy machine may need, which rests half of the time.
fn promised() -> Duration {
    Duration::from_millis(quick_or_long(300, 3000))
}

/// Their grace, in seconds.
const GRACE: u32 = 1;

/// The grace of many records ends at one moment.
pub(crate) fn all_records_end_in_time(serving: Serving) {
    judge(serving, "many records have expired", false);
}

/// Many records go to an heir at one moment.
pub(crate) fn all_records_go_to_an_heir_in_time(serving: Serving) {
    judge(serving, "many records have gone to an heir", true);
}

/// Fails where it takes too long each time.
fn judge(serving: Serving, what: &str, have_heir: bool) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut longest = Vec::new();
    for _ in 0..ATTEMPTS {
        let took = end_all(serving, have_heir);
        eprintln!("\n{}: {what} after {took:?}", serving.name());
        if took <= at_most(promised()) {
            return;
        }
        longest.push(took);
    }
    panic!("{}: {what} after {longest:?}", serving.name());
}

/// The time from the end of the grace until the last EXPIRED arrives.
fn end_all(serving: Serving, have_heir: bool) -> Duration {
    let server = start(serving, &[("total", total())]);
    let mut heir = connect(loopback(2), server.address);
    let hash = have_heir.then(|| identify(&mut heir));
    let mut owner = connect(loopback(1), server.address);
    let mut pointers = create_many(&mut owner, many(), Access::READ, 0);
    let lifetime = Lifetime { grace: Some(GRACE), ttl: None, heir: hash };
    all(&mut owner, pointers.iter().map(|pointer| Request::SetLifetime { pointer: *pointer, lifetime }));
    // Few watches, so that nobody asks for the server's time meanwhile: of the first and the last, of some between, and of
    // those with the least and the greatest pointers, which have a place of their own in queues.
    let mut watched: Vec<_> = pointers.iter().step_by(pointers.len() / 4).copied().collect();
    watched.extend(pointers.last());
    pointers.sort_unstable();
    watched.extend([pointers[0], pointers[pointers.len() - 1]]);
    all(&mut heir, watched.iter().map(|pointer| Request::WatchRecord { pointer: *pointer, push: false }));
    let left = Instant::now();
    drop(owner);
    thread::sleep(Duration::from_secs(GRACE.into()));
    let kind = if have_heir { 4 } else { 17 };
    for _ in &watched {
        assert_eq!(heir.answer().unwrap().access, kind, "OWNER_CHANGED or EXPIRED");
    }
    left.elapsed().saturating_sub(Duration::from_secs(GRACE.into()))
}
