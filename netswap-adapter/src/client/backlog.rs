//! The changes of one watch that the application has not taken: bounded, so that a slow application neither costs
//! memory nor holds up the connection that its watches share.

use std::collections::VecDeque;
use std::mem::discriminant;

use netswap_core::client::Replica;
use netswap_core::types::Version;
use netswap_core::wire::Notification;

use super::Change;

/// Changes that wait at most, before they are folded.
const CHANGES_AT_MOST: usize = 256;

/// Bytes of data in them at most, beside the newest whole state of the record.
const BYTES_AT_MOST: usize = 1024 * 1024;

/// Changes that wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    changes: VecDeque<Change>,
    /// Bytes of data in them.
    bytes: usize,
}

/// Ranges were dropped: of the record as it is now nobody knows here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl Backlog {
    pub(super) fn pop(&mut self) -> Option<Change> {
        let change = self.changes.pop_front()?;
        self.bytes -= change.len();
        Some(change)
    }

    /// Adds a change. When there are too many, they are folded as a server folds them: the newest state of the data,
    /// and the newest of everything else. Ranges can be folded into a state that waits before them. Where that was
    /// taken already, the record has to be told whole again.
    pub(super) fn push(&mut self, change: Change) -> Result<(), Torn> {
        self.bytes += change.len();
        self.changes.push_back(change);
        let of_data = || self.changes.iter().filter(|change| change.is_about_data());
        let over = self.changes.len() > CHANGES_AT_MOST
            || (self.bytes > BYTES_AT_MOST && of_data().nth(1).is_some());
        if over { self.fold() } else { Ok(()) }
    }

    fn fold(&mut self) -> Result<(), Torn> {
        let mut watching = None;
        let mut data: Option<Data> = None;
        let mut others: Vec<Change> = Vec::new();
        let mut torn = false;
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Changed { version, data: None } => data = Some(Data::Version(version)),
                Change::Changed { version, data: Some(whole) } => {
                    data = Some(Data::Whole(Replica::new(version, whole)));
                    torn = false;
                }
                Change::RangeChanged { version, offset, data: range } => match &mut data {
                    Some(Data::Whole(replica)) => {
                        replica.apply(&Notification::RangeChanged { version, offset, data: range });
                    }
                    _ => torn = true,
                },
                Change::Interrupted | Change::Resumed { .. } => watching = Some(change),
                other => {
                    others.retain(|older| discriminant(older) != discriminant(&other));
                    others.push(other);
                }
            }
        }
        self.changes.extend(watching);
        self.changes.extend(data.map(Change::from));
        self.changes.extend(others);
        self.bytes = self.changes.iter().map(Change::len).sum();
        if torn { Err(Torn) } else { Ok(()) }
    }
}

/// The newest that is known of a record's data.
enum Data {
    Version(Version),
    Whole(Replica),
}

impl From<Data> for Change {
    fn from(data: Data) -> Self {
        match data {
            Data::Version(version) => Self::Changed { version, data: None },
            Data::Whole(replica) => {
                Self::Changed { version: replica.version(), data: Some(replica.into_data()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use netswap_core::types::{Access, Owner};
    use netswap_core::wire::Ending;

    use super::*;

    fn whole(version: u64, data: impl Into<Bytes>) -> Change {
        Change::Changed { version: Version(version), data: Some(data.into()) }
    }

    fn range(version: u64, offset: u32, data: impl Into<Bytes>) -> Change {
        Change::RangeChanged { version: Version(version), offset, data: data.into() }
    }

    fn all(backlog: &mut Backlog) -> Vec<Change> {
        std::iter::from_fn(|| backlog.pop()).collect()
    }

    #[test]
    fn what_is_taken_in_time_is_not_folded() {
        let mut backlog = Backlog::default();
        let mut expected = vec![whole(1, "state")];
        expected.extend((2..=256).map(|version| range(version, 0, "x")));
        expected.iter().for_each(|change| backlog.push(change.clone()).unwrap());
        assert_eq!(all(&mut backlog), expected);
        // Of one state after the other each is taken, however large it is.
        for version in 1..4 {
            let large = whole(version, vec![7; 3 << 20]);
            backlog.push(large.clone()).unwrap();
            assert_eq!(all(&mut backlog), [large]);
        }
        assert_eq!(backlog.bytes, 0);
    }

    #[test]
    fn too_many_changes_fold_into_the_newest_of_each_sort() {
        let mut backlog = Backlog::default();
        let owner = |hash| Owner::new(hash).unwrap();
        backlog.push(range(6, 9, "lost")).unwrap();
        backlog.push(whole(7, "state")).unwrap();
        for round in 0..100 {
            backlog.push(range(8 + round, round as u32 % 5, "S")).unwrap();
            backlog.push(Change::OwnerChanged(owner(1 + round))).unwrap();
            backlog.push(Change::AccessChanged(Access::READ)).unwrap();
            backlog.push(Change::Interrupted).unwrap();
            backlog.push(Change::Resumed { version: Version(round) }).unwrap();
        }
        backlog.push(Change::Ended(Ending::Deleted)).unwrap();
        let left = all(&mut backlog);
        assert!(left.len() <= 256);
        // Those that came after the last folding are there as they came.
        assert_eq!(left[0], Change::Resumed { version: Version(50) });
        assert!(matches!(&left[1], Change::Changed { data: Some(data), .. } if data == "SSSSS"));
        assert_eq!(left.last(), Some(&Change::Ended(Ending::Deleted)));
    }

    #[test]
    fn ranges_of_many_bytes_fold_into_the_state_before_them() {
        let mut backlog = Backlog::default();
        let mut expected = vec![0; 2 << 20];
        backlog.push(whole(1, expected.clone())).unwrap();
        for step in 0..100_u8 {
            let at = usize::from(step) * 20_000;
            expected[at..at + 30_000].fill(step);
            backlog.push(range(u64::from(step) + 2, at as u32, vec![step; 30_000])).unwrap();
            assert!(backlog.bytes <= expected.len() && backlog.changes.len() == 1);
        }
        assert_eq!(all(&mut backlog), [whole(101, expected)]);
    }

    #[test]
    fn ranges_whose_state_was_taken_are_torn() {
        let mut backlog = Backlog::default();
        backlog.push(whole(1, "state")).unwrap();
        backlog.pop();
        backlog.push(Change::AccessChanged(Access::READ)).unwrap();
        for version in 2..=256 {
            backlog.push(range(version, 0, "x")).unwrap();
        }
        assert_eq!(backlog.push(range(257, 0, "x")), Err(Torn));
        assert_eq!(all(&mut backlog), [Change::AccessChanged(Access::READ)]);

        let half = || vec![1; BYTES_AT_MOST / 2 + 1];
        backlog.push(range(2, 0, half())).unwrap();
        assert_eq!(backlog.push(range(3, 0, half())), Err(Torn));
        assert_eq!((all(&mut backlog), backlog.bytes), (vec![], 0));
    }

    #[test]
    fn versions_alone_fold_into_the_newest() {
        let mut backlog = Backlog::default();
        for version in 1..=1000 {
            backlog.push(Change::Changed { version: Version(version), data: None }).unwrap();
            assert!(backlog.changes.len() <= CHANGES_AT_MOST);
        }
        assert_eq!(all(&mut backlog).last(), Some(&Change::Changed { version: Version(1000), data: None }));
    }
}
