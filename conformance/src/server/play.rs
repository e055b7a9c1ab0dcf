//! Plays a case against any server, and says how it went.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use netswap_core::wire::Opcode;

use super::targets::Target;
use tokio::sync::Semaphore;

use super::tcp::{Listening, Pace};
use super::{Cuts, Failure, Mode, Problem, memory, tcp};
use crate::cases::{Action, Case, configure};
use crate::pattern::Names;
use crate::text::Scale;
use crate::verdict::Verdict;

/// By how much times are divided over TCP where time passes in a case.
const FASTER: u32 = 20;

/// By how much when a case that failed is played once more: machines are shared, and late.
const SLOWER_AGAIN: u32 = 4;

/// How long anything may take before it counts as not done.
const PATIENCE: Duration = Duration::from_secs(10);

/// Cases in which no time passes that are played at once against servers of this process: they wait for nothing but
/// each other.
static BUSY: Semaphore = Semaphore::const_new(8);

/// A server to play against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// One that is started for every case.
    Started(Target),
    /// One that runs already, and how long a case may let time pass there.
    Remote(SocketAddr, Duration),
}

impl Server {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Started(target) => target.name().into(),
            Self::Remote(address, _) => address.to_string(),
        }
    }

    /// Plays a case.
    pub async fn play(self, case: &Case, mode: Mode, seed: u64) -> Verdict<Box<Failure>> {
        if let Some(reason) = self.obstacle(case) {
            return Verdict::Skipped(reason);
        }
        let computes = matches!(self, Self::Started(_)) && case.time().is_zero();
        let _turn = if computes { BUSY.acquire().await.ok() } else { None };
        let target = match self {
            Self::Started(Target::Core) => return verdict(memory::play(case, mode, seed, None)),
            Self::Started(target) => target,
            Self::Remote(address, _) => {
                let pace = Pace { scale: Scale::TRUE, patience: PATIENCE };
                let cuts = Cuts::new(mode, seed, &case.id);
                let addresses =
                    if is_ipv4_loopback(address) { fresh_addresses(case) } else { BTreeMap::new() };
                return verdict(tcp::play(case, Listening::Remote(address, &addresses), cuts, pace).await);
            }
        };
        if case.time().is_zero() {
            return verdict(play_started(target, case, mode, seed, Scale::TRUE).await);
        }
        let Err(first) = play_started(target, case, mode, seed, Scale::divided_by(FASTER)).await else {
            return Verdict::Passed;
        };
        match play_started(target, case, mode, seed, Scale::divided_by(SLOWER_AGAIN)).await {
            Ok(()) => Verdict::PassedSlower(Box::new(first)),
            Err(failure) => Verdict::Failed(Box::new(failure)),
        }
    }

    /// Why a case cannot be played.
    fn obstacle(self, case: &Case) -> Option<String> {
        match self {
            Self::Started(Target::Core) => None,
            Self::Started(_) => (case.addresses().any(|it| it.is_ipv6()) && !has_ipv6())
                .then(|| "this machine has no IPv6".into()),
            Self::Remote(address, patience) => remote_obstacle(case, address, patience),
        }
    }
}

/// Starts a server and plays a case against it.
async fn play_started(
    target: Target,
    case: &Case,
    mode: Mode,
    seed: u64,
    scale: Scale,
) -> Result<(), Failure> {
    let config = configure(&case.config, scale, seed);
    let ipv6 = case.addresses().any(|address| address.is_ipv6());
    let running = target.start(config, ipv6).await.map_err(|error| {
        let (line, problem) = (case.line, Problem::Broken(format!("{error:#}")));
        Failure { line, problem, names: Names::new() }
    })?;
    let pace = Pace { scale, patience: PATIENCE };
    tcp::play(case, Listening::Started(&running), Cuts::new(mode, seed, &case.id), pace).await
}

fn verdict(played: Result<(), Failure>) -> Verdict<Box<Failure>> {
    played.map_or_else(|failure| Verdict::Failed(Box::new(failure)), |()| Verdict::Passed)
}

/// Why a case cannot be played against a server that runs already.
fn remote_obstacle(case: &Case, server: SocketAddr, patience: Duration) -> Option<String> {
    let first = case.addresses().next();
    let several = case.addresses().any(|address| Some(address) != first);
    if !case.config.is_empty() {
        return Some("needs a server with a configuration of its own".into());
    }
    if case.steps.iter().any(|step| matches!(step.action, Action::Stop)) {
        return Some("needs a server that can be stopped".into());
    }
    if case.time() > patience {
        return Some(format!("takes longer than {} s", patience.as_secs()));
    }
    if is_ipv4_loopback(server) {
        let ipv4 = case.addresses().all(|address| address.is_ipv4());
        return (!ipv4).then(|| "needs clients with IPv6 addresses".into());
    }
    if several {
        return Some("needs clients with several addresses".into());
    }
    case.sends(Opcode::ListRecords as u8).then(|| "needs a client that owns nothing yet".into())
}

fn is_ipv4_loopback(server: SocketAddr) -> bool {
    server.is_ipv4() && server.ip().is_loopback()
}

/// Loopback addresses that nobody else uses in place of those of a case, so that its clients own nothing yet.
fn fresh_addresses(case: &Case) -> BTreeMap<IpAddr, IpAddr> {
    static LAST: OnceLock<AtomicU32> = OnceLock::new();
    let last = LAST.get_or_init(|| AtomicU32::new(fastrand::u32(..)));
    let fresh = |address| {
        let number = last.fetch_add(1, Ordering::Relaxed);
        // The first and the last address of the network are nobody's, so 254 have the same beginning.
        let [_, _, one, two] = (number / 254).to_be_bytes();
        (address, Ipv4Addr::new(127, one, two, (number % 254 + 1) as u8).into())
    };
    let addresses: BTreeSet<IpAddr> = case.addresses().collect();
    addresses.into_iter().map(fresh).collect()
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}
