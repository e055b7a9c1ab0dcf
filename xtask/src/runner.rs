//! Runs the chosen steps one after the other and says how each went.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{
    extent::Extent,
    step::Step,
    tally::{Tally, Verdict},
    workspace::Workspace,
};

/// Runs `steps` in order, up to the first that fails or, with `keep_going`, all of them.
///
/// The last line printed is the sum of it all, as in `120 passed, 0 failed`.
pub(crate) fn run(workspace: &Workspace, steps: &[Step], keep_going: bool, extent: Extent) -> ExitCode {
    let start = Instant::now();
    let mut total = Tally::default();
    let mut failed = Vec::new();
    let mut rest = steps.iter().copied();

    for step in rest.by_ref() {
        let verdict = run_one(workspace, step, extent);
        total += verdict.tally;
        if verdict.problem.is_some() {
            failed.push(step);
            if !keep_going {
                break;
            }
        }
    }

    println!();
    for step in &failed {
        let full = extent.pick("", " --full");
        println!("failed: {step} (run it again: cargo xtask test{full} {step})");
    }
    let not_run: Vec<_> = rest.map(Step::name).collect();
    if !not_run.is_empty() {
        println!("not run: {}", not_run.join(", "));
    }
    println!("total time: {}", seconds(start.elapsed()));
    println!("{total}");
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one step between a heading and a line that says how it went and how long it took.
fn run_one(workspace: &Workspace, step: Step, extent: Extent) -> Verdict {
    println!("\n== {step}: {}", step.about());
    let start = Instant::now();
    let verdict = step.run(workspace, extent);
    let time = seconds(start.elapsed());
    match &verdict.problem {
        None => println!("== {step}: ok in {time}"),
        Some(problem) => println!("== {step}: FAILED after {time}: {problem:#}"),
    }
    verdict
}

/// A time as people read it: `3.2 s`, `2 min 5 s`.
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        whole @ 60.. => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
