//! Reads files of client cases.

use super::case::{Action, CONNECT, Case, Message, SORT, Server, Setting, Step};
use super::rules::Rules;
use super::words;
use crate::pattern::{Direction, Lengths, Pattern};
use crate::text::{self, CaseText, FileError, Mistake, duration, without_explanation};

/// What can follow `S `.
const OF_SERVER: &str = "`accepts`, `closes`, `half-closes`, `resets`, `refuses`, `listens`, `closed`, `dropped`, \
                         `silent`, `skips $NAME BYTE` or `takes $NAME BYTE` after `S`";

/// What can follow the number of a call.
const OF_CALL: &str = "`returns`, `fails`, `tells`, `ends`, `waits` or `reaches` after the number of a call";

/// Reads a file of client cases; `file` is its name for errors, and tells the section.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn parse(file: &str, text: &str) -> Result<Vec<Case>, FileError> {
    text::cases(file, text, SORT)?.iter().map(|it| case(file, it)).collect()
}

fn case(file: &str, text: &CaseText<'_>) -> Result<Case, FileError> {
    let mut reader = Reader::new();
    for (number, line) in &text.lines {
        reader.line(*number, line).map_err(|mistake| mistake.at(file, *number))?;
    }
    let mut rules = Rules::new(reader.server);
    for step in &reader.steps {
        rules.step(&step.action).map_err(|mistake| mistake.at(file, step.line))?;
    }
    rules.end().map_err(|mistake| mistake.at(file, text.line))?;
    Ok(Case {
        file: file.into(),
        line: text.line,
        id: text.id.into(),
        title: text.title.into(),
        server: reader.server,
        options: reader.options,
        steps: reader.steps,
    })
}

struct Reader {
    server: Server,
    options: Vec<(String, Setting)>,
    steps: Vec<Step>,
    /// The names that have been bound.
    lengths: Lengths,
}

impl Reader {
    fn new() -> Self {
        let server = Server::Scripted { greeting: false };
        Self { server, options: Vec::new(), steps: Vec::new(), lengths: Lengths::new() }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Mistake> {
        let setting = match line {
            "server real" => {
                self.server = Server::Real;
                true
            }
            "option greeting scripted" => {
                self.server = Server::Scripted { greeting: true };
                true
            }
            _ => match line.strip_prefix("option ") {
                Some(option) => {
                    let (key, value) = words::option(option)?;
                    if self.options.iter().any(|(before, _)| *before == key) {
                        return Err(Mistake::new("every option once", key));
                    }
                    self.options.push((key, value));
                    true
                }
                None => false,
            },
        };
        if setting {
            let late = || Mistake::told("`option` and `server` before the first step", "one after it");
            return if self.steps.is_empty() { Ok(()) } else { Err(late()) };
        }
        let action = self.action(number, line)?;
        match (self.steps.last_mut().map(|step| &mut step.action), action) {
            (Some(Action::Send(bytes)), Action::Send(more)) => bytes.extend(more),
            (Some(Action::Receive(bytes)), Action::Receive(more)) => bytes.extend(more),
            (Some(Action::ReceiveAnyOrder(packets)), Action::ReceiveAnyOrder(more)) => packets.extend(more),
            (_, action) => self.steps.push(Step { line: number, text: line.into(), action }),
        }
        Ok(())
    }

    fn action(&mut self, number: usize, line: &str) -> Result<Action, Mistake> {
        let plain = without_explanation(line);
        let (word, rest) = plain.split_once(' ').unwrap_or((plain, ""));
        match word {
            "connects" if rest.is_empty() => Ok(Action::Connect),
            "call" => Ok(Action::Call(words::call(rest)?)),
            "cancel" => Ok(Action::Cancel(call_number(rest)?)),
            "+" => Ok(Action::Pass(duration(rest)?)),
            "driver" => grows(plain),
            "S" => of_server(rest),
            "S<" => self.bytes(number, line, rest, Direction::Received).map(Action::Receive),
            "S>" => self.bytes(number, line, rest, Direction::Sent).map(Action::Send),
            "S<*" => {
                let packet = self.bytes(number, line, rest, Direction::Received)?;
                Ok(Action::ReceiveAnyOrder(vec![packet]))
            }
            "S<<" => self.message(number, line, rest, Direction::Received).map(Action::ReceiveMessage),
            "S>>" => self.message(number, line, rest, Direction::Sent).map(Action::SendMessage),
            _ if word.bytes().all(|it| it.is_ascii_digit()) => of_call(plain),
            _ => Err(Mistake::new(
                "`case`, `option`, `server real`, `connects`, `call`, `cancel`, `+`, `driver grows`, `S` with `<`, `>`, \
                 `<*`, `<<`, `>>` or nothing, or the number of a call",
                line,
            )),
        }
    }

    fn bytes(
        &mut self,
        number: usize,
        line: &str,
        bytes: &str,
        direction: Direction,
    ) -> Result<Pattern, Mistake> {
        Pattern::parse(bytes, number, line, &mut self.lengths, direction)
    }

    fn message(
        &mut self,
        number: usize,
        line: &str,
        bytes: &str,
        direction: Direction,
    ) -> Result<Message, Mistake> {
        let words: Vec<_> = without_explanation(bytes).split_whitespace().collect();
        let xid = if bytes.starts_with('$') { 1 } else { 4 };
        let (head, payload) = words.split_at_checked(xid + 2).unwrap_or((&words, &[]));
        let head = self.bytes(number, line, &head.join(" "), direction)?;
        if head.len() != 6 {
            return Err(Mistake::new("an XID, the OPCODE and the ACCESS byte before the payload", bytes));
        }
        let payload = match payload {
            [] => Pattern::default(),
            words => self.bytes(number, line, &words.join(" "), direction)?,
        };
        Ok(Message { head, payload })
    }
}

/// Reads what the server does, or sees.
fn of_server(text: &str) -> Result<Action, Mistake> {
    Ok(match text {
        "accepts" => Action::Accept,
        "closes" => Action::Close,
        "half-closes" => Action::HalfClose,
        "resets" => Action::Reset,
        "refuses" => Action::Refuse,
        "listens" => Action::Listen,
        "closed" => Action::Closed,
        "dropped" => Action::Dropped,
        "silent" => Action::Silent,
        _ => {
            let words: Vec<_> = text.split_whitespace().collect();
            let (verb, name, byte) = match words[..] {
                [verb @ ("skips" | "takes"), name, byte] => (verb, name, byte),
                _ => return Err(Mistake::new(OF_SERVER, text)),
            };
            let name = name.strip_prefix('$').ok_or_else(|| Mistake::new("the name of an XID", name))?;
            let byte = u8::from_str_radix(byte, 16).map_err(|_| Mistake::new("two hex digits", byte))?;
            Action::Continue { name: name.into(), byte, to_the_end: verb == "takes" }
        }
    })
}

/// Reads how a call goes on.
fn of_call(line: &str) -> Result<Action, Mistake> {
    let answer = words::values(line)?;
    match &*answer.verb {
        "returns" | "fails" | "tells" => Ok(Action::Answer(answer)),
        "ends" if answer.values.is_empty() => Ok(Action::Answer(answer)),
        "waits" if answer.values.is_empty() => Ok(Action::Waits(answer.number)),
        "reaches" => reaches(&answer),
        _ => Err(Mistake::new(OF_CALL, line)),
    }
}

fn reaches(answer: &super::line::Line) -> Result<Action, Mistake> {
    let number = |key: &str| answer.value(key).and_then(|value| value.parse().ok());
    let expected = || Mistake::new("`reaches version=NUMBER data=BYTES within=NUMBER`", answer.to_string());
    Ok(Action::Reaches {
        number: answer.number,
        version: number("version").ok_or_else(expected)?,
        data: answer.value("data").map(words::data).transpose()?,
        within: number("within").and_then(|it| usize::try_from(it).ok()).ok_or_else(expected)?,
    })
}

/// Reads how far memory may grow.
fn grows(line: &str) -> Result<Action, Mistake> {
    let mib = line.strip_prefix("driver grows ").and_then(|rest| rest.strip_suffix(" MiB"));
    let mib: Option<u64> = mib.and_then(|number| number.parse().ok());
    mib.map(|mib| Action::Grows(mib << 20)).ok_or_else(|| Mistake::new("`driver grows NUMBER MiB`", line))
}

fn call_number(text: &str) -> Result<u32, Mistake> {
    text.parse().ok().filter(|it| *it != CONNECT).ok_or_else(|| Mistake::new("the number of a call", text))
}
