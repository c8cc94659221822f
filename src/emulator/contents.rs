//! The bytes of uploaded files: in memory, or one file each in a folder beside
//! the state file.

#![expect(
    clippy::disallowed_methods,
    reason = "keeps uploaded bytes in a folder of its own"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use bytes::Bytes;

/// Where bytes are kept. Names are ids of our own making, so none of them can
/// lead out of the folder.
#[derive(Debug)]
pub(super) enum Contents {
    /// For as long as the emulator lives.
    Memory(BTreeMap<String, Bytes>),
    /// In this folder, made when first needed.
    Folder(PathBuf),
}

impl Default for Contents {
    fn default() -> Self {
        Self::Memory(BTreeMap::new())
    }
}

impl Contents {
    /// Keeps bytes under a name, in place of what was there. They are complete
    /// before the record that speaks of them is written, so a crash leaves at
    /// worst a file that nothing refers to.
    pub(super) fn put(&mut self, name: String, bytes: Bytes) -> io::Result<()> {
        match self {
            Self::Memory(all) => {
                all.insert(name, bytes);
                Ok(())
            }
            Self::Folder(folder) => {
                fs::create_dir_all(&*folder)?;
                let made = folder.join(format!("{name}.new"));
                fs::write(&made, &bytes)?;
                fs::rename(made, folder.join(name))
            }
        }
    }

    /// The bytes under a name.
    pub(super) fn get(&self, name: &str) -> Option<Bytes> {
        match self {
            Self::Memory(all) => all.get(name).cloned(),
            Self::Folder(folder) => fs::read(folder.join(name)).ok().map(Bytes::from),
        }
    }

    /// Drops the bytes under a name, if there are any.
    pub(super) fn drop(&mut self, name: &str) {
        match self {
            Self::Memory(all) => {
                all.remove(name);
            }
            // What cannot be removed only takes up room.
            Self::Folder(folder) => drop(fs::remove_file(folder.join(name))),
        }
    }
}

/// The name of one part of a multipart upload.
pub(super) fn part_name(file: &str, part: u32) -> String {
    format!("{file}.part{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places_keep_replace_and_drop() {
        let folder = tempfile::tempdir().unwrap();
        let places = [Contents::default(), Contents::Folder(folder.path().join("files"))];
        for mut place in places {
            assert_eq!(place.get("file_1"), None);
            place
                .put("file_1".to_owned(), Bytes::from_static(b"one"))
                .unwrap();
            place
                .put("file_1".to_owned(), Bytes::from_static(b"two"))
                .unwrap();
            assert_eq!(place.get("file_1").as_deref(), Some(&b"two"[..]));
            place.drop("file_1");
            assert_eq!(place.get("file_1"), None);
        }
    }
}
