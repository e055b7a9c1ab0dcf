//! The step `simulation`.

use anyhow::Result;

use crate::{command, workspace::Workspace};

/// Seeds that are run: with each, 1000 transactions.
const SEEDS: &str = "2000";

/// Runs clients and a server in simulated time, over a bad network. What fails prints its seed and a transcript.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let arguments = ["run", "--release", "--locked", "--package=simulation", "--", "--seeds", SEEDS];
    command::run(&mut workspace.cargo(arguments))
}
