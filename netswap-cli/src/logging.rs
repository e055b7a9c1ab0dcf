//! Logs, on stderr.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{LogFormat, Logging};
use crate::failure::{Exit, Failure};

/// Begins to log: what is at least this important, or more by `-v`, or what a filter says.
pub(crate) fn start(options: &Logging, usual: LevelFilter) -> Result<(), Failure> {
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
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(options.verbose > 0)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // Where nobody reads standard error any more, to complain there would be a panic.
        .log_internal_errors(false);
    match options.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
