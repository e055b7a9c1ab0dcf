//! Counts instructions, by running this program under valgrind.

use std::env;
use std::path::Path as File;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};

use crate::longest::{Case, What};
use crate::paths::Path;

/// The C library then copies memory in the same way on every x86-64 processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-Prefer_ERMS,-Prefer_FSRM";

/// The instructions of going `path` once, on average: what twice as many times take more, so that what comes before
/// and after does not count.
pub(crate) fn instructions(path: &Path) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let go = |count: u64| {
        let counts = under_valgrind(&["go", path.name, &count.to_string()], &[], directory.path())?;
        totals(&counts).last().with_context(|| format!("valgrind has counted nothing of {}", path.name))
    };
    let once = go(path.count)?;
    let twice = go(2 * path.count)?;
    let more = twice.checked_sub(once).context("more work took fewer instructions")?;
    Ok((more + path.count / 2) / path.count)
}

/// The instructions of the longest call into the store of a case, and those of its longest turn.
pub(crate) fn longest(case: &Case) -> Result<Vec<u64>> {
    thread::scope(|scope| {
        let counting = What::ALL.map(|what| scope.spawn(move || longest_of(case, what)));
        let counts =
            counting.into_iter().map(|it| it.join().map_err(|_| anyhow!("counting has panicked"))?);
        counts.collect()
    })
}

fn longest_of(case: &Case, what: What) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    // It counts from the beginning of each call of the function to its end, and then writes down the sum. Of two options for
    // the same pattern it would take one.
    let name = what.function();
    let options = [format!("--toggle-collect=*::{name}*"), format!("--dump-after=*{name}*")];
    let counts = under_valgrind(&["play", case.name], &options, directory.path())?;
    let longest = totals(&counts).max().filter(|count| *count > 0);
    longest.with_context(|| format!("valgrind has counted no {} of {}", what.name(), case.name))
}

/// What callgrind writes when this program is run with these arguments.
fn under_valgrind(arguments: &[&str], options: &[String], directory: &File) -> Result<String> {
    let file = directory.join("counts");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg("--combine-dumps=yes").args(options);
    command.arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(env::current_exe()?).args(arguments);
    command.env("GLIBC_TUNABLES", TUNABLES).stdin(Stdio::null());
    let output = command.output().context("cannot run valgrind")?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?} under valgrind: {}", said());
    std::fs::read_to_string(&file).with_context(|| format!("no counts: {}", said()))
}

/// The sums in a file of callgrind: one, or one for each part that was dumped.
fn totals(counts: &str) -> impl Iterator<Item = u64> {
    let sums = counts.lines().filter_map(|line| line.strip_prefix("totals:"));
    sums.filter_map(|sum| sum.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sum_is_found() {
        let parts = "events: Ir\nsummary: 12\n\nfn=(1)\n0 12\n\ntotals: 123456\npart: 2\ntotals: 7\n";
        assert!(totals(parts).eq([123_456, 7]));
        assert_eq!(totals("events: Ir\n").next(), None);
    }
}
