//! How much is tried: the quick set, which is part of every change, or the long set too (docs/ASSURANCE.md).

use std::process::Command;

use crate::workspace::Workspace;

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What is part of every change.
    Quick,
    /// That, and the long set: what takes longer.
    Full,
}

impl Extent {
    /// One figure for every change, another for all.
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// Cases of the model test in the long set: a few minutes.
const MODEL_CASES: &str = "20000";

/// The tests on real sockets that have a long set, as `cargo test` selects them.
pub(crate) const SOCKETS: [&[&str]; 2] =
    [&["--package=assurance", "--package=netswap-cli"], &["--package=conformance", "--test=every_cut"]];

/// The command that runs `what` of the tests on real sockets at its long size.
pub(crate) fn sockets(workspace: &Workspace, seed: u64, what: &[&str]) -> Command {
    let mut tests = workspace.cargo(["test", "--release", "--locked", "--no-fail-fast"]);
    tests.args(what).args(["--", "--nocapture"]);
    tests.env("NETSWAP_ASSURANCE", "long").env("NETSWAP_ASSURANCE_SEED", seed.to_string());
    tests
}

/// The command that plays the model for longer.
pub(crate) fn model(workspace: &Workspace, seed: &str) -> Command {
    let mut model = workspace.cargo(["test", "--release", "--locked", "--package=netswap-core"]);
    model.args(["--test=model", "the_core"]);
    model.env("PROPTEST_CASES", MODEL_CASES).env("PROPTEST_RNG_SEED", seed);
    model
}
