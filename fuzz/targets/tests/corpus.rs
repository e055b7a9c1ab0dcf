//! All that the fuzzer has found worth keeping, once more: each input as a test of its target.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use netswap_fuzz::{TARGETS, canary, mirrors as sound};

fn corpus(target: &str) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(target);
    let entries = directory.read_dir().unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let (_, run) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target of this name");
    run(&[]);
    let files = corpus(target);
    assert!(files.len() >= 50, "only {} inputs", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if catch_unwind(|| run(&bytes)).is_err() {
            panic!("fails with {}", file.display());
        }
    }
}

#[test]
fn packets() {
    replay("packets");
}

#[test]
fn stream() {
    replay("stream");
}

#[test]
fn server() {
    replay("server");
}

#[test]
fn client() {
    replay("client");
}

#[test]
fn round_trip() {
    replay("round_trip");
}

#[test]
fn mirrors() {
    replay("mirrors");
}

#[test]
fn every_target_has_a_binary_for_the_engine() {
    let mut binaries: Vec<String> = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz_targets")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    binaries.sort();
    let mut expected: Vec<&str> = TARGETS.into_iter().map(|(name, _)| name).chain(["canary"]).collect();
    expected.sort_unstable();
    assert_eq!(binaries, expected);
}

/// A record is created and watched, and a range beyond its end is written.
const SONG: [u8; 18] = [
    0xaf, 0x3f, 0x00, 0x00, 0x7f, 0x24, 0x00, 0xe4, 0xff, 0x3b, 0x3b, 0xed, 0x7f, 0xef, 0xed, 0x01, 0xef,
    0xef,
];

#[test]
fn the_canary_dies_of_what_is_good_for_the_others() {
    sound(&SONG);
    assert!(catch_unwind(|| canary(&SONG)).is_err());
}
