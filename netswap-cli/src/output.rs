//! What the program prints.
//!
//! Results go to stdout, all else to stderr. That nobody reads them any more (`netswap ls | head -1`) is no error.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use bytesize::ByteSize;

use crate::failure::{Exit, Failure};

/// Prints a line of the result, at once.
pub(crate) fn line(text: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).or_else(stdout_failed)
}

/// Prints lines of the result.
pub(crate) fn lines<T: fmt::Display>(texts: &[T]) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = texts.iter().try_for_each(|text| writeln!(stdout, "{text}"));
    written.and_then(|()| stdout.flush()).or_else(stdout_failed)
}

/// Prints a result as JSON, readable by people too.
pub(crate) fn json(value: &serde_json::Value) -> Result<(), Failure> {
    line(format_args!("{value:#}"))
}

/// Prints names and values in two columns.
pub(crate) fn table(rows: &[(&str, String)]) -> Result<(), Failure> {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().try_for_each(|(name, value)| line(format_args!("{name:width$}  {value}")))
}

/// What writing to stdout ended with.
///
/// # Errors
///
/// Everything but a reader that went away: then there is nothing more to do, and nothing to say.
pub(crate) fn stdout_failed(error: io::Error) -> Result<(), Failure> {
    Err(match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::silent(Exit::Done),
        _ => Failure::failed(format_args!("cannot write to stdout: {error}")),
    })
}

/// Tells people something that is no result. Scripts do not see it.
pub(crate) fn note(text: impl fmt::Display) {
    if io::stderr().is_terminal() {
        complain("note", text);
    }
}

/// Prints to stderr what is wrong.
pub(crate) fn complain(kind: &str, text: impl fmt::Display) {
    // Where stderr is closed nobody can be told that it is.
    let _ = writeln!(io::stderr().lock(), "{kind}: {text}");
}

/// A size for people: exact bytes, and in units where they say more.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        0..1024 => format!("{count} bytes"),
        _ => format!("{count} bytes ({})", ByteSize::b(count).display().iec()),
    }
}
