//! Programs that Debian has and a Rust toolchain has not.

use std::env;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// A program, and the package that it is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its Debian package.
    pub(crate) package: &'static str,
}

/// A server that many would take instead.
pub(crate) const REDIS: Program = Program { name: "redis-server", package: "redis-server" };
/// Another one.
pub(crate) const MEMCACHED: Program = Program { name: "memcached", package: "memcached" };
/// What counts instructions.
pub(crate) const VALGRIND: Program = Program { name: "valgrind", package: "valgrind" };

/// Installs those of `programs` that are missing: as root on a Debian. Elsewhere the error says what to do.
pub(crate) fn require(programs: &[Program]) -> Result<()> {
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    let by_hand = format!("missing: {0}. Install with `apt-get install {0}` as root", packages.join(" "));
    if !is_root() || !is_there("apt-get") {
        bail!(by_hand);
    }
    command::run(&mut apt("update", &[])).context(by_hand.clone())?;
    command::run(&mut apt("install", &packages)).context(by_hand)
}

fn apt(action: &str, packages: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "--yes", action]);
    if !packages.is_empty() {
        command.arg("--no-install-recommends").args(packages);
    }
    // As in single-user mode: what is installed is not started as a service.
    command.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    command
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn is_root() -> bool {
    command::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
