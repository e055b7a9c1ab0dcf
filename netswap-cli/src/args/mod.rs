//! The command line.

mod clients;
mod ranges;
mod serve;
mod watches;

use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use clients::{Chmod, Get, List, Ping, Put, Remove, Replace, Stat, Takeover, Transfer, WhoAmI};
pub(crate) use ranges::{Add, Append, Read, Write};
pub(crate) use serve::{LimitArgs, Runtime, Serve};
pub(crate) use watches::{Lifetime, Request, Reserve, Watch};

use crate::target::Address;
use crate::values;

const EXIT_CODES: &str = "\
Exit codes:
  0    done; for serve: stopped in order by SIGTERM or SIGINT
  1    refused by the server (the reply's name and a sentence are printed), or a file or something else failed here
  2    the command line is not valid
  3    no connection: the server cannot be reached, was lost, or does not answer in time;
       where a request may have taken effect nevertheless, the message says so
  130  ended by SIGINT (Ctrl-C); 143 by SIGTERM. What was not sent to its end takes no effect

Pointers:
  Everywhere a POINTER is 16 hex digits, or a URL that names the server too: netswap://HOST:PORT/POINTER

Examples:
  netswap serve                                  a server for this machine, until Ctrl-C
  netswap put level.map --access r               stores a file, prints its pointer
  netswap get 00c0ffee00c0ffee -o level.map      fetches it, from anywhere that reaches the server

`netswap COMMAND --help` has more examples.";

/// Out-of-band memory for multiplayer games and servers: records in a server's memory, passed on by 64-bit pointer.
#[derive(Debug, Parser)]
#[command(name = "netswap", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Logs.
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server.
    Serve(Box<Serve>),
    /// Store data in a new record and print its pointer.
    Put(Put),
    /// Fetch a record's data.
    Get(Get),
    /// Put new data in the place of a record's.
    Replace(Replace),
    /// Fetch a part of a record.
    Read(Read),
    /// Write over a part of a record, or beyond its end.
    Write(Write),
    /// Add data at the end of a record.
    Append(Append),
    /// Add to a number in a record, and print it.
    Add(Add),
    /// Print a record's changes as they come.
    Watch(Watch),
    /// Make a record that gets its data later, and print its pointer.
    Reserve(Reserve),
    /// Delete records.
    Rm(Remove),
    /// Tell a record's length, version, owner, rights and time left.
    Stat(Stat),
    /// List the records that this address owns.
    Ls(List),
    /// Change what others may do with a record.
    Chmod(Chmod),
    /// Become the owner of a record.
    Takeover(Takeover),
    /// Give a record to another owner.
    Transfer(Transfer),
    /// Set how long a record lives, and whose it becomes then.
    Lifetime(Lifetime),
    /// Ask the owner of a record for it.
    Request(Request),
    /// Print the identity that the server sees: the owner hash of this address.
    Whoami(WhoAmI),
    /// Measure round-trip times.
    Ping(Ping),
    /// Print a script that completes commands and flags in a shell.
    Completions(Completions),
}

/// How logs look, and how much of them.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub(crate) struct Logging {
    /// Log more on stderr; twice: even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What to log, as a tracing filter, for example netswap_tokio=trace.
    #[arg(long, global = true, env = "NETSWAP_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look.
    #[arg(long, global = true, env = "NETSWAP_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// How to reach the server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// The server. A URL in the place of a pointer names its own.
    #[arg(long, env = "NETSWAP_SERVER", value_name = "HOST:PORT", default_value = "127.0.0.1:7420")]
    pub(crate) server: Address,
    /// The local address to connect from. It is the identity: records belong to addresses.
    #[arg(long, env = "NETSWAP_BIND", value_name = "ADDRESS")]
    pub(crate) bind: Option<IpAddr>,
    /// How long to wait for the server: to connect, and for each sign of progress of a request.
    #[arg(long, env = "NETSWAP_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = values::timeout)]
    pub(crate) timeout: Duration,
}

/// What `completions` takes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  netswap completions bash > ~/.local/share/bash-completion/completions/netswap
  netswap completions zsh > \"${fpath[1]}/_netswap\"
  netswap completions fish > ~/.config/fish/completions/netswap.fish")]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("  netswap {}", command.get_name());
            assert!(help.contains("Examples:\n") && help.contains(&example), "{}", command.get_name());
        }
    }
}
