//! What a case must and must not do, so that it cannot pass by showing nothing.

use std::collections::BTreeMap;

use super::case::{Action, CONNECT, Server};
use crate::text::Mistake;

/// What has happened in a case so far.
pub(super) struct Rules {
    server: Server,
    calls: BTreeMap<u32, Stage>,
    /// Whether a call is expected to do anything.
    expects: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for its result. Of watches and of listening to events, `goes_on` after it.
    Called {
        goes_on: bool,
    },
    /// It has returned, and tells of things.
    GoesOn,
    Ended,
}

impl Rules {
    pub(super) fn new(server: Server) -> Self {
        Self { server, calls: BTreeMap::new(), expects: false }
    }

    pub(super) fn step(&mut self, action: &Action) -> Result<(), Mistake> {
        match action {
            Action::Connect => self.begin(CONNECT, "connect").map(|()| self.end_of(CONNECT)),
            Action::Call(line) => self.begin(line.number, &line.verb),
            Action::Cancel(number) => {
                self.open(*number)?;
                self.end_of(*number);
                Ok(())
            }
            Action::Answer(line) => {
                let stage = self.open(line.number)?;
                let next = match (&*line.verb, stage) {
                    ("returns", Stage::Called { goes_on: true }) => Stage::GoesOn,
                    ("returns", Stage::Called { goes_on: false }) | ("fails", _) => Stage::Ended,
                    ("tells", Stage::GoesOn) => Stage::GoesOn,
                    ("ends", Stage::GoesOn) => Stage::Ended,
                    ("returns", _) => return Err(Mistake::told("one `returns` of a call", "another one")),
                    _ => {
                        return Err(Mistake::told("a watch, or `events`, that has returned", "no such call"));
                    }
                };
                // That there is a connection shows nothing of the calls.
                self.expects |= line.number != CONNECT || line.verb == "fails";
                self.calls.insert(line.number, next);
                Ok(())
            }
            Action::Waits(number) => self.open(*number).map(drop),
            Action::Reaches { number, .. } => match self.open(*number)? {
                Stage::GoesOn => {
                    self.expects = true;
                    Ok(())
                }
                _ => Err(Mistake::told("a watch that has returned", "no such call")),
            },
            Action::Pass(_) | Action::Grows(_) => Ok(()),
            _ if self.server == Server::Real => {
                Err(Mistake::told("no script for a real server", "a step of the server"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn end(&self) -> Result<(), Mistake> {
        if let Some((number, _)) = self.calls.iter().find(|(_, stage)| matches!(stage, Stage::Called { .. }))
        {
            let expected = format!("`{number} returns`, `{number} fails` or `cancel {number}`");
            return Err(Mistake::told(expected, "the end of the case"));
        }
        if self.expects {
            return Ok(());
        }
        Err(Mistake::told("a call that returns, fails or tells of something", "a case without any"))
    }

    fn begin(&mut self, number: u32, name: &str) -> Result<(), Mistake> {
        let connects = name == "connect";
        if connects != (number == CONNECT) {
            return Err(Mistake::told(
                format!("number {CONNECT} for connect and for nothing else"),
                number.to_string(),
            ));
        }
        if !connects && !self.calls.contains_key(&CONNECT) {
            return Err(Mistake::told("`connects` before the first call", "none"));
        }
        let goes_on = matches!(name, "watch" | "events");
        match self.calls.insert(number, Stage::Called { goes_on }) {
            None => Ok(()),
            Some(_) => Err(Mistake::told("a new number", format!("{number}, which is another call's"))),
        }
    }

    fn end_of(&mut self, number: u32) {
        self.calls.insert(number, Stage::Ended);
    }

    fn open(&self, number: u32) -> Result<Stage, Mistake> {
        match self.calls.get(&number) {
            Some(Stage::Ended) => Err(Mistake::told("a call that has not ended", format!("{number}"))),
            Some(stage) => Ok(*stage),
            None => Err(Mistake::told(format!("`call {number} ...` before"), "none")),
        }
    }
}
