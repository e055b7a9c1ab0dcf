//! The meta protocol of memcached.

use std::net::TcpStream;

use anyhow::Result;

use super::in_order::InOrder;
use super::script::{Piece, Script};
use super::{Exchange, FanOut, Prepared, Replies, Speak, Work, converse, patched, stored, written};
use crate::pattern::Pattern;

/// The meta protocol of memcached.
pub(crate) struct Memcached;

impl Speak for Memcached {
    fn prepare(&self, stream: &mut TcpStream, work: Work, depth: usize, index: usize) -> Result<Prepared> {
        let key = key(index as u64);
        let (exchange, afterwards) = match work {
            Work::Read { len } => {
                let record = stored(index, len);
                set(stream, &key, record)?;
                (same(depth, meta_get(&key), value(&[record])), None)
            }
            Work::Write { len } => {
                set(stream, &key, stored(index, len))?;
                let data = written(index, len);
                (same(depth, meta_set(&key, &data.bytes()), done()), Some(get(&key, &[data])))
            }
            // There is no write of a part.
            Work::Patch { len, patch } => {
                set(stream, &key, stored(index, len))?;
                let pieces = patched(index, len, patch);
                let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes()).collect();
                (same(depth, meta_set(&key, &whole), done()), Some(get(&key, &pieces)))
            }
            Work::Beside { small, large } => {
                let keys = [key, self::key(index as u64 + 1)];
                let records = [stored(index, small), stored(index + 1, large)];
                for (key, record) in keys.iter().zip(records) {
                    set(stream, key, record)?;
                }
                let requests = keys.iter().map(|key| meta_get(key)).collect();
                let replies = records.iter().map(|record| value(&[*record])).collect();
                (Exchange { requests, replies: Replies::InOrder(InOrder::new(replies)) }, None)
            }
        };
        Ok(Prepared { exchange, afterwards })
    }

    fn fill(&self, stream: &mut TcpStream, first: u64, count: u64, len: usize) -> Result<()> {
        let record = |number: u64| stored(number as usize, len);
        let requests = (first..first + count).map(|i| meta_set(&key(i), &record(i).bytes()));
        let requests: Vec<u8> = requests.flatten().collect();
        converse(stream, &requests, &b"HD\r\n".repeat(count as usize))?;
        let last = first + count - 1;
        get(&key(last), &[record(last)]).once(stream)
    }

    fn fan_out(&self) -> Option<&dyn FanOut> {
        None
    }
}

/// The key of a record: 8 bytes, as many as a pointer.
fn key(number: u64) -> String {
    format!("{number:08x}")
}

fn meta_get(key: &str) -> Vec<u8> {
    format!("mg {key} v\r\n").into_bytes()
}

fn meta_set(key: &str, data: &[u8]) -> Vec<u8> {
    [format!("ms {key} {}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

fn done() -> Script {
    Script::new(vec![Piece::Words(b"HD\r\n".to_vec())])
}

/// A value of these data.
fn value(data: &[Pattern]) -> Script {
    let len: usize = data.iter().map(|pattern| pattern.len).sum();
    let mut pieces = vec![Piece::Words(format!("VA {len}\r\n").into_bytes())];
    pieces.extend(data.iter().copied().map(Piece::Data));
    pieces.push(Piece::Words(b"\r\n".to_vec()));
    Script::new(pieces)
}

fn same(depth: usize, request: Vec<u8>, reply: Script) -> Exchange {
    let replies = InOrder::new(vec![reply; depth]);
    Exchange { requests: vec![request; depth], replies: Replies::InOrder(replies) }
}

fn get(key: &str, data: &[Pattern]) -> Exchange {
    same(1, meta_get(key), value(data))
}

fn set(stream: &mut TcpStream, key: &str, data: Pattern) -> Result<()> {
    converse(stream, &meta_set(key, &data.bytes()), b"HD\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_replies_are_spelled_as_memcached_does() {
        assert_eq!(meta_get(&key(42)), b"mg 0000002a v\r\n");
        assert_eq!(meta_set(&key(42), b"abc"), b"ms 0000002a 3\r\nabc\r\n");
        assert_eq!(value(&[Pattern { phase: 65, len: 3 }]).bytes(), b"VA 3\r\nABC\r\n");
    }
}
