//! What counts explains what is taken (docs/PROTOCOL.md §7.2): the allocations of a server that holds many of one thing are
//! no more than its counted bytes and places say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::alloc::System;

use cap::Cap;
use netswap_core::engine::Peer;
use support::wire::{self, ok, op, pattern, request};
use support::{OVERHEAD, World, held};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The most bytes of a place.
const PLACE: u64 = 1024;

/// Room of tables that grow by parts, however little is in them.
const SPARE: u64 = 256 << 10;

/// Of each thing.
const COUNT: u64 = 20_000;

/// Bytes that are allocated, and bytes that the server counts.
fn measure(world: &World) -> (u64, u64) {
    let statistics = world.statistics();
    (ALLOCATOR.allocated() as u64, statistics.bytes + statistics.places * PLACE)
}

/// Has one client make `count` things of a kind. Returns what each takes and counts.
fn make(what: &str, count: u64, mut one: impl FnMut(&mut World, Peer, u64)) -> World {
    let mut world = World::with(|config| {
        (config.limits.watches, config.limits.places) = (1 << 20, 1 << 20);
    });
    let peer = world.connect("127.0.0.1");
    let before = measure(&world);
    (0..count).for_each(|n| one(&mut world, peer, n));
    let after = measure(&world);
    let (taken, counted) = (after.0 - before.0, after.1 - before.1);
    println!("{what}: {} bytes each are taken, {} count", taken / count, counted / count);
    assert!(taken <= counted + SPARE, "{what}: {taken} bytes are taken, {counted} count");
    world
}

/// One after the other: they share the allocator.
#[test]
fn what_counts_explains_what_is_taken() {
    for len in [0, 1, 17, 64, 65, 1000, 2049, 5121] {
        let data = pattern(len);
        let world = make(&format!("records of {len} bytes"), COUNT, |world, peer, _| {
            world.create(peer, 0, &data);
        });
        assert_eq!(world.bytes(), COUNT * (held(len as u64) + OVERHEAD));
    }
    make("records of 20000 bytes", 2000, |world, peer, _| _ = world.create(peer, 0, pattern(20_000)));
    make("records that were written byte by byte", COUNT / 10, |world, peer, _| {
        let pointer = world.create(peer, 0, "");
        for at in [0, 63, 64, 99, 100, 3000] {
            assert_eq!(world.ask(peer, wire::write_range(2, pointer, at, "x")).code, 0);
        }
    });
    make("settings", COUNT, |world, peer, _| {
        let pointer = world.create(peer, 0, "");
        assert_eq!(world.ask(peer, wire::lifetime(2, pointer, 7, 7000, 7)), ok(2, []));
    });
    make("records of owners that nobody knows", COUNT, |world, peer, n| {
        let pointer = world.create(peer, 0, "x");
        assert_eq!(world.ask(peer, wire::transfer(2, pointer, 1000 + n)), ok(2, []));
    });
    make("records with settings, given to owners that nobody knows", COUNT, |world, peer, n| {
        let pointer = world.create(peer, 0, "x");
        assert_eq!(world.ask(peer, wire::lifetime(2, pointer, 77, 7000, 7)), ok(2, []));
        assert_eq!(world.ask(peer, wire::transfer(2, pointer, 1000 + n)), ok(2, []));
    });
    make("records of many absent owners with a grace of their own", COUNT, |world, peer, n| {
        let pointer = world.create(peer, 0, "x");
        assert_eq!(world.ask(peer, wire::lifetime(2, pointer, 77, 0, 0)), ok(2, []));
        assert_eq!(world.ask(peer, wire::transfer(2, pointer, 1000 + n / 2)), ok(2, []));
    });
    make("watches", COUNT, |world, peer, n| {
        let pointer = world.create(peer, 0, "");
        assert_eq!(world.ask(peer, wire::watch(n as u32 + 2, pointer, false)).code, 0);
    });
    make("waiting reads", COUNT, |world, peer, n| {
        let reply = world.ask(peer, request(1, op::RESERVE, 0, ""));
        let pointer = u64::from_be_bytes(reply.payload.try_into().unwrap());
        assert_eq!(world.exchange(peer, wire::about(n as u32 + 2, op::RESOLVE, pointer, [])), []);
    });
}
