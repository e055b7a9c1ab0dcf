//! The contenders' protocols: what a case asks in each, and what must be answered.

pub(crate) mod floor;
pub(crate) mod in_order;
pub(crate) mod join;
pub(crate) mod memcached;
pub(crate) mod netswap;
mod netswap_join;
mod netswap_replies;
pub(crate) mod resp;
mod resp_join;
pub(crate) mod script;

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};

use crate::pattern::Pattern;
use in_order::InOrder;
use netswap_replies::ByXid;

/// What one connection asks over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Reads a record of its own.
    Read {
        /// Bytes of the record.
        len: usize,
    },
    /// Writes a record of its own, whole.
    Write {
        /// Bytes of the record.
        len: usize,
    },
    /// Writes a few bytes in the middle of a record of its own. Where there is no such operation, all of it.
    Patch {
        /// Bytes of the record.
        len: usize,
        /// Bytes that change.
        patch: usize,
    },
    /// Reads a small record (slot 0) and a large one (slot 1).
    Beside {
        /// Bytes of the small record.
        small: usize,
        /// Bytes of the large one.
        large: usize,
    },
}

/// What a connection's own record holds before the load.
pub(crate) fn stored(index: usize, len: usize) -> Pattern {
    Pattern { phase: index, len }
}

/// What a connection writes: nowhere the byte that is there already.
pub(crate) fn written(index: usize, len: usize) -> Pattern {
    Pattern { phase: index + 125, len }
}

/// A patched record, in pieces: what is before the patch, the patch, what is behind it.
pub(crate) fn patched(index: usize, len: usize, patch: usize) -> [Pattern; 3] {
    let before = len / 2;
    let behind = before + patch;
    [stored(index, before), written(index, patch), Pattern { phase: index + behind, len: len - behind }]
}

/// What one connection asks, and what must be answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The requests that may be under way at once, each in a slot of its own.
    pub(crate) requests: Vec<Vec<u8>>,
    /// The replies to them.
    pub(crate) replies: Replies,
}

impl Exchange {
    /// One request of every slot, one after the other.
    pub(crate) fn batch(&self) -> Vec<u8> {
        self.requests.concat()
    }

    /// Asks one of every slot and waits for the replies.
    pub(crate) fn once(&mut self, stream: &mut TcpStream) -> Result<()> {
        let batch = self.batch();
        (0..self.requests.len()).for_each(|slot| self.replies.expect(slot));
        stream.write_all(&batch).context("cannot send")?;
        let mut buffer = vec![0; 64 * 1024];
        let mut done = Vec::new();
        while done.len() < self.requests.len() {
            let count = stream.read(&mut buffer).context("no reply")?;
            ensure!(count > 0, "the server has closed the connection");
            self.replies.take(&buffer[..count], &mut done)?;
        }
        Ok(())
    }
}

/// What comes back on one connection, compared with what must come.
#[derive(Clone, Debug)]
pub(crate) enum Replies {
    /// Replies come in the order of the requests.
    InOrder(InOrder),
    /// Replies come in any order, packets of several in turn.
    ByXid(ByXid),
}

impl Replies {
    /// The request of a slot has been sent.
    pub(crate) fn expect(&mut self, slot: usize) {
        match self {
            Self::InOrder(replies) => replies.expect(slot),
            Self::ByXid(replies) => replies.expect(slot),
        }
    }

    /// Takes what has come, and adds the slots whose replies are complete.
    pub(crate) fn take(&mut self, input: &[u8], done: &mut Vec<usize>) -> Result<()> {
        match self {
            Self::InOrder(replies) => replies.take(input, done),
            Self::ByXid(replies) => replies.take(input, done),
        }
    }
}

/// A connection that is ready for its work.
pub(crate) struct Prepared {
    /// What it asks.
    pub(crate) exchange: Exchange,
    /// What is asked once when the load is over, to see that the writes have been done.
    pub(crate) afterwards: Option<Exchange>,
}

/// One change of a record that many watch.
pub(crate) struct Change {
    /// What changes it.
    pub(crate) request: Vec<u8>,
    /// What the writer must be answered.
    pub(crate) reply: Vec<u8>,
    /// What every watcher must be told.
    pub(crate) told: Vec<u8>,
}

/// What a protocol is made to say.
pub(crate) trait Speak: Sync {
    /// Makes the records that connection `index` needs for its work, and says what it then asks with so many requests
    /// under way.
    fn prepare(&self, stream: &mut TcpStream, work: Work, depth: usize, index: usize) -> Result<Prepared>;

    /// Makes the records number `first` and following, so many, each with so many bytes, and reads the last one back.
    fn fill(&self, stream: &mut TcpStream, first: u64, count: u64, len: usize) -> Result<()>;

    /// How changes are told to those who watch; `None` where they are not.
    fn fan_out(&self) -> Option<&dyn FanOut>;

    /// How a large record is patched and downloaded; `None` where a part of it cannot be written.
    fn join(&self) -> Option<&dyn join::Join> {
        None
    }
}

/// How a protocol tells of changes.
pub(crate) trait FanOut {
    /// Makes what is watched, of so many bytes, and returns how to name it.
    fn topic(&self, stream: &mut TcpStream, len: usize) -> Result<u64>;

    /// Begins to watch.
    fn watch(&self, stream: &mut TcpStream, topic: u64, len: usize) -> Result<()>;

    /// The change with this number, counted from 1, while so many watch.
    fn change(&self, topic: u64, number: u64, len: usize, watchers: usize) -> Change;
}

/// Sends `request` and reads `reply`, which is known beforehand.
fn converse(stream: &mut TcpStream, request: &[u8], reply: &[u8]) -> Result<()> {
    let came = ask(stream, request, reply.len())?;
    ensure!(came == reply, "wrong reply: {} and not {}", script::excerpt(&came), script::excerpt(reply));
    Ok(())
}

/// Sends `request` and reads so many bytes.
fn ask(stream: &mut TcpStream, request: &[u8], len: usize) -> Result<Vec<u8>> {
    stream.write_all(request).context("cannot send")?;
    let mut reply = vec![0; len];
    let mut at = 0;
    while at < len {
        let count = stream.read(&mut reply[at..]);
        let count = count.with_context(|| format!("after {}", script::excerpt(&reply[..at])))?;
        ensure!(count > 0, "the server has closed the connection after {}", script::excerpt(&reply[..at]));
        at += count;
    }
    Ok(reply)
}
