//! Counts the instructions of netswap-core's hot paths, and holds them against bounds that are committed.
//!
//! A noisy machine does not change a count, so that 5 % more are a regression and not the weather. It needs valgrind.
#![forbid(unsafe_code)]

mod bounds;
mod count;
mod longest;
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
use crate::longest::What;

/// The longest name of a bound.
const WIDTH: usize = 44;

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
    /// Play one case of a long call: what is counted.
    #[command(hide = true)]
    Play {
        /// Its name.
        case: String,
        /// How many records, watches or chunks there are [default: what the bound is for]
        size: Option<u64>,
    },
}

fn main() -> Result<()> {
    match Cli::parse().command {
        Task::Go { path, count } => {
            let path = paths::ALL.into_iter().find(|it| it.name == path).context("there is no such path")?;
            (path.go)(count)
        }
        Task::Play { case, size } => {
            let case =
                longest::ALL.into_iter().find(|it| it.name == case).context("there is no such case")?;
            longest::play(&case, size.unwrap_or(case.size))
        }
        Task::Check { bounds } => check(&bounds),
        Task::Write { bounds } => write(&bounds),
    }
}

/// What is counted at a time: the names of its bounds, and how it is counted.
struct Counted {
    names: Vec<String>,
    count: Box<dyn Fn() -> Result<Vec<u64>>>,
}

impl Counted {
    fn all() -> impl Iterator<Item = Self> {
        let paths = paths::ALL.into_iter().map(|path| Self {
            names: vec![path.name.to_owned()],
            count: Box::new(move || Ok(vec![count::instructions(&path)?])),
        });
        let longest = longest::ALL.into_iter().map(|case| Self {
            names: What::ALL.map(|what| format!("longest-{}-{}", what.name(), case.name)).into(),
            count: Box::new(move || count::longest(&case)),
        });
        paths.chain(longest)
    }

    /// Each name with its count.
    fn counts(&self) -> Result<Vec<(&str, u64)>> {
        Ok(self.names.iter().map(String::as_str).zip((self.count)()?).collect())
    }
}

fn write(file: &PathBuf) -> Result<()> {
    let mut instructions = BTreeMap::new();
    for counted in Counted::all() {
        for (name, count) in counted.counts()? {
            println!("{name:<WIDTH$} {count:>10}");
            instructions.insert(name.to_owned(), count);
        }
    }
    let bounds = Bounds { tools: tools()?, instructions };
    fs::write(file, bounds.text()).with_context(|| format!("cannot write {}", file.display()))
}

fn check(file: &PathBuf) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bounds = Bounds::parse(&text)?;
    let known = |bound: &String| Counted::all().any(|counted| counted.names.contains(bound));
    ensure!(bounds.instructions.keys().all(known), "there are bounds of paths that do not exist");
    let percent = tolerance(&bounds.tools, &tools()?);
    let mut exceeded = Vec::new();
    let mut lower = false;
    for counted in Counted::all() {
        for (name, count) in counted.counts()? {
            let bound = *bounds.instructions.get(name).with_context(|| format!("{name} has no bound"))?;
            let change = 100.0 * (count as f64 / bound as f64 - 1.0);
            let verdict = Verdict::of(count, bound, percent);
            let remark = match verdict {
                Verdict::Kept => "",
                Verdict::Lower => "  lower the bound",
                Verdict::Exceeded => "  TOO MANY",
            };
            println!("{name:<WIDTH$} {count:>10} of {bound:>10} {change:>+7.2} %{remark}");
            lower |= verdict == Verdict::Lower;
            if verdict == Verdict::Exceeded {
                exceeded.push(name.to_owned());
            }
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
