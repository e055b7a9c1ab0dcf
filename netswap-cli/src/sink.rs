//! Where the data of `get` go: stdout, or a file that is complete or untouched.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

use crate::failure::Failure;
use crate::new_file::NewFile;
use crate::old_file::OldFile;
use crate::output;

/// Bytes that are written at a time.
const WRITE_AT_ONCE: usize = 1 << 20;

/// A place for data.
pub(crate) enum Sink {
    /// As the data come.
    Stdout,
    /// A device or a pipe with a name: as the data come.
    Device(File, PathBuf),
    /// A file that gets its name when it is complete.
    File(NewFile),
}

impl Sink {
    /// Finds out whether a place can be written to.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        Self::open_path(path).map_err(|error| cannot_write(path, &error))
    }

    fn open_path(path: &Path) -> io::Result<Self> {
        match OldFile::open(path)? {
            None => Ok(Self::File(NewFile::create(path)?)),
            Some(old) if old.is_file()? => Ok(Self::File(NewFile::replace(old)?)),
            Some(device) => Ok(Self::Device(device.into_file(), path.to_owned())),
        }
    }

    /// Where the bytes go.
    ///
    /// # Errors
    ///
    /// The system has no more descriptors.
    pub(crate) fn writer(&self) -> Result<Pin<Box<dyn AsyncWrite + Send>>, Failure> {
        let (file, path) = match self {
            Self::Stdout => return Ok(buffered(tokio::io::stdout())),
            Self::Device(file, path) => (file, path.as_path()),
            Self::File(file) => (file.as_file(), file.path()),
        };
        let file = file.try_clone().map_err(|error| cannot_write(path, &error))?;
        Ok(buffered(tokio::fs::File::from_std(file)))
    }

    /// All bytes have been written.
    ///
    /// # Errors
    ///
    /// The last bytes cannot be written, or the file cannot take its place.
    pub(crate) async fn finish(self, mut writer: Pin<Box<dyn AsyncWrite + Send>>) -> Result<(), Failure> {
        let flushed = writer.flush().await;
        let path = match self {
            Self::Stdout => return flushed.or_else(output::stdout_failed),
            Self::Device(_, path) => return flushed.map_err(|error| cannot_write(&path, &error)),
            Self::File(ref file) => file.path().to_owned(),
        };
        let Self::File(file) = self else { return Ok(()) };
        flushed.and_then(|()| file.persist()).map_err(|error| cannot_write(&path, &error))
    }

    /// What a failed write is.
    pub(crate) fn failed(&self, error: io::Error) -> Failure {
        match self {
            Self::Stdout => match output::stdout_failed(error) {
                Err(failure) => failure,
                Ok(()) => Failure::failed("cannot write to stdout"),
            },
            Self::Device(_, path) => cannot_write(path, &error),
            Self::File(file) => cannot_write(file.path(), &error),
        }
    }
}

/// Every write to a file or to stdout is done by another thread: few large ones go faster than many small ones.
fn buffered(writer: impl AsyncWrite + Send + 'static) -> Pin<Box<dyn AsyncWrite + Send>> {
    Box::pin(BufWriter::with_capacity(WRITE_AT_ONCE, writer))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    // Without the name of the temporary file, which tells nobody anything.
    let plain = error.raw_os_error().map(io::Error::from_raw_os_error);
    Failure::failed(format_args!("cannot write {}: {}", path.display(), plain.as_ref().unwrap_or(error)))
}
