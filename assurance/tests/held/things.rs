//! Very many of each thing that a server can hold.

use std::io::Write;

use assurance::raw::{Raw, loopback, packets};
use assurance::scale::quick_or_long;
use assurance::servers::{Adapter, within};
use netswap_core::types::{Access, Owner, Pointer};
use netswap_core::wire::{HEADER_LEN, Lifetime, MAX_PAYLOAD, Request};

use crate::{Held, MIB, until_refused};

/// How many of a thing there are.
fn many() -> usize {
    quick_or_long(50_000, 1_000_000)
}

/// The memory limit that `count` records of `len` bytes fill.
fn total_of(count: usize, len: usize) -> u64 {
    count as u64 * (len as u64 + 128)
}

/// Owners have gone soon after their connections.
const SOON_GONE: (&str, u64) = ("grace_ms", 200);

/// Records of a length until they are refused.
fn create(owner: &mut Raw, len: usize) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    let batch =
        |_| (0..500).map(|_| Request::CreateRecord { access: Access::all(), data: vec![7; len] }).collect();
    until_refused(owner, batch, |_, answer| pointers.push(answer.pointer()));
    pointers
}

fn delete(owner: &mut Raw, pointers: Vec<Pointer>) {
    let requests = pointers.into_iter().map(|pointer| Request::DeleteRecord { pointer });
    owner.pipeline(requests, |answer| assert_eq!(answer.code, 0, "{answer:?}")).unwrap();
}

pub(crate) fn small_records(adapter: Adapter) {
    let total = total_of(many(), 64);
    let mut held = Held::start(adapter, "records of 64 bytes", total, 0, &[SOON_GONE]);
    let mut owner = Raw::connect(loopback(1), held.server.address).unwrap();
    let pointers = create(&mut owner, 64);
    held.is_full(pointers.len());
    delete(&mut owner, pointers);
    drop(owner);
    held.ends_empty();
}

/// Every setting that a record can have, with a deadline.
fn settings(pointer: Pointer, n: usize) -> Request<Vec<u8>> {
    let ttl = std::num::NonZeroU32::new(10_000 + n as u32 % 10_000);
    let heir = Owner::new(0xbeef_0000 + n as u64);
    Request::SetLifetime { pointer, lifetime: Lifetime { grace: Some(n as u32 % 1000), ttl, heir } }
}

/// Records until the next, or one of the requests that follow each, is refused.
fn create_with(owner: &mut Raw, follow: impl Fn(Pointer, usize) -> Vec<Request<Vec<u8>>>) -> Vec<Pointer> {
    let mut all = Vec::new();
    loop {
        let mut pointers = Vec::new();
        let create = || Request::CreateRecord { access: Access::all(), data: vec![] };
        let batch = (0..500).map(|_| create());
        let add = |answer: assurance::raw::Answer| {
            if answer.code == 0 {
                pointers.push(answer.pointer());
            }
        };
        owner.pipeline(batch, add).unwrap();
        let mut refused = pointers.len() < 500;
        let first = all.len();
        let follow = (first..).zip(&pointers).flat_map(|(n, pointer)| follow(*pointer, n));
        owner.pipeline(follow, |answer| refused |= answer.code != 0).unwrap();
        all.extend(pointers);
        if refused {
            return all;
        }
    }
}

pub(crate) fn records_with_settings(adapter: Adapter) {
    let total = total_of(many(), 0);
    let mut held = Held::start(adapter, "records with settings", total, 0, &[SOON_GONE]);
    let mut owner = Raw::connect(loopback(1), held.server.address).unwrap();
    let pointers = create_with(&mut owner, |pointer, n| vec![settings(pointer, n)]);
    held.is_full(pointers.len());
    delete(&mut owner, pointers);
    drop(owner);
    held.ends_empty();
}

pub(crate) fn records_given_to_unknown_owners(adapter: Adapter) {
    // A grace of their own keeps them while others are made; that they expire is all that can end them.
    let grace = quick_or_long(2, 90);
    let total = total_of(many(), 0);
    let mut held = Held::start(adapter, "records given to owners nobody knows", total, 0, &[SOON_GONE]);
    let mut giver = Raw::connect(loopback(1), held.server.address).unwrap();
    let pointers = create_with(&mut giver, |pointer, n| {
        let ttl = std::num::NonZeroU32::new(grace + 1);
        let lifetime = Lifetime { grace: Some(grace), ttl, heir: None };
        let owner = Owner::new(0xdead_0000_0000 + n as u64).unwrap();
        vec![Request::SetLifetime { pointer, lifetime }, Request::TransferRecord { pointer, owner }]
    });
    held.is_full(pointers.len());
    drop(giver);
    within(std::time::Duration::from_secs(u64::from(grace) + 30), "the end of all", || {
        let mut other = Raw::connect(loopback(2), held.server.address).unwrap();
        let last = pointers.last().copied().unwrap();
        let (first, last) = (pointers[0], last);
        std::thread::sleep(std::time::Duration::from_millis(100));
        [first, last].into_iter().all(|pointer| other.ask(Request::StatRecord { pointer }).unwrap().code == 2)
    });
    held.ends_empty();
}

pub(crate) fn owners_with_a_record_each(adapter: Adapter) {
    // Loopback addresses by the thousand; each connects, makes a record and leaves.
    let owners = quick_or_long(1500, 100_000);
    let total = total_of(owners, 64) + MIB;
    let grace = ("grace_ms", quick_or_long(1000, 60_000));
    let mut held = Held::start(adapter, "owners with a record each", total, 0, &[grace]);
    for n in 0..owners {
        let mut owner = Raw::connect(loopback(2 + n), held.server.address).unwrap();
        let create = Request::CreateRecord { access: Access::READ, data: vec![1; 64] };
        let code = owner.ask(create).unwrap().code;
        assert!(matches!(code, 0 | 8), "code {code}");
        // In order and at once: ports do not rest.
        owner.reset();
    }
    held.is_full(owners);
    std::thread::sleep(std::time::Duration::from_millis(grace.1 + 500));
    held.ends_empty();
}

/// Records on which nothing else is, and for each a request that stays open, 4000 on a connection.
fn open(held: &Held, owner: &mut Raw, reserved: bool, request: fn(Pointer) -> Request<Vec<u8>>) -> Vec<Raw> {
    let mut pointers = Vec::with_capacity(many());
    let create = || match reserved {
        true => Request::ReserveRecord { access: Access::READ },
        false => Request::CreateRecord { access: Access::READ, data: vec![] },
    };
    owner.pipeline((0..many()).map(|_| create()), |answer| pointers.push(answer.pointer())).unwrap();
    let connect = |mine: &[Pointer]| {
        let mut raw = Raw::connect(loopback(2), held.server.address).unwrap();
        for (batch, first) in mine.chunks(500).zip((1..).step_by(500)) {
            let requests =
                batch.iter().zip(first..).flat_map(|(pointer, xid)| packets(xid, request(*pointer)));
            raw.0.write_all(&requests.collect::<Vec<u8>>()).unwrap();
            // Its reply comes behind theirs, if they have any.
            raw.send(0, Request::Ping { data: vec![] }).unwrap();
            while raw.answer().unwrap().xid != 0 {}
        }
        raw
    };
    pointers.chunks(4000).map(connect).collect()
}

fn open_requests(
    adapter: Adapter,
    what: &'static str,
    reserved: bool,
    request: fn(Pointer) -> Request<Vec<u8>>,
) {
    let places = 3 * many() as u64 + 1000;
    // Twice what records count today, lest they count more.
    let limits = [("places", places), SOON_GONE];
    let mut held = Held::start(adapter, what, 2 * total_of(many(), 0), places * 512, &limits);
    let mut owner = Raw::connect(loopback(1), held.server.address).unwrap();
    let connections = open(&held, &mut owner, reserved, request);
    held.is_full(many());
    drop((connections, owner));
    held.ends_empty();
}

pub(crate) fn watches(adapter: Adapter) {
    open_requests(adapter, "watches", false, |pointer| Request::WatchRecord { pointer, push: true });
}

pub(crate) fn waiting_reads(adapter: Adapter) {
    open_requests(adapter, "waiting reads", true, |pointer| Request::ResolvePointer { pointer });
}

pub(crate) fn unfinished_requests(adapter: Adapter) {
    const EACH: usize = 1000;

    let bytes = (many() * MAX_PAYLOAD) as u64;
    let limits = [("unfinished", bytes), ("places", many() as u64 + 1000), ("connections", 1100), SOON_GONE];
    // Room for what is still to come, as much again and a quarter, and a place each.
    let beside = bytes + bytes / 4 + 512 * many() as u64;
    let mut held = Held::start(adapter, "unfinished requests", bytes, beside, &limits);
    let request = packets(0, Request::CreateRecord { access: Access::READ, data: vec![2; MAX_PAYLOAD + 1] });
    let first = &request[4..HEADER_LEN + MAX_PAYLOAD];
    let clients: Vec<_> = (0..many() / EACH)
        .map(|n| {
            let mut raw = Raw::connect(loopback(1 + n), held.server.address).unwrap();
            let begun = (1..=EACH as u32).flat_map(|xid| [&xid.to_be_bytes()[..], first].concat());
            raw.0.write_all(&begun.collect::<Vec<u8>>()).unwrap();
            let ping = Request::Ping { data: vec![] };
            assert_eq!(raw.ask_as(5000, ping).unwrap().code, 0, "none is refused");
            raw
        })
        .collect();
    held.is_full(many());
    drop(clients);
    held.ends_empty();
}

pub(crate) fn lengths_above_a_size_class(adapter: Adapter) {
    for len in [2049, 5121] {
        let total = total_of(quick_or_long(25_000, 400_000) * 2049 / len, len);
        let what = if len == 2049 { "records of 2049 bytes" } else { "records of 5121 bytes" };
        let mut held = Held::start(adapter, what, total, 0, &[SOON_GONE]);
        let mut owner = Raw::connect(loopback(1), held.server.address).unwrap();
        let pointers = create(&mut owner, len);
        held.is_full(pointers.len());
        delete(&mut owner, pointers);
        drop(owner);
        held.ends_empty();
    }
}
