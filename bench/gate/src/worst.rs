//! The dearest that one request can be: what is done in the store in one call must not grow with what a client has.

use std::hint::black_box;

use anyhow::{Result, bail, ensure};
use netswap_core::engine::{Engine, Peer};
use netswap_core::memory::{Data, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Lifetime, Reply, Request};

use crate::parts;
use crate::wire::{ADDRESS, START};

/// Bytes of a large record.
const LARGE: u32 = 64 << 20;

/// Bytes that it is written in.
const PIECE: u32 = 1 << 20;

/// Records of an owner that has many.
const MANY: u32 = 20_000;

fn ask(store: &mut Store, peer: Peer, request: Request<Payload<'_>>) -> Result<Reply<Data>> {
    match store.execute(peer, Xid(1), request, START).reply() {
        Some(Reply::Refused(refusal)) => bail!("refused: {refusal:?}"),
        Some(reply) => Ok(reply),
        None => bail!("not done"),
    }
}

fn create(store: &mut Store, peer: Peer) -> Result<Pointer> {
    let request = Request::CreateRecord { access: Access::READ, data: Payload::Whole(b"small") };
    match ask(store, peer, request)? {
        Reply::Created(pointer) => Ok(pointer),
        other => bail!("not created: {other:?}"),
    }
}

fn write(store: &mut Store, peer: Peer, pointer: Pointer, offset: u32, data: &[u8]) -> Result<()> {
    ask(store, peer, Request::WriteRange { pointer, offset, data: Payload::Whole(data) }).map(drop)
}

/// A byte is written to a record of 64 MiB that a reply holds.
pub(crate) fn held(count: u64) -> Result<()> {
    let (mut store, peer) = parts::store()?;
    let pointer = create(&mut store, peer)?;
    let piece = vec![1; PIECE as usize];
    for at in (0..LARGE).step_by(PIECE as usize) {
        write(&mut store, peer, pointer, at, &piece)?;
    }
    for n in 0..count {
        let Reply::Resolved(held) = ask(&mut store, peer, Request::ResolvePointer { pointer })? else {
            bail!("not resolved");
        };
        write(&mut store, peer, pointer, (n as u32).wrapping_mul(1_000_003) % LARGE, b"x")?;
        ensure!(black_box(held).len() == LARGE as usize, "the reply is another");
    }
    Ok(())
}

/// A byte is written far behind the end of a record, which is then replaced.
pub(crate) fn gap(count: u64) -> Result<()> {
    let (mut store, peer) = parts::store()?;
    let pointer = create(&mut store, peer)?;
    for _ in 0..count {
        write(&mut store, peer, pointer, LARGE - 1, b"x")?;
        drop(ask(&mut store, peer, Request::ReplaceRecord { pointer, data: Payload::Whole(b"small") })?);
        drop(store.take_garbage());
    }
    Ok(())
}

/// The owner of many records, each with a grace of its own, connects and is gone again.
pub(crate) fn come_and_go(count: u64) -> Result<()> {
    let (mut store, peer) = parts::store()?;
    for n in 0..MANY {
        let pointer = create(&mut store, peer)?;
        let lifetime = Lifetime { grace: Some(1000 + n % 1000), ttl: None, heir: None };
        drop(ask(&mut store, peer, Request::SetLifetime { pointer, lifetime })?);
    }
    store.disconnect(peer.id, START);
    for _ in 0..count {
        let Admission::Served(peer) = store.connect(ADDRESS, START) else { bail!("turned away") };
        store.disconnect(peer.id, START);
    }
    ensure!(store.statistics().records == u64::from(MANY), "some have ended");
    Ok(())
}

/// One call that ends a portion of the records that are due, of many.
pub(crate) fn expiry(count: u64) -> Result<()> {
    let (mut store, peer) = parts::store()?;
    for _ in 0..u64::from(MANY) + 128 * count {
        create(&mut store, peer)?;
    }
    store.disconnect(peer.id, START);
    let due = store.poll_timeout().unwrap_or(Instant::ZERO);
    for _ in 0..count {
        store.handle_timeout(due);
    }
    ensure!(store.statistics().records >= u64::from(MANY), "more than a portion has ended");
    Ok(())
}
