//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::contenders::Contender;

/// NetSwap beside Redis, memcached and the floor of the machine.
#[derive(Debug, Parser)]
#[command(
    name = "netswap-bench",
    version,
    after_help = "\
The main figure is the server's CPU time for an operation, relative to that of the floor: a server that moves the same \
bytes and does nothing else. A noisy machine moves it little. Every reply is compared, byte for byte, with what it \
must be.

Examples:
  netswap-bench run                                         everything; `cargo xtask bench` does that and more
  netswap-bench run --case 64B --only floor,tokio,redis     some cases, some contenders
  netswap-bench run --case patch --rounds 1 --seconds 0.5   one look
  netswap-bench smoke                                       whether everything works; its figures mean nothing"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, and print tables to stdout. Progress goes to stderr.
    Run(Run),
    /// Run the smallest form of every case against every contender that is installed, and fail where a reply is wrong or
    /// a figure is missing. Needs no quiet machine.
    Smoke(Common),
    /// List cases and contenders.
    List(Common),
    /// Be the floor: answer so many bytes with so many, until killed.
    Floor(Floor),
}

/// What to measure, and where.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Only cases whose names contain one of these.
    #[arg(long = "case", value_name = "WORDS", value_delimiter = ',')]
    pub(crate) cases: Vec<String>,
    /// Only these contenders. Without the floor there are no ratios.
    #[arg(long, value_name = "CONTENDERS", value_delimiter = ',')]
    pub(crate) only: Vec<Contender>,
    /// The program `netswap` [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub(crate) netswap: Option<PathBuf>,
    /// The cores of servers: a server with one thread gets the first [default: the second half].
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(crate) server_cores: Vec<usize>,
    /// The cores of loads, one each [default: the first half].
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    pub(crate) load_cores: Vec<usize>,
    /// Measure servers with up to so many threads, powers of two [default: as many as servers have cores].
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}

/// How to measure, and what to write.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// What to measure, and where.
    #[command(flatten)]
    pub(crate) common: Common,
    /// How often all contenders have their turn in each case; medians are told.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// How long each turn counts, after a fifth of that.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Write all rounds to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the tables as a document too.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// A text to be put at the end of that document.
    #[arg(long, value_name = "FILE", requires = "markdown")]
    pub(crate) append: Option<PathBuf>,
}

/// What the floor moves.
#[derive(Args, Debug)]
pub(crate) struct Floor {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Bytes of a request.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) request: u32,
    /// Bytes of a reply.
    #[arg(long, value_name = "BYTES")]
    pub(crate) reply: u32,
    /// Bytes that all other connections are sent for each request.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub(crate) told: u32,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let valid = Duration::try_from_secs_f64(seconds).ok();
    valid.filter(|length| !length.is_zero()).ok_or_else(|| "not a time to measure for".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_time_is_a_number_of_seconds_above_zero() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "2s", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
