//! The sole writer: one run at a time, from taking the lock to publishing what
//! is known.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::atomic_file::{Replacement, sync_folder};
use super::disk::{Disk, DurableFile};
use super::files::{self, JournalHeader};
use super::journal::Journal;
use super::load::{Loaded, load, read};
use super::lock::{Holder, Lock};
use super::paths::{Identity, Paths};
use crate::core::model::Known;
use crate::core::replay;
use crate::error::{Code, Error, Result};

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

    /// Opens the journal for appending.
    ///
    /// # Errors
    /// [`Code::JournalUnreadable`] for a file that no run of ours began;
    /// [`Code::IoFailed`].
    pub fn journal(&self) -> Result<Journal> {
        Journal::open(&*self.disk, &self.paths.journal, &self.identity)
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
            return sync_folder(&*self.disk, &self.paths.journal);
        }
        let mut journal = files::line(&JournalHeader::new(&self.identity));
        open.iter().for_each(|entry| journal.extend(files::line(entry)));
        Replacement::begin(&*self.disk, &self.paths.journal)?.finish(&journal)
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
