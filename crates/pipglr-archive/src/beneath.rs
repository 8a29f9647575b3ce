//! Opening things below one directory so that no symbolic link, `..` or race can lead out of it.
//!
//! Every path given here is relative, made of ordinary components only. No component may be a symbolic
//! link: the kernel checks that (`openat2`), or, where it cannot, each component is opened on its own.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::Error;

/// A directory whose inside can be reached, and nothing else.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
    kernel_resolves: AtomicBool,
}

/// The directory that holds a path's last component, and that component.
#[derive(Debug)]
pub(crate) struct Place<'p> {
    pub(crate) directory: OwnedFd,
    pub(crate) name: &'p OsStr,
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Beneath {
    /// Opens the root itself; links on the way to it are followed.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, root, flags, Mode::empty())
            .map_err(|e| Error::io("open the directory", root, e))?;
        Ok(Self {
            root: fd,
            kernel_resolves: AtomicBool::new(true),
        })
    }

    /// Never asks the kernel to resolve a whole path, as on a kernel that cannot.
    #[cfg(test)]
    pub(crate) fn resolving_components(self) -> Self {
        self.kernel_resolves.store(false, Ordering::Relaxed);
        self
    }

    /// Opens an existing regular file for reading; anything else is [`Error::NotRegular`].
    pub(crate) fn open_file(&self, path: &Path) -> Result<(File, Stat), Error> {
        // A file that was exchanged for a FIFO must not block us.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let place = self.place(path)?;
        let fd = rustix::fs::openat(&place.directory, place.name, flags, Mode::empty()).map_err(|e| match e {
            Errno::LOOP | Errno::NXIO => Error::NotRegular {
                path: path.to_path_buf(),
            },
            e => Error::io("open", path, e),
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(|e| Error::io("examine", path, e))?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(Error::NotRegular {
                path: path.to_path_buf(),
            });
        }
        Ok((File::from(fd), stat))
    }

    /// What the last component is, links not followed.
    pub(crate) fn stat(&self, path: &Path) -> Result<Stat, Error> {
        let place = self.place(path)?;
        rustix::fs::statat(&place.directory, place.name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::io("examine", path, e))
    }

    /// The target of a symbolic link, as stored.
    pub(crate) fn read_link(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let place = self.place(path)?;
        rustix::fs::readlinkat(&place.directory, place.name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(|e| Error::io("read the link", path, e))
    }

    /// Opens a directory with a handle on which its mode and times can be set.
    pub(crate) fn open_directory(&self, path: &Path) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = self.place(path)?;
        rustix::fs::openat(&place.directory, place.name, flags, Mode::empty())
            .map_err(|e| Error::io("open the directory", path, e))
    }

    /// Finds the directory of `path`, which must exist.
    pub(crate) fn place<'p>(&self, path: &'p Path) -> Result<Place<'p>, Error> {
        let (parent, name) = split(path)?;
        let directory = self
            .resolve(parent)
            .map_err(|e| behind(path, "open the directory of", e))?;
        Ok(Place { directory, name })
    }

    /// As [`Self::place`], but creates missing directories (mode 0777 less the umask).
    pub(crate) fn place_creating<'p>(&self, path: &'p Path) -> Result<Place<'p>, Error> {
        let (parent, name) = split(path)?;
        let directory = match self.resolve(parent) {
            Err(Errno::NOENT) => self.resolve_creating(parent),
            resolved => resolved,
        }
        .map_err(|e| behind(path, "create the directory of", e))?;
        Ok(Place { directory, name })
    }

    fn resolve(&self, directory: &Path) -> rustix::io::Result<OwnedFd> {
        if directory.as_os_str().is_empty() {
            return self.root.as_fd().try_clone_to_owned().map_err(errno);
        }
        if self.kernel_resolves.load(Ordering::Relaxed) {
            match self.resolve_by_kernel(directory) {
                // Old kernels lack the call, and some seccomp profiles answer EPERM to what they do not
                // know; EAGAIN means a concurrent rename, and an over-long path still resolves piecewise.
                Err(Errno::NOSYS | Errno::PERM) => {
                    self.kernel_resolves.store(false, Ordering::Relaxed);
                }
                Err(Errno::AGAIN | Errno::NAMETOOLONG) => {}
                resolved => return resolved,
            }
        }
        let mut at = self.root.as_fd().try_clone_to_owned().map_err(errno)?;
        for component in directory {
            at = rustix::fs::openat(&at, component, DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    fn resolve_by_kernel(&self, directory: &Path) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, directory, DIRECTORY, Mode::empty(), resolve)
    }

    fn resolve_creating(&self, directory: &Path) -> rustix::io::Result<OwnedFd> {
        let mut at = self.root.as_fd().try_clone_to_owned().map_err(errno)?;
        for component in directory {
            at = match rustix::fs::openat(&at, component, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&at, component, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e),
                    }
                    rustix::fs::openat(&at, component, DIRECTORY, Mode::empty())?
                }
                opened => opened?,
            };
        }
        Ok(at)
    }
}

impl Place<'_> {
    /// Removes what is there (a directory only if empty); nothing there is fine.
    pub(crate) fn clear(&self) -> rustix::io::Result<()> {
        match rustix::fs::unlinkat(&self.directory, self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR | Errno::PERM) => rustix::fs::unlinkat(&self.directory, self.name, AtFlags::REMOVEDIR),
            Err(e) => Err(e),
        }
    }
}

/// Splits into directory and last component, refusing anything but ordinary components: a last line of
/// defence, since callers have checked names already.
fn split(path: &Path) -> Result<(&Path, &OsStr), Error> {
    let ordinary = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if ordinary => Ok((parent, name)),
        _ => Err(Error::NotBeneath {
            path: path.to_path_buf(),
        }),
    }
}

fn behind(path: &Path, action: &'static str, errno: Errno) -> Error {
    match errno {
        Errno::LOOP | Errno::NOTDIR | Errno::XDEV => Error::NotBeneath {
            path: path.to_path_buf(),
        },
        errno => Error::io(action, path, errno),
    }
}

/// `try_clone_to_owned` fails with an OS error or not at all.
fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// What every resolution must agree on, with and without `openat2`.
    fn check(beneath: &Beneath) {
        let outcome = |path: &str| match beneath.place_creating(Path::new(path)) {
            Ok(_) => "ok",
            Err(Error::NotBeneath { .. }) => "not beneath",
            Err(_) => "other",
        };
        let rows = [
            ("file", "ok"),
            ("real/file", "ok"),
            ("new/deep/file", "ok"),
            ("out/file", "not beneath"),
            ("out/new/file", "not beneath"),
            ("inside/file", "not beneath"),
            ("real/up/file", "not beneath"),
            ("plain/file", "not beneath"),
            ("../file", "not beneath"),
            ("/file", "not beneath"),
            ("", "not beneath"),
        ];
        for (path, expected) in rows {
            assert_eq!(outcome(path), expected, "{path}");
        }
    }

    #[test]
    fn both_ways_of_resolving_refuse_the_same_paths() {
        for components in [false, true] {
            let outer = tempfile::tempdir().unwrap();
            let root = outer.path().join("root");
            std::fs::create_dir_all(root.join("real")).unwrap();
            std::fs::write(root.join("plain"), "").unwrap();
            symlink(outer.path(), root.join("out")).unwrap();
            symlink("real", root.join("inside")).unwrap();
            symlink("..", root.join("real/up")).unwrap();
            let beneath = Beneath::open(&root).unwrap();
            check(&if components {
                beneath.resolving_components()
            } else {
                beneath
            });
            assert!(root.join("new/deep").is_dir());
            assert!(!outer.path().join("new").exists());
        }
    }

    #[test]
    fn a_link_is_not_opened_as_a_file() {
        let root = tempfile::tempdir().unwrap();
        symlink("/etc/passwd", root.path().join("l")).unwrap();
        let beneath = Beneath::open(root.path()).unwrap();
        assert!(matches!(
            beneath.open_file(Path::new("l")),
            Err(Error::NotRegular { .. })
        ));
        assert_eq!(beneath.read_link(Path::new("l")).unwrap(), b"/etc/passwd");
    }
}
