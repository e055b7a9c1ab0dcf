//! The memory that the process has, beside what its server holds.
//!
//! The allocator keeps what was freed for a second or more, and looks at it only when it is asked for a large block: an idle
//! server would keep the memory of deleted records for good.

use std::hint::black_box;
use std::time::Duration;
use std::{fs, io, thread};

use netswap_tokio::ServerHandle;
use tracing::debug;

/// How often the memory is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The allocator gives back what has been free for long when it is asked for so much.
const LARGE: usize = 1 << 20;

/// Watches the memory of the process from a thread of its own, as long as the program runs.
///
/// # Errors
///
/// The system gives no thread.
pub(crate) fn watch(server: ServerHandle) -> io::Result<()> {
    let watch = move || {
        while let Some(resident) = resident() {
            if server.note_resident(resident) {
                debug!(resident, "more memory than the server holds");
                drop(black_box(Vec::<u8>::with_capacity(LARGE)));
            }
            thread::sleep(INTERVAL);
        }
    };
    thread::Builder::new().name("memory".to_owned()).spawn(watch).map(drop)
}

/// Bytes of memory that the process has, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_what_the_process_has() {
        let before = resident().unwrap();
        let block = black_box(vec![1_u8; 64 << 20]);
        assert!(resident().unwrap() >= before + (60 << 20));
        drop(block);
    }
}
