//! A wrong byte in what a server says is found, wherever it is, and the report names its field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use conformance::cases::{self, Action, Case, Name, configure};
use conformance::pattern::Names;
use conformance::report;
use conformance::server::memory::{self, Fault};
use conformance::server::targets::{Running, Target};
use conformance::server::tcp::{self, Listening, Pace};
use conformance::server::{Cuts, Failure, Mode, PONG, Problem};
use conformance::text::Scale;
use conformance::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

fn all_cases() -> Vec<Case> {
    cases::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("server")).unwrap()
}

/// In a long case only so many bytes are tried, evenly spread.
const AT_MOST: usize = 30;

/// A byte that a case says must be received, and the field that it is in.
#[derive(Clone, Copy, Debug)]
struct Place {
    who: Name,
    offset: usize,
    field: &'static str,
}

/// The bytes of every packet's header, and its last byte, as far as the case knows them.
fn places(case: &Case) -> Vec<Place> {
    let mut places = Vec::new();
    let everybody: BTreeSet<Name> = case.steps.iter().filter_map(|step| step.action.who()).collect();
    for who in everybody {
        let mut start = 0;
        for step in case.steps.iter().filter(|step| step.action.who() == Some(who)) {
            match &step.action {
                Action::Receive(_, pattern) => {
                    let bytes = pattern.bytes(&Names::new(), Scale::TRUE);
                    for packet in wire::packets(&bytes) {
                        let range = packet.range;
                        let last = (range.end - 1 - range.start).max(wire::HEADER - 1);
                        for at in [0, 3, 4, 7, 8, 9, last] {
                            if bytes.get(range.start + at).copied().flatten().is_some() {
                                let field = match at {
                                    0..4 => "XID",
                                    4..8 => "REMAINING",
                                    8 => "OPCODE",
                                    9 => "ACCESS",
                                    _ => "the payload",
                                };
                                places.push(Place { who, offset: start + range.start + at, field });
                            }
                        }
                    }
                    start += bytes.len();
                }
                Action::ReceiveAnyOrder(_, pattern) => start += pattern.len(),
                Action::Silent(_) | Action::StayOpen(_) => start += PONG.len(),
                _ => {}
            }
        }
    }
    places.dedup_by_key(|place| (place.who, place.offset));
    places
}

/// The failure is at this place, and says so.
fn assert_found(case: &Case, place: Place, played: Result<(), Failure>) {
    let Err(failure) = played else { panic!("{} passes with a wrong byte: {place:?}", case.id) };
    let text = report::failure(case, "faulty", Mode::Whole, 0, &failure);
    assert!(matches!(failure.problem, Problem::Differs(_)), "{place:?}: {text}");
    assert!(text.contains(&format!("first in {} ", place.field)), "{place:?}: {text}");
    assert!(text.contains(&case.id) && text.contains(&case.title), "{text}");
}

#[test]
fn in_the_core() {
    let mut planted = 0;
    for case in all_cases() {
        let places = places(&case);
        for place in places.iter().copied().step_by(places.len() / AT_MOST + 1) {
            let fault = Fault { who: place.who, offset: place.offset };
            assert_found(&case, place, memory::play(&case, Mode::Whole, 1, Some(fault)));
            planted += 1;
        }
    }
    assert!(planted > 1000, "{planted}");
}

/// One wrong byte in each case without times, over TCP.
#[tokio::test]
async fn in_every_adapter() {
    let targets = Target::ALL.into_iter().filter(|target| *target != Target::Core);
    let mut plays = JoinSet::new();
    for target in targets {
        for (number, case) in all_cases().into_iter().enumerate() {
            if !case.time().is_zero() || case.addresses().any(|it| it.is_ipv6()) {
                continue;
            }
            let places = places(&case);
            if places.is_empty() {
                continue;
            }
            let place = places[number * 7 % places.len()];
            plays.spawn(async move {
                let server = target.start(configure(&case.config, Scale::TRUE, 1), false).await.unwrap();
                let port = relay(&server, connection(&case, place.who), place.offset).await;
                let pace = Pace { scale: Scale::TRUE, patience: std::time::Duration::from_secs(10) };
                let cuts = Cuts::new(Mode::Whole, 0, &case.id);
                let played = tcp::play(&case, Listening::Relayed(&server, port), cuts, pace).await;
                assert_found(&case, place, played);
            });
        }
    }
    let count = plays.len();
    assert!(count > 100, "{count}");
    while let Some(ended) = plays.join_next().await {
        ended.unwrap();
    }
}

/// Which of a case's connections it is.
fn connection(case: &Case, who: Name) -> usize {
    let opened = case.steps.iter().filter(|step| matches!(step.action, Action::Open(..)));
    opened.into_iter().position(|step| step.action.who() == Some(who)).unwrap()
}

/// Passes everything on, with one wrong byte in what one of the connections receives.
async fn relay(server: &Running, connection: usize, offset: usize) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (port, server) = (listener.local_addr().unwrap().port(), server.port);
    let accepted = AtomicUsize::new(0);
    tokio::spawn(async move {
        while let Ok((client, from)) = listener.accept().await {
            let fault = (accepted.fetch_add(1, Ordering::Relaxed) == connection).then_some(offset);
            tokio::spawn(pass(client, from, server, fault));
        }
    });
    port
}

async fn pass(client: TcpStream, from: SocketAddr, server: u16, fault: Option<usize>) {
    // The server knows clients by their addresses.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from.ip(), 0)).unwrap();
    let server = socket.connect((Ipv4Addr::LOCALHOST, server).into()).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let (mut buffer, mut count) = (vec![0; 16 * 1024], 0);
        while let Ok(len @ 1..) = from_server.read(&mut buffer).await {
            if let Some(at) = fault.and_then(|fault| fault.checked_sub(count)).filter(|at| *at < len) {
                buffer[at] ^= 0x20;
            }
            count += len;
            if to_client.write_all(&buffer[..len]).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(up, down);
}
