//! The lock, and who holds it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files;
use super::paths::{Paths, not_ours};
use crate::error::{Code, Error, Result};
use crate::fsys::{How, OsDisk};

/// Who holds the lock, for the message of a run that it stops.
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
pub(super) struct Lock {
    file: File,
    path: PathBuf,
    disk: OsDisk,
}

/// How every lock begins, as [`Holder`] is written.
const LOCK: &[u8] = b"{\"pid\":";
/// More than any lock has, in bytes.
const MOST_LOCK: u64 = 4096;

impl Lock {
    pub(super) fn take(disk: &OsDisk, path: &Path, holder: &Holder) -> Result<Self> {
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

/// Whether another run holds the lock now, and who, as the error that an apply
/// would meet. Nothing is created. An apply that begins in this very moment
/// would find the lock taken, and says so.
pub fn locked(paths: &Paths, disk: &OsDisk) -> Option<Error> {
    let mut file = disk.open(&paths.lock, How::Read).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(Lock::held(&mut file, &paths.lock)),
        Ok(()) => {
            // Not left to closing: a program that is being started has a copy
            // of the file for a moment, and an apply would find it locked.
            let _ = file.unlock();
            None
        }
        Err(TryLockError::Error(_)) => None,
    }
}
