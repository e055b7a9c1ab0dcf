//! Runs the client commands: until they are done, or a signal comes.

use crate::args::Command;
use crate::failure::Failure;
use crate::hold::Held;
use crate::signals::Signals;
use crate::{about, lifetimes, ranges, records, transfers, watch};

/// Runs a client command.
///
/// # Errors
///
/// It failed, or a signal ended it.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format_args!("cannot start the runtime: {error}")))?;
    let ended = runtime.block_on(run_until_signal(command));
    // Not to wait for a thread that reads a terminal.
    runtime.shutdown_background();
    ended
}

async fn run_until_signal(command: Command) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let held = tokio::select! {
        held = execute(command) => held?,
        // Dropping the command calls back what is unfinished, and removes half a file.
        signal = signals.next() => {
            return Err(Failure::new(signal.exit(), format_args!("ended by {}", signal.name())));
        }
    };
    let Some(held) = held else { return Ok(()) };
    tokio::select! {
        lost = held.hold() => lost,
        _ = signals.next() => Ok(()),
    }
}

async fn execute(command: Command) -> Result<Option<Held>, Failure> {
    match command {
        Command::Put(args) => return transfers::put(args).await,
        Command::Reserve(args) => return lifetimes::reserve(args).await,
        Command::Takeover(args) => return records::takeover(args).await,
        Command::Get(args) => transfers::get(args).await?,
        Command::Replace(args) => transfers::replace(args).await?,
        Command::Read(args) => ranges::read(args).await?,
        Command::Write(args) => ranges::write(args).await?,
        Command::Append(args) => ranges::append(args).await?,
        Command::Add(args) => ranges::add(args).await?,
        Command::Watch(args) => watch::watch(args).await?,
        Command::Rm(args) => records::remove(args).await?,
        Command::Stat(args) => records::stat(args).await?,
        Command::Ls(args) => records::list(args).await?,
        Command::Chmod(args) => records::chmod(args).await?,
        Command::Transfer(args) => records::transfer(args).await?,
        Command::Lifetime(args) => lifetimes::lifetime(args).await?,
        Command::Request(args) => lifetimes::request(args).await?,
        Command::Whoami(args) => about::whoami(args).await?,
        Command::Ping(args) => about::ping(args).await?,
        // These are no clients: main has run them.
        Command::Serve(_) | Command::Completions(_) => {}
    }
    Ok(None)
}
