//! Reaches a file from a folder's handle, name by name.
//!
//! A path that is checked and then opened is looked up twice, and someone may
//! add a link in between. So no whole path is looked up here: every name is
//! opened relative to the folder opened before it, and never through a link.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::lookup::{About, NotReached};
use super::path::split;
use crate::picture::Stamp;

/// The most folder handles that are kept.
const MOST_HANDLES: usize = 48;

/// Opens a folder to walk through, without asking for permission to list it
/// where the system distinguishes the two.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THROUGH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const THROUGH: OFlags = OFlags::RDONLY;

/// Walks from one folder.
pub(super) struct Walker {
    /// The folder's own handle.
    top: Arc<OwnedFd>,
    /// Handles of folders on the way, by their path in the manifest.
    folders: HashMap<Box<str>, Arc<OwnedFd>>,
}

/// Where a walk ended: a name in an open folder.
pub(super) struct FoundEntry {
    folder: Arc<OwnedFd>,
    name: Box<str>,
    /// The whole path, in case a link replaces the file meanwhile.
    path: Box<str>,
    /// The entry, which is not a link.
    pub(super) about: About,
}

impl Walker {
    /// Opens the folder.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let flags = THROUGH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::open(folder, flags, Mode::empty())?;
        Ok(Self {
            top: Arc::new(top),
            folders: HashMap::new(),
        })
    }

    /// Walks to the entry of a plain path, and says what it is without opening
    /// it.
    ///
    /// # Errors
    /// See [`NotReached`].
    pub(super) fn look(&mut self, path: &str) -> Result<FoundEntry, NotReached> {
        let (folder, name) = split(path);
        let folder = self.folder(folder)?;
        let stat = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            return Err(NotReached::Link(path.into()));
        }
        Ok(FoundEntry {
            folder,
            name: name.into(),
            path: path.into(),
            about: about(&stat),
        })
    }

    /// Walks to a file and opens it.
    ///
    /// # Errors
    /// See [`NotReached`]; an opened file is regular.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), NotReached> {
        self.look(path)?.open()
    }

    /// The names in the folder of a path's last name.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let folder = self.folder(split(path).0).ok()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&folder, ".", flags, Mode::empty()).ok()?;
        let names = Dir::read_from(folder).ok()?.take(most);
        let names = names.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        Some(names.collect())
    }

    /// The handle of a folder, kept for the next picture in it.
    fn folder(&mut self, path: &str) -> Result<Arc<OwnedFd>, NotReached> {
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

impl FoundEntry {
    /// Opens the entry, which must be a regular file. That is checked before,
    /// because opening a device may have an effect, and after, because it may
    /// have been replaced. Does not block, because a pipe may have no writer.
    ///
    /// # Errors
    /// See [`NotReached`].
    pub(super) fn open(&self) -> Result<(File, About), NotReached> {
        self.about.demand_file()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&*self.folder, &*self.name, flags, Mode::empty())
            .map_err(|cause| lost(&self.folder, &self.name, &self.path, cause))?;
        let about = about(&fstat(&file)?);
        about.demand_file()?;
        Ok((file.into(), about))
    }
}

/// Why a name could not be opened. Systems report links differently.
fn lost(folder: &OwnedFd, name: &str, path: &str, cause: Errno) -> NotReached {
    match readlinkat(folder, name, Vec::new()) {
        Ok(_) => NotReached::Link(path.into()),
        Err(_) => cause.into(),
    }
}

/// The current information about an open file.
///
/// # Errors
/// Those of the system.
pub(super) fn about_file(file: &File) -> io::Result<About> {
    Ok(about(&fstat(file)?))
}

/// Extracts what we need from the system's information.
fn about(stat: &Stat) -> About {
    // Their types differ between systems.
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

impl From<Errno> for NotReached {
    fn from(cause: Errno) -> Self {
        Self::Io(cause.into())
    }
}
