//! Every client case against the driver of every client, one test each.

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use conformance::client;
use conformance::client::run::verdict;
use conformance::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// The drivers: a name, and the program.
fn drivers() -> [(&'static str, PathBuf); 4] {
    let tokio = PathBuf::from(env!("CARGO_BIN_EXE_driver-tokio"));
    // async-std is there for tests and examples only. Cargo builds examples with the tests.
    let async_std = tokio.with_file_name("examples").join(format!("driver-async-std{EXE_SUFFIX}"));
    [
        ("tokio", tokio),
        ("smol", env!("CARGO_BIN_EXE_driver-smol").into()),
        ("async-std", async_std),
        ("blocking", env!("CARGO_BIN_EXE_driver-blocking").into()),
    ]
}

/// Cases wait for what is to come as long as a shared machine may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cases = match client::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("client")) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => Arc::new(runtime),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut trials = Vec::new();
    for case in cases.into_iter().map(Arc::new) {
        for (name, program) in drivers() {
            let (case, runtime) = (case.clone(), runtime.clone());
            trials.push(Trial::test(format!("{name}/{} {}", case.id, case.title), move || {
                let command = [program.display().to_string()];
                match runtime.block_on(verdict(&case, &command, PATIENCE)) {
                    Verdict::Passed => Ok(()),
                    Verdict::PassedSlower(failure) => {
                        println!("{} passed only with more time: {failure}", case.id);
                        Ok(())
                    }
                    Verdict::Failed(failure) => Err(Failed::from(failure)),
                    // Drivers of this repository have everything.
                    Verdict::Skipped(why) => Err(Failed::from(why)),
                }
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
