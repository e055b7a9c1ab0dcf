//! However TCP cuts the stream, the server says and does the same (docs/PROTOCOL.md §3.2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;
#[path = "support/transcript.rs"]
mod transcript;

use netswap_core::config::Portions;
use proptest::prelude::*;
use proptest::test_runner::Config;

use support::wire::{self, FULL, abort, header, op, packets, pattern, ping, request};
use transcript::{Choice, Event, build, replay, replay_in_portions};

/// Transcripts that are short enough to be cut at every byte.
fn short() -> Vec<(&'static str, Vec<Event>)> {
    let pointer = transcript::pointers()[0];
    let on = |peer, bytes: Vec<Vec<u8>>| Event::Input(peer, bytes.concat());
    let upload = |xid| packets(xid, op::CREATE, 3, pattern(3000));
    let refused = packets(8, op::UNKNOWN, 0, pattern(2000));
    vec![
        (
            "requests of one packet",
            vec![
                on(0, vec![request(1, op::CREATE, 1, "hello"), ping(2, ""), request(3, op::IDENTIFY, 0, [])]),
                on(
                    1,
                    vec![wire::about(1, op::RESOLVE, pointer, []), wire::about(2, op::DELETE, pointer, [])],
                ),
                on(0, vec![request(4, op::LIST, 0, []), request(5, op::LIST, 1, []), request(6, 77, 0, "x")]),
            ],
        ),
        (
            "interleaved uploads",
            vec![on(
                0,
                vec![
                    upload(1).remove(0),
                    packets(2, op::PING, 0, pattern(1391)).remove(0),
                    ping(3, "x"),
                    upload(1).remove(1),
                    packets(2, op::PING, 0, pattern(1391)).remove(1),
                    upload(1).remove(2),
                    wire::about(4, op::RESOLVE, pointer, []),
                ],
            )],
        ),
        (
            "aborts and refusals",
            vec![on(
                0,
                vec![
                    upload(1).remove(0),
                    abort(1),
                    refused[0].clone(),
                    abort(9),
                    refused[1].clone(),
                    refused[0].clone(),
                    abort(8),
                    ping(8, "free"),
                ],
            )],
        ),
        (
            "a violation and what comes after it",
            vec![
                on(
                    0,
                    vec![
                        upload(1).remove(0),
                        ping(2, "x"),
                        header(1, 1609, op::CREATE, 3),
                        upload(7).concat(),
                    ],
                ),
                Event::Take(0, usize::MAX),
                on(0, vec![ping(3, "nobody listens")]),
            ],
        ),
        (
            "an end in the midst",
            vec![
                on(0, vec![ping(1, "x"), upload(2)[..2].concat(), upload(2).remove(2)[..100].to_vec()]),
                Event::End(0),
            ],
        ),
        (
            "too slow in the midst",
            vec![
                on(0, vec![ping(3, "x"), upload(2).remove(0), ping(1, "x")[..7].to_vec()]),
                Event::Take(0, 100),
                Event::Wait(30),
            ],
        ),
        (
            "watches and waiting reads",
            vec![
                on(0, vec![request(1, op::RESERVE, 3, []), wire::watch(8, pointer, true)]),
                on(
                    1,
                    vec![
                        wire::watch(8, pointer, true),
                        wire::watch(9, pointer, false),
                        wire::about(5, op::RESOLVE, pointer, []),
                        wire::read_range(6, pointer, 1, 2),
                        abort(6),
                        wire::append(1, pointer, "hello"),
                        wire::append(2, pointer, "!"),
                        abort(9),
                    ],
                ),
                on(
                    0,
                    vec![wire::lifetime(2, pointer, 0, 0, 0), wire::permit(3, pointer, 4), ping(8, "taken")],
                ),
                Event::Take(0, usize::MAX),
                on(
                    1,
                    vec![
                        ping(2, "x"),
                        wire::about(3, op::STAT, pointer, []),
                        upload(7).remove(0)[..50].to_vec(),
                    ],
                ),
                Event::End(1),
            ],
        ),
        (
            "an end that is found out in the midst",
            vec![
                on(1, vec![request(1, op::CREATE, 1, "hello"), wire::lifetime(2, pointer, 0, 0, 0)]),
                on(0, vec![wire::watch(8, pointer, true)]),
                // It is gone, and so is its record, but nothing has happened since.
                on(1, vec![header(3, 0, op::ABORT, 1)]),
                on(0, vec![upload(7).remove(0), ping(2, "x"), ping(3, "y")]),
            ],
        ),
        ("a shutdown in the midst", vec![on(0, vec![ping(1, "x"), upload(2).remove(0)]), Event::Shutdown]),
    ]
}

/// Little at a time, but for watches: what happens while they are told in portions folds.
const PORTIONS: Portions = Portions { watches: 256, ..Portions::SMALL };

#[test]
fn a_short_transcript_may_be_cut_anywhere() {
    for (name, events) in short() {
        let whole = replay(&events, |bytes| vec![bytes.len()]);
        assert!(whole.outputs.iter().any(|output| !output.is_empty()), "{name}: nothing is said");
        let single = replay(&events, |bytes| vec![1; bytes.len()]);
        assert!(whole == single, "{name}, byte by byte: {single:#?}, but whole: {whole:#?}");
        let portions = replay_in_portions(&events, PORTIONS, |bytes| vec![bytes.len()]);
        assert!(whole == portions, "{name}, in portions: {portions:#?}, but at once: {whole:#?}");
        let longest = events.iter().map(Event::input_len).max().unwrap_or(0);
        for cut in 1..longest {
            let halves = replay(&events, |bytes| {
                let first = cut.min(bytes.len());
                vec![first, bytes.len() - first]
            });
            assert!(whole == halves, "{name}, cut at {cut}: {halves:#?}, but whole: {whole:#?}");
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_long_transcript_may_be_cut_anyhow(
        choices in proptest::collection::vec(any::<Choice>(), 60..200),
        cuts in proptest::collection::vec(proptest::collection::vec(1..2 * FULL, 1..20), 100),
    ) {
        let events = build(&choices);
        let whole = replay(&events, |bytes| vec![bytes.len()]);
        let single = replay(&events, |bytes| vec![1; bytes.len()]);
        prop_assert!(whole == single, "byte by byte: {single:#?}, but whole: {whole:#?}");
        let portions = replay_in_portions(&events, PORTIONS, |bytes| vec![bytes.len()]);
        prop_assert!(whole == portions, "in portions: {portions:#?}, but at once: {whole:#?}");
        for cut in cuts {
            let mut sizes = cut.iter().copied().cycle();
            let pieces = replay(&events, |bytes| {
                let mut left = bytes.len();
                std::iter::from_fn(|| {
                    let size = sizes.next().unwrap().min(left);
                    left -= size;
                    (size > 0).then_some(size)
                })
                .collect()
            });
            prop_assert!(whole == pieces, "in pieces of {cut:?}: {pieces:#?}, but whole: {whole:#?}");
        }
    }
}

/// The transcripts are worth cutting: together they reach every refusal, every ending and a lot of successes.
#[test]
fn long_transcripts_reach_everything() {
    use netswap_core::error::{Quota, Violation};
    use netswap_core::wire::{Code, Opcode};
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let strategy = proptest::collection::vec(any::<Choice>(), 60..200);
    let mut missing: Vec<String> = Vec::new();
    let outcomes: Vec<_> = (0..300)
        .map(|_| build(&strategy.new_tree(&mut runner).unwrap().current()))
        .map(|events| replay(&events, |bytes| vec![bytes.len()]))
        .collect();
    let all: Vec<_> = outcomes.iter().map(|outcome| outcome.counters()).collect();
    let replies: Vec<_> = outcomes.iter().flat_map(|outcome| outcome.replies()).collect();
    let mut check = |name: String, count: u64| {
        if count == 0 {
            missing.push(name);
        }
    };
    for opcode in Opcode::ALL {
        check(opcode.to_string(), all.iter().map(|it| it.requests(opcode)).sum());
    }
    let kinds = [1, 2, 3, 4, 5, 16, 17, 18].map(|kind| (11, kind));
    for (code, access) in [(0, 0), (3, 0), (3, 1), (3, 3), (10, 0), (255, 0)].into_iter().chain(kinds) {
        let count = replies.iter().filter(|reply| **reply == (code, access)).count();
        check(format!("code {code} with {access}"), count as u64);
    }
    let no_refusals = [Code::Ok, Code::Resolved, Code::NotModified, Code::Notify];
    for code in Code::ALL.into_iter().filter(|it| !no_refusals.contains(it)) {
        check(code.to_string(), all.iter().map(|it| it.refusals(code)).sum());
    }
    for quota in Quota::ALL {
        check(quota.to_string(), all.iter().map(|it| it.quota(quota)).sum());
    }
    for violation in Violation::ALL {
        check(violation.to_string(), all.iter().map(|it| it.violations(violation)).sum());
    }
    check("created".into(), all.iter().map(|it| it.records_created).sum());
    check("deleted".into(), all.iter().map(|it| it.records_deleted).sum());
    check("expired".into(), all.iter().map(|it| it.records_expired).sum());
    check("slow requests".into(), all.iter().map(|it| it.slow_requests).sum());
    check("slow readers".into(), all.iter().map(|it| it.slow_readers).sum());
    assert!(missing.is_empty(), "never reached: {missing:?}");
}
