//! The tables on a terminal, and the document docs/BENCHMARKS.md.

use super::{About, details, notes, ratios};
use crate::run::Outcome;

const RATIOS: &str = "CPU time of the server for an operation, relative to the floor";

/// The tables as text.
pub(crate) fn terminal(about: &About, outcomes: &[Outcome]) -> String {
    let mut text = format!("{}\n", about.date);
    for (name, value) in &about.facts {
        text.push_str(&format!("{name}: {value}\n"));
    }
    for outcome in outcomes {
        text.push_str(&format!(
            "\n{} ({})\n{}",
            outcome.case.title,
            outcome.case.name,
            details(outcome).text()
        ));
        for note in notes(outcome) {
            text.push_str(&format!("({note})\n"));
        }
    }
    if let Some(table) = ratios(outcomes) {
        text.push_str(&format!("\n{RATIOS}\n{}", table.text()));
    }
    text
}

/// The document, which ends with a text that was written by hand.
pub(crate) fn document(about: &About, outcomes: &[Outcome], by_hand: &str) -> String {
    let mut text = INTRODUCTION.to_owned();
    text.push_str("\n## Where and when\n\n| | |\n|---|---|\n");
    text.push_str(&format!("| date | {} |\n", about.date));
    for (name, value) in &about.facts {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    if let Some(table) = ratios(outcomes) {
        text.push_str(&format!("\n## {RATIOS}\n\n{}", table.markdown()));
    }
    text.push_str("\n## Case by case\n");
    for outcome in outcomes {
        let (title, name) = (&outcome.case.title, &outcome.case.name);
        text.push_str(&format!("\n### {title} (`{name}`)\n\n{}", details(outcome).markdown()));
        for note in notes(outcome) {
            text.push_str(&format!("\n{note}\n"));
        }
    }
    if !by_hand.is_empty() {
        text.push_str(&format!("\n{}", by_hand.trim_start()));
    }
    text
}

const INTRODUCTION: &str = "\
# Benchmarks

NetSwap on each of its runtimes, beside Redis and memcached, and beside the floor of the machine. `cargo xtask bench`
measures it on yours and writes this document; [bench/README.md](../bench/README.md) says how it is measured. What is
under \"What was learnt\" is written by hand, in `bench/learnt.md`.

The main figure is the CPU time that a server takes for an operation, by the scheduler's accounting, relative to the
floor's: a server that reads as many bytes, writes as many, and does nothing else. A noisy machine moves it little.
Everything is the median of several rounds, in each of which all contenders have their turn; ratios are those of one
round. Servers have one core, the load has another, all have one thread for their work (but `blocking`, which has one
for each connection), and nothing is written to disk.
";
