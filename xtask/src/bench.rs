//! The task `bench`: NetSwap beside Redis, memcached and the floor of the machine.

use std::process::Command;

use anyhow::Result;

use crate::debian::{self, MEMCACHED, REDIS};
use crate::{command, workspace::Workspace};

/// Measures everything and writes docs/BENCHMARKS.md; or, with `args`, what these say, and writes nothing.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    debian::require(&[REDIS, MEMCACHED])?;
    let mut command = program(workspace)?;
    command.arg("run");
    if args.is_empty() {
        command.args(["--markdown", "docs/BENCHMARKS.md", "--append", "bench/learnt.md"]);
        command.arg("--json").arg(workspace.target.join("bench.json"));
    } else {
        command.args(args);
    }
    command::run(&mut command)
}

/// Builds the servers and the load as they are released. Returns the command that starts the load.
pub(crate) fn program(workspace: &Workspace) -> Result<Command> {
    let [_server, bench] = workspace.programs(["netswap", "netswap-bench"])?;
    let mut command = Command::new(bench);
    command.current_dir(&workspace.root);
    Ok(command)
}
