//! Where the data of `put` and `replace` come from: a file, or stdin, whose length must be known first.

use std::fs::File;
use std::io::{self, Cursor, IsTerminal, Read, Seek};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use netswap_tokio::core::config::MAX_RECORD;
use netswap_tokio::core::error::Refusal;
use tempfile::{SpooledData, SpooledTempFile};
use tokio::io::{AsyncRead, ReadBuf};

use crate::failure::Failure;
use crate::output;

/// What comes from a pipe is kept in memory up to this many bytes, and in a temporary file beyond.
const SPOOL_IN_MEMORY: usize = 64 << 20;

/// A file or a pipe that can be read.
pub(crate) struct Origin {
    /// What to call it.
    name: String,
    input: Input,
}

enum Input {
    /// A file with its length.
    File(File, u64),
    /// Something whose length is known at its end.
    Pipe(Box<dyn Read + Send>),
}

impl Origin {
    /// Opens a file, or stdin (`-`).
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            if io::stdin().is_terminal() {
                output::note("reading from the terminal, up to the end of input (Ctrl-D)");
            }
            return Ok(Self { name: "stdin".to_owned(), input: Input::Pipe(Box::new(io::stdin())) });
        }
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| cannot_read(&name, &error))?;
        if metadata.is_dir() {
            return Err(cannot_read(&name, &io::ErrorKind::IsADirectory.into()));
        }
        // Files of the kernel's, as in /proc, say that they are empty.
        let input = match metadata.len() {
            len @ 1.. if metadata.is_file() => Input::File(file, len),
            _ => Input::Pipe(Box::new(file)),
        };
        Ok(Self { name, input })
    }

    /// Whether it must be read to its end before its length is known.
    pub(crate) fn is_pipe(&self) -> bool {
        matches!(self.input, Input::Pipe(_))
    }

    /// Finds out the length, and for this reads a pipe to its end, or to more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is longer than `limit`, which is the server's, or the protocol can carry.
    pub(crate) async fn measure(self, limit: u32) -> Result<Source, Failure> {
        let Self { name, input } = self;
        match input {
            Input::File(file, len) => {
                let len = length(&name, len, MAX_RECORD)?;
                Ok(Source { name, len, data: Data::File(file) })
            }
            Input::Pipe(reader) => {
                match tokio::task::spawn_blocking(move || spool(name, reader, limit)).await {
                    Ok(source) => source,
                    Err(fault) => Err(Failure::failed(format_args!("reading failed: {fault}"))),
                }
            }
        }
    }
}

/// Reads to the end.
fn spool(name: String, reader: impl Read, limit: u32) -> Result<Source, Failure> {
    let mut spool = SpooledTempFile::new(SPOOL_IN_MEMORY);
    let copied = io::copy(&mut reader.take(u64::from(limit) + 1), &mut spool);
    let copied = copied.and_then(|len| spool.rewind().map(|()| len));
    let len = length(&name, copied.map_err(|error| cannot_read(&name, &error))?, limit)?;
    let data = match spool.into_inner() {
        SpooledData::InMemory(cursor) => Data::Memory(cursor),
        SpooledData::OnDisk(file) => Data::File(file),
    };
    Ok(Source { name, len, data })
}

fn length(name: &str, len: u64, limit: u32) -> Result<u32, Failure> {
    match u32::try_from(len) {
        Ok(len) if len <= limit => Ok(len),
        _ if limit < MAX_RECORD => {
            let refusal = Refusal::RecordTooLarge { limit };
            Err(Failure::failed(format_args!("{name}: {}: {refusal}", refusal.name())))
        }
        _ => Err(Failure::failed(format_args!(
            "{name} is longer than any record can be: the protocol's limit is {MAX_RECORD} bytes"
        ))),
    }
}

fn cannot_read(name: &str, error: &io::Error) -> Failure {
    Failure::failed(format_args!("cannot read {name}: {error}"))
}

/// Data of a known length.
pub(crate) struct Source {
    name: String,
    /// Their bytes.
    pub(crate) len: u32,
    data: Data,
}

enum Data {
    Memory(Cursor<Vec<u8>>),
    File(File),
}

impl Source {
    /// The bytes, which are exactly as many as was said; or an error.
    pub(crate) fn into_reader(self) -> impl AsyncRead + Send + Unpin {
        let reader: Pin<Box<dyn AsyncRead + Send>> = match self.data {
            Data::Memory(cursor) => Box::pin(cursor),
            Data::File(file) => Box::pin(tokio::fs::File::from_std(file)),
        };
        Exact { reader, name: self.name, len: self.len, left: self.len }
    }
}

/// Reads exactly as many bytes as a file had in the beginning, whatever happens to it meanwhile.
struct Exact {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    name: String,
    len: u32,
    left: u32,
}

impl AsyncRead for Exact {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let left = self.left as usize;
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(left.min(buf.remaining())));
        ready!(self.reader.as_mut().poll_read(cx, &mut part))
            .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", self.name)))?;
        let count = part.filled().len();
        if count == 0 {
            let Self { name, len, left, .. } = &*self;
            let message = format!("{name} got shorter: it had {len} bytes, and now only {}", len - left);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message)));
        }
        buf.advance(count);
        self.left -= count as u32;
        Poll::Ready(Ok(()))
    }
}
