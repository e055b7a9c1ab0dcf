//! Reserved records, and reads that wait for their data.

use std::thread;
use std::time::Duration;

use netswap_blocking::Error;
use netswap_core::client::Outcome;
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Version};
use netswap_core::wire::{Opcode, Reply};

use crate::scripted::Scripted;
use crate::support::{both, joined, options, start, three};
use crate::{A_WHILE, client, client_from, pattern, refusal};

#[test]
fn reads_of_a_reserved_record_wait_for_its_data() {
    let server = start(options());
    let (host, joiner) = (client(&server), client_from("127.0.0.2", &server));
    let pointer = host.reserve(Access::READ).unwrap();
    let stat = joiner.stat(pointer).unwrap();
    assert!(stat.reserved && stat.version == Version(0) && stat.len == 0);
    assert_eq!(host.list().unwrap(), [pointer]);
    let mut streamed = Vec::new();
    let (reads, piecewise, written) = three(
        || {
            both(
                || both(|| joiner.resolve(pointer), || joiner.resolve_wait(pointer, None)),
                || both(|| joiner.read_range(pointer, 10, 5), || joiner.resolve_if_changed(pointer, None)),
            )
        },
        || joiner.resolve_into(pointer, &mut streamed, |_, _| ()),
        || {
            thread::sleep(A_WHILE);
            // Other calls do not wait.
            joiner.ping("?").unwrap();
            host.replace(pointer, pattern(200_000))
        },
    );
    let ((whole, patient), (range, changed)) = reads;
    assert_eq!(written.unwrap(), Version(1));
    assert!(whole.unwrap() == pattern(200_000) && patient.unwrap() == pattern(200_000));
    assert_eq!(range.unwrap().data, pattern(200_000)[10..15]);
    assert_eq!(changed.unwrap().unwrap().version, Version(1));
    assert_eq!(piecewise.unwrap(), 200_000);
    assert!(streamed == pattern(200_000));
    // Of a record that has data there is nothing to wait for.
    assert!(joiner.resolve_wait(pointer, Some(A_WHILE)).unwrap() == pattern(200_000));
}

#[test]
fn a_wait_has_its_time_limit() {
    let server = start(options());
    let client = client(&server);
    let pointer = client.reserve(Access::READ).unwrap();
    let timed_out =
        |result: Result<_, Error>| matches!(result, Err(Error::TimedOut { outcome: Outcome::NotDone }));
    assert!(timed_out(client.resolve_wait(pointer, Some(A_WHILE))));
    let hasty = client.with_timeout(A_WHILE);
    assert!(timed_out(hasty.resolve(pointer)));
    // A wait may take longer than any other call.
    let waits = thread::spawn(move || hasty.resolve_wait(pointer, Some(A_WHILE * 100)));
    thread::sleep(A_WHILE * 4);
    assert!(!waits.is_finished());
    client.replace(pointer, "at last").unwrap();
    assert_eq!(joined(waits).unwrap(), "at last");
}

#[test]
fn a_wait_ends_with_the_record() {
    let server = start(options());
    let (host, joiner) = (client(&server), client_from("127.0.0.2", &server));
    let (gone, closed) = (host.reserve(Access::READ).unwrap(), host.reserve(Access::READ).unwrap());
    let (first, second, ()) = three(
        || joiner.resolve_wait(gone, None),
        || joiner.resolve_wait(closed, None),
        || {
            thread::sleep(A_WHILE);
            host.delete(gone).unwrap();
            host.set_permissions(closed, Access::empty()).unwrap();
        },
    );
    assert_eq!((refusal(first), refusal(second)), (Refusal::AddressFault, Refusal::AccessViolation));
}

#[test]
fn a_wait_does_not_outlive_its_connection() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options());
    let (read, ()) = both(
        || client.resolve_wait(netswap_blocking::Pointer(7), None),
        || {
            assert_eq!(peer.request().code, Opcode::ResolvePointer as u8);
            peer.reset();
        },
    );
    let error = read.unwrap_err();
    assert!(error.is_retryable() && matches!(error, Error::ConnectionLost { .. }), "{error:?}");
}

#[test]
fn data_that_stop_half_way_time_out_however_long_the_wait_may_be() {
    let server = Scripted::start();
    let (client, mut peer) = server.connected(server.options().request_timeout(A_WHILE));
    let (read, ()) = both(
        || client.resolve_wait(netswap_blocking::Pointer(7), None),
        || {
            let xid = peer.request().xid;
            thread::sleep(Duration::from_millis(300));
            let reply = crate::scripted::encode(xid, Reply::Resolved(vec![1; 5000]));
            peer.send(&reply[..2000]);
            peer.expect_abort(xid);
        },
    );
    assert!(matches!(read, Err(Error::TimedOut { outcome: Outcome::NotDone })));
}
