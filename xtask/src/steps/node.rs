//! The step `node`: the client for Node.js, in `wrappers/node`.

use std::{env, process::Command};

use anyhow::{Context, Result, bail, ensure};

use super::wrapper;
use crate::{command, tally::Verdict, workspace::Workspace};

/// The oldest Node.js that the client is for.
const OLDEST: (u32, u32) = (20, 19);

/// Installs the tools of the client from its lock file, and runs its tests and the conformance suite.
pub(crate) fn run(workspace: &Workspace) -> Verdict {
    match prepare(workspace) {
        Ok(mut tests) => wrapper::run("node", &mut tests),
        Err(problem) => Err(problem).into(),
    }
}

/// The command that runs the tests, when all that they need is there.
fn prepare(workspace: &Workspace) -> Result<Command> {
    let hint = "install Node.js 20.19 or newer, with npm: https://nodejs.org/";
    let mut node = Command::new("node");
    let version = command::output(node.arg("--version")).with_context(|| hint)?;
    ensure!(is_new_enough(version.trim()), "Node.js {} is too old: {hint}", version.trim());
    if !command::succeeds(npm(workspace).arg("--version")) {
        bail!("there is no npm beside Node.js: {hint}");
    }
    let mut tests = npm(workspace);
    tests.args(["--loglevel=error", "test"]);
    wrapper::with_programs(workspace, &mut tests)?;
    command::run(npm(workspace).args(["--loglevel=error", "ci"]))?;
    Ok(tests)
}

/// npm in the directory of the client.
fn npm(workspace: &Workspace) -> Command {
    let mut npm = Command::new(if env::consts::OS == "windows" { "npm.cmd" } else { "npm" });
    npm.current_dir(workspace.root.join("wrappers").join("node"));
    npm
}

/// Whether Node.js calls its version `v20.19.0` or something newer.
fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.strip_prefix('v').unwrap_or("").split('.').map_while(|part| part.parse().ok());
    numbers.next().zip(numbers.next()).is_some_and(|version| version >= OLDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_from_20_19_on_are_new_enough() {
        for version in ["v20.19.0", "v20.20.2", "v22.0.0", "v100.1.2"] {
            assert!(is_new_enough(version), "{version}");
        }
        for version in ["v20.18.9", "v18.20.0", "v9.99.0", "20.19.0", "v20", "v", "", "nonsense"] {
            assert!(!is_new_enough(version), "{version}");
        }
    }
}
