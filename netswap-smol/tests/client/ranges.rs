//! Parts of records and their versions, against the real server and one that does as the test says.

use bytes::Bytes;
use netswap_core::error::Refusal;
use netswap_smol::{Access, Added, Appended, Error, Outcome, Range, Snapshot, Version};

use crate::support::{options, run, start};
use crate::{client, client_from, pattern, refusal};

const ALL: Access = Access::READ.union(Access::WRITE);

fn range(version: u64, record_len: u32, data: impl Into<Bytes>) -> Range {
    Range { version: Version(version), record_len, data: data.into() }
}

fn snapshot(version: u64, data: impl Into<Bytes>) -> Option<Snapshot> {
    Some(Snapshot { version: Version(version), data: data.into() })
}

#[test]
fn every_operation_works() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = owner.create("hello", ALL).await.unwrap();

        assert_eq!(other.read_range(pointer, 1, 3).await.unwrap(), range(1, 5, "ell"));
        assert_eq!(other.read_range(pointer, 4, u32::MAX).await.unwrap(), range(1, 5, "o"));
        assert_eq!(other.read_range(pointer, u32::MAX, 1).await.unwrap(), range(1, 5, ""));
        assert_eq!(other.write_range(pointer, 7, "!").await.unwrap(), Version(2));
        assert_eq!(other.append(pointer, "?").await.unwrap(), Appended { version: Version(3), offset: 8 });
        let all = "hello\0\0!?";
        assert_eq!(owner.resolve_if_changed(pointer, None).await.unwrap(), snapshot(3, all));
        assert_eq!(owner.resolve_if_changed(pointer, Some(Version(2))).await.unwrap(), snapshot(3, all));
        assert_eq!(owner.resolve_if_changed(pointer, Some(Version(3))).await.unwrap(), None);

        let stale = other.compare_and_replace(pointer, Version(2), "mine").await;
        assert!(matches!(&stale, Err(error) if !error.is_retryable() && error.outcome() == Outcome::NotDone));
        assert_eq!(stale.as_ref().unwrap_err().to_string(), "the record has changed: its version is now 3");
        assert_eq!(refusal(stale), Refusal::VersionMismatch { current: Version(3) });
        let number = 41_i64.to_be_bytes().to_vec();
        assert_eq!(other.compare_and_replace(pointer, Version(3), number).await.unwrap(), Version(4));

        assert_eq!(other.fetch_add(pointer, 0, 1).await.unwrap(), Added { version: Version(5), value: 42 });
        assert_eq!(other.fetch_add(pointer, 0, -43).await.unwrap(), Added { version: Version(6), value: -1 });
        assert_eq!(refusal(other.fetch_add(pointer, 1, 1).await), Refusal::AddressFault);
        assert_eq!(other.update(pointer, |old| [old, &b"!"[..]].concat()).await.unwrap(), Version(7));
        assert_eq!(owner.resolve(pointer).await.unwrap(), [&[0xff; 8][..], b"!"].concat());
    })
}

#[test]
fn parts_may_be_streamed() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create(vec![1; 100], ALL).await.unwrap();
        let data = pattern(3_000_000);
        let mut seen = 0;
        let version = client.write_range_from(pointer, 50, &data[..], 3_000_000, |sent, _| seen = sent).await;
        assert_eq!((version.unwrap(), seen), (Version(2), 3_000_000));
        let added = client.append_from(pointer, &data[..], 2_000_000, |_, _| ()).await.unwrap();
        assert_eq!(added, Appended { version: Version(3), offset: 3_000_050 });
        let expected = [&[1; 50], &data[..], &data[..2_000_000]].concat();
        assert!(client.resolve(pointer).await.unwrap() == expected);
        let part = client.read_range(pointer, 60, 2_500_000).await.unwrap();
        assert!(part.data == data[10..2_500_010] && part.record_len == 5_000_050);

        let stale =
            client.compare_and_replace_from(pointer, Version(2), &data[..], 1_000_000, |_, _| ()).await;
        assert_eq!(refusal(stale), Refusal::VersionMismatch { current: Version(3) });
        let short = client.append_from(pointer, &data[..9], 10, |_, _| ()).await;
        assert!(matches!(short, Err(Error::ReadTooShort { read: 9, expected: 10 })));
        let new = client.compare_and_replace_from(pointer, Version(3), &data[..], 1_000_000, |_, _| ()).await;
        assert_eq!(new.unwrap(), Version(4));
        assert!(client.resolve(pointer).await.unwrap() == data[..1_000_000]);
    })
}
