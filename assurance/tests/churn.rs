//! Connections come and go, in order and not: nothing of them stays (fault 11).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::io::Write;
use std::net::SocketAddr;
use std::thread;

use assurance::measured::Measured;
use assurance::on_every_adapter;
use assurance::raw::{Raw, SOON, loopback, packets};
use assurance::scale::quick_or_long;
use assurance::servers::{Adapter, within};
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::Request;

on_every_adapter!(nothing_stays);

/// What may stay that no connection has: room that tables and queues have grown to, and at most 16 buffers of 64 KiB for
/// threads to come.
const ROOM: u64 = (256 + 16 * 64) * 1024;

fn nothing_stays(adapter: Adapter) {
    let connections = quick_or_long(3000, 200_000);
    let mut server = Measured::start(env!("CARGO_BIN_EXE_measured-server"), adapter, &[("grace_ms", 100)]);
    let mut owner = Raw::connect(loopback(0), server.address).unwrap();
    let create = Request::CreateRecord { access: Access::all(), data: vec![7; 10_000] };
    let pointer = owner.ask(create).unwrap().pointer();
    let reserved = owner.ask(Request::ReserveRecord { access: Access::all() }).unwrap().pointer();
    // Tables and pools grow to what they need at this pace.
    churn(server.address, pointer, reserved, connections / 3);
    let settled = |server: &mut Measured| {
        within(SOON, "the end of all but the owner", || server.usage().connections == 1);
        // The records of the others too, and their threads.
        thread::sleep(std::time::Duration::from_millis(1200));
        server.usage()
    };
    let before = settled(&mut server);
    churn(server.address, pointer, reserved, connections);
    let after = settled(&mut server);
    eprintln!(
        "{}: {connections} connections: {} to {} bytes allocated, {} to {} KiB resident",
        adapter.name(),
        before.allocated,
        after.allocated,
        before.resident >> 10,
        after.resident >> 10
    );
    assert_eq!((after.panics, after.unfinished), (0, 0));
    assert_eq!((after.counted, after.descriptors), (before.counted, before.descriptors));
    assert!(after.threads <= before.threads, "{before:?} {after:?}");
    assert!(after.allocated <= before.allocated + ROOM, "{before:?} {after:?}");
    server.stop();
}

/// So many connections, which end in seven ways, from two threads.
fn churn(server: SocketAddr, pointer: Pointer, reserved: Pointer, connections: usize) {
    thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                for n in (thread..connections).step_by(2) {
                    one(server, pointer, reserved, n);
                }
            });
        }
    });
}

fn one(server: SocketAddr, pointer: Pointer, reserved: Pointer, n: usize) {
    let mut raw = Raw::connect(loopback(1 + n % 5000), server).unwrap();
    let create = Request::CreateRecord { access: Access::READ, data: vec![1; 3000] };
    match n % 7 {
        // Nothing, and the end.
        0 => {}
        1 => assert_eq!(raw.ask(create).unwrap().code, 0),
        2 => {
            raw.send(1, create).unwrap();
            raw.reset();
        }
        3 => {
            raw.0.write_all(&packets(1, create)[..2000]).unwrap();
            raw.reset();
        }
        4 => {
            assert_eq!(raw.ask(Request::WatchRecord { pointer, push: true }).unwrap().code, 0);
            raw.reset();
        }
        5 => {
            raw.send(1, Request::ResolvePointer { pointer: reserved }).unwrap();
            raw.reset();
        }
        _ => {
            // A violation.
            raw.0.write_all(&[0, 0, 0, 9, 0, 0, 0, 1, 255, 0]).unwrap();
            assert_eq!(raw.answer().unwrap().code, 4);
        }
    }
}
