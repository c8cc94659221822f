//! From a folder's handle to a file below it, name by name.
//!
//! A path that is checked and then opened is looked up twice, and somebody may
//! put a link in its way in between. So nothing is looked up by a whole path
//! here: every name is opened relative to the folder opened before it, and
//! never through a link.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::lookup::{About, Lost};
use super::path::split;
use crate::picture::Stamp;

/// The most handles kept for the folders that were walked to.
const MOST_HANDLES: usize = 48;

/// Opens a folder to walk through, without asking for the right to list it
/// where the system knows the difference.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THROUGH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const THROUGH: OFlags = OFlags::RDONLY;

/// Walks from one folder.
pub(super) struct Walker {
    /// The folder's own handle.
    top: Arc<OwnedFd>,
    /// The folders that were walked to, by their path in the manifest.
    folders: HashMap<Box<str>, Arc<OwnedFd>>,
}

/// Where a walk came to: a name in a folder that is open.
pub(super) struct Spot {
    folder: Arc<OwnedFd>,
    name: Box<str>,
    /// The whole path, for a link that replaces the file meanwhile.
    path: Box<str>,
    /// What stands there, which is no link.
    pub(super) about: About,
}

impl Walker {
    /// Opens the folder.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let flags = THROUGH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(folder, flags, Mode::empty())?;
        Ok(Self {
            top: Arc::new(top),
            folders: HashMap::new(),
        })
    }

    /// Walks to what a plain path names, and says what it is without opening
    /// it.
    ///
    /// # Errors
    /// See [`Lost`].
    pub(super) fn look(&mut self, path: &str) -> Result<Spot, Lost> {
        let (folder, name) = split(path);
        let folder = self.folder(folder)?;
        let stat = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(Lost::Link(path.into()));
        }
        Ok(Spot {
            folder,
            name: name.into(),
            path: path.into(),
            about: about(&stat),
        })
    }

    /// Walks to a file and opens it.
    ///
    /// # Errors
    /// See [`Lost`]; what is opened is a regular file.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), Lost> {
        self.look(path)?.open()
    }

    /// The names in the folder that a path's last name is in.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let folder = self.folder(split(path).0).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&folder, ".", flags, Mode::empty()).ok()?;
        let names = Dir::read_from(folder).ok()?.take(most);
        let names = names.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        Some(names.collect())
    }

    /// The handle of a folder, kept for the next picture in it.
    fn folder(&mut self, path: &str) -> Result<Arc<OwnedFd>, Lost> {
        if let Some(known) = self.folders.get(path) {
            return Ok(known.clone());
        }
        let mut folder = self.top.clone();
        let mut walked = 0;
        for name in path.split_terminator('/') {
            walked += name.len();
            let flags = THROUGH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = openat(&folder, name, flags, Mode::empty());
            let next = next.map_err(|cause| lost(&folder, name, &path[..walked], cause))?;
            folder = Arc::new(next);
            walked += 1;
        }
        if self.folders.len() == MOST_HANDLES {
            self.folders.clear();
        }
        self.folders.insert(path.into(), folder.clone());
        Ok(folder)
    }
}

impl Spot {
    /// Opens what stands there, which must be a regular file: before, since
    /// opening a device can do something, and after, since it may be another
    /// by then. Without waiting, since nobody may ever write to a pipe.
    ///
    /// # Errors
    /// See [`Lost`].
    pub(super) fn open(&self) -> Result<(File, About), Lost> {
        self.about.demand_file()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&*self.folder, &*self.name, flags, Mode::empty())
            .map_err(|cause| lost(&self.folder, &self.name, &self.path, cause))?;
        let about = about(&fstat(&file)?);
        about.demand_file()?;
        Ok((file.into(), about))
    }
}

/// Why a name could not be opened. What systems say of a link differs.
fn lost(folder: &OwnedFd, name: &str, path: &str, cause: Errno) -> Lost {
    match readlinkat(folder, name, Vec::new()) {
        Ok(_) => Lost::Link(path.into()),
        Err(_) => cause.into(),
    }
}

/// What an open file is now.
///
/// # Errors
/// The system's.
pub(super) fn about_file(file: &File) -> io::Result<About> {
    Ok(about(&fstat(file)?))
}

/// Takes from what the system says of a file what we use of it.
fn about(stat: &Stat) -> About {
    // The types of these differ between systems.
    let nanoseconds =
        |seconds, rest| -> i64 { 1_000_000_000i64.saturating_mul(seconds).saturating_add(rest) };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    About {
        regular: kind == FileType::RegularFile,
        folder: kind == FileType::Directory,
        bytes,
        stamp: Some(Stamp {
            device: stat.st_dev as _,
            inode: stat.st_ino as _,
            bytes,
            modified: nanoseconds(stat.st_mtime as _, stat.st_mtime_nsec as _),
            changed: nanoseconds(stat.st_ctime as _, stat.st_ctime_nsec as _),
        }),
    }
}

impl From<Errno> for Lost {
    fn from(cause: Errno) -> Self {
        Self::Io(cause.into())
    }
}
