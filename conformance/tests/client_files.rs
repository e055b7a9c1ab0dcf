//! Errors of files of client cases are found, and say where they are and what should stand there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use conformance::client::{Action, Server, parse};

#[track_caller]
fn assert_error(lines: &str, line: usize, expected: &str, found: &str) {
    let text = format!("netswap-client-cases 1\n{lines}");
    let error = parse("client/3-requests.txt", &text).expect_err("an error").to_string();
    let start = format!("client/3-requests.txt:{line}: expected {expected}");
    assert!(error.starts_with(&start) && error.ends_with(&format!("found {found}")), "{error}");
}

/// A case around some lines.
fn case(lines: &str) -> String {
    format!("case 3-01 A title\nconnects\ncall 1 list\n{lines}\n1 returns pointers=\n")
}

#[test]
fn a_case_is_read_step_by_step() {
    let text = "netswap-client-cases 1
case 3-07 What it shows
option request-timeout 2 s
connects
call 1 ping data=\"hi\"+00*2 | two letters and two zeros
S< $x:4 00 00 00 04 08 00 | the header
# Between lines that belong together.
S< \"hi\" 00 00
S> $x 00 00 00 00
S> 02 00
+ 200 ms
1 fails error=refused
";
    let cases = parse("client/3-requests.txt", text).unwrap();
    let [case] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((case.line, &*case.id, &*case.title), (2, "3-07", "What it shows"));
    assert_eq!(case.server, Server::Scripted { greeting: false });
    let lines: Vec<usize> = case.steps.iter().map(|step| step.line).collect();
    assert_eq!(lines, [4, 5, 6, 9, 11, 12]);
    assert!(matches!(&case.steps[1].action, Action::Call(call) if call.value("data") == Some("6869+00*2")));
    assert!(matches!(&case.steps[2].action, Action::Receive(pattern) if pattern.len() == 14));
    assert_eq!(case.needs().collect::<Vec<_>>(), ["ping", "request-timeout"]);
}

#[test]
fn every_line_is_a_step() {
    assert_error("connects\n", 2, "`case ID TEXT` before", "`connects`");
    assert_error(&case("hello"), 5, "`case`, `option`, `server real`, `connects`", "`hello`");
    assert_error(&case("A< 00"), 5, "`case`, `option`", "`A< 00`");
    assert_error(&case("S waits"), 5, "`accepts`, `closes`", "`waits`");
    assert_error(&case("S skips $x"), 5, "`accepts`, `closes`", "`skips $x`");
    assert_error(&case("S< 0x00"), 5, "two lower-case hex digits", "`0x00`");
    assert_error(&case("S<"), 5, "bytes", "the end of the line");
    assert_error(&case("S> $x"), 5, "a name that was bound", "`$x`");
    assert_error(&case("S> $x:4"), 5, "a name without a length", "`$x:4`");
    assert_error(
        &case("S<< 00 00 00 01 03"),
        5,
        "an XID, the OPCODE and the ACCESS byte",
        "`00 00 00 01 03`",
    );
    assert_error(&case("+ 5"), 5, "a time such as", "`5`");
    assert_error(&case("1 sings"), 5, "`returns`, `fails`, `tells`", "`1 sings`");
    assert_error(&case("1 reaches version=2"), 5, "`reaches version=", "`1 reaches version=2`");
    assert_error(&case("driver grows 5 MB"), 5, "`driver grows NUMBER MiB`", "`driver grows 5 MB`");
    assert_error(&case("cancel all"), 5, "the number of a call", "`all`");
}

#[test]
fn calls_have_their_values() {
    assert_error(&case("call 2 sing"), 5, "a call: `connect`, `create`", "`sing`");
    assert_error(&case("call 2"), 5, "a word follows the number", "`2`");
    assert_error(&case("call two list"), 5, "a line begins with the number", "`two list`");
    assert_error(&case("call 2 ping"), 5, "`data=` of ping", "none");
    assert_error(&case("call 2 list data=41"), 5, "a value of list", "`data`");
    assert_error(&case("call 2 ping 41"), 5, "`41` is not KEY=VALUE", "`2 ping 41`");
    assert_error(&case("call 2 ping data=xyz"), 5, "data such as", "`xyz`");
    assert_error(&case("call 2 ping data=41 data=42"), 5, "every key once", "`data`");
}

#[test]
fn options_are_known_and_come_first() {
    let option = |line| format!("case 3-01 A title\n{line}\nconnects\ncall 1 list\n1 returns pointers=\n");
    assert_error(&option("option colour red"), 3, "an option: `bind`", "`colour`");
    assert_error(&option("option max-reply much"), 3, "a number", "`much`");
    assert_error(&option("option request-timeout 5"), 3, "a time such as", "`5`");
    assert_error(&option("option reconnect off"), 3, "`yes` or `no`", "`off`");
    assert_error(&option("option bind home"), 3, "an IP address", "`home`");
    assert_error(&option("option reconnect no\noption reconnect yes"), 4, "every option once", "`reconnect`");
    assert_error(
        &case("option reconnect no"),
        5,
        "`option` and `server` before the first step",
        "one after it",
    );
}

#[test]
fn a_case_cannot_pass_by_showing_nothing() {
    assert_error("case 3-01 A title\n", 2, "a call that returns, fails or tells", "a case without any");
    assert_error("case 3-01 A title\nconnects\n", 2, "a call that returns, fails", "a case without any");
    assert_error(
        "case 3-01 A title\nconnects\ncall 1 list\n",
        2,
        "`1 returns`, `1 fails` or `cancel 1`",
        "the end of the case",
    );
    assert_error(
        "case 3-01 A title\nconnects\ncall 1 list\ncancel 1\n",
        2,
        "a call that returns, fails or tells",
        "a case without any",
    );
    assert_error(
        "case 3-01 A title\ncall 0 connect\n0 returns\n",
        2,
        "a call that returns, fails or tells",
        "a case without any",
    );
}

#[test]
fn steps_fit_together() {
    assert_error("case 3-01 A title\ncall 1 list\n", 3, "`connects` before the first call", "none");
    assert_error(&case("connects"), 5, "a new number", "0, which is another call's");
    assert_error(&case("call 1 list"), 5, "a new number", "1, which is another call's");
    assert_error(&case("call 2 connect"), 5, "number 0 for connect", "2");
    assert_error(&case("call 0 list"), 5, "number 0 for connect", "0");
    assert_error(&case("2 returns"), 5, "`call 2 ...` before", "none");
    assert_error(&case("1 returns\ncancel 1"), 6, "a call that has not ended", "1");
    assert_error(
        &case("1 tells change=deleted"),
        5,
        "a watch, or `events`, that has returned",
        "no such call",
    );
    assert_error(&case("1 ends"), 5, "a watch, or `events`, that has returned", "no such call");
    let watch = "call 2 watch pointer=0000000000000001 push=no\n2 returns version=1\n";
    assert_error(&case(&format!("{watch}2 returns version=1")), 7, "one `returns` of a call", "another one");
    let real = "case 3-01 A title\nserver real\nconnects\ncall 1 list\nS< 00\n1 returns\n";
    assert_error(real, 6, "no script for a real server", "a step of the server");
}
