//! What can happen: requests of every kind, whole and in parts, good and bad, and all that befalls connections.

use proptest::prelude::*;

/// Which of the ways in which a server can be short of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Short of nothing.
    Wide,
    /// Owners, connections and unfinished requests may have little.
    Scarce,
    /// There is little memory in all.
    Tight,
    /// Few replies may wait.
    Narrow,
}

/// How a case ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Reset,
    HalfClose,
    ShutDown,
}

/// What is decided for a whole case.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    /// Whether connections that are too slow are closed.
    pub(crate) hasty: bool,
    pub(crate) first_xid: u32,
    pub(crate) ending: Ending,
}

/// A request, of which the places are filled when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) op: u8,
    /// Which record: some of the numbers are none.
    pub(crate) record: u8,
    pub(crate) access: u8,
    pub(crate) len: usize,
    pub(crate) byte: u8,
    pub(crate) number: u32,
    /// Which owner, version, grace.
    pub(crate) which: u8,
    pub(crate) flaw: Flaw,
    /// 0 for the next XID; otherwise one that was used before.
    pub(crate) xid: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    AccessByte(u8),
    Shorter(u8),
    Longer,
}

/// How bytes reach the server.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// Packets whole, so many at once.
    Packets(usize),
    /// In pieces of these lengths, over and over.
    Pieces(Vec<usize>),
    /// Only these pieces; the rest later.
    Held(Vec<usize>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Lapse {
    Nanoseconds(u64),
    Seconds(u64),
    /// To the next deadline and so many nanoseconds beyond it.
    Due(i64),
}

#[derive(Clone, Debug)]
pub(crate) enum Transition {
    Connect {
        address: u8,
        fast: bool,
    },
    /// A request of which so many packets go now, at least.
    Ask {
        client: u8,
        ask: Ask,
        packets: usize,
        cut: Cut,
    },
    /// Several small requests at once.
    Burst {
        client: u8,
        asks: Vec<Ask>,
        cut: Cut,
    },
    /// An upload goes on.
    Continue {
        client: u8,
        upload: u8,
        packets: usize,
        cut: Cut,
    },
    /// What was held back goes on its way.
    Flow {
        client: u8,
        cut: Cut,
    },
    Abort {
        client: u8,
        xid: u8,
    },
    Take {
        client: u8,
        bytes: usize,
    },
    TakeAll {
        client: u8,
    },
    /// A packet against the rules.
    Violate {
        client: u8,
        how: u8,
    },
    HalfClose {
        client: u8,
    },
    Reset {
        client: u8,
    },
    /// Time passes; where the server is late, it does what is due only afterwards.
    Wait {
        lapse: Lapse,
        late: bool,
    },
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..40_usize,
        2 => 1360..1400_usize,
        2 => 2740..2800_usize,
        2 => 3000..6000_usize,
        1 => 7985..8005_usize,
        1 => 30_000..45_000_usize,
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let op = prop_oneof![
        6 => Just(0_u8), 2 => Just(1), 4 => Just(2), 4 => Just(3), 2 => Just(4), 2 => Just(5), 2 => Just(6),
        1 => Just(7), 3 => Just(8), 3 => Just(9), 3 => Just(10), 4 => Just(11), 4 => Just(12), 3 => Just(13),
        3 => Just(14), 3 => Just(15), 6 => Just(16), 2 => Just(17), 3 => Just(18), 4 => Just(19), 2 => Just(20),
        1 => 21..=254_u8,
    ];
    let flaw = prop_oneof![
        60 => Just(Flaw::None),
        1 => (1..=255_u8).prop_map(Flaw::AccessByte),
        1 => (1..30_u8).prop_map(Flaw::Shorter),
        1 => Just(Flaw::Longer),
    ];
    let number = prop_oneof![4 => 0..40_u32, 2 => 0..6000_u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let access = prop_oneof![3 => Just(7_u8), 2 => Just(3), 2 => 0..8_u8];
    let xid = prop_oneof![20 => Just(0_u8), 1 => any::<u8>()];
    (op, any::<u8>(), access, len(), any::<u8>(), number, any::<u8>(), flaw, xid).prop_map(
        |(op, record, access, len, byte, number, which, flaw, xid)| Ask {
            op,
            record,
            access,
            len,
            byte,
            number,
            which,
            flaw,
            xid,
        },
    )
}

fn cut() -> impl Strategy<Value = Cut> {
    let pieces = || prop_oneof![3 => 1..30_usize, 1 => 1..1400_usize];
    prop_oneof![
        6 => (1..6_usize).prop_map(Cut::Packets),
        2 => prop::collection::vec(pieces(), 1..6).prop_map(Cut::Pieces),
        1 => prop::collection::vec(pieces(), 1..4).prop_map(Cut::Held),
    ]
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let profile = prop_oneof![
        3 => Just(Profile::Wide),
        2 => Just(Profile::Scarce),
        2 => Just(Profile::Tight),
        2 => Just(Profile::Narrow),
    ];
    let ending =
        prop_oneof![2 => Just(Ending::Reset), 1 => Just(Ending::HalfClose), 1 => Just(Ending::ShutDown)];
    let first_xid = prop_oneof![Just(1_u32), Just(u32::MAX - 3)];
    (profile, any::<bool>(), first_xid, ending).prop_map(|(profile, hasty, first_xid, ending)| Plan {
        profile,
        hasty,
        first_xid,
        ending,
    })
}

pub(crate) fn transition() -> impl Strategy<Value = Transition> {
    let lapse = prop_oneof![
        1 => (0..3_u64).prop_map(Lapse::Nanoseconds),
        2 => (0..12_u64).prop_map(Lapse::Seconds),
        1 => (12..400_u64).prop_map(Lapse::Seconds),
        5 => (-1..=1_i64).prop_map(Lapse::Due),
    ];
    let any = any::<u8>;
    prop_oneof![
        8 => (0..5_u8, prop::bool::weighted(0.6))
            .prop_map(|(address, fast)| Transition::Connect { address, fast }),
        50 => (any(), ask(), prop_oneof![3 => Just(100), 2 => 1..4_usize], cut())
            .prop_map(|(client, ask, packets, cut)| Transition::Ask { client, ask, packets, cut }),
        6 => (any(), prop::collection::vec(ask(), 2..8), cut())
            .prop_map(|(client, asks, cut)| Transition::Burst { client, asks, cut }),
        14 => (any(), any(), 1..30_usize, cut())
            .prop_map(|(client, upload, packets, cut)| Transition::Continue { client, upload, packets, cut }),
        5 => (any(), cut()).prop_map(|(client, cut)| Transition::Flow { client, cut }),
        6 => (any(), any()).prop_map(|(client, xid)| Transition::Abort { client, xid }),
        8 => (any(), prop_oneof![1..60_usize, 1..9000_usize])
            .prop_map(|(client, bytes)| Transition::Take { client, bytes }),
        4 => any().prop_map(|client| Transition::TakeAll { client }),
        1 => (any(), any()).prop_map(|(client, how)| Transition::Violate { client, how }),
        2 => any().prop_map(|client| Transition::HalfClose { client }),
        2 => any().prop_map(|client| Transition::Reset { client }),
        8 => (lapse, prop::bool::weighted(0.3)).prop_map(|(lapse, late)| Transition::Wait { lapse, late }),
    ]
}
