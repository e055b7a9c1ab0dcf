//! NetSwap beside Redis, memcached and the floor of the machine: one load generator for all.
//!
//! `netswap-bench --help` tells what it does; bench/README.md how, and why so.
#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("netswap-bench measures by means of Linux: epoll, CPU clocks of processes, /proc");

mod args;
mod cases;
mod contenders;
mod cpu;
mod figures;
mod floor;
mod load;
mod machine;
mod measure;
mod patches;
mod pattern;
mod report;
mod run;
mod server;
mod smoke;
mod span;
mod speak;

use std::env::{self, consts::EXE_SUFFIX};
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::args::{Cli, Command, Common, Run};
use crate::cases::{Case, Scale};
use crate::contenders::{Contender, Programs};
use crate::measure::{Bench, Cores};
use crate::report::About;
use crate::speak::floor::Sizes;

fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Floor(args) => {
            let (request, reply, told) = (args.request as usize, args.reply as usize, args.told as usize);
            floor::serve(args.listen, Sizes { request, reply, told })
        }
        Command::List(common) => list(&common),
        Command::Smoke(common) => smoke(&common),
        Command::Run(args) => run(&args),
    }
}

fn list(common: &Common) -> Result<()> {
    let (cases, _) = cases(common)?;
    cases.iter().for_each(|case| println!("{:<18} {}", case.name, case.title));
    let programs = programs(common)?;
    for contender in Contender::ALL {
        let version = contender.version(&programs).unwrap_or_else(|error| format!("{error:#}"));
        println!("{:<18} {version}", contender.name().to_lowercase());
    }
    Ok(())
}

fn smoke(common: &Common) -> Result<()> {
    let (cases, cores) = cases(common)?;
    let bench = Bench { programs: programs(common)?, cores, scale: Scale::smoke() };
    let contenders = contenders(common, &bench.programs)?;
    allow_descriptors(bench.scale.idle as u64)?;
    let outcomes = run::all(&bench, cases, &contenders, 1)?;
    smoke::check(&outcomes, &contenders)?;
    let count: usize = outcomes.iter().map(|outcome| outcome.rounds.len()).sum();
    println!("{count} measurements work: {} cases, {} contenders", outcomes.len(), contenders.len());
    Ok(())
}

fn run(args: &Run) -> Result<()> {
    let (cases, cores) = cases(&args.common)?;
    let bench = Bench { programs: programs(&args.common)?, cores, scale: Scale::full(args.seconds) };
    let contenders = contenders(&args.common, &bench.programs)?;
    allow_descriptors(bench.scale.idle as u64)?;
    let about = about(args, &bench, &contenders)?;
    let by_hand = args.append.as_ref().map(fs::read_to_string).transpose();
    let by_hand = by_hand.context("cannot read the text to be appended")?.unwrap_or_default();
    let outcomes = run::all(&bench, cases, &contenders, args.rounds.into())?;
    print!("{}", report::text::terminal(&about, &outcomes));
    if let Some(file) = &args.json {
        let json = format!("{:#}\n", report::json::document(&about, &outcomes));
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if let Some(file) = &args.markdown {
        let document = report::text::document(&about, &outcomes, &by_hand);
        fs::write(file, document).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The cases that are asked for, and who runs where in them.
fn cases(common: &Common) -> Result<(Vec<Case>, Cores)> {
    let all = cpu::cores()?;
    // On a machine of one core they share it.
    let (first, second) = all.split_at(all.len() / 2);
    let or = |given: &[usize], default: &[usize]| if given.is_empty() { default } else { given }.to_vec();
    let load = if first.is_empty() { second } else { first };
    let cores = Cores { server: or(&common.server_cores, second), load: or(&common.load_cores, load) };
    let threads = common.threads.unwrap_or(cores.server.len().min(cores.load.len()));
    let mut cases = cases::all(threads);
    cases.retain(|case| common.cases.is_empty() || common.cases.iter().any(|word| case.name.contains(word)));
    ensure!(
        !cases.is_empty(),
        "no case has {} in its name: see `netswap-bench list`",
        common.cases.join(" or ")
    );
    Ok((cases, cores))
}

fn programs(common: &Common) -> Result<Programs> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let beside = || own.with_file_name(format!("netswap{EXE_SUFFIX}"));
    let netswap = common.netswap.clone().unwrap_or_else(beside);
    Ok(Programs { own, netswap })
}

/// The contenders that are asked for. Those that are not installed are left out, unless they were named.
fn contenders(common: &Common, programs: &Programs) -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    for contender in Contender::ALL {
        let named = common.only.contains(&contender);
        if !named && !common.only.is_empty() {
            continue;
        }
        match contender.version(programs) {
            Ok(_) => contenders.push(contender),
            Err(error) if !named && matches!(contender, Contender::Redis | Contender::Memcached) => {
                eprintln!("without {}: {error:#}", contender.name());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(contenders)
}

/// Has this program and the servers that it starts have so many connections, and some files.
fn allow_descriptors(connections: u64) -> Result<()> {
    let needed = connections + 500;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < needed {
        bail!("{needed} descriptors are needed, and the system allows {hard}: see `ulimit -Hn`");
    }
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(1 << 20)), hard)
        .context("cannot raise the limit of descriptors")
}

fn about(args: &Run, bench: &Bench, contenders: &[Contender]) -> Result<About> {
    let mut facts: Vec<(String, String)> =
        machine::facts().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let cores = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    facts.push(("cores of servers".into(), cores(&bench.cores.server)));
    facts.push(("cores of loads".into(), cores(&bench.cores.load)));
    facts.push(("rounds".into(), format!("{} of {} s", args.rounds, args.seconds.as_secs_f64())));
    let mut versions: Vec<String> = Vec::new();
    for contender in contenders.iter().filter(|it| **it != Contender::Floor) {
        let version = contender.version(&bench.programs)?;
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    facts.push(("versions".into(), versions.join("; ")));
    Ok(About { date: machine::date(), facts })
}
