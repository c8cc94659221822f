//! Files that are replaced whole or not at all.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DurableFile};
use crate::error::{Error, Result};

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
    /// [`Code::IoFailed`](crate::error::Code::IoFailed), also where a link or no file is in its place.
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
    /// [`Code::IoFailed`](crate::error::Code::IoFailed); the file is then as it was.
    pub fn finish(self, bytes: &[u8]) -> Result<()> {
        self.finish_with(|file| file.append(bytes))
    }

    /// Puts what is appended in the file's place.
    pub(super) fn finish_with(
        mut self,
        append: impl FnOnce(&mut dyn DurableFile) -> std::io::Result<()>,
    ) -> Result<()> {
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

pub(super) fn sync_folder(disk: &dyn Disk, path: &Path) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    disk.sync_folder(folder)
        .map_err(|cause| Error::file("flush the folder", folder, cause))
}
