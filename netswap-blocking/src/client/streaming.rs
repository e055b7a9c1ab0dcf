//! The calls whose data come from a reader or go to a writer, piece by piece: a record of a gigabyte needs no
//! gigabyte of memory.

use std::io::{self, Read, Write};
use std::task::{Context, Poll};

use netswap_adapter::client::{Sink, Source};

use super::{Appended, Client, Error};
use crate::{Access, Pointer, Version};

/// # Streaming
///
/// `progress` is called with the bytes that have gone over the wire so far and with those there are in all. At most
/// some hundred KiB of an upload, and 4 MiB of downloads, are held in memory. While a writer is slow the whole
/// connection waits for it: use a client of its own for downloads that may stall. While a reader or a writer blocks,
/// the call does: a timeout or a refusal is told when it returns.
impl Client {
    /// Makes a record of the next `len` bytes that `reader` gives: like [`create`](Self::create). What it has beyond
    /// them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`create`](Self::create). No record is made then.
    pub fn create_from<R: Read>(
        &self,
        reader: R,
        len: u64,
        access: Access,
        progress: impl FnMut(u64, u64),
    ) -> Result<Pointer, Error> {
        self.wait(self.session.create_from(Io(reader), len, access, progress))
    }

    /// Puts the next `len` bytes that `reader` gives in the place of a record's old data: like
    /// [`replace`](Self::replace). What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`replace`](Self::replace). The old data stay whole then.
    pub fn replace_from<R: Read>(
        &self,
        pointer: Pointer,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        self.wait(self.session.replace_from(pointer, Io(reader), len, progress))
    }

    /// Writes the next `len` bytes that `reader` gives over a part of a record: like [`write_range`](Self::write_range).
    /// What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`write_range`](Self::write_range). Nothing is written then.
    pub fn write_range_from<R: Read>(
        &self,
        pointer: Pointer,
        offset: u32,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        self.wait(self.session.write_range_from(pointer, offset, Io(reader), len, progress))
    }

    /// Adds the next `len` bytes that `reader` gives at the end of a record: like [`append`](Self::append). What the
    /// reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`append`](Self::append). Nothing is added then.
    pub fn append_from<R: Read>(
        &self,
        pointer: Pointer,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Appended, Error> {
        self.wait(self.session.append_from(pointer, Io(reader), len, progress))
    }

    /// Puts the next `len` bytes that `reader` gives in the place of a record's old data if it still has this version:
    /// like [`compare_and_replace`](Self::compare_and_replace). What the reader has beyond them is not read.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::ReadTooShort`] when the reader fails or ends early, and those of
    /// [`compare_and_replace`](Self::compare_and_replace). The old data stay whole then.
    pub fn compare_and_replace_from<R: Read>(
        &self,
        pointer: Pointer,
        version: Version,
        reader: R,
        len: u64,
        progress: impl FnMut(u64, u64),
    ) -> Result<Version, Error> {
        self.wait(self.session.compare_and_replace_from(pointer, version, Io(reader), len, progress))
    }

    /// Writes a record's data to `writer`, flushes it, and tells how many bytes there were: like
    /// [`resolve`](Self::resolve), without a limit of the length.
    ///
    /// # Errors
    ///
    /// [`Error::Write`] when the writer fails, and those of [`resolve`](Self::resolve). The writer may then have got the
    /// beginning of the data.
    pub fn resolve_into<W: Write>(
        &self,
        pointer: Pointer,
        writer: W,
        progress: impl FnMut(u64, u64),
    ) -> Result<u64, Error> {
        self.wait(self.session.resolve_into(pointer, Io(writer), progress))
    }
}

/// A reader or a writer, which blocks the thread of the call.
struct Io<T>(T);

impl<R: Read> Source for Io<R> {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.read(buffer))
    }
}

impl<W: Write> Sink for Io<W> {
    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.0.write(bytes))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.flush())
    }
}
