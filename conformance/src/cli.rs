//! The program: which cases are played against which servers, and what is said about it.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cases::{self, Case};
use crate::client;
use crate::run::{Plan, Played};
use crate::server::Mode;
use crate::server::play::Server;
use crate::server::targets::Target;
use crate::verdict::{Summary, Verdict};
use crate::{junit, report};

const EXAMPLES: &str = "Examples:
  conformance                               all cases against all servers of this project
  conformance --server 192.0.2.1:7420       against a server in any language that runs already
  conformance --target tokio 5.1 watch      section 5.1, and cases with `watch` in their text
  conformance --mode cuts --seed 42 2.3-01  one case again, with the cuts of a run that failed
  conformance --client 'node driver.js'     all client cases, with the driver of a client
  conformance --client driver-tokio 2.5     client cases of section 2.5
  conformance --list 4.3                    which cases there are; with --client, which client cases

With cargo: cargo run -p conformance -- --server 192.0.2.1:7420

The exit code is 0 if something was played and all of it passed, 1 if not, and 2 if the suite
could not do its work: a case file with an error, a wrong argument.";

/// How many cases are played at once against servers.
const AT_ONCE: usize = 64;

/// Of so many failures everything is shown, of the others the first line; JUnit has them all.
pub(crate) const SHOWN_WHOLE: usize = 20;

/// Plays the NetSwap conformance suite: byte by byte, what a server has to answer and how a client has to behave.
#[derive(Debug, Parser)]
#[command(name = "conformance", after_help = EXAMPLES)]
pub struct Arguments {
    /// Play only cases of these sections (3.12), with these IDs (3.12-01), or with this in their text.
    filter: Vec<String>,
    /// The server to be tested, which runs already. Cases that need a configuration of their own are skipped.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "target")]
    server: Option<String>,
    /// Play client cases, with the driver that this command starts: a program and its arguments, split at spaces. See
    /// docs/PORTING.md.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["server", "target", "mode", "seed"])]
    client: Option<String>,
    /// Servers of this project, which are started for every case; all of them by default.
    #[arg(long, value_enum)]
    target: Vec<Target>,
    /// How what is sent is cut: as the file has it, byte by byte, in random pieces, or in all these ways.
    #[arg(long, value_enum, default_value = "all")]
    mode: Vec<Modes>,
    /// The seed of random cuts; a random one by default, which is printed.
    #[arg(long)]
    seed: Option<u64>,
    /// With --server: play cases in which at most so many seconds pass.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    longest: u64,
    /// How many cases are played at once. They mostly wait: 64 by default, or with --client two for each core.
    #[arg(long, value_name = "COUNT")]
    at_once: Option<usize>,
    /// Write the results to this file as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The directory of the case files.
    #[arg(long, value_name = "DIRECTORY")]
    cases: Option<PathBuf>,
    /// Print the cases and play nothing.
    #[arg(long)]
    list: bool,
}

/// Ways in which bytes are sent, to be chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Modes {
    /// All lines that follow each other at once.
    Whole,
    /// Every byte by itself.
    Bytes,
    /// In pieces of random lengths.
    Cuts,
    /// In all these ways, one after the other.
    All,
}

impl Modes {
    fn has(self, mode: Mode) -> bool {
        match self {
            Self::Whole => mode == Mode::Whole,
            Self::Bytes => mode == Mode::Bytes,
            Self::Cuts => mode == Mode::Cuts,
            Self::All => Mode::ALL.contains(&mode),
        }
    }
}

/// Does what the command line says.
///
/// # Errors
///
/// The suite cannot do its work.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(command) = &arguments.client {
        let choose = |id: &str, title: &str| arguments.choose(id, title);
        return client::cli::run(client::cli::Arguments {
            command: command.split_whitespace().map(Into::into).collect(),
            directory: &arguments.directory("client"),
            choose: &choose,
            at_once: arguments.at_once,
            junit: arguments.junit.as_deref(),
            list: arguments.list,
        });
    }
    let cases = cases::read(&arguments.directory("server"))?;
    let chosen = |case: &Case| arguments.choose(&case.id, &case.title);
    let cases: Vec<Arc<Case>> = cases.into_iter().filter(|case| chosen(case)).map(Arc::new).collect();
    if arguments.list {
        let mut out = io::stdout().lock();
        cases.iter().try_for_each(|case| writeln!(out, "{} {}", case.id, case.title))?;
        return Ok(ExitCode::SUCCESS);
    }
    let seed = arguments.seed.unwrap_or_else(|| u64::from(fastrand::u32(..)));
    let modes: Vec<Mode> =
        Mode::ALL.into_iter().filter(|mode| arguments.mode.iter().any(|it| it.has(*mode))).collect();
    let servers = match &arguments.server {
        Some(server) => vec![Server::Remote(resolve(server)?, Duration::from_secs(arguments.longest))],
        None if arguments.target.is_empty() => Target::ALL.map(Server::Started).to_vec(),
        None => arguments.target.iter().copied().map(Server::Started).collect(),
    };
    let plan = Plan { cases, servers, modes, seed, at_once: arguments.at_once.unwrap_or(AT_ONCE) };
    let start = Instant::now();
    let played = tokio::runtime::Runtime::new()?.block_on(play(plan, seed));
    if let Some(path) = &arguments.junit {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let names: Vec<String> = played.iter().map(|play| play.server.name()).collect();
        junit::write(&tests(&played, &names, seed), file)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(summarize(&played, seed, start.elapsed()))
}

/// What was played, for JUnit: a suite for each server.
fn tests<'a>(played: &'a [Played], names: &'a [String], seed: u64) -> Vec<junit::Test<'a>> {
    let test = |(Played { case, mode, verdict, took, .. }, name): (&'a Played, &'a String)| junit::Test {
        suite: name,
        id: &case.id,
        name: format!("{} {} ({})", case.id, case.title, mode.name()),
        verdict: verdict
            .map(|failure| (failure.problem.to_string(), report::failure(case, name, *mode, seed, failure))),
        took: *took,
    };
    played.iter().zip(names).map(test).collect()
}

/// Shows how many of the plays have ended.
pub(crate) fn bar(plays: usize) -> ProgressBar {
    let bar = ProgressBar::new(plays as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}, {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Plays, shows how far it is, and tells what fails as it fails.
async fn play(plan: Plan, seed: u64) -> Vec<Played> {
    let bar = bar(plan.len());
    let mut failed = 0;
    let played = plan.run(|play| {
        let Played { case, server, mode, verdict, .. } = play;
        let tell = |what: &str, failure| {
            let mut text = report::failure(case, &server.name(), *mode, seed, failure);
            if failed >= SHOWN_WHOLE {
                text.truncate(text.find('\n').unwrap_or(text.len()));
            }
            bar.suspend(|| eprintln!("{what} {text}"));
        };
        match verdict {
            Verdict::Failed(failure) => {
                tell("FAILED", failure);
                failed += 1;
                bar.set_message(format!("{failed} failed"));
            }
            Verdict::PassedSlower(failure) => tell("passed only with more time:", failure),
            Verdict::Passed | Verdict::Skipped(_) => {}
        }
        bar.inc(1);
    });
    let played = played.await;
    bar.finish_and_clear();
    played
}

fn summarize(played: &[Played], seed: u64, took: Duration) -> ExitCode {
    for plays in played.chunk_by(|one, other| one.server == other.server) {
        if let Some(first) = plays.first() {
            println!("{}: {}", first.server.name(), Summary::of(plays.iter().map(|play| &play.verdict)));
        }
    }
    let summary = Summary::of(played.iter().map(|play| &play.verdict));
    let mut cases: Vec<&str> = played.iter().map(|play| play.case.id.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    println!("{} cases in {:.1} s, seed {seed}", cases.len(), took.as_secs_f64());
    verdict(&summary)
}

pub(crate) fn verdict(summary: &Summary) -> ExitCode {
    if summary.is_nothing() {
        println!("nothing was played, so nothing is shown");
    }
    if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Arguments {
    /// Whether a case is one of those that are to be played.
    fn choose(&self, id: &str, title: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|filter| fits(id, title, filter))
    }

    /// Where the case files are: beside the sources when cargo runs the program, or below the present directory.
    fn directory(&self, sort: &str) -> PathBuf {
        let sources = || std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let beside = || sources().unwrap_or_else(|| Path::new("conformance").into()).join(sort);
        self.cases.clone().unwrap_or_else(beside)
    }
}

/// Whether a case is one of those that a filter means.
fn fits(id: &str, title: &str, filter: &str) -> bool {
    if filter.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) {
        let rest = id.strip_prefix(filter);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']));
    }
    title.to_lowercase().contains(&filter.to_lowercase())
}

fn resolve(server: &str) -> anyhow::Result<SocketAddr> {
    let addresses =
        server.to_socket_addrs().with_context(|| format!("{server} is no HOST:PORT that is known"))?;
    // Of a name with several the IPv4 address: from there clients can have several addresses.
    let mut addresses: Vec<SocketAddr> = addresses.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.first().copied().with_context(|| format!("{server} has no address"))
}
