//! Reads files of server cases.

use std::net::IpAddr;

use super::rules::Rules;
use super::{Action, Case, Name, SORT, Setting, Step};
use crate::pattern::{Direction, Lengths, Pattern};
use crate::text::{self, CaseText, FileError, Mistake, duration};

/// The steps of a line that begins with a connection's name.
const STEPS: &str = "`opens ADDRESS`, `silent`, `half-closes`, `resets`, `stops reading`, `reads`, `closed`, \
                     `dropped` or `stays open`";

/// Reads a file of server cases; `file` is its name for errors, and tells the section.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, FileError> {
    text::cases(file, text, SORT)?.iter().map(|it| case(file, it)).collect()
}

fn case(file: &str, text: &CaseText<'_>) -> Result<Case, FileError> {
    let mut reader = Reader::default();
    let mut rules = Rules::default();
    for (number, line) in &text.lines {
        reader.line(*number, line).map_err(|mistake| mistake.at(file, *number))?;
    }
    for step in &reader.steps {
        rules.step(step).map_err(|mistake| mistake.at(file, step.line))?;
    }
    rules.end().map_err(|mistake| mistake.at(file, text.line))?;
    let Reader { config, steps, .. } = reader;
    let (id, title) = (text.id.to_owned(), text.title.to_owned());
    Ok(Case { file: file.into(), line: text.line, id, title, config, steps })
}

#[derive(Default)]
struct Reader {
    config: Vec<Setting>,
    steps: Vec<Step>,
    /// The names that have been bound.
    lengths: Lengths,
}

impl Reader {
    fn line(&mut self, number: usize, line: &str) -> Result<(), Mistake> {
        if let Some(setting) = line.strip_prefix("config ") {
            return self.setting(setting);
        }
        let action = self.action(number, line)?;
        match (self.steps.last_mut().map(|step| &mut step.action), action) {
            (Some(Action::Send(before, bytes)), Action::Send(who, more)) if *before == who => {
                bytes.extend(more);
            }
            (Some(Action::Receive(before, bytes)), Action::Receive(who, more)) if *before == who => {
                bytes.extend(more);
            }
            (Some(Action::ReceiveAnyOrder(before, bytes)), Action::ReceiveAnyOrder(who, more))
                if *before == who =>
            {
                bytes.extend(more);
            }
            (_, action) => self.steps.push(Step { line: number, action }),
        }
        Ok(())
    }

    fn setting(&mut self, text: &str) -> Result<(), Mistake> {
        if !self.steps.is_empty() {
            return Err(Mistake::told("`config` before the first step", "it after one"));
        }
        let setting = Setting::parse(text)?;
        if self.config.iter().any(|before| before.key == setting.key) {
            return Err(Mistake::new("every key once", setting.key));
        }
        self.config.push(setting);
        Ok(())
    }

    fn action(&mut self, number: usize, line: &str) -> Result<Action, Mistake> {
        if let Some(time) = line.strip_prefix("+ ") {
            return Ok(Action::Pass(duration(time)?));
        }
        if line == "server stops" {
            return Ok(Action::Stop);
        }
        let begins = || {
            Mistake::new(
                "`case`, `config`, `+`, `server stops` or a connection's name, a capital letter",
                line,
            )
        };
        let mut letters = line.chars();
        let who = letters.next().filter(char::is_ascii_uppercase).map(Name).ok_or_else(begins)?;
        let rest = letters.as_str();
        let mut bytes = |bytes, direction| Pattern::parse(bytes, number, line, &mut self.lengths, direction);
        match rest.split_once(' ').unwrap_or((rest, "")) {
            (">", sent) => return Ok(Action::Send(who, bytes(sent, Direction::Sent)?)),
            ("<", received) => return Ok(Action::Receive(who, bytes(received, Direction::Received)?)),
            ("<*", received) => {
                return Ok(Action::ReceiveAnyOrder(who, bytes(received, Direction::Received)?));
            }
            _ => {}
        }
        let Some(step) = rest.strip_prefix(' ') else { return Err(begins()) };
        Ok(match step {
            "silent" => Action::Silent(who),
            "half-closes" => Action::HalfClose(who),
            "resets" => Action::Reset(who),
            "stops reading" => Action::StopReading(who),
            "reads" => Action::Read(who),
            "closed" => Action::Closed(who),
            "dropped" => Action::Dropped(who),
            "stays open" => Action::StayOpen(who),
            _ => Action::Open(who, address(step)?),
        })
    }
}

fn address(step: &str) -> Result<IpAddr, Mistake> {
    let address = step.strip_prefix("opens ").ok_or_else(|| Mistake::new(STEPS, step))?;
    address.parse().map_err(|_| Mistake::new("an IP address after `opens`", address))
}
