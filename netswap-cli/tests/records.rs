//! What the other commands do with records, and how long records live.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{Run, Server, content, first_line, run, run_with, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE: &str = "127.0.0.2";
const BOB: &str = "127.0.0.3";
const CAROL: &str = "127.0.0.4";

fn parsed(run: &Run) -> Value {
    serde_json::from_str(&run.success()).expect("JSON")
}

fn owner(server: &Server, bind: &str) -> String {
    server.run(bind, &["whoami"]).line()
}

#[test]
fn whoami_is_the_address() {
    let key =
        ["--identity-key", "000102030405060708090a0b0c0d0e0f", "--grace", "90s", "--max-record", "1MiB"];
    let (one, two) = (Server::start(&key), Server::start(&key));
    assert_eq!(owner(&one, ALICE), owner(&two, ALICE));
    assert_ne!(owner(&one, ALICE), owner(&one, BOB));
    let identity = parsed(&one.run(ALICE, &["whoami", "--json"]));
    let expected = json!({
        "owner": owner(&one, ALICE), "protocol_version": 1, "max_payload": 1390, "max_record": 1 << 20, "grace": 90,
    });
    assert_eq!(identity, expected);
    assert_ne!(owner(&Server::start(&[]), ALICE), owner(&one, ALICE));
}

#[test]
fn stat_tells_everything_in_text_and_json() {
    let server = Server::start(&["--grace", "5m"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, content(1, 2000)).unwrap();
    let (_held, pointer) = server.put_and_hold(ALICE, &file, &["--access", "rt"]);
    let stat = parsed(&server.run(BOB, &["stat", &pointer, "--json"]));
    let expected = json!({
        "pointer": pointer, "length": 2000, "version": 1, "owner": owner(&server, ALICE), "mine": false,
        "access": "rt", "reserved": false, "expires": null,
    });
    assert_eq!(stat, expected);
    let text = server.run(ALICE, &["stat", &pointer]).success();
    for words in
        [&*pointer, "2000 bytes", "version", "(you)", "read, take over", "not while you are connected"]
    {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert!(!server.run(BOB, &["stat", &pointer]).success().contains("(you)"));
    // Its owner gone, the grace runs.
    let pointer = server.put(CAROL, b"x", &["--access", "r"]);
    wait_until("the grace runs", || {
        let stat = parsed(&server.run(BOB, &["stat", &pointer, "--json"]));
        stat["expires"].as_u64().is_some_and(|seconds| (290..=300).contains(&seconds))
    });
    assert!(server.run(BOB, &["stat", &pointer]).success().contains("expires     in "));
}

#[test]
fn ls_lists_what_the_address_owns() {
    let server = Server::start(&[]);
    assert_eq!(server.run(ALICE, &["ls"]).success(), "");
    assert_eq!(parsed(&server.run(ALICE, &["ls", "--json"])), json!([]));
    let mut pointers: Vec<_> = (0..3).map(|_| server.put(ALICE, b"", &[])).collect();
    pointers.sort();
    assert_eq!(server.run(ALICE, &["ls"]).success(), pointers.join("\n") + "\n");
    assert_eq!(parsed(&server.run(ALICE, &["ls", "--json"])), json!(pointers));
    assert_eq!(server.run(BOB, &["ls"]).success(), "");
}

#[test]
fn rm_removes_every_record_that_it_can() {
    let server = Server::start(&[]);
    let (mine, too, other) = (
        server.put(ALICE, b"", &[]),
        server.put(ALICE, b"", &[]),
        server.put(BOB, b"", &["--access", "rwt"]),
    );
    let removed = server.run(ALICE, &["rm", &mine, &other, &too]);
    removed.refused(&["ACCESS_VIOLATION", &other]);
    server.run(ALICE, &["get", &mine]).refused(&["ADDRESS_FAULT", &mine]);
    server.run(ALICE, &["rm", &too]).refused(&["ADDRESS_FAULT", &too]);
    server.run(BOB, &["get", &other]).success();
}

#[test]
fn after_chmod_and_takeover_the_record_is_anothers() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"data", &["--access", "r"]);
    server.run(BOB, &["takeover", &pointer]).refused(&["ACCESS_VIOLATION"]);
    server.run(BOB, &["chmod", "rwt", &pointer]).refused(&["ACCESS_VIOLATION"]);
    assert_eq!(server.run(ALICE, &["chmod", "rwt", &pointer]).success(), "");
    assert_eq!(server.run(BOB, &["takeover", &pointer]).success(), "");
    let stat = parsed(&server.run(ALICE, &["stat", &pointer, "--json"]));
    assert_eq!((&stat["owner"], &stat["access"]), (&json!(owner(&server, BOB)), &json!("rw")));
    server.run(ALICE, &["chmod", "none", &pointer]).refused(&["ACCESS_VIOLATION"]);
    server.run(CAROL, &["takeover", &pointer]).refused(&["ACCESS_VIOLATION"]);
    server.run(BOB, &["rm", &pointer]).success();
}

#[test]
fn transfer_gives_a_record_to_another_owner() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"data", &[]);
    let bob = owner(&server, BOB);
    server.run(BOB, &["transfer", &pointer, &bob]).refused(&["ACCESS_VIOLATION"]);
    assert_eq!(server.run(ALICE, &["transfer", &pointer, &bob]).success(), "");
    assert_eq!(server.run(BOB, &["ls"]).line(), pointer);
    server.run(ALICE, &["get", &pointer]).refused(&["ACCESS_VIOLATION"]);
}

#[test]
fn ping_measures_round_trips() {
    let server = Server::start(&[]);
    let text = server.run(ALICE, &["ping", "-n", "3", "--interval", "1ms"]).success();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (at, line) in lines[..3].iter().enumerate() {
        assert!(line.starts_with(&format!("{} from {}: ", at + 1, server.address)), "{text}");
    }
    assert!(lines[3].contains("3 of 3 answered") && lines[3].contains("min"), "{text}");
}

#[test]
fn a_record_ends_with_the_grace_after_its_owners_last_client_was_killed() {
    let server = Server::start(&["--grace", "1s"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "data").unwrap();
    let (mut alice, lost) = server.put_and_hold(ALICE, &file, &["--access", "rt"]);
    let (mut also, kept) = server.put_and_hold(ALICE, &file, &["--access", "rt"]);
    // Held beyond the grace, and still there.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.run(BOB, &["get", &lost]).success(), "data");

    let start = Instant::now();
    alice.kill();
    also.kill();
    let mut takeover = server.client(BOB, &["takeover", &kept, "--hold"]);
    let bob = common::Process::start(takeover.stdout(std::process::Stdio::piped()));
    wait_until("the record is gone", || server.run(CAROL, &["get", &lost]).code != Some(0));
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    server.run(CAROL, &["get", &lost]).refused(&["ADDRESS_FAULT", "no record at this pointer"]);

    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(server.run(CAROL, &["get", &kept]).success(), "data");
    bob.signal("INT");
    assert_eq!(bob.ended().0.code(), Some(0));
    wait_until("the other is gone too", || server.run(CAROL, &["get", &kept]).code != Some(0));
    server.run(CAROL, &["get", &kept]).refused(&["ADDRESS_FAULT"]);
}

#[test]
fn a_held_record_outlives_the_hold_by_the_grace() {
    for signal in ["INT", "TERM"] {
        let server = Server::start(&[]);
        let mut put = server.client(ALICE, &["put", "--hold", "--url", "/dev/null"]);
        let mut put = common::Process::start(put.stdout(std::process::Stdio::piped()));
        let url = first_line(&mut put);
        put.signal(signal);
        let (status, stderr) = put.ended();
        assert_eq!((status.code(), &*stderr), (Some(0), ""), "{signal}");
        assert_eq!(run(&mut common::netswap(["get", &url, "--bind", ALICE])).success(), "");
    }
}

#[test]
fn a_hold_ends_with_the_server() {
    let mut server = Server::start(&[]);
    let mut put = server.client(ALICE, &["put", "--hold", "/dev/null"]);
    let mut put = common::Process::start(put.stdout(std::process::Stdio::piped()));
    first_line(&mut put);
    server.process.kill();
    let (status, stderr) = put.ended();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(stderr.contains(&server.address.to_string()), "{stderr}");
}

#[test]
fn data_may_look_like_anything() {
    let server = Server::start(&[]);
    let every: Vec<u8> = (0..=255).collect();
    let pointer = run_with(&mut server.client(ALICE, &["put"]), &every).line();
    assert_eq!(server.run(ALICE, &["get", &pointer]).stdout, every);
}
