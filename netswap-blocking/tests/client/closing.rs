//! Clients that are closed, by whichever thread.

use std::thread;

use netswap_blocking::{Access, ConnectionEvent, Error, Pointer};

use crate::scripted::Scripted;
use crate::support::{joined, options, start};
use crate::{A_WHILE, client, event, pattern};

#[test]
fn closing_lets_calls_end_and_takes_no_more() {
    let server = start(options());
    let client = client(&server);
    let mut events = client.events();
    let pointer = client.create(pattern(100_000_000), Access::READ).unwrap();
    let before = server.handle.statistics().traffic.sent;
    let download = thread::spawn({
        let client = client.clone();
        move || client.resolve(pointer)
    });
    crate::support::soon("the download", || server.handle.statistics().traffic.sent > before);
    client.close();
    assert_eq!(joined(download).unwrap().len(), 100_000_000);
    assert!(matches!(client.ping("?"), Err(Error::Closed)));
    assert!(matches!(event(&mut events), Some(ConnectionEvent::Closed)));
    assert!(event(&mut events).is_none());
    assert!(event(&mut client.events()).is_some(), "a late listener hears of the end too");
    client.close();
}

#[test]
fn closing_wakes_the_threads_that_wait_for_what_may_never_come() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.create("data", Access::READ).unwrap();
    let reserved = client.reserve(Access::READ).unwrap();
    let (mut watch, mut mirror) = (client.watch(pointer).unwrap(), client.mirror(pointer).unwrap());
    let mut events = client.events();
    let watching = thread::spawn(move || watch.next());
    let following = thread::spawn(move || mirror.changed());
    let listening = thread::spawn(move || events.by_ref().count());
    let waiting = thread::spawn({
        let client = client.clone();
        move || client.resolve_wait(reserved, None)
    });
    thread::sleep(A_WHILE);
    assert!(!watching.is_finished() && !following.is_finished());
    assert!(!listening.is_finished() && !waiting.is_finished());
    client.close();
    assert!(matches!(joined(watching), Some(Err(Error::Closed))));
    assert!(matches!(joined(following), Err(Error::Closed)));
    assert!(matches!(joined(waiting), Err(Error::Closed)));
    assert_eq!(joined(listening), 1);
}

#[test]
fn closing_wakes_who_waits_for_a_connection() {
    let server = Scripted::start();
    let (client, peer) = server.connected(server.options());
    let mut events = client.events();
    drop((peer, server));
    event(&mut events).unwrap();
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            thread::spawn(move || client.delete(Pointer(1)))
        })
        .collect();
    thread::sleep(A_WHILE);
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    client.close();
    for caller in callers {
        assert!(matches!(joined(caller), Err(Error::Closed)));
    }
}

/// The threads of this process that move a client's bytes.
#[cfg(target_os = "linux")]
fn client_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "netswap-client").count()
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_has_one_thread_which_ends_with_it() {
    let server = start(options());
    // Other tests of this process have clients of their own, but not so many.
    let clients: Vec<_> = (0..200).map(|_| client(&server)).collect();
    assert!(client_threads() >= 200);
    drop(clients);
    crate::support::soon("the end of the threads", || client_threads() < 100);
}
