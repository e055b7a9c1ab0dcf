//! The smoke run passes where servers are right, and fails where one only looks right.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_netswap-bench");

fn smoke(args: &[&str]) -> Output {
    Command::new(PROGRAM).arg("smoke").args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that is started like `netswap serve --runtime tokio --threads 1 --listen ADDRESS` and is a floor.
fn pretender(directory: &Path, floor: &str) -> String {
    let file = directory.join("netswap");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = --version ]; then echo pretender; exit; fi\nexec '{PROGRAM}' floor --listen \"$7\" {floor}\n"
    );
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

#[test]
fn the_floor_answers_as_it_should() {
    let output = smoke(&["--only", "floor", "--case", "64B,1MiB-d1,fan-out,connects", "--threads", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "8 measurements work: 8 cases, 1 contenders\n");
}

#[test]
fn answers_of_the_right_length_and_the_wrong_bytes_are_seen() {
    let directory = tempfile::tempdir().unwrap();
    // A CREATE_RECORD of 64 bytes is 74 bytes long, and its answer 18.
    let netswap = pretender(directory.path(), "--request 74 --reply 18");
    let output = smoke(&["--only", "tokio", "--case", "read-64B-d1", "--netswap", &netswap]);
    assert!(!output.status.success());
    let said = stderr(&output);
    assert!(said.contains("read-64B-d1 with tokio") && said.contains("no record was made"), "{said}");
}

#[test]
fn a_server_that_does_not_start_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let netswap = pretender(directory.path(), "--request 0 --reply 18");
    let output = smoke(&["--only", "tokio", "--case", "read-64B-d1", "--netswap", &netswap]);
    assert!(!output.status.success());
    assert!(stderr(&output).contains("the server has ended"), "{}", stderr(&output));
    let output = smoke(&["--only", "tokio", "--netswap", "/nowhere/netswap"]);
    assert!(stderr(&output).contains("cannot run /nowhere/netswap"), "{}", stderr(&output));
    let output = smoke(&["--case", "no-such-case"]);
    assert!(stderr(&output).contains("no case has no-such-case in its name"), "{}", stderr(&output));
}
