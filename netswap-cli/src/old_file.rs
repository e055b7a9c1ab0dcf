//! A file that exists before data is written under its name: how it is opened, and what of it a new file gets.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

pub(crate) use system::Mode;

/// A file, a device or a pipe that exists, open for writing.
pub(crate) struct OldFile {
    file: File,
    path: PathBuf,
}

impl OldFile {
    /// Opens what a path names; `None` when there is nothing, or a symbolic link to nothing. Links are followed, except
    /// those of other users in sticky directories.
    ///
    /// # Errors
    ///
    /// It cannot be written to: then it must not be replaced either.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata?,
        };
        let (path, is_link) = system::follow(path)?;
        let mut options = OpenOptions::new();
        options.write(true);
        if !is_link {
            // A link that was put there since is not followed.
            system::follow_no_link(&mut options);
        }
        let file = options.open(&path)?;
        Ok(Some(Self { file, path }))
    }

    /// Whether it is a file, rather than a device or a pipe.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn is_file(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.is_file())
    }

    /// The device or pipe itself.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Its path, links followed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, File, Metadata, OpenOptions};
    use std::io::{self, Seek};
    use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
    use std::path::{Path, PathBuf};

    use rustix::fs::{Gid, Mode as Bits, OFlags, Uid, fchmod, fchown, fstat};
    use rustix::io::Errno;
    use rustix::process::{geteuid, umask};

    use super::OldFile;

    /// As many links in a row as Linux follows.
    const MAX_LINKS: usize = 40;

    /// Bits of [`MetadataExt::mode`].
    const SETUID_AND_SETGID: u32 = 0o6000;
    const STICKY: u32 = 0o1000;
    const WRITABLE_BY_ALL: u32 = 0o002;

    /// A file's permissions. Setuid, setgid and sticky bits are not among them.
    #[derive(Clone, Copy)]
    pub(crate) struct Mode(Bits);

    impl Mode {
        /// What the umask leaves to a new file. Other threads must not create files at the same time.
        pub(crate) fn of_new_files() -> Self {
            let mask = umask(Bits::RWXG | Bits::RWXO);
            umask(mask);
            Self(Bits::from_raw_mode(0o666).difference(mask))
        }

        fn of(file: &File) -> io::Result<Self> {
            let all = Bits::RWXU | Bits::RWXG | Bits::RWXO;
            Ok(Self(Bits::from_raw_mode(fstat(file)?.st_mode) & all))
        }

        pub(crate) fn set(self, file: &File) -> io::Result<()> {
            Ok(fchmod(file, self.0)?)
        }
    }

    impl OldFile {
        /// Gives a new file, which only its owner can read so far, this one's owner, group and permissions, and tells
        /// whether that was possible.
        pub(crate) fn give_rights_to(&mut self, new: &File) -> io::Result<bool> {
            let (old, now) = (self.file.metadata()?, new.metadata()?);
            if has_access_list(&self.file) {
                // With one, the group's bits in the mode are a mask, and would give the group more.
                return Ok(false);
            }
            if (old.uid(), old.gid()) != (now.uid(), now.gid()) {
                match fchown(new, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid()))) {
                    // No right to, or an owner that is unknown in this user namespace.
                    Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) => return Ok(false),
                    changed => changed?,
                }
            }
            Mode::of(&self.file)?.set(new)?;
            Ok(true)
        }

        /// Writes the data of a complete file in the place of this one's.
        pub(crate) fn overwrite(&mut self, mut data: &File) -> io::Result<()> {
            let old = self.file.metadata()?;
            if old.nlink() > 1 {
                return Err(io::Error::other(
                    "its owner, group and access list cannot be given to a new file, and it has other names (hard links) \
                     whose data must not change",
                ));
            }
            self.drop_setuid(&old)?;
            data.rewind()?;
            let len = io::copy(&mut data, &mut self.file)?;
            self.file.set_len(len)
        }

        /// What comes from a server must not run with the rights of the file's owner. The system drops the bits when
        /// others than root write.
        fn drop_setuid(&self, old: &Metadata) -> io::Result<()> {
            if old.mode() & SETUID_AND_SETGID == 0 {
                return Ok(());
            }
            if Mode::of(&self.file)?.set(&self.file).is_err() {
                // The length stays, but for the system this is a write.
                self.file.set_len(old.len())?;
            }
            if self.file.metadata()?.mode() & SETUID_AND_SETGID == 0 {
                return Ok(());
            }
            Err(io::Error::other("it has a setuid or setgid bit that cannot be removed"))
        }
    }

    /// Whether a file has an access list beside its mode.
    #[cfg(target_os = "linux")]
    fn has_access_list(file: &File) -> bool {
        rustix::fs::fgetxattr(file, "system.posix_acl_access", &mut [0_u8; 0]).is_ok()
    }

    #[cfg(not(target_os = "linux"))]
    fn has_access_list(_: &File) -> bool {
        false
    }

    /// The path behind symbolic links, and whether it is a link that must be opened to be followed.
    ///
    /// A link in a sticky directory that everybody can write to is followed only if it belongs to this user or to the
    /// directory's owner, as with `fs.protected_symlinks` of Linux.
    pub(super) fn follow(path: &Path) -> io::Result<(PathBuf, bool)> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let metadata = fs::symlink_metadata(&path)?;
            if !metadata.is_symlink() {
                return Ok((path, false));
            }
            let directory = match path.parent() {
                Some(parent) if parent != Path::new("") => parent,
                _ => Path::new("."),
            };
            if !may_follow(&metadata, &fs::metadata(directory)?) {
                return Err(io::Error::other(format!(
                    "{} is another user's link in a directory that everybody can write to, and is not followed",
                    path.display()
                )));
            }
            let next = directory.join(fs::read_link(&path)?);
            match fs::symlink_metadata(&next) {
                // /dev/stdout ends with a link of the system that names no path.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((path, true)),
                _ => path = next,
            }
        }
        Err(Errno::LOOP.into())
    }

    fn may_follow(link: &Metadata, directory: &Metadata) -> bool {
        directory.mode() & (STICKY | WRITABLE_BY_ALL) != STICKY | WRITABLE_BY_ALL
            || link.uid() == geteuid().as_raw()
            || link.uid() == directory.uid()
    }

    pub(super) fn follow_no_link(options: &mut OpenOptions) {
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    }
}

#[cfg(not(unix))]
mod other {
    use std::fs::{self, File, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};

    use super::OldFile;

    /// A file's permissions: here new files have what their directory gives them.
    #[derive(Clone, Copy)]
    pub(crate) struct Mode;

    impl Mode {
        pub(crate) fn of_new_files() -> Self {
            Self
        }

        pub(crate) fn set(self, _: &File) -> io::Result<()> {
            Ok(())
        }
    }

    impl OldFile {
        pub(crate) fn give_rights_to(&mut self, new: &File) -> io::Result<bool> {
            new.set_permissions(self.file.metadata()?.permissions())?;
            Ok(true)
        }

        pub(crate) fn overwrite(&mut self, mut data: &File) -> io::Result<()> {
            let len = io::copy(&mut data, &mut self.file)?;
            self.file.set_len(len)
        }
    }

    pub(super) fn follow(path: &Path) -> io::Result<(PathBuf, bool)> {
        Ok((fs::canonicalize(path)?, false))
    }

    pub(super) fn follow_no_link(_: &mut OpenOptions) {}
}
