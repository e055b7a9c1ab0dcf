//! The words of the protocol as types: pointer, transaction id, owner, version, access bits.

use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;

/// A network pointer: the 64-bit address of a record (docs/PROTOCOL.md §6.2).
///
/// Its text form is 16 lower-case hex digits; either case is read back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(pub u64);

/// The 32-bit id of a transaction (docs/PROTOCOL.md §2.4). It counts up and wraps to 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub u32);

impl Xid {
    /// The id that follows this one; 0 follows 2^32 - 1.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// The keyed hash of a client's address, by which it is known (docs/PROTOCOL.md §6.1). Never 0.
///
/// Its text form is 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(NonZeroU64);

impl Owner {
    /// The owner with this hash; `None` for 0, which is nobody's.
    #[must_use]
    pub fn new(hash: u64) -> Option<Self> {
        NonZeroU64::new(hash).map(Self)
    }

    /// Every 64-bit hash made an owner: 0 becomes 1.
    pub(crate) fn from_hash(hash: u64) -> Self {
        Self(NonZeroU64::new(hash).unwrap_or(NonZeroU64::MIN))
    }

    /// The hash.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// How often a record's data was written: 1 for its first data (docs/PROTOCOL.md §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a record that is reserved and has no data.
    pub const RESERVED: Self = Self(0);

    /// The version of a record that has just got its first data.
    pub const FIRST: Self = Self(1);

    /// The version after one more write.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

bitflags::bitflags! {
    /// What everybody but the owner may do with a record (docs/PROTOCOL.md §1).
    ///
    /// Its text form is a subset of the letters `rwt` in this order, or `none`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Access: u8 {
        /// Read the data and the state of the record.
        const READ = 0x01;
        /// Write the data.
        const WRITE = 0x02;
        /// Become the owner.
        const TAKEOVER = 0x04;
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.pad("none");
        }
        let letters = [(Self::READ, "r"), (Self::WRITE, "w"), (Self::TAKEOVER, "t")];
        letters.iter().filter(|(bit, _)| self.contains(*bit)).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// A text that is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not a pointer.
    #[error("a pointer is 16 hex digits")]
    Pointer,
    /// Not an owner's hash.
    #[error("an owner is 16 hex digits, not all of them 0")]
    Owner,
    /// Not access bits.
    #[error(
        "access is `none` or a choice of the letters r (read), w (write) and t (takeover), each at most once"
    )]
    Access,
}

fn parse_hex(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u64::from_str_radix(text, 16).ok() } else { None }
}

impl FromStr for Pointer {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_hex(text).map(Self).ok_or(ParseError::Pointer)
    }
}

impl FromStr for Owner {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_hex(text).and_then(Self::new).ok_or(ParseError::Owner)
    }
}

impl FromStr for Access {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text == "none" {
            return Ok(Self::empty());
        }
        let mut access = Self::empty();
        for letter in text.chars() {
            let bit = match letter {
                'r' => Self::READ,
                'w' => Self::WRITE,
                't' => Self::TAKEOVER,
                _ => return Err(ParseError::Access),
            };
            if access.contains(bit) {
                return Err(ParseError::Access);
            }
            access |= bit;
        }
        if access.is_empty() { Err(ParseError::Access) } else { Ok(access) }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pointer({self})")
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.get())
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({self})")
    }
}

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn pointers_are_read_back_from_their_text() {
        let pointer = Pointer(0x00ab_cdef_0123_4567);
        assert_eq!(pointer.to_string(), "00abcdef01234567");
        assert_eq!("00ABCDEF01234567".parse(), Ok(pointer));
        for wrong in ["", "0", "00abcdef0123456", "00abcdef012345678", "+0abcdef01234567", "g0abcdef01234567"]
        {
            assert_eq!(wrong.parse::<Pointer>(), Err(ParseError::Pointer), "{wrong}");
        }
        assert_eq!("0000000000000000".parse::<Owner>(), Err(ParseError::Owner));
    }

    #[test]
    fn access_bits_are_read_back_from_their_text() {
        for bits in 0..=7 {
            let access = Access::from_bits_retain(bits);
            assert_eq!(access.to_string().parse(), Ok(access));
        }
        for wrong in ["", "x", "rr", "R", "none,r", "rwtx"] {
            assert_eq!(wrong.parse::<Access>(), Err(ParseError::Access), "{wrong}");
        }
    }

    #[test]
    fn transaction_ids_wrap_to_zero() {
        assert_eq!(Xid(u32::MAX).next(), Xid(0));
    }
}
