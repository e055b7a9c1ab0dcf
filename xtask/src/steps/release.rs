//! The step `release`.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::{command, workspace::Workspace};

/// Builds the program as users do, and sees that it starts: it must answer `--help` and `--version`.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let [program] = workspace.programs(["netswap"])?;
    for flag in ["--help", "--version"] {
        let text = command::output(Command::new(&program).arg(flag))?;
        ensure!(!text.trim().is_empty(), "`netswap {flag}` printed nothing");
    }
    Ok(())
}
