//! Counts the instructions of netswap-core's hot paths, and holds them against bounds that are committed.
//!
//! A noisy machine does not change a count, so that 5 % more are a regression and not the weather. It needs valgrind.
#![forbid(unsafe_code)]

mod bounds;
mod count;
mod parts;
mod paths;
mod whole;
mod wire;
mod worst;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

use crate::bounds::{Bounds, LENIENT, STRICT, Tools, Verdict};

/// Counts the instructions of netswap-core's hot paths, and holds them against bounds.
#[derive(Debug, Parser)]
#[command(name = "netswap-gate")]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Task {
    /// Count, and fail where a path takes more than 5 % above its bound.
    Check {
        /// The file of bounds.
        bounds: PathBuf,
    },
    /// Count, and write the bounds.
    Write {
        /// The file of bounds.
        bounds: PathBuf,
    },
    /// Go one path: what is counted.
    #[command(hide = true)]
    Go {
        /// Its name.
        path: String,
        /// How often.
        count: u64,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Task::Go { path, count } => {
            let path = paths::ALL.into_iter().find(|it| it.name == path).context("there is no such path")?;
            (path.go)(count)
        }
        Task::Check { bounds } => check(&bounds),
        Task::Write { bounds } => write(&bounds),
    }
}

fn write(file: &PathBuf) -> Result<()> {
    let mut instructions = BTreeMap::new();
    for path in paths::ALL {
        let count = count::instructions(&path)?;
        println!("{:<26} {count:>10}", path.name);
        instructions.insert(path.name.to_owned(), count);
    }
    let bounds = Bounds { tools: tools()?, instructions };
    fs::write(file, bounds.text()).with_context(|| format!("cannot write {}", file.display()))
}

fn check(file: &PathBuf) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bounds = Bounds::parse(&text)?;
    let known = bounds.instructions.keys().all(|name| paths::ALL.iter().any(|path| path.name == name));
    ensure!(known, "there are bounds of paths that do not exist");
    let percent = tolerance(&bounds.tools, &tools()?);
    let mut exceeded = Vec::new();
    let mut lower = false;
    for path in paths::ALL {
        let bound =
            *bounds.instructions.get(path.name).with_context(|| format!("{} has no bound", path.name))?;
        let count = count::instructions(&path)?;
        let change = 100.0 * (count as f64 / bound as f64 - 1.0);
        let verdict = Verdict::of(count, bound, percent);
        let remark = match verdict {
            Verdict::Kept => "",
            Verdict::Lower => "  lower the bound",
            Verdict::Exceeded => "  TOO MANY",
        };
        println!("{:<26} {count:>10} of {bound:>10} {change:>+7.2} %{remark}", path.name);
        lower |= verdict == Verdict::Lower;
        if verdict == Verdict::Exceeded {
            exceeded.push(path.name);
        }
    }
    if lower {
        println!("some paths have become shorter: keep it so with `cargo xtask gate --write`");
    }
    if !exceeded.is_empty() {
        bail!(
            "more than {percent} % above the bound: {}. See why with valgrind --tool=callgrind and callgrind_annotate; \
             where it must be, `cargo xtask gate --write` writes new bounds",
            exceeded.join(", ")
        );
    }
    Ok(())
}

/// How many percent a count may miss its bound by.
fn tolerance(then: &Tools, now: &Tools) -> u64 {
    if then == now {
        return STRICT;
    }
    for (key, value) in now {
        let before = then.get(key).map_or("unknown", String::as_str);
        if before != value {
            println!("WARNING: the bounds were written with {key} {before}, and this is {value}");
        }
    }
    println!(
        "WARNING: so only what is more than {LENIENT} % above its bound fails, and not {STRICT} %. `cargo xtask gate \
         --write` on the code before your change, then the check on yours, compares strictly"
    );
    LENIENT
}

/// What counts depend on.
fn tools() -> Result<Tools> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let commands = [
        ("rustc", &[&rustc, "-V"][..]),
        ("libc", &["getconf", "GNU_LIBC_VERSION"]),
        ("valgrind", &["valgrind", "--version"]),
    ];
    let mut tools = Tools::from([("architecture".to_owned(), env::consts::ARCH.to_owned())]);
    for (name, command) in commands {
        let output = Command::new(command[0]).args(&command[1..]).output();
        let output = output.with_context(|| format!("cannot run {}", command[0]))?;
        ensure!(output.status.success(), "{} does not tell its version", command[0]);
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        tools.insert(name.to_owned(), version);
    }
    Ok(tools)
}
