//! A server that does as the test says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use netswap_blocking::{Client, ConnectOptions};
use netswap_core::identity::IdentityKey;
use netswap_core::types::Xid;
use netswap_core::wire::{
    ABORT, HEADER_LEN, Header, Identity, MAX_PAYLOAD, Message, Notification, Opcode, Reply,
};
use socket2::SockRef;

use crate::support::{Answer, Raw, both};

pub(crate) struct Scripted {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Scripted {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        let delays = (Duration::from_millis(10), Duration::from_millis(50));
        ConnectOptions::new(self.address.to_string()).reconnect_delays(delays.0, delays.1)
    }

    pub(crate) fn accept(&self) -> Peer {
        Peer(Raw::over(self.listener.accept().unwrap().0))
    }

    /// A client and the server's side of its connection, after the greeting.
    pub(crate) fn connected(&self, options: ConnectOptions) -> (Client, Peer) {
        let peer = || {
            let mut peer = self.accept();
            peer.greet();
            peer
        };
        let (client, peer) = both(|| Client::connect(options), peer);
        (client.unwrap(), peer)
    }
}

/// The server's side of a connection.
pub(crate) struct Peer(pub(crate) Raw);

impl Peer {
    /// Answers the greeting.
    pub(crate) fn greet(&mut self) {
        self.greet_with(1);
    }

    pub(crate) fn greet_with(&mut self, protocol_version: u16) {
        let greeting = self.request();
        assert_eq!(greeting.code, Opcode::Identify as u8);
        let owner = IdentityKey([0; 16]).owner([127, 0, 0, 1].into());
        let identity = Identity::new(owner, 1 << 28, Duration::from_secs(300));
        self.reply(greeting.xid, Reply::Identity(Identity { protocol_version, ..identity }));
    }

    /// The next request or ABORT, whole; its opcode stands in the place of the code.
    pub(crate) fn request(&mut self) -> Answer {
        self.0.answer()
    }

    pub(crate) fn expect_abort(&mut self, xid: u32) {
        let abort = Answer { xid, code: ABORT, access: 0, payload: vec![] };
        assert_eq!(self.request(), abort);
    }

    pub(crate) fn reply(&mut self, xid: u32, reply: Reply<Vec<u8>>) {
        self.send(&encode(xid, reply));
    }

    pub(crate) fn notify(&mut self, xid: u32, notification: Notification<Vec<u8>>) {
        self.send(&encode_message(xid, notification.encode()));
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.0.write_all(bytes).unwrap();
    }

    pub(crate) fn abort(&mut self, xid: u32) {
        let header = Header { xid: Xid(xid), remaining: 0, opcode: ABORT, access: 0 };
        self.send(&header.encode());
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.0.0).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads whatever comes until the client has ended the stream; how many bytes that were.
    pub(crate) fn drain(&mut self) -> usize {
        let mut rest = Vec::new();
        self.0.0.read_to_end(&mut rest).unwrap()
    }
}

pub(crate) fn encode(xid: u32, reply: Reply<Vec<u8>>) -> Vec<u8> {
    encode_message(xid, reply.encode())
}

fn encode_message(xid: u32, message: Message<Vec<u8>>) -> Vec<u8> {
    let payload = [message.operands.as_slice(), &message.body].concat();
    let packets = payload.len().div_ceil(MAX_PAYLOAD).max(1);
    let mut bytes = Vec::with_capacity(payload.len() + packets * HEADER_LEN);
    for packet in 0..packets {
        let rest = &payload[packet * MAX_PAYLOAD..];
        let header = Header {
            xid: Xid(xid),
            remaining: rest.len() as u32,
            opcode: message.opcode,
            access: message.access,
        };
        bytes.extend(header.encode());
        bytes.extend(&rest[..rest.len().min(MAX_PAYLOAD)]);
    }
    bytes
}
