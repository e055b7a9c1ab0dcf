//! What a client has to get: of each transaction its answer, once, and of each watch the truth in the end.

use std::collections::{BTreeMap, VecDeque};

use crate::naive::Store;
use crate::support::wire::{self, Message};
use crate::terms::{Event, Standing, Truth, What, u32_at, u64_at};

/// What a client waits for, by XID, in order.
#[derive(Default)]
pub(crate) struct Expected {
    queues: BTreeMap<u32, VecDeque<Item>>,
    last_word: Option<Message>,
    /// Whether the last word has come: nothing follows it.
    over: bool,
}

enum Item {
    Reply(Message),
    Watch(Watch),
    /// An ABORT, which comes for sure or in the place of what was not sent yet.
    Abort(bool),
}

/// What a watch has been told.
struct Watch {
    pointer: u64,
    who: u64,
    push: bool,
    ok: Option<Message>,
    /// What it was told; in the beginning what there was.
    told: Truth,
    /// Whether it was told of data, and its copy of them.
    informed: bool,
    copy: Vec<u8>,
    end: Option<(u8, Truth)>,
    /// It has ended without a word: what it was told before may still come.
    silent: bool,
}

impl Expected {
    /// Takes note of what is to come.
    pub(crate) fn note(&mut self, event: Event) {
        match event {
            Event::Reply(_, message) => self.push(message.xid, Item::Reply(message)),
            Event::Watching { ok, pointer, who, push, truth: told, .. } => {
                let (xid, informed, copy, end) = (ok.xid, false, Vec::new(), None);
                let ok = Some(ok);
                let watch = Watch { pointer, who, push, ok, told, informed, copy, end, silent: false };
                self.push(xid, Item::Watch(watch));
            }
            Event::Ended(_, xid, kind, truth) => {
                let watch = self.watch(xid).expect("a watch that ends");
                watch.end = Some((kind, truth));
            }
            Event::Aborted(_, xid, sure) => {
                if sure || self.queues.contains_key(&xid) {
                    self.push(xid, Item::Abort(sure));
                }
            }
            Event::Violated(_, message) => {
                self.last_word = Some(message);
                for item in self.queues.values_mut().flatten() {
                    if let Item::Watch(watch) = item {
                        watch.silent = true;
                    }
                }
            }
        }
    }

    fn push(&mut self, xid: u32, item: Item) {
        self.queues.entry(xid).or_default().push_back(item);
    }

    fn watch(&mut self, xid: u32) -> Option<&mut Watch> {
        self.queues.get_mut(&xid)?.iter_mut().rev().find_map(|item| match item {
            Item::Watch(watch) => Some(watch),
            _ => None,
        })
    }

    /// A message has come.
    #[track_caller]
    pub(crate) fn receive(&mut self, message: &Message, store: &Store) {
        assert!(!self.over, "{message:?} after the last word");
        if message.code == 4 {
            assert_eq!(Some(message), self.last_word.as_ref());
            self.over = true;
            return self.assert_settled(|_| None);
        }
        let xid = message.xid;
        let queue = self.queues.get_mut(&xid).unwrap_or_else(|| panic!("{message:?} answers nothing"));
        loop {
            let abort = queue.iter().position(|item| matches!(item, Item::Abort(_)));
            match queue.front_mut() {
                // All that it would have replaced has come.
                Some(Item::Abort(false)) => {
                    queue.pop_front();
                    continue;
                }
                Some(Item::Reply(expected)) if expected == message => {
                    queue.pop_front();
                }
                Some(Item::Watch(watch)) if message.code != 255 => {
                    if watch.receive(message, store) {
                        queue.pop_front();
                    }
                }
                _ => {
                    let front = match queue.front() {
                        Some(Item::Reply(expected)) => Some(expected),
                        _ => None,
                    };
                    let abandoned = abort.filter(|_| *message == wire::aborted(xid));
                    let upto = abandoned.unwrap_or_else(|| panic!("{message:?} in the place of {front:?}"));
                    queue.drain(..=upto);
                }
            }
            break;
        }
        if queue.is_empty() {
            self.queues.remove(&xid);
        }
    }

    /// All that can come has come: each watch that is left stands, and knows what there is to know.
    #[track_caller]
    pub(crate) fn assert_settled<'a>(&self, standing: impl Fn(u32) -> Option<&'a Standing>) {
        assert!(self.over || self.last_word.is_none(), "the last word is missing");
        for (xid, queue) in &self.queues {
            for item in queue {
                match item {
                    Item::Reply(message) => panic!("{message:?} is missing"),
                    Item::Abort(true) => panic!("the ABORT of {xid} is missing"),
                    // It was ignored.
                    Item::Abort(false) => {}
                    Item::Watch(watch) if watch.silent => {}
                    Item::Watch(watch) => {
                        assert_eq!(watch.end, None, "the end of watch {xid} is missing");
                        let What::Watch(truth) = standing(*xid).expect("a watch that stands").what else {
                            panic!("{xid} is no watch");
                        };
                        watch.assert_knows(truth);
                    }
                }
            }
        }
    }
}

impl Watch {
    /// A message has come; whether it is the terminal.
    #[track_caller]
    fn receive(&mut self, message: &Message, store: &Store) -> bool {
        let payload = &message.payload[..];
        if let Some(ok) = self.ok.take() {
            assert_eq!(*message, ok);
            return false;
        }
        assert_eq!(message.code, 11, "{message:?} to a watch");
        match message.access {
            1 | 2 => self.receive_data(message.access, payload, store),
            3 => {
                assert_eq!(payload.len(), 1);
                self.told.access = payload[0];
                self.told.changes.1 += 1;
            }
            4 => {
                (self.told.owner, self.told.asked) = (u64_at(payload, 0), None);
                self.told.changes.0 += 1;
            }
            5 => {
                assert_eq!(self.told.owner, self.who, "asked for what is not its own");
                self.told.asked = Some(u64_at(payload, 0));
            }
            kind => {
                let (expected, truth) = self.end.expect("a watch that has ended");
                assert_eq!((kind, payload.len()), (expected, 0));
                self.assert_knows(truth);
                return true;
            }
        }
        false
    }

    #[track_caller]
    fn receive_data(&mut self, kind: u8, payload: &[u8], store: &Store) {
        let (version, bytes) = (u64_at(payload, 0), &payload[8..]);
        let known = self.told.version;
        let first = self.push && !self.informed && version == known && version > 0;
        assert!(version > known || first, "version {version} after {known}");
        if kind == 2 {
            assert!(self.push && self.informed && version == known + 1, "a part of {version} after {known}");
            let (offset, bytes) = (u32_at(bytes, 0) as usize, &bytes[4..]);
            let len = self.copy.len().max(offset + bytes.len());
            self.copy.resize(len, 0);
            self.copy[offset..offset + bytes.len()].copy_from_slice(bytes);
        } else {
            assert!(self.push || bytes.is_empty());
            self.copy = bytes.to_vec();
        }
        let states = store.records.get(&self.pointer).map(|it| &it.states);
        let states = states.or(store.past.get(&self.pointer)).expect("a record that was");
        assert!(!self.push || self.copy == states[version as usize], "the copy is not version {version}");
        (self.told.version, self.informed) = (version, true);
    }

    #[track_caller]
    fn assert_knows(&self, truth: Truth) {
        assert_eq!(self.ok, None, "the OK is missing");
        // Who asked is told as long as the owner was the same.
        let asked = truth.asked.and(self.told.asked);
        let ((owners, accesses), changes) = (self.told.changes, truth.changes);
        assert!(
            owners <= changes.0 && accesses <= changes.1,
            "told of {owners} and {accesses} of {changes:?}"
        );
        assert_eq!(Truth { asked, changes, ..self.told }, truth);
        assert!(self.informed || !self.push || truth.version == 0, "the first state is missing");
    }
}
