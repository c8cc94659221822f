//! From a folder's handle to a file below it, name by name.
//!
//! A path that is checked and then opened is looked up twice, and somebody may
//! put a link in its way in between. So nothing is looked up by a whole path
//! here: every name is opened relative to the folder opened before it, never
//! following a link. What a link says is read and walked by hand in the same
//! manner, so that no name can lead anywhere but to a folder whose handle we
//! hold. `..` goes back to the handle that we came from.

use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::{About, Lost, MOST_FOLDERS, Stamp};

/// The most links on one path, as Linux has it.
const MOST_LINKS: u32 = 40;
/// The most handles kept for the folders that were walked to.
const MOST_HANDLES: usize = 48;

/// Opens a folder to walk through, without asking for the right to list it
/// where the system knows the difference.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THROUGH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const THROUGH: OFlags = OFlags::RDONLY;

/// The handles from the manifest's folder down to where a walk is.
type Way = Vec<Arc<OwnedFd>>;

/// Walks from one folder.
pub(super) struct Walker {
    /// The folder's own handle.
    top: Arc<OwnedFd>,
    /// Its path with every link resolved, to understand absolute links.
    real: PathBuf,
    /// The folders that were walked to, by their path in the manifest.
    ways: HashMap<Box<str>, Way>,
    /// How many handles these hold.
    held: usize,
}

/// Where a walk came to: a name in a folder that is open.
pub(super) struct Spot {
    folder: Arc<OwnedFd>,
    name: OsString,
    /// What stands there, if it is not a link.
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
            real: std::fs::canonicalize(folder)?,
            ways: HashMap::new(),
            held: 0,
        })
    }

    /// Walks to what a path names, through every link, and says what it is
    /// without opening it.
    ///
    /// # Errors
    /// See [`Lost`].
    pub(super) fn look(&mut self, path: &str) -> Result<Spot, Lost> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut way = self.way(folder)?;
        let mut ahead = VecDeque::from([OsString::from(name)]);
        let mut links = 0;
        loop {
            let last = loop {
                match ahead.pop_back() {
                    Some(name) if name.is_empty() || name == "." => {}
                    last => break last,
                }
            };
            self.descend(&mut way, &mut ahead, &mut links)?;
            let Some(name) = last.filter(|name| name != "..") else {
                // A folder whatever it is, unless it is not even there.
                return Err(Lost::Folder);
            };
            let folder = way.last().unwrap_or(&self.top);
            let stat = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let folder = folder.clone();
                let about = about(&stat);
                return Ok(Spot { folder, name, about });
            }
            match readlinkat(folder, &name, Vec::new()) {
                Ok(target) => self.turn(&mut way, &mut ahead, target.as_bytes(), &mut links)?,
                // No link any more: look again.
                Err(Errno::INVAL) => {
                    links += 1;
                    ahead.push_back(name);
                }
                Err(cause) => return Err(cause.into()),
            }
            if links > MOST_LINKS {
                return Err(Errno::LOOP.into());
            }
        }
    }

    /// Walks to a file and opens it.
    ///
    /// # Errors
    /// See [`Lost`]; what is opened is a regular file.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), Lost> {
        for _ in 0..MOST_LINKS {
            match self.look(path)?.open() {
                // Somebody put a link there after we looked: it is walked too.
                Err(Lost::Io(cause)) if is_link(&cause) => {}
                opened => return opened,
            }
        }
        Err(Errno::LOOP.into())
    }

    /// The names in the folder that a path's last name is in.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let (folder, _) = path.rsplit_once('/').unwrap_or(("", path));
        let way = self.way(folder).ok()?;
        let folder = way.last().unwrap_or(&self.top);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(folder, ".", flags, Mode::empty()).ok()?;
        let names = Dir::read_from(folder).ok()?.take(most);
        let names = names.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
        Some(names.collect())
    }

    /// The handles down to a folder, kept for the next picture in it.
    fn way(&mut self, folder: &str) -> Result<Way, Lost> {
        if let Some(way) = self.ways.get(folder) {
            return Ok(way.clone());
        }
        let mut way = Way::new();
        let mut ahead = folder.split('/').map(OsString::from).collect();
        self.descend(&mut way, &mut ahead, &mut 0)?;
        if self.held + way.len() > MOST_HANDLES {
            self.ways.clear();
            self.held = 0;
        }
        self.held += way.len();
        self.ways.insert(folder.into(), way.clone());
        Ok(way)
    }

    /// Walks into every folder that is ahead.
    fn descend(&self, way: &mut Way, ahead: &mut VecDeque<OsString>, links: &mut u32) -> Result<(), Lost> {
        let flags = THROUGH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        while let Some(name) = ahead.pop_front() {
            if name.is_empty() || name == "." {
                continue;
            }
            if name == ".." {
                way.pop().ok_or(Lost::Outside)?;
                continue;
            }
            let folder = way.last().unwrap_or(&self.top);
            match openat(folder, &name, flags, Mode::empty()) {
                Ok(_) if way.len() == MOST_FOLDERS => return Err(Lost::Deep),
                Ok(next) => way.push(Arc::new(next)),
                // What a system says of a link differs; that it is one does not.
                Err(cause) => match readlinkat(folder, &name, Vec::new()) {
                    Ok(target) => self.turn(way, ahead, target.as_bytes(), links)?,
                    Err(_) => return Err(cause.into()),
                },
            }
        }
        Ok(())
    }

    /// Takes up the names of a link. An absolute one begins at the folder if
    /// its text does; it is walked from the folder's handle all the same.
    fn turn(
        &self,
        way: &mut Way,
        ahead: &mut VecDeque<OsString>,
        target: &[u8],
        links: &mut u32,
    ) -> Result<(), Lost> {
        *links += 1;
        if *links > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let mut target = Path::new(OsStr::from_bytes(target));
        if target.is_absolute() {
            target = target.strip_prefix(&self.real).map_err(|_| Lost::Outside)?;
            way.clear();
        }
        let names = target.as_os_str().as_bytes().split(|byte| *byte == b'/');
        for name in names.rev() {
            ahead.push_front(OsString::from_vec(name.to_vec()));
        }
        Ok(())
    }
}

impl Spot {
    /// Opens what stands there, which must be a regular file: before, since
    /// opening a device can do something, and after, since it may be another
    /// by then. Without waiting, since nobody may ever write to a pipe.
    ///
    /// # Errors
    /// See [`Lost`]; a link that stands there now is an error of its own.
    pub(super) fn open(&self) -> Result<(File, About), Lost> {
        self.about.demand_file()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat(&*self.folder, &self.name, flags, Mode::empty())?;
        let about = about(&fstat(&file)?);
        about.demand_file()?;
        Ok((file.into(), about))
    }
}

/// Takes from what the system says of a file what we use of it.
fn about(stat: &Stat) -> About {
    // The types of these differ between systems.
    let nanoseconds =
        |seconds, rest| -> i64 { 1_000_000_000i64.saturating_mul(seconds).saturating_add(rest) };
    let kind = FileType::from_raw_mode(stat.st_mode);
    About {
        regular: kind == FileType::RegularFile,
        folder: kind == FileType::Directory,
        bytes: u64::try_from(stat.st_size).unwrap_or(u64::MAX),
        stamp: Some(Stamp {
            device: stat.st_dev as _,
            inode: stat.st_ino as _,
            modified: nanoseconds(stat.st_mtime as _, stat.st_mtime_nsec as _),
            changed: nanoseconds(stat.st_ctime as _, stat.st_ctime_nsec as _),
        }),
    }
}

/// Whether opening failed because a link stands there.
fn is_link(cause: &io::Error) -> bool {
    // Linux and macOS say the first, FreeBSD the second.
    [Errno::LOOP, Errno::MLINK]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&cause.raw_os_error())
}

impl From<Errno> for Lost {
    fn from(cause: Errno) -> Self {
        Self::Io(cause.into())
    }
}
