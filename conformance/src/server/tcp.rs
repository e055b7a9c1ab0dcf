//! Plays a case over TCP against a server that listens somewhere.

mod client;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::expect::{Expectation, nothing, silence};
use super::targets::Running;
use super::{Cuts, Failure, PING, PONG, Problem};
use crate::cases::{Action, Case, Name};
use crate::pattern::{Names, Pattern};
use crate::text::Scale;
use client::{Client, End};

/// How long something that is wrong already is given to become complete, so that all of it can be shown.
const AFTERMATH: Duration = Duration::from_millis(200);

/// How long the end of a connection may take that is due because time has passed. Less than what a case leaves between
/// a deadline and its end, so that a server that is late is found out.
const PROMPT: Duration = Duration::from_millis(500);

/// How many pieces a send may have before it counts as long.
const MANY_PIECES: usize = 32;

/// Long sends at one time. All at once would each take as long as all together, and count as too slow.
static LONG_SENDS: Semaphore = Semaphore::const_new(2);

/// Cases with times that are in what they do before the first time passes. Would all begin at once, the first of those
/// times would be over before some of them could look.
static BEGINNINGS: Semaphore = Semaphore::const_new(4);

/// A server that listens.
#[derive(Clone, Copy)]
pub enum Listening<'a> {
    /// One that was started for this case: on loopback, or on all addresses of both versions.
    Started(&'a Running),
    /// One that was started, and is reached like that through another port of this machine.
    Relayed(&'a Running, u16),
    /// One that runs somewhere; and the addresses that clients bind in place of those of the case, or none, so that
    /// the system chooses.
    Remote(SocketAddr, &'a BTreeMap<IpAddr, IpAddr>),
}

impl Listening<'_> {
    /// Where a client with this address reaches it.
    fn reached_from(self, client: IpAddr) -> SocketAddr {
        let port = match self {
            Self::Started(server) => server.port,
            Self::Relayed(_, port) => port,
            Self::Remote(address, _) => return address,
        };
        match client {
            IpAddr::V4(_) => (Ipv4Addr::LOCALHOST, port).into(),
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
                (Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port).into()
            }
            IpAddr::V6(_) => (Ipv6Addr::LOCALHOST, port).into(),
        }
    }

    /// The address that a client binds; `None` where the system is to choose.
    fn bound_by(self, client: IpAddr) -> Option<IpAddr> {
        match self {
            Self::Remote(_, addresses) => addresses.get(&client).copied(),
            _ => Some(client),
        }
    }
}

/// How a case is played.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// By how much times are divided.
    pub scale: Scale,
    /// How long anything may take before it counts as not done.
    pub patience: Duration,
}

/// Plays a case.
///
/// # Errors
///
/// The step at which the server does not do what the case says.
pub async fn play(case: &Case, server: Listening<'_>, cuts: Cuts, pace: Pace) -> Result<(), Failure> {
    let (clients, names) = (BTreeMap::new(), Names::new());
    let mut table = Table { case, server, clients, names, cuts, pace, end_patience: pace.patience };
    let mut beginning = if case.time().is_zero() { None } else { BEGINNINGS.acquire().await.ok() };
    for step in &case.steps {
        let passes = matches!(step.action, Action::Pass(_));
        beginning = beginning.filter(|_| !passes);
        if let Err(problem) = table.step(&step.action).await {
            return Err(Failure { line: step.line, problem, names: table.names });
        }
        table.end_patience = if passes { pace.patience.min(PROMPT) } else { pace.patience };
    }
    Ok(())
}

/// The clients of a case.
struct Table<'a> {
    case: &'a Case,
    server: Listening<'a>,
    clients: BTreeMap<Name, Client>,
    names: Names,
    cuts: Cuts,
    pace: Pace,
    /// How long the server may take to end a connection in the present step.
    end_patience: Duration,
}

impl Table<'_> {
    async fn step(&mut self, action: &Action) -> Result<(), Problem> {
        match action {
            Action::Open(who, address) => self.open(*who, *address).await,
            Action::Send(who, pattern) => self.send(*who, pattern).await,
            Action::Receive(who, _) | Action::ReceiveAnyOrder(who, _) => self.receive(*who, action).await,
            Action::Silent(who) => self.silent(*who).await,
            Action::StayOpen(who) => {
                self.silent(*who).await?;
                self.leave(*who);
                Ok(())
            }
            Action::HalfClose(who) => {
                self.client(*who)?.half_close();
                Ok(())
            }
            Action::Reset(who) => {
                if let Some(client) = self.clients.remove(who) {
                    client.reset().await;
                }
                Ok(())
            }
            Action::StopReading(who) => {
                self.client(*who)?.set_reading(false);
                Ok(())
            }
            Action::Read(who) => {
                self.client(*who)?.set_reading(true);
                Ok(())
            }
            Action::Pass(time) => {
                tokio::time::sleep(self.pace.scale.time(*time)).await;
                Ok(())
            }
            Action::Closed(who) => self.closed(*who).await,
            Action::Dropped(who) => self.dropped(*who).await,
            Action::Stop => match self.server {
                Listening::Started(server) | Listening::Relayed(server, _) => {
                    server.stop();
                    Ok(())
                }
                _ => Err(Problem::Broken("this server cannot be told to stop".into())),
            },
        }
    }

    async fn open(&mut self, who: Name, address: IpAddr) -> Result<(), Problem> {
        let stops_reading = |action: &Action| matches!(action, Action::StopReading(it) if *it == who);
        let short_queue = self.case.steps.iter().any(|step| stops_reading(&step.action));
        let (server, bound) = (self.server.reached_from(address), self.server.bound_by(address));
        let opening = Client::open(bound, server, short_queue);
        let opened = match tokio::time::timeout(self.pace.patience, opening).await {
            Ok(opened) => {
                opened.map_err(|error| format!("cannot connect from {address} to {server}: {error}"))
            }
            Err(_) => {
                Err(format!("no connection from {address} to {server} within {:?}", self.pace.patience))
            }
        };
        self.clients.insert(who, opened.map_err(Problem::Broken)?);
        Ok(())
    }

    async fn send(&mut self, who: Name, pattern: &Pattern) -> Result<(), Problem> {
        let unknown = |at| Problem::Broken(format!("byte {at} of what {who} sends is not known"));
        let bytes = pattern.to_send(&self.names, self.pace.scale).map_err(unknown)?;
        let pieces = self.cuts.pieces(bytes.len());
        self.send_bytes(who, &bytes, &pieces).await
    }

    async fn send_bytes(&mut self, who: Name, bytes: &[u8], pieces: &[usize]) -> Result<(), Problem> {
        let patience = self.pace.patience;
        let long = pieces.len() > MANY_PIECES;
        let _turn = if long { LONG_SENDS.acquire().await.ok() } else { None };
        let sending = self.client(who)?.send(bytes, pieces);
        tokio::time::timeout(patience, sending).await.map_err(|_| {
            Problem::Broken(format!("the server did not take within {patience:?} what {who} sends"))
        })
    }

    async fn receive(&mut self, who: Name, action: &Action) -> Result<(), Problem> {
        let Some(expectation) = Expectation::of(action, &self.names, self.pace.scale) else { return Ok(()) };
        let patience = self.pace.patience;
        let client = self.client(who)?;
        let (mut checked, mut missed) = (0, false);
        let waiting = client.wait_until(|received, ended| {
            missed = missed || expectation.is_missed(received, checked);
            checked = received.len();
            missed || ended.is_some() || received.len() >= expectation.len()
        });
        let in_time = tokio::time::timeout(patience, waiting).await.is_ok();
        if missed {
            tokio::time::sleep(AFTERMATH).await;
        }
        let (received, ended) = client.take(expectation.len());
        expectation.settle(&received, &mut self.names).map_err(|mut difference| {
            if received.len() < expectation.len() && difference.note.is_none() {
                difference.note = match ended {
                    Some(end) => Some(format!("nothing more came: {end}")),
                    None if !in_time => Some(format!("nothing more came within {patience:?}")),
                    None => None,
                };
            }
            Problem::Differs(difference)
        })
    }

    async fn silent(&mut self, who: Name) -> Result<(), Problem> {
        let pieces = self.cuts.pieces(PING.len());
        self.send_bytes(who, &PING, &pieces).await?;
        let patience = self.pace.patience;
        let client = self.client(who)?;
        let waiting = client.wait_until(|received, ended| ended.is_some() || received.ends_with(&PONG));
        let in_time = tokio::time::timeout(patience, waiting).await.is_ok();
        let (received, ended) = client.take(usize::MAX);
        if let (true, Some(end)) = (received.is_empty(), ended) {
            return Err(Problem::Ending { who, expected: "should be open", found: end.to_string() });
        }
        silence(who, &received).map_err(|mut difference| {
            if !in_time {
                difference.note = Some(format!("no answer to a PING within {patience:?}"));
            }
            Problem::Differs(difference)
        })
    }

    async fn closed(&mut self, who: Name) -> Result<(), Problem> {
        let patience = self.end_patience;
        let client = self.client(who)?;
        let waiting = client.wait_until(|received, ended| ended.is_some() || !received.is_empty());
        let in_time = tokio::time::timeout(patience, waiting).await.is_ok();
        let (mut received, ended) = client.take(usize::MAX);
        if !received.is_empty() {
            tokio::time::sleep(AFTERMATH).await;
            received.extend(client.take(usize::MAX).0);
        }
        nothing(who, &received).map_err(Problem::Differs)?;
        let ending = |found| Problem::Ending { who, expected: "should be closed in order", found };
        match ended {
            Some(End::InOrder) => {
                self.leave(who);
                Ok(())
            }
            Some(end) => Err(ending(end.to_string())),
            None if in_time => Err(ending("the server has not ended the connection".into())),
            None => Err(ending(format!("the server has not ended the connection within {patience:?}"))),
        }
    }

    async fn dropped(&mut self, who: Name) -> Result<(), Problem> {
        let patience = self.end_patience;
        let client = self.client(who)?;
        client.set_reading(true);
        let waiting = client.wait_until(|_, ended| ended.is_some());
        if tokio::time::timeout(patience, waiting).await.is_err() {
            let found = format!("the server has not ended the connection within {patience:?}");
            return Err(Problem::Ending { who, expected: "should have been dropped", found });
        }
        self.leave(who);
        Ok(())
    }

    /// The client closes its side.
    fn leave(&mut self, who: Name) {
        self.clients.remove(&who);
    }

    fn client(&mut self, who: Name) -> Result<&mut Client, Problem> {
        self.clients.get_mut(&who).ok_or_else(|| Problem::Broken(format!("{who} is not connected")))
    }
}
