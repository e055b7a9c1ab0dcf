//! The whole server against the naive one of netswap-core's model test, with the fuzzer's choices in the place of chance.

use crate::machine::Play;
use crate::operations::{Ask, Cut, Ending, Flaw, Lapse, Plan, Profile, Transition};
use crate::source::Source;

/// So many things happen at most: more would be only slow.
const MOST: usize = 100;

/// Choices of what happens.
pub fn server(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let plan = plan(&mut source);
    let ending = plan.ending;
    let mut play = Play::new(&plan);
    // Somebody has to be there.
    for address in 0..2 {
        play.apply(Transition::Connect { address, fast: source.flag() });
    }
    for _ in 0..MOST {
        if source.is_empty() {
            break;
        }
        play.apply(transition(&mut source));
        play.check();
    }
    play.finish(ending);
}

fn plan(source: &mut Source<'_>) -> Plan {
    let choice = source.u8();
    Plan {
        profile: [Profile::Wide, Profile::Scarce, Profile::Tight, Profile::Narrow][usize::from(choice & 3)],
        hasty: choice & 4 != 0,
        first_xid: if choice & 8 != 0 { u32::MAX - 3 } else { 1 },
        ending: [Ending::Reset, Ending::HalfClose, Ending::ShutDown][usize::from(choice >> 4) % 3],
    }
}

fn transition(source: &mut Source<'_>) -> Transition {
    let (what, client) = (source.u8(), source.u8());
    match what {
        0..=19 => Transition::Connect { address: client % 5, fast: client >= 100 },
        20..=129 => {
            let ask = ask(source);
            let packets = usize::from(source.u8());
            let packets = if packets < 5 { 1 + packets } else { 100 };
            Transition::Ask { client, ask, packets, cut: cut(source) }
        }
        130..=144 => {
            let asks = (0..2 + source.u8() % 6).map(|_| ask(source)).collect();
            Transition::Burst { client, asks, cut: cut(source) }
        }
        145..=174 => {
            let (upload, packets) = (source.u8(), 1 + usize::from(source.u8()) % 29);
            Transition::Continue { client, upload, packets, cut: cut(source) }
        }
        175..=184 => Transition::Flow { client, cut: cut(source) },
        185..=194 => Transition::Abort { client, xid: source.u8() },
        195..=209 => Transition::Take { client, bytes: 1 + source.len(9000) },
        210..=217 => Transition::TakeAll { client },
        218..=220 => Transition::Violate { client, how: source.u8() },
        221..=224 => Transition::HalfClose { client },
        225..=228 => Transition::Reset { client },
        _ => Transition::Wait { lapse: lapse(source), late: client >= 180 },
    }
}

fn lapse(source: &mut Source<'_>) -> Lapse {
    match source.u8() {
        nanoseconds @ 0..=9 => Lapse::Nanoseconds(nanoseconds.into()),
        seconds @ 10..=59 => Lapse::Seconds(u64::from(seconds) - 10),
        seconds @ 60..=99 => Lapse::Seconds(u64::from(seconds - 60) * 10),
        due => Lapse::Due(i64::from(due % 3) - 1),
    }
}

fn ask(source: &mut Source<'_>) -> Ask {
    let (op, record, access) = (source.u8() % 22, source.u8(), source.u8());
    let len = match source.u8() {
        short @ 0..=119 => usize::from(short) % 40,
        packet @ 120..=159 => usize::from(packet) + 1240,
        two @ 160..=199 => usize::from(two) + 2580,
        some @ 200..=229 => 3000 + 100 * usize::from(some - 200),
        limit @ 230..=249 => 7985 + usize::from(limit - 230),
        many => 30_000 + 2500 * usize::from(many - 250),
    };
    let number = match source.u8() {
        small @ 0..=199 => small.into(),
        200..=239 => source.u16().into(),
        _ => source.u32(),
    };
    let (byte, which) = (source.u8(), source.u8());
    let flaw = match source.u8() {
        0..=229 => Flaw::None,
        bit @ 230..=237 => Flaw::AccessByte(1 << (bit - 230)),
        shorter @ 238..=246 => Flaw::Shorter(1 + shorter % 30),
        _ => Flaw::Longer,
    };
    let xid = source.u8();
    let xid = if xid < 230 { 0 } else { xid };
    Ask { op, record, access, len, byte, number, which, flaw, xid }
}

fn cut(source: &mut Source<'_>) -> Cut {
    let choice = source.u8();
    let mut pieces = |count: u8| {
        let piece = |_| match source.u8() {
            short @ 0..=199 => 1 + usize::from(short) % 30,
            long => 1 + 25 * usize::from(long - 200),
        };
        (0..=count).map(piece).collect()
    };
    match choice {
        0..=169 => Cut::Packets(1 + usize::from(choice) % 5),
        170..=224 => Cut::Pieces(pieces(choice % 5)),
        _ => Cut::Held(pieces(choice % 3)),
    }
}
