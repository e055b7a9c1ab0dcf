//! `watch`: the changes of a record, a line each.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use netswap_tokio::{Change, Ending, Error, Version};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::args::Watch;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;

/// The most bytes of data that a line of text shows.
const SHOWN: usize = 256;

/// Prints a record's changes until it ends.
pub(crate) async fn watch(args: Watch) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let server = args.target.server(&args.connection);
    let session = Session::open_lasting(&args.connection, server).await?;
    let client = &session.client;
    let watch = if args.data { client.watch_data(pointer).await } else { client.watch(pointer).await };
    let mut watch = watch.map_err(|error| session.failure(pointer, error))?;
    print(&Line::Watching(watch.version()), args.json).await?;
    let mut give_up = None;
    loop {
        let change = tokio::select! {
            change = watch.next() => change.unwrap_or(Err(Error::Closed)),
            () = until(give_up) => return Err(not_again(&session, args.connection.timeout)),
        };
        let change = change.map_err(|error| session.failure(pointer, error))?;
        match &change {
            Change::Interrupted => give_up = Some(Instant::now() + args.connection.timeout),
            _ => give_up = None,
        }
        let ended = if let Change::Ended(ending) = change { Some(ending) } else { None };
        print(&Line::Change(change), args.json).await?;
        match ended {
            Some(Ending::AccessLost) => {
                return Err(Failure::failed(format_args!("{pointer}: {}", Ending::AccessLost)));
            }
            Some(Ending::Deleted | Ending::Expired) => break,
            None => {}
        }
    }
    drop(watch);
    session.client.close().await;
    Ok(())
}

/// A moment, or never.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

fn not_again(session: &Session, timeout: Duration) -> Failure {
    let timeout = humantime::format_duration(timeout);
    let message =
        format_args!("the connection to {} is lost, and not there again after {timeout}", session.server);
    Failure::new(Exit::NoConnection, message)
}

/// Prints a line. Whoever does not read it holds up this command, but not its connection.
async fn print(line: &Line, json: bool) -> Result<(), Failure> {
    let text = if json { line.to_json().to_string() } else { line.to_text() };
    let printed = tokio::task::spawn_blocking(move || output::line(text)).await;
    printed.unwrap_or_else(|error| Err(Failure::failed(error)))
}

enum Line {
    Watching(Version),
    Change(Change),
}

impl Line {
    fn to_text(&self) -> String {
        let change = match self {
            Self::Watching(version) => return format!("watching version {version}"),
            Self::Change(change) => change,
        };
        match change {
            Change::Changed { version, data: None } => format!("changed version {version}"),
            Change::Changed { version, data: Some(data) } => {
                format!("changed version {version}, {}", shown(data))
            }
            Change::RangeChanged { version, offset, data } => {
                format!("range version {version}, offset {offset}, {}", shown(data))
            }
            Change::AccessChanged(access) => format!("access {access}"),
            Change::OwnerChanged(owner) => format!("owner {owner}"),
            Change::OwnershipRequested(owner) => format!("requested by {owner}"),
            Change::Interrupted => "interrupted".to_owned(),
            Change::Resumed { version } => format!("resumed version {version}"),
            Change::Ended(Ending::Deleted) => "deleted".to_owned(),
            Change::Ended(Ending::Expired) => "expired".to_owned(),
            Change::Ended(Ending::AccessLost) => "access lost".to_owned(),
            other => format!("unknown {other:?}"),
        }
    }

    fn to_json(&self) -> Value {
        let change = match self {
            Self::Watching(version) => return json!({ "kind": "watching", "version": version.0 }),
            Self::Change(change) => change,
        };
        match change {
            Change::Changed { version, data: None } => json!({ "kind": "changed", "version": version.0 }),
            Change::Changed { version, data: Some(data) } => json!({
                "kind": "changed", "version": version.0, "length": data.len(), "data": BASE64.encode(data),
            }),
            Change::RangeChanged { version, offset, data } => json!({
                "kind": "range", "version": version.0, "offset": offset, "length": data.len(),
                "data": BASE64.encode(data),
            }),
            Change::AccessChanged(access) => json!({ "kind": "access", "access": access.to_string() }),
            Change::OwnerChanged(owner) => json!({ "kind": "owner", "owner": owner.to_string() }),
            Change::OwnershipRequested(owner) => json!({ "kind": "requested", "by": owner.to_string() }),
            Change::Interrupted => json!({ "kind": "interrupted" }),
            Change::Resumed { version } => json!({ "kind": "resumed", "version": version.0 }),
            Change::Ended(Ending::Deleted) => json!({ "kind": "deleted" }),
            Change::Ended(Ending::Expired) => json!({ "kind": "expired" }),
            Change::Ended(Ending::AccessLost) => json!({ "kind": "access_lost" }),
            other => json!({ "kind": "unknown", "text": format!("{other:?}") }),
        }
    }
}

/// Data on one line: as text where all of them are, or else in hex, and not more than fits.
fn shown(data: &[u8]) -> String {
    let bytes = if data.len() == 1 { "1 byte".to_owned() } else { format!("{} bytes", data.len()) };
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match str::from_utf8(data) {
        Ok("") => bytes,
        Ok(text) if text.chars().all(plain) => {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let end = ends.take_while(|end| *end <= SHOWN).last().unwrap_or(0);
            let mut line = format!("{bytes}: ");
            for c in text[..end].chars() {
                match c {
                    '\'' | '"' => line.push(c),
                    c => line.extend(c.escape_debug()),
                }
            }
            line + more(end, data)
        }
        _ => {
            let end = data.len().min(SHOWN);
            format!("{bytes}, hex: {}", HEXLOWER.encode(&data[..end])) + more(end, data)
        }
    }
}

fn more(end: usize, data: &[u8]) -> &'static str {
    if end < data.len() { " ..." } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_a_single_line_of_bounded_length() {
        assert_eq!(shown(b""), "0 bytes");
        assert_eq!(shown(b"A"), "1 byte: A");
        assert_eq!(shown("it's \"ä\"\n\\".as_bytes()), "11 bytes: it's \"ä\"\\n\\\\");
        assert_eq!(shown("\u{202e}x".as_bytes()), "4 bytes: \\u{202e}x");
        assert_eq!(shown(b"\x1b[2J"), "4 bytes, hex: 1b5b324a");
        assert_eq!(shown(&[0, 0xff]), "2 bytes, hex: 00ff");
        let long = format!("x{}", "ä".repeat(200));
        assert_eq!(shown(long.as_bytes()), format!("401 bytes: x{} ...", "ä".repeat(127)));
        assert_eq!(shown(&[0; 300]), format!("300 bytes, hex: {} ...", "00".repeat(256)));
        assert_eq!(shown(&[b'x'; 256]), format!("256 bytes: {}", "x".repeat(256)));
    }
}
