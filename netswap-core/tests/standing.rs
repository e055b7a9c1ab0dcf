//! Watches, reserved records and lifetimes: the ways they are meant to be used.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use support::World;
use support::wire::{Message, ok, request};

const WATCH: u8 = 16;
const RESERVE: u8 = 18;

fn notify(xid: u32, kind: u8, payload: impl AsRef<[u8]>) -> Message {
    Message { xid, code: 11, access: kind, payload: payload.as_ref().to_vec() }
}

fn be(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

#[test]
fn a_subscriber_gets_the_whole_and_then_just_the_changed_range() {
    let mut world = World::new();
    let (writer, watcher) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let pointer = world.create(writer, 3, "hello");
    let watched = world.exchange(watcher, request(9, WATCH, 1, be(pointer)));
    assert_eq!(watched, [ok(9, be(1)), notify(9, 1, [&be(1)[..], b"hello"].concat())]);

    let patch = [&be(pointer)[..], &1_u32.to_be_bytes(), b"E"].concat();
    world.send(writer, request(2, 11, 0, patch));
    assert_eq!(world.replies(writer), [ok(2, be(2))]);
    let range = [&be(2)[..], &1_u32.to_be_bytes(), b"E"].concat();
    assert_eq!(world.replies(watcher), [notify(9, 2, range)]);

    world.send(writer, request(3, 4, 0, be(pointer)));
    assert_eq!(world.replies(writer), [ok(3, [])]);
    assert_eq!(world.replies(watcher), [notify(9, 16, [])]);
    world.assert_silence();
}

#[test]
fn a_read_of_a_reserved_record_waits_for_its_data() {
    let mut world = World::new();
    let (host, joiner) = (world.connect("127.0.0.1"), world.connect("127.0.0.2"));
    let reserved = world.ask(host, request(1, RESERVE, 1, []));
    let pointer: [u8; 8] = reserved.payload.try_into().unwrap();
    assert_eq!(world.exchange(joiner, request(5, 2, 0, pointer)), []);
    world.send(host, request(2, 3, 0, [&pointer[..], b"map"].concat()));
    assert_eq!(world.replies(host), [ok(2, be(1))]);
    let map = Message { xid: 5, code: 3, access: 0, payload: b"map".to_vec() };
    assert_eq!(world.replies(joiner), [map]);
    world.assert_silence();
}
