//! Clients that do what they like to a few records, and write it down.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use assurance::link::{Cut, Link};
use assurance::raw::loopback;
use assurance::servers::Adapter;
use bytes::Bytes;
use fastrand::Rng;
use futures_lite::future;
use netswap_adapter::client::{ConnectOptions, Error, ErrorKind};
use netswap_adapter::server::ServerOptions;
use netswap_core::client::Outcome;
use netswap_core::config::Limits;
use netswap_core::error::Refusal;
use netswap_core::types::{Access, Owner, Pointer, Version};

use crate::history::{Entry, History};
use crate::model::{Answer, Ask};

/// Records that are in use at one time.
const RECORDS: usize = 3;

/// A record that so many operations were begun on is left for a new one.
pub(crate) const MOST_ON_ONE: usize = 1400;

/// So is one of which so many answers were lost: each may be of any time after it, and doubles what is to be searched.
const LOST_ON_ONE: usize = 3;

/// What is played.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    /// Of each client.
    pub(crate) operations: usize,
    /// The mean number of operations between two cuts. With cuts, one client out of two connects over a link.
    pub(crate) cut_every: Option<usize>,
}

/// What was played.
pub(crate) struct Played {
    pub(crate) records: Vec<History>,
    pub(crate) cuts: usize,
}

/// The records in use, and those that were.
struct Table {
    slots: Vec<Mutex<Slot>>,
    /// The first entry of every record.
    created: Mutex<Vec<Entry>>,
    /// Which client an owner is.
    owners: Mutex<HashMap<Owner, usize>>,
    start: Instant,
    /// Operations that have ended, of all clients.
    ended: AtomicUsize,
    /// All begin at once.
    barrier: Barrier,
}

/// A place for a record. A new one is due when the old one had enough.
#[derive(Clone, Copy)]
struct Slot {
    pointer: Pointer,
    record: usize,
    begun: usize,
    lost: usize,
    gone: usize,
}

impl Slot {
    fn is_worn(&self) -> bool {
        self.begun >= MOST_ON_ONE || self.lost >= LOST_ON_ONE || self.gone >= 20
    }
}

impl Table {
    fn now(&self) -> i64 {
        self.start.elapsed().as_nanos() as i64
    }
}

/// A client of any adapter.
trait Caller {
    async fn connect(options: ConnectOptions) -> Self;
    async fn owner(&self) -> Result<Owner, Error>;
    async fn create(&self, data: Bytes) -> Result<Pointer, Error>;
    async fn ask(&self, pointer: Pointer, ask: &Ask, table: &Table) -> Result<Answer, Error>;
}

/// The calls are the same in all three adapters, but for the waiting.
macro_rules! calls {
    ($client:ty, $connect:expr, $($wait:tt)*) => {
        impl Caller for $client {
            async fn connect(options: ConnectOptions) -> Self {
                $connect(options).await
            }

            async fn owner(&self) -> Result<Owner, Error> {
                Ok(self.identify() $($wait)* ?.owner)
            }

            async fn create(&self, data: Bytes) -> Result<Pointer, Error> {
                self.create(data, Access::all()) $($wait)*
            }

            async fn ask(&self, pointer: Pointer, ask: &Ask, table: &Table) -> Result<Answer, Error> {
                let written = |version: Version| Answer::Written(version.0);
                Ok(match ask.clone() {
                    Ask::Create(_) => unreachable!("there is no pointer before"),
                    Ask::Resolve => Answer::Data(self.resolve(pointer) $($wait)* ?),
                    Ask::ResolveIfChanged(has) => {
                        let has = (has > 0).then_some(Version(has));
                        match self.resolve_if_changed(pointer, has) $($wait)* ? {
                            None => Answer::NotModified,
                            Some(snapshot) => Answer::Changed(snapshot.version.0, snapshot.data),
                        }
                    }
                    Ask::ReadRange(offset, len) => {
                        let range = self.read_range(pointer, offset, len) $($wait)* ?;
                        Answer::Range(range.version.0, range.record_len, range.data)
                    }
                    Ask::Stat => {
                        let stat = self.stat(pointer) $($wait)* ?;
                        let owner = table.owners.lock().unwrap()[&stat.owner];
                        Answer::Stat(stat.len, stat.version.0, owner, stat.access.bits())
                    }
                    Ask::Replace(data) => written(self.replace(pointer, data) $($wait)* ?),
                    Ask::CompareAndReplace(version, data) => {
                        written(self.compare_and_replace(pointer, Version(version), data) $($wait)* ?)
                    }
                    Ask::WriteRange(offset, data) => {
                        written(self.write_range(pointer, offset, data) $($wait)* ?)
                    }
                    Ask::Append(data) => {
                        let appended = self.append(pointer, data) $($wait)* ?;
                        Answer::Appended(appended.version.0, appended.offset)
                    }
                    Ask::FetchAdd(offset, delta) => {
                        let added = self.fetch_add(pointer, offset, delta) $($wait)* ?;
                        Answer::Added(added.version.0, added.value)
                    }
                    Ask::Takeover => self.takeover(pointer) $($wait)* .map(|()| Answer::Done)?,
                    Ask::SetPermissions(access) => {
                        let access = Access::from_bits_retain(access);
                        self.set_permissions(pointer, access) $($wait)* .map(|()| Answer::Done)?
                    }
                    Ask::Delete => self.delete(pointer) $($wait)* .map(|()| Answer::Done)?,
                })
            }
        }
    };
}

calls!(netswap_tokio::Client, async |options| netswap_tokio::Client::connect(options).await.unwrap(), .await);
calls!(netswap_smol::Client, connect_smol, .await);
calls!(netswap_blocking::Client, async |options| netswap_blocking::Client::connect(options).unwrap(),);

async fn connect_smol(options: ConnectOptions) -> netswap_smol::Client {
    let (client, driver) = netswap_smol::Client::connect(options).await.unwrap();
    thread::spawn(|| async_io_block_on(driver));
    client
}

fn async_io_block_on(driver: netswap_smol::Driver) {
    let _ = future::block_on(driver.run());
}

/// Plays a plan with servers and clients of one adapter.
pub(crate) fn play(adapter: Adapter, plan: &Plan) -> Played {
    let server = adapter.start(ServerOptions::default().limits(Limits::new(256 << 20)));
    let table = Table {
        slots: (0..RECORDS)
            .map(|_| {
                Mutex::new(Slot { pointer: Pointer(0), record: 0, begun: MOST_ON_ONE, lost: 0, gone: 0 })
            })
            .collect(),
        created: Mutex::default(),
        owners: Mutex::default(),
        start: Instant::now(),
        ended: AtomicUsize::new(0),
        barrier: Barrier::new(plan.clients + 1),
    };
    let linked = |number: usize| plan.cut_every.is_some() && number.is_multiple_of(2);
    let links: Vec<_> =
        (0..plan.clients).map(|n| linked(n).then(|| Link::start(loopback(n), server.address))).collect();
    let (mut logs, done) = (Vec::new(), AtomicBool::new(false));
    let cuts = thread::scope(|scope| {
        let cutting = scope.spawn(|| {
            // A link that is cut at the very first makes no client.
            table.barrier.wait();
            cut(plan, &links, &table.ended, &done)
        });
        let players: Vec<_> = (0..plan.clients)
            .map(|number| {
                let address = links[number].as_ref().map_or(server.address, |link| link.address);
                let table = &table;
                scope.spawn(move || player(adapter, plan, number, address, table))
            })
            .collect();
        logs.extend(players.into_iter().map(|player| player.join().unwrap()));
        done.store(true, Relaxed);
        cutting.join().unwrap()
    });
    let mut records: Vec<_> =
        table.created.into_inner().unwrap().into_iter().map(|entry| History(vec![entry])).collect();
    for (record, entry) in logs.into_iter().flatten() {
        records[record].0.push(entry);
    }
    records.iter_mut().for_each(|history| history.0.sort_by_key(|entry| entry.asked));
    assert_eq!(server.handle.statistics().traffic.panics, 0);
    Played { records, cuts }
}

/// Cuts one link after the other until all is done, and returns the number of cuts.
///
/// The cuts follow the operations, not the clock, so that a fast machine sees as many as a slow one.
fn cut(plan: &Plan, links: &[Option<Link>], ended: &AtomicUsize, done: &AtomicBool) -> usize {
    let (Some(every), mut random) = (plan.cut_every, Rng::with_seed(plan.seed)) else { return 0 };
    let (mut cuts, mut next) = (0, random.usize(..2 * every));
    while !done.load(Relaxed) {
        if ended.load(Relaxed) < next {
            thread::sleep(Duration::from_micros(100));
            continue;
        }
        next += random.usize(..2 * every);
        if let Some(link) = random.choice(links).and_then(Option::as_ref) {
            link.cut(*random.choice(&[Cut::End, Cut::Reset, Cut::Answers]).unwrap());
            cuts += 1;
        }
    }
    cuts
}

type Log = Vec<(usize, Entry)>;

fn player(adapter: Adapter, plan: &Plan, number: usize, address: SocketAddr, table: &Table) -> Log {
    let mut options = ConnectOptions::new(address.to_string())
        .reconnect_delays(Duration::from_millis(1), Duration::from_millis(20));
    if plan.cut_every.is_none() || !number.is_multiple_of(2) {
        options = options.bind(loopback(number));
    }
    match adapter {
        Adapter::Tokio => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(operate::<netswap_tokio::Client>(plan, number, options, table))
        }
        Adapter::Smol => future::block_on(operate::<netswap_smol::Client>(plan, number, options, table)),
        Adapter::Blocking => {
            future::block_on(operate::<netswap_blocking::Client>(plan, number, options, table))
        }
    }
}

async fn operate<C: Caller>(plan: &Plan, number: usize, options: ConnectOptions, table: &Table) -> Log {
    let (mut log, mut known) = (Log::new(), HashMap::<usize, u64>::new());
    let mut random = Rng::with_seed(plan.seed << 8 | number as u64);
    let client = C::connect(options).await;
    let owner = client.owner().await.unwrap();
    table.owners.lock().unwrap().insert(owner, number);
    table.barrier.wait();
    for _ in 0..plan.operations {
        let at = random.usize(..RECORDS);
        let Some(slot) = take(&client, number, &table.slots[at], table, &mut random).await else { continue };
        let version = known.entry(slot.record).or_default();
        let ask = choose(&mut random, *version);
        let asked = table.now();
        let result = client.ask(slot.pointer, &ask, table).await;
        let mut answered = table.now();
        table.ended.fetch_add(1, Relaxed);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => match failed(&error) {
                Some(answer) => answer,
                // Nothing has happened, says the client: if that is not so, the history will not fit together.
                None => continue,
            },
        };
        if answer == Answer::Lost {
            answered = i64::MAX;
        }
        *version = seen(&answer).unwrap_or(*version);
        let mut now = table.slots[at].lock().unwrap();
        if now.record == slot.record {
            now.lost += usize::from(answer == Answer::Lost);
            now.gone += usize::from(answer == Answer::NotThere && !matches!(ask, Ask::FetchAdd(..)));
        }
        drop(now);
        log.push((slot.record, Entry { client: number, ask, answer, asked, answered }));
    }
    log
}

/// The record of a place, for one operation; a new one where it is due. `None` where creating it went wrong.
async fn take<C: Caller>(
    client: &C,
    number: usize,
    slot: &Mutex<Slot>,
    table: &Table,
    random: &mut Rng,
) -> Option<Slot> {
    let now = *slot.lock().unwrap();
    if now.is_worn() {
        let data = value(random, 4);
        let asked = table.now();
        let pointer = client.create(data.clone()).await.ok()?;
        let answered = table.now();
        let mut slot = slot.lock().unwrap();
        if slot.is_worn() {
            let mut created = table.created.lock().unwrap();
            let (ask, answer) = (Ask::Create(data), Answer::Done);
            created.push(Entry { client: number, ask, answer, asked, answered });
            *slot = Slot { pointer, record: created.len() - 1, begun: 0, lost: 0, gone: 0 };
        }
    }
    let mut slot = slot.lock().unwrap();
    slot.begun += 1;
    Some(*slot)
}

/// What an error says about what happened; `None` where nothing has.
fn failed(error: &Error) -> Option<Answer> {
    match error {
        Error::Refused(Refusal::AccessViolation) => Some(Answer::NotAllowed),
        Error::Refused(Refusal::AddressFault) => Some(Answer::NotThere),
        Error::Refused(Refusal::VersionMismatch { current }) => Some(Answer::Mismatch(current.0)),
        error => {
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::ConnectionLost | ErrorKind::TimedOut), "{error}");
            (error.outcome() == Outcome::Unknown).then_some(Answer::Lost)
        }
    }
}

/// The version that an answer tells of.
fn seen(answer: &Answer) -> Option<u64> {
    match answer {
        Answer::Changed(version, _)
        | Answer::Range(version, ..)
        | Answer::Stat(_, version, ..)
        | Answer::Written(version)
        | Answer::Appended(version, _)
        | Answer::Added(version, _)
        | Answer::Mismatch(version) => Some(*version),
        _ => None,
    }
}

/// Data that nobody else writes, of so many times 8 bytes.
fn value(random: &mut Rng, words: usize) -> Bytes {
    (0..words).flat_map(|_| random.u64(..).to_be_bytes()).collect()
}

fn choose(random: &mut Rng, known: u64) -> Ask {
    // Some requests and replies are longer than a packet.
    let some = |random: &mut Rng| {
        let words = if random.u8(..20) == 0 { random.usize(170..500) } else { random.usize(..8) };
        value(random, words)
    };
    let offset = |random: &mut Rng| random.u32(..8) * 8;
    match random.u32(..1000) {
        0..100 => Ask::Resolve,
        100..200 => Ask::ResolveIfChanged(if random.bool() { 0 } else { known }),
        200..350 => Ask::ReadRange(offset(random), *random.choice(&[1, 8, 100, u32::MAX]).unwrap()),
        350..430 => Ask::Stat,
        430..530 => Ask::Replace(some(random)),
        530..630 => Ask::CompareAndReplace(known, some(random)),
        630..730 => Ask::WriteRange(offset(random), some(random)),
        730..800 => Ask::Append(some(random)),
        800..880 => Ask::FetchAdd(offset(random), random.i64(..)),
        880..930 => Ask::Takeover,
        930..997 => Ask::SetPermissions(*random.choice(&[7, 7, 7, 7, 3, 5, 6, 4]).unwrap()),
        _ => Ask::Delete,
    }
}
