//! The parts of the core, each alone: decode, assemble, execute, encode.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use bytes::{Buf, Bytes};
use netswap_core::connection::Connection;
use netswap_core::engine::{Engine, Execution, Incident, Peer, Post, Told};
use netswap_core::error::Refusal;
use netswap_core::memory::{Data, Payload};
use netswap_core::store::{Admission, Store};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Header, MAX_PAYLOAD, Opcode, Output, PacketReader, READ_AT_MOST, Reply, Request};

use crate::wire::{ADDRESS, START, XID, config, packets, ready};

/// Cuts a REPLACE_RECORD into packets and reads its operands.
pub(crate) fn decode(len: usize, count: u64) -> Result<()> {
    let stream = packets(Request::ReplaceRecord { pointer: Pointer(7), data: vec![1; len] }.encode());
    let mut reader = PacketReader::default();
    for _ in 0..count {
        let mut payload = 0;
        for piece in stream.chunks(READ_AT_MOST) {
            let mut input = black_box(piece);
            while let Some(fragment) = reader.next(&mut input) {
                let Header { opcode, access, remaining, .. } = fragment.header;
                if fragment.opens && payload == 0 {
                    let opcode = Opcode::from_u8(opcode).context("an unknown opcode")?;
                    let operands = &fragment.payload[..opcode.operand_len()];
                    let request = Request::parse(opcode, access, remaining, operands);
                    ensure!(black_box(request).is_ok(), "not a request");
                }
                payload += fragment.payload.len();
            }
        }
        ensure!(payload == 8 + len, "not all has come");
    }
    Ok(())
}

/// An engine that answers and keeps nothing, so that the connection is alone.
struct Nobody;

impl Engine for Nobody {
    fn judge(&mut self, _: Peer, _: &Request<u32>, _: Instant) -> Result<u32, Refusal> {
        Ok(0)
    }

    fn execute(&mut self, _: Peer, _: Xid, request: Request<Payload<'_>>, _: Instant) -> Execution {
        drop(black_box(request));
        Execution::Done(Reply::Written(Version::FIRST))
    }

    fn take_mail(&mut self, _: Peer, _: Option<u64>) -> Post {
        Post::Mail(Vec::new())
    }

    fn take_news(&mut self, _: Peer, _: Xid, _: u64) -> Option<Told> {
        None
    }

    fn forget(&mut self, _: Peer, _: Xid) {}

    fn depart(&mut self, _: Peer, _: Instant) {}

    fn note(&mut self, _: Incident) {}
}

/// A connection puts a REPLACE_RECORD together, which nobody carries out, and sends its short answer.
pub(crate) fn assemble(len: usize, count: u64) -> Result<()> {
    let (store, peer) = store()?;
    let mut connection = Connection::new(peer, store.config().clone(), store.budget().clone());
    let request = packets(Request::ReplaceRecord { pointer: Pointer(7), data: vec![1; len] }.encode());
    for _ in 0..count {
        for piece in request.chunks(READ_AT_MOST) {
            connection.handle_input(black_box(piece), START, &mut Nobody);
        }
        let answer = connection.output().remaining();
        ensure!(answer == 18, "the answer has {answer} bytes");
        connection.sent(answer, START, &mut Nobody);
    }
    Ok(())
}

/// What the store is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// RESOLVE_POINTER.
    Read,
    /// REPLACE_RECORD with as many bytes.
    Write,
    /// WRITE_RANGE of 32 bytes in the middle.
    Patch,
    /// CREATE_RECORD, and DELETE_RECORD of the same.
    CreateAndDelete,
}

/// The store carries out a request.
pub(crate) fn execute(act: Act, len: usize, count: u64) -> Result<()> {
    let (mut store, peer) = store()?;
    let mut execute = |request| match store.execute(peer, Xid(XID), request, START).reply() {
        Some(Reply::Refused(refusal)) => Err(anyhow::anyhow!("refused: {refusal:?}")),
        Some(reply) => Ok(black_box(reply)),
        None => Err(anyhow::anyhow!("not done")),
    };
    let bytes = vec![1; len];
    let create = || Request::CreateRecord { access: Access::READ, data: Payload::Whole(&bytes) };
    let pointer = created(execute(create())?)?;
    for _ in 0..count {
        match act {
            Act::Read => drop(execute(Request::ResolvePointer { pointer })?),
            Act::Write => drop(execute(Request::ReplaceRecord { pointer, data: Payload::Whole(&bytes) })?),
            Act::Patch => {
                let (offset, data) = (len as u32 / 2, Payload::Whole(&bytes[..32]));
                drop(execute(Request::WriteRange { pointer, offset, data })?);
            }
            Act::CreateAndDelete => {
                let pointer = created(execute(create())?)?;
                drop(execute(Request::DeleteRecord { pointer })?);
            }
        }
    }
    Ok(())
}

/// An answer with a record's data becomes packets, which are looked at as for a vectored write.
pub(crate) fn encode(len: usize, count: u64) -> Result<()> {
    let data = Bytes::from(vec![1; len]);
    let mut output = Output::default();
    for _ in 0..count {
        output.push(Xid(XID), Reply::Resolved(data.clone()).encode());
        let mut sent = 0;
        while output.has_remaining() {
            let ready = ready(&output);
            output.advance(ready);
            sent += ready;
        }
        ensure!(sent == len + 10 * len.div_ceil(MAX_PAYLOAD), "{sent} bytes were sent");
    }
    Ok(())
}

pub(crate) fn store() -> Result<(Store, Peer)> {
    let mut store = Store::new(config())?;
    match store.connect(ADDRESS, START) {
        Admission::Served(peer) => Ok((store, peer)),
        _ => anyhow::bail!("turned away"),
    }
}

fn created(reply: Reply<Data>) -> Result<Pointer> {
    match reply {
        Reply::Created(pointer) => Ok(pointer),
        other => anyhow::bail!("not created: {other:?}"),
    }
}
