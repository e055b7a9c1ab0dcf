//! The step `format`.

use anyhow::{Context, Result};

use crate::{command, workspace::Workspace};

/// Asks rustfmt whether it would change a file.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    super::require(workspace, "fmt", "rustfmt")?;
    command::run(&mut workspace.cargo(["fmt", "--all", "--check"]))
        .context("some files are not formatted: `cargo fmt --all` formats them")
}
