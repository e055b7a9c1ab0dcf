//! Watches against the real server, and against servers that do as the test says.

use std::future::poll_fn;
use std::pin::Pin;

use futures_core::Stream;
use futures_util::join;
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Pointer, Version};
use netswap_smol::{Change, Ending, Lifetime, Watch};

use crate::support::{options, run, start, timeout};
use crate::{A_WHILE, client, client_from, pattern, refusal, soon};

async fn next(watch: &mut Watch) -> Change {
    soon(watch.next()).await.expect("a change").unwrap()
}

fn version(version: u64) -> Change {
    Change::Changed { version: Version(version), data: None }
}

fn whole(version: u64, data: impl Into<bytes::Bytes>) -> Change {
    Change::Changed { version: Version(version), data: Some(data.into()) }
}

fn range(version: u64, offset: u32, data: &'static str) -> Change {
    Change::RangeChanged { version: Version(version), offset, data: data.into() }
}

#[test]
fn changes_arrive_in_order() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = owner.create("hello", Access::all()).await.unwrap();
        let mut data = other.watch_data(pointer).await.unwrap();
        let mut plain = other.watch(pointer).await.unwrap();
        assert_eq!((data.version(), plain.version(), data.pointer()), (Version(1), Version(1), pointer));
        assert_eq!(next(&mut data).await, whole(1, "hello"));
        assert_eq!((data.try_next(), plain.try_next()), (None, None));

        owner.write_range(pointer, 0, "J").await.unwrap();
        assert_eq!((next(&mut data).await, next(&mut plain).await), (range(2, 0, "J"), version(2)));
        owner.append(pointer, "!").await.unwrap();
        assert_eq!((next(&mut data).await, next(&mut plain).await), (range(3, 5, "!"), version(3)));
        owner.replace(pointer, pattern(100_000)).await.unwrap();
        assert_eq!((next(&mut data).await, next(&mut plain).await), (whole(4, pattern(100_000)), version(4)));

        let (me, you) = (owner.identify().await.unwrap().owner, other.identify().await.unwrap().owner);
        other.takeover(pointer).await.unwrap();
        let kept = Access::READ | Access::WRITE;
        for expected in [Change::OwnerChanged(you), Change::AccessChanged(kept)] {
            assert_eq!((next(&mut data).await, next(&mut plain).await), (expected.clone(), expected));
        }
        owner.request_ownership(pointer).await.unwrap();
        assert_eq!(next(&mut plain).await, Change::OwnershipRequested(me));
        assert_eq!(next(&mut data).await, Change::OwnershipRequested(me));

        other.delete(pointer).await.unwrap();
        for watch in [&mut data, &mut plain] {
            assert_eq!(next(watch).await, Change::Ended(Ending::Deleted));
            assert!(soon(watch.next()).await.is_none());
            assert!(soon(watch.next()).await.is_none());
        }
    })
}

async fn item<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

#[test]
fn a_watch_is_a_stream() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create("hello", Access::READ).await.unwrap();
        let mut watch = client.watch_data(pointer).await.unwrap();
        assert_eq!(soon(item(&mut watch)).await.unwrap().unwrap(), whole(1, "hello"));
        assert!(timeout(A_WHILE, item(&mut watch)).await.is_err());
        let (changed, written) = join!(soon(item(&mut watch)), client.replace(pointer, "bye"));
        assert_eq!((changed.unwrap().unwrap(), written.unwrap()), (whole(2, "bye"), Version(2)));
    })
}

#[test]
fn a_record_expires_or_goes_to_its_heir() {
    run(async {
        let server = start(options()).await;
        let heir = client_from("127.0.0.2", &server).await;
        let owner = client(&server).await;
        let heirs = heir.identify().await.unwrap().owner;
        let fleeting = owner.create("for a second", Access::READ).await.unwrap();
        let handed_on = owner.create("for others", Access::READ).await.unwrap();
        let (mut first, mut second) =
            (heir.watch(fleeting).await.unwrap(), heir.watch(handed_on).await.unwrap());
        let ttl = Lifetime { ttl: 1.try_into().ok(), ..Lifetime::default() };
        owner.set_lifetime(fleeting, ttl).await.unwrap();
        let inherited = Lifetime { grace: Some(0), heir: Some(heirs), ..Lifetime::default() };
        owner.set_lifetime(handed_on, inherited).await.unwrap();
        assert_eq!(owner.stat(fleeting).await.unwrap().expires, Some(1));
        let himself = Lifetime { heir: Some(owner.identify().await.unwrap().owner), ..Lifetime::default() };
        assert!(matches!(refusal(owner.set_lifetime(handed_on, himself).await), Refusal::InvalidRequest(_)));
        assert_eq!(refusal(heir.set_lifetime(handed_on, ttl).await), Refusal::AccessViolation);
        soon(owner.close()).await;
        assert_eq!(next(&mut second).await, Change::OwnerChanged(heirs));
        assert_eq!(next(&mut first).await, Change::Ended(Ending::Expired));
        assert_eq!(heir.list().await.unwrap(), [handed_on]);
    })
}

#[test]
fn ownership_is_asked_for_and_given() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);
        let pointer = owner.create("mine", Access::READ).await.unwrap();
        let mut watch = owner.watch(pointer).await.unwrap();
        other.request_ownership(pointer).await.unwrap();
        let Change::OwnershipRequested(requester) = next(&mut watch).await else { panic!("no request") };
        owner.transfer(pointer, requester).await.unwrap();
        assert_eq!(next(&mut watch).await, Change::OwnerChanged(requester));
        assert_eq!(other.list().await.unwrap(), [pointer]);
        assert_eq!(refusal(other.request_ownership(Pointer(1)).await), Refusal::AddressFault);
    })
}
