//! What a connection asks of whatever holds the records: the seam between the two.

use alloc::boxed::Box;
use alloc::vec::{self, Vec};
use core::iter::Chain;
use core::{fmt, option};

use crate::error::{Refusal, Violation};
use crate::memory::{Data, Garbage, Payload};
use crate::time::Instant;
use crate::types::{Owner, Pointer, Xid};
use crate::wire::{Notification, Opcode, Reply, Request};

/// A connection's number; never used twice in a server's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({})", self.0)
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The connection.
    pub id: ConnectionId,
    /// Whom its address makes it.
    pub owner: Owner,
}

/// The holder of the records, as a connection sees it.
///
/// [`Store`](crate::store::Store) is one. An adapter with several threads puts a lock around a store and makes that
/// an engine that locks for the length of one call. A remote store would answer `Later` to `execute` and have the
/// adapter call [`Connection::answer`](crate::connection::Connection::answer) later.
pub trait Engine {
    /// Judges a request by its beginning, before its data have arrived (docs/PROTOCOL.md §3.2). The offset in the record at
    /// which its data would begin as things stand: what arrives is cut into chunks there.
    ///
    /// # Errors
    ///
    /// Why it would be refused as things stand.
    fn judge(&mut self, peer: Peer, request: &Request<u32>, now: Instant) -> Result<u32, Refusal>;

    /// Carries out a complete request.
    fn execute(&mut self, peer: Peer, xid: Xid, request: Request<Payload<'_>>, now: Instant) -> Execution;

    /// Takes what there is for a connection. Asked after every request of its own, and when the connection is
    /// [called](crate::connection::Connection::handle_mail) because there is something.
    ///
    /// With `room` for so many bytes of data, news of one watch may come at once where they are all that there is.
    fn take_mail(&mut self, peer: Peer, room: Option<u64>) -> Post;

    /// Takes what a watch has not been told; `None`, and nothing is taken, when that has more than `room` bytes of data.
    fn take_news(&mut self, peer: Peer, xid: Xid, room: u64) -> Option<Told>;

    /// Gives up a watch or a waiting read.
    fn forget(&mut self, peer: Peer, xid: Xid);

    /// Begins to list the records of the peer's owner: how many they are now, and where to begin. Asked where the reply to a
    /// LIST_RECORDS has no pointer: either there is none, or there are so many that they are to be taken in portions.
    fn begin_list(&mut self, _peer: Peer) -> (u64, ListCursor) {
        (0, ListCursor(0))
    }

    /// Adds the next portion of the records to be listed, in no order; where to go on, if there may be more. Every record
    /// that is the owner's from the beginning to the end comes, perhaps twice.
    fn continue_list(
        &mut self,
        _peer: Peer,
        _cursor: ListCursor,
        _pointers: &mut Vec<Pointer>,
        _now: Instant,
    ) -> Option<ListCursor> {
        None
    }

    /// The connection has come to its end and no longer keeps its owner's records alive.
    fn depart(&mut self, peer: Peer, now: Instant);

    /// The connection no longer needs parts of large data: they are to be dropped in portions.
    fn discard(&mut self, garbage: &mut Garbage) {
        drop(core::mem::take(garbage));
    }

    /// Something happened that the connection dealt with alone, for the counters.
    fn note(&mut self, incident: Incident);
}

/// How far a list of records has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor(pub u32);

/// What becomes of a request.
#[derive(Debug)]
pub enum Execution {
    /// It is answered.
    Done(Reply<Data>),
    /// It is answered, and took as long as so many small packets besides: its connection does the less in this turn. It is
    /// seldom, and in a box so that the others are no larger for it.
    Long(Box<(Reply<Data>, u32)>),
    /// The engine is not here and answers later.
    Later,
    /// It reads a reserved record and waits for its data; the answer comes by mail.
    Waiting,
}

impl Execution {
    /// The reply, if there is one yet.
    #[must_use]
    pub fn reply(self) -> Option<Reply<Data>> {
        match self {
            Self::Done(reply) => Some(reply),
            Self::Long(long) => Some(long.0),
            Self::Later | Self::Waiting => None,
        }
    }
}

/// What an engine hands over to a connection at a time.
#[derive(Debug)]
pub enum Post {
    /// All that there is, or nothing.
    Mail(Vec<Mail>),
    /// The news of a watch, [taken](Engine::take_news) already.
    News(Xid, Told),
}

/// What a watch is told at a time, in order. Mostly it is one notification, for which nothing is allocated.
#[derive(Debug, Default)]
pub struct Told {
    first: Option<Notification<Data>>,
    others: Vec<Notification<Data>>,
}

impl Extend<Notification<Data>> for Told {
    fn extend<I: IntoIterator<Item = Notification<Data>>>(&mut self, notifications: I) {
        let mut notifications = notifications.into_iter();
        if self.first.is_none() {
            self.first = notifications.next();
        }
        self.others.extend(notifications);
    }
}

impl IntoIterator for Told {
    type Item = Notification<Data>;
    type IntoIter = Chain<option::IntoIter<Self::Item>, vec::IntoIter<Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.others)
    }
}

/// What an engine has for a connection beside the answers to its requests.
#[derive(Debug)]
pub enum Mail {
    /// The answer to a waiting read: seldom, and larger than all else.
    Answer(Xid, Box<Reply<Data>>),
    /// A watch has news, to be taken when there is room for them.
    News(Xid),
    /// The last notifications of a watch.
    Last(Xid, Vec<Notification<Data>>),
}

impl Mail {
    /// The watch or the waiting read that it is for.
    #[must_use]
    pub fn xid(&self) -> Xid {
        match self {
            Self::Answer(xid, _) | Self::News(xid) | Self::Last(xid, _) => *xid,
        }
    }
}

/// What a connection deals with alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incident {
    /// It refused a request at its beginning or on its way.
    Refused(Option<Opcode>, Refusal),
    /// Its peer broke the protocol.
    Violated(Violation),
    /// A request made no progress for too long.
    SlowRequest,
    /// Its peer took its replies too slowly.
    SlowReader,
}
