//! The file that remembers pictures, beside the mapping. It only saves time:
//! where it cannot be read or written, nothing is said and nothing fails.

use std::io::Read;
use std::time::UNIX_EPOCH;

use super::{Paths, Replacement};
use crate::error::Result;
use crate::fsys::{How, OsDisk};

/// The greatest such file that is read, in bytes: over two million pictures.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The file's bytes, and when it was written as its own file system has it, in
/// nanoseconds since 1970. `None` where there is none to be had.
pub fn read(paths: &Paths, disk: &OsDisk) -> Option<(Vec<u8>, i64)> {
    let file = disk.open(&paths.pictures(), How::Read).ok()?;
    let about = file.metadata().ok().filter(|about| about.len() <= MOST_BYTES)?;
    let written = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some((bytes, i64::try_from(written.as_nanos()).ok()?))
}

/// Puts these bytes in the file's place, whole or not at all. Under the lock of
/// a [`Session`](super::Session) nobody else writes it.
///
/// # Errors
/// [`Code::IoFailed`](crate::error::Code::IoFailed), which whoever only wants
/// to save time may overlook.
pub fn replace(paths: &Paths, disk: &OsDisk, bytes: &[u8]) -> Result<()> {
    Replacement::begin(disk, &paths.pictures())?.finish(bytes)
}

#[cfg(all(test, unix))]
#[expect(clippy::disallowed_methods, reason = "the test plants links")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn links_that_somebody_planted_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("precious"), "mine").unwrap();
        for name in ["users.mapping.pictures", "users.mapping.pictures.new"] {
            std::os::unix::fs::symlink(at("precious"), at(name)).unwrap();
        }
        let paths = Paths::of_mapping(&at("users.mapping.jsonl"));
        let disk = OsDisk::default();
        assert_eq!(read(&paths, &disk), None);
        assert!(replace(&paths, &disk, b"index").is_err());
        fs::remove_file(paths.pictures()).unwrap();
        replace(&paths, &disk, b"index").unwrap();
        assert_eq!(fs::read(at("precious")).unwrap(), b"mine");
        assert_eq!(read(&paths, &disk).unwrap().0, b"index");
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 2, "nothing is left over");
    }
}
