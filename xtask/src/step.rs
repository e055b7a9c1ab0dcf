//! The steps of `cargo xtask test`: their names, their order, and which of them to run.

use std::fmt;

use clap::{ValueEnum, builder::PossibleValue};

use crate::{extent::Extent, steps, tally::Verdict, workspace::Workspace};

/// One step of `cargo xtask test`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// rustfmt agrees with every file.
    Format,
    /// No warning from the compiler or from clippy.
    Clippy,
    /// The documentation builds without a warning.
    Docs,
    /// The adapters can be read side by side.
    Adapters,
    /// The core needs no standard library.
    NoIo,
    /// Every test passes.
    Tests,
    /// Nothing goes wrong in simulated time.
    Simulation,
    /// The client for Node.js works.
    Node,
    /// The C# client does what it should, on Mono and on .NET 8.
    Csharp,
    /// The release program builds and starts.
    Release,
    /// Every benchmark works.
    BenchSmoke,
    /// The core's hot paths take no more instructions than they did.
    Gate,
}

impl Step {
    /// Every step, in the order they run: the quick and telling ones first.
    pub(crate) const ALL: [Self; 12] = [
        Self::Format,
        Self::Adapters,
        Self::Clippy,
        Self::Docs,
        Self::NoIo,
        Self::Tests,
        Self::Simulation,
        Self::Node,
        Self::Csharp,
        Self::Release,
        Self::BenchSmoke,
        Self::Gate,
    ];

    /// The name to call the step by on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Adapters => "adapters",
            Self::NoIo => "no-io",
            Self::Tests => "tests",
            Self::Simulation => "simulation",
            Self::Node => "node",
            Self::Csharp => "csharp",
            Self::Release => "release",
            Self::BenchSmoke => "bench-smoke",
            Self::Gate => "gate",
        }
    }

    /// What holds when the step passes.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Format => "every file is formatted as rustfmt formats it",
            Self::Clippy => "neither the compiler nor clippy has a warning",
            Self::Docs => "the documentation builds without a warning",
            Self::Adapters => "the adapter crates have the same files and the same public names",
            Self::NoIo => "netswap-core does no I/O: it builds where there is no std",
            Self::Tests => "all unit, integration and documentation tests pass; with --full the long set too",
            Self::Simulation => {
                "2000 seeds of clients and a server in simulated time, every byte judged; with --full 20 000"
            }
            Self::Node => "the client for Node.js passes its tests and the conformance suite",
            Self::Csharp => "the C# client passes its tests and all client cases, on Mono and on .NET 8",
            Self::Release => "the release program builds, and answers --help and --version",
            Self::BenchSmoke => "every benchmark works, and all it is answered is right; nothing is timed",
            Self::Gate => "the core's hot paths take at most 5 % more instructions than their bounds",
        }
    }

    /// Runs the step, at its long size where it has one and all is to be tried, showing on the way what it runs.
    pub(crate) fn run(self, workspace: &Workspace, extent: Extent) -> Verdict {
        match self {
            Self::Format => steps::format::run(workspace).into(),
            Self::Clippy => steps::clippy::run(workspace).into(),
            Self::Docs => steps::docs::run(workspace).into(),
            Self::Adapters => steps::adapters::run(workspace).into(),
            Self::NoIo => steps::no_io::run(workspace).into(),
            Self::Tests => steps::tests::run(workspace, extent),
            Self::Simulation => steps::simulation::run(workspace, extent).into(),
            Self::Node => steps::node::run(workspace),
            Self::Csharp => steps::csharp::run(workspace),
            Self::Release => steps::release::run(workspace).into(),
            Self::BenchSmoke => steps::bench_smoke::run(workspace).into(),
            Self::Gate => steps::gate::run(workspace),
        }
    }
}

impl ValueEnum for Step {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The steps to run when `named` are asked for: each once, in their own order, and all of them for none.
pub(crate) fn select(named: &[Step]) -> Vec<Step> {
    Step::ALL.into_iter().filter(|step| named.is_empty() || named.contains(step)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_selects_every_step() {
        assert_eq!(select(&[]), Step::ALL);
    }

    #[test]
    fn named_steps_run_once_and_in_order() {
        let named = [Step::Tests, Step::Format, Step::Tests];
        assert_eq!(select(&named), [Step::Format, Step::Tests]);
    }
}
