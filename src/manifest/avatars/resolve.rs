//! Reaches a file below a folder, on systems without handles for folders.
//!
//! Every name on the way is checked before the path is opened. Between these
//! steps, someone with access to the folder could add a link; on Unix that is
//! impossible.

#![expect(clippy::disallowed_methods, reason = "pictures are read here")]

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::lookup::{About, Lost};
use super::path::split;

/// Walks from one folder.
pub(super) struct Walker {
    /// Its path with all links resolved.
    real: PathBuf,
}

/// Where a walk ended.
pub(super) struct Spot {
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
    /// See [`Lost`].
    pub(super) fn look(&mut self, path: &str) -> Result<Spot, Lost> {
        let (folder, name) = split(path);
        let file = self.folder(folder)?.join(name);
        let about = look_at(&file, path)?;
        Ok(Spot { file, about })
    }

    /// Walks to a file and opens it.
    ///
    /// # Errors
    /// See [`Lost`]; an opened file is regular.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), Lost> {
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
    fn folder(&self, path: &str) -> Result<PathBuf, Lost> {
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
fn look_at(file: &Path, path: &str) -> Result<About, Lost> {
    let metadata = fs::symlink_metadata(file).map_err(Lost::Io)?;
    match metadata.is_symlink() {
        true => Err(Lost::Link(path.into())),
        false => Ok(about(&metadata)),
    }
}

impl Spot {
    /// Opens the entry, which must be a regular file.
    ///
    /// # Errors
    /// See [`Lost`].
    pub(super) fn open(&self) -> Result<(File, About), Lost> {
        self.about.demand_file()?;
        let file = File::open(&self.file).map_err(Lost::Io)?;
        let about = about(&file.metadata().map_err(Lost::Io)?);
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
