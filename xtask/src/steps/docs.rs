//! The step `docs`.

use anyhow::Result;

use crate::{command, workspace::Workspace};

/// Builds the documentation of the workspace; a warning, such as a link to nowhere, is an error.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(["doc", "--workspace", "--no-deps", "--locked"]);
    command::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
