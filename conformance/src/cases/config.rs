//! The settings that a case starts its server with.

use std::time::Duration;

use data_encoding::HEXLOWER;
use netswap_core::config::{Config, Limits, Times};
use netswap_core::identity::IdentityKey;

use crate::text::{Mistake, Scale, duration};

/// The total of a server whose case says nothing else.
const TOTAL: u64 = 1 << 30;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Number(u64),
    Time(Duration),
    Bytes(Vec<u8>),
}

#[derive(Clone, Copy)]
enum Kind {
    /// A number that is not above this one.
    Number(u64),
    Time,
    Bytes(usize),
}

const COUNT: Kind = Kind::Number(u32::MAX as u64);
const BYTES: Kind = Kind::Number(u64::MAX);

const SETTINGS: [(&str, Kind); 20] = [
    ("record", COUNT),
    ("total", BYTES),
    ("owner-bytes", BYTES),
    ("owner-records", BYTES),
    ("unfinished-requests", COUNT),
    ("connection-unfinished", BYTES),
    ("unfinished", BYTES),
    ("places", BYTES),
    ("watches", COUNT),
    ("connections", COUNT),
    ("connections-per-address", COUNT),
    ("queued-replies", COUNT),
    ("queued-bytes", BYTES),
    ("grace", Kind::Time),
    ("longest", Kind::Time),
    ("slow", Kind::Time),
    ("linger", Kind::Time),
    ("slow-bytes", BYTES),
    ("identity-key", Kind::Bytes(16)),
    ("seed", Kind::Bytes(32)),
];

/// Every key that there is.
pub const KEYS: [&str; SETTINGS.len()] = {
    let mut keys = [""; SETTINGS.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = SETTINGS[at].0;
        at += 1;
    }
    keys
};

impl Setting {
    /// Reads what stands behind `config `.
    ///
    /// # Errors
    ///
    /// There is no such key, or the value is not one for it.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let (key, value) = text.split_once(' ').unwrap_or((text, ""));
        let unknown = || Mistake::new(format!("a key of {}", KEYS.join(", ")), key);
        let (key, kind) = SETTINGS.iter().find(|(it, _)| *it == key).ok_or_else(unknown)?;
        let value = match *kind {
            Kind::Number(most) => {
                let number = value.parse().ok().filter(|number| *number <= most);
                let expected = || Mistake::new(format!("a number of at most {most} for {key}"), value);
                Value::Number(number.ok_or_else(expected)?)
            }
            Kind::Time => Value::Time(duration(value)?),
            Kind::Bytes(len) => {
                let bytes = HEXLOWER.decode(value.as_bytes()).ok().filter(|bytes| bytes.len() == len);
                let expected = || Mistake::new(format!("{} lower-case hex digits for {key}", 2 * len), value);
                Value::Bytes(bytes.ok_or_else(expected)?)
            }
        };
        Ok(Self { key, value })
    }
}

/// The configuration of a server: the defaults of docs/PROTOCOL.md §7.1 and the settings of a case. Key and seed, where
/// the case does not set them, are made from a number.
#[must_use]
pub fn configure(settings: &[Setting], scale: Scale, seed: u64) -> Config {
    let value = |key: &str| settings.iter().find(|it| it.key == key).map(|it| &it.value);
    let number = |key: &str| match value(key) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    let total = number("total").unwrap_or(TOTAL);
    let count = |key: &str, default: u32| number(key).map_or(default, |it| it as u32);
    let defaults = Limits::with_record(total, count("record", Limits::new(total).record));
    let limits = Limits {
        record: defaults.record,
        total,
        owner_bytes: number("owner-bytes"),
        owner_records: number("owner-records"),
        unfinished_requests: count("unfinished-requests", defaults.unfinished_requests),
        connection_unfinished: number("connection-unfinished").unwrap_or(defaults.connection_unfinished),
        unfinished: number("unfinished").unwrap_or(defaults.unfinished),
        places: number("places").unwrap_or(defaults.places),
        watches: count("watches", defaults.watches),
        connections: count("connections", defaults.connections),
        connections_per_address: number("connections-per-address").map(|it| it as u32),
        queued_replies: count("queued-replies", defaults.queued_replies),
        queued_bytes: number("queued-bytes").unwrap_or(defaults.queued_bytes),
    };
    let time = |key: &str, default: Duration| match value(key) {
        Some(Value::Time(time)) => scale.time(*time),
        _ => scale.time(default),
    };
    let defaults = Times::default();
    let times = Times {
        grace: time("grace", defaults.grace),
        longest: time("longest", defaults.longest),
        slow: time("slow", defaults.slow),
        slow_bytes: number("slow-bytes").unwrap_or(defaults.slow_bytes),
        linger: time("linger", defaults.linger),
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let mut key = [0; 16];
    random.fill(&mut key);
    let mut pointers = [0; 32];
    random.fill(&mut pointers);
    if let Some(Value::Bytes(bytes)) = value("identity-key") {
        key.copy_from_slice(bytes);
    }
    if let Some(Value::Bytes(bytes)) = value("seed") {
        pointers.copy_from_slice(bytes);
    }
    Config { times, ..Config::new(limits, IdentityKey(key), pointers) }
}
