//! Nothing of the protocol is left out: the cases use every number of docs/PROTOCOL.md, and every setting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::Path;

use conformance::cases::{self, Action, Case, KEYS, Name, Step};
use conformance::wire;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn all_cases() -> Vec<Case> {
    cases::read(&root().join("server")).unwrap()
}

fn document() -> String {
    std::fs::read_to_string(root().join("../docs/PROTOCOL.md")).unwrap()
}

/// The numbers in the first column of the first table of a section.
fn numbers(document: &str, heading: &str) -> BTreeSet<u8> {
    let section = document.split_once(heading).unwrap_or_else(|| panic!("no {heading}")).1;
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)?.trim().parse().ok()).collect()
}

/// OPCODE and ACCESS of all packets that clients send, or receive.
fn packets(sent: bool) -> BTreeSet<(u8, u8)> {
    let streams = all_cases().into_iter().flat_map(|case| case.streams(sent));
    let packets = streams.flat_map(|stream| wire::packets(&stream));
    packets.filter_map(|packet| packet.header).map(|header| (header.opcode, header.access)).collect()
}

#[track_caller]
fn assert_all(what: &str, wanted: &BTreeSet<u8>, least: usize, used: impl Fn(u8) -> bool) {
    assert!(wanted.len() >= least, "{what}: the document has only {wanted:?}");
    let missing: Vec<u8> = wanted.iter().copied().filter(|number| !used(*number)).collect();
    assert!(missing.is_empty(), "no case has {what} {missing:?}");
}

#[test]
fn every_operation_is_sent() {
    let sent = packets(true);
    let wanted = numbers(&document(), "### 3.1 Table of operations");
    assert_all("opcode", &wanted, 22, |number| sent.iter().any(|(opcode, _)| *opcode == number));
}

#[test]
fn every_reply_is_expected() {
    let received = packets(false);
    let (document, has) = (document(), |code, access| received.contains(&(code, access)));
    let codes = numbers(&document, "### 4.1 Table of reply codes");
    assert_all("reply code", &codes, 13, |number| received.iter().any(|(code, _)| *code == number));
    assert_all("quota", &numbers(&document, "### 4.2 Quotas"), 8, |number| has(8, number));
    assert_all("notification", &numbers(&document, "### 4.3 Notifications"), 8, |number| has(11, number));
    assert_all("violation", &numbers(&document, "### 5.1 Violations"), 5, |number| has(4, number));
    assert_all("detail of INVALID_REQUEST", &BTreeSet::from([1, 2, 3]), 3, |number| has(5, number));
    assert_all("kind of RESOLVED", &BTreeSet::from([0, 1, 3]), 3, |number| has(3, number));
}

#[test]
fn every_setting_is_set() {
    let cases = all_cases();
    let set: BTreeSet<&str> = cases.iter().flat_map(|case| &case.config).map(|setting| setting.key).collect();
    let missing: Vec<&str> = KEYS.into_iter().filter(|key| !set.contains(key)).collect();
    assert!(missing.is_empty(), "no case sets {missing:?}");
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
fn there_are_two_hundred_cases_at_least() {
    let count = all_cases().len();
    assert!(count >= 200, "{count}");
}

/// Over sockets nobody knows in which order a server hears two clients, unless the first has had an answer, or time has
/// passed. What a client is answered must not depend on what another one has sent just before.
#[test]
fn no_case_depends_on_the_order_in_which_two_clients_are_heard() {
    let mut faults = Vec::new();
    for case in all_cases() {
        // Who has sent something that may still be on its way, in the order of sending.
        let mut unheard: Vec<(Name, usize)> = Vec::new();
        for Step { line, action } in &case.steps {
            match action {
                Action::Send(who, _) | Action::HalfClose(who) => {
                    unheard.retain(|(it, _)| it != who);
                    unheard.push((*who, *line));
                }
                Action::Pass(_) => unheard.clear(),
                Action::Receive(who, _) | Action::ReceiveAnyOrder(who, _) | Action::Silent(who) => {
                    let own = unheard.iter().position(|(it, _)| it == who);
                    let before = &unheard[..own.unwrap_or_default()];
                    let fault = |(it, at): &(Name, usize)| {
                        format!("{}:{line}: what {it} sent in line {at} may come after it", case.file)
                    };
                    faults.extend(before.iter().map(fault));
                    unheard.retain(|(it, _)| it != who);
                }
                Action::Stop => faults.extend(unheard.iter().map(|(it, at)| {
                    format!("{}:{line}: what {it} sent in line {at} may come after it", case.file)
                })),
                action => unheard.retain(|(it, _)| Some(*it) != action.who()),
            }
        }
    }
    assert!(faults.is_empty(), "`A silent` is missing, or time that passes:\n{}", faults.join("\n"));
}
