//! The state file: one line of JSON for each request that changed anything,
//! written before the answer goes out.
//!
//! A line holds everything that the request did, so a process killed at any
//! moment leaves either all of it or nothing. Lines go to the operating system
//! at once but are not flushed to the disk: the file survives the death of the
//! process, which is what tests need, not that of the machine.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::records::Effect;
use super::state::World;
use crate::fsys::{How, MOST_STATE, OsDisk, Refusal};

/// The first line of every state file.
const HEADER: &str = "{\"format\":\"whop-sync emulator state\",\"version\":1}\n";

/// Lines beyond twice the number of records that make a rewrite worth it.
const SLACK: usize = 10_000;

/// An open state file, held by this process alone.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// Keeps the lock for as long as the log lives. The lock has a file of its
    /// own, since a rewrite replaces the state file.
    _lock: Lock,
}

/// The lock. The system frees it when the process ends, however it ends.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    /// Takes the lock of this state file.
    ///
    /// # Errors
    /// If another emulator has it, or if it cannot be opened.
    fn take(disk: &OsDisk, path: &Path) -> io::Result<Self> {
        // Never written, whatever it is.
        let file = disk.open(&beside(path, ".lock"), How::Edit)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                format!(
                    "the state file `{}` is in use by another emulator",
                    path.display()
                ),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that this process starts has a copy
        // of the file for a moment, and the lock lives as long as any copy.
        let _ = self.0.unlock();
    }
}

impl Log {
    /// Loads the file into the world, or begins one.
    ///
    /// # Errors
    /// If another emulator holds it, if it is no state file, or if it cannot
    /// be read or written.
    pub(super) fn open(disk: &OsDisk, path: &Path, world: &mut World) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            disk.make_folder(folder)?;
        }
        // Before the lock is made beside it.
        disk.check_place(path)?;
        let lock = Lock::take(disk, path)?;
        let mut file = disk.open(path, How::Append)?;
        let Loaded { lines, whole } = load(&file, path, world)?;
        // A torn last line is dropped from the file, too, so that the next one
        // does not grow on to it.
        file.set_len(whole)?;
        if whole == 0 {
            file.write_all(HEADER.as_bytes())?;
        }
        if lines > 2 * world.size() + SLACK {
            file = rewrite(disk, path, world)?;
        }
        world.contents = Contents::kept(disk.clone(), beside(path, ".files"));
        Ok(Self { file, _lock: lock })
    }

    /// Adds a line.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)
    }
}

/// Loads the file into the world, if there is one, and leaves everything as it
/// is. Another emulator may have it open.
///
/// # Errors
/// If it is no state file or cannot be read.
pub(super) fn read(disk: &OsDisk, path: &Path, world: &mut World) -> io::Result<()> {
    world.contents = Contents::found(disk.clone(), beside(path, ".files"));
    match disk.open(path, How::Read) {
        Ok(file) => load(&file, path, world).map(drop),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// The path with something behind its whole name, extension included.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What was loaded.
struct Loaded {
    /// How many lines.
    lines: usize,
    /// How many bytes they have; a torn line comes behind.
    whole: u64,
}

/// Applies every whole line and drops a torn last one.
/// A line that is whole but makes no sense is an error: guessing would lose
/// what stands behind it.
fn load(file: &File, path: &Path, world: &mut World) -> io::Result<Loaded> {
    if file.metadata()?.len() > MOST_STATE {
        return Err(Refusal::Large(path.to_owned(), MOST_STATE).into());
    }
    let broken = |why: &str| {
        let message = format!("`{}` is not a state file: {why}", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let mut reader = BufReader::new(file.take(MOST_STATE));
    let mut line = Vec::new();
    let mut whole = 0;
    let mut lines = 0;
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") {
            break;
        }
        if whole == 0 {
            if line != HEADER.as_bytes() {
                return Err(broken("its first line is another"));
            }
        } else {
            let effects: Vec<Effect> = serde_json::from_slice(&line)
                .map_err(|error| broken(&format!("line {}: {error}", lines + 1)))?;
            effects.into_iter().for_each(|effect| world.apply(effect));
        }
        whole += read as u64;
        lines += 1;
    }
    // Whatever is torn at the beginning must at least be a torn header.
    if whole == 0 && !HEADER.as_bytes().starts_with(&line) {
        return Err(broken("its first line is another"));
    }
    Ok(Loaded { lines, whole })
}

/// Writes the records afresh and puts the result in place in one step.
fn rewrite(disk: &OsDisk, path: &Path, world: &World) -> io::Result<File> {
    let made = beside(path, ".new");
    disk.remove(&made)?;
    let mut writer = BufWriter::new(disk.open(&made, How::New)?);
    writer.write_all(HEADER.as_bytes())?;
    for effect in world.effects() {
        serde_json::to_writer(&mut writer, &[effect])?;
        writer.write_all(b"\n")?;
    }
    writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()?;
    disk.rename(&made, path)?;
    disk.open(path, How::Append)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests change files")]
mod tests {
    use std::fs;

    use super::*;

    fn reload(path: &Path) -> io::Result<World> {
        let mut world = World::new(0, true);
        Log::open(&OsDisk::default(), path, &mut world).map(|_| world)
    }

    #[test]
    fn a_copy_of_its_file_does_not_keep_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.jsonl");
        let mut world = World::new(0, true);
        let log = Log::open(&OsDisk::default(), &path, &mut world).unwrap();
        // What a program that is being started has until it runs.
        let _copy = log._lock.0.try_clone().unwrap();
        drop(log);
        assert!(reload(&path).is_ok());
    }

    #[test]
    fn a_torn_line_is_dropped_and_a_broken_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/state.jsonl");
        let mut world = World::new(0, true);
        let mut log = Log::open(&OsDisk::default(), &path, &mut world).unwrap();
        assert_eq!(reload(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        world.change(Effect::Used(7));
        log.append(&world.take_line(1).unwrap()).unwrap();
        log.append(b"[{\"used\":9").unwrap();
        drop(log);
        assert_eq!(reload(&path).unwrap().fresh_id("a_", 0).0, 7);
        // The torn line is gone from the file, too.
        assert_eq!(reload(&path).unwrap().fresh_id("a_", 0).0, 7);

        fs::write(&path, format!("{HEADER}nonsense\n[{{\"used\":9}}]\n")).unwrap();
        assert_eq!(reload(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::write(&path, "my shopping list").unwrap();
        assert_eq!(reload(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read(&path).unwrap(), b"my shopping list", "left alone");
    }

    #[test]
    fn a_long_file_is_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.jsonl");
        let lines = (0..SLACK + 10).map(|used| format!("[{{\"used\":{used}}}]\n"));
        fs::write(&path, HEADER.to_owned() + &lines.collect::<String>()).unwrap();
        let last = (SLACK + 9) as u64;
        assert_eq!(reload(&path).unwrap().fresh_id("a_", 0).0, last);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{HEADER}[{{\"used\":{last}}}]\n[{{\"now\":0}}]\n"));
    }
}
