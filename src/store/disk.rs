//! The few things the store asks of a disk, so that a test can stop it at any
//! of them or forget what was not flushed.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use crate::fsys::{How, MOST_STATE, OsDisk};

/// A disk. Every method either did what it says or returns an error.
pub trait Disk: fmt::Debug + Send + Sync {
    /// The whole file; `None` where there is none.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Makes the folder and those above it, unless it is there.
    ///
    /// # Errors
    /// Whatever the system says.
    fn make_folder(&self, path: &Path) -> io::Result<()>;

    /// Opens a file for appending, making it where it is missing.
    ///
    /// # Errors
    /// Whatever the system says.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DurableFile>>;

    /// Makes an empty file that nobody else has open, in place of whatever
    /// stood there.
    ///
    /// # Errors
    /// Whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DurableFile>>;

    /// Makes sure that a file could be put in this place: there is a regular
    /// one, or none.
    ///
    /// # Errors
    /// Whatever the system says, and why not.
    fn check_place(&self, path: &Path) -> io::Result<()>;

    /// Where locks are: on the machine's own disk, since it is the system that
    /// ends them with their process.
    fn locks(&self) -> &OsDisk;

    /// Gives the file another name, replacing what has it.
    ///
    /// # Errors
    /// Whatever the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the file; one that is not there is fine.
    ///
    /// # Errors
    /// Whatever the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the folder's names survive a power loss.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DurableFile: fmt::Debug + Send {
    /// Cuts the file to this length in bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// Adds at the end.
    ///
    /// # Errors
    /// Whatever the system says; part of the bytes may have been added.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was added survive a power loss.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.read_most(path, MOST_STATE)
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        Self::make_folder(self, path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        Ok(Box::new(self.open(path, How::Append)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        // A leftover of a run that died, or a link somebody planted.
        Self::remove(self, path)?;
        Ok(Box::new(self.open(path, How::New)?))
    }

    fn check_place(&self, path: &Path) -> io::Result<()> {
        Self::check_place(self, path)
    }

    fn locks(&self) -> &OsDisk {
        self
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Self::rename(self, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Self::remove(self, path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        Self::sync_folder(self, path)
    }
}

impl DurableFile for File {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
