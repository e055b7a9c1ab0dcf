//! Every request at its dearest: what the longest payload, the largest record, the most records, watches or replies make
//! of it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use assurance::program::Serving;
use assurance::raw::{Raw, loopback, packets};
use assurance::scale::{at_most, quick_or_long};
use assurance::waits::{Other, Waits};
use netswap_core::types::{Access, Owner, Pointer, Version};
use netswap_core::wire::{HEADER_LEN, Lifetime, MAX_PAYLOAD, Request};

use crate::clients::{Flood, abort, bytes, connect, create, create_many, flood, stuck, watches};
use crate::{ALONE, ATTEMPTS, LONGEST, MIB, start};

/// Everything is tried on one server, whose records are soon gone when their owners are.
pub(crate) fn each_request_at_its_worst(serving: Serving) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = start(serving, &[("total", 2048 * MIB), ("grace_ms", 50)]);
    let mut wrong = Vec::new();
    for (name, attack) in ATTACKS {
        let mut longest = Vec::new();
        while longest.len() < ATTEMPTS {
            let waits = tried(server.address, *attack);
            eprintln!("\n{}: {name}: {waits}", serving.name());
            if waits.max() <= at_most(LONGEST) {
                break;
            }
            longest.push(waits.max());
        }
        if longest.len() == ATTEMPTS {
            wrong.push(format!("{name}: {longest:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}: others wait too long beside {wrong:#?}", serving.name());
}

fn tried(server: SocketAddr, attack: Attack) -> Waits {
    let stage = Stage { server, kept: RefCell::default() };
    let floods = attack(&stage);
    let other = Other::start(server);
    flood(floods, Duration::from_millis(quick_or_long(40, 1000)));
    // What is left under way, and the end of all records, are part of it.
    drop(stage);
    thread::sleep(Duration::from_millis(quick_or_long(40, 500)));
    other.stop()
}

/// Prepares an attack.
type Attack = fn(&Stage) -> Vec<Flood>;

const ATTACKS: &[(&str, Attack)] = &[
    ("CREATE_RECORD, empty", |stage| {
        let create = || Request::CreateRecord { access: Access::READ, data: vec![] };
        stage.flood(bytes((0..500).map(|_| create())), true)
    }),
    ("CREATE_RECORD, 16 MiB", |stage| {
        stage.flood(bytes([Request::CreateRecord { access: Access::READ, data: vec![1; LARGE] }]), true)
    }),
    ("UPDATE_RECORD_PERMISSIONS, many watches", |stage| {
        let pointer = stage.watched();
        let update = |access| Request::UpdateRecordPermissions { pointer, access };
        stage.flood(bytes([update(Access::READ), update(Access::READ | Access::WRITE)]), true)
    }),
    ("UPDATE_RECORD_PERMISSIONS, many watches that end", |stage| {
        let pointer = stage.watched_from(2);
        stage.flood(bytes([Request::UpdateRecordPermissions { pointer, access: Access::WRITE }]), false)
    }),
    ("RESOLVE_POINTER, large", |stage| {
        let pointer = stage.large();
        stage.flood(bytes((0..50).map(|_| Request::ResolvePointer { pointer })), true)
    }),
    ("REPLACE_RECORD, many watches", |stage| {
        let pointer = stage.watched();
        stage.flood(bytes((0..50).map(|n| Request::ReplaceRecord { pointer, data: vec![n; 64] })), true)
    }),
    ("REPLACE_RECORD, large", |stage| {
        let pointer = stage.large();
        stage.flood(bytes([Request::ReplaceRecord { pointer, data: vec![1; LARGE] }]), true)
    }),
    ("DELETE_RECORD, many watches", |stage| {
        let pointer = stage.watched();
        stage.flood(bytes([Request::DeleteRecord { pointer }]), false)
    }),
    ("DELETE_RECORD, large", |stage| {
        let pointers: Vec<_> = (0..16).map(|_| stage.large()).collect();
        stage.flood(bytes(pointers.into_iter().map(|pointer| Request::DeleteRecord { pointer })), false)
    }),
    ("TAKEOVER_RECORD, many records", |stage| {
        let pointers = stage.many(Access::TAKEOVER);
        let takeover = bytes(pointers.into_iter().map(|pointer| Request::TakeoverRecord { pointer }));
        vec![stage.from(2, takeover, false, true)]
    }),
    ("TAKEOVER_RECORD, many watches", |stage| {
        let pointer = stage.watched();
        vec![stage.from(2, bytes([Request::TakeoverRecord { pointer }]), false, true)]
    }),
    ("TRANSFER_RECORD, to owners that nobody is", |stage| {
        let owner = |n: u64| Owner::new(0x1234_5678_0000 + n).unwrap();
        let transfer = |(pointer, n)| Request::TransferRecord { pointer, owner: owner(n) };
        stage.flood(bytes(stage.many(Access::READ).into_iter().zip(0..).map(transfer)), false)
    }),
    ("IDENTIFY", |stage| stage.flood(bytes((0..500).map(|_| Request::Identify)), true)),
    ("PING, 16 MiB", |stage| stage.flood(bytes([Request::Ping { data: vec![1; LARGE] }]), true)),
    ("STAT_RECORD", |stage| {
        let pointer = stage.large();
        stage.flood(bytes((0..500).map(|_| Request::StatRecord { pointer })), true)
    }),
    ("LIST_RECORDS, many records", |stage| {
        stage.many(Access::READ);
        stage.flood(bytes((0..50).map(|_| Request::ListRecords)), true)
    }),
    ("LIST_RECORDS, as many records as are listed in one call", |stage| {
        let mut owner = connect(loopback(1), stage.server);
        create_many(&mut owner, 2048, Access::READ, 0);
        stage.keep(owner);
        stage.flood(bytes((0..300).map(|_| Request::ListRecords)), true)
    }),
    ("READ_RANGE, large", |stage| {
        let pointer = stage.large();
        stage.flood(bytes((0..50).map(|_| Request::ReadRange { pointer, offset: 1, len: u32::MAX })), true)
    }),
    ("WRITE_RANGE, one byte, held", |stage| {
        stage.held(|pointer, n| Request::WriteRange { pointer, offset: n, data: vec![1] })
    }),
    ("WRITE_RANGE, large, held", |stage| {
        let pointer = stage.large();
        let read = Request::ReadRange { pointer, offset: 0, len: 65 };
        let write = Request::WriteRange { pointer, offset: 1, data: vec![1; LARGE - 2] };
        stage.flood([packets(1, read), packets(2, write), abort(1)].concat(), true)
    }),
    ("APPEND, one byte, held", |stage| stage.held(|pointer, _| Request::Append { pointer, data: vec![1] })),
    ("APPEND, many watches", |stage| {
        let pointer = stage.watched();
        stage.flood(bytes((0..50).map(|_| Request::Append { pointer, data: vec![1] })), true)
    }),
    ("COMPARE_AND_REPLACE, large, of a wrong version", |stage| {
        let (pointer, version) = (stage.large(), Version(77));
        let request = Request::CompareAndReplace { pointer, version, data: vec![1; LARGE] };
        stage.flood(bytes([request]), true)
    }),
    ("FETCH_ADD, held", |stage| stage.held(|pointer, n| Request::FetchAdd { pointer, offset: n, delta: 1 })),
    ("RESOLVE_IF_CHANGED, large", |stage| {
        let pointer = stage.large();
        let request = || Request::ResolveIfChanged { pointer, version: Version(0) };
        stage.flood(bytes((0..50).map(|_| request())), true)
    }),
    ("WATCH_RECORD, large, given up", |stage| {
        let pointer = stage.large();
        let watch = |xid| [packets(xid, Request::WatchRecord { pointer, push: true }), abort(xid)].concat();
        let bytes = (1..=500).flat_map(watch).collect();
        vec![Flood { raw: stuck(loopback(1), stage.server, pointer), bytes, again: true, reads: false }]
    }),
    ("RESERVE_RECORD", |stage| {
        stage.flood(bytes((0..500).map(|_| Request::ReserveRecord { access: Access::READ })), true)
    }),
    ("REPLACE_RECORD, many waiting reads", |stage| {
        let mut owner = connect(loopback(1), stage.server);
        let pointer = owner.ask(Request::ReserveRecord { access: Access::READ }).unwrap().pointer();
        for _ in 0..3 {
            let mut reader = connect(loopback(2), stage.server);
            let reads = bytes((0..4096).map(|_| Request::ResolvePointer { pointer }));
            std::io::Write::write_all(&mut reader.0, &reads).unwrap();
            reader.send(5000, Request::Ping { data: vec![] }).unwrap();
            assert_eq!(reader.answer().unwrap().xid, 5000, "nothing else is answered");
            stage.keep(reader);
        }
        stage.keep(owner);
        stage.flood(bytes([Request::ReplaceRecord { pointer, data: vec![1; 64] }]), false)
    }),
    ("SET_LIFETIME, many records", |stage| {
        let ttl = NonZeroU32::new(3600);
        let lifetime = |n: u32| Lifetime { grace: Some(n % 3600), ttl, heir: None };
        let set = |(pointer, n)| Request::SetLifetime { pointer, lifetime: lifetime(n) };
        stage.flood(bytes(stage.many(Access::READ).into_iter().zip(0..).map(set)), true)
    }),
    ("REQUEST_OWNERSHIP, many watches", |stage| {
        let pointer = stage.watched();
        let request = bytes((0..50).map(|_| Request::RequestOwnership { pointer }));
        vec![stage.from(2, request, true, true)]
    }),
    ("ABORT, of unfinished requests", |stage| {
        let create = packets(0, Request::CreateRecord { access: Access::READ, data: vec![2; 2000] });
        let first = &create[4..HEADER_LEN + MAX_PAYLOAD];
        let begin = (1..=1000_u32).flat_map(|xid| [&xid.to_be_bytes()[..], first].concat());
        stage.flood(begin.chain((1..=1000).flat_map(abort)).collect(), true)
    }),
    ("ABORT, of queued replies", |stage| {
        let pointer = stage.large();
        let read = |xid| packets(xid, Request::ResolvePointer { pointer });
        let bytes = (1..=900).flat_map(read).chain((1..=900).rev().flat_map(abort)).collect();
        vec![Flood { raw: stuck(loopback(1), stage.server, pointer), bytes, again: true, reads: false }]
    }),
    ("an unknown operation", |stage| {
        stage.flood(
            (1..=500_u32).flat_map(|xid| [&xid.to_be_bytes()[..], &[0, 0, 0, 0, 21, 0]].concat()).collect(),
            true,
        )
    }),
];

/// Bytes of a large record.
const LARGE: usize = 16 << 20;

/// The server, and what an attack has made of it.
struct Stage {
    server: SocketAddr,
    kept: RefCell<Vec<Raw>>,
}

impl Stage {
    fn keep(&self, raw: Raw) {
        self.kept.borrow_mut().push(raw);
    }

    /// One connection of the owner, whose replies are read.
    fn flood(&self, bytes: Vec<u8>, again: bool) -> Vec<Flood> {
        vec![self.from(1, bytes, again, true)]
    }

    fn from(&self, address: usize, bytes: Vec<u8>, again: bool, reads: bool) -> Flood {
        Flood { raw: connect(loopback(address), self.server), bytes, again, reads }
    }

    /// A large record.
    fn large(&self) -> Pointer {
        let mut owner = connect(loopback(1), self.server);
        let pointer = create(&mut owner, Access::READ | Access::WRITE, vec![1; LARGE]);
        self.keep(owner);
        pointer
    }

    /// Many records.
    fn many(&self, access: Access) -> Vec<Pointer> {
        let mut owner = connect(loopback(1), self.server);
        let pointers = create_many(&mut owner, quick_or_long(20_000, 200_000), access, 0);
        self.keep(owner);
        pointers
    }

    /// A record with many watches, all by its owner, who reads nothing.
    fn watched(&self) -> Pointer {
        self.watched_from(1)
    }

    /// The same by somebody at this address.
    fn watched_from(&self, address: usize) -> Pointer {
        let mut owner = connect(loopback(1), self.server);
        let access = Access::READ | Access::WRITE | Access::TAKEOVER;
        let pointer = create(&mut owner, access, vec![1; 64]);
        self.keep(owner);
        let connections = quick_or_long(2, 10);
        watches(loopback(address), self.server, pointer, connections, 4000)
            .into_iter()
            .for_each(|raw| self.keep(raw));
        pointer
    }

    /// Writes to a large record, each of which finds it held by a reply that nobody reads.
    fn held(&self, write: impl Fn(Pointer, u32) -> Request<Vec<u8>>) -> Vec<Flood> {
        let pointer = self.large();
        let copies = (1..=100).flat_map(|xid| {
            let read = Request::ReadRange { pointer, offset: 0, len: 65 };
            [packets(xid, read), packets(1000 + xid, write(pointer, xid)), abort(xid)].concat()
        });
        let raw = stuck(loopback(1), self.server, pointer);
        vec![Flood { raw, bytes: copies.collect(), again: true, reads: false }]
    }
}
