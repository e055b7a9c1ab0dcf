//! The step `gate`, and the task that writes its bounds.

use std::env::consts::{ARCH, OS};
use std::process::Command;

use anyhow::Result;

use crate::debian::{self, VALGRIND};
use crate::{command, tally::Verdict, workspace::Workspace};

/// The bounds, from the workspace's directory.
const BOUNDS: &str = "bench/gate/bounds.txt";

/// Counts the instructions of the core's hot paths, and fails where one takes more than 5 % above its bound. Without
/// valgrind it is skipped, and says so.
pub(crate) fn run(workspace: &Workspace) -> Verdict {
    if (OS, ARCH) != ("linux", "x86_64") {
        println!("skipped: the bounds are those of Linux on x86-64");
        return Verdict::SKIPPED;
    }
    if let Err(missing) = debian::require(&[VALGRIND]) {
        println!("skipped: {missing}");
        return Verdict::SKIPPED;
    }
    gate(workspace, "check").into()
}

/// Counts, and writes the bounds.
pub(crate) fn write(workspace: &Workspace) -> Result<()> {
    debian::require(&[VALGRIND])?;
    gate(workspace, "write")
}

fn gate(workspace: &Workspace, task: &str) -> Result<()> {
    let [gate] = workspace.programs(["netswap-gate"])?;
    command::run(Command::new(gate).current_dir(&workspace.root).args([task, BOUNDS]))
}
