//! put, get and replace: files and pipes, from several addresses.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use common::{Process, Server, content, netswap, run, run_with};
use tempfile::TempDir;

/// Addresses, each an owner of its own.
const ALICE: &str = "127.0.0.2";
const BOB: &str = "127.0.0.3";

#[test]
fn a_file_arrives_as_it_was_at_another_address() {
    let server = Server::start(&[]);
    let directory = TempDir::new().unwrap();
    for (seed, len) in [0, 1, 1390, 1391, 65_536, 5_000_000].into_iter().enumerate() {
        let data = content(seed as u64, len);
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, &data).unwrap();
        let mut put = server.client(ALICE, &["put", "--access", "r"]);
        let pointer = run(put.arg(&from)).line();
        assert!(pointer.len() == 16 && pointer.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
        let mut get = server.client(BOB, &["get", &pointer, "-o"]);
        assert_eq!(run(get.arg(&to)).success(), "");
        assert!(fs::read(&to).unwrap() == data, "{len}");
        assert!(server.run(BOB, &["get", &pointer]).stdout == data, "{len}");
    }
    let left: Vec<_> =
        fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn pipes_work_at_both_ends() {
    let server = Server::start(&[]);
    let data = content(7, 3_000_000);
    for args in [&["put", "-"][..], &["put"]] {
        let pointer = run_with(&mut server.client(ALICE, args), &data).line();
        assert!(server.run(ALICE, &["get", &pointer, "-o", "-"]).stdout == data);
    }
}

#[test]
fn a_pipe_with_a_name_is_read_to_its_end() {
    let server = Server::start(&[]);
    let directory = TempDir::new().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, content(8, 200_000)).unwrap()
    });
    let pointer = run(server.client(ALICE, &["put"]).arg(&pipe)).line();
    writer.join().unwrap();
    assert!(server.run(ALICE, &["get", &pointer]).stdout == content(8, 200_000));
}

#[test]
fn a_url_names_the_server_too() {
    let server = Server::start(&[]);
    let url = server.put(ALICE, b"data", &["--url"]);
    let (address, pointer) = url.strip_prefix("netswap://").unwrap().split_once('/').unwrap();
    assert_eq!((address, pointer.len()), (&*server.address.to_string(), 16));
    // Another server is said to be the usual one: the URL decides.
    let mut get = netswap(["get", &url, "--bind", ALICE]);
    assert_eq!(run(get.env("NETSWAP_SERVER", "127.0.0.1:1")).success(), "data");
    assert_eq!(run(&mut netswap(["rm", &url, "--bind", ALICE])).success(), "");
}

#[test]
fn the_server_can_have_an_ipv6_address() {
    let server = Server::from(netswap(["serve"]).args(["--listen", "[::1]:0"]));
    let address = server.address.to_string();
    let url = run_with(&mut netswap(["put", "--url", "--server", &address]), b"six").line();
    assert!(url.starts_with("netswap://[::1]:"), "{url}");
    assert_eq!(run(&mut netswap(["get", &url])).success(), "six");
}

#[test]
fn the_environment_names_server_and_address() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let with = |args: &[&str], bind: &str| {
        let mut command = netswap(args.iter().copied());
        command.env("NETSWAP_SERVER", &address).env("NETSWAP_BIND", bind);
        command
    };
    let pointer = run_with(&mut with(&["put"], ALICE), b"mine").line();
    assert_eq!(run(&mut with(&["get", &pointer], ALICE)).success(), "mine");
    run(&mut with(&["get", &pointer], BOB)).refused(&["ACCESS_VIOLATION"]);
    // A flag wins over the environment.
    assert_eq!(run(with(&["get", &pointer], BOB).args(["--bind", ALICE])).success(), "mine");
}

#[test]
fn replace_needs_the_right_and_changes_the_data_at_once() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"old", &["--access", "r"]);
    let replace = |bind: &str, data: &[u8]| run_with(&mut server.client(bind, &["replace", &pointer]), data);
    replace(BOB, b"new").refused(&["ACCESS_VIOLATION", &pointer]);
    assert_eq!(server.run(BOB, &["get", &pointer]).success(), "old");
    assert_eq!(replace(ALICE, b"new").line(), "version 2");
    assert_eq!(server.run(BOB, &["get", &pointer]).success(), "new");
    server.run(ALICE, &["chmod", "rw", &pointer]).success();
    assert_eq!(replace(BOB, b"").line(), "version 3");
    assert_eq!(server.run(ALICE, &["get", &pointer]).success(), "");
}

#[test]
fn get_takes_the_place_of_a_file_and_keeps_its_permissions() {
    let server = Server::start(&[]);
    let directory = TempDir::new().unwrap();
    let pointer = server.put(ALICE, b"new", &[]);
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    run(server.client(ALICE, &["get", &pointer, "-o"]).arg(&link)).success();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // A new file has the permissions that every new file has.
    let (fresh, other) = (directory.path().join("fresh"), directory.path().join("other"));
    fs::write(&other, "").unwrap();
    run(server.client(ALICE, &["get", &pointer, "-o"]).arg(&fresh)).success();
    assert_eq!(fs::metadata(&fresh).unwrap().permissions(), fs::metadata(&other).unwrap().permissions());
    // What is no file is written to.
    run(&mut server.client(ALICE, &["get", &pointer, "-o", "/dev/null"])).success();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, &content(9, 4_000_000), &[]);
    let mut get = server.client(ALICE, &["get", &pointer]);
    let mut get = Process::start(get.stdout(Stdio::piped()));
    let mut first = [0; 10];
    std::io::Read::read_exact(&mut get.take_stdout(), &mut first).unwrap();
    let (status, stderr) = get.ended();
    assert_eq!((status.code(), &*stderr), (Some(0), ""));
    assert_eq!(first, content(9, 10)[..]);
}

#[test]
fn limits_are_told_with_the_refusal() {
    let server = Server::start(&["--max-record", "1MiB", "--max-memory", "3MiB", "--max-owner-records", "3"]);
    let put = |bind, len| run_with(&mut server.client(bind, &["put"]), &content(1, len));
    put(ALICE, (1 << 20) + 1).refused(&["RECORD_TOO_LARGE", "1048576 bytes"]);
    put(ALICE, 1 << 20).line();
    put(ALICE, 1 << 20).line();
    put(ALICE, 1 << 20).refused(&["QUOTA_EXCEEDED", "memory", "3145728 bytes"]);
    put(ALICE, 1).line();
    put(ALICE, 1).refused(&["QUOTA_EXCEEDED", "records", "limit is 3"]);
    put(BOB, 1).line();
}

#[test]
fn what_is_too_long_is_told_before_all_of_it_is_read() {
    let server = Server::start(&["--max-record", "1MiB"]);
    let mut put = server.client(ALICE, &["put"]);
    let mut put = Process::start(put.stdin(Stdio::piped()).stdout(Stdio::null()));
    // More than a pipe holds; the program goes away before it has read all of it.
    let mut stdin = put.take_stdin();
    let broken = (0..1000).find_map(|_| stdin.write_all(&[0; 64 * 1024]).err());
    assert!(broken.is_some());
    let (status, stderr) = put.ended();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("stdin: RECORD_TOO_LARGE") && stderr.contains("1048576 bytes"), "{stderr}");

    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::File::create(&file).unwrap().set_len(5 << 30).unwrap();
    let put = run(server.client(ALICE, &["put"]).arg(&file));
    put.fails(1, &[file.to_str().unwrap(), "longer than any record", "4294967231 bytes"]);
}

#[test]
fn the_limit_of_connections_is_told() {
    for (flag, words) in
        [("--max-connections", "limit is 1"), ("--max-connections-per-address", "limit is 1")]
    {
        let server = Server::start(&[flag, "1"]);
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "held").unwrap();
        let _held = server.put_and_hold(ALICE, &file, &[]);
        server.run(ALICE, &["whoami"]).refused(&["QUOTA_EXCEEDED", words]);
    }
}
