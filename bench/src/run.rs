//! All contenders in turn, case by case, round by round.

use anyhow::{Context, Result};

use crate::cases::Case;
use crate::contenders::Contender;
use crate::figures::Figures;
use crate::measure::Bench;

/// What has come of a case.
pub(crate) struct Outcome {
    /// The case.
    pub(crate) case: Case,
    /// Every contender's rounds.
    pub(crate) rounds: Vec<(Contender, Vec<Figures>)>,
}

impl Outcome {
    /// A contender's rounds.
    pub(crate) fn of(&self, contender: Contender) -> Option<&[Figures]> {
        self.rounds.iter().find(|(it, _)| *it == contender).map(|(_, rounds)| &rounds[..])
    }
}

/// Measures everything. The first error ends it.
pub(crate) fn all(
    bench: &Bench,
    cases: Vec<Case>,
    contenders: &[Contender],
    rounds: usize,
) -> Result<Vec<Outcome>> {
    let count = cases.len();
    let mut outcomes = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        let mut measured: Vec<(Contender, Vec<Figures>)> =
            contenders.iter().filter(|it| case.is_for(**it)).map(|it| (*it, Vec::new())).collect();
        let rounds = if case.is_steady_by_itself() { 1 } else { rounds };
        for round in 0..rounds {
            eprintln!("case {} of {count}, round {} of {rounds}: {}", number + 1, round + 1, case.name);
            // Each round begins with another contender, so that none is always the first or always behind the same.
            let first = round % measured.len().max(1);
            measured.rotate_left(first);
            for (contender, figures) in &mut measured {
                let measured = bench.measure(&case, *contender);
                figures.push(measured.with_context(|| format!("{} with {}", case.name, contender.name()))?);
            }
            measured.rotate_right(first);
        }
        outcomes.push(Outcome { case, rounds: measured });
    }
    Ok(outcomes)
}
