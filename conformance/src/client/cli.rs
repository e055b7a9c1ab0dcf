//! The part of the program that plays client cases.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::case::{self, Case};
use super::run::{Plan, Played};
use crate::cli::{SHOWN_WHOLE, bar, verdict};
use crate::junit;
use crate::verdict::{Summary, Verdict};

/// How long a client, or its driver, may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the command line says of client cases.
pub(crate) struct Arguments<'a> {
    /// The driver's program and its arguments.
    pub(crate) command: Vec<String>,
    /// Where the case files are.
    pub(crate) directory: &'a Path,
    /// Whether a case with this ID and title is to be played.
    pub(crate) choose: &'a dyn Fn(&str, &str) -> bool,
    /// How many cases are played at once.
    pub(crate) at_once: Option<usize>,
    /// Where the results go as JUnit XML.
    pub(crate) junit: Option<&'a Path>,
    /// Whether the cases are printed, and nothing is played.
    pub(crate) list: bool,
}

/// Plays the client cases that the command line names.
pub(crate) fn run(arguments: Arguments<'_>) -> anyhow::Result<ExitCode> {
    let Arguments { command, directory, choose, at_once, junit, list } = arguments;
    let chosen = |case: &Case| choose(&case.id, &case.title);
    let cases: Vec<Arc<Case>> = case::read(directory)?.into_iter().filter(chosen).map(Arc::new).collect();
    if list {
        let mut out = io::stdout().lock();
        cases.iter().try_for_each(|case| writeln!(out, "{} {}", case.id, case.title))?;
        return Ok(ExitCode::SUCCESS);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = at_once.unwrap_or(2 * cores);
    let plan = Plan { cases, command: command.clone(), at_once, patience: PATIENCE };
    let start = Instant::now();
    let played = tokio::runtime::Runtime::new()?.block_on(play(plan));
    if let Some(path) = junit {
        let cannot = || format!("cannot write {}", path.display());
        let tests = tests(&played, &command);
        junit::write(&tests, File::create(path).with_context(cannot)?).with_context(cannot)?;
    }
    let summary = Summary::of(played.iter().map(|play| &play.verdict));
    println!("{}: {summary}", command.join(" "));
    println!("{} cases in {:.1} s", played.len(), start.elapsed().as_secs_f64());
    Ok(verdict(&summary))
}

/// What was played, for JUnit: the name of the driver's program is that of the suite.
fn tests<'a>(played: &'a [Played], command: &'a [String]) -> Vec<junit::Test<'a>> {
    let program = command.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    let suite = program.to_str().unwrap_or("driver");
    let test = |Played { case, verdict, took }: &'a Played| junit::Test {
        suite,
        id: &case.id,
        name: format!("{} {}", case.id, case.title),
        verdict: verdict.map(|failure| {
            (failure.problem.lines().next().unwrap_or_default().to_owned(), failure.to_string())
        }),
        took: *took,
    };
    played.iter().map(test).collect()
}

/// Plays, shows how far it is, and tells what fails as it fails.
async fn play(plan: Plan) -> Vec<Played> {
    let bar = bar(plan.cases.len());
    let mut failed = 0;
    let played = plan.run(|play| {
        let tell = |what: &str, failure: String| {
            let whole = failed < SHOWN_WHOLE;
            let failure = if whole { &failure } else { failure.lines().next().unwrap_or_default() };
            bar.suspend(|| eprintln!("{what} {}: {}", play.case.id, failure.trim_end()));
        };
        match &play.verdict {
            Verdict::Failed(failure) => {
                tell("FAILED", failure.to_string());
                failed += 1;
                bar.set_message(format!("{failed} failed"));
            }
            Verdict::PassedSlower(failure) => tell("passed only with more time:", failure.to_string()),
            Verdict::Passed | Verdict::Skipped(_) => {}
        }
        bar.inc(1);
    });
    let played = played.await;
    bar.finish_and_clear();
    played
}
