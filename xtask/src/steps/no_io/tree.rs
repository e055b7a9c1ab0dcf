//! The crates that netswap-core depends on.

use anyhow::{Result, ensure};

use crate::{command, workspace::Workspace};

/// Crates that reach the operating system, some of them without std, or that serve those which do.
const DOING_IO: [&str; 21] = [
    "async-io",
    "async-std",
    "errno",
    "futures-io",
    "getrandom",
    "js-sys",
    "libc",
    "mio",
    "nix",
    "parking_lot",
    "polling",
    "quinn",
    "rustix",
    "signal-hook",
    "smol",
    "socket2",
    "tokio",
    "wasi",
    "wasip2",
    "winapi",
    "windows-sys",
];

/// Fails when the core depends on a crate of [`DOING_IO`], at any distance. Procedural macros are left out: they
/// run in the compiler.
pub(super) fn check(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(["tree", "--package=netswap-core", "--edges=normal,no-proc-macro"]);
    let tree = command::output(command.args(["--prefix=none", "--locked"]))?;
    let found = doing_io(&tree);
    ensure!(
        found.is_empty(),
        "netswap-core depends on {} (see `cargo tree -p netswap-core`)",
        found.join(", ")
    );
    Ok(())
}

/// The crates of [`DOING_IO`] in what `cargo tree --prefix none` prints.
fn doing_io(tree: &str) -> Vec<&str> {
    let mut found: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| DOING_IO.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_crates_count() {
        let tree = "netswap-core v0.1.0 (/tokio/netswap-core)\nlibc v0.2.1\nlibc-like v1.0.0\n\
                    tokio v1.54.0\nbytes v1.12.0\nlibc v0.2.1 (*)\n";
        assert_eq!(doing_io(tree), ["libc", "tokio"]);
    }
}
