//! read, write, append, add and conditional replacing: parts of records, from several addresses.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{Server, content, run, run_with};
use tempfile::TempDir;

const ALICE: &str = "127.0.0.2";
const BOB: &str = "127.0.0.3";

#[test]
fn read_gives_a_part_of_a_record() {
    let server = Server::start(&[]);
    let data = content(1, 100_000);
    let pointer = server.put(ALICE, &data, &["--access", "r"]);
    let read = |args: &[&str]| {
        let read = server.run(BOB, &[&["read", &pointer], args].concat());
        assert_eq!((read.code, &*read.stderr), (Some(0), ""), "{read:?}");
        read.stdout
    };
    assert!(read(&[]) == data);
    assert!(read(&["--length", "16"]) == data[..16]);
    assert!(read(&["--offset", "0x1000", "--length", "5000"]) == data[0x1000..0x1000 + 5000]);
    assert!(read(&["--offset", "99999"]) == data[99_999..]);
    assert!(read(&["--offset", "99990", "--length", "4294967295"]) == data[99_990..]);
    assert_eq!(read(&["--offset", "100000", "--length", "1"]), b"");
    assert_eq!(read(&["--offset", "0xffffffff", "--length", "0xffffffff"]), b"");
    assert_eq!(read(&["--length", "0"]), b"");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("part");
    fs::write(&file, "old").unwrap();
    let mut to_file = server.client(BOB, &["read", &pointer, "--offset", "7", "--length", "9", "-o"]);
    assert_eq!(run(to_file.arg(&file)).success(), "");
    assert_eq!(fs::read(&file).unwrap(), data[7..16]);
}

#[test]
fn write_changes_a_part_and_fills_gaps() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"hello", &["--access", "rw"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, content(2, 300_000)).unwrap();
    let write = |bind, args: &[&str], stdin: &[u8]| {
        run_with(&mut server.client(bind, &[&["write", &pointer], args].concat()), stdin)
    };
    assert_eq!(write(BOB, &["--offset", "1"], b"AB").line(), "version 2");
    assert_eq!(write(ALICE, &["--offset", "0x7", "-"], b"!").line(), "version 3");
    assert_eq!(server.run(BOB, &["get", &pointer]).stdout, b"hABlo\0\0!");
    assert_eq!(write(BOB, &["--offset", "3", file.to_str().unwrap()], b"").line(), "version 4");
    assert!(server.run(BOB, &["get", &pointer]).stdout == [&b"hAB"[..], &content(2, 300_000)].concat());
    assert_eq!(write(BOB, &["--offset", "300010"], b"").line(), "version 5");
    assert_eq!(server.run(BOB, &["read", &pointer, "--offset", "300003"]).stdout, [0; 7]);
    write(BOB, &["--offset", "0xffffffff"], b"x").refused(&["RECORD_TOO_LARGE", &pointer, "268435456 bytes"]);
}

#[test]
fn append_tells_where_the_data_begin() {
    let server = Server::start(&["--max-record", "1000"]);
    let pointer = server.put(ALICE, b"", &["--access", "w"]);
    let append = |bind, data: &[u8]| run_with(&mut server.client(bind, &["append", &pointer]), data);
    assert_eq!(append(BOB, b"one\n").line(), "version 2 offset 0");
    assert_eq!(append(ALICE, b"two\n").line(), "version 3 offset 4");
    assert_eq!(append(BOB, b"").line(), "version 4 offset 8");
    append(BOB, &[1; 993]).refused(&["RECORD_TOO_LARGE", "1000 bytes"]);
    assert_eq!(server.run(ALICE, &["get", &pointer]).stdout, b"one\ntwo\n");
}

#[test]
fn add_counts() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, &[0; 16], &["--access", "rw"]);
    let add = |args: &[&str]| server.run(BOB, &[&["add", &pointer], args].concat());
    assert_eq!(add(&[]).line(), "1");
    assert_eq!(add(&["41"]).line(), "42");
    assert_eq!(add(&["-50"]).line(), "-8");
    assert_eq!(add(&["--offset", "8", "-9223372036854775808"]).line(), "-9223372036854775808");
    assert_eq!(add(&["-1", "--offset", "0x8"]).line(), "9223372036854775807");
    assert_eq!(add(&["0"]).line(), "-8");
    let number = [(-8_i64).to_be_bytes(), i64::MAX.to_be_bytes()].concat();
    assert_eq!(server.run(ALICE, &["get", &pointer]).stdout, number);
    let outside = ["ADDRESS_FAULT", &pointer, "or it does not have 8 bytes at this offset"];
    add(&["--offset", "9"]).refused(&outside);
    server
        .run(BOB, &["add", "00c0ffee00c0ffee"])
        .refused(&["ADDRESS_FAULT", "no record at this pointer, or"]);
    let url = format!("netswap://{}/{pointer}", server.address);
    assert_eq!(run(common::netswap(["add", &url, "--bind", ALICE]).arg("1")).line(), "-7");
}

#[test]
fn data_are_replaced_only_in_the_version_that_is_named() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"first", &["--access", "rw"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, content(3, 200_000)).unwrap();
    let file = file.to_str().unwrap();
    let replace = |version: &str| server.run(BOB, &["replace", &pointer, file, "--if-version", version]);
    let put = |version: &str| server.run(BOB, &["put", file, "--to", &pointer, "--if-version", version]);
    for stale in ["0", "2", "18446744073709551615"] {
        let words = ["VERSION_MISMATCH", &*pointer, "its version is now 1"];
        replace(stale).refused(&words);
        put(stale).refused(&words);
    }
    assert_eq!(server.run(BOB, &["get", &pointer]).stdout, b"first");
    assert_eq!(replace("1").line(), "version 2");
    replace("1").refused(&["VERSION_MISMATCH", "its version is now 2"]);
    assert!(server.run(BOB, &["get", &pointer]).stdout == content(3, 200_000));
    assert_eq!(put("2").line(), "version 3");
    let mut to = server.client(ALICE, &["put", "--to", &pointer]);
    assert_eq!(run_with(&mut to, b"whatever was there").line(), "version 4");
    assert_eq!(server.run(BOB, &["get", &pointer]).stdout, b"whatever was there");
    assert_eq!(server.run(BOB, &["ls"]).success(), "", "no new record was made");
}

#[test]
fn what_the_owner_does_not_allow_is_refused() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, &[7; 8], &[]);
    let refused = |args: &[&str]| server.run(BOB, args).refused(&["ACCESS_VIOLATION", &pointer]);
    refused(&["read", &pointer]);
    refused(&["write", &pointer, "--offset", "0", "/dev/null"]);
    refused(&["append", &pointer, "/dev/null"]);
    refused(&["replace", &pointer, "/dev/null", "--if-version", "1"]);
    for access in ["r", "w", "t"] {
        server.run(ALICE, &["chmod", access, &pointer]).success();
        refused(&["add", &pointer]);
    }
    assert_eq!(server.run(ALICE, &["get", &pointer]).stdout, [7; 8]);
}

#[test]
fn a_file_that_cannot_be_written_stays_as_it_is() {
    let server = Server::start(&[]);
    let pointer = server.put(ALICE, b"data", &[]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "old").unwrap();
    let mut read = server.client(BOB, &["read", &pointer, "-o"]);
    run(read.arg(&file)).refused(&["ACCESS_VIOLATION"]);
    assert_eq!(fs::read(&file).unwrap(), b"old");
    let missing = directory.path().join("no/such/file");
    let mut read = server.client(ALICE, &["read", &pointer, "-o"]);
    run(read.arg(&missing)).fails(1, &["cannot write", "no/such/file"]);
    let mut append = server.client(ALICE, &["append", &pointer]);
    run(append.arg(&missing)).fails(1, &["cannot read", "no/such/file"]);
}
