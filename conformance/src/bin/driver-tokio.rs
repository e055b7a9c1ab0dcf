//! The driver of netswap-tokio: makes the calls that the suite asks for, and tells what they returned
//! (docs/PORTING.md §4).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use conformance::client::{BadLine, Failed, Line};
use conformance::make_call;
use netswap_tokio::Client;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    println!("netswap-driver 1 rust-tokio\nready");
    let mut driver = Driver::default();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let taken = match Line::parse(&line) {
            Ok(line) => driver.take(line).await,
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
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
    task: JoinHandle<()>,
    more: mpsc::UnboundedSender<()>,
}

impl Driver {
    async fn take(&mut self, line: Line) -> Result<(), BadLine> {
        let number = line.number;
        match &*line.verb {
            "cancel" => {
                let call = self.calls.remove(&number).ok_or(BadLine::Unknown(line.verb))?;
                call.task.abort();
                // What the call held is dropped by now.
                let _ = call.task.await;
                println!("{}", Line::new(number, "cancelled"));
            }
            "take" => {
                let call = self.calls.get(&number).ok_or(BadLine::Unknown(line.verb))?;
                let _ = call.more.send(());
            }
            _ => {
                let (more, wanted) = mpsc::unbounded_channel();
                let task = tokio::spawn(call(self.client.clone(), line, wanted));
                self.calls.insert(number, Call { task, more });
            }
        }
        Ok(())
    }
}

/// Makes a call and tells how it ended.
async fn call(client: Arc<OnceLock<Client>>, line: Line, wanted: mpsc::UnboundedReceiver<()>) {
    let made = match (&*line.verb, client.get()) {
        ("connect", _) => connect(&client, &line).await,
        (_, None) => Err(BadLine::Unknown(format!("{} before connect", line.verb)).into()),
        ("watch", Some(client)) => watch(client, &line, wanted).await,
        ("events", Some(client)) => events(client, &line, wanted).await,
        (_, Some(client)) => once(client, &line).await,
    };
    println!("{}", made.map_or_else(|failed| failed.told(&line), |line| line.to_string()));
}

async fn connect(client: &OnceLock<Client>, line: &Line) -> Result<Line, Failed> {
    let _ = client.set(Client::connect(line.options()?).await?);
    Ok(line.returns())
}

/// Makes a call that has one result.
async fn once(client: &Client, line: &Line) -> Result<Line, Failed> {
    Ok(make_call!(client, line, .await))
}

/// Watches a record, and tells of one change each time that one is asked for.
async fn watch(
    client: &Client,
    line: &Line,
    mut wanted: mpsc::UnboundedReceiver<()>,
) -> Result<Line, Failed> {
    let pointer = line.get("pointer")?;
    let mut watch =
        if line.is("push")? { client.watch_data(pointer).await? } else { client.watch(pointer).await? };
    println!("{}", line.returns().with("version", watch.version()));
    while wanted.recv().await.is_some() {
        match watch.next().await {
            Some(change) => println!("{}", line.tells(change?)),
            None => break,
        }
    }
    Ok(Line::new(line.number, "ends"))
}

/// Listens to what happens to the connection, and tells of it when it is asked for.
async fn events(
    client: &Client,
    line: &Line,
    mut wanted: mpsc::UnboundedReceiver<()>,
) -> Result<Line, Failed> {
    let mut events = client.events();
    println!("{}", line.returns());
    while wanted.recv().await.is_some() {
        match events.next().await {
            Some(event) => println!("{}", line.tells_event(event)),
            None => break,
        }
    }
    Ok(Line::new(line.number, "ends"))
}
