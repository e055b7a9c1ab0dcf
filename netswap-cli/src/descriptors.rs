//! Open files: a connection is one, and many systems allow a program 1024 of them until it asks for more.

use netswap_tokio::Limits;
#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files beside connections: the listener, what the runtime needs, those that are being turned away.
const BESIDE: u64 = 300;

/// Asks the system for as many open files as these limits may need; `Err` with how many there are where it does not give
/// them.
#[cfg(unix)]
pub(crate) fn allow(limits: &Limits) -> Result<(), u64> {
    let needed = u64::from(limits.connections) + BESIDE;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(allowed) = current.filter(|current| *current < needed) else { return Ok(()) };
    let possible = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    match raised {
        Ok(()) if possible == needed => Ok(()),
        Ok(()) => Err(possible),
        Err(_) => Err(allowed),
    }
}

/// Elsewhere there is no such limit.
#[cfg(not(unix))]
pub(crate) fn allow(_: &Limits) -> Result<(), u64> {
    Ok(())
}
