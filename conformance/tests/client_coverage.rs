//! Nothing of the protocol is left out of the client cases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use conformance::client::{self, Action, CALLS, Case, Message, Server};
use conformance::pattern::{Names, Pattern};
use conformance::text::Scale;
use conformance::wire;

fn all_cases() -> Vec<Case> {
    client::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("client")).unwrap()
}

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md")).unwrap()
}

/// OPCODE and ACCESS of what a client must send, or of what it is sent. Only the first of packets that stand together
/// is looked at, and its XID is not.
fn headers(sent_by_client: bool) -> BTreeSet<(u8, u8)> {
    let mut found = BTreeSet::new();
    let mut packets = |pattern: &Pattern| {
        let bytes: Vec<Option<u8>> = pattern.bytes(&Names::new(), Scale::TRUE);
        let known: Vec<u8> = bytes.iter().map(|byte| byte.unwrap_or_default()).collect();
        found
            .extend(wire::packets(&known).iter().filter_map(|it| it.header).map(|it| (it.opcode, it.access)));
    };
    let mut messages = BTreeSet::new();
    let mut message = |message: &Message| {
        let bytes = message.head.bytes(&Names::new(), Scale::TRUE);
        messages.extend(bytes[4].zip(bytes[5]));
    };
    for case in all_cases() {
        for step in &case.steps {
            match &step.action {
                Action::Receive(pattern) if sent_by_client => packets(pattern),
                Action::ReceiveAnyOrder(patterns) if sent_by_client => patterns.iter().for_each(&mut packets),
                Action::ReceiveMessage(it) if sent_by_client => message(it),
                Action::Send(pattern) if !sent_by_client => packets(pattern),
                Action::SendMessage(it) if !sent_by_client => message(it),
                _ => {}
            }
        }
    }
    found.extend(messages);
    found
}

#[test]
fn every_operation_is_sent() {
    let sent = headers(true);
    let missing: Vec<u8> =
        (0..=20).chain([255]).filter(|code| !sent.iter().any(|(it, _)| it == code)).collect();
    assert!(missing.is_empty(), "no case has opcode {missing:?}");
}

#[test]
fn every_reply_is_answered() {
    let received = headers(false);
    let codes = (0..=11).chain([255]).map(|code| (code, None));
    let details = |code, details: Vec<u8>| details.into_iter().map(move |detail| (code, Some(detail)));
    let wanted = codes
        .chain(details(3, vec![0, 1, 3]))
        .chain(details(5, vec![1, 2, 3]))
        .chain(details(8, (1..=8).collect()))
        .chain(details(11, vec![1, 2, 3, 4, 5, 16, 17, 18]));
    let has = |code, access: Option<u8>| {
        received.iter().any(|it| it.0 == code && access.is_none_or(|access| it.1 == access))
    };
    let missing: Vec<_> = wanted.filter(|(code, access)| !has(*code, *access)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn every_call_is_made_of_a_script_and_of_a_real_server() {
    let made = |real: bool| -> BTreeSet<String> {
        let cases = all_cases().into_iter().filter(|case| (case.server == Server::Real) == real);
        cases.flat_map(|case| case.needs().map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    for (real, not_called) in [(false, &[][..]), (true, &["connect"])] {
        let made = made(real);
        let missing: Vec<&str> = CALLS.map(|(name, ..)| name).to_vec();
        let missing: Vec<&str> =
            missing.into_iter().filter(|it| !made.contains(*it) && !not_called.contains(it)).collect();
        assert!(missing.is_empty(), "nobody calls {missing:?}");
    }
}

#[test]
fn every_case_is_of_a_section_of_the_document() {
    let document = document();
    for case in all_cases() {
        let section = case.id.split('-').next().unwrap();
        let level = "#".repeat(section.split('.').count() + 1);
        let heading = format!("\n{level} {section} ");
        assert!(document.contains(&heading), "{}:{}: no section {section}", case.file, case.line);
    }
}

#[test]
fn every_call_and_every_option_is_in_the_page_on_porting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PORTING.md");
    let page = std::fs::read_to_string(path).unwrap();
    for case in all_cases() {
        for need in case.needs() {
            assert!(page.contains(&format!("`{need}`")), "{}: {need} is not in docs/PORTING.md", case.id);
        }
    }
    for (call, needed, possible) in CALLS {
        let of_call =
            |line: &&str| line.split('|').nth(1).is_some_and(|it| it.contains(&format!("`{call}`")));
        let row = page.lines().find(of_call);
        let row = row.unwrap_or_else(|| panic!("{call} has no row"));
        for value in needed.iter().chain(possible) {
            assert!(row.contains(&format!("`{value}`")), "{call} has no {value}: {row}");
        }
    }
}

#[test]
fn there_are_two_hundred_cases_at_least() {
    let count = all_cases().len();
    assert!(count >= 200, "{count}");
}
