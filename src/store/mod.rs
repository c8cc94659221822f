//! The lock, the mapping and the journal: the sole writer of our state, which
//! never touches the network.
//!
//! # What is flushed, and when
//!
//! 1. Each journal entry is appended and flushed (`fsync`) before the request
//!    it announces is sent, and again before its result counts.
//! 2. A new journal's folder is flushed before its first entry counts.
//! 3. The mapping is written whole to a temporary file beside it, flushed,
//!    renamed over the old one, and the folder is flushed.
//! 4. Only then is the journal removed, or replaced by what is still open,
//!    and the folder flushed.
//!
//! So at any moment the mapping is whole, and mapping plus journal tell
//! everything that was done. Replaying a journal onto a mapping that already
//! has its facts changes nothing.
//!
//! # What the lock does and does not promise
//!
//! One run at a time may write. The lock is an advisory lock of the operating
//! system on `….lock`, so it ends with the process that holds it, however that
//! ends. Between machines or containers it holds as far as their shared file
//! system passes such locks on: local disks and bind mounts do; NFS does where
//! its lock manager runs; some network and FUSE file systems do not.

mod disk;
mod files;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub mod pictures;
mod saved;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::disk::{Disk, DurableFile};
use self::files::JournalHeader;
pub use self::saved::{MOST_BYTES as MOST_PLAN_BYTES, read_plan};
use crate::core::model::{Known, KnownUser};
use crate::core::replay::{self, Entry};
use crate::core::value::{PlatformId, UserKey};
use crate::error::{Code, Error, Result};
use crate::fsys::How;
pub use crate::fsys::OsDisk;

/// Where a manifest's state lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The mapping.
    pub mapping: PathBuf,
    /// The journal.
    pub journal: PathBuf,
    /// The lock.
    pub lock: PathBuf,
}

impl Paths {
    /// What is remembered of pictures, `users.mapping.pictures`: a fourth file
    /// beside them, which may be lost at any time.
    pub fn pictures(&self) -> PathBuf {
        self.mapping.with_extension("pictures")
    }

    /// The three files that belong together: `users.mapping.jsonl`,
    /// `users.mapping.journal` and `users.mapping.lock`.
    pub fn of_mapping(mapping: &Path) -> Self {
        Self {
            mapping: mapping.to_owned(),
            journal: mapping.with_extension("journal"),
            lock: mapping.with_extension("lock"),
        }
    }
}

/// Whose state it is: a mapping of another company or server is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The platform.
    pub company: PlatformId,
    /// `production`, `sandbox`, `emulator` or the API's base URL.
    pub server: String,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The mapping with the journal folded in.
    pub known: Known,
    /// Whether a journal was there: an earlier run did not end in order.
    pub interrupted: bool,
}

/// Reads the state without locking and without writing, for planning.
///
/// # Errors
/// [`Code::MappingUnreadable`], [`Code::MappingForeign`],
/// [`Code::MappingNewer`], [`Code::JournalUnreadable`], [`Code::IoFailed`].
pub fn load(paths: &Paths, identity: &Identity, disk: &dyn Disk) -> Result<Loaded> {
    let mut known = match read(disk, &paths.mapping)? {
        None => Known::default(),
        Some(bytes) => files::parse_mapping(&paths.mapping, bytes, identity)?,
    };
    let Some(bytes) = read(disk, &paths.journal)? else {
        return Ok(Loaded {
            known,
            interrupted: false,
        });
    };
    let entries = files::parse_journal(&paths.journal, &bytes, identity)?;
    let interrupted = !entries.is_empty();
    replay::replay(&mut known, entries);
    Ok(Loaded { known, interrupted })
}

/// Reads a mapping whoever it belongs to, for `show`.
///
/// # Errors
/// As [`load`], but without the question whose it is; [`Code::IoFailed`] with
/// a hint where there is none.
pub fn read_mapping(path: &Path, disk: &dyn Disk) -> Result<(Identity, BTreeMap<UserKey, KnownUser>)> {
    let Some(bytes) = read(disk, path)? else {
        return Err(Error::new(
            Code::IoFailed,
            format!("there is no mapping at `{}`", path.display()),
        )
        .hint("it is written by the first `whop-sync apply`; is `-f` or `--mapping` what you mean?"));
    };
    let identity = files::mapping_identity(path, &bytes)?;
    let known = files::parse_mapping(path, bytes, &identity)?;
    Ok((identity, known.users))
}

/// Whether another run holds the lock now, and who, as the error that an apply
/// would meet. Nothing is created. An apply that begins in this very moment
/// would find the lock taken, and says so.
pub fn locked(paths: &Paths, disk: &OsDisk) -> Option<Error> {
    let mut file = disk.open(&paths.lock, How::Read).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Lock::held(&mut file, &paths.lock)),
        // Closing the file gives the lock back.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>> {
    disk.read(path).map_err(|cause| Error::file("read", path, cause))
}

/// The right to write, held by one run at a time.
#[derive(Debug)]
pub struct Session {
    paths: Paths,
    identity: Identity,
    disk: Arc<dyn Disk>,
    loaded: Loaded,
    _lock: Lock,
}

impl Session {
    /// Takes the lock, then loads.
    ///
    /// # Errors
    /// [`Code::MappingLocked`] naming the other run, [`Code::IoFailed`] where
    /// the mapping could not be written later or a file of the state is a link
    /// or no file, and those of [`load`].
    pub fn open(paths: Paths, identity: Identity, disk: Arc<dyn Disk>, holder: &Holder) -> Result<Self> {
        if let Some(folder) = paths.mapping.parent() {
            disk.make_folder(folder)
                .map_err(|cause| Error::file("create the folder", folder, cause))?;
        }
        // All of them before the first is opened for writing.
        for path in [&paths.mapping, &paths.journal, &paths.lock] {
            disk.check_place(path)
                .map_err(|cause| Error::file("use", path, cause))?;
        }
        let lock = Lock::take(disk.locks(), &paths.lock, holder)?;
        refuse_read_only(&paths.mapping)?;
        let loaded = load(&paths, &identity, &*disk)?;
        Ok(Self {
            paths,
            identity,
            disk,
            loaded,
            _lock: lock,
        })
    }

    /// What was loaded.
    pub fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// What was loaded is known to the caller alone from now on: a million users
    /// are not copied.
    pub fn take_known(&mut self) -> Known {
        std::mem::take(&mut self.loaded.known)
    }

    /// Opens the journal for appending. A torn last line, of a run that died
    /// while writing it, is cut off first.
    ///
    /// # Errors
    /// [`Code::JournalUnreadable`] for a file that no run of ours began;
    /// [`Code::IoFailed`].
    pub fn journal(&self) -> Result<Journal> {
        let path = &self.paths.journal;
        let fail = |cause| Error::file("write", path, cause);
        let before = read(&*self.disk, path)?.unwrap_or_default();
        let whole = files::whole_lines(&before);
        let header = files::line(&JournalHeader::new(&self.identity));
        if whole == 0 && !header.starts_with(&before) {
            return Err(not_ours("journal", path));
        }
        let mut file = self.disk.open_append(path).map_err(fail)?;
        if whole == 0 {
            file.truncate(0).map_err(fail)?;
            file.append(&header).map_err(fail)?;
        } else {
            file.truncate(whole).map_err(fail)?;
        }
        file.sync().map_err(fail)?;
        self.sync_folder(path)?;
        Ok(Journal {
            file,
            path: path.clone(),
            broken: false,
        })
    }

    /// Publishes what is now known, then clears the journal or leaves in it
    /// only what is still open ([`replay::outstanding`]; `now` is the time on
    /// Whop, where it said one). A mapping that would not change is not written.
    ///
    /// # Errors
    /// [`Code::IoFailed`]; the journal is then still there, and nothing is
    /// lost.
    pub fn commit(&self, known: &Known, now: Option<u64>) -> Result<()> {
        if self.differs(known)? {
            Replacement::begin(&*self.disk, &self.paths.mapping)?.finish_with(|file| {
                let mut out = BufWriter::with_capacity(CHUNK, Appending(file));
                // It is only compared for equality, and a stranger's header may
                // hold the largest number that there is.
                let next = known.generation.wrapping_add(1);
                files::write_mapping(&mut out, &self.identity, next, known)?;
                out.flush()
            })?;
        }
        let open = replay::outstanding(known, now);
        if open.is_empty() {
            self.disk
                .remove(&self.paths.journal)
                .map_err(|cause| Error::file("remove", &self.paths.journal, cause))?;
            return self.sync_folder(&self.paths.journal);
        }
        let mut journal = files::line(&JournalHeader::new(&self.identity));
        open.iter().for_each(|entry| journal.extend(files::line(entry)));
        self.replace(&self.paths.journal, &journal)
    }

    /// Whether the mapping would change. Writes it nowhere: what is compared is
    /// never there as a whole.
    fn differs(&self, known: &Known) -> Result<bool> {
        let Some(before) = read(&*self.disk, &self.paths.mapping)? else {
            return Ok(!known.users.is_empty());
        };
        let mut rest = Comparing(&before);
        let written = files::write_mapping(&mut rest, &self.identity, known.generation, known);
        Ok(written.is_err() || !rest.0.is_empty())
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        Replacement::begin(&*self.disk, path)?.finish(bytes)
    }

    fn sync_folder(&self, path: &Path) -> Result<()> {
        sync_folder(&*self.disk, path)
    }
}

fn sync_folder(disk: &dyn Disk, path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    disk.sync_folder(folder)
        .map_err(|cause| Error::file("flush the folder", folder, cause))
}

/// A file about to be replaced in one step that either happens or does not:
/// written beside it under another name, then renamed. Dropped unfinished, it
/// leaves everything as it was.
#[derive(Debug)]
pub struct Replacement<'a> {
    disk: &'a dyn Disk,
    path: PathBuf,
    temporary: PathBuf,
    file: Option<Box<dyn DurableFile>>,
}

impl<'a> Replacement<'a> {
    /// Makes the file beside, which shows whether writing will be possible.
    ///
    /// # Errors
    /// [`Code::IoFailed`], also where a link or no file is in its place.
    pub fn begin(disk: &'a dyn Disk, path: &Path) -> Result<Self> {
        disk.check_place(path)
            .map_err(|cause| Error::file("write", path, cause))?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let temporary = path.with_file_name(name);
        let file = disk
            .create(&temporary)
            .map_err(|cause| Error::file("write", path, cause))?;
        Ok(Self {
            disk,
            path: path.to_owned(),
            temporary,
            file: Some(file),
        })
    }

    /// Puts these bytes in the file's place.
    ///
    /// # Errors
    /// [`Code::IoFailed`]; the file is then as it was.
    pub fn finish(self, bytes: &[u8]) -> Result<()> {
        self.finish_with(|file| file.append(bytes))
    }

    /// Puts what is appended in the file's place.
    fn finish_with(mut self, append: impl FnOnce(&mut dyn DurableFile) -> std::io::Result<()>) -> Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let write = || {
            append(&mut *file)?;
            file.sync()
        };
        let written = write().and_then(|()| {
            drop(file);
            self.disk.rename(&self.temporary, &self.path)
        });
        written.map_err(|cause| Error::file("write", &self.path, cause))?;
        sync_folder(self.disk, &self.path)
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays behind is in nobody's way.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// How much of a mapping is written at a time, in bytes.
const CHUNK: usize = 1024 * 1024;

/// Appends what is written.
struct Appending<'f>(&'f mut dyn DurableFile);

impl Write for Appending<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Holds what is written against bytes: an error at the first that differs.
struct Comparing<'b>(&'b [u8]);

impl Write for Comparing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.ok_or_else(|| std::io::Error::other("differs"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A mapping somebody made read-only is meant to stay as it is; renaming over
/// it would not notice.
fn refuse_read_only(mapping: &Path) -> Result<()> {
    match std::fs::metadata(mapping) {
        Ok(facts) if facts.permissions().readonly() => Err(Error::new(
            Code::IoFailed,
            format!("the mapping `{}` is read-only", mapping.display()),
        )
        .hint("make it writable, or name another one with `--mapping`; nothing was changed")),
        _ => Ok(()),
    }
}

/// The journal of the run in hand.
#[derive(Debug)]
pub struct Journal {
    file: Box<dyn DurableFile>,
    path: PathBuf,
    broken: bool,
}

impl Journal {
    /// Appends entries and flushes them together. After a failure the end of
    /// the file is unknown, so every later call fails as well.
    ///
    /// # Errors
    /// [`Code::IoFailed`].
    pub fn append<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) -> Result<()> {
        if self.broken {
            return Err(Error::new(
                Code::IoFailed,
                format!("the journal `{}` failed before", self.path.display()),
            ));
        }
        let mut lines = Vec::new();
        entries
            .into_iter()
            .for_each(|entry| lines.extend(files::line(entry)));
        let result = self.file.append(&lines).and_then(|()| self.file.sync());
        result.map_err(|cause| {
            self.broken = true;
            Error::file("write", &self.path, cause)
                .hint("nothing is lost: free space or mend the folder, then run again")
        })
    }
}

/// Who holds the lock, for the message to whom it stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// The machine it runs on, where known.
    pub host: String,
    /// Since when, RFC 3339.
    pub since: String,
}

/// The lock, released when dropped or when the process ends.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
    disk: OsDisk,
}

/// How every lock begins, as [`Holder`] is written.
const LOCK: &[u8] = b"{\"pid\":";
/// More than any lock has, in bytes.
const MOST_LOCK: u64 = 4096;

impl Lock {
    fn take(disk: &OsDisk, path: &Path, holder: &Holder) -> Result<Self> {
        let fail = |cause| Error::file("lock", path, cause);
        loop {
            let mut file = disk.open(path, How::Edit).map_err(fail)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(Self::held(&mut file, path)),
                Err(TryLockError::Error(cause)) => return Err(fail(cause)),
            }
            // The holder before us removes the file as it leaves: a lock on
            // a file that has no name any more keeps nobody out.
            if !disk.is_at(&file, path) {
                continue;
            }
            if !Self::is_ours(&mut file).map_err(fail)? {
                return Err(not_ours("lock", path));
            }
            file.set_len(0)
                .and_then(|()| file.write_all(&files::line(holder)))
                .map_err(fail)?;
            return Ok(Self {
                file,
                path: path.to_owned(),
                disk: disk.clone(),
            });
        }
    }

    /// Whether a run of ours may have written the file: with `--mapping
    /// Cargo.toml`, the lock would be `Cargo.lock`.
    fn is_ours(file: &mut File) -> std::io::Result<bool> {
        let mut text = Vec::new();
        Read::by_ref(file).take(MOST_LOCK).read_to_end(&mut text)?;
        file.rewind()?;
        // One that a full disk cut short is ours as well.
        Ok(text.starts_with(LOCK) || LOCK.starts_with(&text))
    }

    fn held(file: &mut File, path: &Path) -> Error {
        let mut text = String::new();
        let read = file.take(MOST_LOCK).read_to_string(&mut text);
        let holder = read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok());
        let who = match holder {
            Some(Holder { pid, host, since }) => format!("by process {pid} on {host} since {since}"),
            None => "by another run".to_owned(),
        };
        Error::new(Code::MappingLocked, format!("the mapping is locked {who}")).hint(format!(
            "wait for it to end; the lock `{}` ends with its process",
            path.display()
        ))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while still held, so that nobody can have locked it since.
        // Failing leaves a file that locks nobody out.
        let _ = self.disk.remove(&self.path);
        let _ = self.file.unlock();
    }
}

/// The refusal to write over a file that belongs to something else.
fn not_ours(what: &str, path: &Path) -> Error {
    let code = match what {
        "journal" => Code::JournalUnreadable,
        _ => Code::IoFailed,
    };
    let message = format!("`{}` is not a {what} of whop-sync", path.display());
    Error::new(code, message).hint(format!(
        "it belongs to something else: name another mapping with `--mapping`, or remove the {what}; nothing was changed"
    ))
}
