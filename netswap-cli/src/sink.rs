//! Where the data of `get` go: stdout, or a file that is complete or untouched.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use tempfile::NamedTempFile;
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

use crate::failure::Failure;
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

/// A file in the making, beside the one whose place it is to take. Dropped, it is gone.
pub(crate) struct NewFile {
    temporary: NamedTempFile,
    path: PathBuf,
    permissions: Option<Permissions>,
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
        let metadata = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(metadata) = metadata else {
            return Ok(Self::File(NewFile::beside(path.to_owned(), None)?));
        };
        // What could not be written to must not be replaced either.
        let file = OpenOptions::new().write(true).open(path)?;
        if !metadata.is_file() {
            return Ok(Self::Device(file, path.to_owned()));
        }
        // Where the path is a link, the file behind it is to be replaced, and not the link.
        Ok(Self::File(NewFile::beside(fs::canonicalize(path)?, Some(metadata.permissions()))?))
    }

    /// Where the bytes go.
    ///
    /// # Errors
    ///
    /// The system has no more descriptors.
    pub(crate) fn writer(&self) -> Result<Pin<Box<dyn AsyncWrite + Send>>, Failure> {
        let (file, path) = match self {
            Self::Stdout => return Ok(buffered(tokio::io::stdout())),
            Self::Device(file, path) => (file, path),
            Self::File(file) => (file.temporary.as_file(), &file.path),
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
            Self::File(ref file) => file.path.clone(),
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
            Self::File(file) => cannot_write(&file.path, &error),
        }
    }
}

/// Every write to a file or to stdout is done by another thread: few large ones go faster than many small ones.
fn buffered(writer: impl AsyncWrite + Send + 'static) -> Pin<Box<dyn AsyncWrite + Send>> {
    Box::pin(BufWriter::with_capacity(WRITE_AT_ONCE, writer))
}

impl NewFile {
    fn beside(path: PathBuf, permissions: Option<Permissions>) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let mut prefix = std::ffi::OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(".part");
        // As every new file: what the umask leaves.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let temporary = builder.tempfile_in(directory)?;
        Ok(Self { temporary, path, permissions })
    }

    fn persist(self) -> io::Result<()> {
        if let Some(permissions) = self.permissions {
            self.temporary.as_file().set_permissions(permissions)?;
        }
        self.temporary.persist(&self.path)?;
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    // Without the name of the temporary file, which tells nobody anything.
    let plain = error.raw_os_error().map(io::Error::from_raw_os_error);
    Failure::failed(format_args!("cannot write {}: {}", path.display(), plain.as_ref().unwrap_or(error)))
}
