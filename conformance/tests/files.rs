//! Errors of case files are found, and say where they are and what should stand there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use conformance::cases::{self, Action, Name, Step, parse};

/// The error of a file with these lines after its first.
#[track_caller]
fn error(lines: &str) -> String {
    let text = format!("netswap-server-cases 1\n{lines}");
    parse("server/3.12-ping.txt", &text).expect_err("an error").to_string()
}

#[track_caller]
fn assert_error(lines: &str, line: usize, expected: &str, found: &str) {
    let error = error(lines);
    let start = format!("server/3.12-ping.txt:{line}: expected {expected}");
    assert!(error.starts_with(&start) && error.ends_with(&format!("found {found}")), "{error}");
}

/// A case around some lines of A.
fn case(lines: &str) -> String {
    format!("case 3.12-01 A title\nA opens 127.0.0.1\n{lines}\nA< 00\nA closed\n")
}

#[test]
fn a_case_is_read_step_by_step() {
    let text = "netswap-server-cases 1
# A comment.

case 3.12-07 What it shows
config record 1000
A opens 127.0.0.1
A> 0a 0b | first
# Between lines that belong together.
A> 0c
A< 00 | a reply
+ 1500 ms
A half-closes
A closed
";
    let cases = parse("server/3.12-ping.txt", text).unwrap();
    let [case] = &cases[..] else { panic!("{cases:?}") };
    assert_eq!((case.line, case.id.as_str(), case.title.as_str()), (4, "3.12-07", "What it shows"));
    assert_eq!(case.config.iter().map(|it| it.key).collect::<Vec<_>>(), ["record"]);
    assert_eq!(case.time().as_millis(), 1500);
    let lines: Vec<usize> = case.steps.iter().map(|step| step.line).collect();
    assert_eq!(lines, [6, 7, 10, 11, 12, 13]);
    let Step { action: Action::Send(Name('A'), pattern), .. } = &case.steps[1] else { panic!("{case:?}") };
    assert_eq!((pattern.len(), pattern.line_of(2).unwrap().number), (3, 9));
}

#[test]
fn the_file_and_its_cases_have_names() {
    let first = parse("server/2.1-x.txt", "netswap-server-cases 2\n").unwrap_err().to_string();
    assert_eq!(
        first,
        "server/2.1-x.txt:1: expected `netswap-server-cases 1`, found `netswap-server-cases 2`"
    );
    assert_error("# nothing\n", 2, "a `case ID TEXT`", "the end of the file");
    assert_error("A opens 127.0.0.1\n", 2, "`case ID TEXT` before", "`A opens 127.0.0.1`");
    assert_error("case 3.1-01 x\n", 2, "an ID of this file's section, `3.12-` and two digits", "`3.1-01`");
    assert_error("case 3.12-1 x\n", 2, "an ID of this file's section", "`3.12-1`");
    assert_error("case 3.12-01\n", 2, "a text that says what", "nothing");
    let twice = format!("{}{}", case("A> 00"), case("A> 00"));
    assert_error(&twice, 7, "every ID once", "3.12-01 again");
}

#[test]
fn every_line_is_a_step() {
    assert_error(
        &case("hello"),
        4,
        "`case`, `config`, `+`, `server stops` or a connection's name",
        "`hello`",
    );
    assert_error(&case("A"), 4, "`case`, `config`, `+`", "`A`");
    assert_error(&case("A waits"), 4, "`opens ADDRESS`, `silent`", "`waits`");
    assert_error(&case("B opens home"), 4, "an IP address after `opens`", "`home`");
    assert_error(&case("+ 5"), 4, "a time such as `5 s` or `200 ms`", "`5`");
    assert_error(&case("+ 5 min"), 4, "a time such as", "`5 min`");
    assert_error(&case("A> 0x00"), 4, "two lower-case hex digits", "`0x00`");
    assert_error(&case("A>"), 4, "bytes", "the end of the line");
    assert_error(&case("A> $ptr"), 4, "a name that was bound", "`$ptr`");
    assert_error(&case("A> $ptr:8"), 4, "a name without a length", "`$ptr:8`");
}

#[test]
fn settings_are_known_and_come_first() {
    let config = |line| format!("case 3.12-01 A title\n{line}\nA opens 127.0.0.1\nA< 00\nA closed\n");
    assert_error(&config("config size 3"), 3, "a key of record, total", "`size`");
    assert_error(&config("config record"), 3, "a number of at most 4294967295 for record", "nothing");
    assert_error(&config("config record 4294967296"), 3, "a number of at most", "`4294967296`");
    assert_error(&config("config grace 300"), 3, "a time such as", "`300`");
    assert_error(&config("config seed 00"), 3, "64 lower-case hex digits for seed", "`00`");
    assert_error(&config("config record 1\nconfig record 1"), 4, "every key once", "`record`");
    assert_error(&case("config record 1"), 4, "`config` before the first step", "it after one");
}

#[test]
fn a_case_cannot_pass_by_showing_nothing() {
    let open = "case 3.12-01 A title\nA opens 127.0.0.1\n";
    assert_error("case 3.12-01 A title\n", 2, "bytes that are received", "a case without any");
    assert_error(&format!("{open}A> 00\nA closed\n"), 2, "bytes that are received", "a case without any");
    assert_error(
        &format!("{open}A silent\nA stays open\n"),
        2,
        "bytes that are received",
        "a case without any",
    );
    assert_error(
        &format!("{open}A< 00\n"),
        2,
        "`A closed`, `A stays open`, `A dropped` or `A resets`",
        "the end of the case, without a verdict on A",
    );
}

#[test]
fn steps_fit_together() {
    assert_error(&case("B> 00"), 4, "`B opens ADDRESS` before", "B");
    assert_error(&case("A opens 127.0.0.1"), 4, "a new connection's name", "A, which has been opened");
    assert_error(&case("A closed\nA> 00"), 5, "nothing more of A, which has ended", "this");
    assert_error(&case("A half-closes\nA> 00"), 5, "nothing that A sends, which has half-closed", "this");
    assert_error(&case("A half-closes\nA silent"), 5, "nothing that A sends", "this");
    assert_error(&case("A stops reading"), 5, "`A reads` before", "A, which has stopped reading");
    assert_error(&case("server stops\nserver stops"), 5, "one stop of the server", "another one");
    assert_error(&case("A<* 00 00 00"), 4, "whole packets", "`A<* 00 00 00`");
}

#[test]
fn a_directory_without_cases_is_an_error() {
    let none = cases::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path()).unwrap_err();
    assert!(none.to_string().starts_with("there are no cases in"), "{none}");
    assert!(cases::read(Path::new("no/such/directory")).is_err());
}

/// Whatever is done to a file, it is read or it has an error at one of its lines.
#[test]
fn damaged_files_are_read_or_refused() {
    for entry in Path::new(env!("CARGO_MANIFEST_DIR")).join("server").read_dir().unwrap() {
        let path = entry.unwrap().path();
        let (text, name) = (std::fs::read_to_string(&path).unwrap(), path.display().to_string());
        let lines: Vec<&str> = text.lines().collect();
        let mut refused = 0;
        for at in (0..lines.len()).step_by(lines.len() / 10 + 1) {
            let (before, after) = (lines[..at].join("\n"), lines[at + 1..].join("\n"));
            let middle = lines[at].len() / 2;
            for damaged in ["", "A", &lines[at][..middle], &lines[at][middle..], &lines[at].repeat(2)] {
                if let Err(error) = parse(&name, &format!("{before}\n{damaged}\n{after}")) {
                    assert!(error.line <= lines.len() + 1, "{error}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "{name}");
    }
}
