//! Drivers that lie, die, hang or talk nonsense: each of them fails, within its bound, and the failure says why.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use conformance::client::{self, Outcome, Settings, play};
use conformance::text::Scale;

const DRIVER: &str = env!("CARGO_BIN_EXE_driver-tokio");

/// A case with a watch, a refusal and two results.
const CASE: &str = "netswap-client-cases 1
case 3-01 A case
connects
call 1 append pointer=00c0ffee00c0ffee data=\"!\"
S< $a:4 00 00 00 09 0c 00 00 c0 ff ee 00 c0 ff ee \"!\"
S> $a 00 00 00 0c 00 00 00 00 00 00 00 00 00 02 00 00 00 05
1 returns version=2 offset=5
call 2 resolve pointer=00c0ffee00c0ffee
S< $b:4 00 00 00 08 02 00 00 c0 ff ee 00 c0 ff ee
S> $b 00 00 00 00 01 00
2 fails error=refused code=ACCESS_VIOLATION outcome=not-done retryable=no
call 3 watch pointer=00c0ffee00c0ffee push=no
S< $c:4 00 00 00 08 10 00 00 c0 ff ee 00 c0 ff ee
S> $c 00 00 00 08 00 00 00 00 00 00 00 00 00 02
3 returns version=2
S> $c 00 00 00 08 0b 01 00 00 00 00 00 00 00 03
3 tells change=changed version=3
call 4 create_from data=41*100000 access=r
S<< $d:4 00 01 41 * 100000
S> $d 00 00 00 08 00 00 0d 95 7e a8 9d e6 d5 56
4 returns pointer=0d957ea89de6d556
";

fn play_with(command: &[&str], text: &str) -> Result<Outcome, String> {
    let case = client::parse("3-x.txt", text).unwrap().remove(0);
    let command: Vec<String> = command.iter().copied().map(Into::into).collect();
    let settings = Settings { scale: Scale::divided_by(10), patience: Duration::from_secs(2) };
    let start = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let played = runtime.block_on(play(&case, &command, settings));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    played.map_err(|failure| failure.to_string())
}

/// Plays the case with a driver of which a shell changes what it says, or does.
#[track_caller]
fn assert_fails(script: &str, because: &str) {
    let script = script.replace("DRIVER", &format!("'{DRIVER}'"));
    let error = play_with(&["sh", "-c", &script], CASE).expect_err(&script);
    assert!(error.contains(because), "{script}: {error}");
}

#[test]
fn the_truth_passes() {
    assert_eq!(play_with(&[DRIVER], CASE), Ok(Outcome::Passed));
    assert_eq!(play_with(&["sh", "-c", &format!("'{DRIVER}' | sed -u s/x/x/")], CASE), Ok(Outcome::Passed));
}

#[test]
fn lies_are_found() {
    for (lie, because) in [
        ("s/version=2/version=1/", "3-x.txt:7: 1 returns version=2 offset=5"),
        ("s/ offset=5//", "the driver: 1 returns version=2"),
        ("s/offset=5/offset=5 more=1/", "the driver: 1 returns version=2 offset=5 more=1"),
        ("s/1 returns/1 fails/", "the driver: 1 fails version=2 offset=5"),
        ("s/ACCESS_VIOLATION/ADDRESS_FAULT/", "expected: 2 fails error=refused code=ACCESS_VIOLATION"),
        ("s/not-done/unknown/", "outcome=unknown"),
        ("s/retryable=no/retryable=yes/", "retryable=yes"),
        ("s/version=3/version=4/", "3-x.txt:17: 3 tells change=changed version=3"),
        ("s/3 tells/3 ends/", "the driver: 3 ends"),
        ("/progress/d", "it has told of no progress"),
        ("s/done=100000/done=99999/", "it told of 99999 bytes of 100000 and no more"),
        ("s/done=[0-9]*/done=100001/", "progress goes back, or too far"),
        ("s/^1 returns.*/&\\n&/", "the call had ended, and the driver said `1 returns version=2 offset=5`"),
    ] {
        assert_fails(&format!("DRIVER | sed -u '{lie}'"), because);
    }
}

#[test]
fn wrong_calls_are_found() {
    for (lie, because) in [
        ("s/data=21/data=22/", "the payload (byte 18)"),
        ("s/1 append/1 replace/", "0c APPEND"),
        ("/1 append/d", "nothing more has come"),
        ("s/1 append.*/&\\n9 list/", "11 LIST_RECORDS"),
    ] {
        assert_fails(&format!("sed -u '{lie}' | DRIVER"), because);
    }
}

#[test]
fn a_driver_that_is_not_there_or_none_fails() {
    let error = play_with(&["/no/such/driver"], CASE).unwrap_err();
    assert!(error.contains("the driver /no/such/driver does not start"), "{error}");
    assert!(play_with(&[], CASE).unwrap_err().contains("there is no driver's command"));
    assert_fails("echo hello", "expected `netswap-driver 1 NAME`, the driver said `hello`");
    assert_fails("echo netswap-driver 2 x", "expected `netswap-driver 1 NAME`");
    assert_fails("echo netswap-driver 1 x; echo steady", "expected `lacks NAME REASON` or `ready`");
}

#[test]
fn a_driver_that_dies_fails_at_once_with_its_complaint() {
    assert_fails(
        "echo netswap-driver 1 x; echo ready; read line",
        "the driver ended, and was to say anything about call 0",
    );
    assert_fails("echo 'no memory' >&2", "it complained:\nno memory");
    assert_fails("DRIVER; exit 3", "the driver ended with exit status: 3");
}

#[test]
fn a_driver_that_hangs_fails_in_its_time() {
    assert_fails("exec sleep 1000", "the driver did not say what it is within 2s");
    assert_fails("echo netswap-driver 1 x; echo ready; exec sleep 1000", "within 2s");
    assert_fails("DRIVER | sed -u '/^1 returns/d'", "the driver did not say anything about call 1 within 2s");
    assert_fails("DRIVER; exec sleep 1000", "the driver does not end when its input has ended");
}

#[test]
fn nonsense_is_found() {
    assert_fails("DRIVER | sed -u 's/^1 returns.*/hello/'", "a line begins with the number of its call");
    assert_fails(
        "sed -u 's/1 append/1 sing/' | DRIVER",
        "and the driver said: error `sing` is no call that this driver knows",
    );
}

#[test]
fn what_a_driver_lacks_is_skipped_with_its_reason() {
    let lacks =
        |what: &str| format!("'{DRIVER}' | sed -u 's/^ready/lacks {what} nobody has written it\\nready/'");
    let skipped = play_with(&["sh", "-c", &lacks("create_from")], CASE);
    let reason = "rust-tokio has no create_from: nobody has written it".to_owned();
    assert_eq!(skipped, Ok(Outcome::Skipped(reason)));
    assert_eq!(play_with(&["sh", "-c", &lacks("update")], CASE), Ok(Outcome::Passed));
}

#[test]
fn the_program_counts_and_its_exit_code_tells() {
    let run = |driver: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--client", driver]).args(more);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), output.stderr)
    };
    let (code, said, _) = run(DRIVER, &["3-20", "3-22"]);
    assert!(code == Some(0) && said.contains("driver-tokio: 2 passed, 0 failed"), "{said}");
    let (code, said, _) = run(DRIVER, &["no such case"]);
    assert!(code == Some(1) && said.contains("nothing was played"), "{said}");
    let (code, said, complaint) = run("false", &["3-20"]);
    assert!(code == Some(1) && said.contains("0 passed, 1 failed"), "{said}");
    assert!(String::from_utf8_lossy(&complaint).contains("3-requests.txt"), "{complaint:?}");
    let (code, said, _) = run(DRIVER, &["--list", "2.5"]);
    assert!(code == Some(0) && said.lines().all(|line| line.starts_with("2.5-")), "{said}");

    let junit = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client.xml");
    run(DRIVER, &["3-20", "--junit", junit.to_str().unwrap()]);
    let xml = std::fs::read_to_string(junit).unwrap();
    assert!(xml.contains("<testsuite name=\"driver-tokio\" tests=\"1\""), "{xml}");

    let broken = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-client");
    std::fs::create_dir_all(&broken).unwrap();
    std::fs::write(broken.join("3-x.txt"), "netswap-client-cases 1\ncase 3-01 x\nconnects\n").unwrap();
    let (code, _, complaint) = run(DRIVER, &["--cases", broken.to_str().unwrap()]);
    let complaint = String::from_utf8_lossy(&complaint);
    assert!(code == Some(2) && complaint.contains("3-x.txt:2: expected a call that returns"), "{complaint}");
}
