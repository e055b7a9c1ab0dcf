//! How much is tried: little in every change, the figures of the table in the long set.

use std::env;
use std::sync::Once;

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

/// Asks the system for as many descriptors as it gives: a thousand clients and more are in this process.
pub(crate) fn raise_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limit = getrlimit(Resource::Nofile);
        // Where it refuses, what needs more says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    });
}
