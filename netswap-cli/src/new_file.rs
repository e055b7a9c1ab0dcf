//! The file that `-o` names: complete data or untouched, and never with rights that it did not have before.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::old_file::{Mode, OldFile};

/// A file in the making, beside the one that it replaces. It is deleted when dropped.
///
/// Only the user that runs the program can read it before it is complete, and so only that user can if the program is
/// killed.
pub(crate) struct NewFile {
    temporary: NamedTempFile,
    path: PathBuf,
    replaces: Replaces,
}

enum Replaces {
    Nothing(Mode),
    File(OldFile),
}

impl NewFile {
    /// A file that does not exist yet.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let mode = Mode::of_new_files();
        Ok(Self { temporary: beside(path)?, path: path.to_owned(), replaces: Replaces::Nothing(mode) })
    }

    /// A file that replaces another.
    ///
    /// # Errors
    ///
    /// The directory cannot be written to.
    pub(crate) fn replace(old: OldFile) -> io::Result<Self> {
        let path = old.path().to_owned();
        Ok(Self { temporary: beside(&path)?, path, replaces: Replaces::File(old) })
    }

    /// Where it is written.
    pub(crate) fn as_file(&self) -> &std::fs::File {
        self.temporary.as_file()
    }

    /// The path that it gets when it is complete.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the complete file its owner, its mode and its name. Where it cannot have the old file's owner and group, its
    /// data is written to the old file instead, which then keeps both.
    ///
    /// # Errors
    ///
    /// Neither is possible.
    pub(crate) fn persist(self) -> io::Result<()> {
        let file = self.temporary.as_file();
        match self.replaces {
            Replaces::Nothing(mode) => mode.set(file)?,
            Replaces::File(mut old) => {
                if !old.give_rights_to(file)? {
                    return old.overwrite(self.temporary.as_file());
                }
            }
        }
        self.temporary.persist(&self.path)?;
        Ok(())
    }
}

/// A temporary file in the same directory, of mode 0600.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new().prefix(&prefix).suffix(".part").tempfile_in(directory)
}
