//! The project's own tasks. `cargo xtask test` is what CI runs (`.ci/run`), and needs nothing but a Rust
//! toolchain, and for the clients in other languages what their steps ask for: run it before you push, or one step of it
//! while you work (`cargo xtask test clippy`). `cargo xtask test --full` plays what takes
//! longer too, and `cargo xtask soak` goes on looking for faults for as long as it is told.
#![forbid(unsafe_code)]

mod bench;
mod command;
mod debian;
mod extent;
mod runner;
mod soak;
mod step;
mod steps;
mod tally;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{extent::Extent, step::Step, workspace::Workspace};

/// The project's own tasks.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    /// The task to do.
    #[command(subcommand)]
    task: Task,
}

/// A task of the project.
#[derive(Subcommand)]
enum Task {
    /// Check the project: all that CI checks, or only the steps named.
    Test(TestArgs),
    /// Look for faults for longer than CI does: docs/ASSURANCE.md says at what.
    Soak(soak::SoakArgs),
    /// Measure NetSwap beside Redis, memcached and the floor of the machine, in some 20 minutes, and write
    /// docs/BENCHMARKS.md. With arguments: measure what they say and write nothing (`cargo xtask bench --help` is about
    /// this, `cargo xtask bench -- --help` about them).
    Bench {
        /// Arguments of `netswap-bench run`, such as --case 64B --only floor,tokio --rounds 1
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Count the instructions of the core's hot paths: `cargo xtask test gate`, or write its bounds.
    Gate {
        /// Write the bounds that later changes are held against
        #[arg(long)]
        write: bool,
    },
}

/// What `cargo xtask test` takes.
#[derive(Args)]
struct TestArgs {
    /// The steps to run, always in the order of --list [default: all]
    #[arg(value_enum)]
    steps: Vec<Step>,
    /// List the steps and stop
    #[arg(long)]
    list: bool,
    /// Run the steps after a failed one too
    #[arg(long)]
    keep_going: bool,
    /// Play the long set too, an hour or so on two cores: after the usual tests those on real sockets at the long size that
    /// docs/ASSURANCE.md lists and 20 000 plays of the model, and ten times as many seeds of the simulation. The other steps
    /// are the same. It needs 20 000 descriptors (`ulimit -n`)
    #[arg(long)]
    full: bool,
}

/// Exits with 0 when all is well, 1 when a step failed, and (clap's doing) 2 for a wrong command line.
fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::Test(args) => test(args),
        Task::Soak(args) => soak::run(&Workspace::find()?, &args),
        Task::Bench { args } => bench::run(&Workspace::find()?, &args).map(|()| ExitCode::SUCCESS),
        Task::Gate { write: true } => steps::gate::write(&Workspace::find()?).map(|()| ExitCode::SUCCESS),
        Task::Gate { write: false } => {
            Ok(runner::run(&Workspace::find()?, &[Step::Gate], false, Extent::Quick))
        }
    }
}

fn test(args: TestArgs) -> anyhow::Result<ExitCode> {
    if args.list {
        for step in Step::ALL {
            println!("{:<12} {}", step.name(), step.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let steps = step::select(&args.steps);
    let extent = if args.full { Extent::Full } else { Extent::Quick };
    Ok(runner::run(&Workspace::find()?, &steps, args.keep_going, extent))
}
