//! A client that speaks plain packets, for what a real client would never do.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod streams;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Buf;
use netswap_core::config::Limits;
use netswap_core::types::Xid;
use netswap_core::wire::{HEADER_LEN, Header, Output, Request};
use netswap_smol::{Server, ServerHandle, ServerOptions};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::{Async, Task, Timer, future};

/// Whatever is expected comes within this time, or the test fails.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Runs a test.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    smol::block_on(test)
}

/// The time was over first.
#[derive(Debug)]
pub(crate) struct Elapsed;

pub(crate) async fn timeout<T>(time: Duration, act: impl Future<Output = T>) -> Result<T, Elapsed> {
    let over = async {
        sleep(time).await;
        Err(Elapsed)
    };
    future::or(async { Ok(act.await) }, over).await
}

pub(crate) async fn sleep(time: Duration) {
    Timer::after(time).await;
}

/// A server on a port of its own, and the task that runs it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    pub(crate) task: Task<()>,
}

pub(crate) async fn start(options: ServerOptions) -> Running {
    start_on(options, "127.0.0.1:0").await
}

pub(crate) async fn start_on(options: ServerOptions, address: &str) -> Running {
    let server = Server::bind(options.listen(address)).await.unwrap();
    let (address, handle) = (server.local_address(), server.handle());
    Running { address, handle, task: smol::spawn(server.run()) }
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
    pub(crate) async fn connect(server: SocketAddr) -> Self {
        Self(TcpStream::connect(server).await.unwrap())
    }

    pub(crate) async fn connect_from(address: &str, server: SocketAddr) -> Self {
        let bind: IpAddr = address.parse().unwrap();
        let stream = netswap_adapter::socket::start_connecting(server, Some(bind)).unwrap();
        let stream = Async::new_nonblocking(stream).unwrap();
        stream.writable().await.unwrap();
        assert!(stream.get_ref().take_error().unwrap().is_none());
        Self(stream.into())
    }

    pub(crate) async fn send(&mut self, xid: u32, request: Request<Vec<u8>>) {
        self.0.write_all(&packets(xid, request)).await.unwrap();
    }

    /// The next reply. Assumes that no other reply is interleaved with it.
    pub(crate) async fn answer(&mut self) -> Answer {
        timeout(SOON, self.answer_patiently()).await.expect("an answer")
    }

    async fn answer_patiently(&mut self) -> Answer {
        let mut payload = Vec::new();
        loop {
            let header = self.header().await.expect("a reply");
            let at = payload.len();
            payload.resize(at + header.payload_len(), 0);
            self.0.read_exact(&mut payload[at..]).await.unwrap();
            if header.is_last() {
                let Header { xid, opcode, access, .. } = header;
                return Answer { xid: xid.0, code: opcode, access, payload };
            }
        }
    }

    async fn header(&mut self) -> Option<Header> {
        let mut header = [0; HEADER_LEN];
        self.0.read_exact(&mut header).await.ok().map(|_| Header::decode(&header))
    }

    pub(crate) async fn ask(&mut self, request: Request<Vec<u8>>) -> Answer {
        self.send(1, request).await;
        self.answer().await
    }

    /// Whether the server ends the stream, without a reset and with nothing more to say.
    pub(crate) async fn ends(&mut self) -> bool {
        let mut byte = [0];
        matches!(timeout(SOON, self.0.read(&mut byte)).await, Ok(Ok(0)))
    }
}

/// Waits until something holds, and fails when it does not soon.
pub(crate) async fn soon(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < end, "{what} does not come about");
        sleep(Duration::from_millis(5)).await;
    }
}
