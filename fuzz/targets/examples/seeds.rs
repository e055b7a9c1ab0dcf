//! Writes inputs to begin with, so that fuzzing starts deep: the bytes of the conformance suite's server cases, as
//! the targets take them. `cargo run -p netswap-fuzz --example seeds`, then `cargo fuzz cmin`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use conformance::cases::{self, Action, Case, Name};
use conformance::pattern::{Names, Pattern};
use conformance::text::Scale;
use netswap_core::config::{Config, Limits};
use netswap_core::identity::IdentityKey;
use netswap_core::server::Server;
use netswap_core::time::Instant;

/// Cut in pieces of 7, 61 and 200 bytes.
const CUTS: [u8; 3] = [6, 60, 199];

/// The longest input that is worth its bytes.
const LONGEST: usize = 6000;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = root.join("fuzz/corpus");
    let cases = cases::read(&root.join("conformance/server")).expect("the cases");
    let pointers = pointers();
    let mut count = 0;
    for case in &cases {
        let streams: Vec<Vec<u8>> = [true, false]
            .into_iter()
            .flat_map(|sent| case.streams(sent))
            .map(|stream| stream.into_iter().map(Option::unwrap_or_default).collect())
            .collect();
        let inputs = [
            ("packets", streams.iter().map(|stream| [&CUTS[..], stream].concat()).collect()),
            ("stream", vec![stream(case, &pointers)]),
            ("client", streams.iter().map(|stream| client(stream)).collect::<Vec<_>>()),
        ];
        for (target, inputs) in inputs {
            for (number, input) in inputs.into_iter().enumerate().filter(|(_, input)| input.len() < LONGEST) {
                write(&corpus.join(target), &format!("{}-{number}", case.id), &input);
                count += 1;
            }
        }
    }
    println!("{count} inputs of {} cases", cases.len());
}

fn write(directory: &Path, name: &str, input: &[u8]) {
    fs::create_dir_all(directory).expect("a directory for the corpus");
    let path: PathBuf = directory.join(format!("case-{name}"));
    fs::write(path, input).expect("an input that is written");
}

/// What happens in a case, as the target `stream` takes it.
fn stream(case: &Case, pointers: &[[u8; 8]]) -> Vec<u8> {
    let mut input = [&CUTS[..], &[0]].concat();
    let (mut peers, mut names): (Vec<Name>, _) = (Vec::new(), Names::new());
    for step in &case.steps {
        let mut peer = |who: Name| {
            let known = peers.iter().position(|it| *it == who);
            let at = known.unwrap_or_else(|| {
                peers.push(who);
                peers.len() - 1
            });
            (at % 4) as u8
        };
        match &step.action {
            Action::Send(who, pattern) => {
                let Ok(bytes) = pattern.to_send(&names, Scale::TRUE) else { continue };
                for part in bytes.chunks(usize::from(u16::MAX)) {
                    input.push(peer(*who));
                    input.extend((part.len() as u16).to_be_bytes());
                    input.extend(part);
                }
            }
            Action::Receive(_, pattern) | Action::ReceiveAnyOrder(_, pattern) => {
                learn(pattern, pointers, &mut names)
            }
            Action::Read(who) | Action::Silent(who) => input.push(peer(*who) | 44 << 2),
            Action::Pass(time) => input.extend([54 << 2, (2 * time.as_secs()).min(255) as u8]),
            Action::HalfClose(who) => input.push(peer(*who) | 59 << 2),
            Action::Reset(who) => input.push(peer(*who) | 61 << 2),
            Action::Stop => input.push(63 << 2),
            _ => {}
        }
    }
    input
}

/// What gets a name is a pointer, most of the time: the next one.
fn learn(pattern: &Pattern, pointers: &[[u8; 8]], names: &mut Names) {
    for name in pattern.binds() {
        let pointer = pointers.get(names.len()).copied().unwrap_or_default();
        names.insert(name.to_owned(), pointer.to_vec());
    }
}

/// What a server has sent, as the target `client` takes it: as the answer to requests of many kinds.
fn client(stream: &[u8]) -> Vec<u8> {
    let mut input = [&[1], &CUTS[..]].concat();
    for opcode in [16, 2, 0, 8, 10, 17] {
        input.extend([0, opcode, 1, 3]);
    }
    input.push(64 | 1);
    for part in stream.chunks(usize::from(u16::MAX)) {
        input.push(160);
        input.extend((part.len() as u16).to_be_bytes());
        input.extend(part);
    }
    input
}

/// The first pointers that servers of the documentation's seed give (docs/PROTOCOL.md §1.6).
fn pointers() -> Vec<[u8; 8]> {
    let (now, seed) = (Instant::ZERO, std::array::from_fn(|i| i as u8));
    let config = Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), seed);
    let mut server = Server::new(config).expect("limits that can be kept");
    let peer = server.connect([127, 0, 0, 1].into(), now).expect("a connection");
    let create = || {
        server.handle_input(peer.id, &[0; 10], now);
        let output = server.output(peer.id).expect("a reply");
        let reply: Vec<u8> = output.slices().flatten().copied().collect();
        server.sent(peer.id, reply.len(), now);
        reply.last_chunk().copied().expect("a pointer")
    };
    std::iter::repeat_with(create).take(8).collect()
}
