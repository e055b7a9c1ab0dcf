//! Who is measured, and how each is started: with one thread, without writing to disk.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::speak::Speak;
use crate::speak::floor::{Floor, Sizes};
use crate::speak::memcached::Memcached;
use crate::speak::netswap::NetSwap;
use crate::speak::resp::Resp;

/// A server that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Contender {
    /// A server that moves the bytes and does nothing else.
    Floor,
    /// `netswap serve --runtime tokio`.
    Tokio,
    /// `netswap serve --runtime smol`.
    Smol,
    /// `netswap serve --runtime blocking`: a thread for each connection.
    Blocking,
    /// Redis, which keeps nothing on disk.
    Redis,
    /// memcached, spoken to in its meta protocol.
    Memcached,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// This program.
    pub(crate) own: PathBuf,
    /// NetSwap's.
    pub(crate) netswap: PathBuf,
}

/// What a case needs of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// The bytes that the floor is to move.
    pub(crate) sizes: Sizes,
    /// Threads that do the work.
    pub(crate) threads: usize,
    /// Bytes of the largest record.
    pub(crate) largest: usize,
}

/// Connections that are enough for all cases.
const CONNECTIONS: &str = "20000";
/// MiB of memory that are enough for all cases, for memcached.
const MEMORY: &str = "2048";

impl Contender {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 6] =
        [Self::Floor, Self::Tokio, Self::Smol, Self::Blocking, Self::Redis, Self::Memcached];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::Blocking => "blocking",
            Self::Redis => "Redis",
            Self::Memcached => "memcached",
        }
    }

    /// Its protocol.
    pub(crate) fn speaks(self) -> &'static dyn Speak {
        match self {
            Self::Floor => &Floor,
            Self::Tokio | Self::Smol | Self::Blocking => &NetSwap,
            Self::Redis => &Resp,
            Self::Memcached => &Memcached,
        }
    }

    /// Whether the number of its threads can be chosen.
    pub(crate) fn has_threads(self) -> bool {
        matches!(self, Self::Tokio | Self::Smol | Self::Redis | Self::Memcached)
    }

    /// How it is started.
    pub(crate) fn command(self, programs: &Programs, port: u16, needs: Needs) -> Command {
        let mut command = Command::new(self.program(programs));
        let address = format!("127.0.0.1:{port}");
        let (port, threads) = (port.to_string(), needs.threads.to_string());
        match self {
            Self::Floor => {
                let Sizes { request, reply, told } = needs.sizes;
                command.args(["floor", "--listen", &address, "--request", &request.to_string()]);
                command.args(["--reply", &reply.to_string(), "--told", &told.to_string()]);
            }
            Self::Tokio | Self::Smol => {
                let runtime = self.name();
                command.args(["serve", "--runtime", runtime, "--threads", &threads, "--listen", &address]);
                command.args(["--max-connections", CONNECTIONS, "--log", "warn"]);
            }
            Self::Blocking => {
                command.args(["serve", "--runtime", "blocking", "--listen", &address]);
                command.args(["--max-connections", CONNECTIONS, "--log", "warn"]);
            }
            Self::Redis => {
                command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
                command.args([
                    "--maxclients",
                    CONNECTIONS,
                    "--io-threads",
                    &threads,
                    "--tcp-backlog",
                    "1024",
                ]);
                command.args(["--daemonize", "no", "--protected-mode", "no", "--loglevel", "warning"]);
            }
            Self::Memcached => {
                command.args(["-l", "127.0.0.1", "-p", &port, "-U", "0", "-t", &threads, "-u", "root"]);
                command.args(["-c", CONNECTIONS, "-m", MEMORY, "-b", "1024"]);
                // 1 MiB is its limit, all included, unless it is told otherwise.
                if needs.largest > 512 * 1024 {
                    command.args(["-I", &format!("{}m", needs.largest.div_ceil(1 << 20) + 1)]);
                }
            }
        }
        command
    }

    /// Its version, in one line; an error where it is not installed.
    pub(crate) fn version(self, programs: &Programs) -> Result<String> {
        let program = self.program(programs);
        let output = Command::new(&program).arg("--version").output();
        let output = output.with_context(|| format!("cannot run {}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        match text.lines().next() {
            Some(line) if output.status.success() => Ok(match self {
                // Its line has a hash of the build, too.
                Self::Redis => line.split(" sha=").next().unwrap_or(line).to_owned(),
                _ => line.to_owned(),
            }),
            _ => bail!("{} does not tell its version", program.display()),
        }
    }

    fn program(self, programs: &Programs) -> PathBuf {
        match self {
            Self::Floor => programs.own.clone(),
            Self::Tokio | Self::Smol | Self::Blocking => programs.netswap.clone(),
            Self::Redis => "redis-server".into(),
            Self::Memcached => "memcached".into(),
        }
    }
}
