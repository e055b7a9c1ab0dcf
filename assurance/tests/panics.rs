//! A fault of the server's own in one connection's handling is the end of that connection, and of nothing else (fault 20).
//!
//! The fault is planted in what a program brings along: its log panics when it is told that a connection was lost, which
//! a connection's own task tells it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use std::fmt;
use std::io::Write;
use std::panic;
use std::sync::Once;

use assurance::on_every_adapter;
use assurance::raw::{Raw, SOON, loopback, packets};
use assurance::scale::quick_or_long;
use assurance::servers::{Adapter, within};
use netswap_adapter::server::ServerOptions;
use netswap_core::types::Access;
use netswap_core::wire::Request;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

on_every_adapter!(a_panic_ends_one_connection);

const PLANTED: &str = "a planted fault";

/// A log with a fault.
struct Faulty;

impl<S: Subscriber> Layer<S> for Faulty {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(bool);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                self.0 |= field.name() == "message" && format!("{value:?}") == "connection lost";
            }
        }
        let mut message = Message(false);
        event.record(&mut message);
        if message.0 {
            panic::panic_any(PLANTED);
        }
    }
}

fn plant() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Faulty)).unwrap();
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&PLANTED) {
                hook(info);
            }
        }));
    });
}

fn a_panic_ends_one_connection(adapter: Adapter) {
    plant();
    let victims = quick_or_long(50, 2000);
    let mut server = adapter.start(ServerOptions::default());
    let mut witnesses: Vec<_> = (0..20).map(|n| Raw::connect(loopback(n), server.address).unwrap()).collect();
    let create = || Request::CreateRecord { access: Access::all(), data: vec![1; 5000] };
    let pointer = witnesses[0].ask(create()).unwrap().pointer();
    for (n, witness) in witnesses.iter_mut().enumerate() {
        // Half of them are in the middle of something.
        let upload = packets(9, Request::ReplaceRecord { pointer, data: vec![n as u8; 3000] });
        if n % 2 == 0 {
            witness.0.write_all(&upload[..2000]).unwrap();
        }
    }
    for n in 0..victims {
        let mut victim = Raw::connect(loopback(100 + n), server.address).unwrap();
        assert_eq!(victim.ask(Request::WatchRecord { pointer, push: false }).unwrap().code, 0);
        // Unanswered and unfinished at the end.
        victim.send(2, create()).unwrap();
        victim.0.write_all(&packets(3, create())[..3000]).unwrap();
        victim.reset();
    }
    let statistics = || server.handle.statistics();
    within(SOON, "the end of the victims", || statistics().store.connections == 20);
    // A task that has panicked is counted when its server takes notice.
    within(SOON, "the count of their panics", || statistics().traffic.panics == victims as u64);
    assert_eq!(statistics().store.unfinished_bytes, 10 * 1390);
    for (n, witness) in witnesses.iter_mut().enumerate() {
        if n % 2 == 0 {
            let upload = packets(9, Request::ReplaceRecord { pointer, data: vec![n as u8; 3000] });
            witness.0.write_all(&upload[2000..]).unwrap();
            assert_eq!(witness.answer().unwrap().code, 0);
        }
        assert_eq!(witness.ask(Request::ResolvePointer { pointer }).unwrap().code, 3);
    }
    let mut new = Raw::connect(loopback(50), server.address).unwrap();
    assert_eq!(new.ask(Request::ResolvePointer { pointer }).unwrap().payload, vec![18; 3000]);
    drop((new, witnesses));
    server.stop();
    eprintln!("{}: {victims} panics", adapter.name());
}
