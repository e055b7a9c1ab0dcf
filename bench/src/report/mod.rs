//! What was measured, for people and for programs.

pub(crate) mod json;
mod table;
pub(crate) mod text;

use crate::cases::Case;
use crate::contenders::Contender;
use crate::figures::{self, Metric};
use crate::run::Outcome;
use table::Table;

/// Above this, in percent of a core, somebody is as busy as can be.
const BUSY: f64 = 97.0;

/// Under which circumstances it was measured.
pub(crate) struct About {
    /// The day.
    pub(crate) date: String,
    /// The machine, the versions and all else, line by line.
    pub(crate) facts: Vec<(String, String)>,
}

/// The CPU time of every contender for an operation of every case, relative to the floor's.
fn ratios(outcomes: &[Outcome]) -> Option<Table> {
    let contenders: Vec<Contender> =
        Contender::ALL.into_iter().filter(|it| outcomes.iter().any(|o| o.of(*it).is_some())).collect();
    let mut head = vec!["case".to_owned(), "floor, ns".to_owned()];
    head.extend(contenders.iter().filter(|it| **it != Contender::Floor).map(|it| it.name().to_owned()));
    head.push("aim".into());
    let mut table = Table::new(head);
    for outcome in outcomes {
        let Some(floor) = outcome.of(Contender::Floor) else { continue };
        let Some(cpu) = figures::medians(floor).get(&Metric::Cpu).copied() else { continue };
        let mut row = vec![outcome.case.title.clone(), Metric::Cpu.show(cpu)];
        for contender in contenders.iter().filter(|it| **it != Contender::Floor) {
            let ratio = outcome.of(*contender).and_then(|rounds| figures::ratio(rounds, floor));
            row.push(ratio.map_or_else(nothing, |ratio| format!("{ratio:.2}")));
        }
        row.push(outcome.case.aim.map_or_else(nothing, str::to_owned));
        table.push(row);
    }
    (!table.is_empty()).then_some(table)
}

/// All figures of a case.
fn details(outcome: &Outcome) -> Table {
    let metrics = outcome.case.metrics();
    let mut head = vec![String::new()];
    head.extend(metrics.iter().map(|metric| metric.title(outcome.case.each)));
    let mut table = Table::new(head);
    for (contender, rounds) in &outcome.rounds {
        let medians = figures::medians(rounds);
        let mut row = vec![contender.name().to_owned()];
        let show = |metric: &Metric| medians.get(metric).map_or_else(nothing, |value| metric.show(*value));
        row.extend(metrics.iter().map(show));
        table.push(row);
    }
    table
}

/// What is to be known of the figures of a case.
fn notes(outcome: &Outcome) -> Vec<String> {
    let Case { note, aim, kind: _, .. } = &outcome.case;
    let mut notes: Vec<String> = note.iter().map(|note| (*note).to_owned()).collect();
    if !outcome.case.metrics().contains(&Metric::Cpu) {
        notes.extend(aim.map(|aim| format!("Aim: {aim}.")));
    }
    let held_back = outcome.rounds.iter().filter(|(_, rounds)| {
        let medians = figures::medians(rounds);
        let busy = |metric| medians.get(&metric).is_some_and(|value| *value >= BUSY);
        busy(Metric::LoadBusy) && !busy(Metric::ServerBusy)
    });
    let held_back: Vec<_> = held_back.map(|(contender, _)| contender.name()).collect();
    if !held_back.is_empty() {
        notes.push(format!(
            "The load was the slower side with {}: the server could do more operations in a second than these, and CPU \
             time for each is that of a server that is not fully busy.",
            held_back.join(", ")
        ));
    }
    notes
}

fn nothing() -> String {
    "-".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::figures::Figures;

    #[test]
    fn ratios_and_bottlenecks_are_told() {
        let figures = |cpu, server, load| {
            Figures::from([(Metric::Cpu, cpu), (Metric::ServerBusy, server), (Metric::LoadBusy, load)])
        };
        let outcome = Outcome {
            case: cases::all(1).swap_remove(0),
            rounds: vec![
                (Contender::Floor, vec![figures(1000.0, 80.0, 99.0)]),
                (Contender::Redis, vec![figures(1340.0, 99.0, 99.0)]),
            ],
        };
        let notes = notes(&outcome);
        assert!(notes.len() == 1 && notes[0].contains("with floor:"), "{notes:?}");
        let outcomes = [outcome];
        let text = ratios(&outcomes).unwrap().text();
        assert!(text.contains("1000") && text.contains("1.34"), "{text}");
    }
}
