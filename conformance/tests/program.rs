//! The program: what it prints, and its exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

fn conformance(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs the cases of a file of this text, which is the only one in its directory.
fn run_file(name: &str, file: &str, content: &str) -> Output {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join(file), content).unwrap();
    conformance(&["--cases", directory.to_str().unwrap(), "--target", "core", "--target", "tokio"])
}

#[test]
fn cases_are_chosen_by_section_id_and_text() {
    let list = |filter: &[&str]| {
        let output = conformance(&[&["--list"], filter].concat());
        assert_eq!(output.status.code(), Some(0));
        text(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = list(&[]);
    assert!(all.len() >= 200, "{} cases", all.len());
    assert!(list(&["3.12"]).iter().all(|line| line.starts_with("3.12-")));
    assert_eq!(list(&["3.12-01"]), ["3.12-01 The same bytes come back"]);
    assert!(list(&["5"]).iter().all(|line| line.starts_with("5.")));
    assert!(list(&["same BYTES"]).iter().any(|line| line.starts_with("3.12-01")));
}

#[test]
fn a_good_run_is_summed_up() {
    let output = conformance(&["3.12-01", "3.12-02", "--seed", "9"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("core: 6 passed, 0 failed\n"), "{said}");
    assert!(said.contains("tokio: 6 passed, 0 failed\n"), "{said}");
    assert!(said.contains("2 cases in ") && said.contains("seed 9"), "{said}");
}

#[test]
fn a_run_of_nothing_fails() {
    let output = conformance(&["no such case"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("nothing was played"), "{output:?}");
}

#[test]
fn what_cannot_be_played_against_a_running_server_is_skipped_with_its_reason() {
    let output = conformance(&["--server", "127.0.0.1:9", "3.12-05"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("0 passed, 0 failed, 3 skipped"), "{said}");
    assert!(said.contains("3 skipped: needs a server with a configuration of its own"), "{said}");
    assert!(said.contains("nothing was played"), "{said}");
}

#[test]
fn a_server_that_is_not_there_fails_every_case() {
    let output = conformance(&["--server", "127.0.0.1:9", "3.12-01"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot connect from 127.0.0.1 to 127.0.0.1:9"), "{output:?}");
    assert!(text(&output.stdout).contains("0 passed, 3 failed"), "{output:?}");
}

#[test]
fn a_file_with_an_error_stops_the_run() {
    let output = run_file("broken", "3.12-x.txt", "netswap-server-cases 1\ncase 3.12-01 x\nA> 00\n");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("3.12-x.txt:3: expected `A opens ADDRESS` before, found A"), "{said}");
}

#[test]
fn a_failure_is_shown_field_by_field() {
    let file = "netswap-server-cases 1
case 3.12-01 An answer that no server gives
A opens 127.0.0.1
A> 00 00 00 01 00 00 00 03 00 00 \"abc\"
A< 00 00 00 01 00 00 00 08 00 00 $ptr:8
A> 00 00 00 02 00 00 00 08 02 00 $ptr
A< 00 00 00 02 00 00 00 03 03 00 \"abd\" | RESOLVED
A stays open
";
    let output = run_file("wrong", "3.12-x.txt", file);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(text(&output.stdout).contains("core: 0 passed, 3 failed"), "{output:?}");
    for part in [
        "3.12-x.txt:7: 3.12-01 An answer that no server gives",
        "server core, sent whole",
        "server tokio, sent bytes",
        "sent cuts (seed ",
        "the line: A< 00 00 00 02 00 00 00 03 03 00 \"abd\" | RESOLVED",
        "A received something else, first in the payload (byte 12):",
        "OPCODE     03 RESOLVE_POINTER",
        "expected 61 62 [64]",
        "received 61 62 [63]",
        "$ptr is ",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn answers_that_are_missing_or_too_many_are_shown() {
    let file = "netswap-server-cases 1
case 3.12-01 Less than there is
A opens 127.0.0.1
A> 00 00 00 01 00 00 00 00 08 00 00 00 00 02 00 00 00 00 08 00
A< 00 00 00 01 00 00 00 00 00 00
A stays open
case 3.12-02 A connection that is not closed
config slow 4 s
A opens 127.0.0.1
A> 00 00 00 01 00 00 00 00 08 00
A< 00 00 00 01 00 00 00 00 00 00
A> 00 00 00 02 00 00 00 02 08 00 00
+ 8 s
A stays open
case 3.12-03 A packet of another XID
A opens 127.0.0.1
A> 00 00 00 01 00 00 00 00 08 00
A<* 00 00 00 02 00 00 00 00 00 00
A stays open
";
    let output = run_file("besides", "3.12-x.txt", file);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "nothing was expected here",
        "no packet with this XID is expected here any more",
        "3.12-02 A connection that is not closed",
        "A should be open, but the server has ended the connection",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn results_are_written_as_junit() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("junit.xml");
    let output = conformance(&["3.12-01", "--target", "core", "--junit", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let xml = std::fs::read_to_string(path).unwrap();
    assert!(xml.contains("<testsuite name=\"core\" tests=\"3\""), "{xml}");
    assert!(xml.contains("name=\"3.12-01 The same bytes come back (bytes)\""), "{xml}");
}

#[test]
fn the_help_has_examples_and_exit_codes() {
    let help = text(&conformance(&["--help"]).stdout);
    assert!(help.contains("Examples:") && help.contains("--server") && help.contains("exit code"), "{help}");
    assert_eq!(conformance(&["--mode", "upside-down"]).status.code(), Some(2));
}
