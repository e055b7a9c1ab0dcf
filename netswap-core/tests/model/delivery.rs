//! How bytes get to the server and from it, and how it is known at every moment which requests it has carried out.

use bytes::Buf;
use netswap_core::connection::Phase;
use netswap_core::error::Quota;

use crate::connection::{Header, Stage};
use crate::machine::Play;
use crate::memory::Memory;
use crate::operations::Cut;
use crate::support::wire::op;
use crate::terms::{Event, What};

impl Play {
    /// Brings what is on its way to the server, as far as it reads.
    pub(crate) fn deliver(&mut self, at: usize, cut: &Cut) {
        let mut turn = 0;
        loop {
            self.catch_up();
            if self.naive.store.undecided {
                return;
            }
            if self.stage(at) != Stage::Open {
                // Nobody minds what comes now.
                let rest = self.clients[at].pipe.drain(..).collect::<Vec<_>>().concat();
                self.clients[at].uploads.clear();
                if self.stage(at) != Stage::Closed && !rest.is_empty() {
                    self.world.send(self.clients[at].peer, rest);
                    self.settle();
                }
                return;
            }
            let client = &self.clients[at];
            if client.pipe.is_empty() || !self.world.wants_read(client.peer) {
                return;
            }
            match cut {
                Cut::Held(pieces) if turn >= pieces.len() => return,
                Cut::Packets(count) if client.arrived == 0 && self.batch(at, *count) > 1 => {
                    let batch = self.batch(at, *count);
                    self.send_batch(at, batch);
                }
                Cut::Packets(_) => self.send_piece(at, usize::MAX),
                Cut::Pieces(pieces) | Cut::Held(pieces) => self.send_piece(at, pieces[turn % pieces.len()]),
            }
            turn += 1;
        }
    }

    /// How many packets can be sent at once, so that it is clear afterwards how many of them were handled: not where
    /// watches may have something to say too.
    fn batch(&self, at: usize, most: usize) -> usize {
        let standing = self.naive.store.standing.iter();
        let watches = standing.filter(|((it, _), it_is)| *it == at && matches!(it_is.what, What::Watch(_)));
        if self.tight || watches.count() > 0 {
            return 1;
        }
        let plain = |packet: &&Vec<u8>| !matches!(packet[8], op::WATCH | op::ABORT);
        self.clients[at].pipe.iter().take(most).take_while(plain).count()
    }

    /// What is used before a request.
    fn memory(&self) -> (Memory, u64) {
        let statistics = self.world.statistics();
        let quiet = self.is_quiet();
        let memory = Memory { used: statistics.bytes, counted: 0, refused: false, quiet };
        (memory, statistics.counters.quota(Quota::ServerMemory))
    }

    /// Whether nothing waits to be sent to anybody.
    pub(crate) fn is_quiet(&self) -> bool {
        self.open().iter().all(|at| self.is_idle(*at))
    }

    pub(crate) fn is_idle(&self, at: usize) -> bool {
        let peer = self.clients[at].peer;
        self.world.phase(peer) == Phase::Closed || self.world.output(peer).is_empty()
    }

    /// Sends the next bytes, of one packet only.
    fn send_piece(&mut self, at: usize, most: usize) {
        let (mut memory, refused) = self.memory();
        let now = self.now();
        let client = &mut self.clients[at];
        let (packet, before) = (client.pipe[0].clone(), client.arrived);
        let after = before + most.min(packet.len() - before);
        client.arrived = after;
        self.world.send(client.peer, &packet[before..after]);
        memory.refused = self.memory().1 > refused;
        if before < 10 && after >= 10 {
            self.naive.header(at, Header::of(&packet), now);
        }
        if after == packet.len() {
            self.clients[at].pipe.pop_front();
            self.clients[at].arrived = 0;
            self.naive.packet(at, &packet[10..], memory, now);
        } else if self.stage(at) == Stage::Open {
            self.naive.stop_inside(at, now);
        }
        self.settle();
    }

    /// Sends whole packets at once. The server may not handle all of them now.
    fn send_batch(&mut self, at: usize, count: usize) {
        let client = &mut self.clients[at];
        let packets: Vec<_> = client.pipe.drain(..count).collect();
        let messages = self.world.output(client.peer).messages();
        self.world.send(client.peer, packets.concat());
        client.handed.extend(packets);
        let queued = self.world.output(self.clients[at].peer).messages() - messages;
        self.follow(at, queued);
        self.settle();
    }

    /// The server has queued so many messages for a client: which of its packets it has handled follows from that.
    fn follow(&mut self, at: usize, mut queued: usize) {
        let now = self.now();
        let (memory, _) = self.memory();
        let limits = &self.config.limits;
        let output = self.world.output(self.clients[at].peer);
        let room = output.messages() < limits.queued_replies as usize && output.len() < limits.queued_bytes;
        while let Some(packet) = self.clients[at].handed.pop_front() {
            if queued == 0 && !room {
                return self.clients[at].handed.push_front(packet);
            }
            self.naive.header(at, Header::of(&packet), now);
            self.naive.packet(at, &packet[10..], memory, now);
            if self.naive.store.undecided {
                return;
            }
            if self.stage(at) != Stage::Open {
                return self.clients[at].handed.clear();
            }
            let own = |event: &&Event| matches!(event, Event::Reply(it, _) if *it == at);
            let replies = self.naive.store.events.iter().filter(own).count();
            self.tell();
            queued = queued.checked_sub(replies).expect("as many replies as that");
        }
        assert_eq!(queued, 0, "more messages than requests have been handled");
    }

    /// A client reads at most so many bytes.
    pub(crate) fn take(&mut self, at: usize, mut count: usize) {
        while count > 0 && self.stage(at) != Stage::Closed && !self.naive.store.undecided {
            let peer = self.clients[at].peer;
            let output = self.world.output(peer);
            if !output.has_remaining() {
                return;
            }
            let piece = output.chunk().len().min(count);
            assert!(piece > 0, "{} bytes wait, and none can be sent", output.len());
            count -= piece;
            let left = output.messages() - output.completed_by(piece).count();
            for message in self.world.take_replies(peer, piece) {
                self.received.insert((message.code, message.access));
                self.clients[at].expected.receive(&message, &self.naive.store);
            }
            if self.world.phase(peer) != Phase::Closed && !self.clients[at].handed.is_empty() {
                let queued = self.world.output(peer).messages() - left;
                self.follow(at, queued);
            }
            self.settle();
        }
    }
}
