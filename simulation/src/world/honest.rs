//! A client that keeps to the protocol: the project's own, with somebody who asks it for things at random.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::{Buf, Bytes};
use fastrand::Rng;
use netswap_core::client::{Client, Config, Event, Options, Outcome, Replica};
use netswap_core::error::{ProtocolError, Quota, Refusal};
use netswap_core::time::Instant;
use netswap_core::types::{Access, Pointer, Version, Xid};
use netswap_core::wire::{Lifetime, Notification, Opcode, Reply, Request};

use super::Shared;
use crate::failure::{Failure, Invariant};
use crate::judge::{ConnectionNumber, Judge};
use crate::scenario::Scenario;
use crate::stage::address;

/// A client and what it has asked for.
pub(super) struct Honest {
    client: Client,
    open: BTreeMap<u32, Asked>,
    /// What has come and is held for a while.
    held: Vec<(Xid, usize)>,
}

/// A request that is not answered.
struct Asked {
    opcode: Opcode,
    pointer: u64,
    /// The version that somebody knew of when it was made.
    floor: u64,
    /// How many bytes of an upload are to be given.
    upload: usize,
    copy: Option<Replica>,
    watches: bool,
}

impl Default for Honest {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}

impl Honest {
    pub(super) fn new(config: &Config) -> Self {
        Self { client: Client::new(config.clone()), open: BTreeMap::new(), held: Vec::new() }
    }

    /// Asks for something, or gives something up.
    pub(super) fn turn(
        &mut self,
        number: ConnectionNumber,
        scenario: &Scenario,
        random: &mut Rng,
        shared: &mut Shared,
        now: Instant,
    ) {
        if random.u8(0..12) == 0 && !self.open.is_empty() {
            let at = random.usize(0..self.open.len());
            if let Some(xid) = self.open.keys().nth(at).copied() {
                self.give_up(number, xid, shared, now);
            }
            return;
        }
        let request = choose(scenario, random, shared);
        let (opcode, pointer) = (request.opcode(), target(&request));
        let push = matches!(request, Request::WatchRecord { push: true, .. });
        let len = request.data().map_or(0, Bytes::len);
        let options = Options {
            idle_timeout: None,
            wait: (random.u8(0..3) == 0).then(|| Duration::from_secs(random.u64(1..100))),
            pieces: random.u8(0..4) == 0,
        };
        let streamed = len > 0 && random.u8(0..6) == 0 && opcode != Opcode::Ping;
        let asked = if streamed {
            self.client.upload(request.map(|data| data.len() as u32), options, now)
        } else {
            self.client.request_with(request, options, now)
        };
        let Ok(xid) = asked else { return };
        shared.transactions += 1;
        let asked = Asked {
            opcode,
            pointer,
            floor: shared.floors.get(&pointer).copied().unwrap_or(0),
            upload: if streamed { len } else { 0 },
            copy: push.then(Replica::default),
            watches: opcode == Opcode::WatchRecord,
        };
        self.open.insert(xid.0, asked);
    }

    fn give_up(&mut self, number: ConnectionNumber, xid: u32, shared: &mut Shared, now: Instant) {
        let outcome = self.client.abort(Xid(xid), now);
        if let Some(asked) = self.open.remove(&xid)
            && outcome == Some(Outcome::NotDone)
            && !asked.opcode.only_reads()
        {
            shared.denied.push((number, xid));
        }
    }

    /// Gives at most so many bytes to the network, and what uploads want.
    pub(super) fn send(&mut self, most: usize, now: Instant) -> Vec<u8> {
        for (xid, asked) in self.open.iter_mut().filter(|(_, asked)| asked.upload > 0) {
            let wanted =
                self.client.progress(Xid(*xid)).map_or(0, |progress| progress.wanted).min(asked.upload);
            if wanted > 0 && self.client.provide(Xid(*xid), Bytes::from(vec![*xid as u8; wanted])) {
                asked.upload -= wanted;
            }
        }
        let output = self.client.output();
        let mut bytes = Vec::new();
        for slice in output.slices() {
            let len = slice.len().min(most - bytes.len());
            bytes.extend_from_slice(&slice[..len]);
        }
        self.client.sent(bytes.len(), now);
        bytes
    }

    pub(super) fn wants_read(&self) -> bool {
        self.client.wants_read()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether it waits for something that must come.
    pub(super) fn is_busy(&self) -> bool {
        let watches = self.open.values().filter(|asked| asked.watches).count();
        self.client.output().has_remaining() || self.client.transactions() > watches
    }

    /// Lets go of what was held.
    pub(super) fn consume(&mut self, all: bool, now: Instant) {
        if all {
            for (xid, count) in self.held.drain(..) {
                self.client.consumed(xid, count, now);
            }
        }
    }

    pub(super) fn timeout(
        &mut self,
        number: ConnectionNumber,
        shared: &mut Shared,
        now: Instant,
    ) -> Result<(), Failure> {
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            let done = self.client.handle_timeout(now);
            self.judge_error(number, done.err())?;
            self.events(number, shared)?;
        }
        Ok(())
    }

    /// Takes what has come; whether the connection is still of use.
    pub(super) fn receive(
        &mut self,
        number: ConnectionNumber,
        bytes: &[u8],
        shared: &mut Shared,
        now: Instant,
    ) -> Result<bool, Failure> {
        let done = self.client.handle_input(bytes, now);
        self.events(number, shared)?;
        self.judge_error(number, done.err())?;
        Ok(done.is_ok())
    }

    /// The connection is no more.
    pub(super) fn lose(&mut self, number: ConnectionNumber, shared: &mut Shared) -> Result<(), Failure> {
        self.client.handle_eof();
        self.events(number, shared)?;
        if let Some(xid) = self.open.keys().next() {
            let what = format!("transaction {xid} has no terminal when the connection ends");
            return Err(Failure::of(Invariant::Client, number, what));
        }
        self.held.clear();
        Ok(())
    }

    fn judge_error(&self, number: ConnectionNumber, error: Option<ProtocolError>) -> Result<(), Failure> {
        match error {
            None | Some(ProtocolError::AbortUnanswered(_)) => Ok(()),
            Some(ProtocolError::ConnectionRefused(Refusal::QuotaExceeded { quota, .. }))
                if quota >= Quota::Connections =>
            {
                Ok(())
            }
            Some(error) => Err(Failure::of(Invariant::Client, number, format!("the client says: {error}"))),
        }
    }

    fn events(&mut self, number: ConnectionNumber, shared: &mut Shared) -> Result<(), Failure> {
        let fail = |what: String| Err(Failure::of(Invariant::Client, number, what));
        while let Some(event) = self.client.poll_event() {
            let xid = event.xid();
            let Some(asked) = self.open.get_mut(&xid.0) else {
                return fail(format!("{event:?} comes for transaction {xid}, which is not open"));
            };
            match event {
                Event::Replied { reply, .. } => {
                    if let Some(version) = learn(&reply, asked, shared)
                        && version < asked.floor
                    {
                        let floor = asked.floor;
                        return fail(format!(
                            "transaction {xid} sees version {version}, but {floor} was known"
                        ));
                    }
                    self.open.remove(&xid.0);
                }
                Event::Piece { data, .. } => self.held.push((xid, data.len())),
                Event::Wanted { .. } => {}
                Event::Watching { version, .. } => {
                    if version.0 < asked.floor {
                        return fail(format!(
                            "watch {xid} begins with version {version}, but {} was known",
                            asked.floor
                        ));
                    }
                }
                Event::Notified { notification, .. } => {
                    if let Some(copy) = &mut asked.copy {
                        copy.apply(&notification);
                    }
                    if matches!(notification, Notification::Ended(_)) {
                        self.open.remove(&xid.0);
                    } else {
                        self.held.push((xid, notification.weight()));
                    }
                }
                Event::Ended { outcome, .. } => {
                    if outcome == Outcome::NotDone && !asked.opcode.only_reads() {
                        shared.denied.push((number, xid.0));
                    }
                    self.open.remove(&xid.0);
                }
                other => return fail(format!("{other:?} is not known")),
            }
        }
        Ok(())
    }

    /// Everything was answered, and all copies are those of the records.
    pub(super) fn check_quiet(&self, number: ConnectionNumber, judge: &Judge) -> Result<(), Failure> {
        let fail = |what: String| Err(Failure::of(Invariant::Client, number, what));
        if self.is_busy() {
            let (open, unsent) = (self.client.transactions(), self.client.output().remaining());
            let reads = if self.client.wants_read() { "reads" } else { "does not read" };
            return fail(format!(
                "{open} transactions are open, {unsent} bytes unsent, and the client {reads}"
            ));
        }
        for (xid, asked) in &self.open {
            let (Some(copy), Some((version, data))) = (&asked.copy, judge.record(asked.pointer)) else {
                continue;
            };
            if copy.version() != Version(version) || copy.data() != data {
                let (len, real) = (copy.data().len(), data.len());
                let copied = copy.version();
                return fail(format!(
                    "the copy of watch {xid} has version {copied} and {len} bytes, the record {version} and {real}"
                ));
            }
        }
        Ok(())
    }
}

/// What a reply tells of a record's version; everybody knows it from now on.
fn learn(reply: &Reply<Bytes>, asked: &Asked, shared: &mut Shared) -> Option<u64> {
    let version = match reply {
        Reply::Created(pointer) => {
            shared.pointers.push(pointer.0);
            return None;
        }
        Reply::Written(version)
        | Reply::Appended { version, .. }
        | Reply::Added { version, .. }
        | Reply::Range { version, .. }
        | Reply::Changed { version, .. } => version.0,
        Reply::Stat(stat) => stat.version.0,
        Reply::Refused(Refusal::VersionMismatch { current }) => current.0,
        _ => return None,
    };
    let floor = shared.floors.entry(asked.pointer).or_default();
    *floor = version.max(*floor);
    Some(version)
}

fn target(request: &Request<Bytes>) -> u64 {
    let encoded = request.clone().encode();
    let pointed = request.opcode().operand_len() >= 8;
    encoded.operands.as_slice().first_chunk().filter(|_| pointed).map_or(0, |it| u64::from_be_bytes(*it))
}

fn data(scenario: &Scenario, random: &mut Rng, shared: &mut Shared) -> Bytes {
    let len = match random.u32(0..100) {
        0..10 => 0,
        10..75 => random.usize(0..200),
        75..85 => random.usize(1370..1400),
        85..97 => random.usize(0..scenario.longest.min(6000)),
        _ => random.usize(0..=scenario.longest),
    };
    shared.counter += 1;
    let mut data = vec![random.u8(..); len];
    let differs = shared.counter.to_be_bytes();
    data.iter_mut().zip(differs).for_each(|(to, from)| *to = from);
    data.into()
}

fn access(random: &mut Rng) -> Access {
    let choices = [7, 3, 3, 1, 1, 0, 5, 2];
    Access::from_bits_truncate(choices[random.usize(0..choices.len())])
}

/// What somebody asks for next.
fn choose(scenario: &Scenario, random: &mut Rng, shared: &mut Shared) -> Request<Bytes> {
    let known = shared.pointers.len();
    let pointer = match random.u32(0..100) {
        _ if known == 0 => Pointer(1),
        0 => Pointer(random.u64(..)),
        1..90 => Pointer(shared.pointers[known - 1 - random.usize(0..known.min(10))]),
        _ => Pointer(shared.pointers[random.usize(0..known)]),
    };
    let near = Version(shared.floors.get(&pointer.0).copied().unwrap_or(0).saturating_sub(random.u64(0..2)));
    let somebody = scenario.setting.config.identity_key.owner(address(random.u8(1..=scenario.hosts + 1)));
    let offset = random.u32(0..400);
    match random.u32(0..130) {
        0..8 => Request::CreateRecord { access: access(random), data: data(scenario, random, shared) },
        8..11 => Request::ReserveRecord { access: access(random) },
        _ if known < 2 => {
            Request::CreateRecord { access: access(random), data: data(scenario, random, shared) }
        }
        11..16 => Request::UpdateRecordPermissions { pointer, access: access(random) },
        16..28 => Request::ResolvePointer { pointer },
        28..38 => Request::ReplaceRecord { pointer, data: data(scenario, random, shared) },
        38..41 => Request::DeleteRecord { pointer },
        41..44 => Request::TakeoverRecord { pointer },
        44..47 => Request::TransferRecord { pointer, owner: somebody },
        47 => Request::Identify,
        48..52 => Request::Ping { data: data(scenario, random, shared) },
        52..57 => Request::StatRecord { pointer },
        57..65 => Request::ReadRange { pointer, offset, len: random.u32(0..300) },
        65..77 => Request::WriteRange { pointer, offset, data: data(scenario, random, shared) },
        77..87 => Request::Append { pointer, data: data(scenario, random, shared) },
        87..93 => Request::CompareAndReplace { pointer, version: near, data: data(scenario, random, shared) },
        93..101 => Request::FetchAdd { pointer, offset: offset % 16, delta: random.i64(..) },
        101..107 => Request::ResolveIfChanged { pointer, version: near },
        107..119 => Request::WatchRecord { pointer, push: random.u8(0..3) > 0 },
        119..122 => Request::ListRecords,
        122..126 => {
            let heir = (!scenario.limits_owners() && random.bool()).then_some(somebody);
            let grace = random.bool().then(|| random.u32(0..70));
            let ttl = if random.u8(0..3) == 0 { NonZeroU32::new(random.u32(1..100)) } else { None };
            Request::SetLifetime { pointer, lifetime: Lifetime { grace, ttl, heir } }
        }
        _ => Request::RequestOwnership { pointer },
    }
}
