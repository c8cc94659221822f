//! The pictures that a manifest names: found, kept inside the manifest's
//! folder, opened, recognised and hashed.
//!
//! A manifest may come from someone else's pull request, so a path is not
//! trusted: `path` checks its text, `walk` opens the file name by name without
//! following links, and only regular files of limited size are opened. `flaw`
//! words the problems.

mod flaw;
mod lookup;
mod path;
#[cfg(not(unix))]
#[path = "resolve.rs"]
mod walk;
#[cfg(unix)]
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use crate::core::digest::Digest;
use crate::core::model::{Avatar, Entry};
use crate::core::problem::Pointer;
use crate::core::problem_code::ProblemCode;
use crate::parallel::map_parallel;
use crate::picture::{self, MOST_BYTES, Picture, PictureCache, PictureFacts, PictureMetadata, Stamp};

use super::diagnostics::{Found, NOTES_HINT, error, quoted};
use super::suggest;
use flaw::Flaw;
use path::{check, plain};
use walk::Walker;

/// How many names in a folder are considered for a suggestion.
const MOST_NAMES: usize = 2_000;

/// A picture that a user names.
#[derive(Debug)]
pub(super) struct RequestedPicture {
    /// The user's index in the list of entries.
    pub(super) entry: usize,
    /// The field that names it.
    pub(super) at: Pointer,
    /// The path as written in the manifest.
    pub(super) path: Box<str>,
    /// Whether the user overrides the stripping of metadata.
    pub(super) strip: Option<bool>,
}

/// The facts about a file, with its stamp if that did not change while the file
/// was read.
type Known = (Option<Stamp>, PictureFacts);

/// A file to inspect, once however many users name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job<'w> {
    /// The folder its path is relative to.
    folder: &'w Path,
    /// Its path in plain form.
    path: Cow<'w, str>,
    /// Whether metadata is removed from it.
    strip: bool,
}

/// Reads every wanted picture, each file once, and assigns them to their users.
/// `strip` is the manifest's setting, which users may override. Files that the
/// memory knows are not read; afterwards the memory knows exactly these files.
pub(super) fn read_all(
    wanted: Vec<RequestedPicture>,
    folders: &[&Path],
    strip: bool,
    memory: &mut Memory,
    entries: &mut [Entry],
    found: &mut Found,
) {
    let (facts, of_wanted) = {
        let (jobs, of_wanted) = jobs(&wanted, folders, strip);
        let index = &memory.index;
        let facts = map_parallel(&jobs, Reader::default, |reader, job| {
            let (stamp, facts) = reader.recall_or_inspect(job, index)?;
            // Not part of the remembered facts: it depends on the name, which
            // can change while the content stays.
            flaw::agree(&job.path, facts.picture.format)?;
            Ok::<Known, Box<Flaw>>((stamp, facts))
        });
        memory.renew(&jobs, &facts);
        (facts, of_wanted)
    };
    for (
        RequestedPicture {
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
            Ok((_, facts)) => {
                // An explicit `false` is a choice, so no warning.
                if !facts.notes.is_empty() && strip.is_none() {
                    let (name, key, notes) = (quoted(&path), quoted(user.key.as_str()), facts.notes);
                    let message = format!("the avatar {name} of user {key} says {notes}; it will be public");
                    found.warn(error(
                        ProblemCode::AvatarMetadata,
                        at.clone(),
                        message,
                        NOTES_HINT,
                    ));
                }
                user.avatar = Some(Box::new(avatar(*facts, path, at.part)));
            }
            Err(flaw) => {
                let folder = folders[at.part as usize];
                let near = || near(folder, &path);
                let hint = (flaw.code == ProblemCode::AvatarMissing && found.has_room()).then(near);
                let Flaw {
                    code,
                    message,
                    hint: usual,
                } = &**flaw;
                let hint = hint.flatten().unwrap_or_else(|| usual.clone());
                found.push(error(*code, at, message, hint));
            }
        }
    }
}

/// What is remembered about pictures between runs.
#[derive(Debug, Default)]
pub struct Memory {
    /// Facts from earlier runs.
    pub index: PictureCache,
    /// When this run began, in nanoseconds since 1970. More recent files are
    /// not remembered.
    pub now: i64,
    /// The number of files read.
    pub read: usize,
}

impl Memory {
    /// Adds the facts of this run, and drops those that were not used.
    fn renew(&mut self, jobs: &[Job<'_>], facts: &[Result<Known, Box<Flaw>>]) {
        let mut index = PictureCache::default();
        self.read = 0;
        for (job, facts) in jobs.iter().zip(facts) {
            let Ok((stamp, facts)) = facts else { continue };
            let known = stamp.is_some_and(|stamp| self.index.get(stamp, job.strip).is_some());
            self.read += usize::from(!known);
            if let Some(stamp) = stamp {
                index.keep(*stamp, job.strip, *facts, self.now);
            }
        }
        self.index = index;
    }
}

/// The distinct files, and which of them each wanted picture is.
fn jobs<'w>(wanted: &'w [RequestedPicture], folders: &[&'w Path], strip: bool) -> (Vec<Job<'w>>, Vec<usize>) {
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

/// Reads one picture's bytes, original or stripped, whichever has this digest;
/// `None` if neither does.
///
/// # Errors
/// As when it was first checked.
pub(super) fn read_one(folder: &Path, path: &str, digest: Digest) -> Result<Option<Vec<u8>>, Flaw> {
    let mut reader = Reader::default();
    reader.read(folder, &plain(path))?;
    if Digest::of(&reader.buffer) == digest {
        return Ok(Some(reader.buffer));
    }
    picture::examine(&reader.buffer).map_err(|fault| flaw::faulty(path, fault))?;
    let stripped = picture::strip(&reader.buffer).map(Cow::into_owned);
    Ok(stripped.filter(|bytes| Digest::of(bytes) == digest))
}

/// The state of one thread: the current folder and picture.
#[derive(Default)]
struct Reader<'w> {
    /// The walker of the last folder. Files are ordered by manifest, so those
    /// of one folder come together.
    walker: Option<(&'w Path, Walker)>,
    /// The bytes of the current picture.
    buffer: Vec<u8>,
}

impl<'w> Reader<'w> {
    /// The facts about a file: from the cache if it has not changed, or by
    /// reading it. The stamp is given if it is valid for what was read.
    fn recall_or_inspect(&mut self, job: &Job<'w>, index: &PictureCache) -> Result<Known, Flaw> {
        if !index.is_empty() {
            check(&job.path)?;
            let spot = self.walker(job.folder)?.look(&job.path);
            let about = spot.map_err(|lost| flaw::lost(&job.path, &lost))?.about;
            if about.regular
                && let Some(stamp) = about.stamp
                && let Some(facts) = index.get(stamp, job.strip)
            {
                return Ok((Some(stamp), facts));
            }
        }
        self.inspect(job)
    }

    /// Reads a file and determines its facts. The bytes remain in the buffer.
    fn inspect(&mut self, job: &Job<'w>) -> Result<Known, Flaw> {
        let path = &*job.path;
        let stamp = self.read(job.folder, path)?;
        let examined = picture::examine_with_notes(&self.buffer);
        let (picture, mut notes) = examined.map_err(|fault| flaw::faulty(path, fault))?;
        if job.strip {
            match picture::strip(&self.buffer) {
                Some(Cow::Owned(stripped)) => self.buffer = stripped,
                Some(Cow::Borrowed(_)) => {}
                None => return Err(flaw::not_stripped(path)),
            }
            notes = PictureMetadata::default();
        }
        let facts = PictureFacts {
            picture,
            notes,
            digest: Digest::of(&self.buffer),
            bytes: self.buffer.len() as u64,
        };
        Ok((stamp, facts))
    }

    /// Reads a regular file of limited size into the buffer. Returns the stamp
    /// if it did not change meanwhile.
    fn read(&mut self, folder: &'w Path, path: &str) -> Result<Option<Stamp>, Flaw> {
        check(path)?;
        let opened = self.walker(folder)?.open_file(path);
        let (file, about) = opened.map_err(|lost| flaw::lost(path, &lost))?;
        flaw::check_size(path, about.bytes)?;
        self.buffer.clear();
        // It may have grown since its size was checked.
        (&file)
            .take(MOST_BYTES + 1)
            .read_to_end(&mut self.buffer)
            .map_err(|cause| flaw::unreadable(path, &cause))?;
        flaw::check_size(path, self.buffer.len() as u64)?;
        let after = walk::about_file(&file).ok().and_then(|after| after.stamp);
        Ok(about
            .stamp
            .filter(|stamp| after == Some(*stamp) && stamp.bytes == self.buffer.len() as u64))
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

/// The avatar of a user who names the file by this path. Destructures the
/// facts, so that a new fact is not forgotten here.
fn avatar(facts: PictureFacts, path: Box<str>, part: u32) -> Avatar {
    let PictureFacts {
        picture: Picture {
            format,
            width,
            height,
        },
        notes: _,
        digest,
        bytes,
    } = facts;
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

/// A hint with the most similar file name in the same folder.
fn near(folder: &Path, path: &str) -> Option<String> {
    let (named, wanted) = path::split(path);
    let mut names = Walker::open(folder).ok()?.names(&plain(path), MOST_NAMES)?;
    names.sort_unstable();
    let near = suggest::nearest(wanted, names.iter().map(String::as_str))?;
    let slash = if named.is_empty() { "" } else { "/" };
    Some(format!(
        "did you mean {}?",
        quoted(&format!("{named}{slash}{near}"))
    ))
}
