//! Opening by handles, name by name.
//!
//! A path that is checked and then opened is looked up twice, and somebody may
//! put a link in its way in between. So every name from the guarded folder on
//! is opened relative to the folder opened before it, and never through a link.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fcntl_setfl, fstat, mkdirat, openat, readlinkat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::disk::{How, OsDisk};
use super::refusal::Refusal;

/// Opens a folder to walk through, without asking for the right to list it
/// where the system knows the difference.
#[cfg(any(target_os = "linux", target_os = "android"))]
const THROUGH: OFlags = OFlags::PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const THROUGH: OFlags = OFlags::RDONLY;

/// Waits for nobody, becomes no terminal of ours, and is not passed on.
const CALM: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Rights of a group or of everybody to write.
const OTHERS_WRITE: u32 = 0o022;
/// Rights of everybody to write.
const ALL_WRITE: u32 = 0o002;
/// Rights of a group or of everybody to read.
const OTHERS_READ: u32 = 0o044;

/// Which folder it is, whatever its path.
type Id = (u64, u64);

/// A name in a folder that is open.
struct Spot {
    folder: OwnedFd,
    name: OsString,
    /// Its path, for messages.
    path: PathBuf,
}

pub(super) fn open(disk: &OsDisk, path: &Path, how: How) -> io::Result<File> {
    if how == How::Stream && is_stream(path) {
        let flags = OFlags::WRONLY | OFlags::APPEND | CALM;
        return waiting(rustix::fs::open(path, flags, Mode::empty())?);
    }
    Spot::find(disk, path)?.open(how)
}

pub(super) fn make_folder(disk: &OsDisk, path: &Path) -> io::Result<()> {
    walk(disk, path, true).map(drop)
}

pub(super) fn check_place(disk: &OsDisk, path: &Path) -> io::Result<()> {
    Spot::find(disk, path)?.demand_regular()
}

pub(super) fn rename(disk: &OsDisk, from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (Spot::find(disk, from)?, Spot::find(disk, to)?);
    match to.demand_regular() {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(renameat(&from.folder, &from.name, &to.folder, &to.name)?),
    }
}

pub(super) fn remove(disk: &OsDisk, path: &Path) -> io::Result<()> {
    let spot = Spot::find(disk, path)?;
    Ok(unlinkat(&spot.folder, &spot.name, AtFlags::empty())?)
}

pub(super) fn sync_folder(disk: &OsDisk, path: &Path) -> io::Result<()> {
    let folder = walk(disk, path, false)?;
    // A handle to walk through cannot be flushed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    File::from(openat(&folder, ".", flags, Mode::empty())?).sync_all()
}

pub(super) fn is_at(disk: &OsDisk, file: &File, path: &Path) -> io::Result<bool> {
    let spot = Spot::find(disk, path)?;
    let named = statat(&spot.folder, &spot.name, AtFlags::SYMLINK_NOFOLLOW)?;
    let open = fstat(file)?;
    Ok((named.st_dev, named.st_ino) == (open.st_dev, open.st_ino))
}

pub(super) fn open_named(path: &Path) -> io::Result<File> {
    // Asked before opening, since opening a device can do something, and of
    // what was opened, since it may be another by then.
    demand_regular(path, &fs::metadata(path)?)?;
    let file = File::from(rustix::fs::open(path, OFlags::RDONLY | CALM, Mode::empty())?);
    demand_regular(path, &file.metadata()?)?;
    Ok(file)
}

/// The file, which only its owner may write.
pub(super) fn open_trusted(path: &Path) -> io::Result<File> {
    let file = open_named(path)?;
    refuse_writable(path, &file.metadata()?, OTHERS_WRITE)?;
    Ok(file)
}

/// The file, and whether others may read it.
pub(super) fn open_secret(path: &Path) -> io::Result<(File, bool)> {
    let kind = |about: &Metadata| FileType::from_raw_mode(about.mode() as _);
    let is_pipe = kind(&fs::metadata(path)?) == FileType::Fifo;
    let file = if is_pipe {
        // Waits until somebody writes.
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        File::from(rustix::fs::open(path, flags, Mode::empty())?)
    } else {
        open_named(path)?
    };
    let about = file.metadata()?;
    let is_still = kind(&about) == FileType::Fifo;
    if is_still != is_pipe {
        return Err(Refusal::Kind(path.to_owned(), "another file now").into());
    }
    // Some systems show rights of a group on pipes without a name, which mean
    // nothing.
    refuse_writable(path, &about, if is_pipe { ALL_WRITE } else { OTHERS_WRITE })?;
    Ok((file, !is_pipe && about.mode() & OTHERS_READ != 0))
}

/// Refuses a file that somebody has one of these rights to.
fn refuse_writable(path: &Path, about: &Metadata, rights: u32) -> io::Result<()> {
    match about.mode() & rights {
        0 => Ok(()),
        _ => Err(Refusal::Writable(path.to_owned()).into()),
    }
}

fn demand_regular(path: &Path, about: &Metadata) -> io::Result<()> {
    demand(FileType::from_raw_mode(about.mode() as _), How::Read, path)
}

impl Spot {
    /// Walks to the folder that the name is in.
    fn find(disk: &OsDisk, path: &Path) -> io::Result<Self> {
        let name = path
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
        let folder = walk(disk, path.parent().unwrap_or(Path::new("")), false)?;
        Ok(Self {
            folder,
            name: name.to_owned(),
            path: path.to_owned(),
        })
    }

    /// What has the name now, without opening it.
    fn about(&self) -> io::Result<Stat> {
        Ok(statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn demand_regular(&self) -> io::Result<()> {
        self.demand(&self.about()?, How::Read)
    }

    fn demand(&self, about: &Stat, how: How) -> io::Result<()> {
        demand(FileType::from_raw_mode(about.st_mode), how, &self.path)
    }

    fn open(&self, how: How) -> io::Result<File> {
        let flags = match how {
            How::Read => OFlags::RDONLY,
            How::Edit => OFlags::RDWR | OFlags::CREATE,
            How::Append => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            How::New => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
            How::Stream => OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE,
        };
        // Before opening, since that alone can do something to a device. One
        // that must not be there fails by itself.
        if how != How::New {
            match self.about() {
                Ok(about) => self.demand(&about, how)?,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(cause),
            }
        }
        let flags = flags | OFlags::NOFOLLOW | CALM;
        let file = openat(&self.folder, &self.name, flags, Mode::from_raw_mode(0o666))
            .map_err(|cause| refusal(&self.folder, &self.name, &self.path, cause))?;
        let about = fstat(&file)?;
        self.demand(&about, how)?;
        match FileType::from_raw_mode(about.st_mode) {
            FileType::RegularFile => Ok(file.into()),
            _ => waiting(file),
        }
    }
}

/// A device or pipe that takes its time is waited for.
fn waiting(file: OwnedFd) -> io::Result<File> {
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file.into())
}

/// Whether the path is a name of one of this process's own streams: links by
/// nature, and nobody's but the operator's.
fn is_stream(path: &Path) -> bool {
    let number = |folder| {
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
        name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    path == Path::new("/dev/stdout") || path == Path::new("/dev/stderr") || number("/dev/fd")
}

/// Refuses what is not opened for this.
fn demand(kind: FileType, how: How, path: &Path) -> io::Result<()> {
    let what = match kind {
        FileType::RegularFile => return Ok(()),
        FileType::CharacterDevice | FileType::Fifo if how == How::Stream => return Ok(()),
        FileType::Symlink => return Err(Refusal::Link(path.to_owned()).into()),
        FileType::Directory => "a folder",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "of an unknown kind",
    };
    Err(Refusal::Kind(path.to_owned(), what).into())
}

/// Why a name could not be opened. What systems say of a link differs.
fn refusal(folder: impl AsFd, name: &OsStr, path: &Path, cause: Errno) -> io::Error {
    match readlinkat(folder, name, Vec::new()) {
        Ok(_) => Refusal::Link(path.to_owned()).into(),
        Err(_) => cause.into(),
    }
}

/// Opens a folder, making what is missing of it if asked to.
fn walk(disk: &OsDisk, folder: &Path, make: bool) -> io::Result<OwnedFd> {
    let Way { start, names } = Way::to(disk, folder);
    let flags = THROUGH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(&start, flags, Mode::empty())?;
    let mut path = start.strip_prefix(".").unwrap_or(&start).to_owned();
    for name in names {
        path.push(name);
        let step = || openat(&at, name, flags | OFlags::NOFOLLOW, Mode::empty());
        let stepped = match step() {
            Err(Errno::NOENT) if make => match mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                // Another run may have been faster.
                Ok(()) | Err(Errno::EXIST) => step(),
                Err(cause) => Err(cause),
            },
            stepped => stepped,
        };
        at = stepped.map_err(|cause| refusal(&at, name, &path, cause))?;
    }
    Ok(at)
}

/// How a folder is walked to.
struct Way<'p> {
    /// Opened by its path, links included.
    start: PathBuf,
    /// The names from there on, which must not be links.
    names: Vec<&'p OsStr>,
}

impl<'p> Way<'p> {
    /// Begins at the outermost guarded folder on the path. Where there is none,
    /// a relative path is guarded as far as it names folders at all, and of an
    /// absolute one only what is not there yet.
    fn to(disk: &OsDisk, folder: &'p Path) -> Self {
        let names: Vec<_> = folder
            .components()
            .filter(|name| *name != Component::CurDir)
            .collect();
        let here = PathBuf::from(if folder.is_relative() { "." } else { "" });
        let path = |count: usize| {
            names[..count]
                .iter()
                .fold(here.clone(), |path, name| path.join(name))
        };
        let above = names
            .iter()
            .take_while(|name| matches!(name, Component::RootDir | Component::ParentDir))
            .count();
        let root = id(Path::new("/"));
        let working = id(Path::new(".")).filter(|working| Some(*working) != root);
        let manifests = disk.manifests.iter().filter_map(|path| folder_id(path));
        let guarded: Vec<Id> = manifests.filter(|id| Some(*id) != root).chain(working).collect();
        let mut there = above;
        let mut start = None;
        for count in above..=names.len() {
            let Some(id) = id(&path(count)) else { break };
            there = count;
            if guarded.contains(&id) {
                start = Some(count);
                break;
            }
        }
        let strict = folder.is_relative() && working.is_some();
        let start = start.unwrap_or(if strict { above } else { there });
        Self {
            start: path(start),
            names: names[start..].iter().map(|name| name.as_os_str()).collect(),
        }
    }
}

/// Which folder this is; `None` where there is none.
fn id(path: &Path) -> Option<Id> {
    let about = fs::metadata(path).ok().filter(Metadata::is_dir)?;
    Some((about.dev(), about.ino()))
}

/// The folder of a manifest: it is one, or is in one.
fn folder_id(manifest: &Path) -> Option<Id> {
    let parent = || manifest.parent().filter(|path| !path.as_os_str().is_empty());
    id(manifest).or_else(|| id(parent().unwrap_or(Path::new("."))))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests plant links and files")]
mod tests;
