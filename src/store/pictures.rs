//! The file that remembers pictures, beside the mapping. It only saves time:
//! where it cannot be read or written, nothing is said and nothing fails.

use std::fs::{self, File};
use std::io::Read;
use std::time::UNIX_EPOCH;

use super::Paths;

/// The greatest such file that is read, in bytes: over two million pictures.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// The file's bytes, and when it was written as its own file system has it, in
/// nanoseconds since 1970. `None` where there is none to be had.
pub fn read(paths: &Paths) -> Option<(Vec<u8>, i64)> {
    let path = paths.pictures();
    // Neither a link nor a pipe: somebody else put it there.
    fs::symlink_metadata(&path).ok().filter(|about| about.is_file())?;
    let file = File::open(path).ok()?;
    let about = file.metadata().ok().filter(|about| about.len() <= MOST_BYTES)?;
    let written = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let mut bytes = Vec::with_capacity(about.len() as usize);
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some((bytes, i64::try_from(written.as_nanos()).ok()?))
}

/// Puts these bytes in the file's place, whole or not at all; whether it could.
/// Under the lock of a [`Session`](super::Session) nobody else writes it.
pub fn replace(paths: &Paths, bytes: &[u8]) -> bool {
    let path = paths.pictures();
    let new = path.with_extension("pictures.new");
    let written = fs::write(&new, bytes).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.is_ok()
}
