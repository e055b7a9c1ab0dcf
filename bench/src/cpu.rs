//! Processors: who runs on which, and for how long.

use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;

/// The cores that this program may run on.
pub(crate) fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("cannot tell on which cores this may run")?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// Has this thread, and what it starts from now on, run on these cores alone.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).with_context(|| format!("there is no core {core}"))?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot run on cores {cores:?}"))
}

/// What this thread has taken so far.
pub(crate) fn of_this_thread() -> Result<Duration> {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// The clock of what all threads of a process have taken, those that have ended too, by the scheduler's accounting: in
/// nanoseconds, unlike the ticks of `/proc/PID/stat`, and with the threads that are gone, unlike `schedstat`. While a
/// thread runs it moves on at the system's ticks.
pub(crate) fn clock_of(process: u32) -> Result<ClockId> {
    ClockId::pid_cpu_clock_id(Pid::from_raw(process.try_into()?)).context("cannot read the server's CPU time")
}

/// What a clock shows.
pub(crate) fn read(clock: ClockId) -> Result<Duration> {
    Ok(clock.now().context("cannot read a CPU clock")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_clock_grows_with_what_is_done_and_not_with_time() {
        let clock = clock_of(std::process::id()).unwrap();
        let (before, own) = (read(clock).unwrap(), of_this_thread().unwrap());
        let start = Instant::now();
        while of_this_thread().unwrap() < own + Duration::from_millis(20) {
            std::hint::black_box(start);
        }
        assert!(read(clock).unwrap() >= before + Duration::from_millis(19));
        let own = of_this_thread().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        assert!(of_this_thread().unwrap() < own + Duration::from_millis(25));
    }
}
