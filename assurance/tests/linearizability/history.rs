//! What happened to one record, and whether it can have happened one after the other.

use std::fmt;
use std::time::Duration;

use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

use crate::model::{Answer, Ask, State};

/// An operation.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) client: usize,
    pub(crate) ask: Ask,
    pub(crate) answer: Answer,
    /// When it was asked, in nanoseconds.
    pub(crate) asked: i64,
    /// When it was answered. What was lost is answered at the end of time.
    pub(crate) answered: i64,
}

/// All operations on one record, in the order in which they were asked. The first one creates it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(pub(crate) Vec<Entry>);

/// Whether there is an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Possible,
    Impossible,
    Undecided,
}

#[derive(Clone)]
struct OneAfterTheOther;

impl Model for OneAfterTheOther {
    type State = State;
    type Op = Entry;
    type Metadata = ();

    fn init() -> State {
        State::Unborn
    }

    fn step(state: &State, entry: &Entry) -> (bool, State) {
        let (answer, next) = state.carry_out(entry.client, &entry.ask);
        (entry.answer == Answer::Lost || entry.answer == answer, next)
    }
}

impl History {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn lost(&self) -> usize {
        self.0.iter().filter(|entry| entry.answer == Answer::Lost).count()
    }

    /// Looks for an order.
    pub(crate) fn judge(&self, within: Duration) -> Verdict {
        let operation = |entry: &Entry| Operation::<OneAfterTheOther> {
            client_id: None,
            call_time: entry.asked,
            return_time: entry.answered,
            op: entry.clone(),
            metadata: None,
        };
        let operations: Vec<_> = self.0.iter().map(operation).collect();
        match check_operations_timeout(&operations, within) {
            CheckResult::Ok => Verdict::Possible,
            CheckResult::Illegal => Verdict::Impossible,
            CheckResult::Unknown => Verdict::Undecided,
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Entry { client, ask, answer, asked, answered } in &self.0 {
            let (asked, answered) = (*asked as f64 / 1e3, *answered as f64 / 1e3);
            writeln!(f, "{client:3} {asked:12.1} to {answered:12.1} us: {ask:?} -> {answer:?}")?;
        }
        Ok(())
    }
}
