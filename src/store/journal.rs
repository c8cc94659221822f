//! The journal's file while a run writes it.

use std::path::{Path, PathBuf};

use super::atomic_file::sync_folder;
use super::disk::{Disk, DurableFile};
use super::files::{self, JournalHeader};
use super::load::read;
use super::paths::{Identity, not_ours};
use crate::core::replay::Entry;
use crate::error::{Code, Error, Result};

/// The journal of the run in hand.
#[derive(Debug)]
pub struct Journal {
    file: Box<dyn DurableFile>,
    path: PathBuf,
    broken: bool,
}

impl Journal {
    /// Opens a journal for appending. A torn last line, of a run that died
    /// while writing it, is cut off first.
    ///
    /// # Errors
    /// [`Code::JournalUnreadable`] for a file that no run of ours began;
    /// [`Code::IoFailed`].
    pub(super) fn open(disk: &dyn Disk, path: &Path, identity: &Identity) -> Result<Self> {
        let fail = |cause| Error::file("write", path, cause);
        let before = read(disk, path)?.unwrap_or_default();
        let whole = files::whole_lines(&before);
        let header = files::line(&JournalHeader::new(identity));
        if whole == 0 && !header.starts_with(&before) {
            return Err(not_ours("journal", path));
        }
        let mut file = disk.open_append(path).map_err(fail)?;
        if whole == 0 {
            file.truncate(0).map_err(fail)?;
            file.append(&header).map_err(fail)?;
        } else {
            file.truncate(whole).map_err(fail)?;
        }
        file.sync().map_err(fail)?;
        sync_folder(disk, path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            broken: false,
        })
    }

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
                .hint("nothing is lost: free space or fix the folder, then run again")
        })
    }
}
