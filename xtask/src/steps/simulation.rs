//! The step `simulation`.

use std::process::Command;

use anyhow::Result;

use crate::{command, workspace::Workspace};

/// Seeds that are run: with each, 1000 transactions.
const SEEDS: &str = "2000";

/// Runs clients and a server in simulated time, over a bad network. What fails prints its seed and a transcript.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let [simulation] = workspace.programs(["simulation"])?;
    command::run(Command::new(simulation).args(["--seeds", SEEDS]))
}
