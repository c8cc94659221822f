//! The text of the mapping and of the journal: JSON Lines, the first line of
//! which says what it is and whose. Text in, values out; no IO.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::paths::Identity;
use crate::core::lineage::Lineage;
use crate::core::model::{AppliedPicture, Known, KnownUser, Link};
use crate::core::replay::Entry;
use crate::core::text::{KeyLists, Text, Texts};
use crate::core::value::{AccountId, PlatformId, UserId, UserKey};
use crate::error::{Code, Error, Result};
use crate::parallel::map_parallel;

/// The versions we write, and the newest we read.
const VERSION: u32 = 1;
const MAPPING: &str = "whop-sync mapping";
const JOURNAL: &str = "whop-sync journal";
/// So many bytes, and the line they end in, are read at a time: they take longer
/// than a thread takes to start.
const PART: usize = 256 * 1024;
/// So many parts are read before their users are put behind the others: the
/// memory that they were read into serves the next ones.
const ROUND: usize = 64;

/// The mapping's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MappingHeader<'a> {
    format: Cow<'a, str>,
    version: u32,
    company: PlatformId,
    server: Cow<'a, str>,
    generation: u64,
    #[serde(default, skip_serializing_if = "nothing_applied")]
    applied: Cow<'a, Lineage>,
}

/// The journal's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct JournalHeader<'a> {
    format: Cow<'a, str>,
    version: u32,
    company: PlatformId,
    server: Cow<'a, str>,
}

impl<'a> JournalHeader<'a> {
    pub(super) fn new(identity: &'a Identity) -> Self {
        Self {
            format: JOURNAL.into(),
            version: VERSION,
            company: identity.company.clone(),
            server: (&*identity.server).into(),
        }
    }
}

/// One user of the mapping, flat, in the order people read it.
#[derive(Serialize, Deserialize)]
struct Row<'a> {
    id: Cow<'a, UserKey>,
    account_id: Cow<'a, AccountId>,
    user_id: Cow<'a, UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, Text>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<Cow<'a, Text>>,
    #[serde(default, skip_serializing_if = "map_is_empty")]
    metadata: Cow<'a, Texts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    picture: Option<Cow<'a, AppliedPicture>>,
}

fn nothing_applied(lineage: &Lineage) -> bool {
    lineage.is_empty()
}

fn map_is_empty(map: &Texts) -> bool {
    map.is_empty()
}

/// A value as one line.
pub(super) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("values with text keys always serialise");
    line.push(b'\n');
    line
}

/// Writes the whole mapping, line by line: the same facts always give the same
/// bytes.
pub(super) fn write_mapping(
    out: &mut impl Write,
    identity: &Identity,
    generation: u64,
    known: &Known,
) -> io::Result<()> {
    let Known { users, lineage, .. } = known;
    out.write_all(&line(&MappingHeader {
        format: MAPPING.into(),
        version: VERSION,
        company: identity.company.clone(),
        server: (&*identity.server).into(),
        generation,
        applied: Cow::Borrowed(lineage),
    }))?;
    let mut text = Vec::new();
    for (key, user) in users {
        let KnownUser {
            link: Link { account, owner },
            name,
            title,
            metadata,
            picture,
        } = user;
        let row = Row {
            id: Cow::Borrowed(key),
            account_id: Cow::Borrowed(account),
            user_id: Cow::Borrowed(owner),
            name: name.as_ref().map(Cow::Borrowed),
            title: title.as_ref().map(Cow::Borrowed),
            metadata: Cow::Borrowed(metadata),
            picture: picture.as_deref().map(Cow::Borrowed),
        };
        text.clear();
        serde_json::to_writer(&mut text, &row)?;
        text.push(b'\n');
        out.write_all(&text)?;
    }
    Ok(())
}

/// Parses a mapping and checks whose it is.
pub(super) fn parse_mapping(path: &Path, bytes: Vec<u8>, identity: &Identity) -> Result<Known> {
    let (header, rows) = mapping_header(path, &bytes)?;
    check_identity("mapping", path, (&header.company, &header.server), identity)?;
    let (generation, lineage) = (header.generation, header.applied.into_owned());
    let users = match many_at_once(rows) {
        Some(users) => {
            // Both at once would be the most that a run ever holds.
            drop(bytes);
            users.into_iter().collect()
        }
        None => one_by_one(path, rows)?,
    };
    Ok(Known {
        generation,
        users,
        lineage,
        ..Known::default()
    })
}

/// Reads the users side by side; `None` if one cannot be read or they are not
/// sorted, each once, as we write them.
fn many_at_once(rows: &[u8]) -> Option<Vec<(UserKey, KnownUser)>> {
    let mut parts = Vec::with_capacity(rows.len() / PART + 1);
    let mut rest = rows;
    while !rest.is_empty() {
        let end = rest.iter().skip(PART).position(|byte| *byte == b'\n');
        let (part, behind) = rest.split_at(end.map_or(rest.len(), |end| PART + end + 1));
        parts.push(part);
        rest = behind;
    }
    let read = |lists: &mut KeyLists, part: &&[u8]| {
        lines(part)
            .map(|line| parse_row(line, lists).ok())
            .collect::<Option<Vec<_>>>()
    };
    let mut users = Vec::new();
    for round in parts.chunks(ROUND) {
        for part in map_parallel(round, KeyLists::default, read) {
            users.append(&mut part?);
        }
    }
    users.is_sorted_by(|a, b| a.0 < b.0).then_some(users)
}

/// Reads the users one after the other, and says which line is wrong.
fn one_by_one(path: &Path, rows: &[u8]) -> Result<BTreeMap<UserKey, KnownUser>> {
    let mut users = BTreeMap::new();
    let mut lists = KeyLists::default();
    for (number, line) in (2..).zip(lines(rows)) {
        let (key, known) = parse_row(line, &mut lists).map_err(|cause| unreadable(path, number, cause))?;
        if users.insert(key, known).is_some() {
            return Err(unreadable(path, number, Twice));
        }
    }
    Ok(users)
}

/// Reads one user.
fn parse_row(line: &[u8], lists: &mut KeyLists) -> serde_json::Result<(UserKey, KnownUser)> {
    let row: Row<'_> = serde_json::from_slice(line)?;
    let mut known = KnownUser {
        link: Link {
            account: row.account_id.into_owned(),
            owner: row.user_id.into_owned(),
        },
        name: row.name.map(Cow::into_owned),
        title: row.title.map(Cow::into_owned),
        metadata: row.metadata.into_owned(),
        picture: row.picture.map(|picture| Box::new(picture.into_owned())),
    };
    lists.share(&mut known.metadata);
    Ok((row.id.into_owned(), known))
}

/// Whose mapping it is.
pub(super) fn mapping_identity(path: &Path, bytes: &[u8]) -> Result<Identity> {
    let (header, _) = mapping_header(path, bytes)?;
    Ok(Identity {
        company: header.company,
        server: header.server.into_owned(),
    })
}

/// Parses a journal. Its last line may be torn: the run died while writing
/// it, so nothing that depends on it was done.
pub(super) fn parse_journal(path: &Path, bytes: &[u8], identity: &Identity) -> Result<Vec<Entry>> {
    let whole = usize::try_from(whole_lines(bytes)).unwrap_or(usize::MAX);
    let mut entries = Vec::new();
    for (number, line) in lines(&bytes[..whole.min(bytes.len())]).enumerate() {
        if number == 0 {
            let header: JournalHeader<'_> = parse_header("journal", path, line, JOURNAL)?;
            check_identity("journal", path, (&header.company, &header.server), identity)?;
            continue;
        }
        let entry = serde_json::from_slice(line).map_err(|cause| {
            Error::new(Code::JournalUnreadable, format!("line {} of `{}` is not a valid journal entry", number + 1, path.display()))
                .caused_by(cause)
                .hint("it was changed by hand or damaged; restore it if you can, or move it away: users are then found again on Whop by their ids")
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

/// How many bytes belong to lines that were written to their end.
pub(super) fn whole_lines(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end as u64 + 1)
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn mapping_header<'a>(path: &Path, bytes: &'a [u8]) -> Result<(MappingHeader<'a>, &'a [u8])> {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let header = parse_header("mapping", path, &bytes[..end], MAPPING)?;
    Ok((header, &bytes[end..]))
}

/// What every header has, read first: a newer version may have changed all
/// the rest.
#[derive(Deserialize)]
struct AnyHeader {
    format: String,
    version: u32,
}

fn parse_header<'a, H: Deserialize<'a>>(what: &str, path: &Path, line: &'a [u8], format: &str) -> Result<H> {
    let any: AnyHeader = serde_json::from_slice(line).map_err(|cause| unreadable(path, 1, cause))?;
    if any.format != format {
        return Err(Error::new(
            Code::MappingUnreadable,
            format!(
                "`{}` is not a {what}: its first line names another format",
                path.display()
            ),
        )
        .hint("it belongs to something else: name the right file with `--mapping`; nothing was changed"));
    }
    if any.version > VERSION {
        let message = format!(
            "the {what} `{}` has version {}; this program knows up to {VERSION}",
            path.display(),
            any.version
        );
        return Err(Error::new(Code::MappingNewer, message)
            .hint("it was written by a newer whop-sync: update this one; nothing was changed"));
    }
    serde_json::from_slice(line).map_err(|cause| unreadable(path, 1, cause))
}

fn check_identity(what: &str, path: &Path, found: (&PlatformId, &str), wanted: &Identity) -> Result<()> {
    let (company, server) = found;
    let differs = if *company != wanted.company {
        format!("of company {company}, and the manifest is of {}", wanted.company)
    } else if server != wanted.server {
        format!(
            "of the server `{server}`, and this run is for `{}`",
            wanted.server
        )
    } else {
        return Ok(());
    };
    Err(Error::new(
        Code::MappingForeign,
        format!("the {what} `{}` is {differs}", path.display()),
    )
    .hint("name the right one with `--mapping`; nothing was changed"))
}

/// Two lines with one id.
#[derive(Debug)]
struct Twice;

impl std::fmt::Display for Twice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this id already has a line")
    }
}

impl std::error::Error for Twice {}

fn unreadable(path: &Path, number: usize, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::MappingUnreadable, format!("line {number} of `{}` is not a valid mapping entry", path.display()))
        .caused_by(cause)
        .hint("restore it from version control, or move it away: users are then found again on Whop by their ids; nothing was changed")
}
