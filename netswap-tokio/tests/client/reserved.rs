//! Reserved records, and reads that wait for their data.

use std::time::Duration;

use netswap_core::client::Outcome;
use netswap_core::config::Limits;
use netswap_core::error::{Quota, Refusal};
use netswap_core::types::{Access, Version};
use netswap_core::wire::{Opcode, Reply};
use netswap_tokio::Error;

use crate::scripted::Scripted;
use crate::support::{options, start};
use crate::{A_WHILE, client, client_from, pattern, refusal, soon};

#[tokio::test]
async fn reads_of_a_reserved_record_wait_for_its_data() {
    let server = start(options()).await;
    let (host, joiner) = (client(&server).await, client_from("127.0.0.2", &server).await);
    let pointer = host.reserve(Access::READ).await.unwrap();
    let stat = joiner.stat(pointer).await.unwrap();
    assert!(stat.reserved && stat.version == Version(0) && stat.len == 0);
    assert_eq!(host.list().await.unwrap(), [pointer]);
    let mut streamed = Vec::new();
    let (whole, patient, range, changed, piecewise, written) = tokio::join!(
        joiner.resolve(pointer),
        joiner.resolve_wait(pointer, None),
        joiner.read_range(pointer, 10, 5),
        joiner.resolve_if_changed(pointer, None),
        joiner.resolve_into(pointer, &mut streamed, |_, _| ()),
        async {
            tokio::time::sleep(A_WHILE).await;
            // Other calls do not wait.
            joiner.ping("?").await.unwrap();
            host.replace(pointer, pattern(200_000)).await
        },
    );
    assert_eq!(written.unwrap(), Version(1));
    assert!(whole.unwrap() == pattern(200_000) && patient.unwrap() == pattern(200_000));
    assert_eq!(range.unwrap().data, pattern(200_000)[10..15]);
    assert_eq!(changed.unwrap().unwrap().version, Version(1));
    assert_eq!(piecewise.unwrap(), 200_000);
    assert!(streamed == pattern(200_000));
    // Of a record that has data there is nothing to wait for.
    assert!(soon(joiner.resolve_wait(pointer, Some(A_WHILE))).await.unwrap() == pattern(200_000));
}

#[tokio::test]
async fn a_wait_has_its_time_limit() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.reserve(Access::READ).await.unwrap();
    let timed_out =
        |result: Result<_, Error>| matches!(result, Err(Error::TimedOut { outcome: Outcome::NotDone }));
    assert!(timed_out(soon(client.resolve_wait(pointer, Some(A_WHILE))).await));
    let hasty = client.with_timeout(A_WHILE);
    assert!(timed_out(soon(hasty.resolve(pointer)).await));
    // A wait may take longer than any other call.
    let waits = tokio::spawn(async move { hasty.resolve_wait(pointer, Some(A_WHILE * 100)).await });
    tokio::time::sleep(A_WHILE * 4).await;
    assert!(!waits.is_finished());
    client.replace(pointer, "at last").await.unwrap();
    assert_eq!(soon(waits).await.unwrap().unwrap(), "at last");
}

#[tokio::test]
async fn a_wait_that_is_dropped_is_called_back() {
    let limits = Limits { watches: 1, ..Limits::new(64 << 20) };
    let server = start(options().limits(limits)).await;
    let client = client(&server).await;
    let pointer = client.reserve(Access::READ).await.unwrap();
    for _ in 0..3 {
        let (dropped, second) = tokio::join!(
            tokio::time::timeout(A_WHILE, client.resolve_wait(pointer, None)),
            client.resolve(pointer),
        );
        assert!(dropped.is_err());
        assert_eq!(refusal(second), Refusal::QuotaExceeded { quota: Quota::Watches, limit: 1 });
    }
    let (read, written) = tokio::join!(client.resolve_wait(pointer, None), client.replace(pointer, "data"));
    assert_eq!((read.unwrap(), written.unwrap()), ("data".into(), Version(1)));
}

#[tokio::test]
async fn a_wait_ends_with_the_record() {
    let server = start(options()).await;
    let (host, joiner) = (client(&server).await, client_from("127.0.0.2", &server).await);
    let (gone, closed) =
        (host.reserve(Access::READ).await.unwrap(), host.reserve(Access::READ).await.unwrap());
    let (first, second, ()) =
        tokio::join!(joiner.resolve_wait(gone, None), joiner.resolve_wait(closed, None), async {
            tokio::time::sleep(A_WHILE).await;
            host.delete(gone).await.unwrap();
            host.set_permissions(closed, Access::empty()).await.unwrap();
        });
    assert_eq!((refusal(first), refusal(second)), (Refusal::AddressFault, Refusal::AccessViolation));
}

#[tokio::test]
async fn a_wait_does_not_outlive_its_connection() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options()).await;
    let (read, ()) = tokio::join!(soon(client.resolve_wait(netswap_tokio::Pointer(7), None)), async {
        assert_eq!(peer.request().await.code, Opcode::ResolvePointer as u8);
        peer.reset();
    });
    let error = read.unwrap_err();
    assert!(error.is_retryable() && matches!(error, Error::ConnectionLost { .. }), "{error:?}");
}

#[tokio::test]
async fn data_that_stop_half_way_time_out_however_long_the_wait_may_be() {
    let server = Scripted::start().await;
    let (client, mut peer) = server.connected(server.options().request_timeout(A_WHILE)).await;
    let (read, ()) = tokio::join!(soon(client.resolve_wait(netswap_tokio::Pointer(7), None)), async {
        let xid = peer.request().await.xid;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let reply = crate::scripted::encode(xid, Reply::Resolved(vec![1; 5000]));
        peer.send(&reply[..2000]).await;
        peer.expect_abort(xid).await;
    });
    assert!(matches!(read, Err(Error::TimedOut { outcome: Outcome::NotDone })));
}

#[tokio::test]
async fn closing_the_client_ends_a_wait() {
    let server = start(options()).await;
    let client = client(&server).await;
    let pointer = client.reserve(Access::READ).await.unwrap();
    let (read, ()) = tokio::join!(soon(client.resolve_wait(pointer, None)), async {
        tokio::time::sleep(A_WHILE).await;
        soon(client.close()).await;
    });
    assert!(matches!(read, Err(Error::Closed)));
}
