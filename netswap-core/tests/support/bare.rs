//! A store without connections: what it is asked, and what it answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use netswap_core::engine::{Engine, Execution, Peer};
use netswap_core::memory::{Data, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Xid};
use netswap_core::wire::{Reply, Request};

use crate::support;

pub(crate) const NOW: Instant = Instant::ZERO;

/// A store that notifies `portion` watches at a time.
pub(crate) fn store(portion: usize) -> Store {
    let mut config = support::config();
    config.portions.watches = portion;
    Store::new(config).unwrap()
}

pub(crate) fn connect(store: &mut Store, host: u8) -> Peer {
    match store.connect([127, 0, 0, host].into(), NOW) {
        Admission::Served(peer) => peer,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn serve(store: &mut Store, peer: Peer, xid: u32, request: Request<&[u8]>) -> Execution {
    match store.execute(peer, Xid(xid), request.map(Payload::Whole), NOW) {
        // How much it took is for its connection.
        Execution::Long(long) => Execution::Done(long.0),
        other => other,
    }
}

pub(crate) fn reply(store: &mut Store, peer: Peer, request: Request<&[u8]>) -> Reply<Data> {
    match serve(store, peer, u32::MAX, request) {
        Execution::Done(reply) => reply,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn create(store: &mut Store, peer: Peer, data: Option<&[u8]>) -> Pointer {
    let access = Access::READ | Access::WRITE;
    let request =
        data.map_or(Request::ReserveRecord { access }, |data| Request::CreateRecord { access, data });
    match reply(store, peer, request) {
        Reply::Created(pointer) => pointer,
        other => panic!("{other:?}"),
    }
}
