//! Connections that send and read plain packets, from any loopback address, and end as they like.

use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Buf;
use netswap_core::types::{Pointer, Xid};
use netswap_core::wire::{HEADER_LEN, Header, Output, Request};
use socket2::{Domain, SockRef, Socket, Type};

use crate::scale::raise_descriptors;

/// Nothing that is expected takes longer.
pub const SOON: Duration = Duration::from_secs(20);

/// Requests that [`Raw::pipeline`] sends at once: fewer than a server queues replies.
const BATCH: usize = 500;

/// The n-th loopback address, each another owner. The first is 127.1.0.1.
#[must_use]
pub fn loopback(n: usize) -> IpAddr {
    let (high, middle, low) = (1 + n / (250 * 250), n / 250 % 250, n % 250 + 1);
    let octet = |n: usize| u8::try_from(n).expect("there are fewer loopback addresses");
    IpAddr::V4(Ipv4Addr::new(127, octet(high), octet(middle), octet(low)))
}

/// The packets of a request.
#[must_use]
pub fn packets(xid: u32, request: Request<Vec<u8>>) -> Vec<u8> {
    let mut output = Output::default();
    output.push(Xid(xid), request.encode());
    output.copy_to_bytes(output.remaining()).into()
}

/// A reply that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The transaction.
    pub xid: u32,
    /// The reply code.
    pub code: u8,
    /// The ACCESS byte.
    pub access: u8,
    /// All of its payload.
    pub payload: Vec<u8>,
}

impl Answer {
    /// The next reply of a stream. Assumes that no other reply is interleaved with it.
    ///
    /// # Errors
    ///
    /// What the system says, the end of the stream included.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut payload = Vec::new();
        loop {
            let mut header = [0; HEADER_LEN];
            from.read_exact(&mut header)?;
            let header = Header::decode(&header);
            let at = payload.len();
            payload.resize(at + header.payload_len(), 0);
            from.read_exact(&mut payload[at..])?;
            if header.is_last() {
                let Header { xid, opcode, access, .. } = header;
                return Ok(Self { xid: xid.0, code: opcode, access, payload });
            }
        }
    }

    /// The pointer in the answer to a CREATE_RECORD.
    ///
    /// # Panics
    ///
    /// It is another answer.
    #[must_use]
    pub fn pointer(&self) -> Pointer {
        assert_eq!((self.code, self.payload.len()), (0, 8), "{self:?}");
        Pointer(u64::from_be_bytes(self.payload[..].try_into().unwrap()))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects from an address.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn connect(from: IpAddr, server: SocketAddr) -> io::Result<Self> {
        Self::with_buffer(from, server, None)
    }

    /// Connects from an address, with a small buffer for what it receives: of what the kernel holds, little is here.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn with_buffer(from: IpAddr, server: SocketAddr, receive: Option<usize>) -> io::Result<Self> {
        raise_descriptors();
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        if let Some(receive) = receive {
            socket.set_recv_buffer_size(receive)?;
        }
        socket.bind(&SocketAddr::new(from, 0).into())?;
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(SOON))?;
        socket.set_write_timeout(Some(SOON))?;
        Ok(Self(socket.into()))
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn send(&mut self, xid: u32, request: Request<Vec<u8>>) -> io::Result<()> {
        self.0.write_all(&packets(xid, request))
    }

    /// The next reply. Assumes that no other reply is interleaved with it.
    ///
    /// # Errors
    ///
    /// What the system says, the end of the stream included.
    pub fn answer(&mut self) -> io::Result<Answer> {
        Answer::read(&mut self.0)
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    pub fn ask(&mut self, request: Request<Vec<u8>>) -> io::Result<Answer> {
        self.ask_as(1, request)
    }

    /// Sends a request under an XID and reads its reply.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    pub fn ask_as(&mut self, xid: u32, request: Request<Vec<u8>>) -> io::Result<Answer> {
        self.send(xid, request)?;
        self.answer()
    }

    /// Sends many requests, a batch at a time, and reads their replies. `each` gets each of them, in the order of the
    /// requests: they must be of operations that the server answers in order, with one packet.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    pub fn pipeline(
        &mut self,
        requests: impl IntoIterator<Item = Request<Vec<u8>>>,
        mut each: impl FnMut(Answer),
    ) -> io::Result<()> {
        let mut requests = requests.into_iter();
        let mut stream = self.0.try_clone()?;
        let mut replies = BufReader::with_capacity(64 << 10, self.0.try_clone()?);
        loop {
            let batch: Vec<_> = requests.by_ref().take(BATCH).zip(1..).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let count = batch.len();
            let bytes: Vec<u8> = batch.into_iter().flat_map(|(request, xid)| packets(xid, request)).collect();
            stream.write_all(&bytes)?;
            for _ in 0..count {
                each(Answer::read(&mut replies)?);
            }
        }
    }

    /// Whether the server ends the stream in order, with nothing more to say.
    #[must_use]
    pub fn ends(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }

    /// Ends what it sends, and goes on reading.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn half_close(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Resets the connection.
    pub fn reset(self) {
        reset(&self.0);
    }
}

/// Has a connection be reset when it is closed.
pub fn reset(stream: &TcpStream) {
    // It fails only where there is no socket any more.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
