//! A client and a server that does as the test says, at a time that the test sets.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use netswap_core::client::{Client, Config, Event};
use netswap_core::error::ProtocolError;
use netswap_core::time::Instant;
use netswap_core::types::{Pointer, Version, Xid};
use netswap_core::wire::{
    ABORT, HEADER_LEN, MAX_PAYLOAD, Message, Notification, Output, PacketReader, Reply, Request,
};

/// A request as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) xid: Xid,
    pub(crate) opcode: u8,
    pub(crate) access: u8,
    pub(crate) payload: Vec<u8>,
}

/// An ABORT as the server sees it.
pub(crate) fn abort(xid: Xid) -> Received {
    Received { xid, opcode: ABORT, access: 0, payload: Vec::new() }
}

pub(crate) struct Peer {
    pub(crate) client: Client,
    pub(crate) now: Instant,
    /// Requests of which a part has arrived.
    pub(crate) partial: HashMap<Xid, Received>,
    reader: PacketReader,
}

impl Default for Peer {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Peer {
    pub(crate) fn new(config: Config) -> Self {
        let client = Client::new(config);
        Self { client, now: Instant::ZERO, partial: HashMap::new(), reader: PacketReader::default() }
    }

    pub(crate) fn request(&mut self, request: Request<Bytes>) -> Xid {
        self.client.request(request, self.now).unwrap()
    }

    pub(crate) fn resolve(&mut self) -> Xid {
        self.request(Request::ResolvePointer { pointer: Pointer(7) })
    }

    /// Asks for a watch, which the server has not answered yet.
    pub(crate) fn ask_to_watch(&mut self, push: bool) -> Xid {
        self.sent(Request::WatchRecord { pointer: Pointer(7), push })
    }

    /// A watch that stands, of a record in this version.
    pub(crate) fn watch(&mut self, push: bool, version: u64) -> Xid {
        let xid = self.ask_to_watch(push);
        self.reply(xid, Reply::Watching(Version(version)));
        assert_eq!(self.events(), [Event::Watching { xid, version: Version(version) }]);
        xid
    }

    /// The server sends a notification.
    pub(crate) fn notify(&mut self, xid: Xid, notification: Notification<Bytes>) {
        self.send(&encode_notification(xid, notification)).unwrap();
    }

    pub(crate) fn replace(&mut self, len: usize) -> Xid {
        self.request(Request::ReplaceRecord { pointer: Pointer(7), data: pattern(len) })
    }

    /// Makes a request and has its packets arrive at the server.
    pub(crate) fn sent(&mut self, request: Request<Bytes>) -> Xid {
        let xid = self.request(request);
        self.receive();
        xid
    }

    /// What the server receives of everything that the client has to send: whole requests and ABORTs.
    pub(crate) fn receive(&mut self) -> Vec<Received> {
        self.receive_at_most(usize::MAX)
    }

    /// What the server receives when the socket takes so many bytes and no more.
    pub(crate) fn receive_at_most(&mut self, most: usize) -> Vec<Received> {
        let mut received = Vec::new();
        let mut left = most;
        while left > 0 && self.client.output().window_len() > 0 {
            let bytes: Vec<u8> = self.client.output().slices().flatten().copied().take(left).collect();
            left -= bytes.len();
            self.client.sent(bytes.len(), self.now);
            self.read(&bytes, &mut received);
        }
        received
    }

    fn read(&mut self, mut bytes: &[u8], received: &mut Vec<Received>) {
        while let Some(fragment) = self.reader.next(&mut bytes) {
            let header = fragment.header;
            let xid = header.xid;
            if header.opcode == ABORT {
                assert_eq!((header.remaining, header.access), (0, 0));
                self.partial.remove(&xid);
                received.push(abort(xid));
                continue;
            }
            let new = Received { xid, opcode: header.opcode, access: header.access, payload: Vec::new() };
            let request = self.partial.entry(xid).or_insert(new);
            assert_eq!((request.opcode, request.access), (header.opcode, header.access));
            request.payload.extend_from_slice(fragment.payload);
            if fragment.closes && header.is_last() {
                received.extend(self.partial.remove(&xid));
            }
        }
    }

    /// The server sends these bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.client.handle_input(bytes, self.now)
    }

    /// The server sends a reply.
    pub(crate) fn reply(&mut self, xid: Xid, reply: Reply<Bytes>) {
        self.send(&encode(xid, reply)).unwrap();
    }

    /// The server sends an ABORT.
    pub(crate) fn reply_abort(&mut self, xid: Xid) {
        self.send(&packet(xid, 0, ABORT, 0, b"")).unwrap();
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }
}

/// A reply as bytes.
pub(crate) fn encode(xid: Xid, reply: Reply<Bytes>) -> Vec<u8> {
    encode_message(xid, reply.encode())
}

/// A notification as bytes.
pub(crate) fn encode_notification(xid: Xid, notification: Notification<Bytes>) -> Vec<u8> {
    encode_message(xid, notification.encode())
}

fn encode_message(xid: Xid, message: Message<Bytes>) -> Vec<u8> {
    let mut output = Output::default();
    output.push(xid, message);
    let mut bytes = vec![0; output.len() as usize];
    bytes::Buf::copy_to_slice(&mut output, &mut bytes);
    bytes
}

/// Replies as a server sends them that serves them in turn, packet by packet.
pub(crate) fn stream(replies: Vec<(Xid, Reply<Bytes>)>) -> Vec<u8> {
    let replies: Vec<Vec<u8>> = replies.into_iter().map(|(xid, reply)| encode(xid, reply)).collect();
    let packet =
        |n: usize| replies.iter().filter_map(move |bytes| bytes.chunks(HEADER_LEN + MAX_PAYLOAD).nth(n));
    let most = replies.iter().map(Vec::len).max().unwrap_or(0);
    (0..=most / MAX_PAYLOAD).flat_map(packet).flatten().copied().collect()
}

/// One packet, of whatever fields.
pub(crate) fn packet(xid: Xid, remaining: u32, opcode: u8, access: u8, payload: &[u8]) -> Vec<u8> {
    let header = netswap_core::wire::Header { xid, remaining, opcode, access };
    [&header.encode()[..], payload].concat()
}

pub(crate) fn replied(xid: Xid, reply: Reply<Bytes>) -> Event {
    Event::Replied { xid, reply }
}

pub(crate) fn changed(version: u64, data: impl Into<Bytes>) -> Notification<Bytes> {
    Notification::Changed { version: Version(version), data: Some(data.into()) }
}

pub(crate) fn range(version: u64, offset: u32, data: impl Into<Bytes>) -> Notification<Bytes> {
    Notification::RangeChanged { version: Version(version), offset, data: data.into() }
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(len: usize) -> Bytes {
    (0..len).map(|i| (i ^ (i >> 8)) as u8).collect::<Vec<u8>>().into()
}
