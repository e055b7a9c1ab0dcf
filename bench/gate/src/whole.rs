//! Connections and the store together, as adapters drive them: bytes in, bytes out.

use std::hint::black_box;

use anyhow::{Context, Result, bail, ensure};
use netswap_core::connection::Connection;
use netswap_core::store::{Admission, Store};
use netswap_core::types::{Access, Pointer};
use netswap_core::wire::{HEADER_LEN, READ_AT_MOST, Request};

use crate::wire::{ADDRESS, START, config, packets, ready};

/// What clients do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Traffic {
    /// One reads the same record, so many times in a row before it takes the answers.
    Read {
        /// Requests in a row.
        depth: usize,
    },
    /// One writes the same record, so many times in a row before it takes the answers.
    Write {
        /// Requests in a row.
        depth: usize,
    },
    /// One writes 32 bytes in the middle of the record.
    Patch,
    /// One writes the record and so many others who watch it are told.
    FanOut {
        /// Those who watch.
        watchers: usize,
    },
}

/// A server with one record, which has so many bytes, and its traffic.
pub(crate) fn serve(traffic: Traffic, len: usize, count: u64) -> Result<()> {
    let mut server = Server { store: Store::new(config())?, connections: Vec::new() };
    let client = server.connect()?;
    let data = vec![1; len];
    server.send(client, &packets(Request::CreateRecord { access: Access::READ, data }.encode()))?;
    let reply: Vec<u8> = server.connections[client].output().slices().flatten().copied().collect();
    server.drain(client)?;
    let pointer = reply.get(HEADER_LEN..).context("no record")?.try_into()?;
    let pointer = Pointer(u64::from_be_bytes(pointer));

    let mut watching = 0..0;
    let write = || packets(Request::ReplaceRecord { pointer, data: vec![2; len] }.encode());
    let requests = match traffic {
        Traffic::Read { depth } => {
            let request: Request<Vec<u8>> = Request::ResolvePointer { pointer };
            packets(request.encode()).repeat(depth)
        }
        Traffic::Write { depth } => write().repeat(depth),
        Traffic::Patch => {
            let (offset, data) = (len as u32 / 2, vec![2; 32]);
            packets(Request::WriteRange { pointer, offset, data }.encode())
        }
        Traffic::FanOut { watchers } => {
            let watch: Request<Vec<u8>> = Request::WatchRecord { pointer, push: true };
            let watch = packets(watch.encode());
            watching = client + 1..client + 1 + watchers;
            for watcher in watching.clone() {
                ensure!(server.connect()? == watcher, "connections have other numbers");
                server.send(watcher, &watch)?;
                server.drain(watcher)?;
            }
            write()
        }
    };
    for _ in 0..count {
        server.send(client, &requests)?;
        server.drain(client)?;
        for watcher in watching.clone() {
            server.drain(watcher)?;
        }
    }
    Ok(())
}

struct Server {
    store: Store,
    /// In the order of their numbers.
    connections: Vec<Connection>,
}

impl Server {
    fn connect(&mut self) -> Result<usize> {
        let Admission::Served(peer) = self.store.connect(ADDRESS, START) else { bail!("turned away") };
        let (config, budget) = (self.store.config().clone(), self.store.budget().clone());
        self.connections.push(Connection::new(peer, config, budget));
        Ok(self.connections.len() - 1)
    }

    /// Hands over what was read, as much at a time as adapters do, and calls those for whom there is mail then.
    fn send(&mut self, client: usize, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(READ_AT_MOST) {
            self.connections[client].handle_input(black_box(piece), START, &mut self.store);
        }
        let first = self.connections[0].peer().id.0;
        for id in self.store.take_woken() {
            let connection =
                self.connections.get_mut((id.0 - first) as usize).context("no such connection")?;
            connection.handle_mail(START, &mut self.store);
        }
        Ok(())
    }

    /// Takes what is to be written. There must be something.
    fn drain(&mut self, client: usize) -> Result<()> {
        let connection = &mut self.connections[client];
        let mut sent = 0;
        loop {
            let ready = ready(connection.output());
            if ready == 0 {
                ensure!(sent > 0, "nothing was answered");
                return Ok(());
            }
            connection.sent(ready, START, &mut self.store);
            sent += ready;
        }
    }
}
