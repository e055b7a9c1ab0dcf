//! `put`, `get` and `replace`: data from files and pipes to records, and back.

use std::path::Path;

use netswap_tokio::core::config::MAX_RECORD;
use netswap_tokio::{Error, Version};

use crate::args::{Connection, Get, Put, Replace};
use crate::failure::Failure;
use crate::hold::Held;
use crate::output;
use crate::progress::Progress;
use crate::session::Session;
use crate::sink::Sink;
use crate::source::{Origin, Source};
use crate::target::{self, Address};
use crate::waiting::Patience;

/// Stores data in a new record. With `--hold`, gives back what is to be held.
pub(crate) async fn put(args: Put) -> Result<Option<Held>, Failure> {
    if let Some(target) = args.to {
        let Put { file, if_version, connection, .. } = args;
        replace(Replace { target, file, if_version, connection }).await?;
        return Ok(None);
    }
    let server = &args.connection.server;
    let source = source(&args.file, &args.connection, server).await?;
    let session = Session::open(&args.connection, server).await?;
    let identity = session.identify().await?;
    let mut progress = Progress::begin("sending");
    let (len, reader) = (source.len.into(), source.into_reader());
    let update = |sent, total| progress.update(sent, total);
    let created = session.client.create_from(reader, len, args.access, update).await;
    progress.end();
    let pointer = created.map_err(|error| session.failure("cannot store the data", error))?;
    if args.url {
        output::line(target::url(&session.server, pointer))?;
    } else {
        output::line(pointer)?;
    }
    if args.hold {
        output::note("the record is held; Ctrl-C ends this");
        return Ok(Some(Held { session, pointer, identity }));
    }
    let grace = humantime::format_duration(identity.grace);
    output::note(format_args!(
        "the record ends {grace} after this address's last connection; --hold keeps one open"
    ));
    session.client.close().await;
    Ok(None)
}

/// Fetches a record's data.
pub(crate) async fn get(args: Get) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let sink = Sink::open(&args.output)?;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let mut writer = sink.writer()?;
    let mut patience = Patience::new(&session, pointer, args.wait);
    let received = loop {
        let (mut progress, mut begun) = (Progress::begin("receiving"), false);
        let update = |received, total| {
            begun = true;
            progress.update(received, total);
        };
        let received = patience.client().resolve_into(pointer, &mut writer, update).await;
        progress.end();
        match received {
            Err(error @ Error::TimedOut { .. }) if !begun => patience.outlast(error).await?,
            received => break received,
        }
    };
    match received {
        Ok(_) => sink.finish(writer).await?,
        Err(Error::Write(error)) => return Err(sink.failed(error)),
        Err(error) => return Err(session.failure(pointer, error)),
    }
    session.client.close().await;
    Ok(())
}

/// Puts new data in the place of a record's, whatever its version or only if it has a certain one.
pub(crate) async fn replace(args: Replace) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let server = args.target.server(&args.connection);
    let source = source(&args.file, &args.connection, server).await?;
    let session = Session::open(&args.connection, server).await?;
    let mut progress = Progress::begin("sending");
    let (len, reader) = (source.len.into(), source.into_reader());
    let update = |sent, total| progress.update(sent, total);
    let replaced = match args.if_version.map(Version) {
        None => session.client.replace_from(pointer, reader, len, update).await,
        Some(version) => session.client.compare_and_replace_from(pointer, version, reader, len, update).await,
    };
    progress.end();
    let version = replaced.map_err(|error| session.failure(pointer, error))?;
    output::line(format_args!("version {version}"))?;
    session.client.close().await;
    Ok(())
}

/// Opens what is to be sent. Before a pipe is read to its end, the server is asked whether it is there and how much it
/// takes: what has been read from a pipe is lost when the program fails.
pub(crate) async fn source(path: &Path, options: &Connection, server: &Address) -> Result<Source, Failure> {
    let origin = Origin::open(path)?;
    let mut limit = MAX_RECORD;
    if origin.is_pipe() {
        let session = Session::open(options, server).await?;
        limit = session.identify().await?.max_record;
        session.client.close().await;
    }
    origin.measure(limit).await
}
