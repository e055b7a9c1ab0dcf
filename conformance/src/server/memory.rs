//! Plays a case against the core in memory, in simulated time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Buf;
use netswap_core::connection::Phase;
use netswap_core::engine::ConnectionId;
use netswap_core::server::Server;
use netswap_core::time::Instant;

use super::expect::{Expectation, nothing, silence};
use super::{Cuts, Failure, Mode, PING, Problem};
use crate::cases::{Action, Case, Name, configure};
use crate::pattern::Names;
use crate::text::Scale;

/// A wrong byte in what a connection receives, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The connection.
    pub who: Name,
    /// Which of all the bytes that it receives.
    pub offset: usize,
}

/// Plays a case.
///
/// # Errors
///
/// The step at which the core does not do what the case says.
pub fn play(case: &Case, mode: Mode, seed: u64, fault: Option<Fault>) -> Result<(), Failure> {
    let failure = |line, problem, names| Failure { line, problem, names };
    let config = configure(&case.config, Scale::TRUE, seed);
    let server = Server::new(config).map_err(|error| {
        failure(case.line, Problem::Broken(format!("the server does not start: {error}")), Names::new())
    })?;
    let cuts = Cuts::new(mode, seed, &case.id);
    let mut world =
        World { server, now: Instant::ZERO, clients: BTreeMap::new(), names: Names::new(), cuts, fault };
    for step in &case.steps {
        if let Err(problem) = world.step(&step.action) {
            return Err(failure(step.line, problem, world.names));
        }
    }
    Ok(())
}

/// A server, its clients, and the time.
struct World {
    server: Server,
    now: Instant,
    clients: BTreeMap<Name, Client>,
    names: Names,
    cuts: Cuts,
    fault: Option<Fault>,
}

struct Client {
    /// `None` where the server closed the connection before it said anything.
    id: Option<ConnectionId>,
    /// What has come and was not expected yet.
    received: Vec<u8>,
    /// How many bytes have come in all.
    count: usize,
    reads: bool,
}

impl World {
    fn step(&mut self, action: &Action) -> Result<(), Problem> {
        match action {
            Action::Open(who, address) => self.open(*who, *address),
            Action::Send(who, pattern) => {
                let unknown = |at| Problem::Broken(format!("byte {at} of what {who} sends is not known"));
                let bytes = pattern.to_send(&self.names, Scale::TRUE).map_err(unknown)?;
                self.send(*who, &bytes);
            }
            Action::Receive(who, _) | Action::ReceiveAnyOrder(who, _) => {
                if let Some(expectation) = Expectation::of(action, &self.names, Scale::TRUE) {
                    let received = self.take(*who, expectation.len());
                    expectation.settle(&received, &mut self.names).map_err(Problem::Differs)?;
                }
            }
            Action::Silent(who) => self.silent(*who)?,
            Action::StayOpen(who) => {
                self.silent(*who)?;
                self.leave(*who);
            }
            Action::HalfClose(who) => {
                if let Some(id) = self.id(*who) {
                    self.server.handle_eof(id, self.now);
                }
            }
            Action::Reset(who) => self.disconnect(*who),
            Action::StopReading(who) => self.reads(*who, false),
            Action::Read(who) => self.reads(*who, true),
            Action::Pass(time) => self.pass(*time),
            Action::Closed(who) => {
                let received = self.take(*who, usize::MAX);
                nothing(*who, &received).map_err(Problem::Differs)?;
                self.ended(*who)?;
                self.leave(*who);
            }
            Action::Dropped(who) => {
                self.reads(*who, true);
                self.gather();
                self.ended(*who)?;
                self.leave(*who);
            }
            Action::Stop => self.server.handle_shutdown(self.now),
        }
        self.gather();
        Ok(())
    }

    fn open(&mut self, who: Name, address: IpAddr) {
        let id = self.server.connect(address, self.now).map(|peer| peer.id);
        self.clients.insert(who, Client { id, received: Vec::new(), count: 0, reads: true });
    }

    fn send(&mut self, who: Name, bytes: &[u8]) {
        let mut rest = bytes;
        for len in self.cuts.pieces(bytes.len()) {
            let (piece, after) = rest.split_at(len);
            if let Some(id) = self.id(who) {
                self.server.handle_input(id, piece, self.now);
            }
            self.gather();
            rest = after;
        }
    }

    /// What has come, at most so many bytes.
    fn take(&mut self, who: Name, most: usize) -> Vec<u8> {
        let Some(client) = self.clients.get_mut(&who) else { return Vec::new() };
        let len = most.min(client.received.len());
        client.received.drain(..len).collect()
    }

    fn silent(&mut self, who: Name) -> Result<(), Problem> {
        self.send(who, &PING);
        let received = self.take(who, usize::MAX);
        if received.is_empty() && self.phase(who) != Phase::Open {
            let found = "the server has ended the connection".into();
            return Err(Problem::Ending { who, expected: "should be open", found });
        }
        silence(who, &received).map_err(Problem::Differs)
    }

    fn reads(&mut self, who: Name, reads: bool) {
        if let Some(client) = self.clients.get_mut(&who) {
            client.reads = reads;
        }
    }

    /// Lets time pass, and does what becomes due when it becomes due.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.gather();
            if self.server.poll_timeout() == Some(due) {
                break;
            }
        }
        self.now = until;
    }

    fn ended(&self, who: Name) -> Result<(), Problem> {
        if self.phase(who) == Phase::Open {
            let found = "the server has not ended the connection".into();
            return Err(Problem::Ending { who, expected: "should be closed", found });
        }
        Ok(())
    }

    /// The client ends the connection in order.
    fn leave(&mut self, who: Name) {
        if let Some(id) = self.id(who) {
            self.server.handle_eof(id, self.now);
        }
        self.disconnect(who);
    }

    fn disconnect(&mut self, who: Name) {
        if let Some(id) = self.clients.get_mut(&who).and_then(|client| client.id.take()) {
            self.server.disconnect(id, self.now);
        }
    }

    /// All clients that read take what there is for them, and sockets are closed that the server is done with.
    fn gather(&mut self) {
        loop {
            let mut taken = false;
            for (who, client) in self.clients.iter_mut().filter(|(_, client)| client.reads) {
                let Some(id) = client.id else { continue };
                while let Some(output) = self.server.output(id).filter(|output| output.has_remaining()) {
                    let chunk = output.chunk();
                    let (before, len) = (client.received.len(), chunk.len());
                    client.received.extend_from_slice(chunk);
                    self.server.sent(id, len, self.now);
                    if let Some(fault) = self.fault.filter(|fault| fault.who == *who)
                        && let Some(at) = fault.offset.checked_sub(client.count).filter(|at| *at < len)
                    {
                        client.received[before + at] ^= 0x20;
                    }
                    client.count += len;
                    taken = true;
                }
            }
            for id in self.server.closed() {
                self.server.disconnect(id, self.now);
                taken = true;
            }
            if !taken {
                return;
            }
        }
    }

    fn id(&self, who: Name) -> Option<ConnectionId> {
        self.clients.get(&who)?.id
    }

    fn phase(&self, who: Name) -> Phase {
        let connection = self.id(who).and_then(|id| self.server.connection(id));
        connection.map_or(Phase::Closed, |connection| connection.phase())
    }
}
