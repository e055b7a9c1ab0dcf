//! How much is tried: little in every change, the figures of the table in the long set.

use std::env;
use std::sync::Once;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The variable that asks for the long set: `NETSWAP_ASSURANCE=long`.
pub const SCALE: &str = "NETSWAP_ASSURANCE";

/// The variable with the seed of what is random.
pub const SEED: &str = "NETSWAP_ASSURANCE_SEED";

/// Whether the long set was asked for.
#[must_use]
pub fn is_long() -> bool {
    match env::var(SCALE).as_deref() {
        Ok("long") => true,
        Ok("quick") | Err(_) => false,
        Ok(other) => panic!("{SCALE} is {other:?}, neither quick nor long"),
    }
}

/// One figure for every change, another for the long set.
#[must_use]
pub fn quick_or_long<T>(quick: T, long: T) -> T {
    if is_long() { long } else { quick }
}

/// The seed of this run, which a test that fails prints.
#[must_use]
pub fn seed() -> u64 {
    env::var(SEED).map_or(1, |seed| seed.parse().expect("the seed is a number"))
}

/// The variable with the seconds that clients do what is random.
pub const SECONDS: &str = "NETSWAP_ASSURANCE_SECONDS";

/// How long clients do what is random, where it was said.
#[must_use]
pub fn seconds() -> Option<Duration> {
    let seconds = env::var(SECONDS).ok()?;
    Some(Duration::from_secs(seconds.parse().expect("a number of seconds")))
}

/// The variable that lengthens what may take a time on a machine that is busy with other things: a factor.
pub const PATIENCE: &str = "NETSWAP_ASSURANCE_PATIENCE";

/// A time that nothing may exceed, times the factor of the machine.
#[must_use]
pub fn at_most(time: Duration) -> Duration {
    let factor = env::var(PATIENCE).map_or(1.0, |factor| factor.parse().expect("the factor is a number"));
    time.mul_f64(factor)
}

/// Asks the system for as many descriptors as it gives: a thousand clients and more are in this process.
pub(crate) fn raise_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = getrlimit(Resource::Nofile);
        // Where it refuses, what needs more says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    });
}
