//! From a folder to a file below it, on systems without handles to walk from.
//!
//! The path is resolved, must then lie below the folder, and is opened as
//! resolved. Between these steps somebody with access to the folder could put
//! a link in the way; on Unix nothing of the kind is possible.

#![expect(clippy::disallowed_methods, reason = "pictures are read here")]

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::{About, Lost, MOST_FOLDERS};

/// Walks from one folder.
pub(super) struct Walker {
    /// Its path with every link resolved.
    real: PathBuf,
}

/// Where a walk came to.
pub(super) struct Spot {
    file: PathBuf,
    /// What stands there.
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

    /// Finds what a path names, through every link.
    ///
    /// # Errors
    /// See [`Lost`].
    pub(super) fn look(&mut self, path: &str) -> Result<Spot, Lost> {
        let file = fs::canonicalize(self.below(path)).map_err(Lost::Io)?;
        let inside = file.strip_prefix(&self.real).map_err(|_| Lost::Outside)?;
        if inside.components().count() > MOST_FOLDERS + 1 {
            return Err(Lost::Deep);
        }
        let about = about(&fs::metadata(&file).map_err(Lost::Io)?);
        if about.folder {
            return Err(Lost::Folder);
        }
        Ok(Spot { file, about })
    }

    /// Finds a file and opens it.
    ///
    /// # Errors
    /// See [`Lost`]; what is opened is a regular file.
    pub(super) fn open_file(&mut self, path: &str) -> Result<(File, About), Lost> {
        self.look(path)?.open()
    }

    /// The names in the folder that a path's last name is in.
    pub(super) fn names(&mut self, path: &str, most: usize) -> Option<Vec<String>> {
        let folder = fs::canonicalize(self.below(path).parent()?).ok()?;
        if !folder.starts_with(&self.real) {
            return None;
        }
        let names = fs::read_dir(folder).ok()?.take(most);
        Some(
            names
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect(),
        )
    }

    /// Joins name by name: Windows takes `/` for a part of a name once a
    /// folder's path is fully resolved.
    fn below(&self, path: &str) -> PathBuf {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        names.fold(self.real.clone(), |folder, name| folder.join(name))
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

/// Without a stamp: a picture is read every time.
fn about(metadata: &Metadata) -> About {
    About {
        regular: metadata.is_file(),
        folder: metadata.is_dir(),
        bytes: metadata.len(),
        stamp: None,
    }
}
