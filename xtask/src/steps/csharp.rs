//! The step `csharp`.

use std::{env::consts::EXE_SUFFIX, process::Command};

use anyhow::{Result, anyhow};

use crate::{
    command,
    tally::{Tally, Verdict},
    workspace::Workspace,
};

/// Checks the C# client, with the server and the conformance suite that cargo builds.
pub(crate) fn run(workspace: &Workspace) -> Verdict {
    let mut tally = Tally::default();
    let problem = check(workspace, &mut tally).err();
    if problem.is_some() && tally.failed == 0 {
        tally += Tally::FAILED;
    }
    Verdict { tally, problem }
}

fn check(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    for (package, bin) in [("netswap-cli", "netswap"), ("conformance", "conformance")] {
        command::run(&mut workspace.cargo(["build", "--locked", "--package", package, "--bin", bin]))?;
    }
    let built = |name| workspace.target.join("debug").join(format!("{name}{EXE_SUFFIX}"));
    let mut python = Command::new("python3");
    python.current_dir(&workspace.root).arg("wrappers/csharp/tools/check.py");
    python.env("NETSWAP_BIN", built("netswap")).env("NETSWAP_CONFORMANCE", built("conformance"));
    let mut said = String::new();
    let status = command::tee(&mut python, |line| {
        if let Some(found) = parse(line) {
            *tally += found;
        }
        line.clone_into(&mut said);
    })?;
    if tally.failed > 0 {
        return Err(anyhow!("{tally}"));
    }
    if !status.success() || tally.passed == 0 {
        return Err(anyhow!("{said} ({status})"));
    }
    Ok(())
}

/// Reads the line in which the check sums up, and nothing from any other line:
/// `csharp: 12 tests passed, 0 failed; conformance: 228 passed, 0 failed`.
fn parse(line: &str) -> Option<Tally> {
    let (tests, conformance) = line.strip_prefix("csharp: ")?.split_once("; conformance: ")?;
    let counts = |text: &str, passed: &str| {
        let (before, after) = text.split_once(passed)?;
        let failed = after.split(' ').next()?.parse().ok()?;
        Some(Tally { passed: before.parse().ok()?, failed, skipped: 0 })
    };
    let mut total = counts(tests, " tests passed, ")?;
    total += counts(conformance, " passed, ")?;
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_check_is_counted() {
        let counted = parse("csharp: 220 tests passed, 1 failed; conformance: 455 passed, 2 failed");
        assert_eq!(counted, Some(Tally { passed: 675, failed: 3, skipped: 0 }));
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "",
            "csharp: Mono is not installed: apt-get install mono-runtime mono-devel",
            "NUnit, the net8.0 DLL on .NET 8: 73 passed, 0 failed",
            "csharp: many tests passed, 1 failed; conformance: 455 passed, 2 failed",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
