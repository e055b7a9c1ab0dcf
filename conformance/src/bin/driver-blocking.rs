//! The driver of netswap-blocking: makes the calls that the suite asks for, each in a thread, and tells what they
//! returned (docs/PORTING.md §4).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::stdin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};

use conformance::client::{BadLine, Failed, Line};
use conformance::make_call;
use netswap_blocking::{Client, Stopper};

fn main() -> std::io::Result<()> {
    println!("netswap-driver 1 rust-blocking\nready");
    let mut driver = Driver::default();
    for line in stdin().lines() {
        let line = line?;
        if let Err(error) = Line::parse(&line).and_then(|line| driver.take(line)) {
            println!("error {error}: {line}");
        }
    }
    Ok(())
}

#[derive(Default)]
struct Driver {
    client: Arc<OnceLock<Client>>,
    calls: HashMap<u32, Call>,
}

/// A call that was made. `more` asks for the next change or event of one that goes on.
struct Call {
    thread: JoinHandle<()>,
    stop: Arc<Stop>,
    more: Sender<()>,
}

/// What ends a call from outside: its client's stopper, and its watch's once there is one.
#[derive(Default)]
struct Stop(Mutex<(bool, Vec<Stopper>)>);

impl Stop {
    fn with(&self, stopper: Stopper) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 {
            stopper.stop();
        }
        state.1.push(stopper);
    }

    fn stop(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 = true;
        state.1.iter().for_each(Stopper::stop);
    }

    fn is_stopped(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Driver {
    fn take(&mut self, line: Line) -> Result<(), BadLine> {
        let number = line.number;
        match &*line.verb {
            "cancel" => {
                let call = self.calls.remove(&number).ok_or(BadLine::Unknown(line.verb))?;
                call.stop.stop();
                drop(call.more);
                // What the call held is dropped by then.
                let _ = call.thread.join();
                println!("{}", Line::new(number, "cancelled"));
            }
            "take" => {
                let call = self.calls.get(&number).ok_or(BadLine::Unknown(line.verb))?;
                let _ = call.more.send(());
            }
            _ => {
                let ((more, wanted), stop) = (channel(), Arc::<Stop>::default());
                let (client, stopping) = (self.client.clone(), stop.clone());
                let thread = thread::spawn(move || call(&client, &line, &wanted, &stopping));
                self.calls.insert(number, Call { thread, stop, more });
            }
        }
        Ok(())
    }
}

/// Makes a call and tells how it ended.
fn call(client: &OnceLock<Client>, line: &Line, wanted: &Receiver<()>, stop: &Stop) {
    let stoppable = client.get().map(|client| {
        let (client, stopper) = client.stoppable();
        stop.with(stopper);
        client
    });
    let made = match (&*line.verb, &stoppable) {
        ("connect", _) => connect(client, line),
        (_, None) => Err(BadLine::Unknown(format!("{} before connect", line.verb)).into()),
        ("watch", Some(client)) => watch(client, line, wanted, stop),
        ("events", Some(client)) => events(client, line, wanted),
        (_, Some(client)) => once(client, line),
    };
    // A call that was cancelled tells nothing more.
    if !stop.is_stopped() {
        println!("{}", made.map_or_else(|failed| failed.told(line), |line| line.to_string()));
    }
}

fn connect(client: &OnceLock<Client>, line: &Line) -> Result<Line, Failed> {
    let _ = client.set(Client::connect(line.options()?)?);
    Ok(line.returns())
}

/// Makes a call that has one result.
fn once(client: &Client, line: &Line) -> Result<Line, Failed> {
    Ok(make_call!(client, line))
}

/// Watches a record, and tells of one change each time that one is asked for.
fn watch(client: &Client, line: &Line, wanted: &Receiver<()>, stop: &Stop) -> Result<Line, Failed> {
    let pointer = line.get("pointer")?;
    let mut watch = if line.is("push")? { client.watch_data(pointer)? } else { client.watch(pointer)? };
    stop.with(watch.stopper());
    println!("{}", line.returns().with("version", watch.version()));
    while wanted.recv().is_ok() {
        match watch.next() {
            Some(change) => println!("{}", line.tells(change?)),
            None => break,
        }
    }
    Ok(Line::new(line.number, "ends"))
}

/// Listens to what happens to the connection, and tells of it when it is asked for.
fn events(client: &Client, line: &Line, wanted: &Receiver<()>) -> Result<Line, Failed> {
    let mut events = client.events();
    println!("{}", line.returns());
    while wanted.recv().is_ok() {
        match events.next() {
            Some(event) => println!("{}", line.tells_event(event)),
            None => break,
        }
    }
    Ok(Line::new(line.number, "ends"))
}
