//! Parts of records and their versions, against the real server and one that does as the test says.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;

use bytes::Bytes;
use netswap_blocking::{Access, Added, Appended, Client, Error, Outcome, Pointer, Range, Snapshot, Version};
use netswap_core::config::Limits;
use netswap_core::error::{Quota, Refusal};

use crate::support::{Running, options, start};
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
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create("hello", ALL).unwrap();

    assert_eq!(other.read_range(pointer, 1, 3).unwrap(), range(1, 5, "ell"));
    assert_eq!(other.read_range(pointer, 4, u32::MAX).unwrap(), range(1, 5, "o"));
    assert_eq!(other.read_range(pointer, u32::MAX, 1).unwrap(), range(1, 5, ""));
    assert_eq!(other.write_range(pointer, 7, "!").unwrap(), Version(2));
    assert_eq!(other.append(pointer, "?").unwrap(), Appended { version: Version(3), offset: 8 });
    let all = "hello\0\0!?";
    assert_eq!(owner.resolve_if_changed(pointer, None).unwrap(), snapshot(3, all));
    assert_eq!(owner.resolve_if_changed(pointer, Some(Version(2))).unwrap(), snapshot(3, all));
    assert_eq!(owner.resolve_if_changed(pointer, Some(Version(3))).unwrap(), None);

    let stale = other.compare_and_replace(pointer, Version(2), "mine");
    assert!(matches!(&stale, Err(error) if !error.is_retryable() && error.outcome() == Outcome::NotDone));
    assert_eq!(stale.as_ref().unwrap_err().to_string(), "the record has changed: its version is now 3");
    assert_eq!(refusal(stale), Refusal::VersionMismatch { current: Version(3) });
    let number = 41_i64.to_be_bytes().to_vec();
    assert_eq!(other.compare_and_replace(pointer, Version(3), number).unwrap(), Version(4));

    assert_eq!(other.fetch_add(pointer, 0, 1).unwrap(), Added { version: Version(5), value: 42 });
    assert_eq!(other.fetch_add(pointer, 0, -43).unwrap(), Added { version: Version(6), value: -1 });
    assert_eq!(refusal(other.fetch_add(pointer, 1, 1)), Refusal::AddressFault);
    assert_eq!(other.update(pointer, |old| [old, &b"!"[..]].concat()).unwrap(), Version(7));
    assert_eq!(owner.resolve(pointer).unwrap(), [&[0xff; 8][..], b"!"].concat());
}

#[test]
fn what_is_not_allowed_is_refused() {
    let limits = Limits { record: 10_000, owner_bytes: Some(8000), ..Limits::new(64 << 20) };
    let server = start(options().limits(limits));
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create(pattern(5000), Access::empty()).unwrap();
    let denied = Refusal::AccessViolation;
    assert_eq!(refusal(other.read_range(pointer, 0, 1)), denied);
    assert_eq!(refusal(other.write_range(pointer, 0, "x")), denied);
    assert_eq!(refusal(other.append(pointer, "x")), denied);
    assert_eq!(refusal(other.compare_and_replace(pointer, Version(1), "x")), denied);
    assert_eq!(refusal(other.fetch_add(pointer, 0, 1)), denied);
    assert_eq!(refusal(other.resolve_if_changed(pointer, Some(Version(1)))), denied);
    owner.set_permissions(pointer, Access::READ).unwrap();
    let attempts = AtomicU32::new(0);
    let change = |old: &Bytes| {
        attempts.fetch_add(1, Relaxed);
        old.clone()
    };
    assert_eq!(refusal(other.update(pointer, change)), denied);
    assert_eq!(refusal(other.update(Pointer(1), change)), Refusal::AddressFault);
    assert_eq!(attempts.load(Relaxed), 1);

    // Judged at the first packet, while the rest is still being sent.
    let limit = 10_000;
    let large = Refusal::RecordTooLarge { limit };
    assert_eq!(refusal(owner.append(pointer, pattern(5001))), large);
    assert_eq!(refusal(owner.write_range(pointer, 9999, pattern(2))), large);
    assert_eq!(refusal(owner.write_range(pointer, u32::MAX, "")), large);
    assert_eq!(refusal(owner.compare_and_replace(pointer, Version(9), pattern(5_000_000))), large);
    let full = Refusal::QuotaExceeded { quota: Quota::OwnerBytes, limit: 8000 };
    assert_eq!(refusal(owner.append(pointer, pattern(4000))), full);
    assert_eq!(owner.resolve_if_changed(pointer, None).unwrap(), snapshot(1, pattern(5000)));
}

#[test]
fn parts_may_be_streamed() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create(vec![1; 100], ALL).unwrap();
    let data = pattern(3_000_000);
    let mut seen = 0;
    let version = client.write_range_from(pointer, 50, &data[..], 3_000_000, |sent, _| seen = sent);
    assert_eq!((version.unwrap(), seen), (Version(2), 3_000_000));
    let added = client.append_from(pointer, &data[..], 2_000_000, |_, _| ()).unwrap();
    assert_eq!(added, Appended { version: Version(3), offset: 3_000_050 });
    let expected = [&[1; 50], &data[..], &data[..2_000_000]].concat();
    assert!(client.resolve(pointer).unwrap() == expected);
    let part = client.read_range(pointer, 60, 2_500_000).unwrap();
    assert!(part.data == data[10..2_500_010] && part.record_len == 5_000_050);

    let stale = client.compare_and_replace_from(pointer, Version(2), &data[..], 1_000_000, |_, _| ());
    assert_eq!(refusal(stale), Refusal::VersionMismatch { current: Version(3) });
    let short = client.append_from(pointer, &data[..9], 10, |_, _| ());
    assert!(matches!(short, Err(Error::ReadTooShort { read: 9, expected: 10 })));
    let new = client.compare_and_replace_from(pointer, Version(3), &data[..], 1_000_000, |_, _| ());
    assert_eq!(new.unwrap(), Version(4));
    assert!(client.resolve(pointer).unwrap() == data[..1_000_000]);
}

/// Has 16 clients do something with one record, `rounds` times each.
fn together(server: &Running, rounds: u32, act: impl Fn(&Client, u32) + Clone + Send + 'static) {
    let mut tasks = Vec::new();
    for n in 0..16 {
        let client = client_from(&format!("127.0.0.{}", n + 2), server);
        let act = act.clone();
        tasks.push(thread::spawn(move || {
            for _ in 0..rounds {
                act(&client, n);
            }
        }));
    }
    for task in tasks {
        task.join().unwrap();
    }
}

#[test]
fn sixteen_clients_update_one_record_and_nothing_is_lost() {
    let server = start(options());
    let owner = client(&server);
    // A count of all, and one of each client.
    let pointer = owner.create(vec![0; 17 * 4], ALL).unwrap();
    let add = |data: &mut [u8], at: u32| {
        let (_, rest) = data.split_at_mut(at as usize * 4);
        let count: &mut [u8; 4] = rest.first_chunk_mut().unwrap();
        *count = (u32::from_be_bytes(*count) + 1).to_be_bytes();
    };
    together(&server, 25, move |client, n| {
        let change = |old: &Bytes| {
            let mut data = old.to_vec();
            add(&mut data, 0);
            add(&mut data, n + 1);
            data
        };
        client.update(pointer, change).unwrap();
    });
    let last = owner.resolve_if_changed(pointer, None).unwrap().unwrap();
    let counts: Vec<u32> =
        last.data.chunks(4).map(|count| u32::from_be_bytes(count.try_into().unwrap())).collect();
    assert_eq!(counts, [&[400][..], &[25; 16]].concat());
    assert_eq!(last.version, Version(401));
}

#[test]
fn sixteen_clients_count_and_log_in_one_record() {
    let server = start(options());
    let owner = client(&server);
    let count = owner.create([0; 8].to_vec(), ALL).unwrap();
    let log = owner.create("", ALL).unwrap();
    together(&server, 25, move |client, n| {
        let number = client.fetch_add(count, 0, 1).unwrap();
        assert_eq!(number.version, Version(number.value as u64 + 1));
        let line = vec![n as u8; 1000 + n as usize];
        let at = client.append(log, line.clone()).unwrap().offset;
        assert_eq!(client.read_range(log, at, line.len() as u32).unwrap().data, line);
    });
    assert_eq!(owner.fetch_add(count, 0, 0).unwrap(), Added { version: Version(402), value: 400 });
    // Every line is whole, and there are 25 of each.
    let data = owner.resolve(log).unwrap();
    let (mut rest, mut lines) = (&data[..], [0; 16]);
    while let [n, ..] = rest {
        let (line, after) = rest.split_at(1000 + *n as usize);
        assert!(line.iter().all(|byte| byte == n));
        lines[*n as usize] += 1;
        rest = after;
    }
    assert_eq!(lines, [25; 16]);
}
