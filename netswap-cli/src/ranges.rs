//! Commands about parts of records: `read`, `write`, `append` and `add`.

use netswap_tokio::Error;
use netswap_tokio::core::error::Refusal;
use tokio::io::AsyncWriteExt;

use crate::args::{Add, Append, Read, Write};
use crate::failure::Failure;
use crate::output;
use crate::progress::Progress;
use crate::session::Session;
use crate::sink::Sink;
use crate::transfers::source;
use crate::waiting::Patience;

/// Fetches a part of a record.
pub(crate) async fn read(args: Read) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let sink = Sink::open(&args.output)?;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let mut patience = Patience::new(&session, pointer, args.wait);
    let range = loop {
        match patience.client().read_range(pointer, args.offset, args.length.unwrap_or(u32::MAX)).await {
            Err(error @ Error::TimedOut { .. }) => patience.outlast(error).await?,
            Err(error) => return Err(session.failure(pointer, error)),
            Ok(range) => break range,
        }
    };
    let mut writer = sink.writer()?;
    match writer.write_all(&range.data).await {
        Ok(()) => sink.finish(writer).await?,
        Err(error) => return Err(sink.failed(error)),
    }
    session.client.close().await;
    Ok(())
}

/// Writes over a part of a record.
pub(crate) async fn write(args: Write) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let server = args.target.server(&args.connection);
    let source = source(&args.file, &args.connection, server).await?;
    let session = Session::open(&args.connection, server).await?;
    let mut progress = Progress::begin("sending");
    let (len, reader) = (source.len.into(), source.into_reader());
    let update = |sent, total| progress.update(sent, total);
    let written = session.client.write_range_from(pointer, args.offset, reader, len, update).await;
    progress.end();
    let version = written.map_err(|error| session.failure(pointer, error))?;
    output::line(format_args!("version {version}"))?;
    session.client.close().await;
    Ok(())
}

/// Adds data at the end of a record.
pub(crate) async fn append(args: Append) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let server = args.target.server(&args.connection);
    let source = source(&args.file, &args.connection, server).await?;
    let session = Session::open(&args.connection, server).await?;
    let mut progress = Progress::begin("sending");
    let (len, reader) = (source.len.into(), source.into_reader());
    let update = |sent, total| progress.update(sent, total);
    let appended = session.client.append_from(pointer, reader, len, update).await;
    progress.end();
    let appended = appended.map_err(|error| session.failure(pointer, error))?;
    output::line(format_args!("version {} offset {}", appended.version, appended.offset))?;
    session.client.close().await;
    Ok(())
}

/// Adds to a number in a record.
pub(crate) async fn add(args: Add) -> Result<(), Failure> {
    let pointer = args.target.pointer;
    let session = Session::open(&args.connection, args.target.server(&args.connection)).await?;
    let added = session.client.fetch_add(pointer, args.offset, args.delta).await;
    let added = added.map_err(|error| match error {
        // One reply for both (docs/PROTOCOL.md §4.1).
        Error::Refused(refusal @ Refusal::AddressFault) => Failure::failed(format_args!(
            "{pointer}: {}: {refusal}, or it does not have 8 bytes at this offset",
            refusal.name()
        )),
        error => session.failure(pointer, error),
    })?;
    output::line(added.value)?;
    session.client.close().await;
    Ok(())
}
