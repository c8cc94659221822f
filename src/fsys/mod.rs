//! The only part that opens files, so that the rules for it are in one place.
//!
//! A manifest and all that lies beside it may come from a stranger's pull
//! request. A link there could make us read, truncate or replace any file of
//! this machine, and a named pipe could make us wait for ever. So there are two
//! kinds of files:
//!
//! - *Ours*, which an [`OsDisk`] opens: state, outputs, and what is written in
//!   general. Links are followed in the path above the working folder or the
//!   manifest's folder, and nowhere from there on. What is opened is a regular
//!   file.
//! - *Named to be read*: a key, a certificate, a table. The operator named
//!   them, and systems such as Kubernetes hand them out as links. So links are
//!   followed, and what is opened is a regular file too; only a key may also
//!   come through a pipe.
//!
//! What is read has a limit in bytes, and opening waits for nobody, but for
//! [`read_secret`].

mod disk;
#[cfg(not(unix))]
mod plain;
mod refusal;
#[cfg(unix)]
mod unix;

pub use self::disk::{How, OsDisk};
#[cfg(not(unix))]
use self::plain as system;
pub use self::refusal::Refusal;
#[cfg(unix)]
use self::unix as system;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest state file that is read, in bytes. The journal of a first apply
/// of a million users takes about 1.5 GB; nothing that we write comes near the
/// limit.
pub const MOST_STATE: u64 = 4 * 1024 * 1024 * 1024;

impl OsDisk {
    /// The disk for a run with these manifests, files or folders.
    pub fn beside(manifests: &[PathBuf]) -> Self {
        Self {
            manifests: manifests.to_vec(),
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// A [`Refusal`] for a link and for what is no regular file; else whatever
    /// the system says.
    pub fn open(&self, path: &Path, how: How) -> io::Result<File> {
        system::open(self, path, how)
    }

    /// Reads a file whole; `None` where there is none.
    ///
    /// # Errors
    /// As [`OsDisk::open`], and a [`Refusal`] for more than `most` bytes.
    pub fn read_most(&self, path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        match self.open(path, How::Read) {
            Ok(file) => read(file, path, most).map(Some),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Makes the folder and those above it, unless it is there.
    ///
    /// # Errors
    /// A [`Refusal`] for a link; else whatever the system says.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        system::make_folder(self, path)
    }

    /// Makes sure that a file could be put in this place: there is a regular
    /// one, or none.
    ///
    /// # Errors
    /// As [`OsDisk::open`].
    pub fn check_place(&self, path: &Path) -> io::Result<()> {
        match system::check_place(self, path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            checked => checked,
        }
    }

    /// Gives the file another name, replacing the regular file that has it.
    ///
    /// # Errors
    /// As [`OsDisk::open`].
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        system::rename(self, from, to)
    }

    /// Removes the name, of a file or of a link; none is fine.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match system::remove(self, path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Makes the folder's names survive a power loss.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn sync_folder(&self, path: &Path) -> io::Result<()> {
        system::sync_folder(self, path)
    }

    /// Whether the path still names the open file.
    pub fn is_at(&self, file: &File, path: &Path) -> bool {
        system::is_at(self, file, path).unwrap_or(false)
    }
}

/// Reads a file that the operator named, through links if need be.
///
/// # Errors
/// A [`Refusal`] for what is no regular file or has more than `most` bytes;
/// else whatever the system says.
pub fn read_named(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read(system::open_named(path)?, path, most)
}

/// Reads a file that the operator named and that says who is trusted, through
/// links if need be.
///
/// # Errors
/// As [`read_named`], and a [`Refusal`] where others than its owner may write
/// the file.
pub fn read_trusted(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    read(system::open_trusted(path)?, path, most)
}

/// What a file with a secret holds.
#[derive(Debug)]
pub struct Secret {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether others than its owner may read the file.
    pub is_exposed: bool,
}

/// Reads a file with a secret that the operator named, through links if need
/// be. A pipe is waited for and read to its end, so this belongs on a thread
/// that nobody waits for.
///
/// # Errors
/// As [`read_named`], and a [`Refusal`] where others may write the file: whoever
/// does chooses in whose name the run acts.
pub fn read_secret(path: &Path, most: u64) -> io::Result<Secret> {
    let (file, is_exposed) = system::open_secret(path)?;
    let bytes = read(file, path, most)?;
    Ok(Secret { bytes, is_exposed })
}

/// Reads what is open, within the limit.
fn read(file: File, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    if size > most {
        return Err(Refusal::Large(path.to_owned(), most).into());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Refusal::Large(path.to_owned(), most).into());
    }
    Ok(bytes)
}
