//! What the two sorts of files share: lines, cases, times, and errors that say where they are.

use std::fmt;
use std::time::Duration;

/// An error of a file: where it is, and what should stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {mistake}")]
pub struct FileError {
    /// The file, as it was named to the parser.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub mistake: Mistake,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl Mistake {
    /// A mistake in a text, which is shown as it stands.
    pub fn new(expected: impl Into<String>, found: impl AsRef<str>) -> Self {
        let found = found.as_ref();
        let found = if found.is_empty() { "nothing".into() } else { format!("`{found}`") };
        Self { expected: expected.into(), found }
    }

    /// A mistake that is not one of spelling; `found` is a sentence of its own.
    pub fn told(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }

    /// The mistake, at its place.
    #[must_use]
    pub fn at(self, file: &str, line: usize) -> FileError {
        FileError { file: file.into(), line, mistake: self }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

/// A case as it stands in its file: the lines from one `case` to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseText<'a> {
    /// The line of `case`.
    pub line: usize,
    /// The section of docs/PROTOCOL.md with a number: `3.12-02`.
    pub id: &'a str,
    /// What the case shows.
    pub title: &'a str,
    /// The lines of the case with their numbers, without empty ones and comments.
    pub lines: Vec<(usize, &'a str)>,
}

/// Splits a file into its cases. `sort` is what its first line says, with the version: `netswap-server-cases 1`.
///
/// # Errors
///
/// The first line is another one, a line stands before the first case, a case has no proper name, or there is none.
pub fn cases<'a>(file: &str, text: &'a str, sort: &str) -> Result<Vec<CaseText<'a>>, FileError> {
    let first = text.lines().next().unwrap_or_default();
    if first != sort {
        return Err(Mistake::new(format!("`{sort}`"), first).at(file, 1));
    }
    let section = section_of(file);
    let mut cases: Vec<CaseText<'_>> = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1).map(|(index, line)| (index + 1, line.trim_end())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("case ") {
            let (id, title) = case_name(name, section).map_err(|it| it.at(file, number))?;
            if cases.iter().any(|before| before.id == id) {
                return Err(Mistake::told("every ID once", format!("{id} again")).at(file, number));
            }
            cases.push(CaseText { line: number, id, title, lines: Vec::new() });
        } else if let Some(case) = cases.last_mut() {
            case.lines.push((number, line));
        } else {
            return Err(Mistake::new("`case ID TEXT` before anything else", line).at(file, number));
        }
    }
    if cases.is_empty() {
        let end = text.lines().count();
        return Err(Mistake::told("a `case ID TEXT`", "the end of the file").at(file, end));
    }
    Ok(cases)
}

/// The section that a file is about, by its name: `3.12` for `server/3.12-ping.txt`.
fn section_of(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.split('-').next().unwrap_or(name)
}

/// ID and title of a case.
fn case_name<'a>(name: &'a str, section: &str) -> Result<(&'a str, &'a str), Mistake> {
    let (id, title) = name.split_once(' ').unwrap_or((name, ""));
    let number = id.strip_prefix(section).and_then(|rest| rest.strip_prefix('-'));
    if !number.is_some_and(|number| number.len() == 2 && number.bytes().all(|it| it.is_ascii_digit())) {
        let expected = format!("an ID of this file's section, `{section}-` and two digits");
        return Err(Mistake::new(expected, id));
    }
    if title.trim().is_empty() {
        return Err(Mistake::new("a text that says what the case shows", title));
    }
    Ok((id, title.trim()))
}

/// Takes the explanation from a line of bytes.
#[must_use]
pub fn without_explanation(line: &str) -> &str {
    line.split_once(" | ").map_or(line, |(bytes, _)| bytes).trim_end()
}

/// Reads a time: `5 s` or `200 ms`.
///
/// # Errors
///
/// It is not one.
pub fn duration(text: &str) -> Result<Duration, Mistake> {
    let mistake = || Mistake::new("a time such as `5 s` or `200 ms`", text);
    let (number, unit) = text.split_once(' ').ok_or_else(mistake)?;
    let number = number.parse().map_err(|_| mistake())?;
    match unit {
        "s" => Ok(Duration::from_secs(number)),
        "ms" => Ok(Duration::from_millis(number)),
        _ => Err(mistake()),
    }
}

/// By how much times are divided, those of the configuration and those on the wire too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale(u32);

impl Scale {
    /// Times as they are written.
    pub const TRUE: Self = Self(1);

    /// Times divided by a number, which is 1 at least.
    #[must_use]
    pub fn divided_by(factor: u32) -> Self {
        Self(factor.max(1))
    }

    /// A time that passes or is configured.
    #[must_use]
    pub fn time(self, time: Duration) -> Duration {
        time / self.0
    }

    /// Whole seconds as they stand on the wire: rounded up.
    #[must_use]
    pub fn seconds(self, seconds: u32) -> u32 {
        seconds.div_ceil(self.0)
    }
}
