//! Packets from the client: gathered into requests, judged, carried out, answered.

use alloc::vec::Vec;

use bytes::Buf;

use super::Connection;
use super::endings::Stage;
use super::incoming::{Incoming, State};
use crate::config::{LARGEST_OPERANDS, OWN_REPLIES, OWN_REQUESTS, STANDING};
use crate::engine::{Engine, Execution, Incident};
use crate::error::{Quota, Refusal, Violation};
use crate::memory::{Data, Overrun, Payload};
use crate::time::Instant;
use crate::types::{Pointer, Xid};
use crate::wire::{
    ABORT, FULL_PACKET, Fragment, Header, MAX_PAYLOAD, Message, Opcode, Operands, Reply, Request, take_run,
};

/// Of the reply bytes that may wait, how many news leave to replies, where that is less than a quarter.
const KEPT_FREE_OF_NEWS: u64 = 1 << 20;

/// So many bytes of a request take as long as a small packet, so far as they are copied.
const BYTES_OF_A_PACKET: usize = 8192;

/// So many pointers of a list take as long as a small packet, to be found and put in order.
const POINTERS_OF_A_PACKET: usize = 8;

impl Connection {
    pub(super) fn is_reading_packets(&self) -> bool {
        matches!(self.stage, Stage::Open | Stage::Ending(_))
    }

    pub(super) fn has_room(&self) -> bool {
        let limits = &self.config.limits;
        self.has_room_for_replies(limits.queued_replies) && self.output.len() < limits.queued_bytes
    }

    /// Whether fewer replies than these are queued, and there is a place for another.
    fn has_room_for_replies(&self, most: u32) -> bool {
        let replies = self.replies();
        replies < most as usize && (replies < OWN_REPLIES || self.places.budget().has_places(1))
    }

    fn replies(&self) -> usize {
        self.output.messages() + self.executing.len()
    }

    /// Whether there is a place for another of the unfinished requests, or of those being discarded.
    fn has_place_beside(&self, requests: usize) -> bool {
        requests < OWN_REQUESTS || self.places.budget().has_places(1)
    }

    /// Whether it needs none but its own places for requests and replies.
    fn has_enough_places_of_its_own(&self) -> bool {
        self.incoming.len() + usize::from(self.current.is_some()) < OWN_REQUESTS
            && self.replies() < OWN_REPLIES
    }

    /// Unfinished requests that were not refused.
    fn open_requests(&self) -> usize {
        // The latest is not with the others.
        let arriving = self.current.iter().filter(|message| message.state != State::Begun);
        self.incoming.len() + arriving.count() - self.discarding as usize
    }

    /// Holds the places that are needed for what is there now, beyond the connection's own (docs/PROTOCOL.md §7.2).
    pub(super) fn hold_places(&mut self) {
        if self.standing.is_empty() && !self.places.are_held() && self.has_enough_places_of_its_own() {
            return;
        }
        let replies = self.replies().saturating_sub(OWN_REPLIES);
        let requests = self.open_requests().saturating_sub(OWN_REQUESTS);
        let discarded = (self.discarding as usize).saturating_sub(OWN_REQUESTS);
        self.places.hold(replies + requests + discarded + STANDING * self.standing.len());
    }

    /// The bytes for which there is room in the next news, if there is any: they leave some to replies, or they could
    /// keep requests from being read. While less than that waits, news of any length have room, or long ones might
    /// never have.
    pub(super) fn room_for_news(&self) -> Option<u64> {
        let limits = &self.config.limits;
        let most = limits.queued_replies - limits.queued_replies / 4;
        let kept = (limits.queued_bytes / 4).min(KEPT_FREE_OF_NEWS);
        let waiting = self.output.len();
        let room =
            if waiting < kept { u64::MAX } else { (limits.queued_bytes - kept).saturating_sub(waiting) };
        (self.has_room_for_replies(most) && room > 0).then_some(room)
    }

    pub(super) fn read_backlog(&mut self, now: Instant, engine: &mut impl Engine) {
        if self.is_occupied() {
            return;
        }
        self.turn = self.config.portions.packets;
        let Some(mut backlog) = self.backlog.take() else { return };
        let mut rest = &backlog[..];
        self.read_packets(&mut rest, now, engine);
        let handled = backlog.len() - rest.len();
        // Once all is handled, its room is given back. Until then what is left stays where it is.
        if handled < backlog.len() && self.is_reading_packets() {
            backlog.advance(handled);
            self.backlog = Some(backlog);
        }
    }

    /// Counts work of this call that takes as long as `packets` packets.
    pub(super) fn spend(&mut self, packets: usize) {
        self.turn = self.turn.saturating_sub(u32::try_from(packets).unwrap_or(u32::MAX));
    }

    pub(super) fn read_packets(&mut self, input: &mut &[u8], now: Instant, engine: &mut impl Engine) {
        while self.turn > 0 && self.is_reading_packets() && self.has_room() {
            self.turn -= 1;
            if self.current.is_some() {
                self.read_run(input, now);
            }
            let Some(fragment) = self.reader.next(input) else { break };
            if let Err(violation) = self.handle_fragment(&fragment, now, engine) {
                self.violated(fragment.header.xid, violation, now, engine);
            }
            if !self.has_enough_places_of_its_own() {
                self.hold_places();
            }
        }
        if self.is_reading_packets() {
            self.clocks.mark_packet(self.reader.is_inside_packet(), now);
        } else {
            *input = &[];
        }
    }

    /// Reads the packets that continue the message of the latest one, as far as they are nothing but more of its data.
    fn read_run(&mut self, input: &mut &[u8], now: Instant) {
        if self.reader.is_inside_packet() {
            return;
        }
        let Some(message) = self.current.as_mut().filter(|it| matches!(it.state, State::Accepted(_))) else {
            return;
        };
        let (mut header, mut rest) = (message.header, *input);
        let run = take_run(&mut header, &mut rest);
        let bytes = run.len() / FULL_PACKET * MAX_PAYLOAD;
        let limit = self.config.limits.connection_unfinished;
        // Where a limit is passed, the packets are read one by one, to find the one that passes it.
        if bytes == 0
            || self.unfinished.saturating_add(bytes as u64) > limit
            || message.charge(bytes).is_err()
        {
            return;
        }
        self.unfinished += bytes as u64;
        message.extend_by_packets(run);
        message.header = header;
        message.last_packet = self.clocks.reading_time(now);
        *input = rest;
    }

    fn handle_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<(), Violation> {
        if fragment.opens {
            if fragment.header.opcode == ABORT {
                return self.handle_abort(fragment.header, engine);
            }
            let begins = self.take_message(fragment.header.xid);
            if begins.is_none() && fragment.closes && fragment.header.is_last() {
                return self.handle_whole(fragment, now, engine);
            }
            self.open_packet(begins, fragment.header)?;
        }
        let Some(message) = &mut self.current else { return Ok(()) };
        message.extend(fragment.payload);
        if !fragment.closes {
            return Ok(());
        }
        self.clocks.packet_ended();
        let Some(message) = self.current.take() else { return Ok(()) };
        self.close_packet(message, now, engine)
    }

    /// The message that has begun under an id, to be gone on with.
    #[inline]
    fn take_message(&mut self, xid: Xid) -> Option<Incoming> {
        match &self.current {
            Some(message) if message.header.xid == xid => self.current.take(),
            _ if self.incoming.is_empty() => None,
            _ => self.incoming.remove(&xid),
        }
    }

    /// A packet begins: the next of a message that has begun, or a new message's first.
    fn open_packet(&mut self, begun: Option<Incoming>, header: Header) -> Result<(), Violation> {
        let message = match begun {
            Some(mut message) => {
                let expected = message.header.continuation();
                message.header = header;
                if expected != Some(header) {
                    return Err(Violation::Continuation);
                }
                message
            }
            None => Incoming::new(header, self.opcode_of(header)?, self.places.budget()),
        };
        if let Some(other) = self.current.replace(message) {
            self.incoming.insert(other.header.xid, other);
        }
        Ok(())
    }

    /// The operation of a new message, if it may begin at all.
    fn opcode_of(&self, header: Header) -> Result<Option<Opcode>, Violation> {
        if self.standing.contains_key(&header.xid) {
            return Err(Violation::XidInUse);
        }
        let opcode = Opcode::from_u8(header.opcode);
        let largest = u64::from(self.config.limits.record) + LARGEST_OPERANDS;
        if opcode.is_none() && u64::from(header.remaining) > largest {
            return Err(Violation::UnknownOpcode);
        }
        Ok(opcode)
    }

    /// A message of one packet that has arrived whole: its data are used where they lie.
    fn handle_whole(
        &mut self,
        packet: &Fragment<'_>,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<(), Violation> {
        self.clocks.packet_ended();
        let Header { xid, access, remaining, .. } = packet.header;
        let opcode = self.opcode_of(packet.header)?;
        let operands = opcode.map_or(0, Opcode::operand_len).min(packet.payload.len());
        let (operands, data) = packet.payload.split_at(operands);
        let request = opcode.ok_or(Refusal::UnsupportedOp).and_then(|opcode| {
            Request::parse(opcode, access, remaining, operands).map_err(Refusal::InvalidRequest)
        });
        match request {
            Ok(request) => self.execute(xid, request.map(|_| Payload::Whole(data)), now, engine),
            Err(refusal) => self.refuse(xid, opcode, refusal, engine),
        }
        Ok(())
    }

    fn refuse(&mut self, xid: Xid, opcode: Option<Opcode>, refusal: Refusal, engine: &mut impl Engine) {
        engine.note(Incident::Refused(opcode, refusal));
        self.output.push(xid, Reply::<Data>::Refused(refusal).encode());
    }

    /// A packet has arrived whole, with the message so far.
    fn close_packet(
        &mut self,
        mut message: Incoming,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<(), Violation> {
        let Header { xid, .. } = message.header;
        let last = message.header.is_last();
        let judged = match message.state {
            State::Refused if last => {
                self.discarding -= 1;
                return Ok(());
            }
            State::Refused => None,
            State::Begun => Some(self.judge_beginning(&mut message, now, engine)),
            State::Accepted(request) => Some(match self.count_bytes(&mut message) {
                // Complete, it is judged as a whole: what comes before this limit in the order of checks is named.
                Err(overrun) if last => {
                    message.spoil(overrun);
                    Ok(request)
                }
                counted => counted.map(|()| request).map_err(Refusal::from),
            }),
        };
        match judged {
            Some(Ok(request)) if last => {
                self.unfinished -= message.unfinished() as u64;
                self.spend(request.data().map_or(0, |len| *len as usize) / BYTES_OF_A_PACKET);
                self.execute_gathered(xid, message, request, now, engine);
                return Ok(());
            }
            Some(Ok(request)) => message.state = State::Accepted(request),
            Some(Err(refusal)) => {
                let too_many = self.discarding >= self.config.limits.unfinished_requests;
                if !last && (too_many || !self.has_place_beside(self.discarding as usize)) {
                    return Err(Violation::TooManyDiscarded);
                }
                self.refuse(xid, message.opcode, refusal, engine);
                if last {
                    // A message of one packet: nothing of it counted.
                    return Ok(());
                }
                self.discarding += 1;
                self.unfinished -= message.discard(self.output.garbage()) as u64;
            }
            None => {}
        }
        message.last_packet = self.clocks.reading_time(now);
        self.current = Some(message);
        Ok(())
    }

    /// Judges everything that can be judged with a message's first packet (docs/PROTOCOL.md §3.2).
    fn judge_beginning(
        &mut self,
        message: &mut Incoming,
        now: Instant,
        engine: &mut impl Engine,
    ) -> Result<Request<u32>, Refusal> {
        let request = message.parse()?;
        if message.header.is_last() {
            // Complete: the engine judges it when it carries it out.
            return Ok(request);
        }
        let judged = engine.judge(self.peer, &request, now);
        // The engine may have found out that something is over: it is told now, however the stream is cut.
        self.take_mail(engine);
        message.set_start(judged?);
        let limit = self.config.limits.unfinished_requests;
        let unfinished = self.open_requests();
        let too_many = |limit| Refusal::QuotaExceeded { quota: Quota::UnfinishedRequests, limit };
        match self.count_bytes(message) {
            // Of several quotas the lowest number is named: 1 before 4 before 5.
            Err(overrun @ Overrun::Total(_)) => Err(overrun.into()),
            _ if unfinished >= limit as usize => Err(too_many(u64::from(limit))),
            _ if !self.has_place_beside(unfinished) => Err(too_many(self.config.limits.places)),
            counted => counted.map(|()| request).map_err(Refusal::from),
        }
    }

    /// Counts the bytes of a packet that has arrived (docs/PROTOCOL.md §7.2).
    fn count_bytes(&mut self, message: &mut Incoming) -> Result<(), Overrun> {
        let bytes = message.header.payload_len();
        let limit = self.config.limits.connection_unfinished;
        if self.unfinished.saturating_add(bytes as u64) > limit {
            self.places.budget().allow(bytes)?;
            return Err(Overrun::Unfinished(limit));
        }
        message.charge(bytes)?;
        self.unfinished += bytes as u64;
        Ok(())
    }

    pub(super) fn execute(
        &mut self,
        xid: Xid,
        request: Request<Payload<'_>>,
        now: Instant,
        engine: &mut impl Engine,
    ) {
        match engine.execute(self.peer, xid, request, now) {
            Execution::Done(reply) => self.reply(xid, reply, engine),
            Execution::Long(long) => {
                let (reply, packets) = *long;
                self.spend(packets as usize);
                self.reply(xid, reply, engine);
            }
            Execution::Later => self.executing.push(xid),
            Execution::Waiting => {
                self.stand(xid);
                self.hold_places();
            }
        }
        // What the request caused on this connection itself comes right after its reply.
        self.take_mail(engine);
    }

    pub(super) fn reply(&mut self, xid: Xid, reply: Reply<Data>, engine: &mut impl Engine) {
        if matches!(reply, Reply::Watching(_)) {
            self.stand(xid);
            self.hold_places();
        }
        let message = match reply {
            Reply::Pointers(pointers) if pointers.is_empty() => return self.begin_list(xid, engine),
            Reply::Pointers(pointers) => {
                self.spend(pointers.len() / POINTERS_OF_A_PACKET);
                self.list(pointers).unwrap_or_else(|refusal| {
                    // The request itself was counted when it was carried out.
                    engine.note(Incident::Refused(None, refusal));
                    Reply::Refused(refusal).encode()
                })
            }
            reply => reply.encode(),
        };
        self.output.push(xid, message);
    }

    /// The one reply whose bytes are made here, away from the store's lock: sorted, and counted like all others.
    fn list(&self, mut pointers: Vec<Pointer>) -> Result<Message<Data>, Refusal> {
        pointers.sort_unstable();
        let message = Reply::<Vec<u8>>::Pointers(pointers).encode();
        let Message { opcode, access, operands, body } = message;
        Ok(Message { opcode, access, operands, body: Payload::Whole(&body).settle(self.places.budget())? })
    }

    /// The client abandons a transaction (docs/PROTOCOL.md §2.5).
    fn handle_abort(&mut self, header: Header, engine: &mut impl Engine) -> Result<(), Violation> {
        if header.remaining != 0 || header.access != 0 {
            return Err(Violation::Abort);
        }
        self.clocks.packet_ended();
        let xid = header.xid;
        let mut abandoned = false;
        if let Some(mut message) = self.take_message(xid) {
            if message.state == State::Refused {
                // Its refusal was its terminal.
                self.discarding -= 1;
                return Ok(());
            }
            self.unfinished -= message.discard(self.output.garbage()) as u64;
            abandoned = true;
        }
        let before = self.executing.len();
        self.executing.retain(|it| *it != xid);
        if self.executing.len() < before {
            // It may become a watch, of which nobody would want to know.
            engine.forget(self.peer, xid);
            abandoned = true;
        }
        abandoned |= self.give_up_standing(xid, engine);
        abandoned |= self.output.cancel(xid);
        if abandoned {
            self.abort(xid);
        }
        Ok(())
    }

    pub(super) fn abort(&mut self, xid: Xid) {
        self.output.push(xid, Message::<Data>::bare(ABORT, 0, Operands::new()));
    }
}
