//! The calls whose data come from a reader or go to a writer, piece by piece: a record of a gigabyte needs no
//! gigabyte of memory.

use bytes::{Bytes, BytesMut};
use netswap_core::types::{Access, Pointer, Version};
use netswap_core::wire::{Reply, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::call::Call;
use super::ranges::{Appended, appended, written};
use super::{Client, Error};

/// The most bytes that are read at a time.
const READ_AT_MOST: usize = 64 * 1024;

/// # Streaming
///
/// `progress` is called with the bytes that have gone over the wire so far and with those there are in all. At most
/// some hundred KiB of an upload, and 4 MiB of downloads, are held in memory. While a writer is slow the whole
/// connection waits for it: use a client of its own for downloads that may stall.
impl Client {
    /// Makes a record of the next `len` bytes that `reader` gives: like [`create`](Self::create). What it has beyond
    /// them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`create`](Self::create). No record is made then.
    ///
    /// # Cancel safety
    ///
    /// As [`create`](Self::create). How much was read from the reader is not known.
    pub async fn create_from<R: AsyncRead + Unpin>(
        &self,
        reader: R,
        len: u64,
        access: Access,
        progress: impl FnMut(u64, u64),
    ) -> Result<Pointer, Error> {
        let request = |data| Request::CreateRecord { access, data };
        self.upload(request, reader, len, progress, |reply| match reply {
            Reply::Created(pointer) => Some(pointer),
            _ => None,
        })
        .await
    }

    /// Puts the next `len` bytes that `reader` gives in the place of a record's old data: like
    /// [`replace`](Self::replace). What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`replace`](Self::replace). The old data stay whole then.
    ///
    /// # Cancel safety
    ///
    /// As [`replace`](Self::replace). How much was read from the reader is not known.
    pub async fn replace_from<R: AsyncRead + Unpin>(
        &self,
        pointer: Pointer,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::ReplaceRecord { pointer, data };
        self.upload(request, reader, len, progress, written).await
    }

    /// Writes the next `len` bytes that `reader` gives over a part of a record: like [`write_range`](Self::write_range).
    /// What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`write_range`](Self::write_range). Nothing is written then.
    ///
    /// # Cancel safety
    ///
    /// As [`write_range`](Self::write_range). How much was read from the reader is not known.
    pub async fn write_range_from<R: AsyncRead + Unpin>(
        &self,
        pointer: Pointer,
        offset: u32,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::WriteRange { pointer, offset, data };
        self.upload(request, reader, len, progress, written).await
    }

    /// Adds the next `len` bytes that `reader` gives at the end of a record: like [`append`](Self::append). What the
    /// reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`append`](Self::append). Nothing is added then.
    ///
    /// # Cancel safety
    ///
    /// As [`append`](Self::append). How much was read from the reader is not known.
    pub async fn append_from<R: AsyncRead + Unpin>(
        &self,
        pointer: Pointer,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Appended, Error> {
        let request = |data| Request::Append { pointer, data };
        self.upload(request, reader, len, progress, appended).await
    }

    /// Puts the next `len` bytes that `reader` gives in the place of a record's old data if it still has this version:
    /// like [`compare_and_replace`](Self::compare_and_replace). What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`compare_and_replace`](Self::compare_and_replace). The old data stay whole then.
    ///
    /// # Cancel safety
    ///
    /// As [`compare_and_replace`](Self::compare_and_replace). How much was read from the reader is not known.
    pub async fn compare_and_replace_from<R: AsyncRead + Unpin>(
        &self,
        pointer: Pointer,
        version: Version,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        let request = |data| Request::CompareAndReplace { pointer, version, data };
        self.upload(request, reader, len, progress, written).await
    }

    /// Writes a record's data to `writer`, flushes it, and tells how many bytes there were: like
    /// [`resolve`](Self::resolve), without a limit of the length.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] when the writer fails, and those of [`resolve`](Self::resolve). The writer may then have got the
    /// beginning of the data.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the writer may have got the beginning of the data.
    pub async fn resolve_into<W: AsyncWrite + Unpin>(
        &self,
        pointer: Pointer,
        mut writer: W,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, Error> {
        let request = Request::ResolvePointer { pointer };
        let (mut call, mut pieces) = Call::download(self.shared(), request, self.idle_timeout()).await?;
        let mut written = 0;
        while let Some((data, total)) = pieces.recv().await {
            writer.write_all(&data).await.map_err(Error::Write)?;
            call.consumed(data.len());
            written += data.len() as u64;
            progress(written, u64::from(total));
        }
        let reply = call.answer().await?;
        let rest =
            call.expect(reply, |reply| if let Reply::Resolved(rest) = reply { Some(rest) } else { None })?;
        writer.write_all(&rest).await.map_err(Error::Write)?;
        writer.flush().await.map_err(Error::Write)?;
        written += rest.len() as u64;
        progress(written, written);
        Ok(written)
    }

    async fn upload<T>(
        &self,
        request: impl FnOnce(u32) -> Request<u32>,
        reader: impl AsyncRead + Unpin,
        len: u64,
        mut progress: impl FnMut(u64, u64),
        expected: impl FnOnce(Reply<Bytes>) -> Option<T>,
    ) -> Result<T, Error> {
        let data = u32::try_from(len).map_err(|_| Error::DataTooLong)?;
        let mut source = Source { reader, buffer: BytesMut::new(), read: 0, len };
        // The server is asked when there is something to give it: unfinished requests have a time limit there.
        let first = source.next(READ_AT_MOST).await?;
        let (mut call, wanted) = Call::upload(self.shared(), request(data), self.idle_timeout()).await?;
        call.provide(first);
        while source.read < len {
            let Some(state) = call.progress() else { break };
            progress(u64::from(state.sent), len);
            tokio::select! {
                biased;
                // A refusal may come before all is sent.
                answer = call.answer() => return call.expect(answer?, expected),
                () = wanted.notified(), if state.wanted == 0 => {}
                data = source.next(state.wanted), if state.wanted > 0 => call.provide(data?),
            }
        }
        let answer = call.answer().await?;
        progress(len, len);
        call.expect(answer, expected)
    }
}

/// The data of an upload.
struct Source<R> {
    reader: R,
    buffer: BytesMut,
    read: u64,
    len: u64,
}

impl<R: AsyncRead + Unpin> Source<R> {
    /// The next data, up to so many bytes; none only when all have been read.
    async fn next(&mut self, at_most: usize) -> Result<Bytes, Error> {
        let left = usize::try_from(self.len - self.read).unwrap_or(usize::MAX);
        let count = left.min(at_most).min(READ_AT_MOST);
        if count == 0 {
            return Ok(Bytes::new());
        }
        self.buffer.reserve(count);
        let mut reader = (&mut self.reader).take(count as u64);
        match reader.read_buf(&mut self.buffer).await.map_err(Error::Read)? {
            0 => Err(Error::ReadTooShort { read: self.read, expected: self.len }),
            read => {
                self.read += read as u64;
                Ok(self.buffer.split().freeze())
            }
        }
    }
}
