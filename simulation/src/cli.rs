//! soon
use clap::Parser;
#[derive(Debug, Parser)]
/// Runs
pub struct Arguments { #[arg(long)] seed: u64, #[arg(long, default_value_t=1000)] transactions: u64, #[arg(long, default_value_t=1)] seeds: u64, #[arg(long)] verbose: bool}
/// run
pub fn run(a: &Arguments) -> anyhow::Result<std::process::ExitCode> {
    let (mut t, mut r, mut bad) = (0, 0, 0);
    for seed in a.seed..a.seed + a.seeds {
        let s = crate::scenario::Scenario::new(seed, None);
        let o = crate::world::run(&s, seed, a.transactions, a.verbose)?;
        t += o.transactions; r += o.requests;
        if let Some(f) = o.failure { bad += 1; println!("seed {seed}: {f} (packetwise {}, {} events)", s.setting.packetwise, o.tape.len()); }
    }
    println!("{t} transactions {r} requests, {bad} bad");
    Ok(std::process::ExitCode::SUCCESS)
}
