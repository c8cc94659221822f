//! Reaches a file below a folder, on systems without handles for folders.
//!
//! Every name on the way is checked before the path is opened. Between these
//! steps, someone with access to the folder could add a link; on Unix that is
//! impossible.

#![expect(clippy::disallowed_methods, reason = "pictures are read here")]

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::lookup::{About, NotReached};
use super::path::split;

/// Walks from one folder.
pub(super) struct Walker {
    /// Its path with all links resolved.
    real: PathBuf,
}

/// Where a walk ended.
pub(super) struct FoundEntry {
    file: PathBuf,
    /// The entry, which is not a link.
    pub(super) about: About,
}

impl Walker {
    /// Finds the folder.
    ///
    /// # Errors
    /// If it does not exist.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let real = fs::canonicalize(folder)?;
        Ok(Self { real })
    }

    /// Walks to the entry of a plain path, and says what it is.
    ///
    /// # Errors
    /// See [`NotReached`].
    pub(super) fn look(&mut self, path: &str) -> Result<FoundEntry, NotReached> {
        let (folder, name) = split(path);
        let file = self.folder(folder)?.join(name);
        let about = look_at(&file, path)?;
        Ok(FoundEntry { file, about })
    }

    /// Walks to a file and opens it.
    ///
    /// # Errors
    /// See [`NotReached`]; an opened file is regular.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), NotReached> {
        self.look(path)?.open()
    }

    /// The names in the folder of a path's last name.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let folder = self.folder(split(path).0).ok()?;
        let names = fs::read_dir(folder).ok()?.take(most);
        Some(
            names
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        )
    }

    /// The path of a folder, reached without a link. It is joined name by name,
    /// because Windows treats `/` as part of a name in a fully resolved path.
    fn folder(&self, path: &str) -> Result<PathBuf, NotReached> {
        let (mut folder, mut walked) = (self.real.clone(), 0);
        for name in path.split_terminator('/') {
            folder.push(name);
            walked += name.len();
            look_at(&folder, &path[..walked])?;
            walked += 1;
        }
        Ok(folder)
    }
}

/// The entry at a path, which is named if it is a link.
fn look_at(file: &Path, path: &str) -> Result<About, NotReached> {
    let metadata = fs::symlink_metadata(file).map_err(NotReached::Io)?;
    match metadata.is_symlink() {
        true => Err(NotReached::Link(path.into())),
        false => Ok(about(&metadata)),
    }
}

impl FoundEntry {
    /// Opens the entry, which must be a regular file.
    ///
    /// # Errors
    /// See [`NotReached`].
    pub(super) fn open(&self) -> Result<(File, About), NotReached> {
        self.about.demand_file()?;
        let file = File::open(&self.file).map_err(NotReached::Io)?;
        let about = about(&file.metadata().map_err(NotReached::Io)?);
        about.demand_file()?;
        Ok((file, about))
    }
}

/// The current information about an open file.
///
/// # Errors
/// Those of the system.
pub(super) fn about_file(file: &File) -> io::Result<About> {
    Ok(about(&file.metadata()?))
}

/// Without a stamp, a picture is read every time.
fn about(metadata: &Metadata) -> About {
    About {
        regular: metadata.is_file(),
        folder: metadata.is_dir(),
        bytes: metadata.len(),
        stamp: None,
    }
}
