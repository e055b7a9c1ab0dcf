//! The step `tests`.

use std::env;
use std::process::Command;

use anyhow::{Error, anyhow};

use crate::{
    command,
    extent::{self, Extent},
    tally::{Tally, Verdict},
    workspace::Workspace,
};

/// What the random plays are made from, unless the environment says: a change is judged by itself and not by its luck.
/// What is new is looked for by `cargo xtask soak`, with another seed in each round.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261123");

/// The seed of what is random on real sockets.
const SOCKETS_SEED: u64 = 1;

/// Runs all tests of the workspace, to the last even when one fails, and counts them; in full, the long set after them.
pub(crate) fn run(workspace: &Workspace, extent: Extent) -> Verdict {
    let seed = env::var(SEED.0).unwrap_or_else(|_| SEED.1.to_owned());
    let mut quick = workspace.cargo(["test", "--workspace", "--locked", "--no-fail-fast"]);
    quick.env(SEED.0, &seed);
    let mut verdict = count(&mut quick);
    if extent == Extent::Full {
        let sockets = extent::SOCKETS.iter().map(|what| extent::sockets(workspace, SOCKETS_SEED, what));
        for mut long in sockets.chain([extent::model(workspace, &seed)]) {
            let Verdict { tally, problem } = count(&mut long);
            verdict.tally += tally;
            verdict.problem = verdict.problem.or(problem);
        }
    }
    verdict
}

/// Runs tests and counts them.
fn count(tests: &mut Command) -> Verdict {
    let mut tally = Tally::default();
    let status = command::tee(tests, |line| {
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
