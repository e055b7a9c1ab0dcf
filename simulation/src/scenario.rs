//! What a seed decides beforehand: the server's limits and times, and who takes part.

use std::time::Duration;

use fastrand::Rng;
use netswap_core::client;
use netswap_core::config::{Config, Limits, Portions};
use netswap_core::identity::IdentityKey;
use netswap_core::types::Xid;

use crate::sabotage::Sabotage;
use crate::stage::Setting;

/// What a seed decides beforehand.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// How the server is started.
    pub setting: Setting,
    /// How many clients of their own address there are, and how many more that share one.
    pub hosts: u8,
    /// Clients that keep to the protocol.
    pub honest: usize,
    /// Clients that do not.
    pub hostile: usize,
    /// What the honest ones are told.
    pub client: client::Config,
    /// Of ten thousand steps so many are faults of the network.
    pub trouble: u32,
    /// The longest data of a request.
    pub longest: usize,
    /// Bytes that are on their way on a connection in one direction.
    pub window: usize,
    /// The longest delay of the network, in milliseconds.
    pub delay: u64,
}

impl Scenario {
    /// What this seed decides.
    #[must_use]
    pub fn new(seed: u64, sabotage: Option<Sabotage>) -> Self {
        let mut random = Rng::with_seed(seed ^ 0x6e65_7473_7761_7000);
        let packetwise = random.u8(0..10) < 6;
        let longest = [300, 3000, 3000, 20_000, 200_000][random.usize(0..5)];
        let mut limits = Limits::new(1 << 30);
        limits.record = (longest as u32) * random.u32(1..4) + random.u32(0..100);
        limits.connections = if random.u8(0..8) == 0 { random.u32(4..8) } else { 1000 };
        limits.watches = if random.u8(0..4) == 0 { random.u32(0..6) } else { 4096 };
        limits.unfinished_requests = if random.u8(0..3) == 0 { random.u32(1..8) } else { 1024 };
        limits.queued_replies = if random.u8(0..3) == 0 { random.u32(4..40) } else { 1024 };
        limits.queued_bytes = u64::from(limits.record) + if random.bool() { 4000 } else { 4 << 20 };
        limits.connections_per_address = (random.u8(0..8) == 0).then(|| random.u32(1..4));
        if packetwise && random.bool() {
            let record = u64::from(limits.record);
            limits.total = record * random.u64(2..12) + random.u64(0..20_000);
            let largest = if random.bool() { record + 16 } else { 1400 };
            limits.unfinished = largest + random.u64(0..record);
            limits.connection_unfinished = largest + random.u64(0..1000);
        }
        if random.u8(0..5) == 0 {
            limits.owner_bytes = Some(u64::from(limits.record) * 2 + random.u64(0..20_000));
        }
        if random.u8(0..5) == 0 {
            limits.owner_records = Some(random.u64(1..20));
        }
        let (mut key, mut pointers) = ([0; 16], [0; 32]);
        random.fill(&mut key);
        random.fill(&mut pointers);
        let mut config = Config::new(limits, IdentityKey(key), pointers);
        config.times.grace = Duration::from_millis([0, 1, 5000, 20_000, 300_000][random.usize(0..5)]);
        config.times.slow = Duration::from_secs([2, 5, 30][random.usize(0..3)]);
        config.times.longest = Duration::from_secs([60, 3600][random.usize(0..2)]);
        if config.seed[0].is_multiple_of(2) {
            config.portions = Portions { watches: 256, ..Portions::SMALL };
        }
        if config.seed[1].is_multiple_of(2) {
            // Records of a few packets have many chunks, and what comes in one packet has none.
            config.chunk = 701;
        }
        let client = client::Config {
            max_reply: 1 << 30,
            max_transactions: (config.limits.unfinished_requests as usize).min(64),
            idle_timeout: Duration::from_secs([1, 3, 10][random.usize(0..3)]),
            first_xid: Xid(if random.u8(0..4) == 0 { u32::MAX - random.u32(0..50) } else { 1 }),
        };
        Self {
            setting: Setting { config, packetwise, portion: None, sabotage },
            hosts: random.u8(1..5),
            honest: random.usize(2..7),
            hostile: random.usize(0..3),
            client,
            trouble: [0, 20, 100, 300][random.usize(0..4)],
            longest,
            window: [500, 5000, 64 * 1024, 256 * 1024][random.usize(0..4)],
            delay: [0, 3, 30, 200][random.usize(0..4)],
        }
    }

    /// Whether what heirs get depends on who gets it first.
    #[must_use]
    pub fn limits_owners(&self) -> bool {
        let limits = &self.setting.config.limits;
        limits.owner_bytes.is_some() || limits.owner_records.is_some()
    }
}
