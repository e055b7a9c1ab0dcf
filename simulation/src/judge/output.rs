//! What a server sends, packet by packet, against what is expected (docs/PROTOCOL.md §2.2, §2.4, §4).

use netswap_core::types::Xid;
use netswap_core::wire::{ABORT, Code, HEADER_LEN, Header, MAX_PAYLOAD};

use super::{ConnectionNumber, Expected, Judge, Message};
use crate::failure::{Failure, Invariant};

impl Judge {
    /// Bytes have come from the server.
    pub fn taken(&mut self, number: ConnectionNumber, bytes: &[u8]) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        connection.output.extend_from_slice(bytes);
        let mut good = 0;
        loop {
            let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
            let Some(header) = connection.output.first_chunk::<HEADER_LEN>().map(Header::decode) else {
                break;
            };
            let end = HEADER_LEN + header.payload_len();
            if connection.output.len() < end {
                break;
            }
            let packet: Vec<u8> = connection.output.drain(..end).collect();
            let sent = self.sent_packet(number, header, &packet[HEADER_LEN..]);
            sent.map_err(|failure| Failure { good, ..failure })?;
            good += end;
        }
        Ok(())
    }

    fn sent_packet(
        &mut self,
        number: ConnectionNumber,
        header: Header,
        payload: &[u8],
    ) -> Result<(), Failure> {
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        let xid = header.xid.0;
        self.reached.insert((header.opcode, header.access));
        if connection.said_last_word {
            let what = format!("something follows the last word: {header:?}");
            return Err(Failure::of(Invariant::Violations, number, what));
        }
        if header.opcode == Code::MalformedPacket as u8 {
            return self.said_last_word(number, &header);
        }
        if header.opcode == ABORT {
            return self.aborted(number, &header);
        }
        let arriving = connection.arriving.get(&xid).map(|(before, _)| before.continuation());
        if arriving.is_some_and(|expected| expected != Some(header)) {
            let what = format!("{header:?} does not continue its message");
            return Err(Failure::of(Invariant::Packets, number, what));
        }
        let (last, gathered) = connection.arriving.entry(xid).or_insert((header, Vec::new()));
        *last = header;
        gathered.extend_from_slice(payload);
        if !header.is_last() {
            return Ok(());
        }
        let message = connection.arriving.remove(&xid).map_or_else(Vec::new, |(_, gathered)| gathered);
        self.message(number, header, message)
    }

    /// A message has come whole.
    fn message(&mut self, number: ConnectionNumber, header: Header, payload: Vec<u8>) -> Result<(), Failure> {
        let xid = header.xid.0;
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        if connection.misused.contains(&xid) {
            return Ok(());
        }
        let (code, access) = (header.opcode, header.access);
        let front = connection.expected.get(&xid).and_then(|it| it.front()).cloned();
        let ended = match front {
            Some(Expected::Reply(expected)) if expected.fits(&header, &payload) => true,
            Some(Expected::Reply(expected)) => {
                let what = format!(
                    "request {xid} is answered with code {code}, access {access} and {}, but expected are code {}, \
                     access {} and {}",
                    short(&payload),
                    expected.code,
                    expected.access,
                    short(&[&expected.payload[..], &expected.body].concat()),
                );
                return Err(Failure::expecting(Invariant::OneOrder, number, what, xid, &expected));
            }
            Some(Expected::Watch(id)) if code == Code::Notify as u8 => self.notified(id, access, payload)?,
            other => {
                let other = other.map_or("nothing", |it| it.name());
                let what = format!(
                    "code {code}, access {access} with {} comes for {xid}, but expected is {other}",
                    short(&payload)
                );
                return Err(Failure::of(Invariant::OneTerminal, number, what));
            }
        };
        if ended
            && let Some(connection) = self.connections.get_mut(&number)
            && let Some(expected) = connection.expected.get_mut(&xid)
        {
            expected.pop_front();
            // Its terminal was on its way already.
            while matches!(expected.front(), Some(Expected::Abort { certain: false })) {
                expected.pop_front();
            }
            if expected.is_empty() {
                connection.expected.remove(&xid);
            }
        }
        Ok(())
    }

    fn aborted(&mut self, number: ConnectionNumber, header: &Header) -> Result<(), Failure> {
        let xid = header.xid.0;
        if header.remaining > 0 || header.access > 0 {
            return Err(Failure::of(Invariant::Packets, number, format!("{header:?} is no ABORT")));
        }
        let awaited = |judge: &Self| {
            let expected = judge.connections.get(&number).and_then(|it| it.expected.get(&xid));
            expected.and_then(|it| it.iter().position(|it| matches!(it, Expected::Abort { .. })))
        };
        let mut at = awaited(self);
        if at.is_none() {
            self.guess(number)?;
            at = awaited(self);
        }
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        if connection.misused.contains(&xid) {
            connection.arriving.remove(&xid);
            return Ok(());
        }
        let Some(at) = at else {
            let expected =
                connection.expected.get(&xid).and_then(|it| it.front()).map_or("nothing", Expected::name);
            let what = format!("ABORT comes for {xid}, which was not abandoned; expected is {expected}");
            return Err(Failure::of(Invariant::OneTerminal, number, what));
        };
        connection.arriving.remove(&xid);
        if let Some(expected) = connection.expected.get_mut(&xid) {
            expected.drain(..=at);
            while matches!(expected.front(), Some(Expected::Abort { certain: false })) {
                expected.pop_front();
            }
            if expected.is_empty() {
                connection.expected.remove(&xid);
            }
        }
        Ok(())
    }

    fn said_last_word(&mut self, number: ConnectionNumber, header: &Header) -> Result<(), Failure> {
        let is_said = |judge: &Self| judge.connections.get(&number).is_some_and(|it| it.last_word_is(header));
        if !is_said(self) {
            self.guess(number)?;
        }
        let said = is_said(self);
        let Some(connection) = self.connections.get_mut(&number) else { return Ok(()) };
        if !said {
            let expected = connection.last_word.as_ref().map(|(xid, it)| (*xid, it.access));
            let what = format!("{header:?} is the last word, but expected is {expected:?}");
            return Err(Failure::of(Invariant::Violations, number, what));
        }
        connection.said_last_word = true;
        for (xid, expected) in &connection.expected {
            for expected in expected {
                if let Expected::Reply(message) = expected {
                    let what = format!(
                        "request {xid} is not answered with code {} before the connection ends",
                        message.code
                    );
                    return Err(Failure::expecting(Invariant::OneTerminal, number, what, *xid, message));
                }
            }
        }
        Ok(())
    }
}

impl Expected {
    fn name(&self) -> &'static str {
        match self {
            Self::Reply(_) => "a reply",
            Self::Watch(_) => "a notification",
            Self::Waiting => "nothing before the record has data",
            Self::Abort { .. } => "an ABORT",
        }
    }
}

fn short(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 32 { format!("{} bytes {hex}..", bytes.len()) } else { format!("[{hex}]") }
}

impl Failure {
    /// On a connection where another message should have come.
    pub(super) fn expecting(
        invariant: Invariant,
        number: ConnectionNumber,
        what: String,
        xid: u32,
        message: &Message,
    ) -> Self {
        let payload = [&message.payload[..], &message.body].concat();
        let mut bytes = Vec::new();
        let mut remaining = payload.len();
        loop {
            let (opcode, access) = (message.code, message.access);
            let header = Header { xid: Xid(xid), remaining: remaining as u32, opcode, access };
            bytes.extend(header.encode());
            let from = payload.len() - remaining;
            bytes.extend(&payload[from..from + header.payload_len()]);
            remaining -= header.payload_len();
            if header.is_last() {
                break;
            }
        }
        debug_assert!(bytes.len() <= payload.len() + (payload.len() / MAX_PAYLOAD + 1) * HEADER_LEN);
        Self { expected: Some(bytes), ..Self::of(invariant, number, what) }
    }
}
