//! A client that speaks plain packets, for what a real client would never do.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Buf;
use netswap_blocking::{Server, ServerHandle, ServerOptions};
use netswap_core::config::Limits;
use netswap_core::types::Xid;
use netswap_core::wire::{HEADER_LEN, Header, Output, Request};
use socket2::{Domain, Socket, Type};

/// Whatever is expected comes within this time, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A server on a port of its own, and the thread that runs it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) thread: JoinHandle<()>,
}

pub(crate) fn start(options: ServerOptions) -> Running {
    start_on(options, "127.0.0.1:0")
}

pub(crate) fn start_on(options: ServerOptions, address: &str) -> Running {
    let server = Server::bind(options.listen(address)).unwrap();
    let (address, handle) = (server.local_address(), server.handle());
    Running { address, handle, thread: thread::spawn(|| server.run()) }
}

pub(crate) fn options() -> ServerOptions {
    ServerOptions::default().limits(Limits::new(256 << 20))
}

/// The packets of a request.
pub(crate) fn packets(xid: u32, request: Request<Vec<u8>>) -> Vec<u8> {
    let mut output = Output::default();
    output.push(Xid(xid), request.encode());
    output.copy_to_bytes(output.remaining()).into()
}

/// A connection that sends and reads packets.
pub(crate) struct Raw(pub(crate) TcpStream);

/// A reply that has arrived whole.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) xid: u32,
    pub(crate) code: u8,
    pub(crate) access: u8,
    pub(crate) payload: Vec<u8>,
}

impl Raw {
    pub(crate) fn connect(server: SocketAddr) -> Self {
        Self::over(TcpStream::connect(server).unwrap())
    }

    pub(crate) fn connect_from(address: &str, server: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
        socket.connect(&server.into()).unwrap();
        Self::over(socket.into())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, xid: u32, request: Request<Vec<u8>>) {
        self.0.write_all(&packets(xid, request)).unwrap();
    }

    /// The next reply, of which no other may be interleaved.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut payload = Vec::new();
        loop {
            let header = self.header().expect("a reply");
            let at = payload.len();
            payload.resize(at + header.payload_len(), 0);
            self.0.read_exact(&mut payload[at..]).unwrap();
            if header.is_last() {
                let Header { xid, opcode, access, .. } = header;
                return Answer { xid: xid.0, code: opcode, access, payload };
            }
        }
    }

    fn header(&mut self) -> Option<Header> {
        let mut header = [0; HEADER_LEN];
        self.0.read_exact(&mut header).ok().map(|_| Header::decode(&header))
    }

    pub(crate) fn ask(&mut self, request: Request<Vec<u8>>) -> Answer {
        self.send(1, request);
        self.answer()
    }

    /// Whether the server ends the stream, without a reset and with nothing more to say.
    pub(crate) fn ends(&mut self) -> bool {
        let mut byte = [0];
        matches!(self.0.read(&mut byte), Ok(0))
    }
}

/// Waits until something holds, and fails when it does not soon.
pub(crate) fn soon(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come about");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a thread gives, which ends soon.
pub(crate) fn joined<T>(thread: JoinHandle<T>) -> T {
    soon("the end of a thread", || thread.is_finished());
    thread.join().unwrap()
}

/// Does two things at the same time.
pub(crate) fn both<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    thread::scope(|scope| {
        let (one, other) = (scope.spawn(one), scope.spawn(other));
        (one.join().unwrap(), other.join().unwrap())
    })
}

/// Does three things at the same time.
pub(crate) fn three<A: Send, B: Send, C: Send>(
    one: impl FnOnce() -> A + Send,
    two: impl FnOnce() -> B + Send,
    three: impl FnOnce() -> C + Send,
) -> (A, B, C) {
    let (one, (two, three)) = both(one, || both(two, three));
    (one, two, three)
}
