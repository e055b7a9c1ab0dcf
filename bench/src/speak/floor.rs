//! What goes to and from the floor: as many bytes as with NetSwap, and no words.

use std::net::TcpStream;

use anyhow::Result;

use super::in_order::InOrder;
use super::netswap::wire_len;
use super::script::{Piece, Script};
use super::{Change, Exchange, FanOut, Prepared, Replies, Speak, Work};
use crate::pattern::Pattern;

/// How many bytes go to and fro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Of a request.
    pub(crate) request: usize,
    /// Of its reply.
    pub(crate) reply: usize,
    /// Of what a request has all other connections told; 0 for nothing.
    pub(crate) told: usize,
}

impl Sizes {
    /// As NetSwap has them for this work.
    pub(crate) fn of(work: Work) -> Self {
        let (request, reply) = match work {
            Work::Read { len } => (8, len),
            Work::Write { len } => (8 + len, 8),
            Work::Patch { patch, .. } => (12 + patch, 8),
            Work::Beside { small, .. } => (8, small),
        };
        Self { request: wire_len(request), reply: wire_len(reply), told: 0 }
    }

    /// As NetSwap has them for a change of a record of so many bytes that others watch.
    pub(crate) fn of_change(len: usize) -> Self {
        Self { told: wire_len(8 + len), ..Self::of(Work::Write { len }) }
    }
}

/// What the floor answers.
pub(crate) fn answer(len: usize) -> Pattern {
    Pattern { phase: 0, len }
}

/// The floor.
pub(crate) struct Floor;

impl Speak for Floor {
    fn prepare(&self, _stream: &mut TcpStream, work: Work, depth: usize, _index: usize) -> Result<Prepared> {
        let sizes = Sizes::of(work);
        let reply = Script::new(vec![Piece::Data(answer(sizes.reply))]);
        let exchange = Exchange {
            requests: vec![vec![0; sizes.request]; depth],
            replies: Replies::InOrder(InOrder::new(vec![reply; depth])),
        };
        Ok(Prepared { exchange, afterwards: None })
    }

    fn fill(&self, _stream: &mut TcpStream, _first: u64, _count: u64, _len: usize) -> Result<()> {
        anyhow::bail!("the floor keeps no records")
    }

    fn fan_out(&self) -> Option<&dyn FanOut> {
        Some(self)
    }
}

impl FanOut for Floor {
    fn topic(&self, _stream: &mut TcpStream, _len: usize) -> Result<u64> {
        Ok(0)
    }

    fn watch(&self, _stream: &mut TcpStream, _topic: u64, _len: usize) -> Result<()> {
        Ok(())
    }

    fn change(&self, _topic: u64, _number: u64, len: usize, _watchers: usize) -> Change {
        let sizes = Sizes::of_change(len);
        Change {
            request: vec![0; sizes.request],
            reply: answer(sizes.reply).bytes(),
            told: answer(sizes.told).bytes(),
        }
    }
}
