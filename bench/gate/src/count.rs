//! Counts instructions, by running this program under valgrind.

use std::env;
use std::path::Path as File;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::paths::Path;

/// The C library then copies memory in the same way on every x86-64 processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-Prefer_ERMS,-Prefer_FSRM";

/// The instructions of going `path` once, on average: what twice as many times take more, so that what comes before
/// and after does not count.
pub(crate) fn instructions(path: &Path) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let once = under_valgrind(path, path.count, directory.path())?;
    let twice = under_valgrind(path, 2 * path.count, directory.path())?;
    let more = twice.checked_sub(once).context("more work took fewer instructions")?;
    Ok((more + path.count / 2) / path.count)
}

fn under_valgrind(path: &Path, count: u64, directory: &File) -> Result<u64> {
    let file = directory.join("counts");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(env::current_exe()?).args(["go", path.name, &count.to_string()]);
    command.env("GLIBC_TUNABLES", TUNABLES).stdin(Stdio::null());
    let output = command.output().context("cannot run valgrind")?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{} under valgrind: {}", path.name, said());
    let counts = std::fs::read_to_string(&file).with_context(|| format!("no counts: {}", said()))?;
    total(&counts).with_context(|| format!("valgrind has counted nothing: {}", said()))
}

/// The sum in a file of callgrind.
fn total(counts: &str) -> Option<u64> {
    let mut sums = counts.lines().filter_map(|line| line.strip_prefix("totals:"));
    sums.next_back()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found() {
        assert_eq!(total("events: Ir\nsummary: 12\n\nfn=(1)\n0 12\n\ntotals: 123456\n"), Some(123_456));
        assert_eq!(total("events: Ir\n"), None);
    }
}
