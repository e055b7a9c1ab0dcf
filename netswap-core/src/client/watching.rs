//! Watches as a client sees them: an OK, then one notification after the other (docs/PROTOCOL.md §3.21, §4.3).

use bytes::Bytes;

use crate::client::Client;
use crate::client::event::{Event, Failure};
use crate::client::incoming::Incoming;
use crate::client::transaction::Transaction;
use crate::error::ProtocolError;
use crate::time::Instant;
use crate::types::{Version, Xid};
use crate::wire::{BadReply, Code, Ending, Header, Lengths, Notification, Reply};

/// What is known of a watch.
#[derive(Debug)]
pub(super) struct Watching {
    push: bool,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The OK has not come.
    Asked,
    /// The watch was told of this version, and of no data yet.
    Told(Version),
    /// The watch was given the record in this version.
    Given(Version),
    /// The caller wants no more of it: versions are not followed any more.
    Abandoned,
}

impl Watching {
    pub(super) fn new(push: bool) -> Self {
        Self { push, stage: Stage::Asked }
    }

    /// Whether its OK has come.
    pub(super) fn has_begun(&self) -> bool {
        !matches!(self.stage, Stage::Asked)
    }

    /// The lengths that the notification may have which begins with this header.
    pub(super) fn lengths(&self, header: &Header) -> Result<Lengths, BadReply> {
        if header.opcode != Code::Notify as u8 {
            return Err(BadReply);
        }
        Notification::lengths(header.access, self.push)
    }

    /// Judges a complete notification by what the watch was told before.
    fn follow(&mut self, notification: &Notification<Bytes>) -> Result<(), BadReply> {
        let (version, follows) = match (notification, &self.stage) {
            (Notification::Changed { version, .. }, Stage::Told(before) | Stage::Given(before)) => {
                (*version, version >= before && *version > Version::RESERVED)
            }
            (Notification::RangeChanged { version, offset, data }, Stage::Given(before)) => {
                let fits = u32::try_from(data.len()).is_ok_and(|len| offset.checked_add(len).is_some());
                (*version, *version > *before && *version == before.next() && fits)
            }
            (Notification::RangeChanged { .. }, _) => return Err(BadReply),
            _ => return Ok(()),
        };
        self.stage = if self.push { Stage::Given(version) } else { Stage::Told(version) };
        if follows { Ok(()) } else { Err(BadReply) }
    }
}

impl Transaction {
    /// The code of the reply that is here, where the transaction is not over with it: the OK and the notifications of
    /// a watch.
    pub(super) fn goes_on_after_reply(&self) -> Option<Code> {
        self.watching.as_ref()?;
        let code = Code::from_u8(self.reply.as_ref()?.code())?;
        matches!(code, Code::Ok | Code::Notify).then_some(code)
    }
}

impl Client {
    /// The last byte of a watch's OK or notification is here.
    pub(super) fn complete_of_watch(
        &mut self,
        xid: Xid,
        code: Code,
        now: Instant,
    ) -> Result<(), ProtocolError> {
        let Some(transaction) = self.transactions.get_mut(xid) else { return Ok(()) };
        let (Some(watching), Some(reply)) = (&mut transaction.watching, transaction.reply.take()) else {
            return Ok(());
        };
        let begins = !watching.has_begun();
        if transaction.abandoned {
            watching.stage = Stage::Abandoned;
            self.standing += usize::from(begins);
            if code == Code::Notify && Ending::from_kind(reply.access()).is_some() {
                self.close(xid);
            }
            return Ok(());
        }
        let bad = |BadReply| ProtocolError::BadReply { xid, code: code as u8 };
        if begins {
            let version = accepted(reply).map_err(bad)?;
            watching.stage = Stage::Told(version);
            self.standing += 1;
            self.events.push_back(Event::Watching { xid, version });
            return Ok(());
        }
        self.notified(xid, reply, now).map_err(bad)
    }

    fn notified(&mut self, xid: Xid, mut reply: Incoming, now: Instant) -> Result<(), BadReply> {
        let Some(transaction) = self.transactions.get_mut(xid) else { return Ok(()) };
        let Some(watching) = &mut transaction.watching else { return Ok(()) };
        let notification = Notification::decode(reply.access(), reply.rest(), watching.push)?;
        watching.follow(&notification)?;
        if let Notification::RangeChanged { offset, data, .. } = &notification {
            // The record is at least so long by now, whatever part of it this is.
            let (len, limit) = (offset.saturating_add(data.len() as u32), self.config.max_reply);
            if len > limit {
                self.give_up(xid, Failure::ReplyTooLarge { len, limit }, now);
                return Ok(());
            }
        }
        let is_last = matches!(notification, Notification::Ended(_));
        if !is_last {
            let weight = notification.weight();
            transaction.held += weight;
            self.held += weight;
        }
        self.events.push_back(Event::Notified { xid, notification });
        if is_last {
            self.close(xid);
        }
        Ok(())
    }
}

/// The version that the OK of a watch tells.
fn accepted(mut reply: Incoming) -> Result<Version, BadReply> {
    let (code, access, data) = (reply.code(), reply.access(), reply.rest());
    match Reply::decode(crate::wire::Opcode::WatchRecord, code, access, data)? {
        Reply::Watching(version) => Ok(version),
        _ => Err(BadReply),
    }
}
