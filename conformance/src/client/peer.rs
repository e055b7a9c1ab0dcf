//! The server's side of a connection, as the script has it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use netswap_core::types::Xid;
use netswap_core::wire::{ABORT, HEADER_LEN, Header, MAX_PAYLOAD, Opcode, PacketReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::case::Message;
use super::differences::differs;
use crate::pattern::{Names, Pattern, difference};
use crate::text::Scale;

/// Nothing has come when nothing has come for so long.
pub(super) const A_WHILE: Duration = Duration::from_millis(100);

/// The payload of the answer to a greeting: the owner hash of docs/PROTOCOL.md §6.1 for 127.0.0.1, version 1, 1390 bytes
/// a packet, records of 256 MiB, 300 s grace.
const IDENTITY: [u8; 20] =
    [0x03, 0x62, 0x78, 0x79, 0x6a, 0xc4, 0xcc, 0x40, 0, 1, 0x05, 0x6e, 0x10, 0, 0, 0, 0, 0, 0x01, 0x2c];

/// The server's side of a connection.
pub(super) struct Peer {
    stream: TcpStream,
    buffer: BytesMut,
    ended: bool,
    /// Whether the client's first packet may be a greeting that is answered without the script.
    greets: bool,
    /// Cuts what was received into packets.
    reader: PacketReader,
    /// The messages that are unfinished: the header that has to come next.
    unfinished: HashMap<Xid, Header>,
    /// The names that transactions of this connection have.
    xids: BTreeMap<String, Vec<u8>>,
    scale: Scale,
    patience: Duration,
}

impl Peer {
    pub(super) fn new(stream: TcpStream, greets: bool, scale: Scale, patience: Duration) -> Self {
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            buffer: BytesMut::new(),
            ended: false,
            greets,
            reader: PacketReader::default(),
            unfinished: HashMap::new(),
            xids: BTreeMap::new(),
            scale,
            patience,
        }
    }

    /// Whether a greeting may still come.
    pub(super) fn greets(&self) -> bool {
        self.greets && !self.ended
    }

    /// No greeting comes any more: what does is for the script.
    pub(super) fn is_greeted(&mut self) {
        self.greets = false;
    }

    /// Waits for the client's first packet, and answers it if it is a greeting. May be dropped and called again.
    pub(super) async fn greet(&mut self) -> Result<(), String> {
        while self.greets {
            let Some(header) = self.buffer.first_chunk::<HEADER_LEN>() else {
                self.more().await?;
                if self.ended {
                    return Ok(());
                }
                continue;
            };
            let header = Header::decode(header);
            self.greets = false;
            if (header.opcode, header.remaining, header.access) == (Opcode::Identify as u8, 0, 0) {
                self.take(HEADER_LEN);
                let answer = Header { remaining: IDENTITY.len() as u32, opcode: 0, ..header };
                self.write(&[&answer.encode()[..], &IDENTITY].concat()).await?;
            }
        }
        Ok(())
    }

    /// Receives exactly these bytes.
    pub(super) async fn receive(&mut self, pattern: &Pattern, names: &mut Names) -> Result<(), String> {
        let expected = pattern.bytes(names, self.scale);
        self.greet_first(expected.len()).await?;
        loop {
            let seen = &self.buffer[..self.buffer.len().min(expected.len())];
            match difference(&expected[..seen.len()], seen) {
                None if seen.len() == expected.len() => break,
                None if self.read_more().await? => {}
                _ => {
                    let known = pattern.bytes(names, self.scale);
                    let received = &self.buffer[..self.buffer.len().min(known.len())];
                    return Err(differs(&known, received, Some(pattern), self.ended));
                }
            }
        }
        self.name(pattern, names, expected.len())
    }

    /// Receives these packets, in any order but for those of one transaction.
    pub(super) async fn receive_any_order(
        &mut self,
        packets: &[Pattern],
        names: &mut Names,
    ) -> Result<(), String> {
        let mut left: Vec<&Pattern> = packets.iter().collect();
        while !left.is_empty() {
            self.greet_first(HEADER_LEN).await?;
            let len = self.packet().await?;
            // Of one transaction the packets come in their order, so that the first that fits is the one.
            let fits = |pattern: &&Pattern| {
                difference(&pattern.bytes(names, self.scale), &self.buffer[..len]).is_none()
            };
            let Some(index) = left.iter().position(fits) else {
                let mut told = String::from("the packet that came is none of those that are left:\n");
                for pattern in left {
                    told += &differs(
                        &pattern.bytes(names, self.scale),
                        &self.buffer[..len],
                        Some(pattern),
                        false,
                    );
                }
                return Err(told);
            };
            let pattern = left.remove(index);
            self.name(pattern, names, len)?;
        }
        Ok(())
    }

    /// Receives a whole message, in as many packets as it takes.
    pub(super) async fn receive_message(
        &mut self,
        message: &Message,
        names: &mut Names,
    ) -> Result<(), String> {
        let payload = message.payload.bytes(names, self.scale);
        let total = payload.len();
        let mut at = 0;
        loop {
            let part = &payload[at..(at + MAX_PAYLOAD).min(total)];
            let mut expected = message.head.bytes(names, self.scale);
            let remaining = u32::try_from(total - at).map_err(|_| "the message is too long".to_owned())?;
            expected.splice(4..4, remaining.to_be_bytes().map(Some));
            expected.extend(part);
            self.greet_first(expected.len()).await?;
            loop {
                let seen = &self.buffer[..self.buffer.len().min(expected.len())];
                match difference(&expected[..seen.len()], seen) {
                    None if seen.len() == expected.len() => break,
                    None if self.read_more().await? => {}
                    _ => {
                        let received = &self.buffer[..self.buffer.len().min(expected.len())];
                        return Err(differs(&expected, received, None, self.ended));
                    }
                }
            }
            if at == 0 {
                let xid = self.buffer[..4].to_vec();
                let head = [&xid[..], &[0; 2]].concat();
                message.head.bind(&head, names);
                self.remember(&message.head, names)?;
            }
            self.take(expected.len());
            at += part.len();
            if at == total {
                return Ok(());
            }
        }
    }

    /// Receives continuations of an unfinished message, whose payload is one byte over and over: until another packet
    /// comes, or up to its last.
    pub(super) async fn receive_rest(
        &mut self,
        xid: &[u8],
        byte: u8,
        to_the_end: bool,
    ) -> Result<(), String> {
        let xid =
            Xid(u32::from_be_bytes(xid.try_into().map_err(|_| "the name is none of an XID".to_owned())?));
        let mut next = *self.unfinished.get(&xid).ok_or("the message is not unfinished")?;
        loop {
            let len = self.packet().await?;
            let packet = &self.buffer[..len];
            let header = packet.first_chunk().map(Header::decode).ok_or("a packet without a header")?;
            // An ABORT is never a continuation.
            if header.xid != xid || header.opcode == ABORT {
                let what = "another packet came before the message's last";
                return if to_the_end { Err(what.into()) } else { Ok(()) };
            }
            if header != next {
                return Err(format!("the message goes on with {header:?}, which should be {next:?}"));
            }
            if packet[HEADER_LEN..].iter().any(|it| *it != byte) {
                return Err(format!("the payload is not {byte:02x} throughout"));
            }
            self.take(len);
            match next.continuation() {
                Some(continuation) => next = continuation,
                None if to_the_end => return Ok(()),
                None => return Err("the message ended before any other packet came".into()),
            }
        }
    }

    /// Sends bytes.
    pub(super) async fn send(&mut self, pattern: &Pattern, names: &Names) -> Result<(), String> {
        let bytes = pattern.to_send(names, self.scale).map_err(|_| "a name has not been bound".to_owned())?;
        self.write(&bytes).await
    }

    /// Sends a whole message, in as many packets as it takes.
    pub(super) async fn send_message(&mut self, message: &Message, names: &Names) -> Result<(), String> {
        let bytes = |pattern: &Pattern| pattern.to_send(names, self.scale);
        let (Ok(head), Ok(payload)) = (bytes(&message.head), bytes(&message.payload)) else {
            return Err("a name has not been bound".into());
        };
        let mut out = Vec::with_capacity(payload.len() + payload.len() / 100 + HEADER_LEN);
        let mut rest = &payload[..];
        loop {
            out.extend(&head[..4]);
            out.extend((rest.len() as u32).to_be_bytes());
            out.extend(&head[4..]);
            let part;
            (part, rest) = rest.split_at(rest.len().min(MAX_PAYLOAD));
            out.extend(part);
            if rest.is_empty() {
                return self.write(&out).await;
            }
        }
    }

    /// Nothing has arrived, nor does for a while.
    pub(super) async fn is_silent(&mut self) -> Result<(), String> {
        if self.buffer.is_empty() {
            let _ = timeout(A_WHILE, self.more()).await;
        }
        self.has_nothing()
    }

    /// Nothing has arrived that was not received.
    pub(super) fn has_nothing(&mut self) -> Result<(), String> {
        let _ = self.stream.try_read_buf(&mut self.buffer);
        if self.buffer.is_empty() { Ok(()) } else { Err(differs(&[], &self.buffer, None, self.ended)) }
    }

    /// The client has ended the connection; before that it has sent nothing more, unless `whatever` it has sent is
    /// welcome.
    pub(super) async fn is_closed(&mut self, whatever: bool) -> Result<(), String> {
        let mut reads = true;
        while reads && !self.ended {
            reads = self.read_more().await?;
            if whatever {
                self.buffer.clear();
            }
        }
        if whatever {
            // What had arrived when the connection had already ended.
            self.buffer.clear();
        }
        match (self.ended, self.buffer.is_empty()) {
            (true, true) => Ok(()),
            (false, true) => {
                Err(format!("the client has not ended the connection within {:?}", self.patience))
            }
            (ended, false) => Err(differs(&[], &self.buffer, None, ended)),
        }
    }

    /// Sends no more.
    pub(super) async fn half_close(&mut self) -> Result<(), String> {
        self.stream.shutdown().await.map_err(|error| format!("the connection cannot be ended: {error}"))
    }

    /// Ends the connection, and throws away what still arrives.
    pub(super) async fn close(mut self) {
        let _ = self.stream.shutdown().await;
        tokio::spawn(async move {
            let mut sink = [0; 4096];
            while let Ok(Ok(1..)) = timeout(self.patience, self.stream.read(&mut sink)).await {}
        });
    }

    /// Cuts the connection.
    pub(super) fn reset(self) {
        let _ = self.stream.set_zero_linger();
    }

    async fn greet_first(&mut self, len: usize) -> Result<(), String> {
        if self.greets && len > 0 {
            let greeting = timeout(self.patience, self.greet()).await;
            greeting.map_err(|_| format!("nothing has come within {:?}", self.patience))??;
        }
        Ok(())
    }

    /// Has a whole packet at the front of the buffer; its length.
    async fn packet(&mut self) -> Result<usize, String> {
        loop {
            let header = self.buffer.first_chunk::<HEADER_LEN>().map(Header::decode);
            let len = header.map_or(HEADER_LEN, |header| HEADER_LEN + header.payload_len());
            if header.is_some() && self.buffer.len() >= len {
                return Ok(len);
            }
            if !self.read_more().await? {
                return Err(differs(&vec![None; len], &self.buffer, None, self.ended));
            }
        }
    }

    /// Reads what comes next within the time for it. Whether anything came.
    async fn read_more(&mut self) -> Result<bool, String> {
        let before = self.buffer.len();
        match timeout(self.patience, self.more()).await {
            Ok(read) => read.map(|()| self.buffer.len() > before),
            Err(_) => Ok(false),
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        if self.ended {
            return Ok(());
        }
        self.buffer.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(count) => self.ended = count == 0,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
            Err(error) => return Err(format!("the connection cannot be read: {error}")),
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match timeout(self.patience, self.stream.write(rest)).await {
                Ok(Ok(count)) => rest = &rest[count..],
                Ok(Err(error)) => return Err(format!("the client takes no more: {error}")),
                Err(_) => return Err(format!("the client reads nothing for {:?}", self.patience)),
            }
        }
        Ok(())
    }

    /// Gives names to what was received, and takes it.
    fn name(&mut self, pattern: &Pattern, names: &mut Names, len: usize) -> Result<(), String> {
        pattern.bind(&self.buffer[..len], names);
        self.remember(pattern, names)?;
        self.take(len);
        Ok(())
    }

    /// A client uses no XID twice within a case: it counts them up (docs/PROTOCOL.md §2.4).
    fn remember(&mut self, pattern: &Pattern, names: &Names) -> Result<(), String> {
        for name in pattern.binds().filter(|name| names.get(*name).is_some_and(|xid| xid.len() == 4)) {
            let xid = &names[name];
            if let Some((other, _)) =
                self.xids.iter().find(|(other, before)| *other != name && *before == xid)
            {
                return Err(format!(
                    "${name} is {}, the XID of ${other}",
                    data_encoding::HEXLOWER.encode(xid)
                ));
            }
            self.xids.insert(name.into(), xid.clone());
        }
        Ok(())
    }

    /// Takes what was found right from the buffer.
    fn take(&mut self, len: usize) {
        let mut bytes = &self.buffer[..len];
        while let Some(fragment) = self.reader.next(&mut bytes) {
            let header = fragment.header;
            if !fragment.opens {
                continue;
            }
            match header.continuation().filter(|_| header.opcode != ABORT) {
                Some(next) => self.unfinished.insert(header.xid, next),
                None => self.unfinished.remove(&header.xid),
            };
        }
        self.buffer.advance(len);
    }
}
