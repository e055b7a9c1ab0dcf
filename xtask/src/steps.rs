//! What each step of `cargo xtask test` does.

pub(crate) mod adapters;
pub(crate) mod bench_smoke;
pub(crate) mod clippy;
pub(crate) mod csharp;
pub(crate) mod docs;
pub(crate) mod format;
pub(crate) mod gate;
pub(crate) mod no_io;
pub(crate) mod node;
pub(crate) mod release;
pub(crate) mod simulation;
pub(crate) mod tests;
mod wrapper;

use anyhow::{Result, bail};

use crate::{command, workspace::Workspace};

/// Fails, saying how to install it, when the toolchain lacks the cargo command `name` of `component`.
fn require(workspace: &Workspace, name: &str, component: &str) -> Result<()> {
    if !command::succeeds(&mut workspace.cargo([name, "--version"])) {
        bail!("the toolchain has no {component}: install it with `rustup component add {component}`");
    }
    Ok(())
}
