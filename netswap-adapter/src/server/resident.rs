//! The memory that a process has.

use std::fs;

/// Bytes of memory that the process has, where the system tells.
pub(super) fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

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
