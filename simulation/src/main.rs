//! Runs NetSwap in simulated time.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use simulation::cli::{Arguments, run};

fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
