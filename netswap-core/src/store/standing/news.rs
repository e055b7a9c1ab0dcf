//! What a watch has not been told (docs/PROTOCOL.md §4.3).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::super::record::Record;
use crate::engine::Told;
use crate::memory::Data;
use crate::types::{Access, Owner, Version};
use crate::wire::{Ending, Notification};

#[derive(Debug)]
pub(in crate::store) struct Watch {
    pub(super) watcher: Owner,
    pub(super) push: bool,
    pub(super) news: News,
    /// The number of the record's last [change](super::rounds) that it is not told of, or has been.
    pub(super) since: u64,
}

/// What a watch has not been told.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) written: Option<Written>,
    /// Who asked for the record before its owner changed.
    pub(super) asked_before: Option<Owner>,
    pub(super) owner: Option<Owner>,
    pub(super) access: Option<Access>,
    pub(super) asked: Option<Owner>,
}

#[derive(Clone, Debug)]
pub(super) enum Written {
    /// One write to a part. The watch was told every version before.
    Range { version: Version, offset: u32, data: Box<Data> },
    /// The newest state is to be told, whatever it will be.
    Newest,
}

/// A state of a record: the present one, or a snapshot.
pub(in crate::store) trait State {
    fn version(&self) -> Version;

    fn len(&self) -> usize;

    /// The part from `offset` on, of at most `len` bytes, clipped at the end.
    fn slice(&self, offset: u32, len: u32) -> Data;
}

/// A state that a record had.
#[derive(Debug)]
pub(super) struct Snapshot {
    version: Version,
    pub(super) data: Data,
}

/// The most notifications that a watch leaves at its end.
#[cfg(test)]
pub(crate) const LAST_AT_MOST: usize = 6;

impl State for Record {
    fn version(&self) -> Version {
        self.version
    }

    fn len(&self) -> usize {
        self.data.len()
    }

    fn slice(&self, offset: u32, len: u32) -> Data {
        self.data.slice(offset, len)
    }
}

impl State for Snapshot {
    fn version(&self) -> Version {
        self.version
    }

    fn len(&self) -> usize {
        self.data.len()
    }

    fn slice(&self, offset: u32, len: u32) -> Data {
        self.data.slice(offset, len)
    }
}

impl Snapshot {
    pub(super) fn nothing() -> Self {
        Self { version: Version::RESERVED, data: Data::default() }
    }

    pub(super) fn of(record: &Record) -> Self {
        Self { version: record.version, data: record.data.snapshot() }
    }
}

impl News {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self { written: None, asked_before: None, owner: None, access: None, asked: None })
    }

    /// Bytes of data in what is told.
    pub(super) fn len(&self, push: bool, record: &Record) -> usize {
        match &self.written {
            Some(Written::Range { data, .. }) => data.len(),
            Some(Written::Newest) if push => record.data.len(),
            _ => 0,
        }
    }

    /// The record has another owner. It was the former one who was asked for the record until now.
    pub(super) fn changed_hands(&mut self, owner: Option<Owner>) {
        if owner.is_some() {
            let asked = self.asked.take();
            // Who was the owner in between and is not told of it is not told of this either.
            if self.owner.is_none() {
                self.asked_before = asked;
            }
            self.owner = owner;
        }
    }

    /// Somebody asks the watcher, who is the owner, for the record.
    pub(super) fn requested(&mut self, requester: Owner) {
        self.asked = Some(requester);
        self.asked_before = None;
    }

    /// As notifications, in the order in which they are told.
    pub(super) fn tell(&mut self, push: bool, state: &impl State) -> Told {
        let Self { written, asked_before, owner, access, asked } = core::mem::take(self);
        let written = written.map(|written| match written {
            Written::Range { version, offset, data } => {
                Notification::RangeChanged { version, offset, data: *data }
            }
            Written::Newest => Notification::Changed {
                version: state.version(),
                data: push.then(|| state.slice(0, u32::MAX)),
            },
        });
        let mut told = Told::default();
        told.extend(written);
        told.extend(asked_before.map(Notification::OwnershipRequested));
        told.extend(owner.map(Notification::OwnerChanged));
        told.extend(access.map(Notification::AccessChanged));
        told.extend(asked.map(Notification::OwnershipRequested));
        told
    }
}

impl Watch {
    /// Its last notifications: what it has not been told, as things stood, and why it ends.
    pub(super) fn end(&mut self, ending: Ending, state: &impl State) -> Vec<Notification<Data>> {
        self.news.tell(self.push, state).into_iter().chain([Notification::Ended(ending)]).collect()
    }
}
