//! What the program says about itself, and what it says to a wrong command line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{netswap, run};

const COMMANDS: [&str; 21] = [
    "serve",
    "put",
    "get",
    "replace",
    "read",
    "write",
    "append",
    "add",
    "watch",
    "reserve",
    "rm",
    "stat",
    "ls",
    "chmod",
    "takeover",
    "transfer",
    "lifetime",
    "request",
    "whoami",
    "ping",
    "completions",
];

#[test]
fn the_help_names_every_command_and_every_exit_code() {
    let help = run(&mut netswap(["--help"])).success();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} in {help}");
    }
    for code in ["\n  0 ", "\n  1 ", "\n  2 ", "\n  3 ", "\n  130 "] {
        assert!(help.contains(code), "{code} in {help}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let help = run(&mut netswap([command, "--help"])).success();
        let example = format!("\n  netswap {command}");
        assert!(help.contains("Examples:") && help.contains(&example), "{help}");
    }
}

#[test]
fn every_flag_of_serve_has_its_variable() {
    let help = run(&mut netswap(["serve", "--help"])).success();
    let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
    let flags: Vec<_> = flags.map(|line| line.split([' ', '.']).next().unwrap()).collect();
    assert!(flags.len() > 15, "{flags:?}");
    for flag in flags {
        let variable = format!("NETSWAP_{}", flag.replace('-', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable} in {help}");
    }
}

#[test]
fn secrets_in_the_environment_are_not_shown() {
    let secret = "00112233445566778899aabbccddeeff";
    let help = run(netswap(["serve", "--help"]).env("NETSWAP_IDENTITY_KEY", secret)).success();
    assert!(!help.contains(secret), "{help}");
}

#[test]
fn it_tells_its_version() {
    let version = run(&mut netswap(["--version"])).line();
    assert_eq!(version, format!("netswap {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn shells_learn_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&mut netswap(["completions", shell])).success();
        assert!(script.contains("takeover") && script.contains("max-record"), "{shell}");
    }
}

#[test]
fn a_wrong_command_line_is_told_what_is_wrong() {
    let cases: [(&[&str], &str); 29] = [
        (&[], "Usage"),
        (&["fetch"], "fetch"),
        (&["get"], "POINTER"),
        (&["get", "c0ffee"], "16 hex digits"),
        (&["get", "00c0ffee00c0ffee0"], "16 hex digits"),
        (&["get", "netswap://host/c0ffee"], "16 hex digits"),
        (&["get", "netswap://:1/00c0ffee00c0ffee"], "names no server"),
        (&["get", "http://host/00c0ffee00c0ffee"], "netswap://"),
        (&["read", "00c0ffee00c0ffee", "--offset", "1KiB"], "plain or in hex"),
        (&["read", "00c0ffee00c0ffee", "--length", "4294967296"], "up to 4294967295"),
        (&["write", "00c0ffee00c0ffee"], "--offset"),
        (&["write", "00c0ffee00c0ffee", "--offset", "-1"], "--offset"),
        (&["add", "00c0ffee00c0ffee", "much"], "much"),
        (&["add", "00c0ffee00c0ffee", "9223372036854775808"], "9223372036854775808"),
        (&["replace", "00c0ffee00c0ffee", "--if-version", "new"], "--if-version"),
        (&["put", "--if-version", "2"], "--to"),
        (&["put", "--to", "00c0ffee00c0ffee", "--hold"], "--hold"),
        (&["chmod", "rwx", "00c0ffee00c0ffee"], "letters r (read), w (write) and t (takeover)"),
        (&["transfer", "00c0ffee00c0ffee", "0000000000000000"], "an owner is 16 hex digits"),
        (&["lifetime", "00c0ffee00c0ffee", "--heir", "bob"], "an owner is 16 hex digits"),
        (&["lifetime", "00c0ffee00c0ffee", "--grace", "1500ms"], "whole number of seconds"),
        (&["lifetime", "00c0ffee00c0ffee", "--ttl", "0s"], "at least 1s"),
        (&["watch"], "POINTER"),
        (&["reserve", "--access", "x"], "letters r (read)"),
        (&["ping", "-n", "0"], "0 is not in 1.."),
        (&["serve", "--threads", "0"], "0 is not in 1.."),
        (&["ping", "--timeout", "5"], "30s"),
        (&["ls", "--server", "::1:7420"], "brackets"),
        (&["ls", "--bind", "localhost"], "--bind"),
    ];
    for (args, words) in cases {
        run(&mut netswap(args.iter().copied())).fails(2, &[words]);
    }
}
