//! The end of a server.

use std::io::Write;
use std::net::Shutdown;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use assurance::program::Serving;
use assurance::raw::loopback;
use assurance::scale::{at_most, quick_or_long};
use netswap_core::types::Access;
use netswap_core::wire::Request;

use crate::clients::{bytes, connect, create_many, drain};
use crate::{ALONE, MIB, start};

/// What a server promises, and what a process needs beside it.
const PROMISED: Duration = Duration::from_secs(5);

/// Six connections have some 12 000 lists of many records under way each when the server is to end: it does within 5 s.
pub(crate) fn shutdown_beside_dear_requests(serving: Serving) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let records = quick_or_long(100_000, 1_000_000);
    // 16 MiB are too little for more than a few answers at a time.
    let server = start(serving, &[("total", records as u64 * 512 + 16 * MIB)]);
    let mut owner = connect(loopback(1), server.address);
    create_many(&mut owner, records, Access::READ, 0);
    crate::records::fill_up(&mut owner);
    let lists = bytes((0..12_200).map(|_| Request::ListRecords));
    let attackers: Vec<_> = (0..6)
        .map(|_| {
            let mut raw = connect(loopback(1), server.address);
            raw.0.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            // What does not fit before the server reads on does not matter.
            let _ = raw.0.write_all(&lists);
            raw
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    let patience = Duration::from_secs(quick_or_long(10, 60));
    // They read: what is left of the time is the server's own.
    let end = Instant::now() + patience;
    let took = thread::scope(|scope| {
        attackers.iter().for_each(|raw| {
            scope.spawn(move || drain(&raw.0, end));
        });
        let took = server.end(patience);
        attackers.iter().for_each(|raw| {
            // Where the server has ended there is no connection any more.
            let _ = raw.0.shutdown(Shutdown::Both);
        });
        took
    });
    eprintln!("\n{}: shutdown beside dear requests: {took:?}", serving.name());
    assert!(took.is_some_and(|took| took <= at_most(PROMISED)), "{}: {took:?}", serving.name());
}
