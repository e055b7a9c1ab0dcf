//! The step `bench-smoke`.

use anyhow::Result;

use crate::{bench, command, workspace::Workspace};

/// Runs the smallest form of every benchmark, with Redis and memcached where they are installed. Every reply is
/// compared and every figure must be there; how large it is does not matter, so that a busy machine does.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    command::run(bench::program(workspace)?.args(["smoke", "--threads", "2"]))
}
