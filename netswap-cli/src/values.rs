//! Values of flags: sizes, places in records, durations, keys.

use std::num::NonZeroU32;
use std::time::Duration;

use bytesize::ByteSize;
use data_encoding::HEXLOWER_PERMISSIVE;
use netswap_tokio::Owner;
use netswap_tokio::core::identity::IdentityKey;

/// Reads a size: a number of bytes, or a number and a unit.
pub(crate) fn size(text: &str) -> Result<ByteSize, &'static str> {
    text.trim()
        .parse()
        .map_err(|_| "a size is a number of bytes, or a number with a unit: 4096, 64KiB, 1.5GiB, 2GB")
}

/// Reads an offset in a record, or a length: a plain number of bytes, or one in hex.
pub(crate) fn position(text: &str) -> Result<u32, &'static str> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    // A sign is none of the digits, though the standard library takes it.
    let number = digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(digits);
    number
        .and_then(|digits| u32::from_str_radix(digits, radix).ok())
        .ok_or("a number of bytes up to 4294967295, plain or in hex: 4096, 0x1000")
}

/// Reads a duration with its units.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text)
        .map_err(|_| "a duration is a number with its unit: 500ms, 30s, 5m, 1h 30m")
}

/// Reads a duration with its units that is not 0.
pub(crate) fn timeout(text: &str) -> Result<Duration, &'static str> {
    let timeout = duration(text)?;
    if timeout.is_zero() { Err("a timeout of 0 would let nothing happen") } else { Ok(timeout) }
}

/// A setting of a record, or the word that stands for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T>(pub(crate) Option<T>);

/// Reads a grace.
pub(crate) fn grace(text: &str) -> Result<Setting<u32>, &'static str> {
    if text == "default" { Ok(Setting(None)) } else { seconds(text).map(|it| Setting(Some(it))) }
}

/// Reads a time to live.
pub(crate) fn ttl(text: &str) -> Result<Setting<NonZeroU32>, &'static str> {
    if text == "none" {
        return Ok(Setting(None));
    }
    let seconds =
        NonZeroU32::new(seconds(text)?).ok_or("at least 1s, or none; `netswap rm` ends a record now")?;
    Ok(Setting(Some(seconds)))
}

/// Reads an heir.
pub(crate) fn heir(text: &str) -> Result<Setting<Owner>, String> {
    if text == "none" {
        return Ok(Setting(None));
    }
    text.parse().map(|owner| Setting(Some(owner))).map_err(|error| format!("{error}, or none"))
}

/// Reads whole seconds, fewer than the protocol's word for the default.
fn seconds(text: &str) -> Result<u32, &'static str> {
    let duration = duration(text)?;
    let seconds = u32::try_from(duration.as_secs()).ok().filter(|it| *it < u32::MAX);
    seconds.filter(|_| duration.subsec_nanos() == 0).ok_or("a whole number of seconds below 4294967295")
}

/// A flag's value that is not to be printed.
#[derive(Clone)]
pub(crate) struct Secret<T>(pub(crate) T);

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads the key of owner hashes.
pub(crate) fn identity_key(text: &str) -> Result<Secret<IdentityKey>, &'static str> {
    hex(text).map(|key| Secret(IdentityKey(key))).ok_or("an identity key is 32 hex digits")
}

/// Reads the seed of pointers.
pub(crate) fn seed(text: &str) -> Result<Secret<[u8; 32]>, &'static str> {
    hex(text).map(Secret).ok_or("a seed is 64 hex digits")
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_are_bytes() {
        let read = |text| size(text).map(|size| size.as_u64());
        assert_eq!(read("4096"), Ok(4096));
        assert_eq!(read("256MiB"), Ok(256 << 20));
        assert_eq!(read("1.5 GiB"), Ok(3 << 29));
        assert_eq!(read("2GB"), Ok(2_000_000_000));
        for wrong in ["", "-1", "MiB", "1 apple", "1e3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn positions_are_plain_or_hex() {
        for (text, expected) in
            [("0", 0), ("4096", 4096), ("0x1000", 4096), ("0XfF", 255), ("4294967295", u32::MAX), ("007", 7)]
        {
            assert_eq!(position(text), Ok(expected), "{text}");
        }
        for wrong in ["", "-1", "+1", "0x", "0x+1", "1e3", "ff", "4294967296", "0x100000000", "1KiB", "1 "] {
            assert!(position(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["", "5", "m", "-1s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(timeout("0s").is_err());
    }

    #[test]
    fn settings_are_whole_seconds_or_a_word() {
        assert_eq!((grace("default"), grace("0s")), (Ok(Setting(None)), Ok(Setting(Some(0)))));
        assert_eq!(grace("1h 1s"), Ok(Setting(Some(3601))));
        assert_eq!((ttl("none"), ttl("2s")), (Ok(Setting(None)), Ok(Setting(NonZeroU32::new(2)))));
        for wrong in ["", "none", "5", "1500ms", "4294967295s"] {
            assert!(grace(wrong).is_err(), "{wrong}");
        }
        assert!(ttl("0s").is_err() && ttl("default").is_err());
        assert_eq!(heir("none"), Ok(Setting(None)));
        assert!(
            heir("8899aabbccddeeff").is_ok() && heir("0000000000000000").is_err() && heir("bob").is_err()
        );
    }

    #[test]
    fn keys_are_hex_digits_in_either_case() {
        let key = identity_key("000102030405060708090A0b0c0d0e0f").unwrap();
        assert_eq!(key.0.0, std::array::from_fn(|i| i as u8));
        assert!(seed(&"5a".repeat(32)).is_ok());
        assert!(identity_key("0001").is_err() && seed("zz").is_err() && seed(&"5a".repeat(33)).is_err());
    }
}
