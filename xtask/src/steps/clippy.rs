//! The step `clippy`.

use anyhow::Result;

use crate::{command, workspace::Workspace};

/// Lints all code of the workspace, tests and examples included; a warning is an error.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    super::require(workspace, "clippy", "clippy")?;
    let args = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    command::run(&mut workspace.cargo(args))
}
