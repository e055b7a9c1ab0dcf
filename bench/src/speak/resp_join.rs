//! A large value of Redis, patched with SETRANGE and downloaded with GETRANGE in pieces.

use std::net::TcpStream;

use anyhow::{Result, ensure};

use super::join::{Download, Join, Take};
use super::resp::{Resp, command, key};
use super::{converse, script};
use crate::patches::Patch;

/// Bytes of a GETRANGE: a whole value would be held in the server's memory for each reader.
const PIECE: usize = 64 * 1024;

impl Join for Resp {
    fn make(&self, stream: &mut TcpStream, data: &[u8]) -> Result<u64> {
        converse(stream, &command(&[b"SET", &key(0), data]), b"+OK\r\n")?;
        Ok(0)
    }

    fn patch(&self, record: u64, patch: Patch, len: usize) -> (Vec<u8>, Vec<u8>) {
        let offset = patch.offset().to_string();
        let request = command(&[b"SETRANGE", &key(record), offset.as_bytes(), &patch.bytes()]);
        (request, format!(":{len}\r\n").into_bytes())
    }

    fn ping(&self) -> (Vec<u8>, Vec<u8>) {
        (command(&[b"PING"]), b"+PONG\r\n".to_vec())
    }

    fn download(&self, record: u64, len: usize) -> Box<dyn Download> {
        Box::new(Pieces { record, at: 0, len, asked: false, piece: 0, head: 0, data: 0, tail: 0 })
    }
}

/// A value that comes in pieces, each asked for when the one before has come.
struct Pieces {
    record: u64,
    /// Bytes of the value that have come.
    at: usize,
    len: usize,
    /// Whether a piece is under way.
    asked: bool,
    /// Bytes of it.
    piece: usize,
    /// Bytes of its first line that have come.
    head: usize,
    /// Its bytes that are to come.
    data: usize,
    /// Bytes of its end that have come.
    tail: usize,
}

impl Download for Pieces {
    fn request(&mut self) -> Option<Vec<u8>> {
        if self.asked || self.at == self.len {
            return None;
        }
        self.asked = true;
        self.piece = PIECE.min(self.len - self.at);
        (self.head, self.data, self.tail) = (0, self.piece, 0);
        let (first, last) = (self.at.to_string(), (self.at + self.piece - 1).to_string());
        Some(command(&[b"GETRANGE", &key(self.record), first.as_bytes(), last.as_bytes()]))
    }

    fn take(&mut self, mut input: &[u8], to: &mut Take<'_>) -> Result<()> {
        let words = |at: &mut usize, line: &[u8], input: &mut &[u8]| -> Result<bool> {
            let count = input.len().min(line.len() - *at);
            let (part, rest) = input.split_at(count);
            ensure!(part == &line[*at..][..count], "wrong reply: {}", script::excerpt(input));
            (*at, *input) = (*at + count, rest);
            Ok(*at == line.len())
        };
        while !input.is_empty() {
            ensure!(self.asked, "bytes that nobody asked for: {}", script::excerpt(input));
            let line = format!("${}\r\n", self.piece).into_bytes();
            if self.head < line.len() {
                words(&mut self.head, &line, &mut input)?;
            } else if self.data > 0 {
                let (part, rest) = input.split_at(input.len().min(self.data));
                (self.at, self.data, input) = (self.at + part.len(), self.data - part.len(), rest);
                to(None, part)?;
            } else if words(&mut self.tail, b"\r\n", &mut input)? {
                self.asked = false;
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.at == self.len && !self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_read_piece_by_piece_however_it_is_cut() {
        let data: Vec<u8> = (0..PIECE + 100).map(|i| (i % 251) as u8).collect();
        for cut in [1, 7, 5000, 1 << 20] {
            let (mut download, mut taken) = (Resp.download(0, data.len()), Vec::new());
            for piece in data.chunks(PIECE) {
                let request = download.request().unwrap();
                let last = taken.len() + piece.len() - 1;
                assert!(String::from_utf8(request).unwrap().contains(&format!("\r\n{last}\r\n")));
                assert!(download.request().is_none() && !download.is_complete());
                let reply = [format!("${}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                for part in reply.chunks(cut) {
                    let mut take = |patches: Option<u64>, part: &[u8]| {
                        assert_eq!(patches, None);
                        taken.extend_from_slice(part);
                        Ok(())
                    };
                    download.take(part, &mut take).unwrap();
                }
            }
            assert!(download.is_complete() && download.request().is_none() && taken == data);
        }
        let mut download = Resp.download(0, data.len());
        assert!(download.take(b"$", &mut |_, _| Ok(())).is_err());
        download.request().unwrap();
        assert!(download.take(b"$100\r\n", &mut |_, _| Ok(())).is_err());
    }
}
