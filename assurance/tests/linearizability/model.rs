//! What a server does that carries out one operation after the other, for one record.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// What others may do.
const READ: u8 = 1;
const WRITE: u8 = 2;
const TAKEOVER: u8 = 4;

/// What a client asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Create(Bytes),
    Resolve,
    ResolveIfChanged(u64),
    ReadRange(u32, u32),
    Stat,
    Replace(Bytes),
    CompareAndReplace(u64, Bytes),
    WriteRange(u32, Bytes),
    Append(Bytes),
    FetchAdd(u32, i64),
    Takeover,
    SetPermissions(u8),
    Delete,
}

/// What it is told.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Data(Bytes),
    Changed(u64, Bytes),
    NotModified,
    Range(u64, u32, Bytes),
    /// Length, version, owner, access bits.
    Stat(u32, u64, usize, u8),
    Written(u64),
    Appended(u64, u32),
    Added(u64, i64),
    Mismatch(u64),
    NotAllowed,
    NotThere,
    /// Whether it was done is unknown.
    Lost,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Unborn,
    Alive { data: Arc<[u8]>, version: u64, owner: usize, access: u8 },
    Gone,
}

impl Ask {
    fn right(&self) -> u8 {
        match self {
            Self::Resolve | Self::ResolveIfChanged(_) | Self::ReadRange(..) | Self::Stat => READ,
            Self::Replace(_) | Self::CompareAndReplace(..) | Self::WriteRange(..) | Self::Append(_) => WRITE,
            Self::FetchAdd(..) => READ | WRITE,
            Self::Takeover => TAKEOVER,
            // What only the owner may do: there is no such bit.
            Self::Create(_) | Self::SetPermissions(_) | Self::Delete => 0x80,
        }
    }
}

impl State {
    /// What a client is answered, and what the record is then.
    pub(crate) fn carry_out(&self, client: usize, ask: &Ask) -> (Answer, Self) {
        let (data, version, owner, access) = match (self, ask) {
            (Self::Unborn, Ask::Create(data)) => {
                let all = READ | WRITE | TAKEOVER;
                return (Answer::Done, Self::alive(data.to_vec(), 1, client, all));
            }
            (Self::Alive { data, version, owner, access }, _) => (data, *version, *owner, *access),
            _ => return (Answer::NotThere, self.clone()),
        };
        let right = ask.right();
        if client != owner && access & right != right {
            return (Answer::NotAllowed, self.clone());
        }
        let next = version + 1;
        let write = |data: Vec<u8>| Self::alive(data, next, owner, access);
        match ask {
            Ask::Create(_) => (Answer::NotThere, self.clone()),
            Ask::Resolve => (Answer::Data(bytes(data)), self.clone()),
            Ask::ResolveIfChanged(has) if *has == version => (Answer::NotModified, self.clone()),
            Ask::ResolveIfChanged(_) => (Answer::Changed(version, bytes(data)), self.clone()),
            Ask::ReadRange(offset, len) => {
                let from = (*offset as usize).min(data.len());
                let to = from.saturating_add(*len as usize).min(data.len());
                (Answer::Range(version, data.len() as u32, bytes(&data[from..to])), self.clone())
            }
            Ask::Stat => (Answer::Stat(data.len() as u32, version, owner, access), self.clone()),
            Ask::Replace(new) => (Answer::Written(next), write(new.to_vec())),
            Ask::CompareAndReplace(of, _) if *of != version => (Answer::Mismatch(version), self.clone()),
            Ask::CompareAndReplace(_, new) => (Answer::Written(next), write(new.to_vec())),
            Ask::WriteRange(offset, new) => {
                let (mut data, offset) = (data.to_vec(), *offset as usize);
                let end = offset + new.len();
                data.resize(data.len().max(end), 0);
                data[offset..end].copy_from_slice(new);
                (Answer::Written(next), write(data))
            }
            Ask::Append(new) => (Answer::Appended(next, data.len() as u32), write([data, &new[..]].concat())),
            Ask::FetchAdd(offset, delta) => {
                let mut data = data.to_vec();
                let number = data.get_mut(*offset as usize..).and_then(|rest| rest.first_chunk_mut::<8>());
                let Some(number) = number else {
                    return (Answer::NotThere, self.clone());
                };
                let sum = i64::from_be_bytes(*number).wrapping_add(*delta);
                *number = sum.to_be_bytes();
                (Answer::Added(next, sum), write(data))
            }
            Ask::Takeover if client == owner => (Answer::Done, self.clone()),
            Ask::Takeover => (Answer::Done, Self::alive(data.clone(), version, client, access & !TAKEOVER)),
            Ask::SetPermissions(access) => (Answer::Done, Self::alive(data.clone(), version, owner, *access)),
            Ask::Delete => (Answer::Done, Self::Gone),
        }
    }

    fn alive(data: impl Into<Arc<[u8]>>, version: u64, owner: usize, access: u8) -> Self {
        Self::Alive { data: data.into(), version, owner, access }
    }
}

fn bytes(data: &[u8]) -> Bytes {
    Bytes::copy_from_slice(data)
}

/// The first bytes of data, and how many there are.
struct Short<'a>(&'a Bytes);

impl fmt::Debug for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x?}", &self.0[..self.0.len().min(8)])?;
        write!(f, "*{}", self.0.len())
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(data) => write!(f, "create {:?}", Short(data)),
            Self::Resolve => write!(f, "resolve"),
            Self::ResolveIfChanged(version) => write!(f, "resolve if not {version}"),
            Self::ReadRange(offset, len) => write!(f, "read {offset}+{len}"),
            Self::Stat => write!(f, "stat"),
            Self::Replace(data) => write!(f, "replace {:?}", Short(data)),
            Self::CompareAndReplace(version, data) => write!(f, "replace {version} {:?}", Short(data)),
            Self::WriteRange(offset, data) => write!(f, "write {offset} {:?}", Short(data)),
            Self::Append(data) => write!(f, "append {:?}", Short(data)),
            Self::FetchAdd(offset, delta) => write!(f, "add {offset} {delta}"),
            Self::Takeover => write!(f, "take over"),
            Self::SetPermissions(access) => write!(f, "permit {access:03b}"),
            Self::Delete => write!(f, "delete"),
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => write!(f, "done"),
            Self::Data(data) => write!(f, "{:?}", Short(data)),
            Self::Changed(version, data) => write!(f, "version {version} {:?}", Short(data)),
            Self::NotModified => write!(f, "not modified"),
            Self::Range(version, len, data) => write!(f, "version {version} of {len} {:?}", Short(data)),
            Self::Stat(len, version, owner, access) => {
                write!(f, "version {version} of {len}, {owner}'s, {access:03b}")
            }
            Self::Written(version) => write!(f, "version {version}"),
            Self::Appended(version, offset) => write!(f, "version {version} at {offset}"),
            Self::Added(version, sum) => write!(f, "version {version} sum {sum}"),
            Self::Mismatch(version) => write!(f, "mismatch: {version}"),
            Self::NotAllowed => write!(f, "not allowed"),
            Self::NotThere => write!(f, "not there"),
            Self::Lost => write!(f, "lost"),
        }
    }
}
