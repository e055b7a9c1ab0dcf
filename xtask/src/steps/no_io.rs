//! The step `no-io`: netswap-core is a pure state machine, so it must build where no sockets, files, clocks
//! or threads exist. `#![no_std]` alone does not prove that: any crate may still ask for std.

mod sysroot;
mod tree;

use std::path::Path;

use anyhow::{Context, Result};

use crate::{command, workspace::Workspace};

/// A target that has no operating system, and no std.
const BARE: &str = "x86_64-unknown-none";

/// Builds the core without std, for this machine and (where installed) for a bare one, and then looks for
/// crates that do I/O without std's help among those it depends on.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    without_std(workspace)?;
    for_bare_target(workspace)?;
    tree::check(workspace)
}

/// Builds the core for this machine from a toolchain that has no std to offer.
fn without_std(workspace: &Workspace) -> Result<()> {
    let sysroot = sysroot::make(workspace)?;
    // This variable, and not RUSTFLAGS, because it wins over all other ways to give flags. Build scripts and
    // procedural macros, which do need std, get no such flags since the target is given.
    let flags = format!("--sysroot={}", sysroot.directory.display());
    build(workspace, &sysroot.host, &[("CARGO_ENCODED_RUSTFLAGS", &flags)])
}

/// Builds the core for [`BARE`], if the toolchain has it.
fn for_bare_target(workspace: &Workspace) -> Result<()> {
    let mut ask = workspace.rustc();
    let libraries = command::output(ask.args(["--print", "target-libdir", "--target", BARE]))?;
    if !Path::new(libraries.trim()).is_dir() {
        println!("(not built for {BARE} as well: that target is not installed)");
        return Ok(());
    }
    build(workspace, BARE, &[])
}

/// Builds the core for `target`, in a directory of its own, so that other builds find their files as they were.
fn build(workspace: &Workspace, target: &str, variables: &[(&str, &str)]) -> Result<()> {
    let mut command = workspace.cargo(["build", "--package=netswap-core", "--lib", "--locked"]);
    command.arg(format!("--target={target}"));
    command.arg("--target-dir").arg(workspace.target.join("no-io"));
    command.envs(variables.iter().copied());
    command::run(&mut command).context("netswap-core, or a crate it depends on, does not build without std")
}
