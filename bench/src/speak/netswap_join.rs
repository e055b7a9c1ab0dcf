//! A large record of NetSwap, patched with WRITE_RANGE and downloaded with RESOLVE_IF_CHANGED, which tells the version.

use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Code, HEADER_LEN, Header, MAX_PAYLOAD, Reply, Request};

use super::ask;
use super::join::{Download, Join, Take};
use super::netswap::{NetSwap, created, packets};
use super::netswap_replies::FIRST_XID;
use crate::patches::Patch;

const VERSION_LEN: usize = size_of::<u64>();

impl Join for NetSwap {
    fn make(&self, stream: &mut TcpStream, data: &[u8]) -> Result<u64> {
        let request = Request::CreateRecord { access: Access::READ, data: data.to_vec() };
        let reply = ask(stream, &packets(FIRST_XID, request.encode()), HEADER_LEN + 8)?;
        Ok(created(&reply, FIRST_XID)?.0)
    }

    fn patch(&self, record: u64, patch: Patch, _len: usize) -> (Vec<u8>, Vec<u8>) {
        let (pointer, offset) = (Pointer(record), patch.offset() as u32);
        let request = Request::WriteRange { pointer, offset, data: patch.bytes().to_vec() };
        let reply: Reply<Vec<u8>> = Reply::Written(Version(Version::FIRST.0 + patch.number));
        let xid = FIRST_XID + patch.number as u32;
        (packets(xid, request.encode()), packets(xid, reply.encode()))
    }

    fn ping(&self) -> (Vec<u8>, Vec<u8>) {
        let data = b"netswap!".to_vec();
        let reply: Reply<Vec<u8>> = Reply::Echo(data.clone());
        (packets(FIRST_XID, Request::Ping { data }.encode()), packets(FIRST_XID, reply.encode()))
    }

    fn download(&self, record: u64, len: usize) -> Box<dyn Download> {
        let request: Request<Vec<u8>> =
            Request::ResolveIfChanged { pointer: Pointer(record), version: Version(0) };
        Box::new(Whole {
            request: Some(packets(FIRST_XID, request.encode())),
            left: len + VERSION_LEN,
            packet: 0,
            header: Vec::with_capacity(HEADER_LEN),
            version: Vec::with_capacity(VERSION_LEN),
        })
    }
}

/// A record that comes in one reply.
struct Whole {
    request: Option<Vec<u8>>,
    /// Bytes of the message to come.
    left: usize,
    /// Bytes of the packet to come.
    packet: usize,
    header: Vec<u8>,
    version: Vec<u8>,
}

impl Download for Whole {
    fn request(&mut self) -> Option<Vec<u8>> {
        self.request.take()
    }

    fn take(&mut self, mut input: &[u8], to: &mut Take<'_>) -> Result<()> {
        while !input.is_empty() {
            if self.packet == 0 {
                let part = split(&mut input, HEADER_LEN - self.header.len());
                self.header.extend_from_slice(part);
                if let Some(header) = self.header.first_chunk() {
                    self.begin_packet(Header::decode(header))?;
                    self.header.clear();
                }
                continue;
            }
            let in_version = VERSION_LEN - self.version.len();
            let most = if in_version > 0 { in_version.min(self.packet) } else { self.packet };
            let part = split(&mut input, most);
            self.packet -= part.len();
            self.left -= part.len();
            if in_version > 0 {
                self.version.extend_from_slice(part);
            } else {
                let version = u64::from_be_bytes(*self.version.first_chunk().context("no version")?);
                let patches =
                    version.checked_sub(Version::FIRST.0).context("version 0 of a record with data")?;
                to(Some(patches), part)?;
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.left == 0
    }
}

impl Whole {
    fn begin_packet(&mut self, header: Header) -> Result<()> {
        let right = Header {
            xid: Xid(FIRST_XID),
            remaining: u32::try_from(self.left)?,
            opcode: Code::Resolved as u8,
            access: 1,
        };
        ensure!(self.left > 0 && header == right, "wrong packet: {header:?} and not {right:?}");
        self.packet = self.left.min(MAX_PAYLOAD);
        Ok(())
    }
}

/// Takes at most `most` bytes.
fn split<'a>(input: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (part, rest) = input.split_at(most.min(input.len()));
    *input = rest;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_read_however_it_is_cut_and_another_reply_is_refused() {
        let data: Vec<u8> = (0..5000).map(|i| (i % 251) as u8).collect();
        let reply = Reply::Changed { version: Version(8), data: data.clone() };
        let bytes = packets(FIRST_XID, reply.encode());
        for cut in [1, 7, 10, 1391, 9000] {
            let (mut download, mut taken) = (NetSwap.download(1, data.len()), Vec::new());
            assert!(download.request().is_some() && download.request().is_none());
            for part in bytes.chunks(cut) {
                assert!(!download.is_complete());
                let mut take = |patches, part: &[u8]| {
                    assert_eq!(patches, Some(7));
                    taken.extend_from_slice(part);
                    Ok(())
                };
                download.take(part, &mut take).unwrap();
            }
            assert!(download.is_complete() && taken == data);
        }
        let mut download = NetSwap.download(1, data.len() + 1);
        assert!(download.take(&bytes, &mut |_, _| Ok(())).is_err());
    }
}
