//! Every case, against every server that can be started here.

use std::path::Path;

use conformance::cases;
use conformance::server::{Mode, memory};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("server");
    let cases = match cases::read(&directory) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(2);
        }
    };
    let trials = cases.into_iter().map(|case| {
        Trial::test(format!("core::{}", case.id), move || {
            for mode in Mode::ALL {
                memory::play(&case, mode, 1, None).map_err(|failure| {
                    Failed::from(format!(
                        "{}:{} {} ({}): {failure}",
                        case.file,
                        case.line,
                        case.id,
                        mode.name()
                    ))
                })?;
            }
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
