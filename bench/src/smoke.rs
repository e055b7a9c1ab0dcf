//! Whether everything works, wherever it runs: replies are compared, figures must be there. Their size does not matter.

use anyhow::{Result, bail, ensure};

use crate::contenders::Contender;
use crate::figures::Figures;
use crate::run::Outcome;

/// Fails where a figure is missing or impossible, or a contender did not have its turn.
pub(crate) fn check(outcomes: &[Outcome], contenders: &[Contender]) -> Result<()> {
    ensure!(!outcomes.is_empty(), "there was no case");
    for outcome in outcomes {
        for contender in contenders.iter().filter(|it| outcome.case.is_for(**it)) {
            match outcome.of(*contender) {
                Some([figures]) => check_figures(outcome, *contender, figures)?,
                _ => bail!("{}: {} was not measured once", outcome.case.name, contender.name()),
            }
        }
    }
    Ok(())
}

fn check_figures(outcome: &Outcome, contender: Contender, figures: &Figures) -> Result<()> {
    for metric in outcome.case.metrics() {
        let place = || format!("{}, {}: {}", outcome.case.name, contender.name(), metric.key());
        let Some(value) = figures.get(metric) else { bail!("{} is missing", place()) };
        let possible = *value > 0.0 || (*value == 0.0 && metric.may_be_zero());
        ensure!(value.is_finite() && possible, "{} is {value}", place());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn a_missing_or_impossible_figure_fails() {
        let case = cases::all(1).swap_remove(0);
        let right: Figures = case.metrics().iter().map(|metric| (*metric, 1.0)).collect();
        let check = |rounds: Vec<Figures>| {
            let rounds = vec![(Contender::Tokio, rounds)];
            check(&[Outcome { case: case.clone(), rounds }], &[Contender::Tokio])
        };
        check(vec![right.clone()]).unwrap();
        assert!(check(vec![]).is_err());
        for metric in case.metrics() {
            let mut without = right.clone();
            without.remove(metric);
            assert!(check(vec![without]).is_err());
            for wrong in [0.0, f64::NAN, f64::INFINITY] {
                let mut figures = right.clone();
                figures.insert(*metric, wrong);
                assert!(check(vec![figures]).is_err());
            }
        }
    }
}
