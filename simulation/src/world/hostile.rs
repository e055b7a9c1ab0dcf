//! A client that does not keep to the protocol: requests that never end, XIDs that are in use, garbage.

use std::collections::BTreeMap;

use fastrand::Rng;
use netswap_core::types::Xid;
use netswap_core::wire::{ABORT, Header, MAX_PAYLOAD, Opcode};

use super::Shared;
use crate::scenario::Scenario;

/// What a hostile client has begun.
#[derive(Default)]
pub(super) struct Hostile {
    /// The latest headers of requests that are not at their end.
    begun: BTreeMap<u32, Header>,
}

impl Hostile {
    /// What it sends next.
    pub(super) fn turn(&mut self, scenario: &Scenario, random: &mut Rng, shared: &mut Shared) -> Vec<u8> {
        shared.transactions += 1;
        let xid = Xid(random.u32(0..12));
        let record = scenario.setting.config.limits.record;
        let opcode = Opcode::ALL[random.usize(0..Opcode::ALL.len())] as u8;
        match random.u32(0..100) {
            // A request of one packet, of which the operands may even be right.
            0..45 => {
                let operands = self.operands(opcode, random, shared);
                let access = if random.u8(0..8) == 0 { random.u8(..) } else { 0 };
                self.packet(Header { xid, remaining: operands.len() as u32, opcode, access }, &operands)
            }
            // One that begins, and may never end.
            45..65 => {
                let opcodes = [Opcode::CreateRecord, Opcode::ReplaceRecord, Opcode::Ping, Opcode::Append];
                let opcode = opcodes[random.usize(0..opcodes.len())] as u8;
                let operands = self.operands(opcode, random, shared);
                let most = if random.u8(0..6) == 0 { u32::MAX } else { record.max(1400) + 16 };
                let header = Header { xid, remaining: random.u32(1391..=most), opcode, access: 0 };
                self.packet(header, &operands)
            }
            // One that goes on.
            65..85 => {
                let Some(header) = self.begun.values().nth(random.usize(0..self.begun.len().max(1))) else {
                    return Vec::new();
                };
                match header.continuation() {
                    Some(next) => self.packet(next, &[]),
                    None => Vec::new(),
                }
            }
            85..93 => {
                self.begun.remove(&xid.0);
                Header { xid, remaining: 0, opcode: ABORT, access: 0 }.encode().into()
            }
            93 | 94 => Header { xid, remaining: random.u32(0..2), opcode: ABORT, access: 1 }.encode().into(),
            95 => Header { xid, remaining: u32::MAX, opcode: 200, access: 0 }.encode().into(),
            96 => {
                let header =
                    Header { xid, remaining: random.u32(0..1000), opcode: random.u8(21..255), access: 0 };
                self.packet(header, &[])
            }
            97 => (0..random.usize(1..40)).map(|_| random.u8(..)).collect(),
            // A packet that does not continue what has begun.
            _ => {
                let Some(header) = self.begun.values().next().copied() else { return Vec::new() };
                self.packet(Header { remaining: header.remaining ^ 1, ..header }, &[])
            }
        }
    }

    fn operands(&self, opcode: u8, random: &mut Rng, shared: &Shared) -> Vec<u8> {
        let pointer = match shared.pointers.len() {
            0 => 7,
            len => shared.pointers[len - 1 - random.usize(0..len.min(12))],
        };
        let len = Opcode::from_u8(opcode).map_or(0, Opcode::operand_len);
        let mut operands: Vec<u8> = pointer.to_be_bytes().into();
        operands.extend((0..16).map(|at| if at % 4 == 3 { random.u8(0..32) } else { 0 }));
        operands.truncate(len);
        if Opcode::from_u8(opcode).is_some_and(Opcode::has_data) || random.u8(0..20) == 0 {
            operands.resize(operands.len() + random.usize(0..60), random.u8(..));
        }
        operands
    }

    fn packet(&mut self, header: Header, beginning: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = header.encode().into();
        let mut payload = beginning.to_vec();
        payload.resize(header.payload_len().min(MAX_PAYLOAD), 0x68);
        bytes.extend(payload);
        if header.is_last() {
            self.begun.remove(&header.xid.0);
        } else {
            self.begun.insert(header.xid.0, header);
        }
        bytes
    }
}
