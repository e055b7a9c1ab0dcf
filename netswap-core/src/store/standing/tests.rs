use super::desk::Stand;
use super::*;
use crate::config::{Config, Limits, PLACE, STANDING};
use crate::engine::{ConnectionId, Post};
use crate::identity::IdentityKey;
use crate::memory::Payload;
use crate::queue::item_size;
use crate::store::Admission;
use crate::time::Instant;
use crate::types::Pointer;
use crate::wire::Notification;

#[test]
fn a_watch_and_a_waiting_read_take_no_more_than_is_said() {
    // Tables grow to twice what they need; a tree has nodes of eleven.
    let table = |entry: usize| 2 * (entry + 1) * 8 / 7;
    let of_connection = table(size_of::<(Xid, crate::connection::Stand)>()) + 2 * item_size::<Xid>();
    let places = table(size_of::<(Xid, Stand)>()) + of_connection;
    let node = |value: usize| 11 * (size_of::<(ConnectionId, Xid)>() + value) + 2 * size_of::<usize>();
    let more = table(size_of::<(Slot, Box<More>)>()) + size_of::<More>();
    let watch = node(size_of::<Watch>()) + size_of::<Data>();
    let standing = more + watch.max(node(size_of::<Wait>()));
    assert!(places + standing <= STANDING * PLACE, "{places} + {standing} bytes");
    let ended = 2 * size_of::<Mail>() + LAST_AT_MOST * size_of::<Notification<Data>>();
    assert!(places + ended <= STANDING * PLACE, "{places} + {ended} bytes");
}

#[test]
fn nothing_is_left_of_a_connection_that_is_gone() {
    let config = Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), [0; 32]);
    let (mut store, now) = (Store::new(config).unwrap(), Instant::ZERO);
    let mut connect = || match store.connect([127, 0, 0, 1].into(), now) {
        Admission::Served(peer) => peer,
        other => panic!("{other:?}"),
    };
    let (owner, watcher) = (connect(), connect());
    let reserved = store.create(owner.owner, Access::READ, None, now).unwrap();
    let Reply::Created(pointer) = reserved else { panic!("{reserved:?}") };
    let slot = store.records.find(pointer).unwrap();
    let stand = |store: &mut Store| {
        store.watch(watcher, Xid(1), slot, true).unwrap();
        store.wait(watcher, Xid(2), slot, Read::Whole).unwrap();
    };
    let is_watched = |store: &Store| store.records.more(slot).is_some();
    stand(&mut store);
    assert!(is_watched(&store));
    store.forget(watcher.id, Xid(1));
    store.forget(watcher.id, Xid(2));
    assert!(!is_watched(&store));
    stand(&mut store);
    store.depart(watcher.id, now);
    assert!(!is_watched(&store));
    // What was read of it before its end is still carried out.
    stand(&mut store);
    store.disconnect(watcher.id, now);
    assert!(!is_watched(&store));
}

/// A record and who watches it.
fn watched(data: Option<Payload<'_>>) -> (Store, Peer, Slot) {
    let config = Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), [0; 32]);
    let (mut store, now) = (Store::new(config).unwrap(), Instant::ZERO);
    let Admission::Served(peer) = store.connect([127, 0, 0, 1].into(), now) else { panic!() };
    let created = store.create(peer.owner, Access::READ, data, now).unwrap();
    let Reply::Created(pointer) = created else { panic!("{created:?}") };
    let slot = store.records.find(pointer).unwrap();
    store.watch(peer, Xid(1), slot, true).unwrap();
    (store, peer, slot)
}

#[test]
fn what_happens_before_news_are_taken_is_no_more_mail() {
    let (mut store, peer, slot) = watched(None);
    for _ in 0..3 {
        store.announce_write(slot, None);
        let Post::Mail(mail) = store.take_mail(peer.id, None) else { panic!("no room was said") };
        assert!(matches!(mail[..], [Mail::News(Xid(1))]));
        // A slow watcher costs nothing.
        for _ in 0..100 {
            store.announce_write(slot, None);
            store.announce_rights(slot, None, Some(Access::all()));
            store.announce_request(slot, Owner::new(7).unwrap());
        }
        assert!(matches!(store.take_mail(peer.id, None), Post::Mail(mail) if mail.is_empty()));
        assert_eq!(store.take_news(peer.id, Xid(1), u64::MAX).unwrap().into_iter().count(), 3);
    }
}

#[test]
fn news_come_with_the_mail_where_they_are_all_and_have_room() {
    let (mut store, peer, slot) = watched(Some(Payload::Whole(b"8 bytes.")));
    let Post::News(Xid(1), told) = store.take_mail(peer.id, Some(8)) else { panic!("news with room") };
    assert_eq!((told.into_iter().count(), store.connections[&peer.id].desk.mail.capacity()), (1, 1));
    assert!(matches!(store.take_mail(peer.id, Some(8)), Post::Mail(mail) if mail.is_empty()));
    // Too long, they are still to be taken.
    store.announce_write(slot, None);
    let Post::Mail(mail) = store.take_mail(peer.id, Some(7)) else { panic!("news without room") };
    assert!(matches!(mail[..], [Mail::News(Xid(1))]));
    assert_eq!(store.take_news(peer.id, Xid(1), 8).unwrap().into_iter().count(), 1);
    // Of two watches, each waits for its turn.
    store.watch(peer, Xid(2), slot, true).unwrap();
    store.announce_write(slot, None);
    let Post::Mail(mail) = store.take_mail(peer.id, Some(8)) else { panic!("news of two at once") };
    assert!(matches!(mail[..], [Mail::News(Xid(2)), Mail::News(Xid(1))]));
    store.forget(peer.id, Xid(1));
    assert_eq!(store.connections[&peer.id].desk.mail.capacity(), 0);
}

#[test]
fn the_last_notifications_of_a_watch_are_no_more_than_is_said() {
    let owner = Owner::new(7).unwrap();
    let slot = Slot::new(0);
    let record = Record::new(Pointer(1), slot, Access::READ, Version::FIRST, crate::memory::Kept::default());
    let written = Some(Written::Newest);
    let news = News {
        written,
        asked_before: Some(owner),
        owner: Some(owner),
        access: Some(Access::READ),
        asked: Some(owner),
    };
    let mut watch = Watch { watcher: owner, push: true, news, since: 0 };
    assert_eq!(watch.end(Ending::Deleted, &record).len(), LAST_AT_MOST);
}

/// A store with portions of two, a connection that has five watches of each of three records, and as many waiting reads.
fn crowded() -> (Store, Peer, Peer, Vec<Pointer>) {
    let mut config = Config::new(Limits::new(1 << 20), IdentityKey([0; 16]), [0; 32]);
    config.portions.watches = 2;
    let (mut store, now) = (Store::new(config).unwrap(), Instant::ZERO);
    let mut connect = || match store.connect([127, 0, 0, 1].into(), now) {
        Admission::Served(peer) => peer,
        other => panic!("{other:?}"),
    };
    let (owner, watcher) = (connect(), connect());
    let mut pointers = Vec::new();
    for n in 0..3 {
        let reserved = store.create(owner.owner, Access::READ, None, now).unwrap();
        let Reply::Created(pointer) = reserved else { panic!("{reserved:?}") };
        let slot = store.records.find(pointer).unwrap();
        for xid in 0..5 {
            store.watch(watcher, Xid(n * 10 + xid), slot, true).unwrap();
            store.wait(watcher, Xid(n * 10 + xid + 5), slot, Read::Whole).unwrap();
        }
        pointers.push(pointer);
    }
    (store, owner, watcher, pointers)
}

#[test]
fn nothing_is_left_of_many_watches_that_are_given_up_in_portions() {
    let (mut store, owner, watcher, pointers) = crowded();
    let slots: Vec<Slot> = pointers.iter().map(|pointer| store.records.find(*pointer).unwrap()).collect();
    store.depart(watcher.id, Instant::ZERO);
    assert!(slots.iter().any(|slot| store.records.more(*slot).is_some()));
    // What happens meanwhile is told to nobody.
    let write = Request::ReplaceRecord { pointer: pointers[0], data: Payload::Whole(b"data") };
    store.serve(owner, Xid(1), write, Instant::ZERO);
    store.serve(owner, Xid(1), Request::DeleteRecord { pointer: pointers[1] }, Instant::ZERO);
    while store.poll_timeout() == Some(Instant::ZERO) {
        store.handle_timeout(Instant::ZERO);
    }
    assert!(store.backlog.is_empty() && store.backlog.ended() == 0);
    assert!([slots[0], slots[2]].iter().all(|slot| store.records.more(*slot).is_none()));
    let mail = store.take_mail(watcher.id, None);
    assert!(
        matches!(&mail, Post::Mail(mail) if mail.iter().all(|it| matches!(it, Mail::News(_)))),
        "{mail:?}"
    );
}

#[test]
fn a_watch_of_a_record_that_has_ended_can_be_given_up_before_it_is_told() {
    let (mut store, owner, watcher, pointers) = crowded();
    let pointer = pointers[0];
    store.serve(owner, Xid(1), Request::DeleteRecord { pointer }, Instant::ZERO);
    assert_eq!((store.backlog.ended(), store.backlog.left_of(pointer)), (1, 8));
    for xid in [4, 9] {
        store.forget(watcher.id, Xid(xid));
    }
    assert_eq!(store.backlog.left_of(pointer), 6);
    while store.poll_timeout() == Some(Instant::ZERO) {
        store.handle_timeout(Instant::ZERO);
    }
    // One is given up after the first portion of them is taken: nothing is left of its answer, and all of the others'.
    let mut mail = Vec::new();
    loop {
        let Post::Mail(portion) = store.take_mail(watcher.id, None) else { panic!("no room was said") };
        if portion.is_empty() {
            break;
        }
        mail.extend(portion);
        store.forget(watcher.id, Xid(7));
    }
    assert_eq!((mail.len(), store.backlog.ended()), (8, 0));
    let nothing: Vec<Xid> = mail.iter().filter(|it| matches!(it, Mail::News(_))).map(Mail::xid).collect();
    assert_eq!(nothing, [Xid(7)], "{mail:?}");
    assert!(mail.iter().all(|mail| ![Xid(4), Xid(9)].contains(&mail.xid())));
}
