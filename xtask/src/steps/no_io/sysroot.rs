//! A toolchain's libraries without std.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{command, workspace::Workspace};

/// The crates of the toolchain that do no I/O, and the names their own builds know them by.
const CRATES: [&str; 6] = [
    "core",
    "alloc",
    "compiler_builtins",
    "rustc_std_workspace_core",
    "rustc_std_workspace_alloc",
    "rustc_std_workspace_compiler_builtins",
];

/// A directory that rustc takes for its toolchain, with no std in it.
#[derive(Debug)]
pub(super) struct Sysroot {
    /// Where it is: what to give rustc as `--sysroot`.
    pub(super) directory: PathBuf,
    /// The one target that it has libraries for, which is this machine's.
    pub(super) host: String,
}

/// Copies [`CRATES`] from the toolchain in use, and makes sure that std is out of reach with them.
pub(super) fn make(workspace: &Workspace) -> Result<Sysroot> {
    let about = command::output(workspace.rustc().arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("`rustc -vV` names no host")?.to_owned();
    let libraries = command::output(workspace.rustc().args(["--print", "target-libdir"]))?;

    let directory = workspace.target.join("no-std-sysroot");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    let copies = directory.join("lib/rustlib").join(&host).join("lib");
    copy_crates(Path::new(libraries.trim()), &copies)
        .with_context(|| format!("cannot copy the libraries of the toolchain to {}", copies.display()))?;

    let sysroot = Sysroot { directory, host };
    ensure!(sysroot.can_compile(workspace, "alloc")?, "{} has no alloc", sysroot.directory.display());
    ensure!(!sysroot.can_compile(workspace, "std")?, "rustc finds std in spite of --sysroot");
    Ok(sysroot)
}

impl Sysroot {
    /// Whether a crate that is nothing but `extern crate name` compiles with this sysroot: the test of the test.
    fn can_compile(&self, workspace: &Workspace, name: &str) -> Result<bool> {
        let source = self.directory.join(format!("needs_{name}.rs"));
        fs::write(&source, format!("#![no_std]\nextern crate {name};\n"))?;
        let mut rustc = workspace.rustc();
        rustc.args(["--crate-type=rlib", "--emit=metadata", "--sysroot"]).arg(&self.directory);
        rustc.arg("--out-dir").arg(&self.directory).arg(&source);
        Ok(command::succeeds(&mut rustc))
    }
}

/// Copies the files of [`CRATES`], such as `libcore-120cbae4e86ec454.rlib`.
fn copy_crates(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        let krate = name.to_str().and_then(|name| name.strip_prefix("lib")?.split_once('-'));
        if krate.is_some_and(|(krate, _)| CRATES.contains(&krate)) {
            fs::copy(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}
