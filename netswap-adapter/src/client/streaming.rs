//! The calls whose data come from a source or go to a sink, piece by piece: a record of a gigabyte needs no gigabyte
//! of memory.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use netswap_core::types::{Access, Pointer, Version};
use netswap_core::wire::{Reply, Request};

use super::call::Call;
use super::operations::created;
use super::ranges::{Appended, appended, written};
use super::shared::Answer;
use super::{Error, Session};

/// The most bytes that are read at a time.
const READ_AT_MOST: usize = 64 * 1024;

/// Where the data of an upload come from.
pub trait Source {
    /// Reads into the buffer, and tells how many bytes; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// Where the data of a download go.
pub trait Sink {
    /// Writes, and tells how many bytes it took.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Passes on what it may still hold.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl Session {
    /// Makes a record of the next `len` bytes of a source.
    pub async fn create_from(
        &self,
        source: impl Source,
        len: u64,
        access: Access,
        progress: impl FnMut(u64, u64),
    ) -> Result<Pointer, Error> {
        let request = |data| Request::CreateRecord { access, data };
        self.upload(request, source, len, progress, created).await
    }

    /// Puts the next `len` bytes of a source in the place of a record's old data.
    pub async fn replace_from(
        &self,
        pointer: Pointer,
        source: impl Source,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::ReplaceRecord { pointer, data };
        self.upload(request, source, len, progress, written).await
    }

    /// Writes the next `len` bytes of a source over a part of a record.
    pub async fn write_range_from(
        &self,
        pointer: Pointer,
        offset: u32,
        source: impl Source,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::WriteRange { pointer, offset, data };
        self.upload(request, source, len, progress, written).await
    }

    /// Adds the next `len` bytes of a source at the end of a record.
    pub async fn append_from(
        &self,
        pointer: Pointer,
        source: impl Source,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Appended, Error> {
        let request = |data| Request::Append { pointer, data };
        self.upload(request, source, len, progress, appended).await
    }

    /// Puts the next `len` bytes of a source in the place of a record's old data if it still has this version.
    pub async fn compare_and_replace_from(
        &self,
        pointer: Pointer,
        version: Version,
        source: impl Source,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::CompareAndReplace { pointer, version, data };
        self.upload(request, source, len, progress, written).await
    }

    /// Writes a record's data to a sink, flushes it, and tells how many bytes there were.
    pub async fn resolve_into(
        &self,
        pointer: Pointer,
        mut sink: impl Sink,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, Error> {
        let request = Request::ResolvePointer { pointer };
        let mut call = Call::download(self.shared(), request, self.idle_timeout()).await?;
        let mut written = 0;
        while let Some((data, total)) = call.piece().await {
            write_all(&mut sink, &data).await?;
            call.consumed(data.len());
            written += data.len() as u64;
            progress(written, u64::from(total));
        }
        let reply = call.answer().await?;
        let rest =
            call.expect(reply, |reply| if let Reply::Resolved(rest) = reply { Some(rest) } else { None })?;
        write_all(&mut sink, &rest).await?;
        poll_fn(|cx| sink.poll_flush(cx)).await.map_err(Error::Write)?;
        written += rest.len() as u64;
        progress(written, written);
        Ok(written)
    }

    async fn upload<T>(
        &self,
        request: impl FnOnce(u32) -> Request<u32>,
        source: impl Source,
        len: u64,
        mut progress: impl FnMut(u64, u64),
        expected: impl FnOnce(Reply<Bytes>) -> Option<T>,
    ) -> Result<T, Error> {
        let data_len = u32::try_from(len).map_err(|_| Error::DataTooLong)?;
        let mut data = Data { source, buffer: BytesMut::new(), read: 0, len };
        // The server is asked when there is something to give it: unfinished requests have a time limit there.
        let first = poll_fn(|cx| data.poll_next(cx, READ_AT_MOST)).await?;
        let mut call = Call::upload(self.shared(), request(data_len), self.idle_timeout()).await?;
        call.provide(first);
        while data.read < len {
            let Some(state) = call.progress() else { break };
            progress(u64::from(state.sent), len);
            let next = poll_fn(|cx| {
                // A refusal may come before all is sent.
                if let Poll::Ready(answer) = call.poll_answer(cx) {
                    Poll::Ready(Next::Answer(answer))
                } else if state.wanted == 0 {
                    call.poll_wanted(cx).map(|()| Next::Wanted)
                } else {
                    data.poll_next(cx, state.wanted).map(Next::Data)
                }
            });
            match next.await {
                Next::Answer(answer) => return call.expect(answer?, expected),
                Next::Wanted => {}
                Next::Data(data) => call.provide(data?),
            }
        }
        let answer = call.answer().await?;
        progress(len, len);
        call.expect(answer, expected)
    }
}

/// What an upload waits for.
enum Next {
    Answer(Answer),
    Wanted,
    Data(Result<Bytes, Error>),
}

/// The data of an upload.
struct Data<S> {
    source: S,
    buffer: BytesMut,
    read: u64,
    len: u64,
}

impl<S: Source> Data<S> {
    /// The next data, up to so many bytes; none only when all have been read.
    fn poll_next(&mut self, cx: &mut Context<'_>, at_most: usize) -> Poll<Result<Bytes, Error>> {
        let left = usize::try_from(self.len - self.read).unwrap_or(usize::MAX);
        let count = left.min(at_most).min(READ_AT_MOST);
        if count == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        self.buffer.resize(count, 0);
        match ready!(retry(|| self.source.poll_read(cx, &mut self.buffer))).map_err(Error::Read)? {
            0 => Poll::Ready(Err(Error::ReadTooShort { read: self.read, expected: self.len })),
            read => {
                self.read += read as u64;
                Poll::Ready(Ok(self.buffer.split_to(read).freeze()))
            }
        }
    }
}

async fn write_all(sink: &mut impl Sink, mut bytes: &[u8]) -> Result<(), Error> {
    while !bytes.is_empty() {
        match poll_fn(|cx| retry(|| sink.poll_write(cx, bytes))).await.map_err(Error::Write)? {
            0 => return Err(Error::Write(io::ErrorKind::WriteZero.into())),
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Does it again when a signal has interrupted it.
fn retry(mut act: impl FnMut() -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    loop {
        match act() {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
