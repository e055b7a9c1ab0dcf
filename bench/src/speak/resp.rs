//! RESP, the protocol of Redis.

use std::net::TcpStream;

use anyhow::Result;

use super::in_order::InOrder;
use super::join::Join;
use super::script::{Piece, Script};
use super::{Change, Exchange, FanOut, Prepared, Replies, Speak, Work, converse, patched, stored, written};
use crate::pattern::Pattern;

/// What is subscribed to.
const CHANNEL: &[u8] = b"changes1";

/// RESP, the protocol of Redis.
pub(crate) struct Resp;

impl Speak for Resp {
    fn prepare(&self, stream: &mut TcpStream, work: Work, depth: usize, index: usize) -> Result<Prepared> {
        let key = key(index as u64);
        let (exchange, afterwards) = match work {
            Work::Read { len } => {
                let record = stored(index, len);
                set(stream, &key, record)?;
                (same(depth, command(&[b"GET", &key]), bulk(&[record])), None)
            }
            Work::Write { len } => {
                set(stream, &key, stored(index, len))?;
                let data = written(index, len);
                let write = command(&[b"SET", &key, &data.bytes()]);
                (same(depth, write, words("+OK\r\n")), Some(get(&key, &[data])))
            }
            Work::Patch { len, patch } => {
                set(stream, &key, stored(index, len))?;
                let pieces = patched(index, len, patch);
                let offset = pieces[0].len.to_string();
                let write = command(&[b"SETRANGE", &key, offset.as_bytes(), &pieces[1].bytes()]);
                (same(depth, write, words(&format!(":{len}\r\n"))), Some(get(&key, &pieces)))
            }
            Work::Beside { small, large } => {
                let keys = [key, self::key(index as u64 + 1)];
                let records = [stored(index, small), stored(index + 1, large)];
                for (key, record) in keys.iter().zip(records) {
                    set(stream, key, record)?;
                }
                let requests = keys.iter().map(|key| command(&[b"GET", key])).collect();
                let replies = records.iter().map(|record| bulk(&[*record])).collect();
                (Exchange { requests, replies: Replies::InOrder(InOrder::new(replies)) }, None)
            }
        };
        Ok(Prepared { exchange, afterwards })
    }

    fn fill(&self, stream: &mut TcpStream, first: u64, count: u64, len: usize) -> Result<()> {
        let record = |number: u64| stored(number as usize, len);
        let requests = (first..first + count).map(|i| command(&[b"SET", &key(i), &record(i).bytes()]));
        let requests: Vec<u8> = requests.flatten().collect();
        converse(stream, &requests, &b"+OK\r\n".repeat(count as usize))?;
        let last = first + count - 1;
        get(&key(last), &[record(last)]).once(stream)
    }

    fn fan_out(&self) -> Option<&dyn FanOut> {
        Some(self)
    }

    fn join(&self) -> Option<&dyn Join> {
        Some(self)
    }
}

impl FanOut for Resp {
    fn topic(&self, stream: &mut TcpStream, len: usize) -> Result<u64> {
        set(stream, CHANNEL, stored(0, len))?;
        Ok(0)
    }

    fn watch(&self, stream: &mut TcpStream, _topic: u64, _len: usize) -> Result<()> {
        let reply = [&b"*3\r\n$9\r\nsubscribe\r\n$8\r\n"[..], CHANNEL, b"\r\n:1\r\n"].concat();
        converse(stream, &command(&[b"SUBSCRIBE", CHANNEL]), &reply)
    }

    /// A change is a SET, and a PUBLISH of the same data: Redis does not put data into the events of keys.
    fn change(&self, _topic: u64, number: u64, len: usize, watchers: usize) -> Change {
        let data = stored(number as usize, len).bytes();
        let request = [command(&[b"SET", CHANNEL, &data]), command(&[b"PUBLISH", CHANNEL, &data])].concat();
        Change {
            request,
            reply: format!("+OK\r\n:{watchers}\r\n").into_bytes(),
            told: command(&[b"message", CHANNEL, &data]),
        }
    }
}

/// The key of a record: 8 bytes, as many as a pointer.
pub(super) fn key(number: u64) -> Vec<u8> {
    format!("{number:08x}").into_bytes()
}

/// An array of bulk strings.
pub(super) fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn words(text: &str) -> Script {
    Script::new(vec![Piece::Words(text.as_bytes().to_vec())])
}

/// A bulk string of these data.
fn bulk(data: &[Pattern]) -> Script {
    let len: usize = data.iter().map(|pattern| pattern.len).sum();
    let mut pieces = vec![Piece::Words(format!("${len}\r\n").into_bytes())];
    pieces.extend(data.iter().copied().map(Piece::Data));
    pieces.push(Piece::Words(b"\r\n".to_vec()));
    Script::new(pieces)
}

fn same(depth: usize, request: Vec<u8>, reply: Script) -> Exchange {
    let replies = InOrder::new(vec![reply; depth]);
    Exchange { requests: vec![request; depth], replies: Replies::InOrder(replies) }
}

fn get(key: &[u8], data: &[Pattern]) -> Exchange {
    same(1, command(&[b"GET", key]), bulk(data))
}

fn set(stream: &mut TcpStream, key: &[u8], data: Pattern) -> Result<()> {
    converse(stream, &command(&[b"SET", key, &data.bytes()]), b"+OK\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_replies_are_spelled_as_redis_does() {
        assert_eq!(command(&[b"GET", b"0000002a"]), b"*2\r\n$3\r\nGET\r\n$8\r\n0000002a\r\n");
        assert_eq!(bulk(&[Pattern { phase: 65, len: 3 }]).bytes(), b"$3\r\nABC\r\n");
        assert_eq!(key(42), b"0000002a");
    }
}
