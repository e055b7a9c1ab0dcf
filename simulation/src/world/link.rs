//! A connection's network: bytes on their way, in order, delayed, cut anywhere, stalled.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::judge::ConnectionNumber;

/// The bytes of a connection that are on their way.
pub(super) struct Link {
    pub(super) number: ConnectionNumber,
    up: VecDeque<(u64, Vec<u8>)>,
    down: VecDeque<(u64, Vec<u8>)>,
    /// Until when nothing arrives at the server.
    pub(super) up_stalled: u64,
    /// Until when the client takes nothing.
    pub(super) down_stalled: u64,
    half_closed: bool,
    /// Whether the server has been told so.
    told: bool,
}

impl Link {
    pub(super) fn new(number: ConnectionNumber) -> Self {
        let (up, down) = (VecDeque::new(), VecDeque::new());
        Self { number, up, down, up_stalled: 0, down_stalled: 0, half_closed: false, told: false }
    }

    /// The client sends.
    pub(super) fn up(&mut self, bytes: Vec<u8>, now: u64, delay: u64) {
        if !bytes.is_empty() && !self.half_closed {
            self.up.push_back((now + delay, bytes));
        }
    }

    /// The server's bytes are on their way.
    pub(super) fn down(&mut self, bytes: Vec<u8>, now: u64, delay: u64) {
        if !bytes.is_empty() {
            self.down.push_back((now + delay, bytes));
        }
    }

    pub(super) fn up_bytes(&self) -> usize {
        self.up.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    pub(super) fn down_bytes(&self) -> usize {
        self.down.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Whether the client may send.
    pub(super) fn takes_more(&self) -> bool {
        !self.half_closed
    }

    /// The client sends no more.
    pub(super) fn half_close(&mut self) {
        self.half_closed = true;
    }

    /// Whether the server is to learn now that the client sends no more.
    pub(super) fn is_half_closed_now(&mut self) -> bool {
        let now = self.half_closed && self.up.is_empty() && !self.told;
        self.told |= now;
        now
    }

    pub(super) fn is_drained_down(&self) -> bool {
        self.down.is_empty()
    }

    /// Whether something is on its way, or the connection about to end.
    pub(super) fn is_busy(&self) -> bool {
        !self.up.is_empty() || !self.down.is_empty() || self.half_closed
    }

    /// What arrives at the server now.
    pub(super) fn arrive_up(&mut self, now: u64, random: &mut Rng) -> Option<Vec<u8>> {
        if self.up_stalled > now { None } else { arrive(&mut self.up, now, random) }
    }

    /// What arrives at the client now.
    pub(super) fn arrive_down(&mut self, now: u64, random: &mut Rng) -> Option<Vec<u8>> {
        if self.down_stalled > now { None } else { arrive(&mut self.down, now, random) }
    }
}

/// What arrives: all that is there, or a part of it, cut anywhere.
fn arrive(queue: &mut VecDeque<(u64, Vec<u8>)>, now: u64, random: &mut Rng) -> Option<Vec<u8>> {
    let mut arrived = Vec::new();
    while queue.front().is_some_and(|(at, _)| *at <= now) {
        arrived.extend(queue.pop_front().into_iter().flat_map(|(_, bytes)| bytes));
    }
    if arrived.is_empty() {
        return None;
    }
    let len = match random.u8(0..8) {
        0 => random.usize(1..=arrived.len().min(20)),
        1 => random.usize(1..=arrived.len()),
        _ => arrived.len(),
    };
    let rest = arrived.split_off(len);
    if !rest.is_empty() {
        queue.push_front((now, rest));
    }
    Some(arrived)
}
