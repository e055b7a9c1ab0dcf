//! The program: which seeds are run, and what is said about them.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::run::{self, Run};
use crate::sabotage::Sabotage;
use crate::transcript::FILE_NAME;

const EXAMPLES: &str = "Examples:
  simulation --seeds 2000                    what CI runs: 2000 seeds of 1000 transactions
  simulation --seed 42                       one seed again, with all that happens in it
  simulation --duration 3600 --first 100000  new seeds for an hour
  simulation --seeds 20 --sabotage leak      a server with a planted fault, to see that it is found

Of the first failure the shortest transcript that shows it is written to DIRECTORY/0-simulation.txt:
  cargo run -p conformance -- --target core --mode whole --cases DIRECTORY

The exit code is 0 if everything was as it must be, 1 if not, and 2 if the simulation itself could not do its work.";

/// Of so many failures the transcript is made.
const EXPLAINED: usize = 1;

/// Of so many failures anything is said.
const TOLD: usize = 20;

/// Runs NetSwap in simulated time: clients, a server and a bad network in one process, decided by a seed.
#[derive(Debug, Parser)]
#[command(name = "simulation", after_help = EXAMPLES)]
pub struct Arguments {
    /// Run so many seeds.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,
    /// Run this seed alone, and tell everything that happens.
    #[arg(long, conflicts_with_all = ["seeds", "first", "duration"])]
    seed: Option<u64>,
    /// Go on until so many seconds are over, in place of a number of seeds.
    #[arg(long, value_name = "SECONDS", conflicts_with = "seeds")]
    duration: Option<u64>,
    /// Transactions of a seed.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    transactions: u64,
    /// Plant a fault in the server.
    #[arg(long, value_enum, value_name = "FAULT")]
    sabotage: Option<Sabotage>,
    /// Where the transcript of a failure is written, as a case for the conformance suite.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/simulation")]
    transcripts: PathBuf,
    /// How many seconds may be spent on making a transcript shorter.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    shrink: u64,
}

/// Does what the command line says.
///
/// # Errors
///
/// The simulation cannot do its work.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let bar = match (arguments.seed, arguments.duration) {
        (Some(_), _) => ProgressBar::hidden(),
        (_, Some(_)) => ProgressBar::new_spinner(),
        _ => ProgressBar::new(arguments.seeds),
    };
    let template = if arguments.duration.is_some() {
        "{pos} seeds, {elapsed} {msg}"
    } else {
        "{bar:30} {pos}/{len}, {elapsed} {msg}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let (mut seeds, mut transactions, mut requests, mut simulated, mut failed) = (0, 0, 0, Duration::ZERO, 0);
    let mut next = arguments.seed.unwrap_or(arguments.first);
    let goes_on = |seeds: u64| match (arguments.seed, arguments.duration) {
        (Some(_), _) => seeds == 0,
        (_, Some(seconds)) => start.elapsed() < Duration::from_secs(seconds),
        _ => seeds < arguments.seeds,
    };
    while goes_on(seeds) {
        let run = run::run(next, arguments.transactions, arguments.sabotage, arguments.seed.is_some())?;
        if run.failure.is_some() {
            failed += 1;
            bar.set_message(format!("{failed} failed"));
            bar.suspend(|| tell(&run, failed, arguments))?;
        }
        (seeds, next) = (seeds + 1, next + 1);
        (transactions, requests) = (transactions + run.transactions, requests + run.requests);
        simulated += run.time;
        bar.inc(1);
    }
    bar.finish_and_clear();
    println!(
        "{seeds} seeds from {}, {transactions} transactions, {requests} requests, {:.1} h of simulated time in {:.1} s: {}",
        next - seeds,
        simulated.as_secs_f64() / 3600.0,
        start.elapsed().as_secs_f64(),
        if failed == 0 { "nothing is wrong".into() } else { format!("{failed} failed") },
    );
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says what was found, and how to see it again.
fn tell(run: &Run, count: usize, arguments: &Arguments) -> anyhow::Result<()> {
    let Some(found) = run.failure.as_ref().filter(|_| count <= TOLD) else { return Ok(()) };
    eprintln!("FAILED seed {}: {}", run.seed, found.failure);
    if count > EXPLAINED {
        return Ok(());
    }
    let sabotage = arguments.sabotage.and_then(|it| clap::ValueEnum::to_possible_value(&it));
    let sabotage = sabotage.map_or_else(String::new, |it| format!(" --sabotage {}", it.get_name()));
    let transactions = arguments.transactions;
    eprintln!(
        "  again: cargo run -p simulation --release -- --seed {} --transactions {transactions}{sabotage}",
        run.seed
    );
    let text = match run::explain(run.seed, arguments.sabotage, found, Duration::from_secs(arguments.shrink))
    {
        Ok(text) => text,
        Err(reason) => {
            eprintln!("  there is no transcript: {reason}");
            return Ok(());
        }
    };
    let directory = &arguments.transcripts;
    let path = directory.join(FILE_NAME);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, &text))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("  as a case: {}, {} lines", path.display(), text.lines().count());
    eprintln!(
        "  play it: cargo run -p conformance -- --target core --mode whole --cases {}",
        directory.display()
    );
    text.lines().for_each(|line| eprintln!("    {}", line.chars().take(160).collect::<String>()));
    Ok(())
}
