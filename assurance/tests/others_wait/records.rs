//! Large records, and many of them.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use assurance::program::Serving;
use assurance::raw::{Raw, loopback, packets};
use assurance::scale::quick_or_long;
use assurance::waits::{Other, Waits};
use netswap_core::types::{Access, Owner, Pointer};
use netswap_core::wire::{Lifetime, Request};

use crate::clients::{
    Flood, abort, all, bytes, connect, create, create_many, flood, identify, stuck, watches,
};
use crate::{MIB, judge, start};

/// A million records, or fewer in every change.
pub(crate) fn many() -> usize {
    quick_or_long(80_000, 1_000_000)
}

/// The total that holds many records with settings, whatever these count.
pub(crate) fn total() -> u64 {
    many() as u64 * 1024
}

/// Sends bytes once while somebody else is there, and waits until they have been taken and answered.
fn beside(server: SocketAddr, attacker: Raw, bytes: Vec<u8>, length: Duration) -> Waits {
    let other = Other::start(server);
    flood(vec![Flood { raw: attacker, bytes, again: false, reads: false }], length);
    other.stop()
}

/// A write of one byte to a large record that a reply of 65 bytes holds, in a pipeline of 59 bytes each.
pub(crate) fn a_large_record_is_written_while_a_reply_holds_it(serving: Serving) {
    let len = quick_or_long(32, 256) * MIB;
    judge(serving, "a byte is written to a large record that a reply holds, 150 times", || {
        let server = start(serving, &[("total", 4 * len), ("record", len)]);
        let mut owner = connect(loopback(0), server.address);
        let small = create(&mut owner, Access::READ, vec![1; MIB as usize]);
        let pointer = create(&mut owner, Access::READ | Access::WRITE, vec![1; len as usize]);
        let attacker = stuck(loopback(1), server.address, small);
        let copies = (1..=150).flat_map(|xid| {
            let read = packets(xid, Request::ReadRange { pointer, offset: 0, len: 65 });
            let write = Request::WriteRange { pointer, offset: len as u32 - 1, data: vec![xid as u8] };
            [read, packets(1000 + xid, write), abort(xid)].concat()
        });
        beside(server.address, attacker, copies.collect(), Duration::from_millis(quick_or_long(200, 4000)))
    });
}

/// A byte far behind the end, then a replacement that throws all of the gap away.
pub(crate) fn gaps_are_filled_and_thrown_away(serving: Serving) {
    let len = quick_or_long(64, 256) * MIB;
    let repeats = quick_or_long(200, 850);
    judge(serving, "a gap is filled and thrown away, over and over", || {
        let server = start(serving, &[("total", 4 * len), ("record", len)]);
        let mut attacker = connect(loopback(1), server.address);
        let pointer = create(&mut attacker, Access::READ, vec![]);
        let pair = || {
            let write = Request::WriteRange { pointer, offset: len as u32 - 1, data: vec![1] };
            [write, Request::ReplaceRecord { pointer, data: vec![] }]
        };
        let pairs = bytes((0..repeats).flat_map(|_| pair()));
        let other = Other::start(server.address);
        let length = Duration::from_millis(quick_or_long(200, 4000));
        flood(vec![Flood { raw: attacker, bytes: pairs, again: false, reads: true }], length);
        other.stop()
    });
}

fn lifetime(pointer: Pointer, grace: u32, heir: Option<Owner>) -> Request<Vec<u8>> {
    Request::SetLifetime { pointer, lifetime: Lifetime { grace: Some(grace), ttl: None, heir } }
}

/// Connections without a byte, from an address that owns many records with a grace of their own.
pub(crate) fn the_owner_of_many_records_comes_and_goes(serving: Serving) {
    judge(serving, "the owner of many records connects and closes, three times", || {
        let server = start(serving, &[("total", total())]);
        let mut owner = connect(loopback(1), server.address);
        let pointers = create_many(&mut owner, many(), Access::READ, 0);
        all(&mut owner, pointers.iter().map(|pointer| lifetime(*pointer, 3600, None)));
        let other = Other::start(server.address);
        drop(owner);
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(100));
            drop(connect(loopback(1), server.address));
        }
        thread::sleep(Duration::from_millis(quick_or_long(100, 1000)));
        other.stop()
    });
}

/// LIST_RECORDS by the owner of many records, where there is no memory for the answer.
pub(crate) fn lists_are_refused(serving: Serving) {
    let repeats = quick_or_long(400, 800);
    judge(serving, "a list of many records is refused, over and over", || {
        let server = start(serving, &[("total", total()), ("record", 16 * MIB)]);
        let mut owner = connect(loopback(1), server.address);
        create_many(&mut owner, many(), Access::READ, 0);
        fill_up(&mut owner);
        assert_eq!(owner.ask(Request::ListRecords).unwrap().code, 8, "there is no memory for it");
        let lists = bytes((0..repeats).map(|_| Request::ListRecords));
        let other = Other::start(server.address);
        let length = Duration::from_millis(quick_or_long(200, 4000));
        flood(vec![Flood { raw: owner, bytes: lists, again: false, reads: true }], length);
        other.stop()
    });
}

/// Takes all memory that there is but for a few KiB.
pub(crate) fn fill_up(owner: &mut Raw) {
    let mut len = 8 * MIB as usize;
    while len >= 4096 {
        while owner.ask(Request::CreateRecord { access: Access::READ, data: vec![1; len] }).unwrap().code == 0
        {
        }
        len /= 2;
    }
}

/// The grace of many records ends at one moment.
pub(crate) fn many_records_expire_at_once(serving: Serving) {
    judge(serving, "many records expire at once", || many_end_at_once(serving, false));
}

/// Many records go to an heir, who is there, at one moment.
pub(crate) fn many_records_go_to_an_heir_at_once(serving: Serving) {
    judge(serving, "many records go to an heir at once", || many_end_at_once(serving, true));
}

fn many_end_at_once(serving: Serving, have_heir: bool) -> Waits {
    let server = start(serving, &[("total", total())]);
    let mut heir = connect(loopback(2), server.address);
    let hash = identify(&mut heir);
    let mut owner = connect(loopback(1), server.address);
    let pointers = create_many(&mut owner, many(), Access::READ, 0);
    let lifetime = |pointer: &Pointer| lifetime(*pointer, 1, have_heir.then_some(hash));
    all(&mut owner, pointers.iter().map(lifetime));
    let other = Other::start(server.address);
    drop(owner);
    thread::sleep(Duration::from_millis(quick_or_long(1150, 4000)));
    other.stop()
}

/// The first write to a record that very many watch, later ones, and what its owner's watches are told.
pub(crate) fn a_record_with_many_watches_is_written(serving: Serving) {
    let connections = quick_or_long(24, 42);
    judge(serving, "a record with many watches is written, and asked for", || {
        let server = start(serving, &[("total", 1024 * MIB), ("places", 600_000)]);
        let mut owner = connect(loopback(1), server.address);
        let pointer = create(&mut owner, Access::READ | Access::WRITE, vec![1; 64]);
        let _watching = watches(loopback(1), server.address, pointer, connections, 4096);
        let mut attacker = connect(loopback(2), server.address);
        let other = Other::start(server.address);
        all(&mut attacker, [Request::ReplaceRecord { pointer, data: vec![2; 64] }]);
        thread::sleep(Duration::from_millis(quick_or_long(100, 500)));
        let pair =
            || [Request::ReplaceRecord { pointer, data: vec![3; 64] }, Request::RequestOwnership { pointer }];
        all(&mut attacker, (0..20).flat_map(|_| pair()));
        thread::sleep(Duration::from_millis(quick_or_long(100, 500)));
        other.stop()
    });
}
