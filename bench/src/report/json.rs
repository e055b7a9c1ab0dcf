//! Everything, for programs.

use serde_json::{Map, Value, json};

use super::About;
use crate::contenders::Contender;
use crate::figures::{self, Figures};
use crate::run::Outcome;

/// All rounds of all cases.
pub(crate) fn document(about: &About, outcomes: &[Outcome]) -> Value {
    let facts: Map<String, Value> =
        about.facts.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let cases: Map<String, Value> =
        outcomes.iter().map(|outcome| (outcome.case.name.clone(), case(outcome))).collect();
    json!({ "date": about.date, "facts": facts, "cases": cases })
}

fn case(outcome: &Outcome) -> Value {
    let floor = outcome.of(Contender::Floor);
    let contender = |(contender, rounds): &(Contender, Vec<Figures>)| {
        let value = json!({
            "medians": figures(&figures::medians(rounds)),
            "cpu_relative_to_floor": floor.and_then(|floor| figures::ratio(rounds, floor)),
            "rounds": rounds.iter().map(figures).collect::<Vec<_>>(),
        });
        (contender.name().to_owned(), value)
    };
    let contenders: Map<String, Value> = outcome.rounds.iter().map(contender).collect();
    json!({ "title": outcome.case.title, "each": outcome.case.each, "contenders": contenders })
}

fn figures(figures: &Figures) -> Value {
    figures
        .iter()
        .map(|(metric, value)| (metric.key().to_owned(), json!(value)))
        .collect::<Map<_, _>>()
        .into()
}
