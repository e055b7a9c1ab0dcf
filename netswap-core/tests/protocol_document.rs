//! docs/PROTOCOL.md against the server: every worked block byte for byte, and the tables against the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/worked.rs"]
mod worked;

use std::collections::BTreeSet;
use std::net::IpAddr;

use netswap_core::config::{
    Config, Limits, MAX_RECORD, MOST_TURNED_AWAY, OWNER_COST, RECORD_OVERHEAD, SETTINGS_COST,
};
use netswap_core::error::{Invalid, ProtocolError, Quota, Refusal, Violation};
use netswap_core::types::Version;
use netswap_core::wire::{ABORT, Code, HEADER_LEN, MAX_PAYLOAD, Opcode, RUN, WINDOW};

use worked::{Block, Cut};

/// The names of the notifications.
const NOTIFICATIONS: [&str; 8] = [
    "CHANGED",
    "RANGE_CHANGED",
    "ACCESS_CHANGED",
    "OWNER_CHANGED",
    "OWNERSHIP_REQUESTED",
    "DELETED",
    "EXPIRED",
    "ACCESS_LOST",
];

fn document() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PROTOCOL.md");
    std::fs::read_to_string(path).unwrap()
}

fn blocks() -> Vec<Block> {
    worked::blocks(&document()).unwrap_or_else(|problem| panic!("docs/PROTOCOL.md: {problem}"))
}

/// The cells of every table row.
fn rows() -> Vec<Vec<String>> {
    let document = document();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[track_caller]
fn assert_row(rows: &[Vec<String>], cells: &[&str]) {
    let starts =
        |row: &Vec<String>| cells.iter().zip(row).filter(|(cell, it)| cell == it).count() == cells.len();
    assert!(rows.iter().any(starts), "no row of docs/PROTOCOL.md begins with {cells:?}");
}

#[test]
fn every_worked_block_is_what_the_server_does() {
    let blocks = blocks();
    assert!(blocks.len() >= 20, "{} worked blocks", blocks.len());
    let failures: Vec<String> = blocks
        .iter()
        .flat_map(|block| [Cut::Lines, Cut::Bytes].map(|cut| (block, cut)))
        .filter_map(|(block, cut)| worked::replay(block, cut).err().map(|it| format!("{it} ({cut:?})")))
        .collect();
    assert!(failures.is_empty(), "docs/PROTOCOL.md:\n{}", failures.join("\n"));
}

#[test]
fn every_operation_has_a_worked_block() {
    let shown: BTreeSet<u8> =
        blocks().iter().flat_map(|block| worked::messages(block, true)).map(|(opcode, _)| opcode).collect();
    let missing: Vec<_> = Opcode::ALL.iter().filter(|opcode| !shown.contains(&(**opcode as u8))).collect();
    assert!(missing.is_empty(), "without a worked block: {missing:?}");
    assert!(shown.contains(&ABORT), "ABORT has no worked block");
}

#[test]
fn every_reply_code_has_a_worked_block() {
    let shown: BTreeSet<u8> =
        blocks().iter().flat_map(|block| worked::messages(block, false)).map(|(code, _)| code).collect();
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !shown.contains(&(**code as u8))).collect();
    // No quota can be reached under the limits of the examples.
    assert_eq!(missing, [&Code::QuotaExceeded]);
    assert!(shown.contains(&ABORT), "ABORT has no worked block");
}

#[test]
fn every_notification_has_a_worked_block() {
    let kinds: BTreeSet<u8> = blocks()
        .iter()
        .flat_map(|block| worked::messages(block, false))
        .filter(|(code, _)| *code == Code::Notify as u8)
        .map(|(_, kind)| kind)
        .collect();
    let listed: BTreeSet<u8> = rows()
        .iter()
        .filter(|row| row.len() == 4 && NOTIFICATIONS.contains(&row[1].as_str()))
        .map(|row| row[0].parse().unwrap())
        .collect();
    assert_eq!((kinds.len(), kinds), (NOTIFICATIONS.len(), listed));
}

#[test]
fn a_block_that_is_wrong_is_found() {
    let read = |lines: &str| worked::blocks(&format!("text\n```worked\n{lines}\n```\n"));
    let ping = "A> 00 00 00 01 00 00 00 00 08 00 | PING";
    let pong = "A< 00 00 00 01 00 00 00 00 00 00 | its reply";
    let good = read(&format!("# a comment\n{ping}\n\n{pong}\n+ 3 s")).unwrap();
    assert_eq!(worked::replay(&good[0], Cut::Lines), Ok(()));

    let wrong = ["C> 00 | who", "A> 0 | half", "A> pp | what", "A> 00 * | count", "A> 00 * x | count"];
    let more =
        ["A> 00", "A> | nothing", "A? 00 | where", "A gone", "+ 3", "+ x s", "text", "A", "A> 0A | upper"];
    for line in wrong.iter().chain(&more) {
        let problem = read(&format!("{pong}\n{line}")).err().unwrap_or_else(|| panic!("{line} was read"));
        assert!(problem.starts_with("line 4: "), "{line}: {problem}");
    }
    for document in ["```worked\nA> 00 | open", "```worked\n```", " ```worked\n```"] {
        assert!(worked::blocks(document).is_err(), "{document}");
    }

    let other = "A< 00 00 00 01 00 00 00 00 01 00 | another reply";
    let differs = [
        format!("{ping}\n{other}"),
        format!("{ping}\n{pong}\n{pong}"),
        format!("{ping}\n{pong}\nA closed"),
        format!("{ping}\n{pong}\n{ping}"),
        format!("{ping}\n{ping}\n{pong}\n{pong}"),
        format!("{ping}\n+ 1 s\n{pong}"),
        // A violation without `A closed`.
        "A> 00 00 00 01 00 00 00 00 ff 01 | ABORT\nA< 00 00 00 01 00 00 00 00 04 03 | detail 3".to_owned(),
    ];
    for lines in differs {
        let block = &read(&lines).unwrap()[0];
        for cut in [Cut::Lines, Cut::Bytes] {
            assert!(worked::replay(block, cut).is_err(), "{lines}");
        }
    }
}

#[test]
fn operations_and_replies_have_their_numbers_and_names() {
    let rows = rows();
    for opcode in Opcode::ALL {
        assert_row(&rows, &[&(opcode as u8).to_string(), opcode.name()]);
    }
    assert_row(&rows, &[&ABORT.to_string(), "ABORT"]);
    for code in Code::ALL {
        let short = match code {
            Code::Ok => " (OK)",
            Code::Resolved => " (RESOLVED)",
            _ => "",
        };
        assert_row(&rows, &[&(code as u8).to_string(), &format!("{}{short}", code.name())]);
    }
}

#[test]
fn every_operation_of_the_document_is_built() {
    let opcodes: Vec<u8> = Opcode::ALL.iter().map(|opcode| *opcode as u8).collect();
    assert_eq!(opcodes, (0..=20).collect::<Vec<u8>>());
    assert!(document().contains("Opcodes 21 to 254 are unknown in version 1."));
}

#[test]
fn refusals_have_their_numbers_and_sentences() {
    let rows = rows();
    let limit = 7_654_321;
    for quota in Quota::ALL {
        let sentence = Refusal::QuotaExceeded { quota, limit }.to_string().replace("7654321", "{limit}");
        let number = (quota as u8).to_string();
        let row = rows.iter().find(|row| row[0] == number && row.get(2) == Some(&sentence));
        assert!(row.is_some(), "no row for quota {number}: {sentence}");
    }
    for violation in Violation::ALL {
        let name = format!("MALFORMED_PACKET {}", violation as u8);
        assert_row(&rows, &[&name, &ProtocolError::ViolationReported(violation).to_string()]);
    }
    for invalid in [Invalid::AccessByte, Invalid::PayloadLength, Invalid::OperandValue] {
        let name = format!("INVALID_REQUEST {}", invalid as u8);
        assert_row(&rows, &[&name, &Refusal::InvalidRequest(invalid).to_string()]);
    }
    for refusal in [
        Refusal::AccessViolation,
        Refusal::AddressFault,
        Refusal::UnsupportedOp,
        Refusal::RecordTooLarge { limit: 7_654_321 },
    ] {
        assert_row(&rows, &[refusal.name(), &refusal.to_string().replace("7654321", "{limit}")]);
    }
    let refusal = Refusal::VersionMismatch { current: Version(7_654_321) };
    assert_row(&rows, &[refusal.name(), &refusal.to_string().replace("7654321", "{version}")]);
}

#[test]
fn default_limits_are_what_the_document_says() {
    const MIB: u64 = 1 << 20;
    let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
    let rows = rows();
    let limits = Limits::new(1 << 40);
    let config = Config::new(limits.clone(), support::config().identity_key, [0; 32]);
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs());
    assert_row(&rows, &["unfinished requests of a connection", &limits.unfinished_requests.to_string()]);
    let unfinished =
        format!("{}, or the largest request where that is more", mib(limits.connection_unfinished));
    assert_row(&rows, &["unfinished bytes of a connection", &unfinished]);
    assert_row(
        &rows,
        &["replies queued and not completely sent, of a connection", &limits.queued_replies.to_string()],
    );
    let above = format!("the record limit + {}", mib(limits.queued_bytes - u64::from(limits.record)));
    assert_row(&rows, &["unsent reply bytes of a connection", &above]);
    let thousands = format!("{} {:03}", limits.connections / 1000, limits.connections % 1000);
    assert_row(&rows, &["connections of the server", &thousands]);
    assert_row(&rows, &["watches and waiting reads of a connection", &limits.watches.to_string()]);
    let (least, of_total) = (Limits::new(1).places, (1 << 40) / limits.places);
    let least = format!("{} {:03}", least / 1000, least % 1000);
    let places = format!("{least}, or the total / {of_total} if that is larger");
    assert_row(&rows, &["places of all connections together (§7.2)", &places]);
    let longest = format!("{} h", config.times.longest.as_secs() / 3600);
    assert_row(&rows, &["largest grace and ttl that a client may set", &longest]);
    assert_row(&rows, &["default grace", &seconds(config.times.grace)]);
    assert_row(&rows, &["time without a complete packet", &seconds(config.times.slow)]);
    let taken = format!("reply bytes taken in {}", seconds(config.times.slow));
    assert_row(&rows, &[&taken, &format!("{} KiB", config.times.slow_bytes / 1024)]);
    let record = format!(
        "{}, or the total if that is smaller; at most 2^32 - 1 - 64 bytes",
        mib(limits.record.into())
    );
    assert_row(&rows, &["length of a record", &record]);
    assert_eq!(u64::from(MAX_RECORD), (1 << 32) - 1 - 64);
    assert_row(&rows, &["bytes of one owner (§7.2)", "none"]);
    assert_row(&rows, &["records of one owner", "none"]);
    assert_row(&rows, &["connections of one address", "none"]);
    let none = (limits.owner_bytes, limits.owner_records, limits.connections_per_address);
    assert_eq!(none, (None, None, None));

    let text = document();
    for fact in [
        format!("a header of {HEADER_LEN} bytes and a payload of 0 to {MAX_PAYLOAD} bytes"),
        format!("| a record | {RECORD_OVERHEAD} bytes |"),
        format!("an owner without a connection | {SETTINGS_COST} bytes, once |"),
        format!("| an owner with records and no connection | {OWNER_COST} bytes |"),
        format!("{} bytes: with the limits of bytes and of connections", limits.places_held(1)),
        format!("gives places at most {} KiB ahead", WINDOW / 1024),
        format!("up to {} KiB of a reply that is alone", RUN / 1024),
        format!("While {MOST_TURNED_AWAY} connections are being refused"),
    ] {
        assert!(text.contains(&fact), "docs/PROTOCOL.md does not say: {fact}");
    }
}

#[test]
fn addresses_have_the_hashes_of_the_document() {
    let key = support::config().identity_key;
    let mut checked = 0;
    for row in rows() {
        let [addresses, hash] = &row[..] else { continue };
        let spellings: Vec<IpAddr> = addresses.split(" and ").map_while(|it| it.parse().ok()).collect();
        for address in spellings {
            assert_eq!(format!("`{}`", key.owner(address)), *hash, "{address}");
            checked += 1;
        }
    }
    assert_eq!(checked, 6);
}

#[test]
fn every_section_that_the_code_cites_exists() {
    let document = document();
    let sections: BTreeSet<String> = document
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .filter_map(|title| title.split(' ').next().map(str::to_owned))
        .collect();
    let mut cited = 0;
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).unwrap();
            for citation in source.split("docs/PROTOCOL.md §").skip(1) {
                let end =
                    citation.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(citation.len());
                let section = citation[..end].trim_end_matches('.');
                assert!(sections.contains(section), "{} cites §{section}", path.display());
                cited += 1;
            }
        }
    }
    assert!(cited > 20, "{cited} citations");
}
