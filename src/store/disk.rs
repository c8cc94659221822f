//! The few things the store asks of a disk, so that a test can stop it at any
//! of them or forget what was not flushed.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

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

/// The machine's own disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        Ok(Box::new(File::options().append(true).create(true).open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DurableFile>> {
        // A leftover of a run that died, or a link somebody planted.
        self.remove(path)?;
        Ok(Box::new(
            File::options().append(true).create_new(true).open(path)?,
        ))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    #[cfg(unix)]
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(not(unix))]
    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        // A folder cannot be opened for flushing here; the system journals
        // its names itself.
        Ok(())
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
