//! The manifest: YAML text and picture files in, a valid [`Desired`] out, or
//! every problem at once with its line.
//!
//! ```text
//! files ─sources─▶ texts ─syntax, document─▶ raw values ─header, check─▶ users ─┐
//!                    ▲                                                          ├─▶ Desired
//!                    └─locate── problems ◀──── pictures ◀──────avatars──────────┘
//! ```
//!
//! * `sources` finds and reads the files; `avatars` reads the pictures they name
//!   (`crate::picture` recognises them by content). Nothing else here uses the
//!   disk.
//! * `document` is the only user of serde_yaml. With `scalar` it keeps every
//!   value as written: `No`, `007` and `12:30` are names and ids, not a boolean,
//!   a number and a time.
//! * `chunks` reads a large text in chunks, in parallel; `fast_path` reads the
//!   usual style without a YAML parser.
//! * `syntax` refuses texts that would make the parser slow, and gets from its
//!   first error to all of them.
//! * `header` and `check` know the rules, `diagnostics` collects what breaks them,
//!   and `suggest` guesses the intended name.
//! * `locate` is a second pass over the text, made only if there is something to
//!   point at; `text_position` counts lines and columns.
//!
//! A manifest may come from a stranger's pull request. So time and memory do
//! not grow faster than the size of a text, no path leads out of the manifest's
//! folder, and no pixel is decoded.

mod avatars;
mod check;
mod chunks;
mod diagnostics;
mod document;
mod fast_path;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod header;
mod locate;
mod scalar;
mod sources;
mod suggest;
mod syntax;
mod text_position;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::core::digest::Digest;
use crate::core::model::{Avatar, Desired, Entry, Stand};
use crate::core::problem::{Place, Pointer, Problem};
use crate::core::problem_code::ProblemCode;
use crate::core::value::{PlatformId, UserKey};
use crate::error::{Code, Error, Result};
use crate::parallel::map_parallel;

pub use crate::picture::PictureCache;
pub use avatars::Memory;
use check::Checked;
use chunks::InChunks;
use diagnostics::Found;
use document::{RawPart, RawUsers};
use locate::FieldPart;
use sources::Part;
pub use sources::Sources;
pub use suggest::{field_called, nearest};

/// A manifest without errors.
#[derive(Debug)]
pub struct Manifest {
    /// What it asks for.
    pub desired: Desired,
    /// Warnings, sorted by place.
    pub warnings: Vec<Problem>,
    /// The digest of all parts' bytes, in order.
    pub digest: Digest,
    sources: Sources,
    /// The positions of the users, by part, in the order of [`Desired::users`].
    stands: Vec<Stand>,
}

/// Reads the manifest at these paths, each a file or a directory, and every
/// picture it names.
///
/// # Errors
/// [`Code::ManifestMissing`] if there is none, [`Code::ManifestInvalid`] with
/// all of its problems, or the failure to read a file.
pub fn load(paths: &[PathBuf]) -> Result<Manifest> {
    load_with(paths, &mut Memory::default())
}

/// Like [`load`], but does not read pictures again that have not changed since
/// they were remembered. New facts are added to `memory`.
///
/// # Errors
/// As [`load`].
pub fn load_with(paths: &[PathBuf], memory: &mut Memory) -> Result<Manifest> {
    from_sources(Sources::read(paths)?, memory)
}

/// The same for texts that were read already.
fn from_sources(mut sources: Sources, memory: &mut Memory) -> Result<Manifest> {
    let mut found = Found::default();
    match assemble(&sources, memory, &mut found) {
        Some((desired, stands)) if found.is_fine() => {
            let (_, mut warnings) = found.all();
            place(&mut warnings, &sources);
            // After placing the warnings, which would otherwise read the texts
            // again.
            sources.let_go();
            Ok(Manifest {
                desired,
                warnings,
                digest: sources.digest(),
                sources,
                stands,
            })
        }
        _ => {
            let (mut problems, warnings) = found.all();
            problems.extend(warnings);
            place(&mut problems, &sources);
            Err(Error::problems(problems))
        }
    }
}

/// The ids in the manifest at these paths, as written, for shell completion.
/// Reads no picture and ignores problems: a manifest that cannot be read has no
/// ids.
pub fn ids(paths: &[PathBuf]) -> Vec<String> {
    let Ok(sources) = Sources::read(paths) else {
        return Vec::new();
    };
    let mut found = Found::default();
    let mut ids = Vec::new();
    for (index, part) in (0..).zip(sources.parts()) {
        let Some(part) = syntax::read(index, part, &mut found) else {
            continue;
        };
        if let RawUsers::List(users) = part.users {
            ids.extend(users.into_iter().filter_map(|user| match user.id {
                scalar::Raw::Text(id) => Some(id.into_owned()),
                _ => None,
            }));
        }
    }
    ids
}

/// Builds the desired state of all parts, with the positions of its users.
/// `None` comes with at least one error.
fn assemble(sources: &Sources, memory: &mut Memory, found: &mut Found) -> Option<(Desired, Vec<Stand>)> {
    let mut of_users = Found::default();
    let (heads, Checked { mut entries, wanted }) = read(sources, found, &mut of_users);
    // If an unreadable part were left out, its users would seem to be removed.
    let whole = heads.iter().all(Option::is_some);
    let head = header::head(&heads, found);
    // After the problems of the header, so that a flood of problems with users
    // does not crowd those out.
    found.append(of_users);
    let folders: Vec<&Path> = sources.parts().iter().map(|part| &*part.directory).collect();
    avatars::read_all(wanted, &folders, head.strip, memory, &mut entries, found);
    let stands = if found.is_fine() {
        stands(&entries)
    } else {
        Vec::new()
    };
    // Without a valid company, the users can still be checked against each
    // other.
    let platform = head.platform.or_else(|| PlatformId::parse("biz_unknown").ok())?;
    match Desired::new(platform, head.guardrails, entries) {
        Ok(desired) => whole.then_some((desired, stands)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| found.push(problem));
            None
        }
    }
}

/// Reads all parts: what is above the users, and the users.
fn read<'s>(
    sources: &'s Sources,
    found: &mut Found,
    of_users: &mut Found,
) -> (Vec<Option<RawPart<'s>>>, Checked) {
    let mut heads = Vec::with_capacity(sources.parts().len());
    let mut all = Checked::default();
    let in_pieces = chunks::read(sources.parts());
    let rest: Vec<(u32, &Part)> = (0..)
        .zip(sources.parts())
        .zip(&in_pieces)
        .filter_map(|(part, in_pieces)| in_pieces.is_none().then_some(part))
        .collect();
    let whole = map_parallel(&rest, || (), |(), (index, part)| read_whole(*index, part));
    let mut whole = whole.into_iter();
    for in_pieces in in_pieces {
        if let Some(InChunks { head, users, found }) = in_pieces {
            heads.push(Some(head));
            all.append(users);
            of_users.append(found);
            continue;
        }
        let (head, users, in_text, in_users) = whole.next().unwrap_or_default();
        found.append(in_text);
        all.append(users);
        of_users.append(in_users);
        heads.push(head);
    }
    (heads, all)
}

/// Reads a part as a whole; also returns the problems of its text and of its
/// users.
fn read_whole(index: u32, part: &Part) -> (Option<RawPart<'_>>, Checked, Found, Found) {
    let (mut found, mut of_users) = (Found::default(), Found::default());
    let mut head = syntax::read(index, part, &mut found);
    let mut users = Checked::default();
    if let Some(RawPart {
        users: RawUsers::List(list),
        ..
    }) = &mut head
    {
        users = check::users(index, 0, std::mem::take(list), &mut of_users);
    }
    (head, users, found, of_users)
}

/// The positions of users, in the order of their keys.
fn stands(entries: &[Entry]) -> Vec<Stand> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_unstable_by(|a, b| a.user.key.cmp(&b.user.key));
    order.into_iter().map(|entry| entry.at).collect()
}

/// Finds the positions of problems and related places, and sorts the problems
/// by file and line. Those that count others stay last.
fn place(problems: &mut [Problem], sources: &Sources) {
    for (index, part) in (0..).zip(sources.parts()) {
        let mut wanted = Vec::new();
        for problem in problems.iter() {
            let (side, related) = sides(problem.code);
            let own = (problem.place.is_none()).then_some((&problem.at, side));
            let others = problem.related.iter().filter(|other| other.place.is_none());
            wanted.extend(own.into_iter().chain(others.map(|other| (&other.at, related))));
        }
        wanted.retain(|(pointer, _)| pointer.part == index);
        if wanted.is_empty() {
            continue;
        }
        let stretches = locate::find(&part.text, &wanted);
        let mut found = text_position::places(&part.text, &part.display, &stretches).into_iter();
        for problem in problems.iter_mut() {
            if problem.place.is_none() && problem.at.part == index {
                problem.place = found.next();
            }
            for other in &mut problem.related {
                if other.place.is_none() && other.at.part == index {
                    other.place = found.next();
                }
            }
        }
    }
    problems.sort_by_key(|problem| {
        let place = problem.place.as_ref();
        let at = place.map_or((0, 0), |place| (place.line, place.column));
        (problem.counts_others(), problem.at.part, at, problem.code)
    });
}

/// Which side of its field a problem means, and what belongs to it.
fn sides(code: ProblemCode) -> (FieldPart, FieldPart) {
    match code {
        ProblemCode::RepeatedField => (FieldPart::LastKey, FieldPart::Key),
        ProblemCode::CompanyTwice => (FieldPart::Key, FieldPart::Key),
        ProblemCode::UnknownField
        | ProblemCode::MergeKey
        | ProblemCode::ReservedMetadata
        | ProblemCode::WrongType
        | ProblemCode::MetadataTooLarge => (FieldPart::Key, FieldPart::Value),
        _ => (FieldPart::Value, FieldPart::Value),
    }
}

impl Manifest {
    /// The folder of the manifest: the named directory, or that of the first
    /// file. The mapping is there.
    pub fn directory(&self) -> &Path {
        self.sources.directory()
    }

    /// The files it was read from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Reads a picture's bytes again to send them, without metadata if the
    /// manifest asks for that.
    ///
    /// # Errors
    /// If it cannot be read, is no longer an acceptable picture, or is not the
    /// one that was checked: only what was planned is sent.
    pub fn read_picture(&self, avatar: &Avatar) -> Result<Vec<u8>> {
        let invalid = |message: String| Error::new(Code::ManifestInvalid, message);
        let part = self.sources.parts().get(avatar.part as usize);
        let part = part.ok_or_else(|| {
            invalid(format!(
                "the avatar `{}` belongs to another manifest",
                avatar.path
            ))
            .hint("plan again")
        })?;
        let bytes = avatars::read_one(&part.directory, &avatar.path, avatar.digest)
            .map_err(|flaw| invalid(flaw.message).hint(flaw.hint))?;
        bytes.ok_or_else(|| {
            invalid(format!(
                "the avatar `{}` has changed since it was checked",
                avatar.path
            ))
            .hint("plan again with the new picture; if it did not change, use `--no-cache`")
        })
    }

    /// The positions of these users, pointing at their ids. Unknown users are
    /// left out; so are all if the files have changed since they were read.
    /// Reads large files once more.
    pub fn places(&self, keys: &[&UserKey]) -> BTreeMap<UserKey, Place> {
        let users = self.desired.users();
        let mut by_part: BTreeMap<u32, Vec<(&UserKey, Pointer)>> = BTreeMap::new();
        for key in keys {
            let Ok(index) = users.binary_search_by(|user| user.key.cmp(key)) else {
                continue;
            };
            let stand = self.stands[index];
            by_part
                .entry(stand.part)
                .or_default()
                .push((key, stand.field("id")));
        }
        let mut places = BTreeMap::new();
        let Some(texts) = self.sources.texts() else {
            return places;
        };
        for (part, wanted) in by_part {
            let (part, text) = (&self.sources.parts()[part as usize], &texts[part as usize]);
            let pointers: Vec<_> = wanted
                .iter()
                .map(|(_, pointer)| (pointer, FieldPart::Value))
                .collect();
            let stretches = locate::find(text, &pointers);
            let found = text_position::places(text, &part.display, &stretches);
            places.extend(
                wanted
                    .iter()
                    .zip(found)
                    .map(|((key, _), place)| ((*key).clone(), place)),
            );
        }
        places
    }
}
