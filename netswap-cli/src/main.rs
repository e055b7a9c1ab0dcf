//! The netswap program: a NetSwap server and its command-line client.
#![forbid(unsafe_code)]

mod about;
mod args;
mod client;
mod descriptors;
mod failure;
mod hold;
mod lifetimes;
mod log_writer;
mod logging;
mod new_file;
mod old_file;
mod output;
mod progress;
mod ranges;
mod records;
mod resident;
mod runtimes;
mod serve;
mod session;
mod signals;
mod sink;
mod source;
mod target;
mod transfers;
mod values;
mod waiting;
mod watch;

use std::io::{self, Write};
use std::process::exit;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use mimalloc::MiMalloc;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::logging::Program;

/// The system's own gives large blocks back as soon as they are free and fetches them again with the next write, and adds
/// 16 bytes to each small one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How long the last log lines of a server may take.
const LAST_LINES: Duration = Duration::from_millis(200);

/// Exits with one of the codes that [`failure::Exit`] names; clap itself does with 2.
fn main() {
    let cli = Cli::parse();
    let ended = run(cli);
    log_writer::flush_within(LAST_LINES);
    let code = match ended {
        Ok(()) => 0,
        Err(failure) => {
            failure.report();
            failure.exit.code()
        }
    };
    // At once: a thread that still waits for a terminal or a pipe must not hold the program up.
    exit(code.into());
}

fn run(cli: Cli) -> Result<(), Failure> {
    let program = if matches!(cli.command, Command::Serve(_)) { Program::Server } else { Program::Client };
    logging::start(&cli.logging, program)?;
    match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "netswap", &mut script);
            io::stdout().write_all(&script).or_else(output::stdout_failed)
        }
        command => client::run(command),
    }
}
