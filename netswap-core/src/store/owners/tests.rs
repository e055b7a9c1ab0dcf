use core::time::Duration;

use crate::config::{Config, Limits};
use crate::engine::Peer;
use crate::identity::IdentityKey;
use crate::memory::Payload;
use crate::store::{Admission, Store};
use crate::time::Instant;
use crate::types::{Access, Pointer, Xid};
use crate::wire::{Lifetime, Reply, Request};

fn connect(store: &mut Store, host: u8, now: Instant) -> Peer {
    match store.connect([10, 0, 0, host].into(), now) {
        Admission::Served(peer) => peer,
        other => panic!("{other:?}"),
    }
}

fn create(store: &mut Store, peer: Peer, grace: Option<u32>) -> Pointer {
    let mut ask =
        |request: Request<Payload<'_>>| store.serve(peer, Xid(1), request, Instant::ZERO).reply().unwrap();
    let Reply::Created(pointer) = ask(Request::ReserveRecord { access: Access::READ }) else { panic!() };
    ask(Request::SetLifetime { pointer, lifetime: Lifetime { grace, ttl: None, heir: None } });
    pointer
}

#[test]
fn a_connection_that_begins_or_ends_looks_at_no_record_of_its_owner() {
    let config = Config::new(Limits::new(1 << 40), IdentityKey([0; 16]), [0; 32]);
    let mut store = Store::new(config).unwrap();
    let (giver, peer) = (connect(&mut store, 1, Instant::ZERO), connect(&mut store, 2, Instant::ZERO));
    for n in 0..50_000 {
        create(&mut store, peer, (n % 2 == 0).then_some(100 + n));
    }
    store.disconnect(peer.id, Instant::ZERO);
    // These come to somebody who is not there: each of them has a deadline of its own.
    for n in 0..50_000 {
        let pointer = create(&mut store, giver, (n % 2 == 0).then_some(100 + n));
        store.serve(giver, Xid(1), Request::TransferRecord { pointer, owner: peer.owner }, Instant::ZERO);
    }
    let mut now = Instant::ZERO;
    for splice in [2, 0, 0] {
        now = now + Duration::from_secs(10);
        let looks = store.records.looks.get();
        let peer = connect(&mut store, 2, now);
        // The ends of two lists are joined when the first connection begins.
        assert_eq!(store.records.looks.get() - looks, splice);
        store.depart(peer.id, now);
        store.disconnect(peer.id, now);
        assert_eq!(store.records.looks.get() - looks, splice);
        assert_eq!(store.statistics().records, 100_000);
    }
}

#[test]
fn the_room_of_many_owners_is_given_back_in_steps() {
    let config = Config::new(Limits::new(1 << 40), IdentityKey([0; 16]), [0; 32]);
    let mut store = Store::new(config).unwrap();
    let giver = connect(&mut store, 1, Instant::ZERO);
    for n in 2..20_000_u64 {
        let pointer = create(&mut store, giver, None);
        let owner = crate::types::Owner::new(n).unwrap();
        store.serve(giver, Xid(1), Request::TransferRecord { pointer, owner }, Instant::ZERO);
    }
    store.disconnect(giver.id, Instant::ZERO);
    let end = store.poll_timeout().unwrap();
    store.set_portion(u32::MAX);
    store.handle_timeout(end);
    let mut calls = 0;
    while store.poll_timeout().is_some() {
        assert!(store.owners.has_spare());
        store.handle_timeout(end);
        calls += 1;
    }
    assert!(calls > 1 && store.statistics().owners == 0, "{calls} calls");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn an_owner_and_a_deadline_take_little() {
    use crate::store::lifetimes::Mortal;
    use crate::store::record::More;
    use crate::store::slab::Slot;

    let sizes = [size_of::<super::Holdings>(), size_of::<More>(), size_of::<(Instant, Mortal)>()];
    assert_eq!((sizes, size_of::<(Slot, u32, Pointer)>()), ([128, 128, 24], 16));
}
