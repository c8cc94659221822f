//! The pictures that a manifest names: found, kept inside the manifest's own
//! folder, opened, recognised and hashed.
//!
//! A manifest may come from somebody else's pull request, so a path is not
//! trusted: `path` judges its text, `walk` goes to the file name by name and
//! never out of the folder, and only regular files of bearable size are
//! opened. `flaw` words what is wrong.

mod flaw;
mod path;
#[cfg(not(unix))]
#[path = "resolve.rs"]
mod walk;
#[cfg(unix)]
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use crate::core::digest::Digest;
use crate::core::model::{Avatar, Entry, Pointer};
use crate::picture::{self, MOST_BYTES, Notes, Picture};

use super::crew::side_by_side;
use super::found::{Found, NOTES_HINT, error, quoted};
use super::suggest;
use flaw::Flaw;
use path::check;
use walk::Walker;

/// How deep pictures may lie below their manifest: as deep as manifests below
/// a folder that is named.
const MOST_FOLDERS: usize = 32;
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
    /// Whether the user says that it be rid of what it says beside its pixels.
    pub(super) strip: Option<bool>,
}

/// What is known of a file once it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    picture: Picture,
    /// What it says beside its pixels.
    notes: Notes,
    digest: Digest,
    bytes: u64,
}

/// What the system says of something in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct About {
    /// Whether it is a regular file.
    regular: bool,
    /// Whether it is a folder.
    folder: bool,
    /// Its size in bytes.
    bytes: u64,
    /// What changes when the file does; not every system has it.
    stamp: Option<Stamp>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    /// The device it is on.
    device: u64,
    /// Its number there.
    inode: u64,
    /// When its content changed last, in nanoseconds since 1970. Anybody may
    /// set it.
    modified: i64,
    /// When anything about it changed last, which nobody can set.
    changed: i64,
}

/// Why a walk did not arrive at a file.
#[derive(Debug)]
enum Lost {
    /// It would have left the manifest's folder.
    Outside,
    /// It went through more than [`MOST_FOLDERS`].
    Deep,
    /// There is a folder.
    Folder,
    /// There is a pipe, a socket, a device.
    Special,
    /// The system refused a step.
    Io(io::Error),
}

impl About {
    /// Refuses what is no regular file.
    fn demand_file(&self) -> Result<(), Lost> {
        match self {
            Self { regular: true, .. } => Ok(()),
            Self { folder: true, .. } => Err(Lost::Folder),
            _ => Err(Lost::Special),
        }
    }
}

/// A file to look at, once however many users name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job<'w> {
    /// The folder its path is relative to.
    folder: &'w Path,
    /// Its path, without what means nothing.
    path: Cow<'w, str>,
    /// Whether what it says beside its pixels is taken away.
    strip: bool,
}

/// Reads every wanted picture, each file once, and gives each user its own.
/// `strip` is what the manifest says where a user says nothing.
pub(super) fn read_all(
    wanted: Vec<Wanted>,
    folders: &[&Path],
    strip: bool,
    entries: &mut [Entry],
    found: &mut Found,
) {
    let (facts, of_wanted) = {
        let (jobs, of_wanted) = jobs(&wanted, folders, strip);
        let facts = side_by_side(&jobs, Reader::default, |reader, job| {
            let facts = reader.inspect(job)?;
            flaw::agree(&job.path, facts.picture.format)?;
            Ok::<_, Box<Flaw>>(facts)
        });
        (facts, of_wanted)
    };
    for (
        Wanted {
            entry,
            at,
            path,
            strip,
        },
        job,
    ) in wanted.into_iter().zip(of_wanted)
    {
        let user = &mut entries[entry].user;
        match &facts[job] {
            Ok(facts) => {
                // Who says `false` for this one picture knows.
                if !facts.notes.is_empty() && strip.is_none() {
                    let (name, key, notes) = (quoted(&path), quoted(user.key.as_str()), facts.notes);
                    let message = format!("the avatar {name} of user {key} says {notes}; it will be public");
                    found.warn(error("avatar_metadata", at.clone(), message, NOTES_HINT));
                }
                user.avatar = Some(Box::new(facts.avatar(path, at.part)));
            }
            Err(flaw) => {
                let folder = folders[at.part as usize];
                let near = || near(folder, &path);
                let hint = (flaw.code == "avatar_missing" && found.has_room()).then(near);
                let Flaw {
                    code,
                    message,
                    hint: usual,
                } = &**flaw;
                let hint = hint.flatten().unwrap_or_else(|| usual.clone());
                found.push(error(code, at, message, hint));
            }
        }
    }
}

/// The distinct files, and which of them each wanted picture is.
fn jobs<'w>(wanted: &'w [Wanted], folders: &[&'w Path], strip: bool) -> (Vec<Job<'w>>, Vec<usize>) {
    let mut jobs = Vec::new();
    let mut known: HashMap<Job<'_>, usize> = HashMap::with_capacity(wanted.len());
    let of_wanted = wanted.iter().map(|wanted| {
        let job = Job {
            folder: folders[wanted.at.part as usize],
            path: plain(&wanted.path),
            strip: wanted.strip.unwrap_or(strip),
        };
        *known.entry(job).or_insert_with_key(|job| {
            jobs.push(job.clone());
            jobs.len() - 1
        })
    });
    let of_wanted = of_wanted.collect();
    (jobs, of_wanted)
}

/// A path without the names that mean nothing.
fn plain(path: &str) -> Cow<'_, str> {
    let idle = |name: &str| matches!(name, "" | ".");
    if path.split('/').any(idle) && check(path).is_ok() {
        let names: Vec<_> = path.split('/').filter(|name| !idle(name)).collect();
        if !names.is_empty() {
            return names.join("/").into();
        }
    }
    path.into()
}

/// Reads one picture's bytes, as they are or stripped, whichever has this
/// digest; `None` if neither does.
///
/// # Errors
/// As when checking it the first time.
pub(super) fn read_one(folder: &Path, path: &str, digest: Digest) -> Result<Option<Vec<u8>>, Flaw> {
    let mut reader = Reader::default();
    reader.read(folder, path)?;
    if Digest::of(&reader.buffer) == digest {
        return Ok(Some(reader.buffer));
    }
    picture::examine(&reader.buffer).map_err(|fault| flaw::faulty(path, fault))?;
    let stripped = picture::strip(&reader.buffer).map(Cow::into_owned);
    Ok(stripped.filter(|bytes| Digest::of(bytes) == digest))
}

/// One thread's eyes: the folder it is in, and the picture it looks at.
#[derive(Default)]
struct Reader<'w> {
    /// The walker of the folder that was looked into last. Files come in the
    /// order of their manifests, so a folder's files are together.
    walker: Option<(&'w Path, Walker)>,
    /// The bytes of the picture at hand.
    buffer: Vec<u8>,
}

impl<'w> Reader<'w> {
    /// Reads a file and says what it is. The bytes are left in the buffer.
    fn inspect(&mut self, job: &Job<'w>) -> Result<Facts, Flaw> {
        let path = &*job.path;
        self.read(job.folder, path)?;
        let examined = picture::examine_with_notes(&self.buffer);
        let (picture, mut notes) = examined.map_err(|fault| flaw::faulty(path, fault))?;
        if job.strip {
            match picture::strip(&self.buffer) {
                Some(Cow::Owned(stripped)) => self.buffer = stripped,
                Some(Cow::Borrowed(_)) => {}
                None => return Err(flaw::not_stripped(path)),
            }
            notes = Notes::default();
        }
        Ok(Facts {
            picture,
            notes,
            digest: Digest::of(&self.buffer),
            bytes: self.buffer.len() as u64,
        })
    }

    /// Reads a regular file of bearable size into the buffer.
    fn read(&mut self, folder: &'w Path, path: &str) -> Result<(), Flaw> {
        check(path)?;
        let opened = self.walker(folder)?.open_file(path);
        let (file, about) = opened.map_err(|lost| flaw::lost(path, &lost))?;
        flaw::check_size(path, about.bytes)?;
        self.buffer.clear();
        // It may have grown since it was asked for its size.
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut self.buffer)
            .map_err(|cause| flaw::unreadable(path, &cause))?;
        flaw::check_size(path, self.buffer.len() as u64)
    }

    /// The walker of a folder.
    fn walker(&mut self, folder: &'w Path) -> Result<&mut Walker, Flaw> {
        let walker = match self.walker.take() {
            Some((at, walker)) if at == folder => walker,
            _ => Walker::open(folder).map_err(|cause| flaw::no_folder(&cause))?,
        };
        Ok(&mut self.walker.insert((folder, walker)).1)
    }
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
            notes: _,
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

/// The hint that names the file which looks most like the missing one, in the
/// same folder. Folders outside are not looked into, whatever links there are.
fn near(folder: &Path, path: &str) -> Option<String> {
    let (named, wanted) = path.rsplit_once('/').unwrap_or(("", path));
    let mut names = Walker::open(folder).ok()?.names(path, MOST_NAMES)?;
    names.sort_unstable();
    let near = suggest::nearest(wanted, names.iter().map(String::as_str))?;
    let slash = if named.is_empty() { "" } else { "/" };
    Some(format!(
        "did you mean {}?",
        quoted(&format!("{named}{slash}{near}"))
    ))
}
