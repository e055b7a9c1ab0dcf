//! The step `simulation`.

use std::process::Command;

use anyhow::Result;

use crate::{command, extent::Extent, workspace::Workspace};

/// Seeds that are run: with each, 1000 transactions.
const SEEDS: &str = "2000";

/// The same in the long set.
const MANY_SEEDS: &str = "20000";

/// Runs clients and a server in simulated time, over a bad network. What fails prints its seed and a transcript.
pub(crate) fn run(workspace: &Workspace, extent: Extent) -> Result<()> {
    let [simulation] = workspace.programs(["simulation"])?;
    command::run(Command::new(simulation).args(["--seeds", extent.pick(SEEDS, MANY_SEEDS)]))
}
