//! The step `tests`.

use std::env;

use anyhow::{Error, anyhow};

use crate::{
    command,
    tally::{Tally, Verdict},
    workspace::Workspace,
};

/// What the random plays are made from, unless the environment says: a change is judged by itself and not by its luck.
/// What is new is looked for by `cargo xtask soak`, with another seed in each round.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261123");

/// Runs all tests of the workspace, to the last even when one fails, and counts them.
pub(crate) fn run(workspace: &Workspace) -> Verdict {
    let mut tally = Tally::default();
    let mut command = workspace.cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    if env::var_os(SEED.0).is_none() {
        command.env(SEED.0, SEED.1);
    }
    let status = command::tee(&mut command, |line| {
        if let Some(result) = Tally::parse(line) {
            tally += result;
        }
    });
    let problem = match status {
        Err(problem) => Some(problem),
        Ok(_) if tally.failed > 0 => Some(anyhow!("{tally}")),
        Ok(status) if !status.success() => Some(anyhow!("`cargo test` failed ({status})")),
        Ok(_) => none_ran(tally),
    };
    if problem.is_some() && tally.failed == 0 {
        tally += Tally::FAILED;
    }
    Verdict { tally, problem }
}

/// The problem of a run without tests: it proves nothing, whatever cargo says.
fn none_ran(tally: Tally) -> Option<Error> {
    (tally.passed == 0).then(|| anyhow!("no test ran"))
}
