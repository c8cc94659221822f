//! The pictures that a manifest names: found, kept inside the manifest's own
//! folder, opened, recognised and hashed.
//!
//! A manifest may come from somebody else's pull request, so a path is not
//! trusted: what it leads to after every link must lie in the folder, and only
//! regular files are opened.

#![expect(clippy::disallowed_methods, reason = "pictures are read here")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::core::digest::Digest;
use crate::core::model::{Avatar, Pointer, Problem};
use crate::core::value::ImageFormat;
use crate::picture::{self, Fault, MOST_BYTES, MOST_PIXELS, Picture};

use super::found::{Found, error, quoted};
use super::suggest;

/// The longest path taken from a manifest, in bytes.
const MOST_PATH: usize = 1024;
/// How many names of a folder are looked at for a suggestion.
const MOST_NAMES: usize = 2_000;

/// A picture that a user names.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The user's place in the list of entries.
    pub(super) entry: usize,
    /// The field that names it.
    pub(super) at: Pointer,
    /// The path as the manifest has it.
    pub(super) path: Box<str>,
}

/// What is known of a file once it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    picture: Picture,
    digest: Digest,
    bytes: u64,
}

/// Why a picture cannot be used: a stable code, a sentence, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// A stable word for machines.
    code: &'static str,
    /// What is wrong, in a sentence without a full stop.
    pub(super) message: String,
    /// What to do about it.
    pub(super) hint: String,
}

/// A flaw from its three parts.
fn flaw(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Flaw {
    Flaw {
        code,
        message: message.into(),
        hint: hint.into(),
    }
}

/// Reads every wanted picture, each file once, and gives each user its own.
/// The result has the users' places in the list of entries.
pub(super) fn read_all(wanted: Vec<Wanted>, folders: &[&Path], found: &mut Found) -> Vec<(usize, Avatar)> {
    let mut avatars = Vec::with_capacity(wanted.len());
    // Files are independent of each other: this loop is what would be spread
    // over threads, with a buffer each.
    let mut buffer = Vec::new();
    let mut known: BTreeMap<PathBuf, Result<Facts, Flaw>> = BTreeMap::new();
    let mut roots: BTreeMap<u32, Result<PathBuf, Flaw>> = BTreeMap::new();
    for Wanted { entry, at, path } in wanted {
        let root = roots
            .entry(at.part)
            .or_insert_with(|| real_folder(folders[at.part as usize]));
        let facts = root.as_deref().map_err(Clone::clone).and_then(|root| {
            let file = locate(root, &path)?;
            let facts = match known.get(&file) {
                Some(facts) => facts.clone(),
                None => {
                    let facts = inspect(&file, &path, &mut buffer);
                    known.insert(file, facts.clone());
                    facts
                }
            }?;
            agree(&path, facts.picture.format)?;
            Ok(facts)
        });
        match facts {
            Ok(facts) => avatars.push((entry, facts.avatar(path, at.part))),
            Err(flaw) => {
                let root = root.as_deref().ok().filter(|_| found.has_room());
                found.push(problem(at, flaw, root, &path));
            }
        }
    }
    avatars
}

/// Reads one picture whole.
///
/// # Errors
/// As when checking it the first time.
pub(super) fn read_one(folder: &Path, path: &str) -> Result<(Vec<u8>, Digest), Flaw> {
    let file = locate(&real_folder(folder)?, path)?;
    let mut buffer = Vec::new();
    let facts = inspect(&file, path, &mut buffer)?;
    Ok((buffer, facts.digest))
}

impl Facts {
    /// The avatar of a user who names the file by this path.
    /// Takes the facts apart in full: a fact that is added must be decided about.
    fn avatar(self, path: Box<str>, part: u32) -> Avatar {
        let Self {
            picture:
                Picture {
                    format,
                    width,
                    height,
                },
            digest,
            bytes,
        } = self;
        Avatar {
            path,
            part,
            digest,
            format,
            bytes,
            width,
            height,
        }
    }
}

/// Makes a problem of a flaw, with the nearest file name where one is missing.
fn problem(at: Pointer, flaw: Flaw, root: Option<&Path>, path: &str) -> Problem {
    let Flaw {
        code,
        message,
        mut hint,
    } = flaw;
    if code == "avatar_missing"
        && let Some(near) = root.and_then(|root| near(root, path))
    {
        let named = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let slash = if named.is_empty() { "" } else { "/" };
        hint = format!("did you mean {}?", quoted(&format!("{named}{slash}{near}")));
    }
    error(code, at, message, hint)
}

/// The name in the same folder that looks most like this path's. Folders
/// outside are not looked into, whatever links there are.
fn near(root: &Path, path: &str) -> Option<String> {
    let file = below(root, path);
    let wanted = file.file_name()?.to_str()?;
    let folder = fs::canonicalize(file.parent()?).ok()?;
    if !folder.starts_with(root) {
        return None;
    }
    let mut names: Vec<String> = fs::read_dir(folder)
        .ok()?
        .take(MOST_NAMES)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort_unstable();
    suggest::nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}

/// Joins a path from a manifest, name by name: Windows takes `/` for a part of
/// a name once a folder's path is fully resolved.
fn below(root: &Path, path: &str) -> PathBuf {
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    names.fold(root.to_owned(), |folder, name| folder.join(name))
}

/// The folder that pictures must lie in, with every link resolved.
fn real_folder(folder: &Path) -> Result<PathBuf, Flaw> {
    fs::canonicalize(folder).map_err(|cause| {
        flaw(
            "avatar_unreadable",
            format!("the manifest's folder cannot be opened ({})", plainly(&cause)),
            "check the folder's permissions",
        )
    })
}

/// Checks a path by its text alone.
fn check_path(path: &str) -> Result<(), Flaw> {
    let bad = |message: &str, hint: &str| Err(flaw("bad_avatar_path", message, hint));
    let relative = "write a path relative to this manifest, such as `avatars/jane.png`";
    if path.is_empty() {
        return bad(
            "the avatar's path is empty",
            "write the path of a picture, or leave `avatar` out",
        );
    }
    if path.len() > MOST_PATH {
        return bad("the avatar's path is longer than 1024 bytes", relative);
    }
    if path.chars().any(char::is_control) {
        return bad(
            "the avatar's path contains control characters",
            "write the path on one line, without escapes",
        );
    }
    if path.contains("://") || path.starts_with("data:") {
        return bad(
            "the avatar is a URL; it must be a file",
            "download the picture, keep it beside the manifest, and name that file",
        );
    }
    if path.contains('\\') {
        return bad(
            "the avatar's path contains `\\`",
            "write `/` between folders: it works on every system",
        );
    }
    let drive = path.as_bytes().get(1) == Some(&b':') && path.as_bytes()[0].is_ascii_alphabetic();
    if path.starts_with('/') || drive {
        return outside("the avatar's path is absolute");
    }
    let mut level = 0i32;
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => level -= 1,
            _ => level += 1,
        }
        if level < 0 {
            return outside("the avatar's path leads out of the manifest's folder");
        }
    }
    Ok(())
}

/// The refusal of everything that leads out of the folder.
fn outside<T>(message: &str) -> Result<T, Flaw> {
    Err(flaw(
        "avatar_outside",
        message,
        "keep pictures in the manifest's folder or below it, and name them relative to it",
    ))
}

/// Finds the file that a path leads to, with every link resolved.
fn locate(root: &Path, path: &str) -> Result<PathBuf, Flaw> {
    check_path(path)?;
    let file = fs::canonicalize(below(root, path)).map_err(|cause| unreadable(path, &cause))?;
    if !file.starts_with(root) {
        return outside("the avatar's path leads, through a link, out of the manifest's folder");
    }
    Ok(file)
}

/// Reads a file and says what it is. `path` is its name in the manifest; the
/// bytes are left in the buffer.
fn inspect(file: &Path, path: &str, buffer: &mut Vec<u8>) -> Result<Facts, Flaw> {
    read(file, path, buffer)?;
    let picture = picture::examine(buffer).map_err(|fault| faulty(path, fault))?;
    Ok(Facts {
        picture,
        digest: Digest::of(buffer),
        bytes: buffer.len() as u64,
    })
}

/// Reads a regular file of bearable size into the buffer.
fn read(file: &Path, path: &str, buffer: &mut Vec<u8>) -> Result<(), Flaw> {
    // Asked before opening: opening a named pipe waits for somebody to write.
    let about = fs::metadata(file).map_err(|cause| unreadable(path, &cause))?;
    if !about.is_file() {
        let what = if about.is_dir() {
            "a folder"
        } else {
            "not a regular file"
        };
        return Err(flaw(
            "avatar_not_file",
            format!("the avatar {} is {what}", quoted(path)),
            "name a PNG, JPEG, GIF or WebP file",
        ));
    }
    let opened = File::open(file).map_err(|cause| unreadable(path, &cause))?;
    buffer.clear();
    opened
        .take(MOST_BYTES + 1)
        .read_to_end(buffer)
        .map_err(|cause| unreadable(path, &cause))?;
    if buffer.is_empty() {
        return Err(flaw(
            "avatar_empty",
            format!("the avatar {} is an empty file", quoted(path)),
            "put the picture there again",
        ));
    }
    if buffer.len() as u64 > MOST_BYTES {
        // Rounded up, so that one byte too many does not read as exactly enough.
        let size = (about.len().max(buffer.len() as u64) as f64 / (1024.0 * 1024.0) * 10.0).ceil() / 10.0;
        return Err(flaw(
            "avatar_too_large",
            format!(
                "the avatar {} has {size:.1} MB; at most 5 MB are allowed",
                quoted(path)
            ),
            "save it smaller: a profile picture needs a few hundred pixels a side",
        ));
    }
    Ok(())
}

/// What an I/O error means. A name below something that is no folder is as
/// missing as one in an empty folder.
fn unreadable(path: &str, cause: &io::Error) -> Flaw {
    match cause.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => flaw(
            "avatar_missing",
            format!("the avatar {} does not exist", quoted(path)),
            "paths are relative to the manifest's own folder; upper and lower case differ",
        ),
        _ => flaw(
            "avatar_unreadable",
            format!("the avatar {} cannot be read ({})", quoted(path), plainly(cause)),
            "check the file's permissions and links",
        ),
    }
}

/// An I/O error's own words, without the number behind them.
fn plainly(cause: &io::Error) -> String {
    let text = cause.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The name's extension must say what the content is: Whop takes a picture's
/// type from the name (`whop-api.md` §6), and people take it from there too.
fn agree(path: &str, format: ImageFormat) -> Result<(), Flaw> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let promised = extension.and_then(ImageFormat::from_extension);
    if promised == Some(format) {
        return Ok(());
    }
    let says = match extension {
        None => "has no extension".to_owned(),
        Some(extension) => format!("is named {}", quoted(&format!(".{extension}"))),
    };
    Err(flaw(
        "avatar_extension",
        format!(
            "the avatar {} {says}, but its content is {}",
            quoted(path),
            format.name()
        ),
        format!("rename it to end in `.{}`", format.extension()),
    ))
}

/// Puts what is wrong with a picture into words. The commonest cause of a
/// "text" in a pipeline is a checkout without Git LFS, so it is told apart.
fn faulty(path: &str, fault: Fault) -> Flaw {
    let path = quoted(path);
    match fault {
        Fault::Foreign(what) => {
            let hint = if what.contains("Git LFS") {
                "fetch the pictures first: `git lfs pull`, or `lfs: true` for the checkout step"
            } else {
                "save it as PNG, JPEG, GIF or WebP"
            };
            flaw("avatar_not_image", format!("the avatar {path} is {what}"), hint)
        }
        Fault::Truncated(format) => flaw(
            "avatar_truncated",
            format!("the avatar {path} is a {} that ends too early", format.name()),
            "part of the file is missing; copy or save it again",
        ),
        Fault::Broken(format) => flaw(
            "avatar_broken",
            format!("the avatar {path} is a damaged {}", format.name()),
            "open it in a picture editor and save it again",
        ),
        Fault::Size { width, height } if width == 0 || height == 0 => flaw(
            "avatar_broken",
            format!("the avatar {path} has no pixels ({width} × {height})"),
            "save it again",
        ),
        Fault::Size { width, height } => flaw(
            "avatar_dimensions",
            format!(
                "the avatar {path} is {width} × {height} pixels; at most {MOST_PIXELS} a side are allowed"
            ),
            "save it smaller: a profile picture needs a few hundred pixels a side",
        ),
    }
}
