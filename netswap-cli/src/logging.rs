//! Logs, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::args::{LogFormat, Logging};
use crate::failure::{Exit, Failure};
use crate::log_writer::LogWriter;

/// Who logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// A server, which a reader of its log never blocks: lines may be dropped.
    Server,
    /// A command, whose lines are all written.
    Client,
}

/// Begins to log: what is at least as important as is usual for the program, or more by `-v`, or what a filter says.
///
/// # Errors
///
/// The filter is not valid, or the system has no thread for a server's log.
pub(crate) fn start(options: &Logging, program: Program) -> Result<(), Failure> {
    let usual = match program {
        Program::Server => LevelFilter::INFO,
        Program::Client => LevelFilter::WARN,
    };
    let level = match options.verbose {
        0 => usual,
        1 => usual.max(LevelFilter::DEBUG),
        _ => LevelFilter::TRACE,
    };
    let filter = match &options.log {
        Some(filter) => EnvFilter::try_new(filter)
            .map_err(|error| Failure::new(Exit::Usage, format_args!("--log {filter}: {error}")))?,
        None => EnvFilter::default().add_directive(level.into()),
    };
    let writer = match program {
        Program::Server => BoxMakeWriter::new(LogWriter::start().map_err(cannot_log)?),
        Program::Client => BoxMakeWriter::new(io::stderr),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(options.verbose > 0)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer)
        // Where nobody reads standard error any more, to complain there would be a panic.
        .log_internal_errors(false);
    match options.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}

fn cannot_log(error: io::Error) -> Failure {
    Failure::failed(format_args!("cannot start the log: {error}"))
}
