//! The step `csharp`: the C# client, in `wrappers/csharp`.

use std::process::Command;

use anyhow::{Context, Result};

use super::wrapper;
use crate::{command, tally::Verdict, workspace::Workspace};

/// Compiles the client with the tools that its check installs, and runs its tests and the conformance suite on Mono and
/// on .NET 8.
pub(crate) fn run(workspace: &Workspace) -> Verdict {
    match prepare(workspace) {
        Ok(mut check) => wrapper::run("csharp", &mut check),
        Err(problem) => Err(problem).into(),
    }
}

/// The command that checks it all, when what that needs is there.
fn prepare(workspace: &Workspace) -> Result<Command> {
    command::output(Command::new("python3").arg("--version")).context("install Python 3.9 or newer")?;
    let mut check = Command::new("python3");
    check.current_dir(&workspace.root).arg("wrappers/csharp/tools/check.py");
    wrapper::with_programs(workspace, &mut check)?;
    Ok(check)
}
