//! What a server is told at its start: limits, times, keys (docs/PROTOCOL.md §7).

use core::hash::Hasher;
use core::time::Duration;

use foldhash::fast::FixedState;
use siphasher::sip::SipHasher24;

use crate::identity::IdentityKey;
use crate::memory::CHUNK;
use crate::wire::{FULL_PACKET, MOVE_FROM, READ_AT_MOST, WINDOW};

/// The longest record that any server can hold: 2^32 - 1 - 64 bytes, so that a request with its operands fits a message.
pub const MAX_RECORD: u32 = u32::MAX - 64;

/// The bytes that every record counts beyond its data.
pub const RECORD_OVERHEAD: usize = 128;

/// The bytes that a record counts beside, where it has settings of its own, or a deadline of its own because it came to an
/// owner that was gone: its entry in a table, and those in queues of what ends when.
pub const SETTINGS_COST: usize = 384;

/// The bytes that an owner counts that has records and no connection.
pub const OWNER_COST: usize = 256;

/// Refused connections that may be told so at one time; more are dropped without a word (docs/PROTOCOL.md §4.2).
pub const MOST_TURNED_AWAY: u32 = 256;

/// The most bytes of operands that a request with data has: so much longer than a record can a request be.
pub(crate) const LARGEST_OPERANDS: u64 = 16;

/// The most bytes that a place takes: what a request, a reply or a third of a watch needs in tables and queues, beside
/// data (docs/PROTOCOL.md §7.2).
pub(crate) const PLACE: usize = 1024;

/// The most room of an unfinished request for what is still to come: a buffer that was full at a little more than 8 KiB is
/// doubled then, and takes 20 KiB.
const ROOM: usize = 12 << 10;

/// The most bytes with which an output window refers to a piece of data.
pub(crate) const REFERENCE: usize = 128;

/// The most bytes of a record's slot and its entry in the index.
const SLOT: usize = 64;

/// The places of a watch or a waiting read: while it stands for its entries in tables, the largest being a whole node of a
/// tree, where nobody else watches the record; and when it has ended for its last notifications.
pub(crate) const STANDING: usize = 3;

/// Unfinished requests that a connection has places of its own for, and as many refused ones being discarded.
pub(crate) const OWN_REQUESTS: usize = 16;

/// Queued replies that a connection has places of its own for.
pub(crate) const OWN_REPLIES: usize = 64;

const MIB: u64 = 1 << 20;

/// Everything that a server is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// What is refused.
    pub limits: Limits,
    /// When things end.
    pub times: Times,
    /// The key under which addresses become owners.
    pub identity_key: IdentityKey,
    /// The seed of all pointers. It must be secret and never used twice, or pointers can be guessed.
    pub seed: [u8; 32],
    /// Bytes of the chunks of large records: less than usual for tests with many chunks.
    #[doc(hidden)]
    pub chunk: usize,
    /// How much is done at a time.
    #[doc(hidden)]
    pub portions: Portions,
}

/// The limits of a server (docs/PROTOCOL.md §7). Nothing is unlimited by being 0; what may be unlimited is an `Option`.
/// Every count but that of watches must be 1 at least.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest record, in bytes; at most [`MAX_RECORD`].
    pub record: u32,
    /// Bytes of all records, of unfinished requests and of data that only replies still hold; every record counts 128 bytes
    /// more than the size classes of its data, 384 where it has settings, and an absent owner 256 (docs/PROTOCOL.md §7.2).
    pub total: u64,
    /// Bytes of one owner's records, each counted with 128 bytes more than its data.
    pub owner_bytes: Option<u64>,
    /// Records of one owner.
    pub owner_records: Option<u64>,
    /// Unfinished requests of one connection, and as many refused ones that are being discarded.
    pub unfinished_requests: u32,
    /// Bytes of unfinished requests of one connection.
    pub connection_unfinished: u64,
    /// Bytes of unfinished requests of all connections together.
    pub unfinished: u64,
    /// Places of all connections together, of 1024 bytes each (docs/PROTOCOL.md §7.2). A watch or a waiting read takes
    /// three. An unfinished request, a refused one being discarded and a queued reply take one, where their connection has
    /// 16, 16 or 64 of them already.
    pub places: u64,
    /// Watches and waiting reads of one connection. It may be 0: then there are none.
    pub watches: u32,
    /// Connections.
    pub connections: u32,
    /// Connections from one address.
    pub connections_per_address: Option<u32>,
    /// Replies of one connection that are not completely sent, before the server stops reading from it.
    pub queued_replies: u32,
    /// Reply bytes of one connection that are not sent, before the server stops reading from it.
    pub queued_bytes: u64,
}

/// The times of a server.
#[derive(Clone, Debug)]
pub struct Times {
    /// How long records outlive their owner's last connection.
    pub grace: Duration,
    /// The longest grace and the longest time to live that a client may set.
    pub longest: Duration,
    /// How long an unfinished request or a packet may make no progress, and how long a client may take less than
    /// [`slow_bytes`](Self::slow_bytes) while replies wait, before the connection is closed (docs/PROTOCOL.md §5.4).
    pub slow: Duration,
    /// See [`slow`](Self::slow).
    pub slow_bytes: u64,
    /// How long a connection is drained after the server's last word (docs/PROTOCOL.md §5.1).
    pub linger: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(300),
            longest: Duration::from_secs(24 * 3600),
            slow: Duration::from_secs(30),
            slow_bytes: 8 * 1024,
            linger: Duration::from_secs(1),
        }
    }
}

/// A limit that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The record limit is above the total.
    #[error("the limit of a record ({record} bytes) is above that of all together ({total} bytes)")]
    RecordAboveTotal {
        /// The record limit, in bytes.
        record: u32,
        /// The total, in bytes.
        total: u64,
    },
    /// The record limit is above what the protocol can carry.
    #[error("the limit of a record ({record} bytes) is above the protocol's {MAX_RECORD} bytes")]
    RecordAboveProtocol {
        /// The record limit, in bytes.
        record: u64,
    },
    /// A limit is 0, which would refuse everything.
    #[error("the limit of {0} is 0, which would refuse everything")]
    Zero(&'static str),
}

impl Limits {
    /// The defaults of a server that may hold `total` bytes.
    #[must_use]
    pub fn new(total: u64) -> Self {
        Self::with_record(total, (256 * MIB).min(total) as u32)
    }

    /// The defaults of a server that may hold `total` bytes, in records of at most `record` bytes.
    #[must_use]
    pub fn with_record(total: u64, record: u32) -> Self {
        let largest = u64::from(record) + LARGEST_OPERANDS;
        Self {
            record,
            total,
            owner_bytes: None,
            owner_records: None,
            unfinished_requests: 1024,
            connection_unfinished: largest.max(512 * MIB),
            unfinished: largest.max(total / 4),
            places: (total / 4096).max(1 << 17),
            watches: 4096,
            connections: 10_000,
            connections_per_address: None,
            queued_replies: 1024,
            queued_bytes: u64::from(record) + 4 * MIB,
        }
    }

    /// Judges the limits.
    ///
    /// # Errors
    ///
    /// Which limit cannot be kept, and why.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { record, total, .. } = *self;
        if record > MAX_RECORD {
            return Err(ConfigError::RecordAboveProtocol { record: u64::from(record) });
        }
        if u64::from(record) > total {
            return Err(ConfigError::RecordAboveTotal { record, total });
        }
        let counts = [
            ("unfinished requests", u64::from(self.unfinished_requests)),
            ("unfinished bytes of a connection", self.connection_unfinished),
            ("unfinished bytes", self.unfinished),
            ("places", self.places),
            ("connections", u64::from(self.connections)),
            ("queued replies", u64::from(self.queued_replies)),
            ("queued reply bytes", self.queued_bytes),
        ];
        counts.iter().find(|(_, limit)| *limit == 0).map_or(Ok(()), |(name, _)| Err(ConfigError::Zero(name)))
    }

    /// The most bytes that the state machines of a server with these limits hold, whatever clients send: the total; the
    /// [room](Self::room_bound) that unfinished requests have for more; the [slots](Self::spare_bound) that records have left;
    /// the places; and what every connection may need beside that. Sockets' buffers in the kernel are not in it, nor what the
    /// allocator keeps of what was freed.
    #[must_use]
    pub fn memory_bound(&self) -> u64 {
        let connections = u64::from(self.connections) + u64::from(MOST_TURNED_AWAY);
        let beside = connections.saturating_mul(self.connection_bound());
        self.total
            .saturating_add(self.room_bound())
            .saturating_add(self.spare_bound())
            .saturating_add(self.places_bound())
            .saturating_add(beside)
    }

    /// The most bytes of room that unfinished requests have for what is still to come. Their buffers double, up to two chunks,
    /// and take the next size class: half as much again as has arrived, and 12 KiB for each request, of which a connection
    /// has its own and those of all places.
    #[must_use]
    pub fn room_bound(&self) -> u64 {
        let own = (OWN_REQUESTS as u64).min(self.unfinished_requests.into());
        let requests = self.places.saturating_add(own.saturating_mul(self.connections.into()));
        (self.unfinished.saturating_add(self.unfinished / 2)).min(requests.saturating_mul(ROOM as u64))
    }

    /// The most bytes of free slots that deleted records have left in tables: no more slots are free than taken, and as many
    /// records have counted 128 bytes each at one time.
    #[must_use]
    pub fn spare_bound(&self) -> u64 {
        self.total / (2 * RECORD_OVERHEAD as u64) * SLOT as u64
    }

    /// The most bytes that all places together take.
    #[must_use]
    pub fn places_bound(&self) -> u64 {
        self.places.saturating_mul(PLACE as u64)
    }

    /// The most bytes that this number of places takes.
    #[must_use]
    pub fn places_held(&self, places: u64) -> u64 {
        places.saturating_mul(PLACE as u64)
    }

    /// The most bytes that one connection holds beside what the total and the places count:
    ///
    /// - what was read: the buffer of a read, and a rest of it that waits for the next turn;
    /// - the output window's own bytes, in room of up to twice what it needs: 64 KiB and a packet, behind 32 KiB that were
    ///   sent and are not moved out of the way yet. A run of 256 KiB has only its headers there;
    /// - what refers to data there: each packet, or each chunk of a run, is a segment and perhaps a source. Messages that are
    ///   shorter than a packet have theirs in their places, as all queued messages have the path to their next chunk;
    /// - a portion of a list, before it counts;
    /// - the places of its own.
    ///
    /// Chunks count until they are dropped, those that an APPEND has cut anew and those that wait as garbage too.
    #[must_use]
    pub fn connection_bound(&self) -> u64 {
        // Buffers that grow by doubling have up to twice the room that they need.
        const COPIED: usize = 2 * (WINDOW + FULL_PACKET + MOVE_FROM);
        // A run of 256 KiB takes fewer.
        const REFERRED: usize = 2 * (WINDOW / FULL_PACKET + 1) * REFERENCE;
        const LIST: usize = Portions::RECORDS * size_of::<u64>();
        const BUFFERS: u64 = (2 * READ_AT_MOST + COPIED + REFERRED + LIST) as u64;
        // Places are taken one thing at a time: a watch, or its last notifications, may be the one too many.
        const PLACES: u64 = (2 * OWN_REQUESTS + OWN_REPLIES + 2 * STANDING) as u64;
        let most = u64::from(self.queued_replies) + 2 * u64::from(self.unfinished_requests);
        let most = most + STANDING as u64 * u64::from(self.watches);
        BUFFERS + PLACE as u64 * PLACES.min(most)
    }
}

/// How much is done at a time, so that no call takes longer than a millisecond. Only tests change it.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portions {
    /// Packets that a connection handles in one call.
    pub packets: u32,
    /// Records of a list that are collected, or put in order, in one call.
    pub records: usize,
    /// Watches and waiting reads that are told of something, or given up, in one call.
    pub watches: usize,
}

impl Default for Portions {
    fn default() -> Self {
        Self { packets: 256, records: Self::RECORDS, watches: 1024 }
    }
}

impl Portions {
    /// By default.
    const RECORDS: usize = 2048;

    /// So little at a time that tests with few of everything need several portions.
    pub const SMALL: Self = Self { packets: 2, records: 3, watches: 2 };
}

impl Config {
    /// The default times under these limits, with a key and a seed that the caller drew from a secret source.
    #[must_use]
    pub fn new(limits: Limits, identity_key: IdentityKey, seed: [u8; 32]) -> Self {
        let portions = Portions::default();
        Self { limits, times: Times::default(), identity_key, seed, chunk: CHUNK, portions }
    }

    /// The hasher of a connection's tables, whose keys its client chooses: it is as secret as the seed.
    pub(crate) fn hasher(&self, connection: u64) -> FixedState {
        let key = self.seed.first_chunk().copied().unwrap_or_default();
        let mut hasher = SipHasher24::new_with_key(&key);
        hasher.write_u64(connection);
        FixedState::with_seed(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasher;

    use super::*;

    #[test]
    fn by_default_the_largest_request_can_arrive() {
        for (total, record) in [(1 << 40, MAX_RECORD), (1 << 30, 1 << 30), (1 << 20, 7)] {
            let limits = Limits::with_record(total, record);
            let largest = u64::from(record) + LARGEST_OPERANDS;
            assert!(limits.connection_unfinished >= largest && limits.unfinished >= largest);
        }
    }

    #[test]
    fn limits_that_cannot_be_kept_are_named() {
        let limits = Limits::new(1 << 20);
        assert_eq!((limits.record, limits.check()), (1 << 20, Ok(())));
        let above = Limits { record: (1 << 20) + 1, ..limits.clone() };
        assert_eq!(
            above.check(),
            Err(ConfigError::RecordAboveTotal { record: (1 << 20) + 1, total: 1 << 20 })
        );
        let above = Limits { record: MAX_RECORD + 1, total: 1 << 40, ..limits.clone() };
        assert_eq!(
            above.check(),
            Err(ConfigError::RecordAboveProtocol { record: u64::from(MAX_RECORD) + 1 })
        );
        let zero = Limits { queued_replies: 0, ..limits.clone() };
        assert_eq!(zero.check(), Err(ConfigError::Zero("queued replies")));
        let unwatched = Limits { watches: 0, ..limits.clone() };
        assert_eq!(unwatched.check(), Ok(()));
        let largest = Limits { record: MAX_RECORD, total: 1 << 40, ..limits.clone() };
        assert_eq!(largest.check(), Ok(()));
    }

    #[test]
    fn hashes_are_those_of_the_seed_and_the_connection() {
        let config = |seed| Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), [seed; 32]);
        let hash = |seed, connection| config(seed).hasher(connection).hash_one(crate::types::Xid(7));
        assert_eq!(hash(1, 2), hash(1, 2));
        assert!(hash(1, 2) != hash(1, 3) && hash(1, 2) != hash(4, 2));
        assert_ne!(hash(0, 0), FixedState::default().hash_one(crate::types::Xid(7)));
    }

    #[test]
    fn the_defaults_follow_the_memory() {
        let limits = Limits::new(100 << 30);
        assert_eq!((limits.record, limits.total), (256 << 20, 100 << 30));
        assert_eq!((limits.connection_unfinished, limits.unfinished), (512 << 20, 25 << 30));
        assert_eq!((limits.places, limits.queued_bytes), (25 << 20, 260 << 20));
        let limits = Limits::with_record(1 << 20, 1000);
        assert_eq!(
            (limits.unfinished, limits.places, limits.queued_bytes),
            (1 << 18, 1 << 17, (4 << 20) + 1000)
        );
    }

    #[test]
    fn the_bound_is_the_sum_of_what_is_held() {
        let limits = Limits { unfinished: 4000, places: 7, connections: 3, ..Limits::new(1 << 20) };
        assert_eq!((limits.room_bound(), limits.places_bound()), (6000, 7 * 1024));
        assert_eq!(limits.spare_bound(), 4096 * 64);
        // Buffers, and 32 requests, 64 replies and two watches of three places.
        let buffers = 2 * 128 * 1024 + 2 * ((64 + 32) * 1024 + 1400) + 2 * 47 * 128 + 16 * 1024;
        assert_eq!(limits.connection_bound(), buffers + (32 + 64 + 6) * 1024);
        let connections = (3 + 256) * limits.connection_bound();
        assert_eq!(limits.memory_bound(), (1 << 20) + 6000 + 4096 * 64 + 7 * 1024 + connections);
        // Where less is allowed, it needs fewer places: of replies, of requests of both sorts, and of watches.
        let small = Limits { queued_replies: 3, unfinished_requests: 5, watches: 7, ..limits };
        assert_eq!(small.connection_bound(), buffers + (3 + 10 + 21) * 1024);
    }
}
