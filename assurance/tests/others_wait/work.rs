//! Clients that are never still.

use std::thread;
use std::time::{Duration, Instant};

use assurance::program::Serving;
use assurance::raw::{loopback, packets};
use assurance::scale::quick_or_long;
use assurance::waits::Other;
use netswap_core::types::Access;
use netswap_core::wire::{HEADER_LEN, Request};

use crate::clients::{Flood, abort, connect, create, flood, stuck};
use crate::{MIB, judge, start};

/// A pushing watch of a mebibyte and its ABORT, as fast as they can be sent, by clients that read nothing.
pub(crate) fn watches_are_given_up_unread(serving: Serving) {
    /// Fewer than a server queues replies: it goes on reading, for the ABORT of an XID drops what is queued under it.
    const XIDS: u32 = 900;

    judge(serving, "watches are given up unread, by one client for each thread", || {
        let server = start(serving, &[("total", 1024 * MIB)]);
        let mut owner = connect(loopback(0), server.address);
        let pointer = create(&mut owner, Access::READ, vec![1; MIB as usize]);
        let pair = |xid| [packets(xid, Request::WatchRecord { pointer, push: true }), abort(xid)].concat();
        let pairs: Vec<u8> = (1..=XIDS).flat_map(pair).collect();
        let attacker = |n| {
            let raw = stuck(loopback(1 + n), server.address, pointer);
            Flood { raw, bytes: pairs.clone(), again: true, reads: false }
        };
        let attackers = (0..serving.threads).map(attacker).collect();
        let other = Other::start(server.address);
        flood(attackers, Duration::from_millis(quick_or_long(500, 5000)));
        other.stop()
    });
}

/// Reads of 64 bytes, 16 under way on each of 50 connections.
pub(crate) fn many_small_reads_in_pipelines(serving: Serving) {
    const CONNECTIONS: usize = 50;
    const DEPTH: usize = 16;

    judge(serving, "small reads, 16 under way on each of 50 connections", || {
        let server = start(serving, &[("total", 1024 * MIB)]);
        let mut owner = connect(loopback(0), server.address);
        let pointer = create(&mut owner, Access::READ, vec![1; 64]);
        let asked: Vec<u8> =
            (1..=DEPTH as u32).flat_map(|xid| packets(xid, Request::ResolvePointer { pointer })).collect();
        let other = Other::start(server.address);
        let end = Instant::now() + Duration::from_millis(quick_or_long(700, 5000));
        thread::scope(|scope| {
            for thread in 0..2 {
                let (server, asked) = (server.address, &asked);
                scope.spawn(move || {
                    let connect = |_| connect(loopback(1 + thread), server);
                    let mut clients: Vec<_> = (0..CONNECTIONS / 2).map(connect).collect();
                    let mut replies = vec![0; DEPTH * (HEADER_LEN + 64)];
                    while Instant::now() < end {
                        use std::io::{Read, Write};
                        clients.iter_mut().for_each(|raw| raw.0.write_all(asked).unwrap());
                        clients.iter_mut().for_each(|raw| raw.0.read_exact(&mut replies).unwrap());
                    }
                });
            }
        });
        other.stop()
    });
}
