//! `cargo xtask soak`: the long set of what docs/ASSURANCE.md lists, and then more of what is random for as long as it is
//! given.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;

use crate::{command, extent, workspace::Workspace};

/// How long a round looks in simulated time, and how long each fuzzer and random clients on each runtime run.
const SLICE: Duration = Duration::from_secs(120);

/// The fuzz targets.
const FUZZERS: [&str; 6] = ["packets", "stream", "server", "client", "round_trip", "mirrors"];

/// What `cargo xtask soak` takes.
#[derive(Args)]
pub(crate) struct SoakArgs {
    /// For how long to look. The long set on real sockets, half an hour on two cores, is played in any case
    #[arg(long, default_value_t = 90)]
    minutes: u64,
    /// Decides what is random; the round that fails tells the seed to repeat it with
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave out the long set on real sockets
    #[arg(long)]
    no_sockets: bool,
}

/// Plays the long set, then rounds of simulation, model, recorded histories, random clients and fuzzing until the time is
/// over.
///
/// # Errors
///
/// Something was found: what, is printed above, with the command that repeats it.
pub(crate) fn run(workspace: &Workspace, args: &SoakArgs) -> Result<ExitCode> {
    let end = Instant::now() + Duration::from_secs(60 * args.minutes);
    if !args.no_sockets {
        println!("== real sockets: the long set, seed {}", args.seed);
        extent::SOCKETS.iter().try_for_each(|what| sockets(workspace, args.seed, what))?;
    }
    let can_fuzz = command::succeeds(&mut workspace.cargo(["fuzz", "--version"]));
    if !can_fuzz {
        println!("cargo-fuzz is missing (`cargo install cargo-fuzz`): fuzz targets are left out");
    }
    let mut rounds = 0;
    while Instant::now() < end {
        let seed = args.seed + rounds;
        println!("\n== round {}: repeat it with --no-sockets --seed {seed} --minutes 1", rounds + 1);
        simulation(workspace, seed)?;
        command::run(&mut extent::model(workspace, &seed.to_string()))?;
        sockets(workspace, seed, &["--package=assurance", "--test=linearizability"])?;
        random_clients(workspace, seed)?;
        if can_fuzz {
            FUZZERS.iter().try_for_each(|target| fuzz(workspace, target, seed))?;
        }
        rounds += 1;
    }
    println!("\nnothing was found: seed {}, {rounds} rounds", args.seed);
    Ok(ExitCode::SUCCESS)
}

fn sockets(workspace: &Workspace, seed: u64, what: &[&str]) -> Result<()> {
    command::run(&mut extent::sockets(workspace, seed, what))
}

/// Clients that do anything, on each runtime in turn: resident memory stays below the bound that the server prints.
fn random_clients(workspace: &Workspace, seed: u64) -> Result<()> {
    let mut tests =
        extent::sockets(workspace, seed, &["--package=assurance", "--test=held", "random_clients"]);
    command::run(tests.env("NETSWAP_ASSURANCE_SECONDS", SLICE.as_secs().to_string()))
}

fn simulation(workspace: &Workspace, seed: u64) -> Result<()> {
    let mut simulation = workspace.cargo(["run", "--release", "--locked", "--package=simulation", "--"]);
    let first = seed.wrapping_mul(1_000_000).to_string();
    command::run(simulation.args(["--first", &first, "--duration", &SLICE.as_secs().to_string()]))
}

fn fuzz(workspace: &Workspace, target: &str, seed: u64) -> Result<()> {
    let mut fuzz = workspace.cargo(["fuzz", "run", "-s", "none", target, "--"]);
    let time = format!("-max_total_time={}", SLICE.as_secs());
    command::run(fuzz.args([time, format!("-seed={seed}"), "-print_final_stats=1".to_owned()]))
}
