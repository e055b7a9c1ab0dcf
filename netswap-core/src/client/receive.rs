//! What a client makes of the packets that the server sends: everything that can be judged is judged by the
//! header, and what no honest server sends is the end of the connection (docs/PROTOCOL.md §8.1).

use bytes::Bytes;

use crate::client::Client;
use crate::client::event::{Event, Failure};
use crate::client::incoming::Incoming;
use crate::client::transaction::{Sending, Transaction};
use crate::error::{ProtocolError, Quota, Violation};
use crate::time::Instant;
use crate::types::Xid;
use crate::wire::{ABORT, Code, Fragment, Header, Reply, decode_refusal};

impl Client {
    /// Takes a piece of a packet.
    pub(super) fn take_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let header = &fragment.header;
        if fragment.opens {
            match header.opcode {
                ABORT => return self.take_abort(header),
                code if code == Code::MalformedPacket as u8 => return Err(judge_malformed(header)),
                _ => self.take_header(header, now)?,
            }
        }
        let ends = fragment.closes && header.is_last();
        if let Some(refusal) = self.connection_refusal.as_mut().filter(|_| header.xid == REFUSED) {
            refusal.take(fragment.payload, false);
            return if ends { Err(connection_refused(refusal)) } else { Ok(()) };
        }
        let Some(transaction) = self.transactions.get_mut(header.xid) else { return Ok(()) };
        transaction.moved = now;
        if !transaction.abandoned
            && let Some(reply) = &mut transaction.reply
        {
            let pieces = transaction.pieces && reply.is_record();
            reply.take(fragment.payload, pieces);
            if pieces
                && !ends
                && let Some(data) = reply.piece()
            {
                transaction.held += data.len();
                self.held += data.len();
                self.events.push_back(Event::Piece { xid: header.xid, data, total: reply.total() });
            }
        }
        if ends { self.complete(header.xid, now) } else { Ok(()) }
    }

    /// Judges a packet by its header.
    fn take_header(&mut self, header: &Header, now: Instant) -> Result<(), ProtocolError> {
        let xid = header.xid;
        // It answers no request, also where one has this id.
        if refuses_connection(header) {
            self.connection_refusal = Some(Incoming::new(*header));
            return Ok(());
        }
        let Some(transaction) = self.transactions.get_mut(xid) else {
            return Err(ProtocolError::UnknownTransaction(xid));
        };
        if let Some(reply) = &mut transaction.reply {
            return if reply.goes_on_with(header) { Ok(()) } else { Err(ProtocolError::Continuation(xid)) };
        }
        let bad = ProtocolError::BadReply { xid, code: header.opcode };
        let lengths = transaction
            .lengths(header)
            .ok()
            .filter(|lengths| lengths.allow(header.remaining) && transaction.wants(*lengths, header))
            .ok_or(bad)?;
        let reply = transaction.reply.insert(Incoming::new(*header));
        self.clock.watch(now + transaction.idle_timeout);
        let in_pieces = transaction.pieces && reply.is_record();
        if header.opcode == Code::Ok as u8 || reply.is_record() {
            let cut = transaction.sending == Sending::Cut;
            if cut || self.unsent(xid).is_some() {
                return Err(bad);
            }
        } else {
            // A refusal of a request that is still being sent: the rest is of no use (docs/PROTOCOL.md §3.2).
            self.cut(xid, true)?;
        }
        let limit = self.config.max_reply;
        let len = lengths.data(header.remaining);
        if len > limit && !in_pieces {
            let failure = Failure::ReplyTooLarge { len, limit };
            self.give_up(xid, failure, now);
        }
        Ok(())
    }

    /// Takes the server's ABORT: the transaction has ended without a result (docs/PROTOCOL.md §2.5).
    fn take_abort(&mut self, header: &Header) -> Result<(), ProtocolError> {
        let xid = header.xid;
        if header.remaining > 0 || header.access > 0 {
            return Err(ProtocolError::BadReply { xid, code: ABORT });
        }
        if self.transactions.get(xid).is_none() {
            return Err(ProtocolError::UnknownTransaction(xid));
        }
        self.cut(xid, false)?;
        if let Some(transaction) = self.close(xid)
            && !transaction.abandoned
        {
            let outcome = transaction.outcome(transaction.sending != Sending::Cut);
            self.events.push_back(Event::Ended { xid, failure: Failure::Aborted, outcome });
        }
        Ok(())
    }

    /// Drops what is unsent of a request that the server has ended, and tells it with an ABORT where it
    /// would wait for the rest.
    fn cut(&mut self, xid: Xid, abort: bool) -> Result<(), ProtocolError> {
        let Some(unsent) = self.unsent(xid) else { return Ok(()) };
        let Some(transaction) = self.transactions.get_mut(xid) else { return Ok(()) };
        if unsent.payload == transaction.payload {
            // Nothing of it has left: the server cannot know of it.
            return Err(ProtocolError::UnknownTransaction(xid));
        }
        transaction.sending = Sending::Cut;
        self.output.cancel(xid);
        if abort {
            self.push_abort(xid);
        }
        Ok(())
    }

    /// The last byte of a reply is here.
    fn complete(&mut self, xid: Xid, now: Instant) -> Result<(), ProtocolError> {
        let Some(transaction) = self.transactions.get_mut(xid) else { return Ok(()) };
        if let Some(code) = transaction.goes_on_after_reply() {
            return self.complete_of_watch(xid, code, now);
        }
        if !transaction.abandoned
            && let Some(reply) = &mut transaction.reply
        {
            let (code, access, data) = (reply.code(), reply.access(), reply.rest());
            let reply = Reply::decode(transaction.opcode, code, access, data)
                .ok()
                .filter(|reply| echoes(transaction, reply))
                .ok_or(ProtocolError::BadReply { xid, code })?;
            self.events.push_back(Event::Replied { xid, reply });
        }
        self.close(xid);
        Ok(())
    }
}

/// The id under which the server refuses a whole connection.
const REFUSED: Xid = Xid(0);

/// Whether this is the one reply to no request: the connection itself is over a limit (docs/PROTOCOL.md §4.2).
fn refuses_connection(header: &Header) -> bool {
    let limits = [Quota::Connections as u8, Quota::ConnectionsOfAddress as u8];
    header.xid == REFUSED
        && header.opcode == Code::QuotaExceeded as u8
        && limits.contains(&header.access)
        && header.remaining == 8
}

fn connection_refused(refusal: &mut Incoming) -> ProtocolError {
    let (code, access, payload) = (refusal.code(), refusal.access(), refusal.rest());
    decode_refusal(code, access, &payload)
        .map_or(ProtocolError::BadReply { xid: REFUSED, code }, ProtocolError::ConnectionRefused)
}

fn judge_malformed(header: &Header) -> ProtocolError {
    let violation = Violation::ALL.into_iter().find(|violation| *violation as u8 == header.access);
    match violation.filter(|_| header.remaining == 0) {
        Some(violation) => ProtocolError::ViolationReported(violation),
        None => ProtocolError::BadReply { xid: header.xid, code: header.opcode },
    }
}

/// Whether a PING got its own bytes back.
fn echoes(transaction: &Transaction, reply: &Reply<Bytes>) -> bool {
    match (&transaction.ping, reply) {
        (Some(ping), Reply::Echo(echo)) => ping == echo,
        _ => true,
    }
}
