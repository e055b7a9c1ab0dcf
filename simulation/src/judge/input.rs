//! What clients send, packet by packet, as a server must take it (docs/PROTOCOL.md §2.2, §2.5, §3.2, §5).

use bytes::Bytes;
use netswap_core::error::{Quota, Refusal, Violation};
use netswap_core::types::Xid;
use netswap_core::wire::{ABORT, HEADER_LEN, Header, Opcode, Reply, Request};

use super::execute::Circumstances;
use super::{Connection, ConnectionNumber, Expected, Judge, Message, Stage};
use crate::failure::{Failure, Invariant};

/// A request of which the last packet has not come.
#[derive(Debug)]
pub(super) struct Incoming {
    header: Header,
    /// `None` where it was refused and the rest of it is thrown away.
    accepted: Option<Request<u32>>,
    data: Vec<u8>,
    unfinished: u64,
}

/// What a server has done in a call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// How many requests it has carried out or refused.
    pub requests: u64,
    /// Whether it has refused one for want of memory.
    pub no_memory: bool,
    /// Whether it has taken all that was handed to it.
    pub drained: bool,
}

/// What becomes of a packet.
enum Effect {
    Accept(Request<u32>),
    Refuse(Refusal),
    Execute(Request<u32>, Option<u64>),
    Discard,
    Violate(Violation),
}

impl Judge {
    /// A client's bytes are about to be handed to the server.
    pub fn handed(&mut self, number: ConnectionNumber, bytes: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.input.extend(bytes);
        }
    }

    /// The server has been called for a connection, and did so much.
    pub fn advance(&mut self, number: ConnectionNumber, progress: Progress) -> Result<(), Failure> {
        let mut left = progress.requests;
        self.requests += left;
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.known = progress.drained;
        }
        while self.step(number, &mut left, progress)? {}
        if left > 0 {
            let what = format!("the server has carried out {left} requests more than were made");
            return Err(Failure::of(Invariant::OneOrder, number, what));
        }
        Ok(())
    }

    /// What is not counted may have been taken too, since the server says so.
    pub(super) fn guess(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        while !self.counts_next(number) {
            if !self.step(number, &mut 1, Progress::default())? {
                self.end_of_stream(number);
                break;
            }
        }
        Ok(())
    }

    fn counts_next(&self, number: ConnectionNumber) -> bool {
        let Some(connection) = self.connections.get(&number) else { return true };
        let Some(header) = connection.current else { return false };
        if connection.input.len() < header.payload_len() {
            return false;
        }
        let payload: Vec<u8> = connection.input.iter().take(header.payload_len()).copied().collect();
        matches!(self.judge(connection, &header, &payload, false), Effect::Execute(..) | Effect::Refuse(_))
    }

    /// Takes the next header or packet, where it is known to be taken; whether there was one.
    fn step(
        &mut self,
        number: ConnectionNumber,
        left: &mut u64,
        progress: Progress,
    ) -> Result<bool, Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(false) };
        if connection.stage == Stage::Ending {
            connection.input.clear();
            return Ok(false);
        }
        let known = progress.drained || *left > 0;
        let Some(header) = connection.current else {
            if !known || connection.input.len() < HEADER_LEN {
                return Ok(false);
            }
            let mut bytes = [0; HEADER_LEN];
            bytes.iter_mut().zip(connection.input.drain(..HEADER_LEN)).for_each(|(to, from)| *to = from);
            return self.header(number, Header::decode(&bytes)).map(|()| true);
        };
        if connection.input.len() < header.payload_len() {
            return Ok(false);
        }
        let payload: Vec<u8> = connection.input.iter().take(header.payload_len()).copied().collect();
        if connection.finds_out(&header, &payload) {
            self.expire()?;
        }
        let Some(connection) = self.connections.get(&number) else { return Ok(false) };
        let effect = self.judge(connection, &header, &payload, progress.no_memory);
        if matches!(effect, Effect::Execute(..) | Effect::Refuse(_)) {
            if *left == 0 && progress.drained {
                let what = format!("request {} is complete and not carried out", header.xid);
                return Err(Failure::of(Invariant::OneOrder, number, what));
            }
            if *left == 0 {
                return Ok(false);
            }
            *left -= 1;
        } else if !known {
            return Ok(false);
        }
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.input.drain(..header.payload_len());
            connection.current = None;
        }
        self.packet(number, header, &payload, effect, progress.no_memory)?;
        Ok(true)
    }

    /// A header has come.
    fn header(&mut self, number: ConnectionNumber, header: Header) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let xid = header.xid.0;
        if header.opcode == ABORT {
            if header.remaining > 0 || header.access > 0 {
                return self.violated(number, xid, Violation::Abort);
            }
            return self.abort(number, xid);
        }
        let continuation = connection.incoming.get(&xid).map(|it| it.header.continuation());
        if let Some(expected) = continuation {
            if expected != Some(header) {
                return self.violated(number, xid, Violation::Continuation);
            }
        } else if connection.standing.contains(&xid) {
            return self.violated(number, xid, Violation::XidInUse);
        } else {
            let largest = u64::from(self.config.limits.record) + 16;
            if Opcode::from_u8(header.opcode).is_none() && u64::from(header.remaining) > largest {
                return self.violated(number, xid, Violation::UnknownOpcode);
            }
            connection.reuse(xid);
        }
        connection.current = Some(header);
        Ok(())
    }

    /// What becomes of a packet that has come whole.
    fn judge(&self, connection: &Connection, header: &Header, payload: &[u8], no_memory: bool) -> Effect {
        let limits = &self.config.limits;
        let memory = Refusal::QuotaExceeded { quota: Quota::ServerMemory, limit: limits.total };
        let bytes = payload.len() as u64;
        let passed = [
            (connection.unfinished + bytes, limits.connection_unfinished),
            (self.unfinished + bytes, limits.unfinished),
        ];
        let passed = passed.into_iter().find(|(wanted, limit)| wanted > limit).map(|(_, limit)| limit);
        let unfinished = |limit| Refusal::QuotaExceeded { quota: Quota::UnfinishedBytes, limit };
        let full = connection.discarding >= limits.unfinished_requests;
        let refuse = |refusal| {
            if full && !header.is_last() {
                Effect::Violate(Violation::TooManyDiscarded)
            } else {
                Effect::Refuse(refusal)
            }
        };
        match connection.incoming.get(&header.xid.0).map(|it| it.accepted) {
            Some(None) => Effect::Discard,
            Some(Some(request)) if header.is_last() => Effect::Execute(request, passed),
            Some(Some(_)) if no_memory => refuse(memory),
            Some(Some(request)) => passed.map_or(Effect::Accept(request), |limit| refuse(unfinished(limit))),
            None => {
                let Some(opcode) = Opcode::from_u8(header.opcode) else {
                    return refuse(Refusal::UnsupportedOp);
                };
                let operands = &payload[..opcode.operand_len().min(payload.len())];
                let request = match Request::parse(opcode, header.access, header.remaining, operands) {
                    Ok(request) => request,
                    Err(invalid) => return refuse(Refusal::InvalidRequest(invalid)),
                };
                if header.is_last() {
                    return Effect::Execute(request, None);
                }
                if let Err(refusal) = self.check_beginning(connection.owner, &request) {
                    return refuse(refusal);
                }
                if no_memory {
                    return refuse(memory);
                }
                let open = connection.incoming.values().filter(|it| it.accepted.is_some()).count();
                let limit = limits.unfinished_requests;
                if open >= limit as usize {
                    let quota = Quota::UnfinishedRequests;
                    return refuse(Refusal::QuotaExceeded { quota, limit: u64::from(limit) });
                }
                passed.map_or(Effect::Accept(request), |limit| refuse(unfinished(limit)))
            }
        }
    }

    fn packet(
        &mut self,
        number: ConnectionNumber,
        header: Header,
        payload: &[u8],
        effect: Effect,
        no_memory: bool,
    ) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let xid = header.xid.0;
        match effect {
            Effect::Violate(violation) => return self.violated(number, xid, violation),
            Effect::Discard if header.is_last() => {
                connection.incoming.remove(&xid);
                connection.discarding -= 1;
            }
            Effect::Discard => {
                if let Some(incoming) = connection.incoming.get_mut(&xid) {
                    incoming.header = header;
                }
            }
            Effect::Refuse(refusal) => {
                let before = connection.incoming.remove(&xid).map_or(0, |it| it.unfinished);
                connection.unfinished -= before;
                self.unfinished -= before;
                connection.expect(xid, Expected::Reply(Message::of(Reply::Refused(refusal))));
                if !header.is_last() {
                    connection.discarding += 1;
                    let refused = Incoming { header, accepted: None, data: Vec::new(), unfinished: 0 };
                    connection.incoming.insert(xid, refused);
                }
            }
            Effect::Accept(request) => {
                let incoming = connection.incoming.entry(xid).or_insert_with(|| Incoming {
                    header,
                    accepted: Some(request),
                    data: Vec::new(),
                    unfinished: 0,
                });
                incoming.header = header;
                incoming.data.extend_from_slice(payload);
                incoming.unfinished += payload.len() as u64;
                connection.unfinished += payload.len() as u64;
                self.unfinished += payload.len() as u64;
            }
            Effect::Execute(request, unfinished) => {
                let mut data = Vec::new();
                if let Some(incoming) = connection.incoming.remove(&xid) {
                    connection.unfinished -= incoming.unfinished;
                    self.unfinished -= incoming.unfinished;
                    data = incoming.data;
                }
                data.extend_from_slice(payload);
                let operands = request.opcode().operand_len().min(data.len());
                let data = Bytes::from(data).slice(operands..);
                let request = request.map(|_| data);
                self.execute(number, xid, request, Circumstances { no_memory, unfinished })?;
            }
        }
        Ok(())
    }

    /// The client abandons a transaction (docs/PROTOCOL.md §2.5).
    fn abort(&mut self, number: ConnectionNumber, xid: u32) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let mut certain = false;
        if let Some(incoming) = connection.incoming.remove(&xid) {
            if incoming.accepted.is_none() {
                connection.discarding -= 1;
                return Ok(());
            }
            connection.unfinished -= incoming.unfinished;
            self.unfinished -= incoming.unfinished;
            certain = true;
        }
        certain |= self.give_up(number, xid);
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        if certain || connection.expected.get(&xid).is_some_and(|it| !it.is_empty()) {
            connection.expect(xid, Expected::Abort { certain });
        }
        Ok(())
    }

    fn violated(&mut self, number: ConnectionNumber, xid: u32, violation: Violation) -> Result<(), Failure> {
        self.depart_once(number)?;
        self.drop_unfinished(number);
        self.waits.retain(|it| it.connection != number);
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        connection.stage = Stage::Ending;
        connection.current = None;
        connection.standing.clear();
        for expected in connection.expected.values_mut() {
            expected.retain(|it| !matches!(it, Expected::Waiting));
        }
        connection.last_word = Some((xid, Message::of(Reply::Malformed(violation))));
        Ok(())
    }

    fn depart_once(&mut self, number: ConnectionNumber) -> Result<(), Failure> {
        if !self.connections.get(&number).is_some_and(|it| it.present) {
            return Ok(());
        }
        // What waits is dropped, also where the server finds out only now that the record has ended.
        let (waits, others) =
            std::mem::take(&mut self.waits).into_iter().partition(|it| it.connection == number);
        self.waits = others;
        let done = self.depart(number);
        self.waits.extend::<Vec<_>>(waits);
        done
    }

    fn drop_unfinished(&mut self, number: ConnectionNumber) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.incoming.clear();
        connection.discarding = 0;
        self.unfinished -= std::mem::take(&mut connection.unfinished);
    }

    /// The client has ended its side; `drained` is whether the server has taken everything before.
    pub fn half_closed(&mut self, number: ConnectionNumber, drained: bool) -> Result<(), Failure> {
        self.depart_once(number)?;
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        connection.known = drained;
        if connection.stage == Stage::Open {
            connection.stage = Stage::Eof;
            if drained {
                self.end_of_stream(number);
            }
        }
        Ok(())
    }

    /// What the client has sent before the end of its stream is carried out.
    fn end_of_stream(&mut self, number: ConnectionNumber) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        if connection.stage != Stage::Eof {
            return;
        }
        connection.stage = Stage::Ending;
        connection.current = None;
        connection.input.clear();
        self.drop_unfinished(number);
        self.abandon_standing(number);
    }

    fn abandon_standing(&mut self, number: ConnectionNumber) {
        self.waits.retain(|it| it.connection != number);
        self.watches.values_mut().filter(|it| it.connection == number).for_each(|it| it.silent = true);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        for xid in std::mem::take(&mut connection.standing) {
            connection.expect(xid, Expected::Abort { certain: true });
        }
    }

    /// The server is told to stop; everything that it got before is carried out.
    pub fn stopped(&mut self) {
        let open: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, it)| it.stage == Stage::Open)
            .map(|(number, _)| *number)
            .collect();
        for number in open {
            let Some(connection) = self.connections.get_mut(&number) else { continue };
            connection.stage = Stage::Ending;
            let accepted: Vec<u32> = connection
                .incoming
                .iter()
                .filter(|(_, it)| it.accepted.is_some())
                .map(|(xid, _)| *xid)
                .chain(
                    connection
                        .current
                        .filter(|it| !connection.incoming.contains_key(&it.xid.0))
                        .map(|it| it.xid.0),
                )
                .collect();
            connection.current = None;
            connection.input.clear();
            for xid in accepted {
                connection.expect(xid, Expected::Abort { certain: true });
            }
            self.drop_unfinished(number);
            self.abandon_standing(number);
        }
    }
}

impl Connection {
    /// Whether a packet makes the server look at the time.
    fn finds_out(&self, header: &Header, payload: &[u8]) -> bool {
        match self.incoming.get(&header.xid.0) {
            Some(incoming) => incoming.accepted.is_some() && header.is_last(),
            None => Opcode::from_u8(header.opcode).is_some_and(|opcode| {
                let operands = &payload[..opcode.operand_len().min(payload.len())];
                Request::parse(opcode, header.access, header.remaining, operands).is_ok()
            }),
        }
    }

    /// A new request begins under an XID. Where an ABORT of it is still to be answered, what comes cannot be told apart.
    fn reuse(&mut self, xid: u32) {
        let expected = self.expected.get(&xid);
        if expected.is_some_and(|it| it.iter().any(|it| matches!(it, Expected::Abort { .. }))) {
            self.misused.insert(xid);
        }
        if self.misused.contains(&xid) {
            self.expected.remove(&xid);
        }
    }

    /// The message that comes last, as it stands on the wire.
    pub(super) fn last_word_is(&self, header: &Header) -> bool {
        self.last_word
            .as_ref()
            .is_some_and(|(xid, message)| Xid(*xid) == header.xid && message.fits(header, &[]))
    }
}
