//! What one call does where many watches, or many reads that wait, are told in portions (docs/PROTOCOL.md §4.3).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/bare.rs"]
mod bare;
mod support;

use std::collections::BTreeMap;

use bare::{NOW, connect, create, reply, serve, store};
use netswap_core::engine::{ConnectionId, Execution, Mail, Peer, Post};
use netswap_core::error::{Quota, Refusal};
use netswap_core::memory::Data;
use netswap_core::store::Store;
use netswap_core::types::{Access, Owner, Pointer, Xid};
use netswap_core::wire::{Reply, Request};

/// 1000 watches of one record, or as many reads that wait for its data, on ten connections.
fn thousand(store: &mut Store, data: Option<&[u8]>) -> (Pointer, Vec<Peer>) {
    let owner = connect(store, 1);
    let pointer = create(store, owner, data);
    let peers: Vec<Peer> = (0..10).map(|_| connect(store, 1)).collect();
    for n in 0..1000 {
        let request = match data {
            Some(_) => Request::WatchRecord { pointer, push: false },
            None => Request::ResolvePointer { pointer },
        };
        serve(store, peers[n as usize % 10], n, request);
    }
    (pointer, [peers, vec![owner]].concat())
}

/// What all connections have got.
fn mail(store: &mut Store) -> Vec<Mail> {
    let woken = store.take_woken();
    woken.into_iter().flat_map(|id| mail_of(store, id)).collect()
}

/// What a connection has got, which it takes in portions.
fn mail_of(store: &mut Store, id: ConnectionId) -> Vec<Mail> {
    let mut all = Vec::new();
    loop {
        let Post::Mail(mail) = store.take_mail(id, None) else { panic!("no room was said") };
        assert!(mail.len() <= store.config().portions.watches);
        if mail.is_empty() {
            return all;
        }
        all.extend(mail);
    }
}

#[test]
fn no_call_tells_more_than_a_portion() {
    const PORTION: usize = 100;
    type Change = fn(Pointer, Owner) -> Request<&'static [u8]>;
    let changes: [(Option<&[u8]>, Change); 7] = [
        (Some(b"data"), |pointer, _| Request::ReplaceRecord { pointer, data: b"new" }),
        (Some(b"data"), |pointer, _| Request::Append { pointer, data: b"new" }),
        (Some(b"data"), |pointer, _| Request::UpdateRecordPermissions { pointer, access: Access::READ }),
        (Some(b"data"), |pointer, owner| Request::TransferRecord { pointer, owner }),
        (Some(b"data"), |pointer, _| Request::DeleteRecord { pointer }),
        (None, |pointer, _| Request::ReplaceRecord { pointer, data: b"new" }),
        (None, |pointer, _| Request::DeleteRecord { pointer }),
    ];
    for (n, (data, change)) in changes.into_iter().enumerate() {
        let mut store = store(PORTION);
        let (pointer, peers) = thousand(&mut store, data);
        let owner = peers[10];
        reply(&mut store, owner, change(pointer, Owner::new(7).unwrap()));
        let mut calls = 1;
        let mut told = mail(&mut store).len();
        assert_eq!(told, PORTION, "change {n}");
        while store.poll_timeout() == Some(NOW) {
            store.handle_timeout(NOW);
            let mail = mail(&mut store).len();
            assert!(mail <= PORTION, "change {n}: {mail}");
            told += mail;
            calls += 1;
        }
        assert_eq!(told, 1000, "change {n}");
        assert!((10..=11).contains(&calls), "change {n}: {calls} calls");
    }
}

#[test]
fn records_that_end_together_share_a_portion() {
    let mut store = store(100);
    let (owner, watcher) = (connect(&mut store, 1), connect(&mut store, 2));
    let pointers: Vec<Pointer> = (0..15).map(|_| create(&mut store, owner, Some(b"data"))).collect();
    for xid in 0..600 {
        // 40 watches on each of 15 records.
        let pointer = pointers[xid as usize / 40];
        serve(&mut store, watcher, xid, Request::WatchRecord { pointer, push: true });
    }
    mail(&mut store);
    store.disconnect(owner.id, NOW);
    let end = store.poll_timeout().unwrap();
    let mut told = 0;
    while store.poll_timeout().is_some_and(|due| due <= end) {
        store.handle_timeout(end);
        // A portion is told at once, and one of what was left.
        let mail = mail(&mut store).len();
        assert!(mail <= 200, "{mail} at once");
        told += mail;
    }
    assert_eq!((told, store.statistics().records), (600, 0));
}

#[test]
fn a_waiting_read_gets_the_first_data_whatever_comes_before_its_portion() {
    let mut store = store(100);
    let (pointer, peers) = thousand(&mut store, None);
    let (owner, stranger) = (peers[10], connect(&mut store, 2));
    serve(&mut store, stranger, 1, Request::ResolvePointer { pointer });
    reply(&mut store, owner, Request::ReplaceRecord { pointer, data: b"first" });
    reply(&mut store, owner, Request::ReplaceRecord { pointer, data: b"second" });
    reply(&mut store, owner, Request::UpdateRecordPermissions { pointer, access: Access::empty() });
    store.forget(peers[9].id, Xid(999));
    reply(&mut store, owner, Request::DeleteRecord { pointer });
    store.depart(peers[8].id, NOW);
    let mut answers = Vec::new();
    loop {
        answers.extend(mail(&mut store));
        if store.poll_timeout() != Some(NOW) {
            break;
        }
        store.handle_timeout(NOW);
    }
    // All but one that was given up, and those of the connection that has departed and had no answer by then.
    for answer in &answers {
        let Mail::Answer(_, reply) = answer else { panic!("{answer:?}") };
        assert!(matches!(&**reply, Reply::Resolved(data) if data.to_vec() == b"first"), "{reply:?}");
    }
    assert!((900..1000).contains(&answers.len()), "{}", answers.len());
    let left = store.statistics();
    assert_eq!((left.records, left.counters.refusals(netswap_core::wire::Code::AccessViolation)), (0, 0));
}

#[test]
fn a_waiting_read_whose_reader_has_lost_read_gets_no_data() {
    let mut store = store(100);
    let (pointer, peers) = thousand(&mut store, None);
    let (owner, stranger) = (peers[10], connect(&mut store, 2));
    serve(&mut store, stranger, 1, Request::ResolvePointer { pointer });
    reply(&mut store, owner, Request::UpdateRecordPermissions { pointer, access: Access::empty() });
    reply(&mut store, owner, Request::UpdateRecordPermissions { pointer, access: Access::READ });
    serve(&mut store, stranger, 2, Request::ResolvePointer { pointer });
    reply(&mut store, owner, Request::ReplaceRecord { pointer, data: b"first" });
    while store.poll_timeout() == Some(NOW) {
        store.handle_timeout(NOW);
    }
    let mail = mail_of(&mut store, stranger.id);
    let answers: BTreeMap<Xid, &Reply<Data>> = mail
        .iter()
        .map(|it| if let Mail::Answer(xid, reply) = it { (*xid, &**reply) } else { panic!() })
        .collect();
    assert!(matches!(answers[&Xid(1)], Reply::Refused(Refusal::AccessViolation)), "{answers:?}");
    assert!(matches!(answers[&Xid(2)], Reply::Resolved(_)), "{answers:?}");
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_connection_that_departs_is_told_nothing_and_may_watch_as_much_again() {
    let mut config = support::config();
    (config.portions.watches, config.limits.watches) = (10, 500);
    let mut store = Store::new(config).unwrap();
    let (owner, watcher) = (connect(&mut store, 1), connect(&mut store, 2));
    let pointer = create(&mut store, owner, Some(b"data"));
    let watch =
        |store: &mut Store, xid| serve(store, watcher, xid, Request::WatchRecord { pointer, push: false });
    for xid in 0..500 {
        assert!(matches!(watch(&mut store, xid), Execution::Done(Reply::Watching(_))));
    }
    let over = Refusal::QuotaExceeded { quota: Quota::Watches, limit: 500 };
    assert!(matches!(watch(&mut store, 500), Execution::Done(Reply::Refused(refusal)) if refusal == over));
    store.depart(watcher.id, NOW);
    // What was read before is still carried out: this one stays when the others go.
    assert!(matches!(watch(&mut store, 499), Execution::Done(Reply::Watching(_))));
    reply(&mut store, owner, Request::DeleteRecord { pointer });
    let mut calls = 0;
    while store.poll_timeout() == Some(NOW) {
        store.handle_timeout(NOW);
        calls += 1;
    }
    assert!(calls > 30, "{calls} calls");
    let ends: Vec<_> = mail(&mut store).into_iter().filter(|it| !matches!(it, Mail::News(_))).collect();
    assert!(matches!(&ends[..], [Mail::Last(Xid(499), _)]), "{ends:?}");
}
