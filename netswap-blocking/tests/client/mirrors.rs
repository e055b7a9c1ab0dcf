//! Copies that follow their records.

use std::thread;

use netswap_blocking::{Change, Ending, Error};
use netswap_core::types::{Access, Version};

use crate::support::{joined, options, start};
use crate::{client, client_from, pattern};

#[test]
fn a_mirror_follows_its_record() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = owner.create("hello", Access::READ).unwrap();
    let mut mirror = other.mirror(pointer).unwrap();
    assert_eq!((mirror.pointer(), mirror.version(), mirror.is_live()), (pointer, Version(1), true));
    assert_eq!(mirror.data(), "hello");
    owner.write_range(pointer, 7, "you").unwrap();
    assert_eq!(mirror.changed().unwrap(), Version(2));
    assert_eq!(mirror.data(), "hello\0\0you");
    let snapshot = mirror.data().clone();
    for version in 3..50 {
        owner.write_range(pointer, 0, format!("{version}")).unwrap();
    }
    while mirror.changed().unwrap() < Version(49) {}
    assert_eq!((mirror.data(), snapshot), (&"49llo\0\0you".into(), "hello\0\0you".into()));

    // What is not about the data is no change of them, and can be heard all the same.
    owner.set_permissions(pointer, Access::READ | Access::WRITE).unwrap();
    let change = mirror.next().unwrap().unwrap();
    assert_eq!(change, Change::AccessChanged(Access::READ | Access::WRITE));
    owner.replace(pointer, "last").unwrap();
    owner.set_permissions(pointer, Access::READ).unwrap();
    owner.delete(pointer).unwrap();
    assert_eq!(mirror.changed().unwrap(), Version(50));
    for _ in 0..2 {
        assert!(matches!(mirror.changed(), Err(Error::Ended(Ending::Deleted))));
        assert_eq!((mirror.data(), mirror.is_live()), (&"last".into(), false));
    }
}

#[test]
fn a_mirror_of_a_reserved_record_is_empty_at_first() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.reserve(Access::READ).unwrap();
    let mut mirror = client.mirror(pointer).unwrap();
    assert_eq!((mirror.version(), mirror.data().len(), mirror.is_live()), (Version(0), 0, true));
    client.replace(pointer, "data").unwrap();
    assert_eq!(mirror.changed().unwrap(), Version(1));
    assert_eq!(mirror.data(), "data");
}

/// Numbers that look random and are the same in every run.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn mirrors_of_a_busy_record_become_the_record() {
    let server = start(options());
    let owner = client(&server);
    let pointer = owner.create(pattern(50_000), Access::all()).unwrap();
    let writers: Vec<_> = (0..3)
        .map(|seed| {
            let address = server.address.to_string();
            thread::spawn(move || {
                let writer = netswap_blocking::Client::connect(address).unwrap();
                let mut number = numbers(seed);
                for _ in 0..400 {
                    let (offset, len) = (number(60_000), [number(50), number(5000)][number(2)]);
                    let data = vec![number(256) as u8; len];
                    match number(20) {
                        0 => drop(writer.replace(pointer, pattern(number(50_000))).unwrap()),
                        1 | 2 => drop(writer.append(pointer, data).unwrap()),
                        3 => drop(writer.write_range(pointer, 0, vec![0; 8]).unwrap()),
                        4 => drop(writer.fetch_add(pointer, 0, 77)),
                        _ => drop(writer.write_range(pointer, offset as u32, data).unwrap()),
                    }
                }
            })
        })
        .collect();
    // Mirrors that keep up, that are slow, and that are made anew all the time.
    let mirrors: Vec<_> = (0..4_u64)
        .map(|number| {
            let address = server.address.to_string();
            thread::spawn(move || {
                let client = netswap_blocking::Client::connect(address).unwrap();
                let mut mirror = client.mirror(pointer).unwrap();
                while mirror.data() != "the end" {
                    if number == 3 {
                        mirror = client.mirror(pointer).unwrap();
                    } else {
                        let before = mirror.version();
                        assert!(mirror.changed().unwrap() > before);
                        thread::sleep(std::time::Duration::from_millis(number * 20));
                    }
                }
                mirror
            })
        })
        .collect();
    let mut mirror = owner.mirror(pointer).unwrap();
    for writer in writers {
        writer.join().unwrap();
    }
    let (version, data) = (owner.stat(pointer).unwrap().version, owner.resolve(pointer).unwrap());
    while mirror.version() < version {
        mirror.changed().unwrap();
    }
    assert!(mirror.data() == &data);
    owner.replace(pointer, "the end").unwrap();
    for task in mirrors {
        assert_eq!(joined(task).version(), version.next());
    }
}
