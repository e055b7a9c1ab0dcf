//! Every case, against every server that can be started here.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::sync::Arc;

use conformance::cases;
use conformance::report;
use conformance::server::Mode;
use conformance::server::play::Server;
use conformance::server::targets::Target;
use conformance::verdict::Verdict;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// The seed of cuts and pointers.
const SEED: u64 = 20_261_123;

/// Cases mostly wait, so that many can be played at once.
const AT_ONCE: usize = 64;

fn main() -> io::Result<()> {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    let runtime = Arc::new(Runtime::new()?);
    let cases = match cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("server")) {
        Ok(mut cases) => {
            // What takes long begins first.
            cases.sort_by_key(|case| Reverse(case.time()));
            cases.into_iter().map(Arc::new)
        }
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(2);
        }
    };
    let pairs = cases.flat_map(|case| Target::ALL.map(|target| (case.clone(), target)));
    let trials = pairs.map(|(case, target)| {
        let runtime = runtime.clone();
        Trial::test(format!("{}::{}", target.name(), case.id), move || {
            runtime.block_on(async {
                let server = Server::Started(target);
                let play = |mode| {
                    let case = case.clone();
                    async move { (mode, server.play(&case, mode, SEED).await) }
                };
                let played = tokio::join!(play(Mode::Whole), play(Mode::Bytes), play(Mode::Cuts));
                for (mode, verdict) in <[_; 3]>::from(played) {
                    match verdict {
                        Verdict::Failed(failure) => {
                            let text = report::failure(&case, &server.name(), mode, SEED, &failure);
                            return Err(Failed::from(text));
                        }
                        Verdict::PassedSlower(_) => eprintln!("{}: played again with more time", case.id),
                        Verdict::Passed | Verdict::Skipped(_) => {}
                    }
                }
                Ok(())
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
