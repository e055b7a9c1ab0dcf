//! What goes wrong: files that vanish, servers that are not there or die. The answer is clear, and nothing is lost.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::proxy::{Proxy, Then, Towards};
use common::{Process, Run, Server, content, first_line, netswap, run, signal, wait_until};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// Bytes of the answer to IDENTIFY, with which a connection begins.
const GREETING: usize = 30;

/// The address of proxies.
const OWNER: &str = "127.0.0.1";

fn at(server: SocketAddr, args: &[&str]) -> Command {
    let mut command = netswap(args[..1].iter().copied());
    command.args(["--server", &server.to_string()]).args(&args[1..]);
    command
}

/// A directory with a file in it.
fn file_of(data: &[u8]) -> (TempDir, std::path::PathBuf) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, data).unwrap();
    (directory, path)
}

fn only_file(directory: &Path) {
    let left: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["file"]);
}

/// A hook that sends a signal to a process.
fn kill(process: u32, name: &'static str) -> impl FnOnce() -> Then + Send + 'static {
    move || {
        signal(process, name);
        Then::Pass
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pointer = "00c0ffee00c0ffee";
    let commands: [&[&str]; 11] = [
        &["put", "/dev/null"],
        &["put", "/dev/null", "--hold"],
        &["get", pointer],
        &["replace", pointer, "/dev/null"],
        &["rm", pointer],
        &["stat", pointer],
        &["ls"],
        &["chmod", "r", pointer],
        &["takeover", pointer],
        &["whoami"],
        &["ping"],
    ];
    for args in commands {
        run(&mut at(nobody, args)).fails(3, &[&format!("cannot connect to {nobody}"), "refused"]);
    }
    let url = format!("netswap://{nobody}/{pointer}");
    run(&mut netswap(["get", &url])).fails(3, &[&nobody.to_string()]);
    run(&mut netswap(["ping", "--server", "no-such-host.invalid"])).fails(3, &["no-such-host.invalid:7420"]);
    run(at(nobody, &["ping"]).args(["--bind", "192.0.2.1"])).fails(3, &["192.0.2.1"]);
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let start = Instant::now();
    run(&mut at(address, &["ls", "--timeout", "300ms"])).fails(3, &[&address.to_string(), "300ms"]);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn what_is_no_netswap_server_is_told_so() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    run(&mut at(address, &["ls"])).fails(3, &[&address.to_string(), "is it a NetSwap server"]);
}

#[test]
fn a_file_that_is_not_there_changes_nothing() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"old", &[]);
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("missing");
    let name = missing.to_str().unwrap();
    server.run(OWNER, &["put", name]).fails(1, &["cannot read", name, "No such file"]);
    server.run(OWNER, &["replace", &pointer, name]).fails(1, &["cannot read", name, "No such file"]);
    let here = directory.path().to_str().unwrap();
    server.run(OWNER, &["replace", &pointer, here]).fails(1, &["cannot read", here, "directory"]);
    assert_eq!(server.run(OWNER, &["get", &pointer]).success(), "old");
    assert_eq!(server.run(OWNER, &["ls"]).line(), pointer);
}

#[test]
fn a_place_that_cannot_be_written_is_named_before_anything_is_fetched() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"data", &[]);
    let directory = TempDir::new().unwrap();
    let here = directory.path().to_str().unwrap();
    server.run(OWNER, &["get", &pointer, "-o", here]).fails(1, &["cannot write", here]);
    let nowhere = format!("{here}/no/file");
    server.run(OWNER, &["get", &pointer, "-o", &nowhere]).fails(1, &["cannot write", &nowhere]);
    server.run(OWNER, &["get", &pointer, "-o", "/dev/full"]).fails(1, &["cannot write /dev/full", "space"]);
}

#[test]
fn a_pointer_to_nothing_leaves_the_file_as_it_is() {
    let server = Server::start(&[]);
    let (directory, path) = file_of(b"old");
    let mut get = server.client(OWNER, &["get", "00c0ffee00c0ffee", "-o"]);
    run(get.arg(&path)).refused(&["00c0ffee00c0ffee: ADDRESS_FAULT: there is no record at this pointer"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    only_file(directory.path());
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_changes_nothing() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"old", &[]);
    for replaces in [true, false] {
        let (_directory, path) = file_of(b"");
        File::options().write(true).open(&path).unwrap().set_len(64 * MIB as u64).unwrap();
        let shrinking = path.clone();
        let proxy = Proxy::start(server.address, Towards::Server, MIB, move || {
            // Time for the buffers in between to fill, so that the client has not read all of it.
            std::thread::sleep(Duration::from_millis(300));
            OpenOptions::new().write(true).open(&shrinking).unwrap().set_len(2 * MIB as u64).unwrap();
            Then::Pass
        });
        let args: &[&str] = if replaces { &["replace", &pointer] } else { &["put"] };
        let sent = run(at(proxy.address, args).arg(&path));
        sent.fails(1, &[path.to_str().unwrap(), "got shorter", "67108864 bytes"]);
        assert_eq!(sent.stdout, b"");
    }
    assert_eq!(server.run(OWNER, &["ls"]).line(), pointer);
    assert_eq!(server.run(OWNER, &["get", &pointer]).success(), "old");
    assert!(server.run(OWNER, &["stat", &pointer, "--json"]).success().contains("\"version\": 1"));
}

#[test]
fn a_link_that_breaks_in_an_upload_leaves_the_record_as_it_was() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"old", &[]);
    let (_directory, path) = file_of(&content(1, 16 * MIB));
    for args in [&["replace", &*pointer][..], &["put"]] {
        let proxy = Proxy::start(server.address, Towards::Server, MIB, || Then::Cut);
        let sent = run(at(proxy.address, args).arg(&path));
        sent.fails(3, &[&proxy.address.to_string(), "nothing was changed"]);
        assert_eq!(sent.stdout, b"");
    }
    assert_eq!(server.run(OWNER, &["ls"]).line(), pointer);
    assert_eq!(server.run(OWNER, &["get", &pointer]).success(), "old");
}

#[test]
fn a_server_that_is_killed_in_an_upload_is_no_connection() {
    let server = Server::start(&[]);
    let (_directory, path) = file_of(&content(2, 16 * MIB));
    let process = server.process.id();
    let proxy = Proxy::start(server.address, Towards::Server, MIB, kill(process, "KILL"));
    let put = run(at(proxy.address, &["put"]).arg(&path));
    put.fails(3, &[&proxy.address.to_string(), "nothing was changed"]);
    assert_eq!(put.stdout, b"");
}

/// A server that is killed when so many bytes of an answer have passed, and a record on it.
fn dying_server(data: &[u8], after: usize) -> (Server, Proxy, String) {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, data, &[]);
    let process = server.process.id();
    let proxy = Proxy::start(server.address, Towards::Client, after, kill(process, "KILL"));
    (server, proxy, pointer)
}

#[test]
fn a_server_that_is_killed_in_a_download_leaves_the_old_file() {
    let (_server, proxy, pointer) = dying_server(&content(3, 32 * MIB), MIB);
    let (directory, path) = file_of(b"old");
    let get = run(at(proxy.address, &["get", &pointer, "-o"]).arg(&path));
    get.fails(3, &[&pointer, &proxy.address.to_string()]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    only_file(directory.path());
}

#[test]
fn a_server_that_is_killed_in_a_download_to_a_pipe_is_no_connection() {
    let data = content(4, 32 * MIB);
    let (_server, proxy, pointer) = dying_server(&data, MIB);
    let get = run(&mut at(proxy.address, &["get", &pointer]));
    get.fails(3, &[&pointer, "no answer from"]);
    assert!(get.stdout.len() < data.len() && data.starts_with(&get.stdout));
}

#[test]
fn an_answer_that_is_lost_leaves_it_open_whether_it_was_done() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"old", &[]);
    let proxy = Proxy::start(server.address, Towards::Client, GREETING, || Then::Cut);
    let (_directory, path) = file_of(b"new");
    let replaced = run(at(proxy.address, &["replace", &pointer]).arg(&path));
    replaced.fails(3, &[&pointer, "not known whether"]);
    assert_eq!(replaced.stdout, b"");
    assert_eq!(server.run(OWNER, &["get", &pointer]).success(), "new");
}

#[test]
fn a_server_that_is_stopped_ends_uploads_in_order() {
    let server = Server::start(&[]);
    let (_directory, path) = file_of(&content(5, 64 * MIB));
    let process = server.process.id();
    let proxy = Proxy::start(server.address, Towards::Server, MIB, kill(process, "TERM"));
    let put = run(at(proxy.address, &["put"]).arg(&path));
    put.fails(3, &["nothing was changed"]);
    let (status, log) = server.process.ended();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Runs a command and sends it a signal when so many bytes have passed.
fn interrupted(
    server: &Server,
    side: Towards,
    name: &'static str,
    args: &[&str],
    path: &Path,
) -> (Option<i32>, String) {
    let (sender, process) = mpsc::channel();
    let proxy = Proxy::start(server.address, side, MIB, move || {
        signal(process.recv().unwrap(), name);
        // The signal shall come before the rest of the data.
        std::thread::sleep(Duration::from_millis(500));
        Then::Pass
    });
    let process = Process::start(at(proxy.address, args).arg(path).stdout(Stdio::null()));
    sender.send(process.id()).unwrap();
    let (status, stderr) = process.ended();
    (status.code(), stderr)
}

#[test]
fn a_transfer_that_is_interrupted_changes_nothing() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, &content(6, 64 * MIB), &[]);
    let (directory, path) = file_of(b"old");
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let ended = interrupted(&server, Towards::Client, name, &["get", &pointer, "-o"], &path);
        assert_eq!(ended, (Some(code), format!("error: ended by SIG{name}\n")));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        only_file(directory.path());
    }
    fs::write(&path, content(7, 64 * MIB)).unwrap();
    for args in [&["put"][..], &["replace", &pointer]] {
        let ended = interrupted(&server, Towards::Server, "INT", args, &path);
        assert_eq!(ended.0, Some(130), "{ended:?}");
    }
    assert_eq!(server.run(OWNER, &["ls"]).line(), pointer);
    assert!(server.run(OWNER, &["get", &pointer]).stdout == content(6, 64 * MIB));
}

#[test]
fn waiting_for_stdin_can_be_interrupted() {
    let server = Server::start(&[]);
    let mut put = server.client(OWNER, &["put"]);
    let mut put = Process::start(put.stdin(Stdio::piped()).stdout(Stdio::null()));
    let mut stdin = put.take_stdin();
    stdin.write_all(b"some, but not all").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    put.signal("INT");
    assert_eq!(put.ended().0.code(), Some(130));
    drop(stdin);
    assert_eq!(server.run(OWNER, &["ls"]).success(), "");
}

#[test]
fn a_hold_survives_a_broken_link() {
    let server = Server::start(&["--grace", "1500ms"]);
    let proxy = Proxy::plain(server.address);
    let (_directory, path) = file_of(b"held");
    let mut put = at(proxy.address, &["put", "--hold", "--access", "r"]);
    let mut put = Process::start(put.arg(&path).stdout(Stdio::piped()));
    let pointer = first_line(&mut put);
    proxy.cut();
    std::thread::sleep(Duration::from_millis(2500));
    let get = |bind| server.run(bind, &["get", &pointer]);
    assert_eq!(get("127.0.0.2").success(), "held");
    // Others who delete it end the hold.
    server.run(OWNER, &["rm", &pointer]).success();
    proxy.cut();
    let (status, stderr) = put.ended();
    assert_eq!(status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("connected again") && stderr.contains("ADDRESS_FAULT"), "{stderr}");
}

#[test]
fn a_wrong_path_in_the_middle_of_rm_is_no_reason_to_stop() {
    let server = Server::start(&[]);
    let pointer = server.put(OWNER, b"", &[]);
    let removed: Run = server.run(OWNER, &["rm", "00c0ffee00c0ffee", &pointer]);
    removed.refused(&["00c0ffee00c0ffee: ADDRESS_FAULT"]);
    wait_until("it is gone", || server.run(OWNER, &["ls"]).stdout.is_empty());
}
