//! The packets that are next to be sent, put in order ahead of the socket.

use alloc::collections::{VecDeque, vec_deque};
use alloc::vec::Vec;
use core::mem;

use slab::Slab;

use crate::memory::{Garbage, Piece};
use crate::wire::packet::{FULL_PACKET, HEADER_LEN, Header, MAX_PAYLOAD};

/// A piece of a source no longer than this is copied rather than referred to.
const COPY_AT_MOST: usize = 128;

/// An emptied buffer larger than this is given back, so that idle connections stay small.
const KEEP_AT_MOST: usize = 4096;

/// Copied bytes are moved to the front when as many before them were taken.
pub(crate) const MOVE_FROM: usize = 32 * 1024;

/// Bytes in order, of which small pieces were copied and large ones are parts of *sources*: the data of messages, as they
/// were given, which are held until nothing refers to them any more.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The copied bytes of all segments, from `copied_at` on.
    copied: Vec<u8>,
    copied_at: usize,
    segments: VecDeque<Segment>,
    sources: Slab<Source>,
    len: usize,
    /// Parts of records that are read no further.
    pub(super) garbage: Garbage,
}

/// Copied bytes, and behind them a part of a source, of which either may be nothing. Where there is a part of a source, a
/// *run* may follow: full packets, each a copied header and the next bytes of the same source.
#[derive(Debug)]
struct Segment {
    copied: usize,
    source: usize,
    at: usize,
    len: usize,
    run: usize,
}

#[derive(Debug)]
struct Source {
    bytes: Piece,
    /// How many hold it: its segments, and whoever is still to [refer](Window::refer) to it.
    holders: usize,
}

impl Segment {
    /// Where in its source it ends.
    fn end(&self) -> usize {
        self.at + self.len + self.run * MAX_PAYLOAD
    }
}

/// See [`Window::slices`].
pub(super) struct Slices<'a> {
    window: &'a Window,
    /// Those to come.
    segments: vec_deque::Iter<'a, Segment>,
    copied: &'a [u8],
    /// What is left of a run.
    headers: &'a [u8],
    payloads: &'a [u8],
    /// What comes next, if it is not empty.
    next: &'a [u8],
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if !self.next.is_empty() {
            return Some(mem::take(&mut self.next));
        }
        if !self.headers.is_empty() {
            (self.next, self.payloads) = self.payloads.split_at(MAX_PAYLOAD);
            let (header, headers) = self.headers.split_at(HEADER_LEN);
            self.headers = headers;
            return Some(header);
        }
        let segment = self.segments.next()?;
        let (head, rest) = self.copied.split_at(segment.copied);
        self.copied = rest;
        if segment.len == 0 {
            return Some(head);
        }
        (self.headers, self.copied) = rest.split_at(segment.run * HEADER_LEN);
        let (data, payloads) = self.window.data(segment).split_at(segment.len);
        self.payloads = payloads;
        if head.is_empty() {
            return Some(data);
        }
        self.next = data;
        Some(head)
    }
}

/// Bytes that a source takes beside its data.
#[cfg(test)]
pub(super) const SOURCE: usize = size_of::<Source>() + size_of::<usize>();

impl Window {
    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any packet has room in it, where it may have `most` bytes.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.len + FULL_PACKET <= most
    }

    /// Adds a copy of bytes.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
        self.add_copied(bytes.len());
    }

    /// Adds a copy of three pieces, one after the other.
    pub(super) fn copy_all(&mut self, pieces: [&[u8]; 3]) {
        pieces.into_iter().for_each(|piece| self.copied.extend_from_slice(piece));
        self.add_copied(pieces.into_iter().map(<[u8]>::len).sum());
    }

    fn add_copied(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.len += count;
        match self.segments.back_mut() {
            Some(last) if last.len == 0 => last.copied += count,
            _ => self.segments.push_back(Segment { copied: count, source: 0, at: 0, len: 0, run: 0 }),
        }
    }

    /// Keeps data, to be referred to under the number that it returns until that is [let go](Self::let_go).
    pub(super) fn keep(&mut self, bytes: Piece) -> usize {
        self.sources.insert(Source { bytes, holders: 1 })
    }

    /// Nobody will refer to this source any more.
    pub(super) fn let_go(&mut self, source: usize) {
        if let Some(held) = self.sources.get_mut(source) {
            held.holders -= 1;
            if held.holders == 0 {
                self.sources.remove(source);
            }
        }
    }

    /// Adds `len` bytes of a source, from `at` on: a reference, or a copy of few.
    pub(super) fn refer(&mut self, source: usize, at: usize, len: usize) {
        let Some(held) = self.sources.get_mut(source) else { return };
        if len <= COPY_AT_MOST {
            self.copied.extend_from_slice(&held.bytes.as_ref()[at..at + len]);
            self.add_copied(len);
            return;
        }
        held.holders += 1;
        self.len += len;
        match self.segments.back_mut() {
            Some(last) if last.len == 0 => (last.source, last.at, last.len) = (source, at, len),
            _ => self.segments.push_back(Segment { copied: 0, source, at, len, run: 0 }),
        }
    }

    /// Adds so many full packets of a message, none of them its last, of which `next` is the first header, and which have the
    /// bytes of a source from `at` on. The header behind them.
    pub(super) fn add_packets(
        &mut self,
        mut next: Header,
        packets: usize,
        source: usize,
        at: usize,
    ) -> Header {
        let goes_on = |last: &Segment| last.len > 0 && last.source == source && last.end() == at;
        let mut run = packets;
        if !self.segments.back().is_some_and(goes_on) {
            self.copy(&next.encode());
            self.refer(source, at, MAX_PAYLOAD);
            next.remaining -= MAX_PAYLOAD as u32;
            run -= 1;
        }
        self.copied.reserve(run * HEADER_LEN);
        for _ in 0..run {
            self.copied.extend_from_slice(&next.encode());
            next.remaining -= MAX_PAYLOAD as u32;
        }
        if let Some(last) = self.segments.back_mut() {
            last.run += run;
            self.len += run * FULL_PACKET;
        }
        next
    }

    /// The bytes in order, in slices.
    pub(super) fn slices(&self) -> Slices<'_> {
        let copied = &self.copied[self.copied_at..];
        Slices {
            window: self,
            segments: self.segments.iter(),
            copied,
            headers: &[],
            payloads: &[],
            next: &[],
        }
    }

    /// The first of the slices.
    pub(super) fn first(&self) -> &[u8] {
        let Some(segment) = self.segments.front() else { return &[] };
        match segment.copied {
            0 => &self.data(segment)[..segment.len],
            copied => &self.copied[self.copied_at..self.copied_at + copied],
        }
    }

    /// All that a segment has of its source.
    fn data(&self, segment: &Segment) -> &[u8] {
        if segment.len == 0 {
            return &[];
        }
        let source = self.sources.get(segment.source);
        source.map_or(&[], |source| &source.bytes.as_ref()[segment.at..segment.end()])
    }

    /// Forgets the first `count` bytes, or all where there are fewer; how many that were.
    pub(super) fn advance(&mut self, count: usize) -> usize {
        let count = count.min(self.len);
        self.len -= count;
        let mut left = count;
        while left > 0
            && let Some(segment) = self.segments.front_mut()
        {
            let copied = left.min(segment.copied);
            segment.copied -= copied;
            self.copied_at += copied;
            left -= copied;
            let data = left.min(segment.len);
            segment.at += data;
            segment.len -= data;
            left -= data;
            if segment.copied > 0 || segment.len > 0 {
                break;
            }
            if segment.run > 0 {
                let packets = segment.run.min(left / FULL_PACKET);
                segment.run -= packets;
                segment.at += packets * MAX_PAYLOAD;
                self.copied_at += packets * HEADER_LEN;
                left -= packets * FULL_PACKET;
                if segment.run > 0 {
                    segment.run -= 1;
                    (segment.copied, segment.len) = (HEADER_LEN, MAX_PAYLOAD);
                    continue;
                }
            }
            if let Some(Segment { source, at: 1.., .. }) = self.segments.pop_front() {
                self.let_go(source);
            }
        }
        self.reclaim();
        count
    }

    /// Forgets copied bytes that were taken, when it costs little, and keeps an idle connection small.
    fn reclaim(&mut self) {
        if self.is_empty() {
            self.copied.clear();
            self.copied_at = 0;
            if self.copied.capacity() > KEEP_AT_MOST {
                self.copied = Vec::new();
                self.segments = VecDeque::new();
            }
            if self.sources.is_empty() && self.sources.capacity() > 0 {
                self.sources = Slab::new();
            }
        } else if self.copied_at > MOVE_FROM {
            self.copied.drain(..self.copied_at);
            self.copied_at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use alloc::vec;

    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|n| n as u8).collect()
    }

    #[test]
    fn what_is_copied_lies_together_and_few_bytes_of_a_source_are_copied() {
        let mut window = Window::default();
        let source = window.keep(Bytes::from(bytes(1000)).into());
        window.copy(&[1, 2]);
        window.copy_all([&[3], &[], &[4, 5]]);
        window.refer(source, 10, COPY_AT_MOST);
        assert_eq!((window.slices().count(), window.len()), (1, 5 + COPY_AT_MOST));
        window.refer(source, 0, COPY_AT_MOST + 1);
        assert_eq!((window.slices().count(), window.segments.len()), (2, 1));
        window.copy(&[6]);
        assert_eq!((window.slices().count(), window.segments.len()), (3, 2));
        let sent: Vec<u8> = window.slices().flatten().copied().collect();
        let all = bytes(1000);
        let [few, many] = [&all[10..10 + COPY_AT_MOST], &all[..=COPY_AT_MOST]];
        assert_eq!(sent, [&[1, 2, 3, 4, 5], few, many, &[6]].concat());
    }

    #[test]
    fn a_run_is_one_segment_however_it_is_taken() {
        let message =
            Header { xid: crate::types::Xid(7), remaining: 8 * MAX_PAYLOAD as u32, opcode: 3, access: 0 };
        let data = bytes(9 * MAX_PAYLOAD);
        let mut sent = vec![1, 2, 3];
        let mut next = message;
        for packet in data[5..5 + 7 * MAX_PAYLOAD].chunks(MAX_PAYLOAD) {
            sent.extend([&next.encode(), packet].concat());
            next = next.continuation().unwrap();
        }
        for step in [1, 9, 10, 11, MAX_PAYLOAD, FULL_PACKET, FULL_PACKET + 3, 4000, sent.len()] {
            let mut window = Window::default();
            window.copy(&sent[..3]);
            let source = window.keep(Bytes::from(data.clone()).into());
            let fourth = window.add_packets(message, 3, source, 5);
            assert_eq!(fourth.remaining, 5 * MAX_PAYLOAD as u32);
            let last = window.add_packets(fourth, 4, source, 5 + 3 * MAX_PAYLOAD);
            assert_eq!((last, window.segments.len(), window.len()), (next, 1, sent.len()));
            window.let_go(source);
            let mut left = &sent[..];
            while !left.is_empty() {
                assert_eq!(window.slices().flatten().copied().collect::<Vec<_>>(), left);
                assert!(left.starts_with(window.first()) && !window.first().is_empty());
                let taken = window.advance(step);
                left = &left[taken..];
                assert_eq!((taken.min(step), window.len()), (taken, left.len()));
            }
            assert_eq!((window.advance(1), window.sources.len(), window.segments.len()), (0, 0, 0));
        }
        // Behind nothing but copied bytes it begins as any packet does.
        let mut window = Window::default();
        window.copy(&[1]);
        let source = window.keep(Bytes::from(data.clone()).into());
        window.add_packets(message, 1, source, 0);
        let sent = [&[1], &message.encode()[..], &data[..MAX_PAYLOAD]].concat();
        assert_eq!(window.slices().flatten().copied().collect::<Vec<_>>(), sent);
        // Other bytes of the source, and another source, are another run.
        let mut window = Window::default();
        let sources = [1, 2].map(|_| window.keep(Bytes::from(data.clone()).into()));
        for (source, at) in [(0, 0), (0, MAX_PAYLOAD + 1), (1, 2 * MAX_PAYLOAD + 1)] {
            window.add_packets(message, 1, sources[source], at);
        }
        assert_eq!((window.segments.len(), window.slices().count()), (3, 6));
    }

    #[test]
    fn what_was_taken_leaves_little_room() {
        let mut window = Window::default();
        for (len, room) in [(KEEP_AT_MOST, KEEP_AT_MOST), (KEEP_AT_MOST + 1, 0), (8, 8)] {
            window.copy(&bytes(len));
            assert_eq!(window.advance(len + 1), len);
            assert_eq!((window.copied.capacity(), window.copied.len(), window.copied_at), (room, 0, 0));
            assert_eq!(window.segments.capacity() > 0, room > 0);
        }
        let source = window.keep(Bytes::from(bytes(1000)).into());
        window.refer(source, 0, 1000);
        window.let_go(source);
        assert_eq!((window.advance(999), window.sources.len()), (999, 1));
        assert_eq!((window.advance(1), window.sources.capacity()), (1, 0));
    }

    #[test]
    fn a_reference_takes_no_more_than_is_said() {
        assert!(size_of::<Segment>() + SOURCE <= crate::config::REFERENCE);
    }

    #[test]
    fn copied_bytes_move_to_the_front_after_many() {
        let mut window = Window::default();
        let all = bytes(2 * MOVE_FROM);
        window.copy(&all);
        assert_eq!((window.advance(32 * 1024), window.copied_at), (32 * 1024, 32 * 1024));
        assert_eq!((window.advance(1), window.copied_at), (1, 0));
        assert_eq!(window.first(), &all[32 * 1024 + 1..]);
    }
}
