//! From a folder to a file below it, on systems without handles to walk from.
//!
//! Every name on the way is looked at before the path is opened. Between these
//! steps somebody with access to the folder could put a link in the way; on
//! Unix nothing of the kind is possible.

#![expect(clippy::disallowed_methods, reason = "pictures are read here")]

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::lookup::{About, Lost};
use super::path::split;

/// Walks from one folder.
pub(super) struct Walker {
    /// Its path with every link resolved.
    real: PathBuf,
}

/// Where a walk came to.
pub(super) struct Spot {
    file: PathBuf,
    /// What stands there, which is no link.
    pub(super) about: About,
}

impl Walker {
    /// Finds the folder.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let real = fs::canonicalize(folder)?;
        Ok(Self { real })
    }

    /// Walks to what a plain path names, and says what it is.
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
    /// See [`Lost`]; what is opened is a regular file.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), Lost> {
        self.look(path)?.open()
    }

    /// The names in the folder that a path's last name is in.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let folder = self.folder(split(path).0).ok()?;
        let names = fs::read_dir(folder).ok()?.take(most);
        Some(
            names
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        )
    }

    /// The path of a folder that is reached without a link. It is joined name
    /// by name: Windows takes `/` for a part of a name once a folder's path is
    /// fully resolved.
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

/// What stands there; the path is for a link.
fn look_at(file: &Path, path: &str) -> Result<About, Lost> {
    let metadata = fs::symlink_metadata(file).map_err(Lost::Io)?;
    match metadata.is_symlink() {
        true => Err(Lost::Link(path.into())),
        false => Ok(about(&metadata)),
    }
}

impl Spot {
    /// Opens what stands there, which must be a regular file.
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

/// What an open file is now.
///
/// # Errors
/// The system's.
pub(super) fn about_file(file: &File) -> io::Result<About> {
    Ok(about(&file.metadata()?))
}

/// Without a stamp: a picture is read every time.
fn about(metadata: &Metadata) -> About {
    About {
        regular: metadata.is_file(),
        folder: metadata.is_dir(),
        bytes: metadata.len(),
        stamp: None,
    }
}
