//! What a case must and must not do, so that it cannot pass by showing nothing.

use std::collections::BTreeMap;

use super::{Action, Name, Step};
use crate::pattern::Names;
use crate::text::{Mistake, Scale};
use crate::wire::{self, HEADER};

/// What has happened in a case so far.
#[derive(Default)]
pub(super) struct Rules {
    connections: BTreeMap<Name, State>,
    /// Whether bytes are expected anywhere.
    expects: bool,
    stopped: bool,
}

#[derive(Default)]
struct State {
    sends_no_more: bool,
    ended: bool,
    /// Whether it takes nothing from its socket.
    stopped_reading: bool,
}

impl Rules {
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Mistake> {
        let Some(who) = step.action.who() else {
            let again = matches!(step.action, Action::Stop) && std::mem::replace(&mut self.stopped, true);
            return if again { Err(Mistake::told("one stop of the server", "another one")) } else { Ok(()) };
        };
        if matches!(step.action, Action::Open(..)) {
            let before = self.connections.insert(who, State::default());
            return match before {
                Some(_) => {
                    Err(Mistake::told("a new connection's name", format!("{who}, which has been opened")))
                }
                None => Ok(()),
            };
        }
        let state = self.connections.get_mut(&who);
        let state =
            state.ok_or_else(|| Mistake::told(format!("`{who} opens ADDRESS` before"), format!("{who}")))?;
        if state.ended {
            return Err(Mistake::told(format!("nothing more of {who}, which has ended"), "this"));
        }
        let waits = matches!(
            step.action,
            Action::Receive(..)
                | Action::ReceiveAnyOrder(..)
                | Action::Silent(_)
                | Action::Closed(_)
                | Action::StayOpen(_)
        );
        if waits && state.stopped_reading {
            return Err(Mistake::told(
                format!("`{who} reads` before"),
                format!("{who}, which has stopped reading"),
            ));
        }
        let sends = matches!(
            step.action,
            Action::Send(..) | Action::Silent(_) | Action::StayOpen(_) | Action::HalfClose(_)
        );
        if sends && state.sends_no_more {
            return Err(Mistake::told(format!("nothing that {who} sends, which has half-closed"), "this"));
        }
        match &step.action {
            Action::Receive(..) => self.expects = true,
            Action::ReceiveAnyOrder(_, pattern) => {
                self.expects = true;
                let bytes = pattern.bytes(&Names::new(), Scale::TRUE);
                wire::whole_packets(&bytes).map_err(|at| {
                    let line = pattern.line_of(at).map_or_else(String::new, |line| line.text.clone());
                    let expected = format!("whole packets with a header of {HEADER} bytes without names");
                    Mistake::new(expected, line)
                })?;
            }
            Action::HalfClose(_) => state.sends_no_more = true,
            Action::StopReading(_) => state.stopped_reading = true,
            Action::Read(_) => state.stopped_reading = false,
            Action::Reset(_) | Action::Closed(_) | Action::Dropped(_) | Action::StayOpen(_) => {
                state.ended = true
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn end(&self) -> Result<(), Mistake> {
        if !self.expects {
            return Err(Mistake::told("bytes that are received", "a case without any"));
        }
        let Some((who, _)) = self.connections.iter().find(|(_, state)| !state.ended) else { return Ok(()) };
        let verdicts = format!("`{who} closed`, `{who} stays open`, `{who} dropped` or `{who} resets`");
        Err(Mistake::told(verdicts, format!("the end of the case, without a verdict on {who}")))
    }
}
