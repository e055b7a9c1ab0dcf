//! The driver of netswap-tokio: makes the calls that the suite asks for, and tells what they returned
//! (docs/PORTING.md §4).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use conformance::client::{BadLine, Line};
use netswap_tokio::{Client, Error};
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
    match made {
        Ok(line) => println!("{line}"),
        Err(Failed::Call(error)) => println!("{}", line.fails(&error)),
        Err(Failed::Line(error)) => println!("error {error}: {line}"),
    }
}

async fn connect(client: &OnceLock<Client>, line: &Line) -> Result<Line, Failed> {
    let _ = client.set(Client::connect(line.options()?).await?);
    Ok(line.returns())
}

/// Makes a call that has one result.
async fn once(client: &Client, line: &Line) -> Result<Line, Failed> {
    let done = line.returns();
    let pointer = || line.get("pointer");
    let progress = |done, total| {
        println!("{}", Line::new(line.number, "progress").with("done", done).with("total", total))
    };
    Ok(match &*line.verb {
        "create" => done.with("pointer", client.create(line.data()?, line.get("access")?).await?),
        "create_from" => {
            let (data, length) = stream(line)?;
            let pointer = client.create_from(data, length, line.get("access")?, progress).await?;
            done.with("pointer", pointer)
        }
        "reserve" => done.with("pointer", client.reserve(line.get("access")?).await?),
        "resolve" => done.with_data("data", &client.resolve(pointer()?).await?),
        "resolve_wait" => {
            let data = client.resolve_wait(pointer()?, line.millis("timeout")?).await?;
            done.with_data("data", &data)
        }
        "resolve_into" => {
            let mut data = Vec::new();
            let length = client.resolve_into(pointer()?, &mut data, progress).await?;
            done.with("length", length).with_data("data", &data)
        }
        "resolve_if_changed" => {
            match client.resolve_if_changed(pointer()?, line.optional("version")?.map(version)).await? {
                Some(new) => {
                    done.with("changed", "yes").with("version", new.version).with_data("data", &new.data)
                }
                None => done.with("changed", "no"),
            }
        }
        "read_range" => {
            let range = client.read_range(pointer()?, line.get("offset")?, line.get("length")?).await?;
            done.with("version", range.version)
                .with("length", range.record_len)
                .with_data("data", &range.data)
        }
        "replace" => done.with("version", client.replace(pointer()?, line.data()?).await?),
        "replace_from" => {
            let (data, length) = stream(line)?;
            done.with("version", client.replace_from(pointer()?, data, length, progress).await?)
        }
        "write_range" => {
            let written = client.write_range(pointer()?, line.get("offset")?, line.data()?).await?;
            done.with("version", written)
        }
        "append" => {
            let appended = client.append(pointer()?, line.data()?).await?;
            done.with("version", appended.version).with("offset", appended.offset)
        }
        "compare_and_replace" => {
            let has = version(line.get("version")?);
            done.with("version", client.compare_and_replace(pointer()?, has, line.data()?).await?)
        }
        "update" => {
            let added = line.data()?;
            done.with("version", client.update(pointer()?, |old| [old, &added[..]].concat()).await?)
        }
        "fetch_add" => {
            let added = client.fetch_add(pointer()?, line.get("offset")?, line.get("delta")?).await?;
            done.with("version", added.version).with("value", added.value)
        }
        "stat" => done.with_stat(&client.stat(pointer()?).await?),
        "set_permissions" => {
            client.set_permissions(pointer()?, line.get("access")?).await?;
            done
        }
        "set_lifetime" => {
            client.set_lifetime(pointer()?, line.lifetime()?).await?;
            done
        }
        "delete" => {
            client.delete(pointer()?).await?;
            done
        }
        "takeover" => {
            client.takeover(pointer()?).await?;
            done
        }
        "transfer" => {
            client.transfer(pointer()?, line.get("owner")?).await?;
            done
        }
        "request_ownership" => {
            client.request_ownership(pointer()?).await?;
            done
        }
        "list" => {
            let pointers: Vec<_> = client.list().await?.iter().map(ToString::to_string).collect();
            done.with("pointers", pointers.join(","))
        }
        "identify" => done.with_identity(&client.identify().await?),
        "ping" => {
            client.ping(line.data()?).await?;
            done
        }
        "close" => {
            client.close().await;
            done
        }
        call => return Err(BadLine::Unknown(call.into()).into()),
    })
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

/// The data of an upload, and how long they are said to be.
fn stream(line: &Line) -> Result<(Cursor<Vec<u8>>, u64), BadLine> {
    let data = line.data()?;
    let length = line.optional("length")?.unwrap_or(data.len() as u64);
    Ok((Cursor::new(data), length))
}

fn version(number: u64) -> netswap_tokio::Version {
    netswap_tokio::Version(number)
}

/// Why there is no result: the call failed, or there was none that could be made.
enum Failed {
    Call(Error),
    Line(BadLine),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<BadLine> for Failed {
    fn from(error: BadLine) -> Self {
        Self::Line(error)
    }
}
