//! The bytes of uploaded files: in memory, or one file each in a folder beside
//! the state file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;

use bytes::Bytes;

use crate::fsys::{How, MOST_STATE, OsDisk};

/// Where bytes are kept. Names are ids, which are checked wherever they come
/// from, so none of them can lead out of the folder.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// For as long as the emulator lives.
    memory: BTreeMap<String, Bytes>,
    /// Where there is a state file.
    folder: Option<Folder>,
}

/// The folder with one file each.
#[derive(Debug)]
struct Folder {
    disk: OsDisk,
    /// Made when first needed.
    path: PathBuf,
    /// Whether bytes are kept there, or only found there.
    is_kept: bool,
}

impl Contents {
    /// In this folder.
    pub(super) fn kept(disk: OsDisk, path: PathBuf) -> Self {
        Self::in_folder(disk, path, true)
    }

    /// What is in this folder; what is added stays in memory.
    pub(super) fn found(disk: OsDisk, path: PathBuf) -> Self {
        Self::in_folder(disk, path, false)
    }

    fn in_folder(disk: OsDisk, path: PathBuf, is_kept: bool) -> Self {
        Self {
            memory: BTreeMap::new(),
            folder: Some(Folder { disk, path, is_kept }),
        }
    }

    /// Keeps bytes under a name, in place of what was there. They are complete
    /// before the record that speaks of them is written, so a crash leaves at
    /// worst a file that nothing refers to.
    pub(super) fn put(&mut self, name: String, bytes: Bytes) -> io::Result<()> {
        let Some(Folder { disk, path, .. }) = self.folder.as_ref().filter(|folder| folder.is_kept) else {
            self.memory.insert(name, bytes);
            return Ok(());
        };
        disk.make_folder(path)?;
        let made = path.join(format!("{name}.new"));
        disk.remove(&made)?;
        disk.open(&made, How::New)?.write_all(&bytes)?;
        disk.rename(&made, &path.join(name))
    }

    /// The bytes under a name.
    pub(super) fn get(&self, name: &str) -> Option<Bytes> {
        if let Some(bytes) = self.memory.get(name) {
            return Some(bytes.clone());
        }
        let Folder { disk, path, .. } = self.folder.as_ref()?;
        let read = disk.read_most(&path.join(name), MOST_STATE);
        read.ok().flatten().map(Bytes::from)
    }

    /// Drops the bytes under a name, if there are any.
    pub(super) fn drop(&mut self, name: &str) {
        self.memory.remove(name);
        if let Some(Folder { disk, path, .. }) = self.folder.as_ref().filter(|folder| folder.is_kept) {
            // What cannot be removed only takes up room.
            let _ = disk.remove(&path.join(name));
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
        let places = [
            Contents::default(),
            Contents::kept(OsDisk::default(), folder.path().join("files")),
        ];
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
