//! Where the project is, and the toolchain that builds it.

use std::{
    env,
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::command;

/// The project's directories.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The directory of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// The directory that cargo builds in.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Finds the project by what cargo said when it built xtask, and cargo's target directory by where it
    /// put xtask: `<target>/debug/xtask`, wherever that is configured to be.
    pub(crate) fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no workspace")?;
        let program = env::current_exe().context("cannot tell where xtask is")?;
        let target = program.ancestors().nth(2).context("xtask is not in a target directory")?;
        Ok(Self { root: root.to_owned(), target: target.to_owned() })
    }

    /// Builds programs as they are released, and returns where they are. What they depend on is built with what the whole
    /// workspace asks of it, so that none of it is built again for another program.
    pub(crate) fn programs<const N: usize>(&self, names: [&str; N]) -> Result<[PathBuf; N]> {
        let mut build = self.cargo(["build", "--release", "--locked", "--workspace"]);
        command::run(build.args(names.iter().flat_map(|name| ["--bin", name])))?;
        Ok(names.map(|name| self.target.join("release").join(format!("{name}{EXE_SUFFIX}"))))
    }

    /// The cargo that runs xtask, with these arguments.
    pub(crate) fn cargo<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.program("CARGO", "cargo");
        command.args(args);
        command
    }

    /// The compiler that cargo uses.
    pub(crate) fn rustc(&self) -> Command {
        self.program("RUSTC", "rustc")
    }

    /// The program `name`, unless the environment variable `variable` names another.
    fn program(&self, variable: &str, name: &str) -> Command {
        let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| name.into()));
        command.current_dir(&self.root);
        command
    }
}
