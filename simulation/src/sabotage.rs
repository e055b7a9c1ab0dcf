//! Faults that are planted in a server, to see that the judge finds them.

use std::collections::BTreeMap;

use netswap_core::wire::{ABORT, Code, HEADER_LEN, Header, Opcode};

use crate::judge::ConnectionNumber;

/// A fault that is planted in a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// A reply is lost.
    LoseReply,
    /// A reply comes twice.
    RepeatReply,
    /// A reply comes under another XID.
    WrongXid,
    /// A write is answered with a version that is one too high.
    WrongVersion,
    /// One byte of a record's data is wrong.
    WrongData,
    /// New records may be read by others, whatever their owner says.
    GrantRead,
    /// New records may be taken over by others.
    GrantTakeover,
    /// An ABORT is not heard.
    LoseAbort,
    /// A notification is lost.
    LoseNotification,
    /// A FETCH_ADD is carried out twice.
    AddTwice,
    /// Everything ends a second too late.
    LateClock,
    /// A connection that was cut goes on keeping its owner's records alive.
    KeepConnection,
    /// Memory is counted that nobody holds.
    Leak,
}

impl Sabotage {
    /// Every fault.
    pub const ALL: [Self; 13] = [
        Self::LoseReply,
        Self::RepeatReply,
        Self::WrongXid,
        Self::WrongVersion,
        Self::WrongData,
        Self::GrantRead,
        Self::GrantTakeover,
        Self::LoseAbort,
        Self::LoseNotification,
        Self::AddTwice,
        Self::LateClock,
        Self::KeepConnection,
        Self::Leak,
    ];
}

/// Of what it could spoil it spoils every so many.
const EVERY: u32 = 20;

/// Does what a fault is.
pub(crate) struct Saboteur {
    sabotage: Option<Sabotage>,
    /// How many chances there were.
    chances: u32,
    /// What has come of a packet, by connection.
    tails: BTreeMap<ConnectionNumber, Vec<u8>>,
    /// The latest request's header on a connection.
    headers: BTreeMap<ConnectionNumber, Header>,
}

impl Saboteur {
    pub(crate) fn new(sabotage: Option<Sabotage>) -> Self {
        Self { sabotage, chances: 0, tails: BTreeMap::new(), headers: BTreeMap::new() }
    }

    fn strikes(&mut self) -> bool {
        self.chances += 1;
        self.chances.is_multiple_of(EVERY)
    }

    pub(crate) fn clock_behind(&self) -> u64 {
        if self.sabotage == Some(Sabotage::LateClock) { 1000 } else { 0 }
    }

    pub(crate) fn keeps_connection(&self) -> bool {
        self.sabotage == Some(Sabotage::KeepConnection)
    }

    pub(crate) fn leaks(&mut self) -> bool {
        self.sabotage == Some(Sabotage::Leak) && self.strikes()
    }

    /// What the server gets in the place of a header.
    pub(crate) fn header(&mut self, number: ConnectionNumber, mut header: Header) -> Vec<u8> {
        self.headers.insert(number, header);
        let creates = [Opcode::CreateRecord as u8, Opcode::ReserveRecord as u8].contains(&header.opcode);
        match self.sabotage {
            Some(Sabotage::GrantRead) if creates => header.access |= 1,
            Some(Sabotage::GrantTakeover) if creates => header.access |= 4,
            Some(Sabotage::LoseAbort) if header.opcode == ABORT => return Vec::new(),
            _ => {}
        }
        header.encode().into()
    }

    /// What the server gets once more.
    pub(crate) fn repeated(&mut self, number: ConnectionNumber, payload: &[u8]) -> Option<Vec<u8>> {
        let header = *self.headers.get(&number)?;
        let adds = header.opcode == Opcode::FetchAdd as u8 && payload.len() == 20 && header.remaining == 20;
        if self.sabotage != Some(Sabotage::AddTwice) || !adds {
            return None;
        }
        Some([&header.encode()[..], payload].concat())
    }

    /// What the client, and the judge, get in the place of these bytes.
    pub(crate) fn output(&mut self, number: ConnectionNumber, taken: &[u8]) -> Vec<u8> {
        if self.sabotage.is_none() {
            return taken.to_vec();
        }
        let mut tail = self.tails.remove(&number).unwrap_or_default();
        tail.extend_from_slice(taken);
        let mut shown = Vec::new();
        let mut rest = &tail[..];
        while let Some(header) = rest.first_chunk::<HEADER_LEN>().map(Header::decode) {
            let end = HEADER_LEN + header.payload_len();
            let Some((packet, after)) = rest.split_at_checked(end) else { break };
            shown.extend(self.packet(header, packet.to_vec()));
            rest = after;
        }
        self.tails.insert(number, rest.to_vec());
        shown
    }

    fn packet(&mut self, header: Header, mut packet: Vec<u8>) -> Vec<u8> {
        let ok = header.opcode == Code::Ok as u8 && header.remaining <= 26;
        let resolved = header.opcode == Code::Resolved as u8;
        let notifies = header.opcode == Code::Notify as u8 && header.is_last();
        let sabotage = self.sabotage;
        match sabotage {
            Some(Sabotage::LoseReply) if ok && self.strikes() => return Vec::new(),
            Some(Sabotage::RepeatReply) if ok && self.strikes() => packet.extend(packet.clone()),
            Some(Sabotage::WrongXid) if ok && self.strikes() => packet[3] ^= 0x40,
            Some(Sabotage::WrongVersion) if ok && header.remaining == 12 => packet[17] += 1,
            Some(Sabotage::WrongData) if resolved && packet.len() > HEADER_LEN && self.strikes() => {
                if let Some(last) = packet.last_mut() {
                    *last ^= 1;
                }
            }
            Some(Sabotage::LoseNotification) if notifies && self.strikes() => return Vec::new(),
            _ => {}
        }
        packet
    }
}
