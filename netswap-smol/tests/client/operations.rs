//! Every operation against the real server.

use futures_util::join;
use netswap_core::config::Limits;
use netswap_core::error::{Quota, Refusal};
use netswap_core::types::{Access, Pointer, Version};
use netswap_smol::{ConnectOptions, ConnectionEvent, Error, ErrorKind, ServerOptions};
use smol::net::TcpListener;

use crate::support::{options, run, start, start_on};
use crate::{A_WHILE, client, client_from, connect, pattern, refusal, soon};

#[test]
fn every_operation_works() {
    run(async {
        let server = start(options()).await;
        let (owner, other) = (client(&server).await, client_from("127.0.0.2", &server).await);

        let pointer = owner.create("hello", Access::empty()).await.unwrap();
        assert_eq!(owner.resolve(pointer).await.unwrap(), "hello");
        assert_eq!(refusal(other.resolve(pointer).await), Refusal::AccessViolation);

        owner.set_permissions(pointer, Access::READ | Access::WRITE).await.unwrap();
        assert_eq!(other.resolve(pointer).await.unwrap(), "hello");
        assert_eq!(other.replace(pointer, pattern(5000)).await.unwrap(), Version(2));
        assert_eq!(owner.resolve(pointer).await.unwrap(), pattern(5000));

        let (me, you) = (owner.identify().await.unwrap(), other.identify().await.unwrap());
        assert_ne!(me.owner, you.owner);
        let stat = other.stat(pointer).await.unwrap();
        assert_eq!((stat.len, stat.version, stat.owner), (5000, Version(2), me.owner));
        assert_eq!((stat.access, stat.reserved, stat.expires), (Access::READ | Access::WRITE, false, None));

        assert_eq!(refusal(other.takeover(pointer).await), Refusal::AccessViolation);
        owner.set_permissions(pointer, Access::TAKEOVER).await.unwrap();
        other.takeover(pointer).await.unwrap();
        assert_eq!((owner.list().await.unwrap(), other.list().await.unwrap()), (vec![], vec![pointer]));

        other.transfer(pointer, me.owner).await.unwrap();
        assert_eq!(owner.list().await.unwrap(), [pointer]);
        assert_eq!(refusal(other.delete(pointer).await), Refusal::AccessViolation);
        owner.delete(pointer).await.unwrap();
        assert_eq!(refusal(owner.stat(pointer).await), Refusal::AddressFault);

        assert!(owner.ping(pattern(100_000)).await.unwrap() > std::time::Duration::ZERO);
        assert_eq!(refusal(owner.resolve(Pointer(0)).await), Refusal::AddressFault);
    })
}

#[test]
fn data_of_every_size_come_back_as_they_were() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        for len in [0, 1, 1389, 1390, 1391, 65_536, 1_000_000, 20_000_000] {
            let data = pattern(len);
            let pointer = client.create(data.clone(), Access::READ).await.unwrap();
            assert!(client.resolve(pointer).await.unwrap() == data, "{len} bytes");
            client.delete(pointer).await.unwrap();
        }
    })
}

#[test]
fn many_tasks_share_one_client() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let tasks: Vec<_> = (0..64)
            .map(|task| {
                let client = client.clone();
                smol::spawn(async move {
                    for round in 0..30 {
                        let data = pattern(task * 100 + round * 997);
                        let pointer = client.create(data.clone(), Access::READ).await.unwrap();
                        assert!(client.resolve(pointer).await.unwrap() == data);
                        client.delete(pointer).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            soon(task).await;
        }
        assert_eq!(client.list().await.unwrap(), []);
        assert_eq!(server.handle.statistics().traffic.panics, 0);
    })
}

#[test]
fn a_small_call_does_not_wait_for_a_large_one() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let pointer = client.create(pattern(100_000_000), Access::READ).await.unwrap();
        let download = smol::spawn({
            let client = client.clone();
            async move { client.resolve(pointer).await.unwrap().len() }
        });
        let mut pings = 0;
        while !download.is_finished() {
            soon(client.ping("still there?")).await.unwrap();
            pings += 1;
        }
        assert_eq!(download.await, 100_000_000);
        assert!(pings > 10, "{pings} pings beside a download of 100 MB");
    })
}

#[test]
fn too_many_requests_at_once_fail_alone() {
    run(async {
        let server = start(options()).await;
        let options = ConnectOptions::new(server.address.to_string()).max_requests(2);
        let client = soon(connect(options)).await.unwrap();
        let pointer = client.reserve(Access::empty()).await.unwrap();
        let (one, two, three) =
            join!(client.resolve_wait(pointer, None), client.resolve_wait(pointer, None), async {
                let three = client.ping("3").await;
                // Other clients are not concerned.
                crate::client(&server).await.replace(pointer, "data").await.unwrap();
                three
            });
        assert!(one.is_ok() && two.is_ok());
        assert!(matches!(three, Err(Error::TooManyRequests { limit: 2 })));
        client.ping("4").await.unwrap();
    })
}

#[test]
fn a_record_too_large_for_the_client_fails_alone() {
    run(async {
        let server = start(options()).await;
        let options = ConnectOptions::new(server.address.to_string()).max_reply(10_000);
        let client = soon(connect(options)).await.unwrap();
        let pointer = client.create(pattern(10_001), Access::READ).await.unwrap();
        let (large, ping) = join!(client.resolve(pointer), client.ping("beside it"));
        assert!(matches!(large, Err(Error::ReplyTooLarge { len: 10_001, limit: 10_000 })));
        ping.unwrap();
        let mut data = Vec::new();
        assert_eq!(client.resolve_into(pointer, &mut data, |_, _| ()).await.unwrap(), 10_001);
        assert_eq!(data, pattern(10_001));
    })
}

#[test]
fn a_server_without_room_says_so() {
    run(async {
        let limits = Limits { connections: 1, ..Limits::new(64 << 20) };
        let server = start(options().limits(limits)).await;
        let first = client(&server).await;
        let error = soon(connect(server.address.to_string())).await.unwrap_err();
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Refused, true));
        let refusal = Refusal::QuotaExceeded { quota: Quota::Connections, limit: 1 };
        assert!(error.to_string().contains(&refusal.to_string()), "{error}");
        first.ping("unharmed").await.unwrap();
    })
}

#[test]
fn closing_lets_calls_end_and_takes_no_more() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let mut events = client.events();
        let pointer = client.create(pattern(20_000_000), Access::READ).await.unwrap();
        let (data, (), late) = join!(client.resolve(pointer), async { soon(client.close()).await }, async {
            client.ping("too late").await
        });
        assert_eq!(data.unwrap().len(), 20_000_000);
        assert!(matches!(late, Err(Error::Closed)));
        assert!(matches!(client.ping("?").await, Err(Error::Closed)));
        assert!(matches!(soon(events.next()).await, Some(ConnectionEvent::Closed)));
        assert!(soon(events.next()).await.is_none());
        assert!(soon(client.events().next()).await.is_some(), "a late listener hears of the end too");
        soon(client.close()).await;
    })
}

#[test]
fn the_connection_ends_with_the_last_clone() {
    run(async {
        let server = start(options()).await;
        let client = client(&server).await;
        let clone = client.with_timeout(A_WHILE);
        drop(client);
        clone.ping("still here").await.unwrap();
        assert_eq!(server.handle.statistics().store.connections, 1);
        drop(clone);
        crate::support::soon("the end of the connection", || {
            server.handle.statistics().store.connections == 0
        })
        .await;
    })
}

#[test]
fn the_second_address_serves_where_the_first_does_not() {
    run(async {
        let server = start(options()).await;
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let options = ConnectOptions::new(closed.to_string()).or(server.address.to_string());
        soon(connect(options)).await.unwrap().ping("here").await.unwrap();
    })
}

#[test]
fn a_server_on_ipv6_is_reached() {
    run(async {
        if TcpListener::bind("[::1]:0").await.is_err() {
            return;
        }
        let server = start_on(ServerOptions::default().limits(Limits::new(64 << 20)), "[::1]:0").await;
        client(&server).await.ping("over IPv6").await.unwrap();
        let options = ConnectOptions::new(server.address.to_string()).bind([127, 0, 0, 1].into());
        assert!(matches!(soon(connect(options)).await, Err(Error::Connect { .. })));
    })
}
