//! Every operation against the real server.

use std::thread;

use netswap_blocking::{Client, ConnectOptions, Error, ErrorKind, ServerOptions};
use netswap_core::config::Limits;
use netswap_core::error::{Quota, Refusal};
use netswap_core::types::{Access, Pointer, Version};

use crate::support::{both, joined, options, start, start_on};
use crate::{A_WHILE, client, client_from, pattern, refusal};

#[test]
fn every_operation_works() {
    let server = start(options());
    let (owner, other) = (client(&server), client_from("127.0.0.2", &server));

    let pointer = owner.create("hello", Access::empty()).unwrap();
    assert_eq!(owner.resolve(pointer).unwrap(), "hello");
    assert_eq!(refusal(other.resolve(pointer)), Refusal::AccessViolation);

    owner.set_permissions(pointer, Access::READ | Access::WRITE).unwrap();
    assert_eq!(other.resolve(pointer).unwrap(), "hello");
    assert_eq!(other.replace(pointer, pattern(5000)).unwrap(), Version(2));
    assert_eq!(owner.resolve(pointer).unwrap(), pattern(5000));

    let (me, you) = (owner.identify().unwrap(), other.identify().unwrap());
    assert_ne!(me.owner, you.owner);
    let stat = other.stat(pointer).unwrap();
    assert_eq!((stat.len, stat.version, stat.owner), (5000, Version(2), me.owner));
    assert_eq!((stat.access, stat.reserved, stat.expires), (Access::READ | Access::WRITE, false, None));

    assert_eq!(refusal(other.takeover(pointer)), Refusal::AccessViolation);
    owner.set_permissions(pointer, Access::TAKEOVER).unwrap();
    other.takeover(pointer).unwrap();
    assert_eq!((owner.list().unwrap(), other.list().unwrap()), (vec![], vec![pointer]));

    other.transfer(pointer, me.owner).unwrap();
    assert_eq!(owner.list().unwrap(), [pointer]);
    assert_eq!(refusal(other.delete(pointer)), Refusal::AccessViolation);
    owner.delete(pointer).unwrap();
    assert_eq!(refusal(owner.stat(pointer)), Refusal::AddressFault);

    assert!(owner.ping(pattern(100_000)).unwrap() > std::time::Duration::ZERO);
    assert_eq!(refusal(owner.resolve(Pointer(0))), Refusal::AddressFault);
}

#[test]
fn data_of_every_size_come_back_as_they_were() {
    let server = start(options());
    let client = client(&server);
    for len in [0, 1, 1389, 1390, 1391, 65_536, 1_000_000, 20_000_000] {
        let data = pattern(len);
        let pointer = client.create(data.clone(), Access::READ).unwrap();
        assert!(client.resolve(pointer).unwrap() == data, "{len} bytes");
        client.delete(pointer).unwrap();
    }
}

#[test]
fn many_threads_share_one_client() {
    let server = start(options());
    let client = client(&server);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let client = client.clone();
            thread::spawn(move || {
                for round in 0..30 {
                    let data = pattern(task * 100 + round * 997);
                    let pointer = client.create(data.clone(), Access::READ).unwrap();
                    assert!(client.resolve(pointer).unwrap() == data);
                    client.delete(pointer).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(client.list().unwrap(), []);
    assert_eq!(server.handle.statistics().traffic.panics, 0);
}

#[test]
fn a_small_call_does_not_wait_for_a_large_one() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create(pattern(100_000_000), Access::READ).unwrap();
    let download = thread::spawn({
        let client = client.clone();
        move || client.resolve(pointer).unwrap().len()
    });
    let mut pings = 0;
    while !download.is_finished() {
        client.ping("still there?").unwrap();
        pings += 1;
    }
    assert_eq!(joined(download), 100_000_000);
    assert!(pings > 10, "{pings} pings beside a download of 100 MB");
}

#[test]
fn too_many_requests_at_once_fail_alone() {
    let server = start(options());
    let options = ConnectOptions::new(server.address.to_string()).max_requests(2);
    let client = Client::connect(options).unwrap();
    let pointer = client.reserve(Access::empty()).unwrap();
    let waiting = [client.clone(), client.clone()];
    let waiting = waiting.map(|client| thread::spawn(move || client.resolve_wait(pointer, None)));
    thread::sleep(A_WHILE);
    assert!(matches!(client.ping("3"), Err(Error::TooManyRequests { limit: 2 })));
    // Other clients are not concerned.
    crate::client(&server).replace(pointer, "data").unwrap();
    for thread in waiting {
        joined(thread).unwrap();
    }
    client.ping("4").unwrap();
}

#[test]
fn a_record_too_large_for_the_client_fails_alone() {
    let server = start(options());
    let options = ConnectOptions::new(server.address.to_string()).max_reply(10_000);
    let client = Client::connect(options).unwrap();
    let pointer = client.create(pattern(10_001), Access::READ).unwrap();
    let (large, ping) = both(|| client.resolve(pointer), || client.ping("beside it"));
    assert!(matches!(large, Err(Error::ReplyTooLarge { len: 10_001, limit: 10_000 })));
    ping.unwrap();
    let mut data = Vec::new();
    assert_eq!(client.resolve_into(pointer, &mut data, |_, _| ()).unwrap(), 10_001);
    assert_eq!(data, pattern(10_001));
}

#[test]
fn a_server_without_room_says_so() {
    let limits = Limits { connections: 1, ..Limits::new(64 << 20) };
    let server = start(options().limits(limits));
    let first = client(&server);
    let error = Client::connect(server.address.to_string()).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Refused, true));
    let refusal = Refusal::QuotaExceeded { quota: Quota::Connections, limit: 1 };
    assert!(error.to_string().contains(&refusal.to_string()), "{error}");
    first.ping("unharmed").unwrap();
}

#[test]
fn the_connection_ends_with_the_last_clone() {
    let server = start(options());
    let client = client(&server);
    let clone = client.with_timeout(A_WHILE);
    drop(client);
    clone.ping("still here").unwrap();
    assert_eq!(server.handle.statistics().store.connections, 1);
    drop(clone);
    crate::support::soon("the end of the connection", || server.handle.statistics().store.connections == 0);
}

#[test]
fn the_second_address_serves_where_the_first_does_not() {
    let server = start(options());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = ConnectOptions::new(closed.to_string()).or(server.address.to_string());
    Client::connect(options).unwrap().ping("here").unwrap();
}

#[test]
fn a_server_on_ipv6_is_reached() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let server = start_on(ServerOptions::default().limits(Limits::new(64 << 20)), "[::1]:0");
    client(&server).ping("over IPv6").unwrap();
    let options = ConnectOptions::new(server.address.to_string()).bind([127, 0, 0, 1].into());
    assert!(matches!(Client::connect(options), Err(Error::Connect { .. })));
}
