//! The files of a manifest: finding them and reading their text.
//!
//! A path may be a file or a directory, and there may be several; the files
//! found are the parts of one manifest, in order. Only regular files are
//! opened, so that a named pipe or a device cannot make a run hang.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::core::digest::{Digest, Hasher};
use crate::error::{Code, Error, Result};
use crate::fsys::{OsDisk, Refusal};

/// The largest part, in bytes. A million users need about 180 MB, so no
/// reasonable manifest is refused, and no file can fill the memory by its size
/// alone.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Larger texts, in bytes, are not kept after reading: for a million users they
/// would take a seventh of a plan's memory.
const MOST_KEPT: usize = 8 * 1024 * 1024;

/// The most files in a directory. A run that was pointed at the wrong folder,
/// such as `/`, stops there.
const MOST_FILES: usize = 10_000;
/// How deep files may be below the named directory.
const MOST_LEVELS: usize = 32;

/// One file of the manifest.
#[derive(Debug)]
pub(super) struct Part {
    /// The text, without a byte order mark; empty once it was released.
    pub(super) text: String,
    /// Why the bytes are not a text, if so; `text` then has replacement
    /// characters in place of invalid bytes.
    pub(super) garbled: Option<Garbled>,
    /// The path as given, always with `/`.
    pub(super) display: String,
    /// The folder it is in; pictures are relative to it.
    pub(super) directory: PathBuf,
}

/// Bytes that are not UTF-8.
#[derive(Clone, Copy, Debug)]
pub(super) struct Garbled {
    /// The number of valid bytes before the first invalid one.
    pub(super) offset: usize,
    /// Whether it is UTF-16, which some Windows programs write.
    pub(super) utf16: bool,
}

/// The files of a manifest, with their text.
#[derive(Debug)]
pub struct Sources {
    /// The parts, in order.
    parts: Vec<Part>,
    /// The parts' paths.
    paths: Vec<PathBuf>,
    /// How they are opened.
    disk: OsDisk,
    /// Whether the texts were released.
    let_go: bool,
    /// The folder of the whole manifest.
    directory: PathBuf,
    /// The digest of all parts' bytes.
    digest: Digest,
}

impl Sources {
    /// Reads the given paths in order: a file as it is, a directory's files
    /// sorted by path.
    ///
    /// # Errors
    /// If one does not exist, is not a regular file, is too large, appears
    /// twice or cannot be read.
    pub(super) fn read(paths: &[PathBuf]) -> Result<Self> {
        let files = find(paths)?;
        let disk = OsDisk::beside(paths);
        let (parts, digest) = read_all(&disk, &files)?;
        let directory = match paths.first() {
            Some(first) if first.is_dir() => first.clone(),
            _ => files.first().map(|file| folder_of(file)).unwrap_or_default(),
        };
        Ok(Self {
            parts,
            paths: files,
            disk,
            let_go: false,
            directory,
            digest,
        })
    }

    /// Releases large texts. Few runs need them again.
    pub(super) fn let_go(&mut self) {
        let held: usize = self.parts.iter().map(|part| part.text.len()).sum();
        if held > MOST_KEPT {
            self.parts.iter_mut().for_each(|part| part.text = String::new());
            self.let_go = true;
        }
    }

    /// The texts of the parts, read again if they were released; `None` if the
    /// files have changed.
    pub(super) fn texts(&self) -> Option<Vec<Cow<'_, str>>> {
        if !self.let_go {
            return Some(self.parts.iter().map(|part| part.text.as_str().into()).collect());
        }
        let (parts, digest) = read_all(&self.disk, &self.paths).ok()?;
        let same = digest == self.digest;
        same.then(|| parts.into_iter().map(|part| part.text.into()).collect())
    }

    /// The parts, in order.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The paths of the parts as given, in order, with `/`.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.display.as_str())
    }

    /// The folder of the whole manifest: the named directory, or that of the
    /// first file.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The digest of all parts' bytes, in order.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(any(test, fuzzing))]
impl Sources {
    /// A text as if read from `users.yaml` in this folder.
    pub(super) fn of_text(text: &[u8], folder: &Path) -> Self {
        Self {
            parts: vec![Part::of_text(text, folder)],
            paths: vec![folder.join("users.yaml")],
            disk: OsDisk::default(),
            let_go: false,
            directory: folder.to_owned(),
            digest: Digest::of(text),
        }
    }
}

#[cfg(any(test, fuzzing))]
impl Part {
    /// A text as if read from `users.yaml` in this folder.
    pub(super) fn of_text(text: &[u8], folder: &Path) -> Self {
        decode(&folder.join("users.yaml"), text.to_owned())
    }
}

/// A path for messages, the same on every system.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text
    }
}

/// The folder of a file, never empty.
fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Lists the files at the given paths.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut seen = BTreeMap::new();
    for path in paths {
        let about = fs::metadata(path).map_err(|cause| unreadable(path, cause))?;
        let before = files.len();
        if about.is_dir() {
            below(path, MOST_LEVELS, &mut files)?;
            if files.len() == before {
                return Err(Error::new(
                    Code::ManifestMissing,
                    format!("there is no `*.yaml` or `*.yml` file in `{}`", shown(path)),
                )
                .hint("name the file with `-f`; hidden files and folders are ignored"));
            }
        } else {
            files.push(path.clone());
        }
        for file in &files[before..] {
            refuse_twice(file, &mut seen)?;
        }
    }
    Ok(files)
}

/// Adds a directory's YAML files, sorted by name at each level, without hidden
/// ones. Links to directories are not followed: they could lead anywhere, or in
/// circles.
fn below(folder: &Path, levels: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|cause| Error::file("list", folder, cause))? {
        let entry = entry.map_err(|cause| Error::file("list", folder, cause))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            names.push(entry.file_name());
        }
    }
    names.sort_unstable();
    for name in names {
        let path = folder.join(name);
        let about = fs::symlink_metadata(&path).map_err(|cause| Error::file("read", &path, cause))?;
        if about.is_dir() {
            if levels == 0 {
                return Err(too_much(&path, "folders are nested too deeply"));
            }
            below(&path, levels - 1, files)?;
        } else if is_yaml(&path) && !path.is_dir() {
            if files.len() == MOST_FILES {
                return Err(too_much(folder, "there are too many files"));
            }
            files.push(path);
        }
    }
    Ok(())
}

/// The error for a folder that cannot be a manifest.
fn too_much(path: &Path, what: &str) -> Error {
    Error::new(
        Code::ManifestInvalid,
        format!("{what} to be one manifest, at `{}`", shown(path)),
    )
    .hint("name the manifest's own files or folder with `-f`")
}

/// Whether a file in a directory is part of a manifest. A file that is named
/// itself may have any name.
fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Refuses a file that appears twice, because its users would all be reported
/// as duplicates. A link counts as itself, and is refused when it is read.
fn refuse_twice(file: &Path, seen: &mut BTreeMap<PathBuf, PathBuf>) -> Result<()> {
    let folder = fs::canonicalize(folder_of(file)).map_err(|cause| unreadable(file, cause))?;
    let real = folder.join(file.file_name().unwrap_or_default());
    if let Some(first) = seen.insert(real, file.to_owned()) {
        return Err(Error::new(
            Code::ManifestInvalid,
            format!("`{}` and `{}` are the same file", shown(&first), shown(file)),
        )
        .hint("name it once: a directory given with `-f` already includes the files in it"));
    }
    Ok(())
}

/// Reads these files; the digest covers all of their bytes.
fn read_all(disk: &OsDisk, files: &[PathBuf]) -> Result<(Vec<Part>, Digest)> {
    let mut hasher = Hasher::new("manifest");
    let mut parts = Vec::with_capacity(files.len());
    for path in files {
        let bytes = read_regular(disk, path)?;
        hasher.field(&bytes);
        parts.push(decode(path, bytes));
    }
    Ok((parts, hasher.finish()))
}

/// Reads a whole file if it is regular and not too large. A manifest may come
/// from a stranger's pull request, and problems quote lines: a link to a secret
/// file, such as this process's environment, would print it. So no name below
/// the given folder may be a link.
fn read_regular(disk: &OsDisk, path: &Path) -> Result<Vec<u8>> {
    let read = disk.read_most(path, MOST_BYTES);
    let read = read.and_then(|bytes| bytes.ok_or_else(|| ErrorKind::NotFound.into()));
    read.map_err(|cause| {
        let (message, hint) = match Refusal::behind(&cause) {
            Some(Refusal::Large(..)) => (
                format!("`{}` is larger than 512 MiB", shown(path)),
                "split it into several files and name their folder with `-f`",
            ),
            Some(Refusal::Kind(..)) => (
                format!("`{}` is not a regular file", shown(path)),
                "write the manifest to a file first: it is read more than once",
            ),
            Some(refusal @ Refusal::Link(_)) => (refusal.to_string(), refusal.way_out()),
            Some(Refusal::Writable(_)) | None => return unreadable(path, cause),
        };
        Error::new(Code::ManifestInvalid, message).hint(hint)
    })
}

/// The error for a file that cannot be read; a missing manifest has its own
/// code.
fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    if cause.kind() == ErrorKind::NotFound {
        Error::new(
            Code::ManifestMissing,
            format!("there is no manifest at `{}`", shown(path)),
        )
        .hint("name it with `-f PATH`, or start with `whop-sync init`")
    } else {
        Error::file("read", path, cause)
    }
}

/// Turns a file's bytes into a part.
fn decode(path: &Path, bytes: Vec<u8>) -> Part {
    let utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    let (mut text, garbled) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(bad) => {
            let offset = bad.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(bad.as_bytes()).into_owned();
            (text, Some(Garbled { offset, utf16 }))
        }
    };
    // Both parsers accept the mark at the very start only, and columns of the
    // first line would be off by one.
    if garbled.is_none() && text.starts_with('\u{feff}') {
        text.remove(0);
    }
    Part {
        text,
        garbled,
        display: shown(path),
        directory: folder_of(path),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test changes files")]
mod tests {
    use super::*;

    #[test]
    fn a_large_text_is_released_and_read_again_while_unchanged() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("users.yaml");
        for (lines, is_large) in [(100, false), (600_000, true)] {
            let text = "# a line of notes\n".repeat(lines);
            fs::write(&path, &text).unwrap();
            let mut sources = Sources::read(std::slice::from_ref(&path)).unwrap();
            sources.let_go();
            assert_eq!(sources.parts()[0].text.is_empty(), is_large);
            assert_eq!(sources.texts().unwrap(), [text.as_str()]);
            fs::write(&path, text + "#").unwrap();
            assert_eq!(sources.texts().is_none(), is_large);
            fs::remove_file(&path).unwrap();
            assert_eq!(sources.texts().is_none(), is_large);
        }
    }
}
