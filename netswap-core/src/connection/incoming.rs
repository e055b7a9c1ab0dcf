//! A request that is arriving, packet by packet.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::error::Refusal;
use crate::memory::{Budget, Garbage, Gathering, Overrun, Payload, Realigning};
use crate::time::Instant;
use crate::wire::{FULL_PACKET, HEADER_LEN, Header, MAX_OPERANDS, MAX_PAYLOAD, Opcode, Request};

/// A message from the client of which the last packet has not arrived whole.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The header of its latest packet.
    pub(super) header: Header,
    pub(super) opcode: Option<Opcode>,
    pub(super) state: State,
    /// When its latest packet was complete, in reading time.
    pub(super) last_packet: Instant,
    operands: [u8; MAX_OPERANDS],
    operands_len: u8,
    operands_missing: u8,
    gathering: Option<Gathering>,
    /// How many bytes of data are declared.
    declared: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its first packet is arriving.
    Begun,
    /// It was judged by its first packet, and more is to come.
    Accepted(Request<u32>),
    /// It was refused, and the rest of it is thrown away.
    Refused,
}

impl Incoming {
    /// A message of which the first header has arrived.
    pub(super) fn new(header: Header, opcode: Option<Opcode>, budget: &Arc<Budget>) -> Self {
        let operands = opcode.map_or(0, Opcode::operand_len);
        let declared = header.remaining.saturating_sub(operands as u32);
        Self {
            header,
            opcode,
            state: State::Begun,
            last_packet: Instant::ZERO,
            operands: [0; MAX_OPERANDS],
            operands_len: 0,
            operands_missing: operands as u8,
            gathering: opcode.filter(|opcode| opcode.has_data()).map(|_| Gathering::new(budget.clone())),
            declared,
        }
    }

    /// Takes the next bytes: operands first, then data. What no operation wants is thrown away.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let (operands, data) = bytes.split_at(usize::from(self.operands_missing).min(bytes.len()));
        if !operands.is_empty() {
            let at = usize::from(self.operands_len);
            self.operands[at..at + operands.len()].copy_from_slice(operands);
            self.operands_len += operands.len() as u8;
            self.operands_missing -= operands.len() as u8;
        }
        if let Some(gathering) = &mut self.gathering {
            gathering.extend(data, self.declared as usize);
        }
    }

    /// Reads the request's beginning, with its first packet complete.
    pub(super) fn parse(&self) -> Result<Request<u32>, Refusal> {
        let opcode = self.opcode.ok_or(Refusal::UnsupportedOp)?;
        let Header { access, remaining, .. } = self.header;
        Request::parse(opcode, access, remaining, &self.operands[..self.operands_len.into()])
            .map_err(Refusal::InvalidRequest)
    }

    /// Takes whole packets after the first, none of which is the last.
    pub(super) fn extend_by_packets(&mut self, packets: &[u8]) {
        let Some(gathering) = &mut self.gathering else { return };
        let parts = packets.chunks_exact(FULL_PACKET).map(|packet| &packet[HEADER_LEN..]);
        gathering.extend_by(parts, packets.len() / FULL_PACKET * MAX_PAYLOAD, self.declared as usize);
    }

    /// Whether its data are too many for one block.
    pub(super) fn is_in_chunks(&self) -> bool {
        self.gathering.as_ref().is_some_and(Gathering::is_in_chunks)
    }

    /// Has its data cut anew where they are not cut as those of a record where they begin at `start`.
    pub(super) fn realign(&mut self, start: u32) -> Option<Realigning> {
        self.gathering.as_mut()?.realign(start)
    }

    /// Cuts some chunks anew; whether there are more.
    pub(super) fn realign_some(
        &mut self,
        rest: &mut Realigning,
        chunks: usize,
        garbage: &mut Garbage,
    ) -> bool {
        self.gathering.as_mut().is_some_and(|gathering| gathering.realign_some(rest, chunks, garbage))
    }

    /// Counts bytes as unfinished.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.gathering.as_mut().map_or(Ok(()), |gathering| gathering.charge_unfinished(bytes))
    }

    /// Its last bytes passed a limit.
    pub(super) fn spoil(&mut self, overrun: Overrun) {
        if let Some(gathering) = &mut self.gathering {
            gathering.spoil(overrun);
        }
    }

    /// Bytes that count as unfinished.
    pub(super) fn unfinished(&self) -> usize {
        self.gathering.as_ref().map_or(0, Gathering::unfinished)
    }

    /// The request is refused: drops what has arrived of it. How many bytes counted as unfinished.
    pub(super) fn discard(&mut self, garbage: &mut Garbage) -> usize {
        let unfinished = self.unfinished();
        self.state = State::Refused;
        if let Some(gathering) = self.gathering.take() {
            gathering.discard(garbage);
        }
        unfinished
    }

    /// Where in its record the data are expected to begin.
    pub(super) fn set_start(&mut self, start: u32) {
        if let Some(gathering) = &mut self.gathering {
            gathering.expect(start, self.declared as usize);
        }
    }

    /// The whole request.
    pub(super) fn complete(self, request: Request<u32>) -> Request<Payload<'static>> {
        request.map(|_| self.gathering.map_or(Payload::Whole(&[]), |data| Payload::Gathered(Box::new(data))))
    }
}
