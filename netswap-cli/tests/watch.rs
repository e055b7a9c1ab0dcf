//! Watches, reserved records, lifetimes and requests for ownership.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::proxy::Proxy;
use common::{Process, Server, content, run, run_with, wait_until};
use serde_json::{Value, json};

const ALICE: &str = "127.0.0.2";
const BOB: &str = "127.0.0.3";

/// A command that is running, and its lines as they come.
struct Running {
    process: Process,
    lines: Receiver<String>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let (stdout, (sender, lines)) = (BufReader::new(process.take_stdout()), channel());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(10)).expect("a line in time")
    }

    #[track_caller]
    fn lines(&self, expected: &[&str]) {
        for line in expected {
            assert_eq!(self.line(), *line);
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.line()).expect("JSON")
    }

    /// It must end by itself, with nothing more on stdout; its stderr.
    #[track_caller]
    fn ends(self, code: i32) -> String {
        let (status, stderr) = self.process.ended();
        assert_eq!(status.code(), Some(code), "{stderr}");
        let rest: Vec<_> = self.lines.iter().collect();
        assert!(rest.is_empty(), "{rest:?}");
        stderr
    }
}

impl Server {
    fn running(&self, bind: &str, args: &[&str]) -> Running {
        Running::start(self.client(bind, args))
    }

    fn write(&self, bind: &str, args: &[&str], data: &[u8]) {
        run_with(&mut self.client(bind, args), data).success();
    }

    fn owner(&self, bind: &str) -> String {
        self.run(bind, &["whoami"]).line()
    }
}

#[test]
fn a_watch_with_data_shows_each_change() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"hello", &["--access", "rw"]);
    let watch = server.running(BOB, &["watch", &pointer, "--data"]);
    watch.lines(&["watching version 1", "changed version 1, 5 bytes: hello"]);
    server.write(ALICE, &["write", &pointer, "--offset", "1"], b"EL");
    watch.lines(&["range version 2, offset 1, 2 bytes: EL"]);
    server.write(BOB, &["append", &pointer], b"!\n");
    watch.lines(&["range version 3, offset 5, 2 bytes: !\\n"]);
    server.write(BOB, &["replace", &pointer], &[0; 8]);
    watch.lines(&["changed version 4, 8 bytes, hex: 0000000000000000"]);
    server.run(BOB, &["add", &pointer, "-1"]).success();
    watch.lines(&["range version 5, offset 0, 8 bytes, hex: ffffffffffffffff"]);
    server.run(ALICE, &["chmod", "r", &pointer]).success();
    watch.lines(&["access r"]);
    server.run(ALICE, &["transfer", &pointer, &server.owner(BOB)]).success();
    watch.lines(&[&format!("owner {}", server.owner(BOB))]);
    server.run(BOB, &["rm", &pointer]).success();
    watch.lines(&["deleted"]);
    assert_eq!(watch.ends(0), "");
}

#[test]
fn a_watch_without_data_tells_versions() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"hello", &["--access", "r"]);
    let watch = server.running(BOB, &["watch", &pointer]);
    watch.lines(&["watching version 1"]);
    server.write(ALICE, &["append", &pointer], b"!");
    watch.lines(&["changed version 2"]);
    server.run(ALICE, &["chmod", "none", &pointer]).success();
    watch.lines(&["access lost"]);
    let stderr = watch.ends(1);
    assert!(stderr.starts_with("error: ") && stderr.contains(&pointer), "{stderr}");
    server.run(BOB, &["watch", &pointer]).refused(&["ACCESS_VIOLATION", &pointer]);
    server.run(BOB, &["watch", "00c0ffee00c0ffee"]).refused(&["ADDRESS_FAULT"]);
}

#[test]
fn json_has_all_data() {
    let server = Server::start(&[]);
    let long = content(1, 5000);
    let pointer = server.put(ALICE, &long, &["--access", "rw"]);
    let watch = server.running(BOB, &["watch", &pointer, "--data", "--json"]);
    assert_eq!(watch.json(), json!({ "kind": "watching", "version": 1 }));
    let data = data_encoding::BASE64.encode(&long);
    assert_eq!(watch.json(), json!({ "kind": "changed", "version": 1, "length": 5000, "data": data }));
    server.write(BOB, &["write", &pointer, "--offset", "7"], b"AB");
    let range = json!({ "kind": "range", "version": 2, "offset": 7, "length": 2, "data": "QUI=" });
    assert_eq!(watch.json(), range);
    server.run(ALICE, &["lifetime", &pointer, "--ttl", "1s"]).success();
    assert_eq!(watch.json(), json!({ "kind": "expired" }));
    assert_eq!(watch.ends(0), "");
}

#[test]
fn a_signal_ends_a_watch() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"", &[]);
    let watch = server.running(ALICE, &["watch", &pointer]);
    watch.lines(&["watching version 1"]);
    watch.process.signal("INT");
    watch.ends(130);
}

#[test]
fn a_watch_ends_when_its_server_is_not_there_again_in_time() {
    let mut server = Server::start(&[]);
    let pointer = server.put(ALICE, b"", &[]);
    let watch = server.running(ALICE, &["watch", &pointer, "--timeout", "300ms"]);
    watch.lines(&["watching version 1"]);
    server.process.kill();
    watch.lines(&["interrupted"]);
    let stderr = watch.ends(3);
    assert!(stderr.contains(&server.address.to_string()), "{stderr}");
}

#[test]
fn a_watch_goes_on_when_its_connection_was_lost() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"one", &["--access", "rw"]);
    let proxy = Proxy::plain(server.address);
    let url = format!("netswap://{}/{pointer}", proxy.address);
    let watch = server.running(BOB, &["watch", &url, "--data"]);
    watch.lines(&["watching version 1", "changed version 1, 3 bytes: one"]);
    proxy.cut();
    watch.lines(&["interrupted", "resumed version 1", "changed version 1, 3 bytes: one"]);
    server.write(ALICE, &["append", &pointer], b"!");
    watch.lines(&["range version 2, offset 3, 1 byte: !"]);
}

#[test]
fn get_of_a_reserved_record_waits_for_its_data() {
    let server = Server::start(&[]);
    let pointer = server.run(ALICE, &["reserve", "--access", "rw"]).line();
    assert!(server.run(BOB, &["stat", &pointer]).success().contains("reserved"));
    let watch = server.running(BOB, &["watch", &pointer, "--data"]);
    watch.lines(&["watching version 0"]);
    // Longer than the timeout, which is for a server that says nothing.
    let get = server.running(BOB, &["get", &pointer, "--timeout", "200ms"]);
    let read = server.running(BOB, &["read", &pointer, "--offset", "4"]);
    std::thread::sleep(Duration::from_millis(700));
    assert!(get.lines.try_recv().is_err() && read.lines.try_recv().is_err());
    server.write(BOB, &["replace", &pointer], b"the data\n");
    get.lines(&["the data"]);
    read.lines(&["data"]);
    watch.lines(&["changed version 1, 9 bytes: the data\\n"]);
    assert_eq!((get.ends(0), read.ends(0)), (String::new(), String::new()));
}

#[test]
fn waiting_for_data_ends_with_the_wait_the_record_or_the_server() {
    let mut server = Server::start(&[]);
    let pointer = server.run(ALICE, &["reserve"]).line();
    let start = Instant::now();
    server.run(ALICE, &["get", &pointer, "--wait", "300ms"]).fails(1, &[&pointer, "reserved", "300ms"]);
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    let get = server.running(ALICE, &["get", &pointer]);
    std::thread::sleep(Duration::from_millis(300));
    server.run(ALICE, &["rm", &pointer]).success();
    assert!(get.ends(1).contains("ADDRESS_FAULT"));
    let pointer = server.run(ALICE, &["reserve"]).line();
    let get = server.running(ALICE, &["get", &pointer, "--timeout", "200ms"]);
    std::thread::sleep(Duration::from_millis(500));
    server.process.kill();
    get.ends(3);
}

#[test]
fn a_reserved_record_is_held_and_named_by_url() {
    let server = Server::start(&["--grace", "0s"]);
    let reserve = server.running(ALICE, &["reserve", "--access", "rw", "--hold", "--url"]);
    let url = reserve.line();
    assert!(url.starts_with(&format!("netswap://{}/", server.address)), "{url}");
    server.write(BOB, &["replace", &url], b"data");
    assert_eq!(run(&mut common::netswap(["get", &url, "--bind", BOB])).success(), "data");
    reserve.process.signal("INT");
    assert_eq!(reserve.ends(0), "");
    wait_until("it is gone", || server.run(BOB, &["get", &url]).code == Some(1));
}

#[test]
fn a_record_is_its_heirs_after_the_grace() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"data", &["--access", "r"]);
    let watch = server.running(BOB, &["watch", &pointer]);
    watch.lines(&["watching version 1"]);
    let bob = server.owner(BOB);
    let lifetime = ["lifetime", &pointer, "--grace", "1s", "--heir", &bob];
    server.run(BOB, &lifetime[..4]).refused(&["ACCESS_VIOLATION", &pointer]);
    assert_eq!(server.run(ALICE, &lifetime).success(), "");
    watch.lines(&[&format!("owner {bob}")]);
    assert_eq!(server.run(BOB, &["ls"]).line(), pointer);
    server.run(ALICE, &["chmod", "none", &pointer]).refused(&["ACCESS_VIOLATION"]);
}

#[test]
fn a_lifetime_that_is_not_given_is_the_default() {
    let server = Server::start(&["--grace", "90s"]);
    let pointer = server.put(ALICE, b"data", &["--access", "r"]);
    let expires = || {
        let stat = server.run(BOB, &["stat", &pointer, "--json"]).success();
        serde_json::from_str::<Value>(&stat).unwrap()["expires"].as_u64()
    };
    let expires_in = |from: u64, to: u64| {
        wait_until("the grace runs", || expires().is_some_and(|seconds| (from..=to).contains(&seconds)));
    };
    server.run(ALICE, &["lifetime", &pointer, "--grace", "1h", "--ttl", "30m"]).success();
    expires_in(1700, 1800);
    server.run(ALICE, &["lifetime", &pointer, "--grace", "1h"]).success();
    expires_in(3500, 3600);
    server.run(ALICE, &["lifetime", &pointer]).success();
    expires_in(80, 90);
    for wrong in [["--grace", "25h"], ["--ttl", "25h"], ["--heir", &server.owner(ALICE)]] {
        let mut lifetime = server.client(ALICE, &["lifetime", &pointer]);
        run(lifetime.args(wrong)).refused(&["INVALID_REQUEST", &pointer]);
    }
    run(server.client(ALICE, &["lifetime", &pointer]).args(["--heir", "nobody"]))
        .fails(2, &["16 hex digits"]);
}

#[test]
fn the_owners_watch_hears_of_requests() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"data", &["--access", "r"]);
    let watch = server.running(ALICE, &["watch", &pointer]);
    let others = server.running(BOB, &["watch", &pointer, "--json"]);
    watch.lines(&["watching version 1"]);
    assert_eq!(others.json()["kind"], "watching");
    assert_eq!(server.run(BOB, &["request", &pointer]).success(), "");
    let bob = server.owner(BOB);
    watch.lines(&[&format!("requested by {bob}")]);
    server.run(ALICE, &["transfer", &pointer, &bob]).success();
    assert_eq!(others.json(), json!({ "kind": "owner", "owner": bob }), "not told of the request");
    server.run(BOB, &["chmod", "none", &pointer]).success();
    server.run(ALICE, &["request", &pointer]).refused(&["ACCESS_VIOLATION"]);
}
