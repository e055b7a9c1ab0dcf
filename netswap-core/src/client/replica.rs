//! A copy of a record that a watch keeps up to date.

use bytes::{Bytes, BytesMut};

use crate::types::Version;
use crate::wire::Notification;

/// A copy of a record, kept up to date by the notifications of a watch that pushes data (docs/PROTOCOL.md §4.3).
///
/// Without any it is that of a reserved record: no data, version 0. A watch that is made anew can go on with the copy
/// of another: its first notification has the whole record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    version: Version,
    data: Bytes,
}

impl Default for Replica {
    fn default() -> Self {
        Self { version: Version::RESERVED, data: Bytes::new() }
    }
}

impl Replica {
    /// A copy of a record in a version.
    #[must_use]
    pub fn new(version: Version, data: Bytes) -> Self {
        Self { version, data }
    }

    /// The version of the data.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The data. A clone of them is a snapshot that stays as it is.
    #[must_use]
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The data alone.
    #[must_use]
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// Applies what a watch was told, the next in turn. Whether it was about the data.
    ///
    /// A range is written in place, unless somebody has a clone of the data: then they are copied once.
    pub fn apply(&mut self, notification: &Notification<Bytes>) -> bool {
        match notification {
            Notification::Changed { version, data: Some(data) } => {
                (self.version, self.data) = (*version, data.clone());
                true
            }
            Notification::RangeChanged { version, offset, data } => {
                self.version = *version;
                self.write(*offset as usize, data);
                true
            }
            _ => false,
        }
    }

    /// Writes a range; what lies between the old end and its beginning becomes zeros.
    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset.saturating_add(bytes.len());
        if bytes.is_empty() && end <= self.data.len() {
            return;
        }
        let data = core::mem::take(&mut self.data);
        let mut data = data.try_into_mut().unwrap_or_else(|shared| {
            let mut copy = BytesMut::with_capacity(end.max(shared.len()));
            copy.extend_from_slice(&shared);
            copy
        });
        if data.len() < end {
            data.resize(end, 0);
        }
        data[offset..end].copy_from_slice(bytes);
        self.data = data.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(version: u64, offset: u32, data: &'static [u8]) -> Notification<Bytes> {
        Notification::RangeChanged { version: Version(version), offset, data: Bytes::from_static(data) }
    }

    #[test]
    fn ranges_are_written_over_behind_and_beyond_the_end() {
        let mut replica = Replica::default();
        assert_eq!((replica.version(), &replica.data()[..]), (Version(0), &b""[..]));
        let whole = Notification::Changed { version: Version(4), data: Some(Bytes::from_static(b"hello")) };
        assert!(replica.apply(&whole));
        assert_eq!(replica.clone().into_data(), replica.data());
        assert!(replica.apply(&range(5, 1, b"E")));
        assert_eq!(replica, Replica::new(Version(5), Bytes::from_static(b"hEllo")));
        assert!(replica.apply(&range(6, 4, b"O!")));
        let snapshot = replica.data().clone();
        assert!(replica.apply(&range(7, 8, b"x")));
        assert_eq!(&replica.data()[..], b"hEllO!\0\0x");
        // An empty range beyond the end makes the record longer too.
        assert!(replica.apply(&range(8, 10, b"")));
        assert!(replica.apply(&range(9, 2, b"")));
        assert_eq!(replica, Replica::new(Version(9), Bytes::from_static(b"hEllO!\0\0x\0")));
        assert_eq!(&snapshot[..], b"hEllO!");
        assert!(!replica.apply(&Notification::Changed { version: Version(10), data: None }));
        assert_eq!(replica.version(), Version(9));
    }

    #[test]
    fn data_that_nobody_shares_stay_where_they_are() {
        let mut replica = Replica::new(Version(1), Bytes::from(alloc::vec![7; 100_000]));
        let place = replica.data().as_ptr();
        for version in 2..100 {
            replica.apply(&range(version, version as u32 * 9, b"something"));
        }
        assert_eq!(replica.data().as_ptr(), place);
    }
}
