//! A driver of netswap-smol, for any executor: all of its calls are one future (docs/PORTING.md §4).

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use netswap_smol::Client;

use super::{BadLine, Failed, Line};
use crate::make_call;

/// Has an executor run what a client's connection needs.
pub type Spawn = fn(Pin<Box<dyn Future<Output = ()> + Send>>);

/// Drives a client until standard input ends.
pub async fn drive(name: &str, spawn: Spawn) {
    println!("netswap-driver 1 {name}\nready");
    let mut driver = Driver { client: Rc::default(), calls: BTreeMap::new(), spawn };
    let lines = Arc::new(Queue::default());
    let reading = lines.clone();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            reading.push(Some(line));
        }
        reading.push(None);
    });
    loop {
        let line = poll_fn(|cx| {
            driver
                .calls
                .retain(|_, call| call.made.as_mut().is_none_or(|it| it.as_mut().poll(cx).is_pending()));
            lines.poll_pop(cx.waker())
        });
        let Some(line) = line.await else { return };
        if let Err(error) = Line::parse(&line).and_then(|line| driver.take(line)) {
            println!("error {error}: {line}");
        }
    }
}

struct Driver {
    client: Rc<OnceLock<Client>>,
    calls: BTreeMap<u32, Call>,
    spawn: Spawn,
}

/// A call that was made. `more` asks for the next change or event of one that goes on.
struct Call {
    made: Option<Pin<Box<dyn Future<Output = ()>>>>,
    more: Rc<Queue<()>>,
}

impl Driver {
    fn take(&mut self, line: Line) -> Result<(), BadLine> {
        let number = line.number;
        match &*line.verb {
            "cancel" => {
                // With the future everything is dropped that the call held.
                drop(self.calls.remove(&number));
                println!("{}", Line::new(number, "cancelled"));
            }
            "take" => match self.calls.get(&number) {
                Some(call) => call.more.push(()),
                None => return Err(BadLine::Unknown(line.verb)),
            },
            _ => {
                let more = Rc::<Queue<()>>::default();
                let made = call(self.client.clone(), line, more.clone(), self.spawn);
                self.calls.insert(number, Call { made: Some(Box::pin(made)), more });
            }
        }
        Ok(())
    }
}

/// Makes a call and tells how it ended.
async fn call(client: Rc<OnceLock<Client>>, line: Line, wanted: Rc<Queue<()>>, spawn: Spawn) {
    let made = match (&*line.verb, client.get()) {
        ("connect", _) => connect(&client, &line, spawn).await,
        (_, None) => Err(BadLine::Unknown(format!("{} before connect", line.verb)).into()),
        ("watch", Some(client)) => watch(client, &line, &wanted).await,
        ("events", Some(client)) => events(client, &line, &wanted).await,
        (_, Some(client)) => once(client, &line).await,
    };
    println!("{}", made.map_or_else(|failed| failed.told(&line), |line| line.to_string()));
}

async fn connect(client: &OnceLock<Client>, line: &Line, spawn: Spawn) -> Result<Line, Failed> {
    let (connected, driver) = Client::connect(line.options()?).await?;
    let _ = client.set(connected);
    spawn(Box::pin(async move {
        // Whoever calls is told how the connection ended.
        let _ = driver.run().await;
    }));
    Ok(line.returns())
}

/// Makes a call that has one result.
async fn once(client: &Client, line: &Line) -> Result<Line, Failed> {
    Ok(make_call!(client, line, .await))
}

/// Watches a record, and tells of one change each time that one is asked for.
async fn watch(client: &Client, line: &Line, wanted: &Queue<()>) -> Result<Line, Failed> {
    let pointer = line.get("pointer")?;
    let mut watch =
        if line.is("push")? { client.watch_data(pointer).await? } else { client.watch(pointer).await? };
    println!("{}", line.returns().with("version", watch.version()));
    loop {
        wanted.pop().await;
        match watch.next().await {
            Some(change) => println!("{}", line.tells(change?)),
            None => return Ok(Line::new(line.number, "ends")),
        }
    }
}

/// Listens to what happens to the connection, and tells of it when it is asked for.
async fn events(client: &Client, line: &Line, wanted: &Queue<()>) -> Result<Line, Failed> {
    let mut events = client.events();
    println!("{}", line.returns());
    loop {
        wanted.pop().await;
        match events.next().await {
            Some(event) => println!("{}", line.tells_event(event)),
            None => return Ok(Line::new(line.number, "ends")),
        }
    }
}

/// What waits for one task.
struct Queue<T>(Mutex<(VecDeque<T>, Option<Waker>)>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    fn push(&self, item: T) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.push_back(item);
        if let Some(waker) = state.1.take() {
            waker.wake();
        }
    }

    fn poll_pop(&self, waker: &Waker) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.0.pop_front() {
            Some(item) => Poll::Ready(item),
            None => {
                state.1 = Some(waker.clone());
                Poll::Pending
            }
        }
    }

    async fn pop(&self) -> T {
        poll_fn(|cx| self.poll_pop(cx.waker())).await
    }
}
