//! Commands about records that move no data: `rm`, `stat`, `ls`, `chmod`, `takeover`, `transfer`.

use std::collections::HashMap;
use std::time::Duration;

use netswap_tokio::core::types::Access;
use netswap_tokio::core::wire::Stat as RecordState;
use serde_json::json;

use crate::args::{Chmod, List, Remove, Stat, Takeover, Transfer};
use crate::failure::{Exit, Failure};
use crate::hold::Held;
use crate::output;
use crate::session::Session;

/// Deletes every record that can be deleted.
pub(crate) async fn remove(args: Remove) -> Result<(), Failure> {
    let mut sessions = HashMap::new();
    let mut failed = Vec::new();
    for target in &args.targets {
        let server = target.server(&args.connection);
        if !sessions.contains_key(server) {
            sessions.insert(server, Session::open(&args.connection, server).await?);
        }
        let Some(session) = sessions.get(server) else { continue };
        if let Err(error) = session.client.delete(target.pointer).await {
            let failure = session.failure(target.pointer, error);
            if failure.exit == Exit::NoConnection {
                return Err(failure);
            }
            failure.report();
            failed.push(failure);
        }
    }
    for session in sessions.into_values() {
        session.client.close().await;
    }
    failed.first().map_or(Ok(()), |failure| Err(Failure::silent(failure.exit)))
}

/// Tells the state of a record.
pub(crate) async fn stat(args: Stat) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let stat = session.client.stat(pointer).await.map_err(|error| session.failure(pointer, error))?;
    let me = session.identify().await?.owner;
    let mine = stat.owner == me;
    session.client.close().await;
    if args.json {
        return output::json(&json!({
            "pointer": pointer.to_string(),
            "length": stat.len,
            "version": stat.version.0,
            "owner": stat.owner.to_string(),
            "mine": mine,
            "access": stat.access.to_string(),
            "reserved": stat.reserved,
            "expires": stat.expires,
        }));
    }
    output::table(&[
        ("pointer", pointer.to_string()),
        ("length", length(&stat)),
        ("version", stat.version.to_string()),
        ("owner", format!("{}{}", stat.owner, if mine { " (you)" } else { "" })),
        ("others may", rights(stat.access)),
        ("expires", expires(stat.expires, mine)),
    ])
}

fn length(stat: &RecordState) -> String {
    if stat.reserved { "no data yet (reserved)".to_owned() } else { output::bytes(stat.len.into()) }
}

fn rights(access: Access) -> String {
    let words = [(Access::READ, "read"), (Access::WRITE, "write"), (Access::TAKEOVER, "take over")];
    let words: Vec<_> =
        words.iter().filter(|(bit, _)| access.contains(*bit)).map(|(_, word)| *word).collect();
    if words.is_empty() { "do nothing (none)".to_owned() } else { format!("{} ({access})", words.join(", ")) }
}

fn expires(seconds: Option<u32>, mine: bool) -> String {
    match seconds {
        Some(seconds) => format!("in {}", humantime::format_duration(Duration::from_secs(seconds.into()))),
        None if mine => "not while you are connected".to_owned(),
        None => "not while its owner is connected".to_owned(),
    }
}

/// Lists what this address owns.
pub(crate) async fn list(args: List) -> Result<(), Failure> {
    let session = Session::open(&args.connection, &args.connection.server).await?;
    let pointers =
        session.client.list().await.map_err(|error| session.failure("cannot list the records", error))?;
    session.client.close().await;
    if args.json {
        return output::json(&pointers.iter().map(ToString::to_string).collect());
    }
    output::lines(&pointers)
}

/// Changes what others may do.
pub(crate) async fn chmod(args: Chmod) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let done = session.client.set_permissions(pointer, args.access).await;
    done.map_err(|error| session.failure(pointer, error))?;
    session.client.close().await;
    Ok(())
}

/// Becomes the owner. With `--hold`, gives back what is to be held.
pub(crate) async fn takeover(args: Takeover) -> Result<Option<Held>, Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let identity = session.identify().await?;
    session.client.takeover(pointer).await.map_err(|error| session.failure(pointer, error))?;
    if args.hold {
        output::note("the record is held; Ctrl-C ends this");
        return Ok(Some(Held { session, pointer, identity }));
    }
    session.client.close().await;
    Ok(None)
}

/// Gives a record away.
pub(crate) async fn transfer(args: Transfer) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let done = session.client.transfer(pointer, args.owner).await;
    done.map_err(|error| session.failure(pointer, error))?;
    session.client.close().await;
    Ok(())
}
