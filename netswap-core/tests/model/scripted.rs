//! Plays that are written down: what must not depend on chance to come about.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::machine::Play;
use crate::operations::{Ask, Cut, Ending, Flaw, Lapse, Plan, Profile, Transition, plan, transition};
use crate::support::wire::op;

/// Some record that is there.
const SOME: u8 = 240;

fn ask(op: u8, len: usize) -> Ask {
    let (record, access, byte, number, which) = (SOME, 7, 1, 0, 0);
    Ask { op, record, access, len, byte, number, which, flaw: Flaw::None, xid: 0 }
}

fn whole(client: u8, ask: Ask) -> Transition {
    Transition::Ask { client, ask, packets: usize::MAX, cut: Cut::Packets(1) }
}

/// A play of these steps, checked after each.
fn play(profile: Profile, steps: impl IntoIterator<Item = Transition>) -> Play {
    let plan = Plan { profile, hasty: false, first_xid: u32::MAX - 1, ending: Ending::Reset };
    let mut play = Play::new(&plan);
    for step in steps {
        play.apply(step);
        play.check();
    }
    play
}

#[test]
fn an_abort_at_every_point_of_every_operation_leaves_one_terminal_and_nothing_else() {
    // The last one asks for what is longer than the server looks ahead; its reply is abandoned after so many bytes.
    let replies = [0, 1, 10, 1399, 1400, 5000, 10_000, 100_000];
    for reserved in [false, true] {
        for opcode in 0..=op::UNKNOWN {
            for (client, packets) in [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)] {
                for bytes in replies {
                    let first = if reserved { ask(op::RESERVE, 0) } else { ask(op::CREATE, 80_000) };
                    let request = Ask { number: 7, ..ask(opcode, 3000) };
                    let cut = Cut::Pieces(vec![700]);
                    let steps = [
                        Transition::Connect { address: 0, fast: false },
                        Transition::Connect { address: 1, fast: false },
                        whole(0, first),
                        Transition::TakeAll { client: 0 },
                        Transition::Ask { client, ask: request, packets, cut },
                        Transition::Take { client, bytes },
                        Transition::Abort { client, xid: 1 },
                        Transition::TakeAll { client },
                        // The XID is free again.
                        whole(client, Ask { xid: 24, ..ask(op::PING, 10) }),
                        Transition::TakeAll { client },
                    ];
                    play(Profile::Wide, steps).finish(Ending::Reset).expect("an order that is clear");
                }
            }
        }
    }
}

#[test]
fn an_xid_used_again_while_its_reply_waits_has_both_answers_in_order() {
    for opcode in [op::PING, op::RESOLVE, op::IF_CHANGED, op::WATCH, op::LIST, op::REPLACE] {
        for bytes in [0, 1, 1400, 20_000, 90_000] {
            for abort in [false, true] {
                // Two connections, with the same XIDs across the end of their count.
                let mut steps: Vec<Transition> =
                    (0..2).map(|address| Transition::Connect { address, fast: false }).collect();
                steps.extend((0..2).map(|client| whole(client, ask(op::CREATE, 80_000))));
                steps.extend((0..2).map(|client| whole(client, ask(op::RESOLVE, 0))));
                let again = Ask { xid: 24, which: 1, ..ask(opcode, 2000) };
                steps.extend((0..2).map(|client| whole(client, again.clone())));
                steps.extend((0..2).map(|client| Transition::Take { client, bytes }));
                if abort {
                    steps.push(Transition::Abort { client: 0, xid: 1 });
                }
                steps.extend((0..2).map(|client| Transition::TakeAll { client }));
                play(Profile::Wide, steps).finish(Ending::ShutDown).expect("an order that is clear");
            }
        }
    }
}

/// How the record comes to its end, with whoever deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ttl,
    Grace,
    GraceWithHeir,
}

#[test]
fn takeover_write_delete_and_expiry_at_one_instant_have_an_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let instants = (-1..=1).flat_map(|a| (a..=1).flat_map(move |b| (b..=1).map(move |c| [a, b, c])));
    let mut plays = 0;
    for times in instants {
        for order in orders {
            for end in [End::Ttl, End::Grace, End::GraceWithHeir] {
                for late in [false, true] {
                    one_instant(times, order, end, late);
                    plays += 1;
                }
            }
        }
    }
    assert_eq!(plays, 360);
}

fn one_instant(times: [i64; 3], order: [u8; 3], end: End, late: bool) {
    // The owner is 0; 1 takes over, 2 writes and watches. Once the owner is gone, 1 deletes.
    let mut steps: Vec<Transition> =
        (0..3).map(|address| Transition::Connect { address, fast: true }).collect();
    steps.push(whole(0, ask(op::CREATE, 10)));
    steps.push(whole(2, Ask { which: 1, ..ask(op::WATCH, 0) }));
    let lifetime = match end {
        End::Ttl => Some(Ask { byte: 0, number: 10, ..ask(op::SET_LIFETIME, 0) }),
        End::Grace => None,
        End::GraceWithHeir => Some(Ask { which: 8, ..ask(op::SET_LIFETIME, 0) }),
    };
    steps.extend(lifetime.map(|lifetime| whole(0, lifetime)));
    let gone = u8::from(end != End::Ttl);
    if gone == 1 {
        steps.push(Transition::Reset { client: 0 });
    }
    let mut before = None;
    for (at, who) in times.into_iter().zip(order) {
        let lapse = before.map_or(Lapse::Due(at), |before| Lapse::Nanoseconds((at - before) as u64));
        before = Some(at);
        steps.push(Transition::Wait { lapse, late });
        steps.push(match who {
            0 => whole(1 - gone, ask(op::TAKEOVER, 0)),
            1 => whole(2 - gone, ask(op::REPLACE, 20)),
            _ => whole(0, ask(op::DELETE, 0)),
        });
    }
    play(Profile::Wide, steps).finish(Ending::HalfClose).expect("an order that is clear");
}

#[test]
fn reads_and_deletes_go_on_when_the_memory_is_used_up() {
    let connect = |address| Transition::Connect { address, fast: true };
    let mut play = play(Profile::Tight, [connect(0), connect(1)]);
    for _ in 0..3 {
        play.apply(whole(0, ask(op::CREATE, 6144)));
    }
    let full = play.world.bytes();
    assert!(play.naive.store.rules.total - full < 2000);
    for turn in 0..4500 {
        play.apply(whole(1, ask(op::RESOLVE, 0)));
        play.apply(whole(0, Ask { number: turn, ..ask(op::READ_RANGE, 100) }));
        if turn % 5 == 0 {
            // What a delete gives back can be used again, to the last byte.
            play.apply(whole(0, ask(op::CREATE, 6144)));
            assert!(play.received.contains(&(8, 1)), "the memory is used up");
            play.apply(whole(0, ask(op::DELETE, 0)));
            play.apply(whole(0, ask(op::CREATE, 6144)));
        }
        play.check();
        assert_eq!(play.world.bytes(), full);
    }
    play.finish(Ending::HalfClose).expect("an order that is clear");
}

/// What the plays of chance come to, so that nothing of this drops out of sight.
#[test]
fn the_plays_reach_everything() {
    let mut runner = TestRunner::deterministic();
    let strategy = (plan(), prop::collection::vec(transition(), 150..300));
    let (mut received, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..300 {
        let (plan, steps) = strategy.new_tree(&mut runner).unwrap().current();
        let mut play = Play::new(&plan);
        for step in steps {
            play.apply(step);
            play.check();
        }
        received.extend(play.received.iter().copied());
        answered.extend(play.naive.store.answered.iter().copied());
        play.finish(plan.ending);
    }
    let kinds =
        [(0, 0..=0), (1, 0..=0), (2, 0..=0), (4, 1..=5), (5, 1..=3), (6, 0..=0), (7, 0..=0), (8, 1..=8)];
    let more = [(9, 0..=0), (10, 0..=0), (11, 1..=5), (11, 16..=18), (255, 0..=0)];
    let expected =
        kinds.into_iter().chain(more).flat_map(|(code, kinds)| kinds.map(move |kind| (code, kind)));
    let expected: BTreeSet<_> = expected.chain([(3, 0), (3, 1), (3, 3)]).collect();
    assert_eq!(received, expected);
    for opcode in 0..=20 {
        let success = if matches!(opcode, op::RESOLVE | op::READ_RANGE | op::IF_CHANGED) { 3 } else { 0 };
        assert!(answered.contains(&(opcode, success)), "operation {opcode} has never succeeded");
        if !matches!(opcode, op::CREATE | op::IDENTIFY | op::PING | op::LIST | op::RESERVE) {
            let refused = [1, 2].map(|code| answered.contains(&(opcode, code)));
            assert_eq!(refused, [true, true], "operation {opcode} has never been refused");
        }
    }
}
